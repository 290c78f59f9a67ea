"""Receipts, in whatever order, number and form they come, leave the one right state and one event per step."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from app import queues
from app.delivery import receipts
from app.extensions import vault
from app.sms import PROVIDERS
from jobs import delivery, tracking
from sandbox.harness import Sandbox
from tests import factories
from tests.launched import Job

Launched = Callable[..., Job]


class Door:
    """The product's web server, live, and what the carrier was answered."""

    def __init__(self, app: Flask) -> None:
        self.answers: list[str] = []
        self.after: Callable[[], None] = lambda: None
        self._app = app
        self._server = make_server("127.0.0.1", 0, self._call, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def _call(self, environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        def told(status: str, *more: Any) -> Any:
            self.answers.append(status)
            return start(status, *more)

        answer = self._app.wsgi_app(environ, told)
        self.after()
        return answer

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait(self, count: int) -> None:
        deadline = time.monotonic() + 30
        while len(self.answers) < count:
            assert time.monotonic() < deadline, f"{len(self.answers)} of {count} receipts came"
            time.sleep(0.01)


@pytest.fixture
def door(app: Flask) -> Iterator[Door]:
    opened = Door(app)
    yield opened
    opened.close()


@pytest.fixture
def pushed(launched: Launched, sandbox: Sandbox, door: Door) -> Callable[..., Job]:
    """Launch a campaign whose receipts are pushed to the product."""

    def make(count: int, **more: Any) -> Job:
        job = launched(count, **more)
        url = f"{door.url}/callbacks/sms/{job.account_id}/{vault.receipt_key(job.account_id)}"
        sandbox.addresses(karaden_receipts={"*": url})
        return job

    return make


def apply(job: Job) -> None:
    tracking.apply_receipts(job.tenant_id)


def waiting(job: Job) -> int:
    return len(job.rows("SELECT 1 FROM receipt WHERE applied_at IS NULL AND %s > 0"))


ENDS = ["+819012340000", "+819012340001", "+819012340003", "+819012341234", "+817012351234"]


def test_receipts_bring_everyone_to_where_the_carrier_says(
    pushed: Callable[..., Job], sandbox: Sandbox, door: Door
) -> None:
    job = pushed(5, phones=ENDS)
    job.send()
    door.wait(5)
    apply(job)
    assert set(door.answers) == {"200 OK"}
    states = [(job.person(person.id)["sms_state"], job.person(person.id)["sms_code"]) for person in job.people]
    assert states == [
        ("undelivered", "error"),
        ("undelivered", "unconnected"),
        ("accepted", "waiting"),  # the carrier can't say: neither arrived nor failed
        ("delivered", "received"),
        ("delivered", "received"),
    ]
    arrived = job.person(job.people[3].id)
    assert arrived["carrier"] in {"docomo", "au", "softbank", "rakuten"}
    assert abs(arrived["delivered_at"] - datetime.now(UTC)) < timedelta(seconds=10)
    log_row = job.rows("SELECT * FROM send_log WHERE campaign_id = %s AND recipient_id = %s", job.people[3].id)[0]
    assert (log_row["state"], log_row["units"], log_row["carrier"]) == ("delivered", 1, arrived["carrier"])
    assert log_row["settled_at"] == arrived["delivered_at"]
    assert waiting(job) == 0
    assert job.events(job.people[3].id) == ["queued", "sending", "accepted", "delivered"]
    assert job.events(job.people[0].id) == ["queued", "sending", "accepted", "undelivered"]
    assert {message["state"] for message in sandbox.messages()} == {"error", "unconnected", "unknown", "received"}


@pytest.mark.parametrize("switch", ["receipts_doubled", "receipts_reversed"])
def test_doubled_and_reversed_receipts_change_nothing_more(
    pushed: Callable[..., Job], sandbox: Sandbox, door: Door, switch: str
) -> None:
    job = pushed(20)
    sandbox.switches(**{switch: True})
    job.send()
    door.wait(40)
    apply(job)
    apply(job)
    assert job.states() == {"delivered": 20}
    assert all(job.events(person.id) == ["queued", "sending", "accepted", "delivered"] for person in job.people)
    assert waiting(job) == 0


def test_receipts_without_end_leave_the_worker_to_others(
    pushed: Callable[..., Job], door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = pushed(5)
    job.send()
    door.wait(5)
    monkeypatch.setattr(receipts, "_BATCH", 2)
    monkeypatch.setattr(receipts, "_SHIFT_S", 0.0)
    tracking.apply_receipts(job.tenant_id)
    assert waiting(job) == 3
    assert queues.waiting("jobs.tracking.apply_receipts") == {(job.tenant_id,)}
    for _ in range(3):
        tracking.apply_receipts(job.tenant_id)
    assert job.states() == {"delivered": 5}


def test_workers_that_apply_the_same_receipts_at_once_make_each_step_once(
    pushed: Callable[..., Job], door: Door, app: Flask
) -> None:
    job = pushed(40)
    job.send()
    door.wait(40)

    def work() -> None:
        with app.app_context():
            apply(job)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert waiting(job) == 0
    assert job.states() == {"delivered": 40}
    assert all(job.events(person.id) == ["queued", "sending", "accepted", "delivered"] for person in job.people)
    assert len(job.rows("SELECT 1 FROM receipt WHERE %s > 0")) == 40


def test_a_receipt_that_comes_before_our_own_answer_counts(
    pushed: Callable[..., Job], sandbox: Sandbox, door: Door, app: Flask
) -> None:
    job = pushed(5)
    sandbox.switches(receipts_early=True)

    def at_once() -> None:
        with app.app_context():
            apply(job)

    door.after = at_once
    job.send()
    assert job.states() == {"delivered": 5}
    assert all(job.events(person.id) == ["queued", "sending", "delivered"] for person in job.people)
    rows = job.rows("SELECT state, provider_id, answered_at FROM send_log WHERE campaign_id = %s")
    assert {row["state"] for row in rows} == {"delivered"}
    assert all(row["provider_id"] and row["answered_at"] for row in rows)
    assert job.state() == "completed"


def test_a_receipt_frees_an_unknown_message(pushed: Callable[..., Job], sandbox: Sandbox, door: Door) -> None:
    job = pushed(5)
    sandbox.switches(reset_after_body=True)
    job.send()
    assert job.states() == {"unknown": 5}
    sandbox.switches()
    door.wait(5)
    apply(job)
    assert job.states() == {"delivered": 5}
    delivery.reconcile(job.tenant_id)
    assert job.state() == "completed"


def test_a_receipt_waits_while_the_carrier_gives_no_detail(
    pushed: Callable[..., Job], sandbox: Sandbox, door: Door
) -> None:
    job = pushed(3)
    sandbox.switches(error_before={"on": "karaden.detail"})
    job.send()
    door.wait(3)
    apply(job)
    assert job.states() == {"accepted": 3}
    assert waiting(job) == 3
    sandbox.switches()
    apply(job)
    assert job.states() == {"delivered": 3}


def test_a_receipt_nobody_can_explain_is_put_aside_after_a_day(
    pushed: Callable[..., Job], sandbox: Sandbox, door: Door
) -> None:
    job = pushed(1)
    job.send()
    door.wait(1)
    sandbox.reset()  # the carrier has forgotten it
    apply(job)
    assert waiting(job) == 1
    job.change("UPDATE receipt SET received_at = received_at - interval '25 hours'")
    apply(job)
    assert waiting(job) == 0
    assert job.rows("SELECT outcome FROM receipt WHERE %s > 0") == [
        {"outcome": "the provider gives no answer about it"}
    ]
    assert job.states() == {"accepted": 1}


@pytest.mark.parametrize(
    "body", [b"", b"\x00\xff", b"[]", b"{}", b"null", b'{"object": "message"}', b"[" * 60_000, "ねこ".encode()]
)
def test_garbage_is_kept_and_harms_nobody(launched: Launched, app: Flask, body: bytes) -> None:
    job = launched(1)
    answer = post(app, job, body)
    assert answer == 200
    apply(job)
    assert job.states() == {"queued": 1}
    assert job.rows("SELECT left(outcome, 10) AS outcome FROM receipt WHERE %s > 0") == [{"outcome": "unreadable"}]


def test_a_pushed_lie_changes_nothing(launched: Launched, sandbox: Sandbox, app: Flask) -> None:
    job = launched(1, phones=["+819012340002"])  # the carrier never learns the end of this one
    job.send()
    assert post(app, job, receipt_body(sandbox, "received")) == 200
    apply(job)
    assert job.states() == {"accepted": 1}


def test_a_receipt_for_another_companys_person_changes_nothing(
    launched: Launched, sandbox: Sandbox, app: Flask
) -> None:
    """A signed receipt of one account that names an attempt made through another."""
    job, other = launched(1), launched(1)
    for each in (job, other):
        each.send()
    second = factories.sms_account(job.tenant_id)
    key = other.rows("SELECT key FROM campaign WHERE id = %s")[0]["key"]
    ours = job.rows("SELECT key FROM campaign WHERE id = %s")[0]["key"]
    foreign = message(f"{key}.{other.people[0].id}.1")
    own_but_other_account = message(f"{ours}.{job.people[0].id}.1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(PROVIDERS["karaden"]), "receipts_are_signed", True)
        assert post(app, job, json.dumps(foreign).encode()) == 200
        assert post(app, job, json.dumps(own_but_other_account).encode(), account_id=second) == 200
        apply(job)
        apply(other)
        assert (job.states(), other.states()) == ({"accepted": 1}, {"accepted": 1})
        assert post(app, job, json.dumps(own_but_other_account).encode()) == 200
        apply(job)
    assert job.states() == {"delivered": 1}
    outcomes = {row["outcome"] for row in job.rows("SELECT outcome FROM receipt WHERE %s > 0")}
    assert outcomes == {"no message of ours", "delivered"}
    assert sandbox.summary()["accepted"] == 2


def test_a_time_in_the_future_is_not_believed(launched: Launched, app: Flask) -> None:
    job = launched(1)
    job.send()
    key = job.rows("SELECT key FROM campaign WHERE id = %s")[0]["key"]
    body = message(f"{key}.{job.people[0].id}.1") | {"received_at": "2999-01-01T00:00:00+09:00"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(PROVIDERS["karaden"]), "receipts_are_signed", True)
        post(app, job, json.dumps(body).encode())
        apply(job)
    assert job.person(job.people[0].id)["delivered_at"] <= datetime.now(UTC)


def message(reference: str) -> dict[str, Any]:
    return {
        "object": "message",
        "id": "0b7a2c1e-0000-4000-8000-000000000000",
        "tags": [reference],
        "result": "done",
        "status": "done",
        "sent_result": "received",
        "carrier": "au",
        "charged_count_per_sent": 1,
    }


def receipt_body(sandbox: Sandbox, sent_result: str) -> bytes:
    sent = sandbox.messages()[0]
    return json.dumps(message(sent["tags"][0]) | {"id": sent["id"], "sent_result": sent_result}).encode()


def post(app: Flask, job: Job, body: bytes, *, account_id: int = 0) -> int:
    account_id = account_id or job.account_id
    path = f"/callbacks/sms/{account_id}/{vault.receipt_key(account_id)}"
    return app.test_client().post(path, data=body).status_code
