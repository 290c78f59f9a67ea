"""Requests to PayPay and how they are signed, what its answers come to, and what its unsigned webhooks are worth."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.providers.http import Request, Response
from app.providers.payments.base import (
    BadSignature,
    Charge,
    ChargeStatus,
    Order,
    PaymentAccess,
    Refund,
    RefundStatus,
    UnclearCharge,
    WebhookEvent,
)
from app.providers.payments.paypay import paypay
from tests.payments.sdks import paypay_client

NOW = datetime(2026, 11, 23, 1, 0, 30, 123456, tzinfo=UTC)
ORDER = Order(
    reference="abc.12.p1",
    amount_yen=12_300,
    description="11月分のお支払い",
    success_url="https://todoke.example/p/return",
    cancel_url="https://todoke.example/p/return?back=1",
    expires_at=NOW + timedelta(minutes=5),
)


def account(base_url: str = "https://apigw.paypay.ne.jp/", opened_at: datetime = NOW) -> PaymentAccess:
    credentials = {"api_key": "key-1", "api_secret": "secret-1"}
    return PaymentAccess(base_url, {"merchant_id": "merchant-1"}, credentials, opened_at=opened_at)


MADE = {
    "codeId": "04-abc",
    "url": "https://qr.paypay.ne.jp/abc",
    "deeplink": "paypay://payment?link_key=x",
    "expiryDate": int(NOW.timestamp()) + 300,
    "merchantPaymentId": "abc.12.p1",
    "amount": {"amount": 12_300, "currency": "JPY"},
}


def details(**changes: object) -> dict[str, Any]:
    return {
        "paymentId": "12345",
        "status": "COMPLETED",
        "acceptedAt": int(NOW.timestamp()),
        "merchantPaymentId": "abc.12.p1",
        "amount": {"amount": 12_300, "currency": "JPY"},
        "requestedAt": int(NOW.timestamp()) - 60,
    } | changes


def answer(data: object, status: int = 200, code: str = "SUCCESS") -> Response:
    return Response(status, {}, json.dumps({"resultInfo": {"code": code}, "data": data}).encode())


FETCH = paypay.fetch(account(), "abc.12.p1")


def charge(data: object) -> Charge:
    return paypay.charge(FETCH, [answer(data)])


def given_back(*amounts: int, status: str = "CREATED") -> dict[str, Any]:
    return {"data": [{"status": status, "amount": {"amount": amount, "currency": "JPY"}} for amount in amounts]}


# -- requests and their signature -------------------------------------------------------------------------------------


def test_an_order_makes_a_code() -> None:
    request = paypay.start(account(), ORDER)
    assert (request.method, request.url) == ("POST", "https://apigw.paypay.ne.jp/v2/codes")
    assert request.headers["X-ASSUME-MERCHANT"] == "merchant-1"
    assert json.loads(request.body) == {
        "merchantPaymentId": "abc.12.p1",
        "codeType": "ORDER_QR",
        "amount": {"amount": 12_300, "currency": "JPY"},
        "orderDescription": "11月分のお支払い",
        "isAuthorization": False,
        "redirectUrl": "https://todoke.example/p/return",
        "redirectType": "WEB_LINK",
        "requestedAt": int(NOW.timestamp()),
    }
    long = paypay.start(account(), replace(ORDER, description="払" * 300))
    assert len(json.loads(long.body)["orderDescription"]) == 255


REQUESTS = [
    paypay.start(account(), ORDER),
    FETCH,
    paypay.refund(
        account(),
        Charge("abc.12.p1", "abc.12.p1", ChargeStatus.PAID, 12_300, "JPY", payment_id="12345"),
        12_300,
        "abc.12.p1.r1",
    ),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=["create", "details", "refund"])
def test_paypays_own_sdk_signs_the_same(request_: Request) -> None:
    """The SDK draws its nonce and reads the clock: given ours, it makes the same header."""
    scheme, key, _signature, nonce, epoch, _digest = request_.headers["Authorization"].split(":")
    assert (scheme, key, int(epoch)) == ("hmac OPA-Auth", "key-1", int(NOW.timestamp()))
    path = request_.url.removeprefix("https://apigw.paypay.ne.jp")
    with (
        paypay_client("https://apigw.paypay.ne.jp", "key-1", "secret-1", "merchant-1") as client,
        patch("paypayopa.client.uuid.uuid4", return_value=nonce.ljust(8)),
        patch("paypayopa.client.datetime.datetime") as clock,
    ):
        clock.now.return_value.timestamp.return_value = float(epoch)
        kind = request_.headers.get("Content-Type", "empty")
        body = request_.body.decode() or None
        theirs = client.auth_header("key-1", "secret-1", request_.method, path, kind, body)
    assert theirs == request_.headers["Authorization"]


def test_each_use_of_an_account_signs_anew() -> None:
    later = account(opened_at=NOW + timedelta(microseconds=1))
    nonces = [paypay.fetch(one, "a").headers["Authorization"].split(":")[3] for one in (account(), later)]
    assert nonces[0] != nonces[1]
    assert paypay.fetch(account(), "a") == paypay.fetch(account(), "a")
    assert abs(PaymentAccess("https://p", {}, {}).opened_at - datetime.now(UTC)) < timedelta(seconds=5)


# -- charges ----------------------------------------------------------------------------------------------------------


def test_a_code_is_an_open_page() -> None:
    asked = paypay.start(account(), ORDER)
    assert paypay.charge(asked, [answer(MADE, 201)]) == Charge(
        provider_id="abc.12.p1",
        reference="abc.12.p1",
        status=ChargeStatus.OPEN,
        amount=12_300,
        currency="JPY",
        method="paypay",
        url="https://qr.paypay.ne.jp/abc",
        expires_at=NOW.replace(microsecond=0) + timedelta(minutes=5),
    )


def test_before_anybody_pays_the_answer_tells_next_to_nothing() -> None:
    """So what it is about is what was asked about, also where the site lies below a path."""
    for base in ("https://apigw.paypay.ne.jp", "http://127.0.0.1:1/paypay"):
        asked = paypay.fetch(account(base), "abc.12.p1")
        read = paypay.charge(asked, [answer({"status": "CREATED", "acceptedAt": 0, "requestedAt": 0})])
        assert (read.provider_id, read.status, read.amount, read.reference) == (
            "abc.12.p1",
            ChargeStatus.OPEN,
            None,
            None,
        )


def test_a_payment_that_came() -> None:
    assert charge(details()) == Charge(
        provider_id="abc.12.p1",
        reference="abc.12.p1",
        status=ChargeStatus.PAID,
        amount=12_300,
        currency="JPY",
        payment_id="12345",
        method="paypay",
        paid_at=NOW.replace(microsecond=0),
    )


def test_another_order_than_asked_about_is_told() -> None:
    assert charge(details(merchantPaymentId="other")).provider_id == "other"


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("AUTHORIZED", ChargeStatus.PENDING),
        ("REAUTHORIZING", ChargeStatus.PENDING),
        ("EXPIRED", ChargeStatus.EXPIRED),
        ("EXPIRED_USER_CONFIRMATION", ChargeStatus.EXPIRED),
        ("FAILED", ChargeStatus.FAILED),
    ],
)
def test_states(state: str, status: ChargeStatus) -> None:
    assert charge(details(status=state)).status is status


def test_a_payment_cancelled_after_it_was_made_was_given_back() -> None:
    assert charge(details(status="CANCELED")).status is ChargeStatus.REFUNDED
    assert charge(details(status="CANCELED", acceptedAt=0)).status is ChargeStatus.CANCELLED


@pytest.mark.parametrize(
    ("changes", "status", "amount"),
    [
        ({"status": "REFUNDED", "refunds": given_back(12_300)}, ChargeStatus.REFUNDED, 12_300),
        ({"status": "COMPLETED", "refunds": given_back(12_300)}, ChargeStatus.REFUNDED, 12_300),
        ({"status": "REFUNDED", "refunds": given_back(300)}, ChargeStatus.PAID, 300),
        ({"status": "REFUNDED"}, ChargeStatus.REFUNDED, 0),
        ({"status": "COMPLETED", "refunds": given_back(1, status="?")}, ChargeStatus.PAID, 0),
    ],
)
def test_refunds_tell_how_much(changes: dict[str, object], status: ChargeStatus, amount: int) -> None:
    read = charge(details(**changes))
    assert (read.status, read.amount_refunded) == (status, amount)


@pytest.mark.parametrize("data", [{"status": "UNHEARD_OF"}, {}, None, []])
def test_what_tells_no_state_is_no_charge(data: object) -> None:
    with pytest.raises(UnclearCharge) as caught:
        charge(data)
    assert not caught.value.final


@pytest.mark.parametrize(
    ("status", "code", "final"),
    [
        (400, "DUPLICATE_DYNAMIC_QR_REQUEST", True),
        (400, "DYNAMIC_QR_PAYMENT_NOT_FOUND", True),
        (401, "UNAUTHORIZED", False),
        (429, "RATE_LIMIT", False),
        (500, "INTERNAL_SERVER_ERROR", False),
        (503, "MAINTENANCE_MODE", False),
        (200, "SOMETHING_ELSE", False),
    ],
)
def test_errors(status: int, code: str, final: bool) -> None:  # noqa: FBT001 - a case's value
    with pytest.raises(UnclearCharge) as caught:
        paypay.charge(FETCH, [answer(None, status, code)])
    assert (caught.value.code, caught.value.final) == (code, final)


@given(st.binary(max_size=80), st.integers(200, 599))
def test_nonsense_is_unclear(body: bytes, status: int) -> None:
    for asked in (FETCH, paypay.start(account(), ORDER)):
        with pytest.raises(UnclearCharge):
            paypay.charge(asked, [Response(status, {}, body)])


# -- webhooks ---------------------------------------------------------------------------------------------------------

TOLD = {
    "notification_type": "Transaction",
    "merchant_id": "merchant-1",
    "order_id": "12345",
    "merchant_order_id": "abc.12.p1",
    "state": "COMPLETED",
}


def told(**changes: object) -> WebhookEvent:
    return paypay.webhook(account(), {}, json.dumps(TOLD | changes).encode(), NOW)


def test_a_webhook_only_says_what_to_ask_about() -> None:
    event_id = hashlib.sha256(b"Transaction.COMPLETED abc.12.p1").hexdigest()
    assert told() == WebhookEvent(event_id, "Transaction.COMPLETED", "abc.12.p1", "abc.12.p1", proven=False)
    assert told().id != told(state="CANCELED").id
    # however it is varied, there are few
    assert told(note="x").id == told().id
    assert len({told(state=state).id for state in ("A", "B", 1, None, ["COMPLETED"])}) == 1


def test_a_file_that_is_ready_is_about_no_payment() -> None:
    event = told(notification_type="file.created", merchant_id=None, state=None)
    assert (event.kind, event.provider_id, event.reference) == ("file.created", None, None)


@pytest.mark.parametrize("merchant", ["another", "", None, 1])
def test_another_merchants_webhook_is_refused(merchant: object) -> None:
    with pytest.raises(BadSignature):
        told(merchant_id=merchant)
    with pytest.raises(BadSignature):
        paypay.webhook(PaymentAccess("https://p", {}, {}), {}, json.dumps(TOLD).encode(), NOW)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"notification_type": "a b"}'])
def test_an_event_that_cant_be_read_says_so(body: bytes) -> None:
    with pytest.raises(UnclearCharge):
        paypay.webhook(account(), {}, body, NOW)


# -- ending, giving back, listing -------------------------------------------------------------------------------------

PAID = Charge("abc.12.p1", "abc.12.p1", ChargeStatus.PAID, 12_300, "JPY", payment_id="12345")


def test_a_refund_is_asked_for_once_and_there_is_one() -> None:
    request = paypay.refund(account(), PAID, 500, "abc.12.p1.r1")
    assert request is not None
    assert (request.method, request.url) == ("POST", "https://apigw.paypay.ne.jp/v2/refunds")
    assert json.loads(request.body) == {
        "merchantRefundId": "abc.12.p1.r1",
        "paymentId": "12345",
        "amount": {"amount": 500, "currency": "JPY"},
        "requestedAt": int(NOW.timestamp()),
    }
    for other in (replace(PAID, amount_refunded=1), replace(PAID, payment_id=None)):
        assert paypay.refund(account(), other, 500, "r") is None


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("CREATED", RefundStatus.DONE),
        ("REFUNDED", RefundStatus.DONE),
        ("REFUND_FAILED", RefundStatus.PENDING),
    ],
)
def test_a_refunds_answer(state: str, status: RefundStatus) -> None:
    data = {"status": state, "merchantRefundId": "r1", "amount": {"amount": 500, "currency": "JPY"}}
    assert paypay.refunded(answer(data, 201)) == Refund(status, 500, "r1")
    with pytest.raises(UnclearCharge):
        paypay.refunded(answer(data | {"status": "?"}))


def test_what_paypay_has_no_call_for() -> None:
    paypay.expire(account(), replace(PAID, status=ChargeStatus.OPEN))
    with pytest.raises(UnclearCharge) as caught:
        paypay.parse_list(date(2026, 11, 23), answer({}))
    assert caught.value.final


def test_nothing_secret_is_shown() -> None:
    shown = repr(account()) + repr(paypay.start(account(), ORDER)) + repr(charge(details()))
    assert "secret-1" not in shown
    assert "key-1" not in shown
    assert "qr.paypay" not in repr(paypay.charge(paypay.start(account(), ORDER), [answer(MADE, 201)]))
