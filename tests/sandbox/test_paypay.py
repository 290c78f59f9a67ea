"""PayPay's stand-in, judged by PayPay's own SDK, which signs every call."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from sandbox.harness import Sandbox
from tests.payments.sdks import paypay_client
from tests.payments.shop import choose
from tests.sandbox.conftest import Listener

KEY, SECRET, MERCHANT = "key-1", "secret-1", "merchant-1"


@pytest.fixture
def told(sandbox: Sandbox, listener: Listener) -> Listener:
    sandbox.addresses(paypay_webhooks={KEY: {"url": listener.url, "secret": SECRET}})
    return listener


@pytest.fixture
def client(sandbox: Sandbox, told: Listener) -> Iterator[Any]:
    with paypay_client(sandbox.paypay_base, KEY, SECRET, MERCHANT) as made:
        yield made


def opened(client: Any, reference: str = "ref-1", amount: int = 12_300) -> dict[str, Any]:
    made: dict[str, Any] = client.Code.create_qr_code(
        {
            "merchantPaymentId": reference,
            "codeType": "ORDER_QR",
            "amount": {"amount": amount, "currency": "JPY"},
            "orderDescription": "初回保険料",
            "redirectUrl": "http://127.0.0.1:9/back",
            "redirectType": "WEB_LINK",
        }
    )
    return made


def code(answer: dict[str, Any]) -> str:
    return str(answer["resultInfo"]["code"])


def test_a_code_is_made_once(sandbox: Sandbox, client: Any) -> None:
    made = opened(client)
    data = made["data"]
    assert code(made) == "SUCCESS"
    assert data["url"] == f"{sandbox.url}/till/{data['codeId']}"
    assert 0 < data["expiryDate"] - datetime.now(UTC).timestamp() <= 300
    assert code(opened(client)) == "DUPLICATE_DYNAMIC_QR_REQUEST"
    assert client.Code.get_payment_details("ref-1")["data"] == {"status": "CREATED", "acceptedAt": 0, "requestedAt": 0}
    assert code(client.Code.get_payment_details("ref-2")) == "DYNAMIC_QR_PAYMENT_NOT_FOUND"


def test_a_balance_pays(client: Any, told: Listener) -> None:
    made = opened(client)["data"]
    choose(made["url"], "declined")
    assert client.Code.get_payment_details("ref-1")["data"]["status"] == "CREATED"
    choose(made["url"], "paypay")
    paid = client.Code.get_payment_details("ref-1")["data"]
    assert (paid["status"], paid["amount"], paid["merchantPaymentId"]) == (
        "COMPLETED",
        {"amount": 12_300, "currency": "JPY"},
        "ref-1",
    )
    assert client.Payment.get_payment_details("ref-1")["data"] == paid
    ((headers, body),) = told.wait(1)
    event = json.loads(body)
    assert (event["notification_type"], event["state"], event["merchant_id"]) == ("Transaction", "COMPLETED", MERCHANT)
    assert (event["order_id"], event["merchant_order_id"]) == (paid["paymentId"], "ref-1")
    assert "Signature" not in str(headers)
    assert code(client.Code.delete_qr_code(made["codeId"])) == "DYNAMIC_QR_ALREADY_PAID"


def test_a_deleted_code_pays_nothing_and_stays_created(client: Any) -> None:
    made = opened(client)["data"]
    assert code(client.Code.delete_qr_code(made["codeId"])) == "SUCCESS"
    choose(made["url"], "paypay")
    assert client.Code.get_payment_details("ref-1")["data"]["status"] == "CREATED"
    assert code(client.Code.delete_qr_code("04-unknown")) == "DYNAMIC_QR_NOT_FOUND"


@pytest.mark.parametrize("first", ["declined", "paypay"])
def test_a_payment_can_be_cancelled(client: Any, first: str) -> None:
    made = opened(client)["data"]
    choose(made["url"], first)
    assert code(client.Payment.cancel_payment("ref-1")) == "REQUEST_ACCEPTED"
    assert client.Code.get_payment_details("ref-1")["data"]["status"] == "CANCELED"
    assert code(client.Payment.cancel_payment("ref-1")) == "ORDER_NOT_REVERSIBLE"


def test_one_refund_for_a_payment(client: Any) -> None:
    choose(opened(client)["data"]["url"], "paypay")
    payment_id = client.Code.get_payment_details("ref-1")["data"]["paymentId"]

    def refund(name: str, amount: int) -> dict[str, Any]:
        wish = {"merchantRefundId": name, "paymentId": payment_id, "amount": {"amount": amount, "currency": "JPY"}}
        made: dict[str, Any] = client.Payment.refund_payment(wish)
        return made

    assert code(refund("re-1", 12_301)) == "INVALID_PARAMS"
    assert refund("re-1", 12_300)["data"]["status"] == "CREATED"
    assert refund("re-1", 12_300)["data"]["amount"]["amount"] == 12_300
    assert code(refund("re-2", 1)) == "UNACCEPTABLE_OP"
    assert client.Payment.refund_details("re-1")["data"]["merchantRefundId"] == "re-1"
    refunded = client.Code.get_payment_details("ref-1")["data"]
    assert (refunded["status"], len(refunded["refunds"]["data"])) == ("REFUNDED", 1)


def test_only_the_key_and_its_secret_come_in_and_in_time(sandbox: Sandbox, client: Any) -> None:
    for key, secret, merchant in (
        (KEY, "other", MERCHANT),
        ("other", SECRET, MERCHANT),
        (KEY, SECRET, ""),
    ):
        with paypay_client(sandbox.paypay_base, key, secret, merchant) as stranger:
            assert code(opened(stranger)) == "UNAUTHORIZED"
    with time_machine.travel(datetime(2026, 1, 1, tzinfo=UTC)):
        assert code(opened(client)) == "UNAUTHORIZED"
    assert code(opened(client)) == "SUCCESS"
