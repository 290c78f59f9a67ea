"""Moves on the real database: the state, its time and its event together, or nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app import tenancy
from app.extensions import db
from app.models import Campaign, Event, Recipient
from app.states.transitions import Only, Step, move, move_all, move_campaign
from app.states.vocabulary import PAGE, SMS, CampaignState, PageState, SmsState
from tests import factories
from tests.plans import explained, touched

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
    assert move(db.session, SMS, SmsState.UNKNOWN, both, actor="x", sources=[SmsState.QUEUED]) == set()


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


def test_the_work_of_a_move_grows_with_its_people_and_no_faster(app: Flask) -> None:
    """A list just taken in has no statistics, and a planner that expects one row may join each with each."""
    people = 600
    with app.app_context():
        tenant_id = factories.tenant()
        made = factories.campaign(tenant_id)
        factories.people(tenant_id, made, people)
        with tenancy.tenant(tenant_id):
            chosen = ids()
            only = Only("id BETWEEN :first AND :last", {"first": chosen[0], "last": chosen[-1]})
            draft = [SmsState.DRAFT]
            with explained() as plans:
                move_all(
                    db.session, SmsState.QUEUED, campaign_id=made, sources=draft, at=NOW, actor="user:1", only=only
                )
                move(db.session, SMS, SmsState.SENDING, [Step(one, NOW) for one in chosen], actor="system")
            assert [touched(plan) > people for plan in plans] == [True] * 3
            assert [touched(plan) < 20 * people for plan in plans] == [True] * 3


def test_a_campaign_moves_with_its_event(campaign_id: int) -> None:
    assert move_campaign(db.session, campaign_id, CampaignState.SENDING, at=NOW, actor="user:1", detail={"people": 3})
    assert not move_campaign(db.session, campaign_id, CampaignState.DRAFT, at=NOW, actor="user:1")
    campaign = db.session.get_one(Campaign, campaign_id, populate_existing=True)
    assert (campaign.state, campaign.launched_at) == ("sending", NOW)
    assert events() == [(None, "campaign", "sending", "user:1")]


@pytest.mark.usefixtures("campaign_id")
def test_a_batch_is_planned_for_its_own_values_however_many_went_before() -> None:
    """A plan for any values joins each of a batch with each; PostgreSQL would go over to one at the eleventh time."""
    steps = [Step(one, NOW) for one in ids()]
    with tenancy.transaction() as connection:
        for _ in range(12):
            move(connection, SMS, SmsState.QUEUED, steps, actor="system")
        plans = "SELECT coalesce(sum(generic_plans), 0) FROM pg_prepared_statements"
        assert connection.exec_driver_sql(plans).scalar_one() == 0
