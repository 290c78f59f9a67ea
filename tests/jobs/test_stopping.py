"""Whoever presses pause or cancel in a hurry: what hasn't left stops within two seconds, with a real worker at work."""

import time
from collections.abc import Callable

import pytest

from app import queues, tenancy
from app.campaigns import lifecycle
from sandbox.harness import Sandbox
from tests import factories
from tests.jobs.conftest import Program
from tests.launched import Job, received, requests
from tests.waiting import until

Start = Callable[..., Program]
Launched = Callable[..., Job]

_LIMIT_S = 2.0


@pytest.fixture
def sending(launched: Launched, start: Start, sandbox: Sandbox) -> Job:
    """A campaign of 3,000 in the middle of being sent, some 200 a second."""
    job = launched(3000)
    sandbox.faults(latency_ms=50)
    queues.enqueue("jobs.delivery.send")
    start("worker", "delivery")
    until(lambda: requests(sandbox) > 50)
    return job


def press(job: Job, act: Callable[..., bool]) -> None:
    user_id = factories.user(job.tenant_id)
    with tenancy.tenant(job.tenant_id):
        assert act(job.campaign_id, user_id=user_id)


def count_after_limit(sandbox: Sandbox) -> int:
    """Return how many requests had come when the limit was over; fail if any comes later."""
    time.sleep(_LIMIT_S)
    count = requests(sandbox)
    time.sleep(1)
    assert requests(sandbox) == count
    return count


def test_a_pause_stops_what_has_not_left(sending: Job, sandbox: Sandbox) -> None:
    press(sending, lifecycle.pause)
    sent = count_after_limit(sandbox)
    assert sent < 1500
    until(lambda: sending.states() == {"accepted": sent, "queued": 3000 - sent})
    sandbox.faults()
    press(sending, lifecycle.resume)
    until(lambda: sending.state() == "completed")
    assert set(received(sandbox).values()) == {1}
    assert len(sandbox.messages()) == 3000


def test_a_cancel_stops_what_has_not_left_for_good(sending: Job, sandbox: Sandbox) -> None:
    press(sending, lifecycle.cancel)
    sent = count_after_limit(sandbox)
    assert sent < 1500
    until(lambda: sending.states() == {"accepted": sent, "cancelled": 3000 - sent})
    assert sending.state() == "cancelled"
