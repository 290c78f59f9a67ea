"""Limits hold by key and by company, tell what is left, and need no Redis."""

import re
from dataclasses import replace

import pytest

from app import config
from app.api_access import rates
from app.extensions import redis_client
from tests.api.systems import V1, system


@pytest.fixture
def strict(app, settings):
    """Let a key ask 60 times a minute, its company 90 times."""
    config.install(replace(settings, api_key_per_minute=60, api_company_per_minute=90))


def _left(answer):
    return {name: int(left) for name, left in re.findall(r'"(\w+)";r=(\d+)', answer.headers["RateLimit"])}


def test_each_answer_tells_what_is_left(ours, strict):
    first, second = ours.get(f"{V1}/campaigns"), ours.get(f"{V1}/campaigns/none")
    assert first.headers["RateLimit-Policy"] == '"key";q=60;w=60, "company";q=90;w=60'
    assert _left(first) == {"key": 59, "company": 89}
    assert _left(second) == {"key": 58, "company": 88}
    assert re.fullmatch(r'"key";r=58;t=[12], "company";r=88;t=[12]', second.headers["RateLimit"])


def test_beyond_the_limit_a_key_waits(ours, strict, database):
    assert ours.get(f"{V1}/campaigns").status_code == 200
    database.execute("UPDATE api_rate SET units_left = 0.2 WHERE subject <> 'company'")
    answer = ours.get(f"{V1}/campaigns")
    assert (answer.status_code, answer.json["code"]) == (429, "api_rate_limited")
    assert answer.headers["Retry-After"] == "1"
    assert _left(answer)["key"] == 0


def test_what_is_refused_is_not_paid_for(app, ours, strict, database):
    ours.get(f"{V1}/campaigns")
    database.execute("UPDATE api_rate SET units_left = 0.5, at = now() WHERE subject <> 'company'")
    for _ in range(3):
        assert ours.get(f"{V1}/campaigns").status_code == 429
    (left,) = database.execute("SELECT units_left FROM api_rate WHERE subject <> 'company'").fetchone()
    assert left >= 0.5


def test_a_companys_keys_share_what_it_has(app, ours, strict, database):
    other = system(app, tenant=ours.tenant, networks=())
    ours.get(f"{V1}/campaigns")
    database.execute("UPDATE api_rate SET units_left = 0.2, at = now() WHERE subject = 'company'")
    assert other.get(f"{V1}/campaigns").status_code == 429


def test_another_company_is_not_held_up(ours, theirs, strict, database):
    ours.get(f"{V1}/campaigns")
    database.execute("UPDATE api_rate SET units_left = 0, at = now()")
    assert theirs.get(f"{V1}/campaigns").status_code == 200


def test_time_fills_it_up_again_but_not_beyond(ours, strict, database):
    ours.get(f"{V1}/campaigns")
    database.execute("UPDATE api_rate SET units_left = 0, at = now() - interval '1 hour'")
    assert _left(ours.get(f"{V1}/campaigns")) == {"key": 59, "company": 89}


def test_they_hold_without_redis(ours, strict, servers):
    url = config.settings().redis_url
    redis_client.bind("redis://127.0.0.1:9/0")
    try:
        assert _left(ours.get(f"{V1}/campaigns")) == {"key": 59, "company": 89}
        assert _left(ours.get(f"{V1}/campaigns")) == {"key": 58, "company": 88}
    finally:
        redis_client.bind(url)


def test_rows_cost_by_the_hundred():
    assert rates.ROWS_A_UNIT == 100
