"""An account's rate is never exceeded: seen where it counts, at the carrier, by the time of arrival."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import redis as redis_package
from flask import Flask, current_app

from app import tenancy
from app.delivery import dispatch, leases, send_context, shutdown, slice_run
from app.delivery.rate_limit import Pace, Permit
from app.extensions import redis_client
from sandbox.harness import Sandbox
from tests.launched import Job, meanwhile
from tests.waiting import until

Launched = Callable[..., Job]
Tuned = Callable[..., None]


def most_in_a_second(times: list[float]) -> int:
    """Count the most times within any window of a second."""
    ordered = sorted(times)
    most = first = 0
    for last, at in enumerate(ordered):
        while at - ordered[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most


def warm(account_id: int) -> None:
    """Let an account have been counted for long."""
    redis_client.connection.set(f"todoke:pace:{account_id}:since", 0)


def work(app: Flask, ends: float) -> None:
    with app.app_context():
        while time.monotonic() < ends:
            if not dispatch.take():
                time.sleep(0.02)


@pytest.mark.parametrize(
    ("rate", "latency_ms", "jitter_ms"), [(20, 0, 700), pytest.param(40, 100, 200, marks=pytest.mark.slow)]
)
def test_four_workers_never_exceed_the_rate(
    launched: Launched,
    sandbox: Sandbox,
    tuned: Tuned,
    rate: int,
    latency_ms: int,
    jitter_ms: int,
) -> None:
    """`jitter_ms`: how much closer together they may come; a busy machine heaps up more than a network does."""
    tuned(send_connections=8, rate_jitter_ms=jitter_ms)
    job = launched(400, slice_rows=25)
    job.change("UPDATE sms_account SET rate_per_s = %s WHERE id = %s", rate, job.account_id)
    warm(job.account_id)
    sandbox.faults(latency_ms=latency_ms)
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    workers = [threading.Thread(target=work, args=(app, time.monotonic() + 4)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    times = [datetime.fromisoformat(row["at"]).timestamp() for row in sandbox.ledger("karaden")]
    assert most_in_a_second(times) <= rate
    assert len(times) >= rate, "slower than it may be, but not by much"
    assert len({message["to"] for message in sandbox.messages()}) == len(times)


def test_another_company_does_not_wait_for_a_slow_account(launched: Launched, sandbox: Sandbox) -> None:
    slow = launched(50)
    slow.change("UPDATE sms_account SET rate_per_s = 1 WHERE id = %s", slow.account_id)
    dispatch.take()
    quick = launched(10)
    began = time.monotonic()
    while quick.states() != {"accepted": 10}:
        assert dispatch.take()
    assert time.monotonic() - began < 10
    assert slow.states()["queued"] > 40
    assert sum(slow.attempts().values()) == len(sandbox.messages()) - 10, "nobody was claimed in vain"


def test_permits_that_are_given_back_are_had_again(app: Flask) -> None:
    warm(7)
    pace = Pace(7, 12)
    permits = [pace.take() for _ in range(4)]
    assert [permit is not None for permit in permits] == [True, True, True, False]
    for permit in permits[:2]:
        assert isinstance(permit, Permit)
        pace.give_back(permit)
    pace.close()
    other = Pace(7, 12)
    assert [other.take() is not None for _ in range(3)] == [True, True, False]


def test_permits_are_spread_over_the_second(app: Flask) -> None:
    """A full burst at once would be two within a second at the carrier if the first met a delay."""
    warm(7)
    pace = Pace(7, 40)
    taken: list[tuple[float, float]] = []  # it left between these two
    began = time.monotonic()
    while (at := time.monotonic() - began) < 2.4:
        permit = pace.take()
        if permit is None:
            time.sleep(0.002)
        elif pace.leaves(permit):
            taken.append((at, time.monotonic() - began))
    assert sum(latest < 0.29 for _, latest in taken) <= 10
    assert most_in_a_second([earliest for earliest, _ in taken]) <= 40
    assert len(taken) > 40, "and it is not much slower for that"


def test_a_permit_of_a_worker_that_died_counts_until_it_cannot_be_used_any_more(app: Flask) -> None:
    warm(7)
    dead = Pace(7, 1)
    assert dead.take() is not None
    began = time.monotonic()
    other = Pace(7, 1)
    until(lambda: other.take() is not None)
    assert time.monotonic() - began >= 3


def test_a_permit_is_not_used_late(app: Flask) -> None:
    pace = Pace(7, 1)
    assert not pace.leaves(Permit("late", time.monotonic() - 0.001))


def test_an_emptied_redis_does_not_open_the_gates(app: Flask, redis: redis_package.Redis) -> None:
    warm(7)
    pace = Pace(7, 5)
    assert pace.take() is not None
    redis.flushall()
    assert Pace(7, 5).take() is None
    time.sleep(1.25)
    assert Pace(7, 5).take() is not None


def test_without_redis_nothing_leaves(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(5)
    job.change("UPDATE sms_account SET rate_per_s = 100 WHERE id = %s", job.account_id)
    redis_client.bind("redis://127.0.0.1:9/0")
    with meanwhile(shutdown.ask, when=lambda: job.states() == {"sending": 5}):
        dispatch.take()
    shutdown.forget()
    assert sandbox.ledger("karaden") == []
    assert job.states() == {"queued": 5}
    assert job.slice()["leased_until"] is None


def test_who_got_no_permit_for_a_pause_does_not_leave_when_it_ends(launched: Launched) -> None:
    job = launched(1)
    job.change("UPDATE sms_account SET rate_per_s = 100 WHERE id = %s", job.account_id)
    with tenancy.platform():
        lease = leases.take_next()
    assert lease is not None
    with tenancy.tenant(job.tenant_id):
        route = send_context.route(job.campaign_id)
        taken = slice_run.SliceRun(lease, route, datetime.now(UTC) + timedelta(hours=1), lambda: False)
        taken.read()
        [claim] = taken.batch
        lease.may_send = False
        assert taken.permitted(claim), "there is nothing to wait for"
        lease.may_send = True
        assert [taken.may_connect(), taken.may_send(claim)] == [True, False]
        taken.skipped(claim)
        taken.close()
    assert job.states() == {"queued": 1}
