"""Signed receipts are verified at the door and believed: in any order, once each, and nobody else's."""

import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask

from app import tenancy
from app.accounts import seal_credentials
from app.extensions import db, vault
from app.models import SmsAccount
from app.outcomes import pushed_bodies, receipts
from app.providers.sms.base import Pushed
from jobs import outcomes
from sandbox.harness import Sandbox
from sandbox.twilio import signature
from tests import factories
from tests.launched import Job
from tests.outcomes.live_door import Door

Launched = Callable[..., Job]
TOKEN = "twilio-token"


@pytest.fixture
def pushed(launched: Launched, tuned: Callable[..., None], sandbox: Sandbox, door: Door) -> Launched:
    """Launch a campaign through a service that signs its receipts, and pushes them to the product."""
    tuned(public_base_url=door.url)

    def make(count: int, **more: Any) -> Job:
        return launched(count, provider="twilio", **more)

    return make


@pytest.fixture
def job(launched: Launched, sandbox: Sandbox) -> Job:
    """One person, whose SMS was accepted and never told of."""
    made = launched(1, provider="twilio", phones=["+819012340002"])
    made.send()
    assert made.states() == {"accepted": 1}
    return made


def apply(job: Job) -> None:
    outcomes.apply_receipts(job.tenant_id)


def kept(job: Job) -> list[dict[str, Any]]:
    return job.rows("SELECT applied_at IS NOT NULL AS applied, outcome, message_id FROM receipt WHERE %s > 0")


def push(
    app: Flask,
    job: Job,
    *,
    reference: str | None = None,
    status: str = "delivered",
    account_id: int = 0,
    token: str = TOKEN,
    sid: str = "SM" + "0a" * 16,
    **more: Any,
) -> int:
    """Push a callback as the service does; `more` are what a stranger changed on its way."""
    account_id = account_id or job.account_id
    path = factories.receipt_path(account_id)
    query = f"reference={job.references()[0] if reference is None else reference}"
    fields = {"MessageSid": sid, "MessageStatus": status, "AccountSid": "AC"}
    headers = {"X-Twilio-Signature": signature(f"http://localhost{path}?{query}", fields, token)}
    body = urlencode({**fields, **more.get("fields", {})})
    answer = app.test_client().post(
        f"{path}?{more.get('query', query)}",
        data=more.get("body", body),
        content_type="application/x-www-form-urlencoded",
        headers=more.get("headers", headers),
    )
    return answer.status_code


@pytest.mark.parametrize("switches", [{}, {"receipts_reversed": True}, {"receipts_doubled": True}])
def test_callbacks_in_any_order_leave_the_end_and_one_event_per_step(
    pushed: Launched, sandbox: Sandbox, door: Door, switches: dict[str, bool]
) -> None:
    job = pushed(5, phones=["+819012340000", "+819012340001", "+819012341234", "+819012341235", "+819012341236"])
    sandbox.faults(**switches)
    job.send()
    door.wait(15 if "receipts_doubled" in switches else 10)
    assert set(door.answers) == {"200 OK"}
    apply(job)
    states = [(job.person(person.id)["sms_state"], job.person(person.id)["sms_code"]) for person in job.people]
    assert states == [
        ("undelivered", "vacant:30005"),
        ("undelivered", "unconnected:30003"),
        *[("delivered", "received")] * 3,
    ]
    assert job.events(job.people[4].id) == ["queued", "sending", "accepted", "delivered"]
    assert [row for row in sandbox.ledger("twilio") if row["call"] != "create"] == [], "nobody is asked"
    assert all(row["applied"] for row in kept(job))


@pytest.mark.parametrize("order", [["delivered", "sent"], ["undelivered", "delivered"], ["delivered", "undelivered"]])
def test_the_best_that_was_told_stands_whatever_comes_after(job: Job, app: Flask, order: list[str]) -> None:
    for status in order:
        assert push(app, job, status=status) == 200
        apply(job)
    assert job.states() == {"delivered": 1}
    for status in order:
        push(app, job, status=status)
    apply(job)
    assert job.states() == {"delivered": 1}
    assert len(kept(job)) == 2, "the same push is the same row"


def test_all_that_waits_about_one_message_is_believed_not_the_first_alone(job: Job, app: Flask) -> None:
    for status in ("queued", "sent", "delivered"):
        push(app, job, status=status)
    apply(job)
    assert job.states() == {"delivered": 1}
    assert sorted(row["outcome"] for row in kept(job)) == ["delivered", "processing", "processing"]


def test_a_callback_proves_that_an_sms_was_taken_whose_answer_was_lost(
    pushed: Launched, sandbox: Sandbox, door: Door
) -> None:
    job = pushed(5)
    sandbox.faults(reset_after_body=True)
    job.send()
    assert job.states() == {"unknown": 5}
    door.wait(10)
    apply(job)
    assert job.states() == {"delivered": 5}
    outcomes.reconcile(job.tenant_id)
    assert job.state() == "completed"
    assert sandbox.summary()["duplicate_numbers"] == {}


def test_a_callback_that_comes_before_our_own_answer_counts(pushed: Launched, sandbox: Sandbox, door: Door) -> None:
    job = pushed(5)
    sandbox.faults(receipts_early=True)
    job.send()
    apply(job)
    assert job.states() == {"delivered": 5}
    rows = job.rows("SELECT state, provider_id FROM send_log WHERE campaign_id = %s")
    assert all(row["state"] == "delivered" and row["provider_id"] for row in rows)


@pytest.mark.parametrize(
    "changed",
    [
        {"token": "another"},
        {"headers": {}},
        {"headers": {"X-Twilio-Signature": ""}},
        {"headers": {"X-Twilio-Signature": "署名".encode().decode("latin-1")}},
        {"fields": {"MessageStatus": "failed"}},
        {"fields": {"More": "1"}},
        {"query": ""},
        {"query": "reference=aaaaaaaaaaaa.1.1"},
        {"body": b""},
        {"body": b"\xff\xfe"},
    ],
)
def test_a_wrong_signature_is_told_and_nothing_is_kept(job: Job, app: Flask, changed: dict[str, Any]) -> None:
    assert push(app, job, **changed) == 401
    assert kept(job) == []
    apply(job)
    assert job.states() == {"accepted": 1}


@pytest.mark.parametrize("changed", [{"sid": "SM"}, {"sid": ""}, {"status": ""}])
def test_a_signed_push_that_cannot_be_read_is_refused(job: Job, app: Flask, changed: dict[str, Any]) -> None:
    assert push(app, job, **changed) == 400
    assert kept(job) == []


def test_an_account_without_its_secret_verifies_nothing(job: Job, app: Flask) -> None:
    job.change("UPDATE sms_account SET credentials_sealed = NULL WHERE id = %s", job.account_id)
    assert push(app, job, token="") == 401
    assert kept(job) == []


def test_a_signature_by_the_token_of_before_is_refused_and_by_the_new_one_taken(job: Job, app: Flask) -> None:
    with tenancy.tenant(job.tenant_id):
        seal_credentials(db.session.get_one(SmsAccount, job.account_id), {"auth_token": "renewed"})
        db.session.commit()
    assert push(app, job) == 401
    assert push(app, job, token="renewed") == 200


def test_another_address_keeps_nothing(job: Job, app: Flask) -> None:
    assert app.test_client().post(f"/callbacks/sms/{job.account_id}/{'0' * 32}", data=b"x").status_code == 404
    assert kept(job) == []


@pytest.mark.parametrize("reference", ["", "aaaaaaaaaaaa.999999.1", "no reference of ours", "aaaaaaaaaaaa.t5"])
def test_a_push_about_no_message_of_ours_is_kept_for_a_day(job: Job, app: Flask, reference: str) -> None:
    assert push(app, job, reference=reference) == 202
    apply(job)
    assert [row["applied"] for row in kept(job)] == [False]
    job.change("UPDATE receipt SET try_at = now(), received_at = received_at - interval '23 hours'")
    apply(job)
    assert len(kept(job)) == 1
    job.change("UPDATE receipt SET try_at = now(), received_at = received_at - interval '2 hours'")
    apply(job)
    assert kept(job) == []
    assert job.states() == {"accepted": 1}


def test_a_push_whose_attempt_comes_back_within_the_day_counts(job: Job, app: Flask) -> None:
    reference = job.references()[0]
    job.change("UPDATE send_log SET reference = 'aaaaaaaaaaaa.1.1'")
    assert push(app, job, reference=reference) == 202
    apply(job)
    assert job.states() == {"accepted": 1}
    job.change("UPDATE send_log SET reference = %s", reference)
    job.change("UPDATE receipt SET try_at = now()")
    apply(job)
    assert job.states() == {"delivered": 1}


def test_a_receipt_for_another_companys_person_changes_nothing(
    job: Job, launched: Launched, sandbox: Sandbox, app: Flask
) -> None:
    """A signed receipt of one account that names an attempt made through another."""
    other = launched(1, provider="twilio", phones=["+819012340002"])
    other.send()
    second = factories.sms_account(job.tenant_id, provider="twilio")
    assert push(app, job, reference=other.references()[0]) == 202
    assert push(app, job, account_id=second) == 202
    apply(job)
    apply(other)
    assert (job.states(), other.states()) == ({"accepted": 1}, {"accepted": 1})
    assert push(app, job) == 200
    apply(job)
    assert (job.states(), other.states()) == ({"delivered": 1}, {"accepted": 1})
    assert sandbox.summary()["accepted"] == 2


def test_what_is_kept_is_sealed_with_its_reference_and_without_its_signature(job: Job, app: Flask) -> None:
    assert push(app, job, status="delivered") == 200
    (row,) = job.rows("SELECT tenant_id, id, body_sealed FROM receipt WHERE %s > 0")
    assert job.references()[0].encode() not in row["body_sealed"]
    whole = vault.open(row["body_sealed"], receipts._place(row["tenant_id"], row["id"]))
    assert job.references()[0].encode() in whole
    assert b"ignature" not in whole
    assert hashlib.sha256(whole).digest() not in row["body_sealed"]


def test_what_was_kept_before_there_were_queries_is_read_still(
    launched: Launched, sandbox: Sandbox, app: Flask
) -> None:
    karaden = launched(1)
    karaden.send()
    sent = sandbox.messages()[0]
    body = f'{{"object": "message", "id": "{sent["id"]}", "status": "done", "sent_result": "received"}}'.encode()
    assert factories.keep_receipt(karaden.account_id, body)
    (row,) = karaden.rows("SELECT tenant_id, id FROM receipt WHERE %s > 0")
    sealed = vault.seal(body, receipts._place(row["tenant_id"], row["id"]))
    karaden.change("UPDATE receipt SET body_sealed = %s", sealed)
    apply(karaden)
    assert karaden.states() == {"delivered": 1}


def test_a_push_is_packed_and_unpacked_whole() -> None:
    for pushed in (Pushed(b"a=1\n{}", {"content-type": "x"}, "reference=1"), Pushed(b"\x01{}\n")):
        assert pushed_bodies.unpack(pushed_bodies.pack(pushed)) == pushed
