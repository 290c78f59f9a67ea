"""A campaign's figures are counted once for all who watch, and as seldom as counting is dear."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from app import tenancy
from app.delivery import progress as part
from app.extensions import db, redis_client
from app.models import Campaign
from app.tracking.shared import LASTS
from app.tracking.states import SmsState
from tests import factories


@pytest.fixture
def sending(app):
    with app.app_context():
        tenant = factories.tenant()
        campaign = factories.campaign(tenant, sms_account_id=factories.sms_account(tenant))
        factories.people(tenant, campaign, 4)
        factories.launch(tenant, campaign)
    return tenant, campaign


@pytest.fixture
def counted(monkeypatch):
    """Tell how often people were counted; a count takes `takes[0]` seconds more."""
    calls, takes, plain = [], [0.0], part._count

    def count(campaign):
        calls.append(campaign.id)
        time.sleep(takes[0])
        return plain(campaign)

    monkeypatch.setattr(part, "_count", count)
    return calls, takes


def ask(app, sending):
    with app.app_context(), tenancy.tenant(sending[0]):
        return part.progress(db.session.get_one(Campaign, sending[1]))


def test_a_count_lasts_as_many_times_as_long_as_it_took(app, sending, counted):
    calls, takes = counted
    takes[0] = 0.1
    first = ask(app, sending)
    assert (first.figures.people, first.waiting, first.held) == (4, 4, 0)
    assert ask(app, sending) == first
    assert len(calls) == 1
    time.sleep(0.1 * LASTS + 0.5)
    takes[0] = 0.0
    ask(app, sending)
    assert len(calls) == 2


def test_what_is_cheap_is_fresh(app, sending, database):
    assert ask(app, sending).waiting == 4
    database.execute("UPDATE recipient SET sms_state = 'delivered', opened_at = '2026-11-26 15:30+00'")
    deadline = time.monotonic() + 20
    while (found := ask(app, sending)).waiting:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert found.figures.sms[SmsState.DELIVERED] == 4
    assert found.opened == (4, *[0] * 23)  # half past midnight in Japan
    assert found.paid == (0,) * 24


def test_one_counts_while_the_others_get_the_count_before(app, sending, counted, redis):
    calls, takes = counted
    ask(app, sending)
    key = f"todoke:count:progress:{sending[0]}:{sending[1]}"
    redis.set(key, json.dumps({**json.loads(redis.get(key)), "until": 0}))
    takes[0] = 3
    waits = [threading.Thread(target=ask, args=(app, sending)) for _ in range(6)]
    for thread in waits:
        thread.start()
    deadline = time.monotonic() + 20
    while len(calls) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    began = time.monotonic()
    assert ask(app, sending).figures.people == 4
    assert time.monotonic() - began < 2
    for thread in waits:
        thread.join()
    assert len(calls) == 2


def test_without_redis_everybody_counts(app, sending, monkeypatch):
    redis_client.bind("redis://127.0.0.1:9/0")
    assert ask(app, sending).figures.people == 4


@pytest.mark.parametrize("stored", ["", "x", "{}", '{"people": 1}', "[]", '{"until": 9e9, "told": {"people": 1}}'])
def test_what_another_version_wrote_is_counted_anew(app, sending, redis, stored):
    tenant, campaign = sending
    redis.set(f"todoke:count:progress:{tenant}:{campaign}", stored)
    assert ask(app, sending).figures.people == 4


def test_a_count_is_kept_apart_from_another_companys(app, sending, redis):
    ask(app, sending)
    assert redis.keys("todoke:count:progress:*") == [f"todoke:count:progress:{sending[0]}:{sending[1]}".encode()]


def test_the_rate_is_of_the_last_minute(app, sending, database):
    tenant, campaign = sending
    now = datetime.now(UTC)
    account = database.execute("SELECT sms_account_id FROM campaign WHERE id = %s", [campaign]).fetchone()[0]
    people = [row[0] for row in database.execute("SELECT id FROM recipient ORDER BY id")]
    for person, ago in zip(people, (300, 20, 10, 0), strict=True):
        database.execute(
            "INSERT INTO send_log (tenant_id, campaign_id, recipient_id, sms_account_id, attempt, fence, started_at)"
            " VALUES (%s, %s, %s, %s, 1, 1, %s)",
            [tenant, campaign, person, account, now - timedelta(seconds=ago)],
        )
    with app.app_context(), tenancy.tenant(tenant):
        row = db.session.get_one(Campaign, campaign)
        assert part.rate_per_s(row, now) == pytest.approx(3 / 20)
        assert part.rate_per_s(row, now + timedelta(hours=1)) == 0
        # 30 people at 0.15 a second
        assert part.finishes_at(row, 30, 0.15, now) == now + timedelta(seconds=200)
        row.state = "paused"
        assert part.finishes_at(row, 30, 0.15, now) is None
        db.session.rollback()
