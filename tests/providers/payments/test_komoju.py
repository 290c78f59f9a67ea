"""Requests to KOMOJU, what its sessions and payments come to, and which webhooks are its own."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.providers.http import Response
from app.providers.payments.base import (
    BadSignature,
    Charge,
    ChargeStatus,
    Dispute,
    Order,
    PaymentAccess,
    Refund,
    RefundStatus,
    UnclearCharge,
    WebhookEvent,
    session_end,
)
from app.providers.payments.komoju import SESSION_S, komoju

SECRET = "komoju-secret"
NOW = datetime(2026, 11, 23, 1, tzinfo=UTC)
ORDER = Order(
    reference="abc.12.p1",
    amount_yen=12_300,
    description="11月分のお支払い",
    success_url="https://todoke.example/p/return",
    cancel_url="https://todoke.example/p/return?back=1",
    expires_at=NOW + timedelta(hours=1),
)


def account(**settings: str) -> PaymentAccess:
    return PaymentAccess(
        "https://komoju.com/api/v1/", settings, {"secret_key": "sk_test_secret", "webhook_secret": SECRET}
    )


def session(**changes: object) -> dict[str, Any]:
    return {
        "id": "sess1",
        "resource": "session",
        "mode": "payment",
        "amount": 12_300,
        "currency": "JPY",
        "session_url": "https://komoju.com/sessions/sess1",
        "created_at": "2026-11-23T01:00:00.000000Z",
        "status": "pending",
        "expired": False,
        "metadata": {"reference": "abc.12.p1"},
        "payment": None,
    } | changes


def payment(**changes: object) -> dict[str, Any]:
    return {
        "id": "pay1",
        "resource": "payment",
        "status": "captured",
        "amount": 12_300,
        "tax": 0,
        "payment_method_fee": 0,
        "total": 12_300,
        "currency": "JPY",
        "external_order_num": "abc.12.p1",
        "payment_details": {"type": "credit_card"},
        "payment_deadline": "2026-11-26T14:59:59Z",
        "captured_at": "2026-11-23T01:02:03Z",
        "created_at": "2026-11-23T01:01:00Z",
        "amount_refunded": 0,
        "session": "sess1",
        "refunds": [],
    } | changes


def answer(content: object, status: int = 200) -> Response:
    return Response(status, {}, json.dumps(content).encode())


ASKED = komoju.fetch(account(), "sess1")


def charge(**changes: object) -> Charge:
    return komoju.charge(ASKED, [answer(session(**changes))])


# -- requests ---------------------------------------------------------------------------------------------------------


def test_an_order_is_sent_as_komojus_sdk_sends_it() -> None:
    request = komoju.start(account(methods="credit_card, konbini"), ORDER)
    assert (request.method, request.url) == ("POST", "https://komoju.com/api/v1/sessions")
    assert request.headers == {
        "Authorization": "Basic " + base64.b64encode(b"sk_test_secret:").decode(),
        "Accept": "application/json",
        "Content-Type": "application/json",
        "X-KOMOJU-API-VERSION": "2025-01-28",
        "X-KOMOJU-IDEMPOTENCY": "abc.12.p1",
    }
    assert json.loads(request.body) == {
        "mode": "payment",
        "amount": 12_300,
        "currency": "JPY",
        "return_url": "https://todoke.example/p/return",
        "default_locale": "ja",
        "expires_in_seconds": 3_600,
        "payment_types": ["credit_card", "konbini"],
        "payment_data": {"external_order_num": "abc.12.p1", "capture": "auto"},
        "line_items": [{"description": "11月分のお支払い", "quantity": 1, "amount": 12_300}],
        "metadata": {"reference": "abc.12.p1"},
    }


def test_the_same_order_is_the_same_request_whenever_it_is_sent() -> None:
    assert komoju.start(account(), ORDER) == komoju.start(account(), replace(ORDER))
    assert session_end(komoju, NOW + timedelta(days=1), NOW) == NOW + timedelta(seconds=SESSION_S)


@pytest.mark.parametrize(("locale", "sent"), [("ja", "ja"), ("en", "en"), ("pt", "en")])
def test_languages(locale: str, sent: str) -> None:
    assert json.loads(komoju.start(account(), replace(ORDER, locale=locale)).body)["default_locale"] == sent


def test_an_id_is_quoted() -> None:
    assert komoju.fetch(account(), "a/b?c").url == "https://komoju.com/api/v1/sessions/a%2Fb%3Fc"


# -- charges ----------------------------------------------------------------------------------------------------------


def test_a_session_that_waits_for_the_person() -> None:
    assert charge() == Charge(
        provider_id="sess1",
        reference="abc.12.p1",
        status=ChargeStatus.OPEN,
        amount=12_300,
        currency="JPY",
        url="https://komoju.com/sessions/sess1",
        expires_at=NOW + timedelta(hours=1),
    )
    # a try that failed, or isn't done yet, leaves the page open
    for status in ("failed", "pending", "cancelled", "expired"):
        assert charge(payment=payment(status=status)).status is ChargeStatus.OPEN


def test_a_payment_that_came() -> None:
    assert charge(status="completed", payment=payment()) == Charge(
        provider_id="sess1",
        reference="abc.12.p1",
        status=ChargeStatus.PAID,
        amount=12_300,
        currency="JPY",
        payment_id="pay1",
        method="credit_card",
        paid_at=datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC),
    )


def test_the_means_own_fee_is_not_part_of_the_order() -> None:
    konbini = payment(total=12_490, payment_method_fee=190, payment_details={"type": "konbini"})
    assert charge(status="completed", payment=konbini).amount == 12_300
    assert charge(status="completed", payment=payment(total=12_300, payment_method_fee=190)).amount == 12_110
    assert charge(status="completed", payment=payment(total=None)).amount is None


def test_a_slip_waits_until_its_deadline() -> None:
    waiting = charge(status="completed", payment=payment(status="authorized", captured_at=None))
    assert (waiting.status, waiting.pay_by, waiting.paid_at) == (
        ChargeStatus.PENDING,
        datetime(2026, 11, 26, 14, 59, 59, tzinfo=UTC),
        None,
    )


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("refunded", ChargeStatus.REFUNDED),
        ("expired", ChargeStatus.EXPIRED),
        ("cancelled", ChargeStatus.CANCELLED),
        ("failed", ChargeStatus.FAILED),
        ("pending", ChargeStatus.OPEN),
    ],
)
def test_a_completed_session_is_as_its_payment(state: str, status: ChargeStatus) -> None:
    assert charge(status="completed", payment=payment(status=state)).status is status


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"status": "cancelled"}, ChargeStatus.CANCELLED), ({"expired": True}, ChargeStatus.EXPIRED)],
)
def test_a_page_that_is_over_but_money_counts(changes: dict[str, object], status: ChargeStatus) -> None:
    over = charge(**changes)
    assert (over.status, over.url) == (status, None)
    assert charge(**changes, payment=payment()).status is ChargeStatus.PAID


def test_a_chargeback_is_a_refund_that_says_so() -> None:
    gone = {"resource": "refund", "amount": 12_000, "chargeback": True, "description": None}
    ours = {"resource": "refund", "amount": 300, "chargeback": False, "description": "abc.12.p1.r1"}
    read = charge(status="completed", payment=payment(refunds=[ours, gone]))
    assert (read.dispute, read.refunds) == (Dispute.LOST, {"abc.12.p1.r1": RefundStatus.DONE})
    assert charge(status="completed", payment=payment(refunds=[ours])).dispute is None


def test_a_refund_in_part() -> None:
    part = charge(status="completed", payment=payment(amount_refunded=300))
    assert (part.status, part.amount_refunded) == (ChargeStatus.PAID, 300)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "completed"},
        {"status": "somehow"},
        {"mode": "customer"},
        {"id": 1},
        {"resource": "payment"},
        {"status": "completed", "payment": payment(status="somehow")},
        {"status": "completed", "payment": payment(id=None)},
        {"status": "completed", "payment": {"resource": "refund", "id": "x"}},
    ],
)
def test_what_contradicts_itself_is_no_charge(changes: dict[str, object]) -> None:
    with pytest.raises(UnclearCharge) as caught:
        charge(**changes)
    assert not caught.value.final


@pytest.mark.parametrize(
    ("status", "error", "code", "final"),
    [
        (404, {"error": {"code": "not_found", "message": "秘密"}}, "not_found", True),
        (422, {"error": {"code": "unprocessable_entity"}}, "unprocessable_entity", True),
        (401, {"error": {"code": "unauthorized"}}, "unauthorized", False),
        (409, {"error": {"code": "conflict"}}, "conflict", False),
        (429, {"error": {"code": "too_many_requests"}}, "too_many_requests", False),
        (500, {"error": {"code": "internal_server_error"}}, "internal_server_error", False),
        (400, {"error": {"code": "a b"}}, "http_400", True),
        (400, {}, "http_400", False),
    ],
)
def test_errors(status: int, error: object, code: str, final: bool) -> None:  # noqa: FBT001 - a case's value
    with pytest.raises(UnclearCharge) as caught:
        komoju.charge(ASKED, [answer(error, status)])
    assert (caught.value.code, caught.value.final) == (code, final)


@given(st.binary(max_size=80), st.integers(200, 599))
def test_nonsense_is_unclear(body: bytes, status: int) -> None:
    with pytest.raises(UnclearCharge):
        komoju.charge(ASKED, [Response(status, {}, body)])


# -- webhooks ---------------------------------------------------------------------------------------------------------


def event(data: object, kind: str = "payment.captured", **changes: object) -> bytes:
    return json.dumps({"id": "evt1", "type": kind, "resource": "event", "data": data} | changes).encode()


def told(body: bytes, **headers: str) -> WebhookEvent:
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return komoju.webhook(account(), {"x-komoju-signature": signature} | headers, body, NOW)


def test_events_lead_to_our_charge() -> None:
    assert told(event(payment())) == WebhookEvent(
        "evt1", "payment.captured", "sess1", "abc.12.p1", payment_id=payment()["id"]
    )
    assert told(event({"resource": "settlement", "id": "x"}, "settlement.created")) == WebhookEvent(
        "evt1", "settlement.created", None, None
    )


def test_the_first_ping_of_a_new_webhook_is_taken() -> None:
    ping = json.dumps({"type": "ping", "data": None}).encode()
    assert told(ping, **{"x-komoju-id": "delivery1"}) == WebhookEvent("delivery1", "ping", None, None)
    assert told(ping).id == hashlib.sha256(ping).hexdigest()


def test_another_signature_is_refused() -> None:
    body = event(payment())
    genuine = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    for signature in ("", "0" * 64, genuine.upper(), genuine + " ", "あ"):
        with pytest.raises(BadSignature):
            komoju.webhook(account(), {"x-komoju-signature": signature}, body, NOW)
    with pytest.raises(BadSignature):
        komoju.webhook(account(), {"x-komoju-signature": genuine}, body + b" ", NOW)
    unsigned = hmac.new(b"", body, hashlib.sha256).hexdigest()
    with pytest.raises(BadSignature):
        komoju.webhook(PaymentAccess("https://k", {}, {}), {"x-komoju-signature": unsigned}, body, NOW)


@pytest.mark.parametrize("body", [b"", b"[]", event({}, type=None), event({}, kind="a b")])
def test_an_event_that_cant_be_read_says_so(body: bytes) -> None:
    with pytest.raises(UnclearCharge):
        told(body)


# -- ending, giving back, listing -------------------------------------------------------------------------------------

PAID = Charge("sess1", "abc.12.p1", ChargeStatus.PAID, 12_300, "JPY", payment_id="pay1", method="credit_card")


@pytest.mark.parametrize(
    ("status", "path"),
    [(ChargeStatus.OPEN, "sessions/sess1/cancel"), (ChargeStatus.PENDING, "payments/pay1/cancel")],
)
def test_what_is_not_paid_can_be_ended(status: ChargeStatus, path: str) -> None:
    request = komoju.expire(account(), replace(PAID, status=status))
    assert request is not None
    assert (request.method, request.url) == ("POST", f"https://komoju.com/api/v1/{path}")


def test_what_is_over_is_not_ended() -> None:
    assert komoju.expire(account(), PAID) is None
    assert komoju.expire(account(), replace(PAID, status=ChargeStatus.PENDING, payment_id=None)) is None


def test_a_refund_is_asked_for_once() -> None:
    request = komoju.refund(account(), PAID, 500, "abc.12.p1.r1")
    assert request is not None
    assert request.url == "https://komoju.com/api/v1/payments/pay1/refund"
    assert request.headers["X-KOMOJU-IDEMPOTENCY"] == "abc.12.p1.r1"
    assert json.loads(request.body) == {"amount": 500, "description": "abc.12.p1.r1"}


@pytest.mark.parametrize("method", ["konbini", "bank_transfer", "pay_easy"])
def test_cash_can_only_be_given_back_by_hand(method: str) -> None:
    assert komoju.refund(account(), replace(PAID, method=method), 500, "r1") is None


def test_a_refunds_answer_is_the_newest_of_the_payment() -> None:
    made = [
        {"id": "re2", "amount": 200, "created_at": "2026-11-24T01:00:00Z"},
        {"id": "re1", "amount": 100, "created_at": "2026-11-23T01:00:00Z"},
    ]
    assert komoju.refunded(answer(payment(refunds=made))) == Refund(RefundStatus.DONE, 200, "re2")
    for broken in (payment(), payment(refunds=[{"id": "re1"}]), session()):
        with pytest.raises(UnclearCharge):
            komoju.refunded(answer(broken))


def test_a_day_is_asked_for_page_by_page() -> None:
    day = date(2026, 11, 23)
    query = parse_qs(urlsplit(komoju.day_request(account(), day).url).query)
    assert query == {
        "start_time": ["2026-11-22T15:00:00+00:00"],
        "end_time": ["2026-11-23T15:00:00+00:00"],
        "per_page": ["100"],
        "page": ["1"],
    }
    assert parse_qs(urlsplit(komoju.day_request(account(), day, "3").url).query)["page"] == ["3"]
    found = [payment(), payment(id="pay2", created_at="2026-11-23T15:00:00Z"), payment(id="pay3", status="?"), {}]
    page = komoju.parse_list(day, answer({"resource": "payment_list", "data": found, "page": 1, "last_page": 2}))
    assert ([one.payment_id for one in page.charges], page.cursor) == (["pay1"], "2")
    assert (page.charges[0].provider_id, page.charges[0].reference) == ("sess1", "abc.12.p1")
    last = komoju.parse_list(day, answer({"resource": "payment_list", "data": [], "page": 2, "last_page": 2}))
    assert (last.charges, last.cursor) == ([], None)


def test_nothing_secret_is_shown() -> None:
    shown = repr(account()) + repr(komoju.start(account(), ORDER)) + repr(charge())
    assert "sk_test_secret" not in shown
    assert base64.b64encode(b"sk_test_secret:").decode() not in shown
    assert "komoju.com/sessions" not in shown
