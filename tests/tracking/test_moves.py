"""Moves on the real database: the state, its time and its event together, or nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app import tenancy
from app.extensions import db
from app.models import Campaign, Event, Recipient
from app.tracking.moves import Step, move, move_all, move_campaign
from app.tracking.states import PAGE, SMS, CampaignState, PageState, SmsState
from tests import factories

NOW = datetime(2026, 11, 23, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def campaign_id(app: Flask) -> Iterator[int]:
    with app.app_context():
        tenant_id = factories.tenant()
        made = factories.campaign(tenant_id)
        factories.people(tenant_id, made, 3)
        with tenancy.tenant(tenant_id):
            yield made


def ids() -> list[int]:
    return list(db.session.scalars(select(Recipient.id).order_by(Recipient.id)))


def events() -> list[tuple[int | None, str, str, str]]:
    rows = db.session.scalars(select(Event).order_by(Event.id))
    return [(row.recipient_id, row.track, row.state, row.actor) for row in rows]


@pytest.mark.usefixtures("campaign_id")
def test_a_move_writes_state_time_and_event() -> None:
    first, second, _ = ids()
    steps = [Step(first, NOW, {"why": "x"}), Step(second, NOW + timedelta(seconds=1))]
    assert move(db.session, SMS, SmsState.QUEUED, steps, actor="user:1") == {first, second}
    person = db.session.get_one(Recipient, second, populate_existing=True)
    assert (person.sms_state, person.queued_at) == ("queued", NOW + timedelta(seconds=1))
    assert events() == [(first, "sms", "queued", "user:1"), (second, "sms", "queued", "user:1")]


@pytest.mark.usefixtures("campaign_id")
def test_a_move_that_is_not_allowed_changes_nothing() -> None:
    first, *_ = ids()
    assert move(db.session, SMS, SmsState.DELIVERED, [Step(first, NOW)], actor="provider") == set()
    assert events() == []
    assert db.session.get_one(Recipient, first, populate_existing=True).sms_state == "draft"


@pytest.mark.usefixtures("campaign_id")
def test_the_same_move_twice_is_one_event() -> None:
    first, *_ = ids()
    for _ in range(2):
        move(db.session, PAGE, PageState.OPENED, [Step(first, NOW)], actor="person")
    assert events() == [(first, "page", "opened", "person")]


@pytest.mark.usefixtures("campaign_id")
def test_an_old_fence_changes_nothing() -> None:
    first, *_ = ids()
    move(db.session, SMS, SmsState.QUEUED, [Step(first, NOW, None, {"fence": 5})], actor="system")
    assert move(db.session, SMS, SmsState.SENDING, [Step(first, NOW)], actor="system", fence=4) == set()
    assert move(db.session, SMS, SmsState.SENDING, [Step(first, NOW)], actor="system", fence=5) == {first}


@pytest.mark.usefixtures("campaign_id")
def test_sources_narrow_the_vocabulary_and_never_widen_it() -> None:
    first, second, _ = ids()
    move(db.session, SMS, SmsState.QUEUED, [Step(first, NOW)], actor="system")
    both = [Step(first, NOW), Step(second, NOW)]
    assert move(db.session, SMS, SmsState.CANCELLED, both, actor="x", sources=[SmsState.DRAFT]) == {second}
    assert move(db.session, SMS, SmsState.ACCEPTED, both, actor="x", sources=[SmsState.QUEUED]) == set()


@pytest.mark.usefixtures("campaign_id")
def test_the_first_opening_is_kept_and_the_latest_sending() -> None:
    first, *_ = ids()
    later = NOW + timedelta(hours=1)
    for state, at in ((PageState.OPENED, NOW), (PageState.LOCKED, NOW), (PageState.OPENED, later)):
        move(db.session, PAGE, state, [Step(first, at)], actor="person")
    for sms, at in ((SmsState.QUEUED, NOW), (SmsState.SENDING, NOW), (SmsState.QUEUED, later)):
        move(db.session, SMS, sms, [Step(first, at)], actor="system")
    person = db.session.get_one(Recipient, first, populate_existing=True)
    assert (person.opened_at, person.queued_at) == (NOW, later)


def test_all_of_a_campaign_move_at_once(campaign_id: int) -> None:
    first, *_ = ids()
    move(db.session, SMS, SmsState.CANCELLED, [Step(first, NOW)], actor="user:1")
    moved = move_all(
        db.session, SmsState.QUEUED, campaign_id=campaign_id, sources=[SmsState.DRAFT], at=NOW, actor="user:1"
    )
    assert moved == 2
    assert len(events()) == 3


def test_a_campaign_moves_with_its_event(campaign_id: int) -> None:
    assert move_campaign(db.session, campaign_id, CampaignState.SENDING, at=NOW, actor="user:1", detail={"people": 3})
    assert not move_campaign(db.session, campaign_id, CampaignState.DRAFT, at=NOW, actor="user:1")
    campaign = db.session.get_one(Campaign, campaign_id, populate_existing=True)
    assert (campaign.state, campaign.launched_at) == ("sending", NOW)
    assert events() == [(None, "campaign", "sending", "user:1")]
