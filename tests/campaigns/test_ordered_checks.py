"""Checks that begin by themselves are done once, outlive a dead worker, and hold for what stands at their end."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from flask import Flask

from app import queues, tenancy
from app.campaigns import ordered_checks, preflight_result, rendering
from app.extensions import db
from app.models import Campaign
from jobs import campaigns as campaign_jobs
from jobs import sweep
from tests import factories, steps

JOB = "jobs.campaigns.preflight"


@pytest.fixture
def draft(app: Flask) -> Iterator[tuple[int, int]]:
    """Return a tenant and a draft of theirs, with three people and a check that is due."""
    with app.app_context():
        tenant_id = factories.tenant()
        campaign_id = factories.campaign(tenant_id, sms_account_id=factories.sms_account(tenant_id))
        factories.people(tenant_id, campaign_id, 3)
        with tenancy.tenant(tenant_id):
            ordered_checks.order(db.session, campaign_id)
            db.session.commit()
        yield tenant_id, campaign_id


def checked(database: psycopg.Connection, campaign_id: int) -> tuple[Any, ...]:
    row = database.execute(
        "SELECT (preflight->>'people')::int, preflight->>'at', check_due_at FROM campaign WHERE id = %s", [campaign_id]
    ).fetchone()
    assert row
    return row


def during(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    """Do something while the rows are looked at, once."""
    look, acts = rendering.sms_text, [act]

    def look_and_act(*args: Any) -> str:
        if acts:
            acts.pop()()
        return look(*args)

    monkeypatch.setattr(rendering, "sms_text", look_and_act)


def check_row_by_row(draft: tuple[int, int]) -> None:
    """Do the check, and ask after each row whether to go on."""
    with tenancy.tenant(draft[0]):
        ordered_checks.run(draft[1], page_rows=1)


def test_it_is_done_once(draft, database):
    campaign_jobs.preflight(*draft)
    found = checked(database, draft[1])
    assert (found[0], found[2]) == (3, None)
    campaign_jobs.preflight(*draft)
    assert checked(database, draft[1]) == found


@pytest.mark.parametrize(
    "spoil",
    ["cancel", "UPDATE campaign SET check_due_at = now() + interval '1 minute'"],
)
def test_what_is_not_due_is_left(draft, database, spoil):
    if spoil == "cancel":
        steps.cancel(draft[1])
    else:
        database.execute(spoil)
    sweep.sweep()
    campaign_jobs.preflight(*draft)
    assert checked(database, draft[1])[0] is None
    assert JOB not in {job for job in queues.JOBS if queues.waiting(job)}


def test_a_list_without_people_is_not_checked(draft, database):
    database.execute("DELETE FROM recipient")
    database.execute("UPDATE campaign SET check_due_at = NULL")
    with tenancy.tenant(draft[0]):
        ordered_checks.order(db.session, draft[1])
        db.session.commit()
    assert checked(database, draft[1])[2] is None


def test_a_lost_job_is_put_back_and_one_at_work_is_not_doubled(app, draft, monkeypatch):
    sweep.sweep()
    assert queues.waiting(JOB) == {draft}
    queues.queue(queues.INTAKE).empty()

    def sweep_beside() -> None:
        with app.app_context():
            sweep.sweep()

    def sweep_meanwhile() -> None:
        with ThreadPoolExecutor(1) as beside:
            beside.submit(sweep_beside).result()

    during(monkeypatch, sweep_meanwhile)
    campaign_jobs.preflight(*draft)
    assert queues.waiting(JOB) == set()


def test_a_dead_workers_check_is_due_again(draft, database, monkeypatch):
    def die(*_args: Any) -> str:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(rendering, "sms_text", die)
        with pytest.raises(MemoryError):
            campaign_jobs.preflight(*draft)
    db.session.rollback()
    database.execute("UPDATE campaign SET check_due_at = check_due_at - interval '121 seconds'")
    sweep.sweep()
    assert queues.waiting(JOB) == {draft}
    campaign_jobs.preflight(*draft)
    assert checked(database, draft[1])[0] == 3


def test_a_list_that_comes_meanwhile_stops_it_and_has_its_own(draft, database, monkeypatch):
    during(monkeypatch, lambda: database.execute("UPDATE campaign SET check_due_at = now(), revision = revision + 1"))
    check_row_by_row(draft)
    people_checked, _, due = checked(database, draft[1])
    assert people_checked is None
    assert due is not None
    campaign_jobs.preflight(*draft)
    assert checked(database, draft[1])[0] == 3


def test_words_that_change_meanwhile_have_it_done_once_more(draft, database, monkeypatch):
    during(monkeypatch, lambda: database.execute("UPDATE campaign SET page_title = '別の題名'"))
    campaign_jobs.preflight(*draft)
    assert checked(database, draft[1])[0] is None
    assert queues.waiting(JOB) == {draft}
    campaign_jobs.preflight(*draft)
    found = checked(database, draft[1])
    assert (found[0], found[2]) == (3, None)
    with tenancy.tenant(draft[0]):
        assert preflight_result.current(db.session.get_one(Campaign, draft[1]))


def test_who_presses_the_button_meanwhile_is_served(draft, database, monkeypatch):
    def press() -> None:
        database.execute('UPDATE campaign SET check_due_at = NULL, preflight = \'{"people": 3, "at": "now"}\'')

    during(monkeypatch, press)
    check_row_by_row(draft)
    assert checked(database, draft[1]) == (3, "now", None)
