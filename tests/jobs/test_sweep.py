"""The sweep finds everything that is due and puts each thing on its queue once."""

from collections.abc import Callable

import psycopg
import pytest
from flask import Flask

from app import queues
from jobs import sweep
from tests import factories, steps
from tests.launched import Job

Launched = Callable[..., Job]

SEND = "jobs.delivery.send"
RECONCILE = "jobs.outcomes.reconcile"


def waiting() -> dict[str, set[tuple[int, ...]]]:
    return {job: ids for job in queues.JOBS if (ids := queues.waiting(job))}


def test_due_slices_are_put_back_once(launched: Launched) -> None:
    launched(30, slice_rows=10)
    sweep.sweep()
    sweep.sweep()
    assert waiting() == {SEND: {()}}
    assert queues.queue(queues.DELIVERY).count == 1, "one job wakes a worker, and that one the next"


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE slice SET due_at = now() + interval '1 hour'",
        "UPDATE slice SET leased_until = now() + interval '1 minute'",
        lambda job: steps.pause(job.campaign_id),
        lambda job: steps.suspend(job.tenant_id),
    ],
)
def test_what_is_not_due_is_left_alone(launched: Launched, spoil: str | Callable[[Job], None]) -> None:
    job = launched(10)
    if isinstance(spoil, str):
        job.change(spoil)
    else:
        spoil(job)
    sweep.sweep()
    assert waiting() == {}


def test_a_dead_workers_slice_is_due_for_both(launched: Launched) -> None:
    job = launched(10)
    job.change("UPDATE slice SET leased_until = now() - interval '1 second', check_at = now()")
    sweep.sweep()
    assert waiting() == {SEND: {()}, RECONCILE: {(job.tenant_id,)}}


def test_a_campaign_that_stands_still_is_looked_at(launched: Launched) -> None:
    job = launched(10)
    job.change("UPDATE slice SET due_at = NULL")
    sweep.sweep()
    assert waiting() == {RECONCILE: {(job.tenant_id,)}}


def test_receipts_imports_and_payments_are_found(app: Flask, launched: Launched, database: psycopg.Connection) -> None:
    job = launched(3)
    job.change("UPDATE slice SET due_at = NULL")
    steps.complete(job.campaign_id)
    payment_account = factories.payment_account(job.tenant_id)
    values = {"t": job.tenant_id, "c": job.campaign_id, "a": job.account_id, "p": payment_account}
    statements = [
        "INSERT INTO receipt (tenant_id, sms_account_id, digest, body_sealed) VALUES (%(t)s, %(a)s, '\\x00', '\\x00')",
        """INSERT INTO import (tenant_id, campaign_id, state, filename, content_digest, beat_at) VALUES
           (%(t)s, %(c)s, 'queued', 'a', '\\x00', NULL),
           (%(t)s, %(c)s, 'running', 'b', '\\x00', now() - interval '10 minutes'),
           (%(t)s, %(c)s, 'running', 'c', '\\x00', now()),
           (%(t)s, %(c)s, 'done', 'd', '\\x00', NULL)""",
    ]
    for statement in statements:
        database.execute(statement, values)
    for person, state, due in zip(
        job.people, ("started", "pending", "paid"), ("-1 minute", "1 minute", "-1 day"), strict=True
    ):
        database.execute(
            "INSERT INTO payment (tenant_id, campaign_id, recipient_id, payment_account_id, attempt, reference,"
            " state, amount_yen, ask_at)"
            " VALUES (%s, %s, %s, %s, 1, %s, %s, 100, now() - CAST(%s AS interval))",
            [job.tenant_id, job.campaign_id, person.id, payment_account, person.reference, state, due],
        )
    sweep.sweep()
    imports = database.execute("SELECT id FROM import WHERE filename IN ('a', 'b')").fetchall()
    assert waiting() == {
        "jobs.outcomes.apply_receipts": {(job.tenant_id,)},
        "jobs.payments.ask": {(job.tenant_id,)},
        "jobs.payments.reconcile_day": {(job.tenant_id,)},
        "jobs.intake.run_import": {(job.tenant_id, row[0]) for row in imports},
    }
    assert len(imports) == 2


def test_what_cannot_wait_for_a_sweep_is_seen_by_the_watch(launched: Launched) -> None:
    job = launched(10)
    sweep.watch()
    sweep.watch()
    assert waiting() == {SEND: {()}}
    job.change("UPDATE slice SET check_at = now(), due_at = NULL")
    sweep.watch()
    sweep.watch()
    assert waiting() == {SEND: {()}, RECONCILE: {(job.tenant_id,)}}
    assert queues.queue(queues.TRACKING).count == 1
