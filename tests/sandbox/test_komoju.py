"""KOMOJU's stand-in. There is no Python SDK: its answers hold the fields that KOMOJU's TypeScript SDK names."""

import hashlib
import hmac
import json
import urllib.request
from typing import Any

import pytest

from sandbox.harness import Sandbox
from tests.payments.shop import choose
from tests.sandbox.conftest import Listener
from tests.sandbox.komoju_shop import KEY, SECRET, WANTED, call, opened

# komoju-typescript-sdk 1.0.0-beta.1, docs/Models: what always stands in an answer
SESSION = (
    *("id", "resource", "mode", "amount", "currency", "session_url", "return_url", "default_locale"),
    *("payment_methods", "created_at", "cancelled_at", "completed_at", "status", "expired", "metadata"),
)
PAYMENT = (
    *("id", "resource", "status", "amount", "tax", "customer", "payment_deadline", "payment_details"),
    *("payment_method_fee", "total", "currency", "description", "captured_at", "external_order_num", "metadata"),
    *("created_at", "amount_refunded", "locale", "session", "customer_family_name", "customer_given_name", "mcc"),
    *("statement_descriptor", "refunds", "refund_requests"),
)
EVENT = ("id", "type", "resource", "created_at", "reason", "data")


@pytest.fixture
def told(sandbox: Sandbox, listener: Listener) -> Listener:
    sandbox.addresses(komoju_webhooks={KEY: {"url": listener.url, "secret": SECRET}})
    return listener


def read(sandbox: Sandbox, session: dict[str, Any]) -> dict[str, Any]:
    status, found = call(sandbox, "GET", f"sessions/{session['id']}")
    assert status == 200
    assert set(SESSION) <= found.keys()
    if found["payment"] is not None:
        assert set(PAYMENT) <= found["payment"].keys()
    told: dict[str, Any] = found
    return told


def events(told: Listener, *kinds: str) -> list[dict[str, Any]]:
    got = told.wait(len(kinds))
    read = [json.loads(body) for _, body in got]
    assert sorted(event["type"] for event in read) == sorted(kinds)  # they may overtake each other
    for (headers, body), event in zip(got, read, strict=True):
        assert headers["X-Komoju-Signature"] == hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        assert (headers["X-Komoju-ID"], headers["X-Komoju-Event"]) == (event["id"], event["type"])
        assert set(EVENT) <= event.keys()
    return sorted(read, key=lambda event: kinds.index(event["type"]))


def test_a_session_opens_as_asked(sandbox: Sandbox) -> None:
    session = opened(sandbox)
    assert session["session_url"] == f"{sandbox.url}/till/{session['id']}"
    assert (session["status"], session["amount"], session["expired"], session["payment"]) == (
        "pending",
        12_300,
        False,
        None,
    )
    assert read(sandbox, session) == session


def test_a_card_pays(sandbox: Sandbox, told: Listener) -> None:
    session = opened(sandbox)
    choose(session["session_url"], "declined")
    assert (read(sandbox, session)["status"], read(sandbox, session)["payment"]["status"]) == ("pending", "failed")
    choose(session["session_url"], "credit_card")
    found = read(sandbox, session)
    payment = found["payment"]
    assert (found["status"], payment["status"], payment["total"], payment["payment_method_fee"]) == (
        "completed",
        "captured",
        12_300,
        0,
    )
    assert (payment["external_order_num"], payment["session"]) == ("ref-1", session["id"])
    events(told, "payment.failed", "payment.captured")
    assert call(sandbox, "GET", f"payments/{payment['id']}")[1] == payment
    page = call(sandbox, "GET", "payments?per_page=1&page=1")[1]
    assert (page["resource"], page["data"], page["last_page"]) == ("payment_list", [payment], 1)


def test_the_browser_goes_back_with_the_session(sandbox: Sandbox) -> None:
    session = opened(sandbox)
    with urllib.request.urlopen(session["session_url"], timeout=5) as page:
        assert f"http://127.0.0.1:9/back?a=1&amp;session_id={session['id']}" in page.read().decode()


@pytest.mark.parametrize(("method", "fee"), [("konbini", 190), ("bank_transfer", 0)])
@pytest.mark.parametrize(
    ("end", "status", "kind"), [("paid", "captured", "captured"), ("lapsed", "expired", "expired")]
)
def test_what_is_paid_later_waits(
    sandbox: Sandbox, told: Listener, method: str, fee: int, end: str, status: str, kind: str
) -> None:
    session = opened(sandbox)
    choose(session["session_url"], method)
    payment = read(sandbox, session)["payment"]
    assert (payment["status"], payment["total"], payment["payment_method_fee"]) == ("authorized", 12_300 + fee, fee)
    assert payment["payment_deadline"] is not None
    choose(f"{session['session_url']}/slip", end)
    assert read(sandbox, session)["payment"]["status"] == status
    events(told, "payment.authorized", f"payment.{kind}")


def test_what_is_not_paid_can_be_cancelled(sandbox: Sandbox, told: Listener) -> None:
    session = opened(sandbox)
    assert call(sandbox, "POST", f"sessions/{session['id']}/cancel", {})[1]["status"] == "cancelled"
    assert call(sandbox, "POST", f"sessions/{session['id']}/cancel", {})[0] == 422
    waiting = opened(sandbox)
    choose(waiting["session_url"], "konbini")
    payment_id = read(sandbox, waiting)["payment"]["id"]
    assert call(sandbox, "POST", f"payments/{payment_id}/cancel", {})[1]["status"] == "cancelled"
    assert call(sandbox, "POST", f"payments/{payment_id}/cancel", {})[0] == 422
    events(told, "payment.authorized", "payment.cancelled")


def test_refunds(sandbox: Sandbox, told: Listener) -> None:
    session = opened(sandbox)
    choose(session["session_url"], "credit_card")
    payment_id = read(sandbox, session)["payment"]["id"]
    key = {"X-KOMOJU-IDEMPOTENCY": "re-1"}
    for _ in range(2):
        status, part = call(sandbox, "POST", f"payments/{payment_id}/refund", {"amount": 300}, headers=key)
        assert (status, part["status"], part["amount_refunded"]) == (200, "captured", 300)
    assert call(sandbox, "POST", f"payments/{payment_id}/refund", {"amount": 12_001})[0] == 422
    assert call(sandbox, "POST", f"payments/{payment_id}/refund", {})[1]["status"] == "refunded"
    kinds = ("payment.captured", "payment.refund.created", "payment.refund.created", "payment.refunded")
    assert events(told, *kinds)[-1]["data"]["amount_refunded"] == 12_300
    later = opened(sandbox)
    choose(later["session_url"], "konbini")
    choose(f"{later['session_url']}/slip", "paid")
    later_id = read(sandbox, later)["payment"]["id"]
    assert call(sandbox, "POST", f"payments/{later_id}/refund", {})[1]["error"]["code"] == "not_refundable"


def test_a_key_is_used_once(sandbox: Sandbox) -> None:
    key = {"X-KOMOJU-IDEMPOTENCY": "key-1"}
    first = call(sandbox, "POST", "sessions", WANTED, headers=key)
    assert call(sandbox, "POST", "sessions", WANTED, headers=key) == first
    assert call(sandbox, "POST", "sessions", WANTED | {"amount": 1}, headers=key)[0] == 409
    assert call(sandbox, "POST", "sessions", WANTED, headers={"X-KOMOJU-IDEMPOTENCY": "k" * 101})[0] == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 0},
        {"amount": "1"},
        {"currency": "USD"},
        {"expires_in_seconds": 86_401},
        {"payment_types": ["paper"]},
        {"unknown": 1},
    ],
)
def test_a_wrong_field_is_refused(sandbox: Sandbox, changes: dict[str, Any]) -> None:
    status, answer = call(sandbox, "POST", "sessions", WANTED | changes)
    assert (status, answer["error"]["code"]) == (422, "unprocessable_entity")


def test_strangers_see_nothing(sandbox: Sandbox) -> None:
    session = opened(sandbox)
    assert call(sandbox, "GET", f"sessions/{session['id']}", key="sk_test_other")[0] == 404
    assert call(sandbox, "GET", f"sessions/{session['id']}", key="sk_live_shop")[0] == 401
