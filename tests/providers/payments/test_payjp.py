"""Requests to PAY.JP, what its sessions, flows and refunds come to, and which webhooks are its own."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import payjpv2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.providers.http import Request, Response
from app.providers.payments.base import (
    BadSignature,
    Charge,
    ChargeStatus,
    Dispute,
    Order,
    PaymentAccess,
    UnclearCharge,
    WebhookEvent,
)
from app.providers.payments.payjp import payjp
from tests.providers.payments.payjp_answers import flow, session

CONTRACT = Path(__file__).parents[3].parent / "shared" / "contracts" / "payjp" / "schemas-from-sdk-1.3.0.json"
NOW = datetime(2026, 11, 23, 1, tzinfo=UTC)
ORDER = Order(
    reference="abc.12.p1",
    amount_yen=12_300,
    description="11月分のお支払い＆手数料",
    success_url="https://todoke.example/p/return",
    cancel_url="https://todoke.example/p/return?back=1",
    expires_at=NOW + timedelta(hours=1),
)


def account(**settings: str) -> PaymentAccess:
    credentials = {"secret_key": "sk_test_secret", "webhook_token": "whook_token"}
    return PaymentAccess("https://api.pay.jp/", settings, credentials)


def refunds(*given_back: tuple[int, str]) -> dict[str, Any]:
    return {"object": "list", "data": [{"amount": amount, "status": status} for amount, status in given_back]}


DONE = {"status": "complete", "payment_flow_id": "pfw_1"}
ASKED = payjp.fetch(account(), "cs_test_1")


def answers(*contents: object) -> list[Response]:
    return [Response(200, {}, json.dumps(one).encode()) for one in contents]


def charge(*contents: object) -> Charge:
    """Read a charge; where money came and no disputes are given, there are none."""
    read = payjp.charge(ASKED, answers(*contents))
    if isinstance(read, Request) and len(contents) == 3:
        read = payjp.charge(ASKED, answers(*contents, NO_DISPUTES))
    assert isinstance(read, Charge)
    return read


NO_DISPUTES = {"object": "list", "data": [], "has_more": False}


def question(*contents: object) -> Request:
    further = payjp.charge(ASKED, answers(*contents))
    assert isinstance(further, Request)
    return further


# -- requests ---------------------------------------------------------------------------------------------------------


def test_an_order_is_sent_as_the_sdk_understands_it() -> None:
    request = payjp.start(account(methods="card, paypay"), ORDER)
    assert (request.method, request.url) == ("POST", "https://api.pay.jp/v2/checkout/sessions")
    assert request.headers["Authorization"] == "Bearer sk_test_secret"
    read = payjpv2.CheckoutSessionCreateRequest.from_json(request.body.decode())
    assert read is not None
    assert (read.mode, read.client_reference_id, read.payment_method_types) == (
        "payment",
        "abc.12.p1",
        ["card", "paypay"],
    )
    assert read.expires_at == ORDER.expires_at
    sent = json.loads(request.body)
    assert sent["line_items"] == [
        {
            "quantity": 1,
            "price_data": {"currency": "jpy", "unit_amount": 12_300, "product_data": {"name": ORDER.description}},
        }
    ]
    # the session doesn't repeat client_reference_id: both it and the flow bear our reference
    assert sent["metadata"] == sent["payment_flow_data"]["metadata"] == {"reference": "abc.12.p1"}
    # the flow's secret stays out of our address
    assert sent["redirect_options"] == {"include_client_secret": False}


def test_an_order_holds_the_official_schema() -> None:
    if not CONTRACT.exists():
        pytest.skip("../shared/contracts/payjp is missing: the official schema can't be consulted")
    schema = json.loads(CONTRACT.read_text())["CheckoutSessionCreateRequest"]
    # the SDK's class for a text, number or yes-no was drawn as its Python fields
    schema["$defs"]["MetadataValue"] = {"type": ["string", "integer", "boolean"]}
    for order in (ORDER, replace(ORDER, locale="en", methods=["paypay"])):
        jsonschema.validate(json.loads(payjp.start(account(), order).body), schema)


def test_the_same_order_is_the_same_request_and_its_key_is_one_payjp_takes() -> None:
    request = payjp.start(account(), ORDER)
    assert payjp.start(account(), replace(ORDER)) == request
    key, other = (
        payjp.start(account(), one).headers["Idempotency-Key"] for one in (ORDER, replace(ORDER, reference="abc.12.p2"))
    )
    assert key != other
    assert key.isalnum()
    assert len(key) <= 255


def test_languages_and_methods() -> None:
    assert json.loads(payjp.start(account(), replace(ORDER, locale="en")).body)["locale"] == "auto"
    assert json.loads(payjp.start(account(), ORDER).body)["payment_method_types"] == ["card"]
    assert json.loads(payjp.start(account(methods="card"), replace(ORDER, methods=["paypay"])).body)[
        "payment_method_types"
    ] == ["paypay"]


def test_an_id_is_quoted() -> None:
    assert payjp.fetch(account(), "a/../b").url == "https://api.pay.jp/v2/checkout/sessions/a%2F..%2Fb"


# -- charges ----------------------------------------------------------------------------------------------------------


def test_an_open_session_needs_one_answer() -> None:
    assert charge(session(payment_flow_id="pfw_1")) == Charge(
        provider_id="cs_test_1",
        reference="abc.12.p1",
        status=ChargeStatus.OPEN,
        amount=12_300,
        currency="jpy",
        method="card",
        url="https://checkout.pay.jp/cs_test_1",
        expires_at=NOW + timedelta(hours=1),
    )


def test_money_is_believed_when_the_flow_and_its_refunds_say_so() -> None:
    first = question(session(**DONE))
    assert (first.method, first.url) == ("GET", "https://api.pay.jp/v2/payment_flows/pfw_1")
    assert first.headers == ASKED.headers
    second = question(session(**DONE), flow())
    assert second.url == "https://api.pay.jp/v2/payment_flows/pfw_1/refunds?limit=100"
    assert charge(session(**DONE), flow(), refunds()) == Charge(
        provider_id="cs_test_1",
        reference="abc.12.p1",
        status=ChargeStatus.PAID,
        amount=12_300,
        currency="jpy",
        payment_id="pfw_1",
        method="card",
        paid_at=datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC),
    )


def test_a_further_question_after_start_goes_where_the_order_went() -> None:
    asked = payjp.start(replace(account(), base_url="http://127.0.0.1:1/payjp"), ORDER)
    further = payjp.charge(asked, answers(session(**DONE)))
    assert isinstance(further, Request)
    assert (further.method, further.url, further.body) == (
        "GET",
        "http://127.0.0.1:1/payjp/v2/payment_flows/pfw_1",
        b"",
    )
    assert "Idempotency-Key" not in further.headers


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("processing", ChargeStatus.PENDING),
        ("requires_capture", ChargeStatus.PENDING),
        ("canceled", ChargeStatus.CANCELLED),
    ],
)
def test_a_flow_tells_where_the_money_is(state: str, status: ChargeStatus) -> None:
    read = charge(session(**DONE), flow(status=state))
    assert (read.status, read.paid_at, read.amount) == (status, None, 12_300)


def test_what_was_received_counts_and_not_what_was_to_be() -> None:
    assert charge(session(**DONE), flow(amount_received=12_000), refunds()).amount == 12_000


@pytest.mark.parametrize("state", ["requires_payment_method", "canceled", "requires_action"])
def test_a_lapsed_page_is_expired_but_money_counts(state: str) -> None:
    lapsed = session(status="expired", payment_flow_id="pfw_1")
    assert charge(lapsed, flow(status=state)).status is ChargeStatus.EXPIRED
    assert charge(lapsed, flow(), refunds()).status is ChargeStatus.PAID
    assert charge(session(status="expired")).status is ChargeStatus.EXPIRED


@pytest.mark.parametrize(
    ("given_back", "status", "amount"),
    [
        ([(12_300, "succeeded")], ChargeStatus.REFUNDED, 12_300),
        ([(300, "succeeded"), (12_000, "succeeded")], ChargeStatus.REFUNDED, 12_300),
        ([(300, "succeeded"), (12_000, "pending"), (1, "failed")], ChargeStatus.PAID, 300),
        ([], ChargeStatus.PAID, 0),
    ],
)
def test_refunds_count_when_they_succeeded(
    given_back: list[tuple[int, str]], status: ChargeStatus, amount: int
) -> None:
    read = charge(session(**DONE), flow(), refunds(*given_back))
    assert (read.status, read.amount_refunded) == (status, amount)


@pytest.mark.parametrize(
    "contents",
    [
        [session(status="complete")],
        [session(status="somehow")],
        [session(mode="setup")],
        [session(id=None)],
        [session(id="cs/../1")],
        [session(object="payment_flow")],
        [session(**DONE), flow(status="requires_payment_method")],
        [session(**DONE), flow(status="unheard_of")],
        [session(**DONE), flow(object="list")],
        [session(**DONE), flow(), {"object": "payment_flow"}],
    ],
)
def test_what_contradicts_itself_is_no_charge(contents: list[object]) -> None:
    with pytest.raises(UnclearCharge) as caught:
        payjp.charge(ASKED, answers(*contents))
    assert not caught.value.final


@pytest.mark.parametrize(
    ("status", "problem", "code", "final"),
    [
        (404, {"status": 404, "code": "not_found"}, "not_found", True),
        (422, {"status": 422, "code": "validation_error"}, "validation_error", True),
        (401, {"status": 401, "code": "unauthorized"}, "unauthorized", False),
        (409, {"status": 409, "code": "idempotency_timeout"}, "idempotency_timeout", False),
        (409, {"status": 409, "code": "idempotency_conflict"}, "idempotency_conflict", True),
        (429, {"status": 429, "code": "rate_limited"}, "rate_limited", False),
        (503, {"status": 503, "code": "down"}, "down", False),
        (400, {"status": 400, "detail": "秘密"}, "http_400", True),
        (400, {}, "http_400", False),
        (502, "<html>", "http_502", False),
    ],
)
def test_errors(status: int, problem: object, code: str, final: bool) -> None:  # noqa: FBT001 - a case's value
    with pytest.raises(UnclearCharge) as caught:
        payjp.charge(ASKED, [Response(status, {}, json.dumps(problem).encode())])
    assert (caught.value.code, caught.value.final) == (code, final)


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=3), st.integers(200, 599))
def test_nonsense_is_unclear(bodies: list[bytes], status: int) -> None:
    with pytest.raises(UnclearCharge):
        payjp.charge(ASKED, [Response(status, {}, body) for body in bodies])


# -- webhooks ---------------------------------------------------------------------------------------------------------


def event(data: object, kind: str = "payment_flow.succeeded", **changes: object) -> bytes:
    return json.dumps({"object": "event", "id": "evnt_1", "type": kind, "data": data} | changes).encode()


def told(body: bytes, sent: str = "whook_token") -> WebhookEvent:
    return payjp.webhook(account(), {"x-payjp-webhook-token": sent}, body, NOW)


def test_events_lead_to_our_charge() -> None:
    assert told(event(session(), "checkout.session.completed")) == WebhookEvent(
        "evnt_1", "checkout.session.completed", "cs_test_1", "abc.12.p1"
    )
    assert told(event(flow())) == WebhookEvent(
        "evnt_1", "payment_flow.succeeded", None, "abc.12.p1", payment_id="pfw_1"
    )
    refund = {"object": "payment_refund", "id": "re_1", "metadata": {"reference": "abc.12.p1"}}
    assert told(event(refund, "refund.created")).reference == "abc.12.p1"
    # a refund made at PAY.JP's own desk, and a dispute, bear nothing of ours but the money's id
    for kind in ("payment_refund", "payment_dispute"):
        about: dict[str, object] = {"object": kind, "id": "x_1", "payment_flow_id": "pfw_1", "metadata": {}}
        assert told(event(about, "any.kind")) == WebhookEvent("evnt_1", "any.kind", None, None, payment_id="pfw_1")


DISPUTED = [
    ([], None),
    (["pre_warning_needs_response"], Dispute.OPEN),
    (["needs_response"], Dispute.OPEN),
    (["under_review"], Dispute.OPEN),
    (["unheard_of"], Dispute.OPEN),
    (["lost"], Dispute.LOST),
    (["cancel"], Dispute.WON),
    (["cancel", "needs_response"], Dispute.OPEN),
    (["cancel", "lost"], Dispute.LOST),
]


@pytest.mark.parametrize(("statuses", "read"), DISPUTED)
def test_a_dispute_is_asked_for_beside_money(statuses: list[str], read: Dispute | None) -> None:
    paid_ = (session(**DONE), flow(), refunds())
    fourth = question(*paid_)
    assert fourth.url == "https://api.pay.jp/v2/payment_disputes?payment_flow_id=pfw_1&limit=100"
    listed = {"object": "list", "data": [{"object": "payment_dispute", "status": status} for status in statuses]}
    assert charge(*paid_, listed).dispute is read
    # a contract that may not ask about them keeps nobody's money from being seen
    refused = [*answers(*paid_), Response(403, {}, b'{"status": 403, "code": "forbidden"}')]
    assert payjp.charge(ASKED, refused) == charge(*paid_)


@pytest.mark.parametrize("token", ["", "whook_toke", "whook_token ", "ｗｈｏｏｋ"])
def test_another_token_is_refused(token: str) -> None:
    with pytest.raises(BadSignature):
        told(event(flow()), token)


def test_without_a_token_on_record_nothing_is_ours() -> None:
    bare = PaymentAccess("https://api.pay.jp", {}, {"secret_key": "sk_test_secret"})
    for headers in ({}, {"x-payjp-webhook-token": ""}):
        with pytest.raises(BadSignature):
            payjp.webhook(bare, headers, event(flow()), NOW)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", event(flow(), id=1), event(flow(), kind="a b"), event({}, object="x")]
)
def test_an_event_that_cant_be_read_says_so(body: bytes) -> None:
    with pytest.raises(UnclearCharge):
        told(body)


def test_nothing_secret_is_shown() -> None:
    read = charge(session())
    assert "sk_test_secret" not in repr(account()) + repr(payjp.start(account(), ORDER)) + repr(read)
    assert "checkout.pay.jp" not in repr(read)
