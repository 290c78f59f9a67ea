"""Whoever writes several rows of a kind in one transaction locks them in the order of their ids, wherever they lie.

Two that lock the same rows in two orders wait for each other. Here the first row lies last on its page and somebody
holds it: whoever waits for it must hold none that comes after it.
"""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import event

from app import tenancy
from app.campaigns import lifecycle
from app.config import Settings
from app.delivery import circuit_breaker, daily_cap
from app.extensions import db
from app.models import SmsAccount
from app.outcomes import unknown
from app.outcomes.question_round import Open
from app.restore import missed_recipients
from app.values.japan_time import TOKYO
from sandbox.harness import Sandbox
from tests import factories, steps
from tests.launched import Job
from tests.waiting import until

Launched = Callable[..., Job]
_LONGEST_WAIT_S = 10.0


@pytest.fixture
def by_place(app: Flask) -> Iterator[None]:
    """Let the product's statements read rows as they lie, as the planner may at any time: no index orders them."""

    def switch(word: str, raw: Any) -> None:
        for way in ("indexscan", "bitmapscan", "indexonlyscan", "nestloop", "mergejoin"):
            raw.execute(f"SET enable_{way} = {word}")
        raw.commit()

    def taken(raw: Any, *_: object) -> None:
        switch("off", raw)

    def given_back(raw: Any, *_: object) -> None:
        switch("on", raw)

    with app.app_context():
        pool = db.engine
    event.listen(pool, "checkout", taken)
    event.listen(pool, "checkin", given_back)
    yield
    event.remove(pool, "checkout", taken)
    event.remove(pool, "checkin", given_back)


@pytest.fixture
def in_order(app: Flask, settings: Settings, database: psycopg.Connection, by_place: None) -> Callable[..., None]:
    """Return whether an act that waits for a row (`first`) leaves one that comes after it (`second`) free meanwhile."""

    def check(table: str, first: str, second: str, act: Callable[[], object], *, waits: bool = True) -> None:
        database.execute(f"UPDATE {table} SET tenant_id = tenant_id WHERE {first}")  # noqa: S608 - now it lies last
        done = threading.Event()

        def run() -> None:
            with app.app_context():
                act()
            done.set()

        url = settings.database_url.replace("+psycopg", "", 1)
        thread = threading.Thread(target=run)
        try:
            with psycopg.connect(url) as holder, psycopg.connect(url) as looker:
                for connection in (holder, looker):
                    connection.execute("SELECT set_config('app.platform', 'on', false)")
                    connection.commit()
                assert holder.execute(f"SELECT FROM {table} WHERE {first} FOR NO KEY UPDATE").rowcount == 1
                thread.start()
                until(lambda: done.is_set() or _waits(database))
                assert done.is_set() is not waits
                free = looker.execute(f"SELECT FROM {table} WHERE {second} FOR NO KEY UPDATE SKIP LOCKED")
                assert free.rowcount == 1
                looker.rollback()
                holder.rollback()
        finally:
            thread.join(_LONGEST_WAIT_S)
        assert done.is_set()

    return check


def _waits(database: psycopg.Connection) -> bool:
    row = database.execute(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"
    ).fetchone()
    return bool(row and row[0])


@pytest.fixture
def job(launched: Launched, sandbox: Sandbox) -> Job:
    """Ten people in two slices, of whom nobody was sent to yet."""
    return launched(10, slice_rows=5)


def within(job: Job, act: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        with tenancy.tenant(job.tenant_id):
            act()

    return run


def slices(job: Job) -> tuple[str, str]:
    return f"id = {job.slices[0]}", f"id = {job.slices[1]}"


def test_giving_a_campaign_up(job: Job, in_order: Callable[..., None]) -> None:
    user_id = factories.user(job.tenant_id, "manager")
    in_order("slice", *slices(job), within(job, partial(lifecycle.cancel, job.campaign_id, user_id=user_id)))
    assert job.state() == "cancelled"


def test_letting_an_account_be_used_again(job: Job, in_order: Callable[..., None]) -> None:
    job.change("UPDATE slice SET due_at = now() + interval '1 hour'")

    def close() -> None:
        circuit_breaker.close(db.session.get_one(SmsAccount, job.account_id))
        db.session.commit()

    in_order("slice", *slices(job), within(job, close))
    assert job.rows("SELECT FROM slice WHERE campaign_id = %s AND due_at > now()") == []


def test_releasing_what_was_held_since_a_restore(job: Job, in_order: Callable[..., None]) -> None:
    user_id = factories.user(job.tenant_id, "manager")
    steps.call_off(*job.ids(), code="restored")
    job.change("UPDATE campaign SET restore_hold = 'sms:1:no_list'")
    job.change("UPDATE slice SET due_at = now() + interval '1 hour'")
    in_order(
        "slice",
        *slices(job),
        within(job, partial(missed_recipients.release, job.campaign_id, user_id=user_id, reason="x")),
    )
    assert job.states() == {"queued": 10}


def test_looking_after_stalled_campaigns_holds_one_at_a_time(job: Job, in_order: Callable[..., None]) -> None:
    """Two were completed while people of theirs wait again."""
    other = factories.campaign(job.tenant_id, sms_account_id=job.account_id)
    factories.people(job.tenant_id, other, 3)
    factories.launch(job.tenant_id, other)
    steps.complete(job.campaign_id, other)
    act = within(job, unknown.reconcile)
    in_order("campaign", f"id = {job.campaign_id}", f"id = {other}", act)
    assert job.state() == "sending"
    assert job.rows("SELECT state FROM campaign WHERE id <> %s") == [{"state": "sending"}]


def test_looking_at_all_slices_of_a_stalled_campaign(job: Job, in_order: Callable[..., None]) -> None:
    job.change("UPDATE slice SET due_at = NULL, check_at = NULL")
    in_order("slice", *slices(job), within(job, unknown.reconcile))


def test_claiming_questions_waits_for_nobody(job: Job, in_order: Callable[..., None], sandbox: Sandbox) -> None:
    """A receipt writes the rows of the same attempts, people by people: what it holds is asked about another time."""
    job.send()
    now = datetime.now(UTC)
    first, second = job.people[0].id, job.people[9].id
    chunk = [
        Open(
            recipient_id=one,
            attempt=1,
            references={},
            since=now,
            settled_at=now,
            contract_id=None,
            identity=None,
            asked_at=None,
            absent_at=None,
            for_a_person=False,
        )
        for one in (second, first)
    ]
    claimed: list[int] = []

    def claim() -> None:
        claimed.extend(item.recipient_id for item in unknown._claim(chunk)[0])

    in_order("send_log", f"recipient_id = {first}", f"recipient_id = {second}", within(job, claim), waits=False)
    assert claimed == [second]


@pytest.mark.usefixtures("one_day")
def test_giving_back_what_did_not_leave_on_two_days(job: Job, in_order: Callable[..., None]) -> None:
    job.send()
    today = datetime.now(UTC).astimezone(TOKYO).date()
    days = today - timedelta(days=1), today
    for day in days:
        job.change(
            "INSERT INTO sending_day (tenant_id, day, messages) VALUES (%s, %s, 5)"
            " ON CONFLICT (tenant_id, day) DO UPDATE SET messages = 5",
            job.tenant_id,
            day,
        )
    first, second = job.people[0].id, job.people[9].id
    job.change("UPDATE send_log SET started_at = started_at - interval '1 day' WHERE recipient_id = %s", first)

    def give_back() -> None:
        with tenancy.transaction() as connection:
            daily_cap.give_back(connection, job.tenant_id, [(second, 1), (first, 1)])

    in_order("sending_day", f"day = '{days[0]}'", f"day = '{days[1]}'", within(job, give_back))
    assert [row[0] for row in job.database.execute("SELECT messages FROM sending_day ORDER BY day")] == [4, 4]
