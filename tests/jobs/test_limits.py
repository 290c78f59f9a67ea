"""Several workers as processes keep the limits that count for all of them together, seen at the carrier."""

import time
from collections.abc import Callable
from datetime import datetime

import pytest

from app import queues
from sandbox.harness import Sandbox
from tests.jobs.conftest import Program
from tests.launched import Job
from tests.waiting import until

Start = Callable[..., Program]
Launched = Callable[..., Job]

SEND = "jobs.delivery.send"


def arrivals(sandbox: Sandbox) -> list[float]:
    return sorted(datetime.fromisoformat(row["at"]).timestamp() for row in sandbox.ledger("karaden"))


def most_within_a_second(times: list[float]) -> int:
    """Count the most times within any second, wherever it begins."""
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most


def four_workers(start: Start, redis_ready: Callable[[], int]) -> None:
    """Start four workers, all of them with something to do from the first moment on."""
    for _ in range(4):
        start("worker", "delivery", SEND_CONNECTIONS="50")
    until(lambda: redis_ready() >= 4)
    for _ in range(4):
        queues.enqueue(SEND)


@pytest.fixture
def workers(start: Start, redis: object) -> Callable[[], None]:
    return lambda: four_workers(start, lambda: int(redis.scard("rq:workers")))  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "latency_ms"), [(7, 0), (50, 0), (50, 300), (400, 20)])
def test_four_processes_never_pass_an_accounts_rate_in_any_second(
    launched: Launched, workers: Callable[[], None], sandbox: Sandbox, rate: int, latency_ms: int
) -> None:
    job = launched(20 * rate, slice_rows=max(1, 2 * rate))
    job.change("UPDATE sms_account SET rate_per_s = %s WHERE id = %s", rate, job.account_id)
    sandbox.faults(latency_ms=latency_ms, jitter_ms=latency_ms)
    workers()
    time.sleep(12)
    times = arrivals(sandbox)
    assert most_within_a_second(times) <= rate
    span = times[-1] - times[0]
    assert len(times) / span > rate / 2, "slower than it may be, but not by much"
    fences = job.rows("SELECT count(*) AS n FROM slice WHERE campaign_id = %s AND fence > 0")[0]["n"]
    assert fences > 1
    messages = sandbox.messages()  # the workers go on meanwhile
    assert len({message["to"] for message in messages}) == len(messages) >= len(times)


@pytest.mark.usefixtures("one_day")
@pytest.mark.slow
def test_four_processes_never_pass_a_companys_daily_cap(
    launched: Launched, workers: Callable[[], None], sandbox: Sandbox
) -> None:
    job = launched(600, slice_rows=20)
    job.change("UPDATE tenant SET daily_cap = 333 WHERE id = %s", job.tenant_id)
    sandbox.faults(latency_ms=20, too_many_requests={"rate": 0.1}, seed=1)
    workers()
    until(lambda: len(sandbox.messages()) >= 333)
    time.sleep(1)
    assert len(sandbox.messages()) == 333
    states = job.states()
    assert states["accepted"] == 333
    assert states["queued"] == 267
    waiting = job.rows("SELECT count(*) AS n FROM slice WHERE campaign_id = %s AND due_at > now()")[0]["n"]
    assert waiting > 0
    counted = job.rows("SELECT messages FROM sending_day WHERE %s > 0")
    assert [row["messages"] for row in counted] == [333]
