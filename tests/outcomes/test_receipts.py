"""Receipts, in whatever order, number and form they come, leave the one right state and one event per step."""

import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from app import queues, tenancy
from app.delivery import send_context
from app.outcomes import provider_queries, receipt_queue, receipts
from jobs import due, outcomes
from sandbox.harness import Sandbox
from tests import factories
from tests.launched import Job
from tests.outcomes.live_door import Door
from tests.providers.rawserver import Peer, RawServer

Launched = Callable[..., Job]


@pytest.fixture
def pushed(launched: Launched, sandbox: Sandbox, door: Door) -> Callable[..., Job]:
    """Launch a campaign whose receipts are pushed to the product."""

    def make(count: int, **more: Any) -> Job:
        job = launched(count, **more)
        url = f"{door.url}{factories.receipt_path(job.account_id)}"
        sandbox.addresses(karaden_receipts={"*": url})
        return job

    return make


def apply(job: Job) -> None:
    outcomes.apply_receipts(job.tenant_id)


def apply_in_batches(job: Job, rows: int, **limits: float) -> None:
    """Apply what waits, so many receipts together."""
    queues.begun("jobs.outcomes.apply_receipts", job.tenant_id)
    with tenancy.tenant(job.tenant_id):
        receipts.apply_waiting(job.tenant_id, batch_rows=rows, **limits)


def time_passes(job: Job) -> None:
    """Let the back-off of every receipt be over."""
    job.change("UPDATE receipt SET try_at = now(), leased_until = NULL WHERE applied_at IS NULL")


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
    sandbox.faults(**{switch: True})
    job.send()
    door.wait(40)
    apply(job)
    apply(job)
    assert job.states() == {"delivered": 20}
    assert all(job.events(person.id) == ["queued", "sending", "accepted", "delivered"] for person in job.people)
    assert waiting(job) == 0


def test_receipts_without_end_leave_the_worker_to_others(pushed: Callable[..., Job], door: Door) -> None:
    job = pushed(5)
    job.send()
    door.wait(5)
    apply_in_batches(job, 2, shift_s=0)
    assert waiting(job) == 3
    assert queues.waiting("jobs.outcomes.apply_receipts") == {(job.tenant_id,)}
    for _ in range(3):
        outcomes.apply_receipts(job.tenant_id)
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
    sandbox.faults(receipts_early=True)

    def at_once() -> None:
        with app.app_context():
            while waiting(job):  # another receipt's worker may have this one in its hands
                apply(job)
                time.sleep(0.01)

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
    sandbox.faults(reset_after_body=True)
    job.send()
    assert job.states() == {"unknown": 5}
    sandbox.faults()
    door.wait(5)
    apply(job)
    assert job.states() == {"delivered": 5}
    outcomes.reconcile(job.tenant_id)
    assert job.state() == "completed"


def test_a_receipt_waits_while_the_carrier_gives_no_detail(
    pushed: Callable[..., Job], sandbox: Sandbox, door: Door
) -> None:
    job = pushed(3)
    sandbox.faults(error_before={"on": "karaden.detail"})
    job.send()
    door.wait(3)
    apply(job)
    assert job.states() == {"accepted": 3}
    assert waiting(job) == 3
    sandbox.faults()
    apply(job)
    assert waiting(job) == 3, "each has its back-off"
    time_passes(job)
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
    time_passes(job)
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
    with app.app_context():
        path = factories.receipt_path(account_id)
    return app.test_client().post(path, data=body).status_code


def keep(job: Job, provider_id: str, *, account_id: int = 0, **changes: Any) -> None:
    """Push a receipt of the campaign's first person."""
    body = message(job.references()[0]) | {"id": provider_id} | changes
    assert factories.keep_receipt(account_id or job.account_id, json.dumps(body).encode())


def asked(sandbox: Sandbox) -> int:
    return sum(1 for row in sandbox.ledger("karaden") if row["call"] == "detail")


def test_two_workers_share_the_receipts_of_a_company(
    pushed: Callable[..., Job], sandbox: Sandbox, door: Door, app: Flask
) -> None:
    """Each message is asked about once, by whoever claimed it; a claim is committed before anybody is asked."""
    job = pushed(40)
    job.send()
    door.wait(40)
    sandbox.faults(latency_ms={"value": 50, "on": "karaden.detail"})
    together = threading.Barrier(3)

    def work() -> None:
        with app.app_context():
            together.wait(30)
            apply_in_batches(job, 5)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert job.states() == {"delivered": 40}
    assert asked(sandbox) == 40


def test_no_transaction_is_open_while_the_carrier_is_asked(
    pushed: Callable[..., Job], door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = pushed(3)
    job.send()
    door.wait(3)
    real = provider_queries.ask
    seen: list[int] = []

    def ask(*arguments: Any, **more: Any) -> Any:
        seen.append(
            len(
                job.rows(
                    "SELECT 1 FROM pg_stat_activity WHERE state LIKE 'idle in transaction%%'"
                    " AND datname = current_database() AND %s > 0"
                )
            )
        )
        return real(*arguments, **more)

    monkeypatch.setattr(provider_queries, "ask", ask)
    apply(job)
    assert job.states() == {"delivered": 3}
    assert seen == [0]


def test_receipts_that_cannot_be_answered_delay_no_other_of_their_account(launched: Launched, sandbox: Sandbox) -> None:
    """Two batches of messages of which the carrier knows nothing, before one that it knows."""
    job = launched(1)
    job.send()
    for _ in range(60):
        keep(job, str(uuid.uuid4()))
    keep(job, sandbox.messages()[0]["id"])
    apply_in_batches(job, 30)
    assert job.states() == {"delivered": 1}
    assert waiting(job) == 60
    before = asked(sandbox)
    apply_in_batches(job, 30)
    assert asked(sandbox) == before == 61, "each of them has its own back-off"


def test_receipts_that_get_no_answer_hold_up_no_other_account(launched: Launched, sandbox: Sandbox) -> None:
    """One company, two contracts; the token of the first was withdrawn, another can't be opened at all."""
    job = launched(1)
    job.send()
    withdrawn, closed = (factories.sms_account(job.tenant_id) for _ in range(2))
    job.change("UPDATE sms_account SET credentials_sealed = NULL WHERE id = %s", closed)
    for number in range(40):
        keep(job, f"x-{number}", account_id=withdrawn, tags=[])
        keep(job, f"x-{number}", account_id=closed, tags=[])
    keep(job, sandbox.messages()[0]["id"])
    with RawServer(*[refused] * 200) as server:
        real = send_context.account

        def account(account_id: int) -> send_context.Account:
            found = real(account_id)
            if account_id != withdrawn:
                return found
            return replace(found, opened=replace(found.opened, base_url=server.url))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(send_context, "account", account)
            for _ in range(3):
                apply(job)
        assert len(server.requests) < 2 * 16, "a refused account is left alone"
    assert job.states() == {"delivered": 1}
    with tenancy.platform():
        wanted = dict(due.urgent())["jobs.outcomes.apply_receipts"]
    assert (job.tenant_id,) not in wanted, "nobody is busy with them"


def test_a_carrier_that_wants_fewer_questions_gets_few_and_loses_none(
    pushed: Callable[..., Job], sandbox: Sandbox, door: Door
) -> None:
    job = pushed(60)
    job.send()
    door.wait(60)
    sandbox.faults(too_many_requests={"on": "karaden.detail"}, retry_after_s=300)
    for _ in range(5):
        apply(job)
    assert asked(sandbox) <= 16
    assert job.rows("SELECT max(tries) AS tries FROM receipt WHERE %s > 0")[0]["tries"] <= 1
    sandbox.faults()
    job.change("UPDATE sms_account SET ask_after = now()")
    time_passes(job)
    apply(job)
    assert job.states() == {"delivered": 60}


def test_many_receipts_of_one_message_are_one_question(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(1)
    job.send()
    provider_id = sandbox.messages()[0]["id"]
    for word in ("none", "unknown", "received"):
        keep(job, provider_id, sent_result=word)
    apply(job)
    assert (job.states(), asked(sandbox), waiting(job)) == ({"delivered": 1}, 1, 0)
    for word in ("none", "received"):  # the carrier tells it once more
        keep(job, provider_id, sent_result=word, updated_at="2026-11-30T12:00:00+09:00")
    apply(job)
    assert (asked(sandbox), waiting(job)) == (1, 0), "nothing overrules what is known"


def test_receipts_of_another_system_in_the_same_contract_ask_nothing(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(1)
    job.send()
    for number in range(50):
        keep(job, str(uuid.uuid4()), tags=[f"order-{number}"])
    apply(job)
    assert (asked(sandbox), waiting(job)) == (0, 0)
    assert {row["outcome"] for row in job.rows("SELECT outcome FROM receipt WHERE %s > 0")} == {"no message of ours"}


def test_a_receipt_that_is_ahead_of_the_carriers_own_answer_is_asked_about_again(
    launched: Launched, sandbox: Sandbox
) -> None:
    """Within a minute, then ever less often; for as long as that lasts it is not lost."""
    job = launched(1, phones=["+819012340002"])  # the carrier's own answer says "processing" until the end of time
    job.send()
    provider_id = sandbox.messages()[0]["id"]
    pauses = []
    for _ in range(5):
        keep(job, provider_id)
        apply(job)
        [row] = job.rows("SELECT applied_at, extract(epoch FROM try_at - now()) AS wait_s FROM receipt WHERE %s > 0")
        assert row["applied_at"] is None
        pauses.append(row["wait_s"])
        time_passes(job)
    assert pauses[0] <= 20
    assert pauses == sorted(pauses)
    assert asked(sandbox) == 5
    job.change("UPDATE receipt SET received_at = received_at - interval '73 hours'")
    apply(job)
    assert waiting(job) == 0, "from here on those are asked about whom nobody told of"
    assert job.states() == {"accepted": 1}


def test_a_receipt_pushed_again_while_it_waits_is_asked_about_at_once(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(1)
    job.send()
    sandbox.faults(error_before={"on": "karaden.detail"})
    keep(job, sandbox.messages()[0]["id"])
    apply(job)
    sandbox.faults()
    keep(job, sandbox.messages()[0]["id"])
    apply(job)
    assert job.states() == {"delivered": 1}


def test_a_worker_that_died_with_receipts_in_its_hands_loses_none(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(1)
    job.send()
    keep(job, sandbox.messages()[0]["id"])
    with tenancy.tenant(job.tenant_id):
        assert len(receipt_queue.claim(job.account_id, tried=False, limit=10)) == 1
    apply(job)
    assert waiting(job) == 1, "somebody else works on it"
    job.change("UPDATE receipt SET leased_until = now() - interval '1 second'")
    apply(job)
    assert job.states() == {"delivered": 1}


def refused(peer: Peer) -> None:
    while peer.read():
        peer.sock.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
