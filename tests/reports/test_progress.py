"""How far a campaign is: figures as they are at each look, and the rate of the last minute."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from app import tenancy
from app.extensions import db
from app.models import Campaign
from app.reports import progress as part
from app.states.vocabulary import SmsState
from tests import factories, steps


@pytest.fixture
def sending(app):
    with app.app_context():
        tenant = factories.tenant()
        campaign = factories.campaign(tenant, sms_account_id=factories.sms_account(tenant))
        factories.people(tenant, campaign, 4)
        factories.launch(tenant, campaign)
    return tenant, campaign


def ask(app, sending):
    with app.app_context(), tenancy.tenant(sending[0]):
        return part.progress(db.session.get_one(Campaign, sending[1]))


def test_the_figures_are_fresh_at_each_look(app, sending, database):
    first = ask(app, sending)
    assert (first.figures.people, first.waiting, first.held, first.planned) == (4, 4, 0, None)
    with app.app_context():
        steps.deliver(*steps.everybody())
    database.execute("UPDATE recipient SET opened_at = '2026-11-26 15:30+00'")
    found = ask(app, sending)
    assert (found.waiting, found.figures.sms[SmsState.DELIVERED]) == (0, 4)
    assert found.figures.opened == (4, *[0] * 23)  # half past midnight in Japan
    assert found.figures.paid == (0,) * 24


def test_whom_somebody_has_to_decide_about_is_counted_once_for_all(app, sending, redis):
    with app.app_context():
        steps.lose(*steps.everybody()[:1])
    assert ask(app, sending).asked_about == 1
    assert redis.keys("todoke:count:*") == [f"todoke:count:held:{sending[0]}:{sending[1]}".encode()]


def test_a_campaign_of_before_is_counted_once_for_all_too(app, sending, database, redis):
    database.execute("UPDATE campaign SET counted_at = NULL")
    right = ask(app, sending).figures
    assert redis.keys("todoke:count:*") == [f"todoke:count:recipient:{sending[0]}:{sending[1]}".encode()]
    redis.set(redis.keys("todoke:count:*")[0], json.dumps({"until": 9e9, "told": [[["x"], [1]]]}))
    assert ask(app, sending).figures == right, "what can't be read is counted anew"


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
