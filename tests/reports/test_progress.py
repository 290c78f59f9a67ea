"""A campaign's figures are counted once for all who watch, and as seldom as counting is dear."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from app import tenancy
from app.extensions import db, redis_client
from app.models import Campaign
from app.reports import progress as part
from app.reports.cached_count import LASTS
from app.reports.campaign_totals import figures
from app.states.vocabulary import SmsState
from tests import factories, steps
from tests.waiting import until


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
    """Return how often people were counted; a count takes `takes[0]` seconds and waits for `free`."""
    calls, takes, free, plain = [], [0.0], threading.Event(), figures
    free.set()

    def count(campaign_id):
        calls.append(campaign_id)
        time.sleep(takes[0])
        assert free.wait(30)
        return plain(campaign_id)

    monkeypatch.setattr(part, "figures", count)
    return calls, takes, free


@pytest.fixture
def kept(redis, sending):
    """Return until when the count is kept; call it with a time to change that."""
    key = f"todoke:count:progress:{sending[0]}:{sending[1]}"

    def until(changed=None):
        stored = json.loads(redis.get(key))
        if changed is not None:
            redis.set(key, json.dumps({**stored, "until": changed}))
        return stored["until"]

    return until


def ask(app, sending):
    with app.app_context(), tenancy.tenant(sending[0]):
        return part.progress(db.session.get_one(Campaign, sending[1]))


def test_a_count_lasts_as_many_times_as_long_as_it_took(app, sending, counted, kept):
    calls, takes, _ = counted
    takes[0] = 0.2
    began = time.time()
    first = ask(app, sending)
    took = time.time() - began
    assert (first.figures.people, first.waiting, first.held) == (4, 4, 0)
    assert ask(app, sending) == first
    assert len(calls) == 1
    assert began + takes[0] * LASTS < kept() < began + took * (1 + LASTS)
    kept(time.time())
    ask(app, sending)
    assert len(calls) == 2


def test_what_is_cheap_is_fresh(app, sending, database):
    assert ask(app, sending).waiting == 4
    with app.app_context():
        steps.deliver(*steps.everybody())
    database.execute("UPDATE recipient SET opened_at = '2026-11-26 15:30+00'")
    until(lambda: not ask(app, sending).waiting)
    found = ask(app, sending)
    assert found.figures.sms[SmsState.DELIVERED] == 4
    assert found.opened == (4, *[0] * 23)  # half past midnight in Japan
    assert found.paid == (0,) * 24


def test_one_counts_while_the_others_get_the_count_before(app, sending, counted, kept):
    calls, _, free = counted
    ask(app, sending)
    kept(0)
    free.clear()
    waits = [threading.Thread(target=ask, args=(app, sending)) for _ in range(6)]
    for thread in waits:
        thread.start()
    until(lambda: len(calls) == 2)
    assert ask(app, sending).figures.people == 4
    until(lambda: sum(thread.is_alive() for thread in waits) == 1)
    free.set()
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
    now = datetime(2026, 11, 24, 3, tzinfo=UTC)  # noon: a day's end in between would be planned as two days
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
        steps.pause(campaign)
        db.session.refresh(row)
        assert part.finishes_at(row, 30, 0.15, now) is None
        db.session.rollback()
