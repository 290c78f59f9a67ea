"""A fifth payment provider, made up for `test_fifth_providers`: one file, as a real one would be."""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from app.providers.http import AccountField, Request, Response
from app.providers.payments.base import (
    ANY_AMOUNT,
    BadSignature,
    Charge,
    ChargeStatus,
    Order,
    Page,
    PaymentAccess,
    Refund,
    UnclearCharge,
    WebhookEvent,
)


class _ToyPay:
    name = "toypay"
    label = "トイペイ"
    api_base = "https://pay.toy.example"
    methods: Mapping[str, str] = {"coin": "コイン"}
    fields: Sequence[AccountField] = (
        AccountField("key", "キー", secret=True),
        AccountField("webhook_key", "Webhookのキー", secret=True),
        AccountField("methods", "支払方法", choices=methods),
    )
    lifetime_s = (60, 86_400)
    page_domains = ("pay.toy.example",)
    tells_end = True

    def bounds(self, settings: Mapping[str, str]) -> tuple[int, int]:
        del settings
        return ANY_AMOUNT

    def start(self, account: PaymentAccess, order: Order) -> Request:
        told = {
            "order": order.reference,
            "yen": order.amount_yen,
            "back": order.success_url,
            "until": order.expires_at.isoformat(),
        }
        url = f"{account.base_url}/orders"
        return Request("POST", url, _headers(account), json.dumps(told).encode(), account.timeout_s)

    def fetch(self, account: PaymentAccess, provider_id: str) -> Request:
        url = f"{account.base_url}/orders/{quote(provider_id, safe='')}"
        return Request("GET", url, _headers(account), timeout_s=account.timeout_s)

    def charge(self, asked: Request, answers: Sequence[Response]) -> Charge | Request:
        del asked
        told = _object(answers[-1])
        try:
            status, yen = ChargeStatus(str(told.get("state"))), told.get("yen")
        except ValueError:
            raise UnclearCharge("state") from None
        if type(yen) is not int or not isinstance(told.get("id"), str):
            raise UnclearCharge("unreadable")
        return Charge(
            told["id"],
            told.get("order"),
            status,
            yen,
            "jpy",
            method="coin" if status is ChargeStatus.PAID else None,
            url=told.get("url"),
        )

    def webhook(self, account: PaymentAccess, headers: Mapping[str, str], body: bytes, now: datetime) -> WebhookEvent:
        del now
        key = account.credentials["webhook_key"].encode()
        if not hmac.compare_digest(headers.get("x-toy-signature", ""), hmac.digest(key, body, hashlib.sha256).hex()):
            raise BadSignature
        told = _object(Response(HTTPStatus.OK, {}, body))
        if not isinstance(told.get("event"), str) or not isinstance(told.get("id"), str):
            raise UnclearCharge("unreadable")
        return WebhookEvent(told["event"], "order", told["id"])

    def expire(self, account: PaymentAccess, charge: Charge) -> Request | None:
        url = f"{account.base_url}/orders/{quote(charge.provider_id, safe='')}/end"
        return Request("POST", url, _headers(account), b"{}", account.timeout_s)

    def refund(self, account: PaymentAccess, charge: Charge, amount_yen: int, reference: str) -> Request | None:
        del account, charge, amount_yen, reference
        return None

    def refunded(self, response: Response) -> Refund:
        raise UnclearCharge(f"http_{response.status}", final=True)

    def day_request(self, account: PaymentAccess, day: date, cursor: str = "") -> Request | None:
        del account, day, cursor
        return None

    def parse_list(self, day: date, response: Response) -> Page:
        del day
        raise UnclearCharge(f"http_{response.status}", final=True)


toypay = _ToyPay()


def _headers(account: PaymentAccess) -> dict[str, str]:
    return {"Authorization": f"Bearer {account.credentials['key']}", "Content-Type": "application/json"}


def _object(response: Response) -> dict[str, Any]:
    try:
        told = json.loads(response.body)
    except (ValueError, RecursionError):
        told = None
    if response.status != HTTPStatus.OK or not isinstance(told, dict):
        raise UnclearCharge(f"http_{response.status}", final=response.status == HTTPStatus.NOT_FOUND)
    return told
