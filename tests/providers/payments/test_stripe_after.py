"""Stripe after the order: ending a page, giving money back, and the list of a day's sessions."""

import json
from dataclasses import replace
from datetime import date
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from app.providers.http import Request, Response
from app.providers.payments.base import (
    Charge,
    ChargeStatus,
    Dispute,
    PaymentAccess,
    Refund,
    RefundStatus,
    UnclearCharge,
    day_bounds,
)
from app.providers.payments.stripe import stripe_checkout

ACCOUNT = PaymentAccess("https://api.stripe.com", {}, {"secret_key": "sk_test_secret"})
PAID = Charge("cs_test_1", "ref-1", ChargeStatus.PAID, 12_300, "jpy", payment_id="pi_1")


def session(session_id: str, **changes: object) -> dict[str, Any]:
    return {
        "id": session_id,
        "object": "checkout.session",
        "mode": "payment",
        "status": "complete",
        "payment_status": "paid",
        "amount_total": 12_300,
        "currency": "jpy",
        "client_reference_id": "ref-1",
        "payment_intent": {"id": "pi_1", "status": "succeeded", "latest_charge": {"amount_refunded": 300}},
    } | changes


def answer(content: object, status: int = 200) -> Response:
    return Response(status, {}, json.dumps(content).encode())


def told(*contents: object) -> Charge:
    """Read a charge of what was answered to our questions."""
    found = stripe_checkout.charge(stripe_checkout.fetch(ACCOUNT, "cs_test_1"), [answer(one) for one in contents])
    assert isinstance(found, Charge)
    return found


def test_a_paid_charge_tells_what_a_refund_needs() -> None:
    read = told(session("cs_test_1"))
    assert (read.payment_id, read.amount_refunded, read.status) == ("pi_1", 300, ChargeStatus.PAID)
    unexpanded = session("cs_test_1", payment_intent="pi_2", status="open", payment_status="unpaid")
    assert told(unexpanded).payment_id == "pi_2"


def test_only_an_open_session_can_be_ended() -> None:
    request = stripe_checkout.expire(ACCOUNT, replace(PAID, status=ChargeStatus.OPEN))
    assert request is not None
    assert (request.method, request.url) == ("POST", "https://api.stripe.com/v1/checkout/sessions/cs_test_1/expire")
    # Stripe cancels no payment of a session that is complete: a slip lives until its end
    for status in (ChargeStatus.PENDING, ChargeStatus.PAID, ChargeStatus.EXPIRED):
        assert stripe_checkout.expire(ACCOUNT, replace(PAID, status=status)) is None


def test_a_refund_is_asked_for_once() -> None:
    request = stripe_checkout.refund(ACCOUNT, PAID, 500, "ref-1.r1")
    assert request is not None
    assert request.url == "https://api.stripe.com/v1/refunds"
    assert request.headers["Idempotency-Key"] == "ref-1.r1"
    assert parse_qsl(request.body.decode()) == [
        ("payment_intent", "pi_1"),
        ("amount", "500"),
        ("reason", "requested_by_customer"),
        ("metadata[reference]", "ref-1"),
        ("metadata[refund]", "ref-1.r1"),
    ]
    for other in (replace(PAID, payment_id=None), replace(PAID, status=ChargeStatus.REFUNDED)):
        assert stripe_checkout.refund(ACCOUNT, other, 500, "r") is None


@pytest.mark.parametrize(
    ("status", "read"),
    [
        ("succeeded", RefundStatus.DONE),
        ("pending", RefundStatus.PENDING),
        ("requires_action", RefundStatus.PENDING),
        ("failed", RefundStatus.FAILED),
        ("canceled", RefundStatus.FAILED),
    ],
)
def test_a_refunds_answer(status: str, read: RefundStatus) -> None:
    made = {"object": "refund", "id": "re_1", "amount": 500, "status": status}
    assert stripe_checkout.refunded(answer(made)) == Refund(read, 500, "re_1")


def test_a_refund_that_was_refused_or_cant_be_read() -> None:
    with pytest.raises(UnclearCharge, match="charge_already_refunded") as caught:
        stripe_checkout.refunded(answer({"error": {"code": "charge_already_refunded"}}, 400))
    assert caught.value.final
    for broken in ({"object": "charge"}, {"object": "refund", "amount": "500"}):
        with pytest.raises(UnclearCharge):
            stripe_checkout.refunded(answer(broken))


def test_a_day_is_japans() -> None:
    query = parse_qs(urlsplit(stripe_checkout.day_request(ACCOUNT, date(2026, 11, 23)).url).query)
    begin, end = day_bounds(date(2026, 11, 23))
    assert begin.isoformat() == "2026-11-22T15:00:00+00:00"
    assert end.isoformat() == "2026-11-23T15:00:00+00:00"
    assert query == {
        "created[gte]": [str(int(begin.timestamp()))],
        "created[lt]": [str(int(end.timestamp()))],
        "limit": ["100"],
        "expand[0]": ["data.payment_intent.latest_charge.refunds"],
    }
    more = parse_qs(urlsplit(stripe_checkout.day_request(ACCOUNT, date(2026, 11, 23), "cs_9").url).query)
    assert more["starting_after"] == ["cs_9"]


def test_a_page_of_a_day_leaves_out_what_is_not_ours_to_read() -> None:
    day = date(2026, 11, 23)
    found = [session("cs_1"), session("cs_2", mode="subscription"), session("cs_3", payment_status="?")]
    page = stripe_checkout.parse_list(day, answer({"object": "list", "data": found, "has_more": True}))
    assert ([one.provider_id for one in page.charges], page.cursor) == (["cs_1"], "cs_3")
    last = stripe_checkout.parse_list(day, answer({"object": "list", "data": found, "has_more": False}))
    assert last.cursor is None
    assert stripe_checkout.parse_list(day, answer({"object": "list", "data": [], "has_more": True})).cursor is None
    with pytest.raises(UnclearCharge):
        stripe_checkout.parse_list(day, answer({"object": "charge"}))


def disputed(*statuses: str) -> dict[str, Any]:
    return {"object": "list", "data": [{"object": "dispute", "status": status} for status in statuses]}


CONTESTED = session("cs_test_1", payment_intent={"id": "pi_1", "latest_charge": {"disputed": True}})


@pytest.mark.parametrize(
    ("statuses", "read"),
    [
        (["warning_needs_response"], Dispute.OPEN),
        (["needs_response"], Dispute.OPEN),
        (["under_review"], Dispute.OPEN),
        (["unheard_of"], Dispute.OPEN),
        ([], Dispute.OPEN),  # the charge says that there is one
        (["lost"], Dispute.LOST),
        (["won"], Dispute.WON),
        (["warning_closed"], Dispute.WON),
        (["won", "needs_response"], Dispute.OPEN),
    ],
)
def test_how_a_dispute_stands_is_asked_where_there_is_one(statuses: list[str], read: Dispute) -> None:
    asked = stripe_checkout.fetch(ACCOUNT, "cs_test_1")
    second = stripe_checkout.charge(asked, [answer(CONTESTED)])
    assert isinstance(second, Request)
    assert second.url == "https://api.stripe.com/v1/disputes?payment_intent=pi_1&limit=100"
    assert second.headers == asked.headers
    assert told(CONTESTED, disputed(*statuses)).dispute is read
    # a restricted key may not ask: that there is one is known all the same
    refused = [answer(CONTESTED), answer({"error": {"code": "more_permissions_required"}}, 403)]
    assert stripe_checkout.charge(asked, refused) == told(CONTESTED, disputed("needs_response"))


def test_our_refunds_are_told_by_our_reference() -> None:
    refunds = [
        {"status": "failed", "amount": 12_300, "metadata": {"refund": "ref-1.r1"}},
        {"status": "requires_action", "amount": 12_300, "metadata": {"refund": "ref-1.r2"}},
        {"status": "succeeded", "amount": 300, "metadata": {}},
    ]
    latest = {"refunds": {"object": "list", "data": refunds, "has_more": False}}
    read = told(session("cs_test_1", payment_intent={"id": "pi_1", "latest_charge": latest}))
    assert read.refunds == {"ref-1.r1": RefundStatus.FAILED, "ref-1.r2": RefundStatus.PENDING}
    assert (read.amount_refunded, read.dispute) == (300, None)
