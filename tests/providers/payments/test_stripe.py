"""Requests to Stripe, and what its sessions come to."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.providers.http import Response
from app.providers.payments import PROVIDERS
from app.providers.payments.base import Charge, ChargeStatus, Order, PaymentAccess, UnclearCharge, session_end
from app.providers.payments.stripe import stripe_checkout

NOW = datetime(2026, 11, 23, 1, 0, 0, tzinfo=UTC)
ENDS = int(NOW.timestamp()) + 3600


def account(**settings: str) -> PaymentAccess:
    return PaymentAccess("https://api.stripe.com/", settings, {"secret_key": "sk_test_secret"})


ORDER = Order(
    reference="ref-1",
    amount_yen=12_300,
    description="11月分のお支払い＆手数料",
    success_url="https://todoke.example/p/back?session={CHECKOUT_SESSION_ID}",
    cancel_url="https://todoke.example/p/pay",
    expires_at=datetime.fromtimestamp(ENDS, UTC),
)


def session(**changes: object) -> dict[str, Any]:
    """A session as Stripe shows it once it is open."""
    return {
        "id": "cs_test_a1",
        "object": "checkout.session",
        "mode": "payment",
        "status": "open",
        "payment_status": "unpaid",
        "amount_total": 12_300,
        "currency": "jpy",
        "client_reference_id": "ref-1",
        "metadata": {"reference": "ref-1"},
        "expires_at": ENDS,
        "payment_intent": None,
        "payment_method_types": ["card", "konbini"],
        "url": "https://checkout.stripe.com/c/pay/cs_test_a1",
    } | changes


def answer(content: object, status: int = 200) -> Response:
    return Response(status, {}, json.dumps(content).encode())


def read(response: Response) -> Charge:
    found = stripe_checkout.charge(stripe_checkout.fetch(account(), "cs_test_a1"), [response])
    assert isinstance(found, Charge)
    return found


def charge(**changes: object) -> Charge:
    return read(answer(session(**changes)))


# -- requests ---------------------------------------------------------------------------------------------------------


def test_an_order_is_sent_as_a_bracketed_form() -> None:
    request = stripe_checkout.start(account(methods=" card, konbini,,card ", konbini_days="7"), ORDER)
    assert (request.method, request.url) == ("POST", "https://api.stripe.com/v1/checkout/sessions")
    assert request.headers == {
        "Authorization": "Bearer sk_test_secret",
        "Stripe-Version": "2026-08-26.dahlia",
        "Content-Type": "application/x-www-form-urlencoded",
        "Idempotency-Key": "ref-1",
    }
    assert parse_qsl(request.body.decode(), strict_parsing=True) == [
        ("mode", "payment"),
        ("line_items[0][quantity]", "1"),
        ("line_items[0][price_data][currency]", "jpy"),
        ("line_items[0][price_data][unit_amount]", "12300"),
        ("line_items[0][price_data][product_data][name]", "11月分のお支払い＆手数料"),
        ("client_reference_id", "ref-1"),
        ("metadata[reference]", "ref-1"),
        ("payment_intent_data[metadata][reference]", "ref-1"),
        ("success_url", "https://todoke.example/p/back?session={CHECKOUT_SESSION_ID}"),
        ("cancel_url", "https://todoke.example/p/pay"),
        ("expires_at", str(ENDS)),
        ("locale", "ja"),
        ("payment_method_types[0]", "card"),
        ("payment_method_types[1]", "konbini"),
        ("payment_method_options[konbini][expires_after_days]", "7"),
    ]


def test_the_same_order_is_the_same_request() -> None:
    assert stripe_checkout.start(account(), ORDER) == stripe_checkout.start(account(), replace(ORDER))


def methods(request_body: bytes) -> list[str]:
    return [value for name, value in parse_qsl(request_body.decode()) if name.startswith("payment_method_types")]


def test_an_orders_own_methods_come_first() -> None:
    assert methods(stripe_checkout.start(account(methods="card"), replace(ORDER, methods=["paypay"])).body) == [
        "paypay"
    ]
    assert methods(stripe_checkout.start(account(methods="konbini"), ORDER).body) == ["konbini"]
    assert methods(stripe_checkout.start(account(), ORDER).body) == ["card"]


@pytest.mark.parametrize(
    ("amount", "offered"),
    [(119, ["card"]), (120, ["card", "konbini"]), (300_000, ["card", "konbini"]), (300_001, ["card"])],
)
def test_konbini_is_offered_where_it_takes_the_amount(amount: int, offered: list[str]) -> None:
    request = stripe_checkout.start(account(methods="card,konbini"), replace(ORDER, amount_yen=amount))
    assert methods(request.body) == offered
    assert (b"expires_after_days" in request.body) == ("konbini" in offered)
    alone = stripe_checkout.start(account(methods="konbini"), replace(ORDER, amount_yen=amount))
    assert methods(alone.body) == ["konbini"]


@pytest.mark.parametrize(
    ("setting", "days"),
    [
        ("", "3"),
        ("1", "1"),
        ("60", "60"),
        ("0", "1"),
        ("61", "60"),
        ("三", "3"),
        ("-1", "3"),
        ("９", "3"),
        ("1.5", "3"),
    ],
)
def test_konbini_days_stay_within_what_stripe_takes(setting: str, days: str) -> None:
    form = parse_qs(stripe_checkout.start(account(methods="konbini", konbini_days=setting), ORDER).body.decode())
    assert form["payment_method_options[konbini][expires_after_days]"] == [days]


def test_a_session_is_fetched_with_its_payment() -> None:
    request = stripe_checkout.fetch(account(), "cs_test_a1/../x?y")
    url = urlsplit(request.url)
    assert (request.method, url.path) == ("GET", "/v1/checkout/sessions/cs_test_a1%2F..%2Fx%3Fy")
    assert parse_qs(url.query) == {"expand[0]": ["payment_intent.latest_charge.refunds"]}
    assert "Idempotency-Key" not in request.headers


@pytest.mark.parametrize(
    ("wished", "end"),
    [
        (timedelta(0), timedelta(minutes=31)),
        (timedelta(hours=1, microseconds=9), timedelta(hours=1)),
        (timedelta(days=30), timedelta(hours=23, minutes=59)),
        (-timedelta(days=1), timedelta(minutes=31)),
    ],
)
def test_a_session_ends_within_stripes_limits(wished: timedelta, end: timedelta) -> None:
    assert session_end(stripe_checkout, NOW + wished, NOW) == NOW + end


def test_it_is_known_by_its_name_and_hides_its_keys() -> None:
    assert PROVIDERS["stripe"] is stripe_checkout
    assert {field.name for field in stripe_checkout.fields if field.secret} == {"secret_key", "webhook_secret"}
    assert "sk_test_secret" not in repr(account())


# -- sessions ---------------------------------------------------------------------------------------------------------

PAID_AT = int(NOW.timestamp()) + 60
LATEST = {
    "object": "charge",
    "created": PAID_AT,
    "paid": True,
    "refunded": False,
    "payment_method_details": {"type": "card"},
}
SLIP = {"type": "konbini_display_details", "konbini_display_details": {"expires_at": ENDS + 9, "stores": {}}}


def intent(status: str, **changes: object) -> dict[str, object]:
    return {"object": "payment_intent", "id": "pi_1", "status": status, "latest_charge": None} | changes


def test_an_open_session_leads_to_its_page() -> None:
    assert charge() == Charge(
        provider_id="cs_test_a1",
        reference="ref-1",
        status=ChargeStatus.OPEN,
        amount=12_300,
        currency="jpy",
        url="https://checkout.stripe.com/c/pay/cs_test_a1",
        expires_at=datetime.fromtimestamp(ENDS, UTC),
    )
    assert "checkout.stripe.com" not in repr(charge())


def test_a_paid_session_says_when_and_how() -> None:
    got = charge(
        status="complete", payment_status="paid", payment_intent=intent("succeeded", latest_charge=LATEST), url=None
    )
    assert (got.status, got.method, got.url) == (ChargeStatus.PAID, "card", None)
    assert got.paid_at == datetime.fromtimestamp(PAID_AT, UTC)


def refunds(status: str, amount: int) -> dict[str, object]:
    return {"object": "list", "data": [{"object": "refund", "amount": amount, "status": status}], "has_more": False}


def given_back(**changes: object) -> Charge:
    latest = LATEST | changes
    return charge(status="complete", payment_status="paid", payment_intent=intent("succeeded", latest_charge=latest))


def test_money_that_went_back_is_refunded_and_a_part_of_it_is_not() -> None:
    for back, status in ((12_300, ChargeStatus.REFUNDED), (100, ChargeStatus.PAID)):
        for told in ({}, {"refunds": refunds("succeeded", back)}):
            got = given_back(refunded=back == 12_300, amount_refunded=back, **told)
            assert (got.status, got.amount_refunded) == (status, back)
            assert got.paid_at == datetime.fromtimestamp(PAID_AT, UTC)


@pytest.mark.parametrize("status", ["pending", "requires_action", "failed", "canceled", "something new"])
def test_a_refund_that_is_not_done_gave_nothing_back(status: str) -> None:
    """Of a konbini payment: the person has to name a bank account, and the charge counts as refunded before they do."""
    got = given_back(refunded=True, amount_refunded=12_300, refunds=refunds(status, 12_300))
    assert (got.status, got.amount_refunded) == (ChargeStatus.PAID, 0)


def test_a_konbini_slip_waits_until_its_day() -> None:
    got = charge(
        status="complete",
        payment_intent=intent("requires_action", next_action=SLIP),
        url="https://checkout.stripe.com/x",
    )
    assert (got.status, got.method, got.paid_at, got.url) == (ChargeStatus.PENDING, "konbini", None, None)
    assert got.pay_by == datetime.fromtimestamp(ENDS + 9, UTC)


@pytest.mark.parametrize(
    ("payment", "status"),
    [
        ("pi_1", ChargeStatus.PENDING),
        (None, ChargeStatus.PENDING),
        (intent("processing"), ChargeStatus.PENDING),
        (intent("canceled", cancellation_reason="expired"), ChargeStatus.EXPIRED),
        (intent("canceled", cancellation_reason="requested_by_customer"), ChargeStatus.CANCELLED),
        (intent("canceled"), ChargeStatus.CANCELLED),
        (
            intent("requires_payment_method", last_payment_error={"code": "payment_intent_payment_attempt_expired"}),
            ChargeStatus.EXPIRED,
        ),
        (intent("requires_payment_method", last_payment_error={"code": "card_declined"}), ChargeStatus.FAILED),
        (intent("requires_payment_method"), ChargeStatus.FAILED),
    ],
)
def test_an_ordered_payment_waits_or_comes_to_nothing(payment: object, status: ChargeStatus) -> None:
    assert charge(status="complete", payment_intent=payment).status is status


def test_a_declined_card_leaves_the_page_open() -> None:
    declined = intent("requires_payment_method", last_payment_error={"code": "card_declined"}, latest_charge=LATEST)
    got = charge(payment_intent=declined)
    assert (got.status, got.paid_at) == (ChargeStatus.OPEN, None)


def test_an_expired_session_is_expired() -> None:
    assert charge(status="expired", url=None).status is ChargeStatus.EXPIRED


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "open", "payment_status": "paid"},
        {"status": "expired", "payment_status": "paid"},
        {"status": "complete", "payment_status": "no_payment_required"},
        {"status": "complete", "payment_status": "partly"},
        {"status": None},
        {"status": "complete", "payment_intent": intent("succeeded")},
        {"mode": "setup"},
        {"object": "payment_intent"},
        {"id": None},
        {"id": "cs/../x"},
    ],
)
def test_a_session_that_contradicts_itself_is_no_charge(changes: dict[str, object]) -> None:
    with pytest.raises(UnclearCharge) as caught:
        charge(**changes)
    assert not caught.value.final


def test_what_is_missing_is_none_and_never_made_up() -> None:
    got = charge(
        client_reference_id=None,
        metadata=None,
        amount_total=None,
        currency=None,
        expires_at="soon",
        url=1,
        payment_intent=1,
    )
    assert (got.reference, got.amount, got.currency, got.expires_at, got.url) == (None, None, None, None, None)
    assert charge(client_reference_id="", amount_total=True).reference == "ref-1"
    assert charge(amount_total=True).amount is None
    assert charge(expires_at=10**30).expires_at is None
    assert charge(payment_method_types=["paypay"]).method == "paypay"


def test_money_in_another_currency_is_told_as_such() -> None:
    assert charge(currency="usd").currency == "usd"


@pytest.mark.parametrize(
    ("status", "error", "code", "final"),
    [
        (
            400,
            {"type": "invalid_request_error", "code": "parameter_invalid_integer"},
            "parameter_invalid_integer",
            True,
        ),
        (400, {"type": "idempotency_error"}, "idempotency_error", True),
        (400, {"type": "invalid_request_error", "message": "秘密"}, "invalid_request_error", True),
        (402, {"type": "card_error", "code": "card_declined"}, "card_declined", True),
        (404, {"type": "invalid_request_error", "code": "resource_missing"}, "resource_missing", True),
        (401, {"type": "invalid_request_error"}, "invalid_request_error", False),
        (403, {"type": "invalid_request_error"}, "invalid_request_error", False),
        (409, {"type": "idempotency_error", "code": "idempotency_key_in_use"}, "idempotency_key_in_use", False),
        (429, {"type": "invalid_request_error", "code": "rate_limit"}, "rate_limit", False),
        (500, {"type": "api_error"}, "api_error", False),
        (400, {"type": "no word at all"}, "http_400", True),
        (400, None, "http_400", False),
        (502, None, "http_502", False),
        (302, None, "http_302", False),
    ],
)
def test_an_error_says_whether_to_ask_again(status: int, error: object, code: str, *, final: bool) -> None:
    with pytest.raises(UnclearCharge) as caught:
        read(answer({"error": error}, status))
    assert (caught.value.code, caught.value.final) == (code, final)


def test_an_answer_kept_under_the_key_is_the_last_word() -> None:
    with pytest.raises(UnclearCharge) as caught:
        read(Response(500, {"idempotent-replayed": "true"}, b'{"error": {"type": "api_error"}}'))
    assert caught.value.final


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["paid", "complete"]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
)
PAYMENTS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("status", "latest_charge", "next_action", "last_payment_error"), JSON)
)
SESSIONS = st.builds(
    lambda changes, payment: session(**changes) | {"payment_intent": payment},
    st.dictionaries(st.sampled_from(sorted(session())), JSON, max_size=4),
    JSON | PAYMENTS,
)
BODIES = st.binary() | st.builds(lambda value: json.dumps(value).encode(), JSON | SESSIONS)


@given(st.integers(100, 999) | st.just(200), BODIES)
def test_no_answer_is_too_strange(status: int, body: bytes) -> None:
    """Whatever comes is a charge or unclear, and money is only ever there when Stripe says so in so many words."""
    try:
        got = read(Response(status, {}, body))
    except UnclearCharge:
        return
    shown = json.loads(body)
    assert (got.status in {ChargeStatus.PAID, ChargeStatus.REFUNDED}) == (
        (status, shown["status"], shown["payment_status"]) == (200, "complete", "paid")
    )


def test_brackets_without_end_are_unclear() -> None:
    with pytest.raises(UnclearCharge):
        read(Response(200, {}, b"[" * 100_000))
