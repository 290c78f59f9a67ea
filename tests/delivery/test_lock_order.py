"""All that writes about one company's people, run against each other: nobody waits in a ring.

`app.states.locks` has the order in which rows are locked. PostgreSQL ends one of those that wait in a ring after a
second, so a deadlock here is one in production.
"""

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
from flask import Flask
from sqlalchemy.exc import DBAPIError

from app import tenancy
from app.campaigns import lifecycle
from app.delivery import dispatch, resend
from app.delivery.held_selection import Chosen
from app.delivery.send_log import AttemptReport
from app.identity.revoke import revoke
from app.identity.unlock import unlock
from app.outcomes import apply_reports, manual_decisions
from app.outcomes.manual_decisions import Verdict
from app.problems import Refused
from app.providers.sms.base import Report, ReportState
from jobs import campaigns, delivery, outcomes
from sandbox.harness import Sandbox
from tests import factories
from tests.launched import Job, received

_FOR_S = 6.0
_DEADLOCK = "40P01"


class Crowd:
    """Everybody who writes about the people of one campaign."""

    def __init__(self, job: Job, app: Flask) -> None:
        self.deadlocks: list[str] = []
        self.done: Counter[str] = Counter()
        self._job, self._app = job, app
        self._user_id = factories.user(job.tenant_id, "manager")
        self._ends = time.monotonic() + _FOR_S

    def serve(self) -> None:
        dispatch.serve()

    def press(self) -> None:
        self._app.test_client().post(f"/{self._somebody().token}")

    def jobs(self) -> None:
        job = self._job
        outcomes.reconcile(job.tenant_id)
        outcomes.poll(job.tenant_id)
        delivery.expire_links(job.tenant_id)
        campaigns.run_bulk_operation(job.tenant_id, job.campaign_id)

    def receipts(self) -> None:
        state, now = random.choice([ReportState.DELIVERED, ReportState.UNDELIVERED]), datetime.now(UTC)
        report = Report("m", state, code="unconnected")
        told = [AttemptReport(one.id, 1, report, now) for one in random.sample(self._job.people, 40)]
        with tenancy.tenant(self._job.tenant_id), tenancy.transaction() as connection:
            apply_reports.apply(connection, told)

    def staff(self) -> None:
        with tenancy.tenant(self._job.tenant_id):
            lifecycle.pause(self._job.campaign_id, user_id=self._user_id)
            lifecycle.resume(self._job.campaign_id, user_id=self._user_id)
            with contextlib.suppress(Refused):
                resend.resend(self._job.campaign_id, user_id=self._user_id)

    def decisions(self) -> None:
        """Decide about whoever is held, all of a reason at once, against the order of those who send."""
        chosen = Chosen(datetime.now(UTC))
        with tenancy.tenant(self._job.tenant_id):
            for verdict in (Verdict.AGAIN, Verdict.SENT, Verdict.SKIP):
                manual_decisions.decide(self._job.campaign_id, verdict, chosen, user_id=self._user_id)

    def one_by_one(self) -> None:
        with tenancy.tenant(self._job.tenant_id):
            for act in (revoke, unlock):
                act(self._somebody().id, actor=f"user:{self._user_id}", at=datetime.now(UTC))

    def _somebody(self) -> factories.Person:
        return random.choice(self._job.people)

    def again_and_again(self, act: Callable[[], None]) -> None:
        while time.monotonic() < self._ends:
            try:
                with self._app.app_context():
                    act()
                self.done[act.__name__] += 1
            except DBAPIError as fault:
                if getattr(fault.orig, "sqlstate", "") == _DEADLOCK:
                    self.deadlocks.append(f"{act.__name__}: {fault.orig}")


def test_all_that_writes_about_the_same_people_locks_in_one_order(
    launched: Callable[..., Job], sandbox: Sandbox, tuned: Callable[..., None], app: Flask, database: psycopg.Connection
) -> None:
    tuned(
        send_connections=16,
        batch_rows=30,
        send_timeout_s=5,
        lease_s=10,
        unknown_settle_s=1,
        gateway_settle_s=1,
        held_after_s=1,
    )
    sandbox.faults(error_before={"rate": 0.1}, error_after={"rate": 0.1}, latency_ms=20)
    job = launched(900, slice_rows=150)
    before = deadlocks(database)
    crowd = Crowd(job, app)
    acts = [crowd.serve, crowd.receipts, crowd.jobs, crowd.staff, crowd.decisions, crowd.one_by_one, crowd.press]
    twice = [crowd.serve, crowd.receipts]
    threads = [threading.Thread(target=crowd.again_and_again, args=(act,)) for act in (*acts, *twice)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    time.sleep(1.5)  # what PostgreSQL counts it tells a moment later
    assert not crowd.deadlocks
    assert deadlocks(database) == before, "one was seen, and its transaction done again"
    assert set(crowd.done) == {act.__name__ for act in acts}, "each came to its end at least once"
    assert received(sandbox)


def deadlocks(database: psycopg.Connection) -> int:
    row = database.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])
