"""A slice's lease: results are written beside a claim that renews it, and nobody takes it over meanwhile."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text

from app import tenancy
from app.delivery import leases, send_context
from app.delivery.leases import LeaseLost, SliceLease
from app.delivery.slice_run import SliceRun
from tests.launched import Job

Launched = Callable[..., Job]


def leased(job: Job) -> SliceLease:
    with tenancy.platform():
        lease = leases.take_next()
    assert lease is not None
    assert lease.slice_id in job.slices
    return lease


def run_of(lease: SliceLease) -> SliceRun:
    route = send_context.route(lease.campaign_id)
    return SliceRun(lease, route, datetime.now(UTC) + timedelta(hours=1), lambda: False)


def test_results_are_written_while_the_next_are_claimed(launched: Launched, app: Flask) -> None:
    job = launched(1)
    lease = leased(job)

    def write() -> None:
        with app.app_context(), tenancy.tenant(job.tenant_id), leases.sharing(lease) as connection:
            connection.execute(text("SELECT 1"))

    with tenancy.tenant(job.tenant_id), leases.holding(lease), ThreadPoolExecutor(1) as pool:
        pool.submit(write).result(timeout=10)


def test_nobody_takes_over_a_slice_whose_results_are_being_written(
    launched: Launched, app: Flask, database: psycopg.Connection
) -> None:
    job = launched(1)
    lease = leased(job)
    database.execute("UPDATE slice SET leased_until = now() - interval '1 s', due_at = now() WHERE id = %s", job.slices)

    def take() -> SliceLease | None:
        with app.app_context(), tenancy.platform():
            return leases.take_next()

    with tenancy.tenant(job.tenant_id), leases.sharing(lease), ThreadPoolExecutor(1) as pool:
        assert pool.submit(take).result(timeout=10) is None
    taken = take()
    assert taken is not None
    with tenancy.tenant(job.tenant_id), pytest.raises(LeaseLost), leases.sharing(lease):
        pass


def test_a_campaign_that_was_paused_is_heard_of_with_the_results(
    launched: Launched, database: psycopg.Connection
) -> None:
    job = launched(1)
    lease = leased(job)
    database.execute("UPDATE campaign SET checks_stopped_at = now() WHERE id = %s", [job.campaign_id])
    assert lease.may_send
    with tenancy.tenant(job.tenant_id), leases.sharing(lease):
        pass
    assert not lease.may_send


def test_results_renew_a_lease_that_no_claim_renews(launched: Launched, database: psycopg.Connection) -> None:
    job = launched(1)
    lease = leased(job)
    database.execute("UPDATE slice SET leased_until = now() + interval '1 s' WHERE id = %s", job.slices)
    with tenancy.tenant(job.tenant_id):
        run = run_of(lease)
        run.record()
        assert job.slice()["leased_until"] < datetime.now(UTC) + timedelta(seconds=2), "renewed a moment ago"
        lease.renewed -= 1
        run.record()
    assert job.slice()["leased_until"] > datetime.now(UTC) + timedelta(seconds=5)


def test_a_turn_is_not_over_while_its_people_are_claimed(launched: Launched) -> None:
    job = launched(1)
    lease = leased(job)
    with tenancy.tenant(job.tenant_id):
        run = run_of(lease)
        with run.reading_ahead():
            run.fail()
            during = run.is_over
        assert (during, run.is_over) == (False, True)
        run.close(failed=True)
    assert job.states() == {"queued": 1}
