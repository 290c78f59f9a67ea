"""A slice that is disturbed while it is sent: by a carrier that fails, by a person, by another worker."""

import json
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import Any, ClassVar
from urllib.parse import parse_qs

import pytest
from flask import current_app

from app import config, tenancy
from app.campaigns import lifecycle
from app.delivery import leases, shutdown
from sandbox.harness import Sandbox
from tests import factories, steps
from tests.addresses import bases
from tests.launched import Job, meanwhile, received, requests

MOST_TURNS = 20

Launched = Callable[..., Job]
Tuned = Callable[..., None]


def send_all(job: Job) -> None:
    """Send turn by turn, as jobs do: on a busy machine one turn's time is over before 1,000 people are sent to."""
    turns = 0
    while "queued" in job.states() and turns < MOST_TURNS:
        job.send()
        turns += 1


def test_a_carrier_that_hangs_does_not_take_the_whole_list_into_the_unknown(
    launched: Launched, sandbox: Sandbox, tuned: Tuned
) -> None:
    tuned(send_connections=30, send_timeout_s=1)
    job = launched(300)
    sandbox.faults(hang=True)
    job.send()
    assert job.states()["unknown"] <= 60
    assert job.states()["queued"] >= 240


@pytest.mark.parametrize("fault", ["error_before", "error_after", "reset_before_body", "reset_after_body", "hang"])
def test_what_may_have_left_is_unknown_and_not_sent_again(
    launched: Launched, sandbox: Sandbox, tuned: Tuned, fault: str
) -> None:
    tuned(send_timeout_s=5)
    job = launched(60)
    sandbox.faults(**{fault: {"next": 12}})
    job.send()
    assert job.states() == {"accepted": 48, "unknown": 12}
    assert sum(n for (state, _), n in job.attempts().items() if state == "unknown") == 12
    sent = received(sandbox)
    assert len(sent) == (48 if fault in {"error_before", "reset_before_body"} else 60)
    sandbox.faults()
    job.send()
    assert received(sandbox) == sent
    assert job.state() == "sending"
    assert job.slice()["due_at"] is None
    assert job.slice()["check_at"] <= datetime.now(UTC)


def test_a_carrier_that_cannot_be_reached_leaves_everybody_waiting(launched: Launched, tuned: Tuned) -> None:
    tuned(api_bases=bases(config.settings(), karaden="http://127.0.0.1:9/karaden/api"))
    job = launched(200)
    job.send()
    assert job.states() == {"queued": 200}
    assert {code for _, code in job.attempts()} <= {"refused", "not_sent"}


def test_a_pause_stops_what_has_not_left_and_loses_nobody(launched: Launched, sandbox: Sandbox, tuned: Tuned) -> None:
    tuned(send_connections=10)
    job = launched(1000)
    sandbox.faults(latency_ms=20)

    app = current_app._get_current_object()  # type: ignore[attr-defined]

    def pause() -> None:
        with app.app_context():
            steps.pause(job.campaign_id)

    with meanwhile(pause, when=lambda: requests(sandbox) > 60):
        job.send()
    early = received(sandbox)
    assert 60 < len(early) < 1000
    assert job.states() == {"accepted": len(early), "queued": 1000 - len(early)}
    assert job.slice()["leased_until"] is None
    sandbox.faults()
    steps.resume(job.campaign_id)
    send_all(job)
    assert job.states() == {"accepted": 1000}
    assert set(received(sandbox).values()) == {1}


def test_a_cancelled_campaign_writes_to_nobody_else(launched: Launched, sandbox: Sandbox, tuned: Tuned) -> None:
    tuned(send_connections=10)
    job = launched(1000)
    user_id = factories.user(job.tenant_id)
    sandbox.faults(latency_ms=20)
    app = current_app._get_current_object()  # type: ignore[attr-defined]

    def cancel() -> None:
        with app.app_context(), tenancy.tenant(job.tenant_id):
            assert lifecycle.cancel(job.campaign_id, user_id=user_id)

    with meanwhile(cancel, when=lambda: requests(sandbox) > 60):
        job.send()
    sent = received(sandbox)
    assert 60 < len(sent) < 1000
    assert job.states() == {"accepted": len(sent), "cancelled": 1000 - len(sent)}
    assert job.slice()["due_at"] is None


def test_a_process_that_is_asked_to_end_leaves_the_rest_as_it_was(
    launched: Launched, sandbox: Sandbox, tuned: Tuned
) -> None:
    tuned(send_connections=10)
    job = launched(1000)
    sandbox.faults(latency_ms=20)
    with meanwhile(shutdown.ask, when=lambda: requests(sandbox) > 60):
        job.send()
    early = len(received(sandbox))
    assert 60 < early < 1000
    assert job.states() == {"accepted": early, "queued": 1000 - early}
    assert job.slice()["leased_until"] is None
    shutdown.forget()
    sandbox.faults()
    send_all(job)
    assert job.states() == {"accepted": 1000}
    assert set(received(sandbox).values()) == {1}


class TimeIsOver(Exception):  # noqa: N818 - it says what happened
    pass


def test_a_job_stopped_by_force_counts_what_was_under_way_as_unknown(
    launched: Launched, sandbox: Sandbox, tuned: Tuned
) -> None:
    tuned(send_connections=10)
    job = launched(300)
    sandbox.faults(hang={"next": 10})

    def over(_number: int, _frame: FrameType | None) -> None:
        raise TimeIsOver

    def ring() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)

    previous = signal.signal(signal.SIGALRM, over)
    try:
        with pytest.raises(TimeIsOver), meanwhile(ring, when=lambda: requests(sandbox) == 10):
            job.send()
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert job.states() == {"unknown": 10, "queued": 290}
    assert job.slice()["leased_until"] is None
    assert len(received(sandbox)) == 10


def test_two_workers_on_one_slice_send_once(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(300)
    app = current_app._get_current_object()  # type: ignore[attr-defined]

    def work() -> None:
        with app.app_context():
            job.send()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert job.states() == {"accepted": 300}
    assert received(sandbox).total() == 300
    assert job.slice()["fence"] == 1


def test_a_lease_that_cannot_be_renewed_stops_the_calls_in_time(
    launched: Launched, sandbox: Sandbox, tuned: Tuned
) -> None:
    tuned(send_connections=5)
    job = launched(400)
    sandbox.faults(latency_ms=30)
    app = current_app._get_current_object()  # type: ignore[attr-defined]

    def take_over() -> None:
        with app.app_context(), tenancy.tenant(job.tenant_id):
            taken = None
            while taken is None or taken.fence == 1:  # the worker may renew in between
                job.change(
                    "UPDATE slice SET leased_until = now() - interval '1 second', check_at = now() WHERE id = %s",
                    job.slices[0],
                )
                taken = leases.to_check()

    with meanwhile(take_over, when=lambda: requests(sandbox) > 40):
        job.send()
    assert requests(sandbox) < 300
    states = job.states()
    assert set(states) == {"accepted", "unknown", "queued"}
    # whoever was under way when the lease was lost is asked about, whatever the late worker learnt
    assert states["unknown"] >= 1
    assert job.slice()["fence"] == 2


class WrongAnswers(BaseHTTPRequestHandler):
    """Answers each request with the message of the first, as a confused proxy on the way might."""

    protocol_version = "HTTP/1.1"
    first: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.first.append(form["tags[]"][0])
        message = {"object": "message", "id": "x", "tags": self.first[:1], "status": "waiting", "sent_result": "none"}
        body = json.dumps(message).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass


def test_an_answer_that_names_another_message_proves_nothing(launched: Launched, tuned: Tuned) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), WrongAnswers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        tuned(api_bases=bases(config.settings(), karaden=address), send_connections=1)
        job = launched(5)
        job.send()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert job.attempts() == {("accepted", "waiting"): 1, ("unknown", "mismatch"): 4}
