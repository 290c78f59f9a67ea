"""A worker that is frozen in mid-transaction (SIGSTOP) holds nobody up, and sends nothing twice when it goes on."""

import signal
import threading
import time
from collections.abc import Callable

import psutil
from flask import Flask

from app import queues, tenancy
from app.campaigns import lifecycle
from app.delivery import leases
from dev.process import signal_tree
from sandbox.harness import Sandbox
from tests import factories
from tests.jobs.conftest import Program
from tests.launched import Job, received
from tests.waiting import until

Start = Callable[..., Program]
Launched = Callable[..., Job]

_LEASE_S = 5  # of the workers that `start` starts


def frozen(job: Job, start: Start) -> Program:
    """A worker that stands in the middle of the transaction in which it records."""
    delivery = start("worker", "delivery", freezes="recording")
    process = psutil.Process(delivery.process.pid)
    until(lambda: process.status() == psutil.STATUS_STOPPED)
    assert job.states().get("sending")
    return delivery


def test_a_press_and_a_cancel_are_answered_while_a_worker_is_frozen(
    launched: Launched, start: Start, sandbox: Sandbox, app: Flask
) -> None:
    job = launched(200)
    user_id = factories.user(job.tenant_id, "manager")
    queues.enqueue("jobs.delivery.send")
    worker = frozen(job, start)
    began = time.monotonic()
    held = next(person for person in job.people if job.person(person.id)["sms_state"] == "sending")
    assert app.test_client().post(f"/{held.token}").status_code in {303, 503}
    assert time.monotonic() - began < 4, "0.7 s, and the machine is shared; any other limit is 5 s at least"
    pressed: list[bool] = []

    def press() -> None:
        with app.app_context(), tenancy.tenant(job.tenant_id):
            pressed.append(lifecycle.cancel(job.campaign_id, user_id=user_id))

    thread = threading.Thread(target=press)
    thread.start()
    thread.join(10)
    assert pressed == [True]
    time.sleep(_LEASE_S)  # as a request on its way out would be its own yet
    sent = len(sandbox.messages())
    signal_tree(worker.process, signal.SIGCONT)
    assert worker.end() == 0
    assert len(sandbox.messages()) == sent, "it sent nothing more"
    assert set(received(sandbox).values()) == {1}


def test_a_frozen_workers_slice_goes_on_elsewhere(launched: Launched, start: Start, sandbox: Sandbox) -> None:
    job = launched(200)
    queues.enqueue("jobs.delivery.send")
    worker = frozen(job, start)
    began = time.monotonic()
    taken: list[leases.SliceLease] = []

    def take() -> bool:
        with tenancy.platform():
            lease = leases.take_next()
        taken.extend([lease] if lease else [])
        return bool(taken)

    until(take)
    assert time.monotonic() - began < _LEASE_S + 10
    assert "sending" not in job.states(), "what it left open is asked about"
    left = job.states()
    signal_tree(worker.process, signal.SIGCONT)
    assert worker.end() == 0
    assert job.states() == left, "it wrote nothing of what another worker has"
    assert set(received(sandbox).values()) == {1}
