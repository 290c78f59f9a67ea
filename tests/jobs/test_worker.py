"""Workers as processes: what they send, how they end, and what is left when they are killed."""

import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis as redis_package
import time_machine
from flask import Flask
from rq.serializers import JSONSerializer

from app import queues
from app.delivery import shutdown
from app.extensions import redis_client
from bench.fault_injection import POINTS
from dev.process import kill_tree
from dev.valkey import start_valkey
from jobs import worker as jobs_worker
from sandbox.harness import Sandbox
from tests.jobs.conftest import Program
from tests.launched import Job, give_witness_phone, received, requests
from tests.waiting import until

Start = Callable[..., Program]
Launched = Callable[..., Job]

SEND = "jobs.delivery.send"


def enqueue() -> None:
    assert queues.enqueue(SEND)


def done(job: Job) -> Callable[[], bool]:
    return lambda: set(job.states()) <= {"accepted", "delivered"}


def test_a_worker_sends_and_ends_when_asked(launched: Launched, start: Start, sandbox: Sandbox) -> None:
    job = launched(200, slice_rows=50)
    queues.queue(queues.DELIVERY).enqueue(SEND, args=("an", "argument"))  # a job that fails is not the worker's end
    enqueue()
    worker = start("worker", "delivery")
    until(done(job))
    assert worker.end() == 0
    assert "foreign job refused" in worker.told()
    assert received(sandbox).total() == len(received(sandbox)) == 200
    until(lambda: job.state() == "completed")


@pytest.mark.parametrize(("queue", "nice"), [("delivery", 10), ("intake", 10), ("tracking", 0)])
def test_pages_and_receipts_have_the_processor_before_lists_and_sending(start: Start, queue: str, nice: int) -> None:
    worker = psutil.Process(start("worker", queue).process.pid)
    until(lambda: redis_client.connection.scard("rq:workers") > 0)
    assert worker.nice() == min(psutil.Process().nice() + nice, 19)  # the least that there is


def test_a_worker_asked_to_end_in_mid_slice_leaves_the_rest(launched: Launched, start: Start, sandbox: Sandbox) -> None:
    job = launched(1000)
    sandbox.faults(latency_ms=50)
    enqueue()
    worker = start("worker", "delivery")
    until(lambda: requests(sandbox) > 50)
    assert worker.end() == 0
    sent = len(received(sandbox))
    assert sent < 500
    assert job.states() == {"accepted": sent, "queued": 1000 - sent}
    assert job.slice()["leased_until"] is None
    sandbox.faults()
    start("worker", "delivery")  # the first one put the rest back on the queue
    until(done(job))
    assert received(sandbox).total() == len(received(sandbox)) == 1000


def test_workers_killed_at_every_point_of_their_way_cost_no_one_the_sms_and_send_none_twice(
    launched: Launched, start: Start, sandbox: Sandbox
) -> None:
    """The short cut of `make drill`."""
    job = launched(240, slice_rows=10)
    give_witness_phone(job)  # where nothing leaves any more, it shows what never got in
    sandbox.faults(latency_ms={"value": 100, "on": "karaden.create"})
    doomed = [start("worker", "delivery", dies=point) for point in POINTS]
    until(lambda: len(redis_workers()) == len(doomed))
    for _ in doomed:
        enqueue()
    until(lambda: all(worker.process.poll() is not None for worker in doomed))
    assert {worker.process.returncode for worker in doomed} == {-signal.SIGKILL}
    left = job.states()
    assert left["sending"] > 0
    assert left["queued"] > 0
    for arguments in (("worker", "delivery"), ("worker", "tracking"), ("scheduler",)):
        start(*arguments)
    until(lambda: job.state() == "completed")
    assert done(job)()
    assert received(sandbox).total() == len(received(sandbox)) == 240
    assert not job.rows("SELECT 1 FROM send_log WHERE campaign_id = %s AND state IN ('sending', 'unknown')")


def test_a_worker_whose_clock_is_wrong_begins_nothing_more(
    launched: Launched, start: Start, sandbox: Sandbox, redis: redis_package.Redis
) -> None:
    first, second = launched(10), launched(10)
    second.change("UPDATE slice SET due_at = NULL WHERE campaign_id = %s", second.campaign_id)
    enqueue()
    worker = start("worker", "delivery", jumps="recorded")
    until(done(first))
    until(lambda: not redis.zcard("rq:wip:delivery"))  # the job under way may still serve what is due
    second.change("UPDATE slice SET due_at = now() WHERE campaign_id = %s", second.campaign_id)
    enqueue()
    until(lambda: "worker stopped: clock differs" in worker.told())
    assert second.states() == {"queued": 10}
    assert len(received(sandbox)) == 10
    assert worker.end() == 0
    assert second.states() == {"queued": 10}


@pytest.mark.parametrize(("off_s", "wrong"), [(0, False), (3, False), (-3, False), (10, True), (-10, True)])
def test_a_clock_that_is_seconds_off_is_wrong(app: Flask, off_s: int, wrong: bool) -> None:  # noqa: FBT001
    """At 21:00 nobody gets an SMS for it."""
    right = datetime.now(UTC)
    with app.app_context(), time_machine.travel(right + timedelta(seconds=off_s)):
        assert jobs_worker._clock_is_wrong() is wrong


def test_an_emptied_redis_costs_time_alone(
    launched: Launched, start: Start, sandbox: Sandbox, redis: redis_package.Redis
) -> None:
    job = launched(1000, slice_rows=250)
    sandbox.faults(latency_ms=30)
    enqueue()
    start("worker", "delivery")
    until(lambda: requests(sandbox) > 100)
    redis.flushall()
    assert received(sandbox).total() < 1000
    sandbox.faults()
    start("scheduler")
    start("worker", "tracking")
    until(done(job))
    assert received(sandbox).total() == len(received(sandbox)) == 1000


def test_two_workers_share_a_campaign(launched: Launched, start: Start, sandbox: Sandbox) -> None:
    job = launched(1000, slice_rows=100)
    sandbox.faults(latency_ms=20)
    for _ in range(2):
        start("worker", "delivery")
    until(lambda: len(redis_workers()) == 2)
    for _ in range(2):  # each job twice: a second one finds nothing to do
        enqueue()
    until(done(job))
    assert received(sandbox).total() == len(received(sandbox)) == 1000
    until(lambda: queues.queue(queues.DELIVERY).count == 0)


def redis_workers() -> set[Any]:
    return set(redis_client.connection.smembers("rq:workers"))


@pytest.mark.slow
def test_a_worker_outlives_redis(launched: Launched, start: Start, sandbox: Sandbox, tmp_path: Path) -> None:
    job = launched(20)
    valkey = start_valkey(tmp_path / "valkey", password="of-this-test", durable=True)
    try:
        redis_client.bind(valkey.url())
        worker = start("worker", "delivery", REDIS_URL=valkey.url())
        until(lambda: len(redis_workers()) == 1)
        kill_tree(valkey.process)
        until(lambda: "could not connect to Redis" in worker.told())
        valkey = start_valkey(tmp_path / "valkey", password="of-this-test", port=valkey.port, durable=True)
        enqueue()
        until(done(job))
        assert worker.end() == 0
        assert received(sandbox).total() == 20
    finally:
        valkey.stop()


def test_a_worker_that_is_asked_to_stop_begins_no_job_and_leaves_it_to_the_next(
    launched: Launched, sandbox: Sandbox, redis: redis_package.Redis, app: Flask
) -> None:
    """Also while it waits for its clock to be put right."""
    del redis
    job = launched(3)
    enqueue()
    shutdown.ask()
    try:
        burst()
        assert queues.waiting(SEND) == {()}
        assert job.states() == {"queued": 3}
    finally:
        shutdown.forget()
    assert not queues.queue(queues.DELIVERY).intermediate_queue.get_job_ids()
    assert not queues.queue(queues.DELIVERY).started_job_registry.get_job_ids()
    burst()
    assert queues.waiting(SEND) == set()
    assert len(received(sandbox)) == 3


def burst() -> None:
    """Take what waits on the queue, as a worker does."""
    target = queues.queue(queues.DELIVERY)
    worker = jobs_worker.Worker(
        [target], connection=target.connection, serializer=JSONSerializer, job_class=queues.NamedJob
    )
    taken = worker.dequeue_job_and_maintain_ttl(None)
    assert taken is not None
    worker.execute_job(*taken)
