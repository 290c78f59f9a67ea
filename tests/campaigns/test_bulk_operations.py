"""Bulk operations: step by step, whoever dies and whoever comes twice."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select

from app import config, queues, tenancy
from app.campaigns import bulk_operations, lifecycle, preflight, preflight_result
from app.config import Settings
from app.delivery import resend
from app.extensions import db
from app.models import Campaign, Event, Recipient, Reminder, Slice, Wave
from app.problems import Refused
from app.states.transitions import move_all
from jobs import due
from jobs.campaigns import run_bulk_operation
from tests import factories, steps

PEOPLE = 10


@pytest.fixture
def campaign(app: Flask, settings: Settings) -> Iterator[Campaign]:
    """A draft of ten people that was checked, in slices of three; every act upon it is left to the job."""
    config.install(replace(settings, slice_rows=3, at_once_people=0))
    with app.app_context():
        tenant_id = factories.tenant()
        user_id = factories.user(tenant_id)
        made = factories.campaign(tenant_id, sms_account_id=factories.sms_account(tenant_id), created_by=user_id)
        factories.people(tenant_id, made, PEOPLE)
        with tenancy.tenant(tenant_id):
            preflight.run(made)
            yield db.session.get_one(Campaign, made)
    config.install(settings)


def launch(campaign: Campaign) -> None:
    lifecycle.launch(campaign.id, user_id=user_of(campaign), digest=preflight_result.digest(campaign))


def user_of(campaign: Campaign) -> int:
    assert campaign.created_by is not None
    return campaign.created_by


def states() -> Counter[str]:
    db.session.rollback()
    return Counter(db.session.scalars(select(Recipient.sms_state)))


def events(state: str) -> Counter[int | None]:
    return Counter(db.session.scalars(select(Event.recipient_id).where(Event.state == state, Event.track == "sms")))


def check_once(state: str = "queued") -> None:
    """Check that every person moved once and stands in one slice."""
    ids = db.session.scalars(select(Recipient.id).order_by(Recipient.id)).all()
    assert events(state) == Counter(ids)
    parts = db.session.scalars(select(Slice).order_by(Slice.first_id)).all()
    assert [item for part in parts for item in ids if part.first_id <= item <= part.last_id] == ids


def test_a_launch_returns_at_once_and_the_job_moves_everybody(campaign: Campaign) -> None:
    launch(campaign)
    assert states() == {"draft": PEOPLE}
    assert campaign.state == "sending"
    assert queues.waiting("jobs.campaigns.run_bulk_operation") == {(campaign.tenant_id, campaign.id)}
    assert not bulk_operations.complete_if_done(db.session, campaign.id)
    db.session.rollback()
    run_bulk_operation(campaign.tenant_id, campaign.id)
    assert states() == {"queued": PEOPLE}
    check_once()
    assert bulk_operations.progress(campaign.id) is None
    assert queues.waiting("jobs.delivery.send") == {()}
    run_bulk_operation(campaign.tenant_id, campaign.id)  # one that comes too late
    check_once()


def test_a_job_that_dies_in_the_middle_of_a_step_loses_and_doubles_nobody(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch(campaign)
    calls: list[int] = []

    def die_once(*given: Any, **named: Any) -> int:
        moved = move_all(*given, **named)
        calls.append(moved)
        if len(calls) == 2:
            raise SystemExit  # what a signal does, after the statement and before the commit
        return moved

    monkeypatch.setattr(bulk_operations, "move_all", die_once)
    with pytest.raises(SystemExit):
        bulk_operations.run(campaign.id)
    assert calls == [3, 3]
    assert states() == {"queued": 3, "draft": 7}
    assert bulk_operations.progress(campaign.id) == bulk_operations.Progress("launch", 3, PEOPLE)
    assert not bulk_operations.complete_if_done(db.session, campaign.id)
    db.session.rollback()
    bulk_operations.run(campaign.id)
    assert states() == {"queued": PEOPLE}
    check_once()


def test_the_sweep_brings_a_lost_job_back(campaign: Campaign, database: psycopg.Connection) -> None:
    launch(campaign)

    def found() -> list[tuple[int, ...]]:
        return dict(due.work())["jobs.campaigns.run_bulk_operation"]

    db.session.rollback()
    assert found() == []
    database.execute("UPDATE wave SET stepped_at = now() - interval '31 seconds'")
    assert found() == [(campaign.tenant_id, campaign.id)]
    bulk_operations.run(campaign.id)
    assert found() == []


def test_two_workers_at_one_wave_move_everybody_once(app: Flask, campaign: Campaign) -> None:
    launch(campaign)
    tenant_id, campaign_id = campaign.tenant_id, campaign.id
    db.session.rollback()

    def work(_: int) -> None:
        with app.app_context(), tenancy.tenant(tenant_id):
            bulk_operations.run(campaign_id)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert states() == {"queued": PEOPLE}
    check_once()


def test_giving_up_in_the_middle_of_a_launch_stops_it(campaign: Campaign) -> None:
    launch(campaign)
    assert bulk_operations._step(campaign.id)
    assert states() == {"queued": 3, "draft": 7}
    assert lifecycle.cancel(campaign.id, user_id=user_of(campaign))
    assert states() == {"queued": 3, "draft": 7}
    assert db.session.scalars(select(Slice.due_at)).all() == [None]
    bulk_operations.run(campaign.id)
    assert states() == {"cancelled": PEOPLE}
    assert campaign.state == "cancelled"
    assert db.session.scalars(select(Wave.kind).where(Wave.finished_at.is_not(None)).order_by(Wave.id)).all() == [
        "launch",
        "cancel",
    ]


def test_a_turn_of_the_job_is_short_and_goes_on_later(campaign: Campaign) -> None:
    launch(campaign)
    queues.queue(queues.TRACKING).empty()
    run_bulk_operation(campaign.tenant_id, campaign.id, shift_s=0)
    assert states() == {"queued": 3, "draft": 7}
    assert queues.waiting("jobs.campaigns.run_bulk_operation") == {(campaign.tenant_id, campaign.id)}


def test_a_reminder_goes_in_steps_to_the_right_people_once(
    campaign: Campaign, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch(campaign)
    bulk_operations.run(campaign.id)
    ids = db.session.scalars(select(Recipient.id).order_by(Recipient.id)).all()
    db.session.rollback()
    steps.deliver(*ids)
    steps.view(*ids[3:6])
    database.execute("UPDATE slice SET due_at = NULL")
    database.execute("DELETE FROM event")
    db.session.rollback()

    remind: Callable[..., int] = resend.remind
    assert remind(campaign.id, "unopened", user_id=user_of(campaign), number=1) == 7
    assert states() == {"delivered": PEOPLE}
    with pytest.raises(Refused, match="bulk_operation_running"):
        remind(campaign.id, "unopened", user_id=user_of(campaign), number=2)
    with pytest.raises(Refused, match="bulk_operation_running"):
        resend.resend(campaign.id, user_id=user_of(campaign))
    bulk_operations.run(campaign.id)
    assert states() == {"queued": 7, "delivered": 3}
    assert events("queued") == Counter([*ids[:3], *ids[6:]])
    reminder = db.session.scalars(select(Reminder)).one()
    assert reminder.people == 7
    assert set(db.session.scalars(select(Recipient.reminder_id).where(Recipient.sms_state == "queued"))) == {
        reminder.id
    }
    # the slice of those who have seen the page is left in peace
    assert [at is None for at in db.session.scalars(select(Slice.due_at).order_by(Slice.first_id))] == [
        False,
        True,
        False,
        False,
    ]
