"""PAY.JP after the order: ending a page, giving money back, and the list of a day's payments."""

import json
from dataclasses import replace
from datetime import date

import payjpv2
import pytest

from app.providers.http import Response
from app.providers.payments.base import Charge, ChargeStatus, PaymentAccess, RefundStatus, UnclearCharge
from app.providers.payments.payjp import payjp
from tests.providers.payments.payjp_answers import flow

ACCOUNT = PaymentAccess("https://api.pay.jp/", {}, {"secret_key": "sk_test_secret"})
PAID = Charge("cs_test_1", "abc.12.p1", ChargeStatus.PAID, 12_300, "jpy", payment_id="pfw_1")


def answer(content: object) -> Response:
    return Response(200, {}, json.dumps(content).encode())


def test_an_open_session_can_be_ended() -> None:
    request = payjp.expire(ACCOUNT, replace(PAID, status=ChargeStatus.OPEN))
    assert request is not None
    assert (request.method, request.url) == ("POST", "https://api.pay.jp/v2/checkout/sessions/cs_test_1/expire")
    assert payjp.expire(ACCOUNT, PAID) is None


def test_a_refund_is_asked_for_once() -> None:
    request = payjp.refund(ACCOUNT, PAID, 500, "abc.12.p1.r1")
    assert request == payjp.refund(ACCOUNT, PAID, 500, "abc.12.p1.r1")
    assert request is not None
    read = payjpv2.PaymentRefundCreateRequest.from_json(request.body.decode())
    assert read is not None
    assert (read.payment_flow_id, read.amount) == ("pfw_1", 500)
    assert json.loads(request.body)["metadata"] == {"reference": "abc.12.p1", "refund": "abc.12.p1.r1"}
    for charge_ in (replace(PAID, payment_id=None), replace(PAID, status=ChargeStatus.REFUNDED)):
        assert payjp.refund(ACCOUNT, charge_, 500, "r") is None


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
    body = {"object": "payment_refund", "id": "re_1", "status": status, "amount": 500}
    assert payjp.refunded(answer(body)).status is read
    for broken in (body | {"status": "?"}, body | {"amount": True}, {"object": "payment_flow"}):
        with pytest.raises(UnclearCharge):
            payjp.refunded(answer(broken))


def test_a_day_is_picked_from_the_list() -> None:
    """The 23rd in Japan is from 15:00 UTC of the 22nd."""
    day = date(2026, 11, 23)
    times = ("2026-11-23T15:00:00Z", "2026-11-23T14:59:59Z", "2026-11-22T15:00:00Z", "2026-11-22T14:59:59Z")
    flows = [flow(id=f"pfw_{at}", created_at=made) for at, made in enumerate(times)]
    page = payjp.parse_list(day, answer({"object": "list", "has_more": True, "data": flows}))
    assert ([one.payment_id for one in page.charges], page.cursor) == (["pfw_1", "pfw_2"], None)
    page = payjp.parse_list(day, answer({"object": "list", "has_more": True, "data": flows[:2]}))
    assert page.cursor == "pfw_1"
    assert payjp.day_request(ACCOUNT, day, "pfw_1").url.endswith("/v2/payment_flows?limit=100&starting_after=pfw_1")
    assert payjp.parse_list(day, answer({"object": "list", "has_more": False, "data": flows[:2]})).cursor is None
    strangers = [flow(metadata={}), flow(status="requires_action"), {"object": "payment_flow"}]
    page = payjp.parse_list(day, answer({"object": "list", "data": strangers}))
    assert [(one.reference, one.status) for one in page.charges] == [
        (None, ChargeStatus.PAID),
        ("abc.12.p1", ChargeStatus.OPEN),
    ]
