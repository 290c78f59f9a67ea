"""Over real HTTP on the real server with its threads: attempts at once, time that tells nothing, links alike."""

import itertools
import random
import socket
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from werkzeug.datastructures import Headers

from tests import steps
from tests.public.agents import AGENTS
from tests.public.conftest import ANSWERS, WRONG, Sent
from tests.public.page_headers import check_headers
from tests.public.served import Answer, Visitor, web


def at_once(acts: list[Callable[[], Answer]]) -> list[Answer]:
    got: list[Answer] = []
    gate = threading.Barrier(len(acts))

    def run(act: Callable[[], Answer]) -> None:
        gate.wait()
        got.append(act())

    threads = [threading.Thread(target=run, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == len(acts)
    return got


def test_fifty_posts_at_once_are_five_evaluations(sent: Sent, visit: Callable[[], Visitor], events, state) -> None:
    first = visit()
    assert first.ask("POST", sent.link).status == 303
    hidden = first.form()
    others = [visit() for _ in range(50)]
    for other in others:
        other.cookies = dict(first.cookies)
        other.connection.connect()
    got = at_once([partial(other.ask, "POST", "/p/answers", WRONG | hidden) for other in others])
    statuses = [answer.status for answer in got]
    # the one who comes after the lock sees that it is one
    assert (statuses.count(422), statuses.count(303) + statuses.count(200)) == (4, 46)
    assert state(sent) == ("locked", 5)
    assert [kind for _, kind, _ in events(sent)] == ["opened", *["wrong_answer"] * 5, "locked"]
    # and the right answer comes too late
    assert first.ask("POST", "/p/answers", ANSWERS | hidden).status == 200
    assert "安全のため" in first.ask("GET", "/p").text
    assert state(sent) == ("locked", 5)


# --- time that tells nothing ---


def slower(ones: list[float], others: list[float]) -> float:
    """Return the chance that one of `ones` is slower than one of `others`: 0.5 where time tells nothing."""
    return sum((one > other) + (one == other) / 2 for one in ones for other in others) / (len(ones) * len(others))


def told(ones: list[float], others: list[float]) -> bool:
    """Return whether time tells them apart: by chance alone it is beyond this once in ten thousand, for 60 of each."""
    return abs(slower(ones, others) - 0.5) > 0.22


def test_the_measure_tells_what_can_be_told() -> None:
    near, far = [5 + n % 13 / 10 for n in range(60)], [6.2 + n % 13 / 10 for n in range(60)]
    assert not told(near, list(reversed(near)))
    assert told(near, far)


@pytest.mark.slow
def test_right_and_wrong_answers_take_the_same_time(
    send: Callable[..., Sent], visit: Callable[[], Visitor], redis
) -> None:
    typed = {"right": ANSWERS, "first": ANSWERS | {"q1_day": "3"}, "last": WRONG, "both": WRONG | {"q1_day": "3"}}
    took: dict[str, list[float]] = {kind: [] for kind in typed}
    luck = random.Random(1)
    for _ in range(60):
        redis.flushdb()  # the limit of an address
        for kind, values in luck.sample(sorted(typed.items()), len(typed)):
            sent, visitor = send(), visit()
            visitor.ask("POST", sent.link)
            sending = values | visitor.form()
            began = time.perf_counter()
            answer = visitor.ask("POST", "/p/answers", sending)
            took[kind].append(time.perf_counter() - began)
            assert answer.status == (303 if kind == "right" else 422)
            visitor.close()
    for kind, one in itertools.combinations(typed, 2):
        assert not told(took[kind], took[one]), (kind, one, {k: statistics.median(v) for k, v in took.items()})


# --- links that are no more, or never were ---


@pytest.fixture
def gone(send: Callable[..., Sent], database: psycopg.Connection, take: Callable[..., None]) -> dict[str, str]:
    """Links that lead nowhere, by why."""
    made = {why: send() for why in ("expired", "revoked", "unsent", "older")}
    changes = {
        "expired": "link_expires_at = now() - interval '1 second'",
        "unsent": "link_expires_at = NULL",
        "older": "token_digest = decode(repeat('00', 32), 'hex'), link_generation = 2",
    }
    for why, change in changes.items():
        statement = f"UPDATE recipient SET {change} WHERE id = %s"  # noqa: S608 - one of those above
        database.execute(statement, [made[why].person.id])
    take(steps.revoke, made["revoked"].person.id)
    return {why: sent.link for why, sent in made.items()} | {"never": "/abcdefghijkmnpqr", "longer": f"/{'z' * 32}"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
@pytest.mark.parametrize("language", ["ja", "en-GB"])
def test_links_that_lead_nowhere_are_alike_to_the_byte(
    gone: dict[str, str], visit: Callable[[], Visitor], method: str, language: str
) -> None:
    got = {visit().ask(method, link, headers={"Accept-Language": language}) for link in gone.values()}
    assert len(got) == 1
    (answer,) = got
    if method == "OPTIONS":
        assert (answer.status, answer.body) == (200, b"")
        return
    assert answer.status == 404
    check_headers(Headers(answer.headers))
    words = "the company named in the SMS" if language == "en-GB" else "SMSに書かれている会社へ"
    assert (words in answer.text) is (method != "HEAD")


def test_links_that_lead_nowhere_take_the_same_time(gone: dict[str, str], visit: Callable[[], Visitor]) -> None:
    visitor, luck = visit(), random.Random(1)
    took: dict[str, list[float]] = {why: [] for why in gone}
    for _ in range(60):
        for why, link in luck.sample(sorted(gone.items()), len(gone)):
            began = time.perf_counter()
            visitor.ask("GET", link)
            took[why].append(time.perf_counter() - began)
    for why in gone:
        assert not told(took[why], took["never"]), why


# --- whoever fetches links without a person ---


def everything(database: psycopg.Connection) -> dict[str, str]:
    """Return a digest of every table's rows."""
    tables = database.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    ).fetchall()
    digests = {}
    for (table,) in tables:
        rows = sql.SQL("SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {} t")
        row = database.execute(rows.format(sql.Identifier(table))).fetchone()
        assert row is not None
        digests[table] = row[0]
    return digests


def test_previews_and_scanners_change_nothing(
    sent: Sent, visit: Callable[[], Visitor], database: psycopg.Connection, redis
) -> None:
    assert len(set(AGENTS)) == 50
    before = everything(database)
    for number, agent in enumerate(AGENTS):
        visitor = visit()
        early = (("Purpose", "prefetch"), ("Sec-Purpose", "prefetch;prerender"), ("X-Moz", "prefetch"))[number % 3]
        headers = dict([("User-Agent", agent), ("Accept", "*/*"), early])
        for method in ("GET", "HEAD", "OPTIONS"):
            answer = visitor.ask(method, sent.link, headers=headers)
            assert (answer.status, answer.header("Set-Cookie")) == (200, "")
        for method in ("PUT", "DELETE", "PATCH", "PROPFIND"):
            assert visitor.ask(method, sent.link, headers=headers).status == 405
        # those that go on to what they find on the page
        for path in ("/p", "/p/answers", "/p/pay", "/p/return", "/verify", "/favicon.ico", "/robots.txt"):
            assert not visitor.ask("GET", path, headers=headers).header("Set-Cookie")
        visitor.close()
    assert everything(database) == before
    assert redis.keys() == []
    # and what a person does is seen by the same means
    visit().ask("POST", sent.link)
    assert everything(database) != before


# --- errors ---


def too_much(visit: Callable[[], Visitor]) -> Answer:
    """Send more than a form may hold. The server answers before it has read it all, so the line may break first."""
    for _ in range(20):
        with suppress(ConnectionError):
            return visit().ask("POST", "/p/answers", {"q1": "x" * 1_100_000})
    pytest.fail("the answer never came")


def test_errors_carry_the_headers_too(sent: Sent, visit: Callable[[], Visitor]) -> None:
    visitor = visit()
    assert visitor.ask("POST", sent.link).status == 303
    got = {
        404: visitor.ask("GET", "/none"),
        405: visitor.ask("DELETE", "/p"),
        400: visitor.ask("POST", "/p/answers", WRONG),
        413: too_much(visit),
    }
    for _ in range(300):
        got[429] = visitor.ask("POST", "/abcdefghijkmnpqr")
    for status, answer in got.items():
        assert answer.status == status
        check_headers(Headers(answer.headers))
        assert "<h1>" in answer.text
    elsewhere = visit().ask("GET", sent.link, headers={"Host": "elsewhere.example"})
    assert elsewhere.status == 400
    check_headers(Headers(elsewhere.headers))
    assert "みどり" not in elsewhere.text


def test_a_redis_that_is_silent_keeps_nobody_waiting_and_limits_go_on(
    sent: Sent, environment: dict[str, str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        away = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with web(environment | {"REDIS_URL": away}, tmp_path) as port:
            visitor = Visitor(port)
            began = time.monotonic()
            assert visitor.ask("POST", sent.link).status == 303
            assert time.monotonic() - began < 2, "the first visit of a process takes a while by itself"
            statuses = [visitor.ask("POST", "/verify", {"company": "x", "number": "1"}).status for _ in range(21)]
            assert statuses == [200] * 20 + [429]
            visitor.close()
