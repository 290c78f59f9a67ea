"""PayPay OPA's door: the part of its API v2 that Web Payment needs.

In: HTTP requests as the official SDK signs them, with the API key and secret the sandbox was told of. Out: PayPay's
answers with their `resultInfo`. Spoken are codes (create, delete), payments of codes (details, cancel) and refunds
(create, details). A code lives five minutes; one that lapsed unpaid stays CREATED, and what is CREATED tells nothing
else, as PayPay's own. Webhooks are not signed.
"""

import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime
from http import HTTPStatus

from aiohttp import web

from sandbox.json_door import Act, Call, Json, JsonDoor, Refused, check
from sandbox.middleware import Gate, Reply
from sandbox.orders import Order, Orders, WrongMomentError, new_id
from sandbox.schemas import address
from sandbox.settings import Webhook

SITE = "paypay"
LIFE_S = 300
_CLOCK_S = 120
_LONGEST_ID = 64
_MONEY = {"amount*": int, "currency*": frozenset({"JPY"})}
_CODE = {
    "merchantPaymentId*": lambda value: isinstance(value, str) and 0 < len(value) <= _LONGEST_ID,
    "codeType*": frozenset({"ORDER_QR"}),
    "amount*": _MONEY,
    "orderDescription": str,
    "orderItems": [{"name*": str, "category": str, "quantity*": int, "productId": str, "unitPrice*": _MONEY}],
    "isAuthorization": bool,
    "redirectUrl": address,
    "redirectType": frozenset({"WEB_LINK", "APP_DEEP_LINK"}),
    "requestedAt": int,
}
_REFUND = {
    "merchantRefundId*": lambda value: isinstance(value, str) and 0 < len(value) <= _LONGEST_ID,
    "paymentId*": str,
    "amount*": _MONEY,
    "requestedAt*": int,
    "reason": str,
    "assumeMerchant": str,
}
_STATES = {"paid": "COMPLETED", "cancelled": "CANCELED"}


class PayPay:
    """The API over the orders."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._door = JsonDoor(SITE, self._account, _error)
        orders.told_by(SITE, self._tell)

    def routes(self, gate: Gate) -> list[web.RouteDef]:
        """Return the routes of the API, guarded."""
        calls: list[tuple[str, str, str, Act]] = [
            ("POST", "codes", "code_create", self._create),
            ("DELETE", "codes/{id}", "code_delete", self._delete),
            ("GET", "codes/payments/{id}", "payment_details", self._details),
            ("GET", "payments/{id}", "payment_details", self._details),
            ("DELETE", "payments/{id}", "payment_cancel", self._cancel),
            ("POST", "refunds", "refund_create", self._refund),
            ("POST", "refunds/", "refund_create", self._refund),  # as the Python SDK writes it
            ("GET", "refunds/{id}", "refund_details", self._refund_details),
        ]
        return [
            web.route(method, f"/paypay/v2/{path}", gate.guard(call, self._door.answer(act)))
            for method, path, call, act in calls
        ]

    def _account(self, request: web.Request, body: bytes) -> str:
        """Check the signature and name the account: its API key."""
        scheme, _, rest = request.headers.get("Authorization", "").partition(":")
        key, signature, nonce, epoch, digest = (rest.split(":") + [""] * 5)[:5]
        secret = self._orders.webhook(SITE, key).secret
        kind = request.headers.get("Content-Type", "") if body else "empty"
        hashed = base64.b64encode(hashlib.md5(kind.encode() + body).digest()).decode() if body else "empty"  # noqa: S324
        path = request.rel_url.raw_path.removeprefix("/paypay")
        signed = f"{path}\n{request.method}\n{nonce}\n{epoch}\n{kind}\n{hashed}"
        expected = base64.b64encode(hmac.digest(secret.encode(), signed.encode(), "sha256")).decode()
        genuine = scheme == "hmac OPA-Auth" and bool(secret) and hmac.compare_digest(expected, signature)
        in_time = epoch.isdigit() and abs(time.time() - int(epoch)) < _CLOCK_S
        if not (genuine and in_time and nonce and digest == hashed and request.headers.get("X-ASSUME-MERCHANT")):
            raise Refused(401, "UNAUTHORIZED", "Unauthorized request")
        return key

    def _create(self, call: Call) -> tuple[int, Json, str]:
        body = call.body
        check(body, _CODE, status=400, code="INVALID_REQUEST_PARAMS")
        if body["amount"]["amount"] < 1:
            raise Refused(400, "INVALID_REQUEST_PARAMS", "Invalid request params")
        mine = body["merchantPaymentId"]
        if any(order.reference == mine for order in self._orders.of(SITE, call.account)):
            raise Refused(400, "DUPLICATE_DYNAMIC_QR_REQUEST", "Duplicate Dynamic QR request error")
        now = time.time()
        code_id = f"04-{new_id(16)}"
        order = Order(
            id=code_id,
            site=SITE,
            account=call.account,
            reference=mine,
            amount=body["amount"]["amount"],
            description=body.get("orderDescription", ""),
            methods=["paypay"],
            success_url=body.get("redirectUrl", ""),
            cancel_url=body.get("redirectUrl", ""),
            created_at=now,
            expires_at=now + LIFE_S,
            kept={"merchant": call.headers["X-ASSUME-MERCHANT"]},
        )
        self._orders.open(order)
        made = body | {
            "codeId": code_id,
            "url": f"{self._orders.pages}/till/{code_id}",
            "deeplink": f"paypay://payment?link_key={code_id}",
            "expiryDate": int(order.expires_at),
        }
        return 201, _ok(made), code_id

    def _delete(self, call: Call) -> tuple[int, Json, str]:
        order = self._orders.get(call.ids["id"])
        if order is None or (order.site, order.account) != (SITE, call.account):
            raise Refused(404, "DYNAMIC_QR_NOT_FOUND", "Dynamic qr code not found")
        if order.state == "paid":
            raise Refused(400, "DYNAMIC_QR_ALREADY_PAID", "Dynamic QR already paid")
        if order.state == "open":
            self._orders.end(order, "expired")
        return 200, _ok({}), order.id

    def _details(self, call: Call) -> tuple[int, Json, str]:
        order = self._by_reference(call.account, call.ids["id"])
        if order is None:
            raise Refused(400, "DYNAMIC_QR_PAYMENT_NOT_FOUND", "Dynamic QR payment not found")
        return 200, _ok(_payment(order)), order.id

    def _cancel(self, call: Call) -> tuple[int, Json, str]:
        order = self._by_reference(call.account, call.ids["id"])
        try:
            if order is None:
                raise WrongMomentError
            self._orders.reverse(order)
        except WrongMomentError:
            raise Refused(400, "ORDER_NOT_REVERSIBLE", "Order cannot be reversed") from None
        accepted = {"resultInfo": {"code": "REQUEST_ACCEPTED", "message": "Request accepted", "codeId": "08100001"}}
        return 202, accepted | {"data": None}, order.id

    def _refund(self, call: Call) -> tuple[int, Json, str]:
        body = call.body
        check(body, _REFUND, status=400, code="INVALID_PARAMS")
        orders = self._orders.of(SITE, call.account)
        order = next((one for one in orders if one.payment_id == body["paymentId"]), None)
        if order is None:
            raise Refused(404, "RESOURCE_NOT_FOUND", "Order not found")
        for made in order.refunds:
            if made["asked"]["merchantRefundId"] == body["merchantRefundId"]:
                return 201, _ok(_refund(order, made)), made["id"]
        if order.refunds:
            raise Refused(400, "UNACCEPTABLE_OP", "Multiple refund not allowed")
        try:
            made = self._orders.refund(order, body["amount"]["amount"], body)
        except WrongMomentError:
            raise Refused(400, "INVALID_PARAMS", "Invalid refund amount") from None
        return 201, _ok(_refund(order, made)), made["id"]

    def _refund_details(self, call: Call) -> tuple[int, Json, str]:
        for order in self._orders.of(SITE, call.account):
            for made in order.refunds:
                if made["asked"]["merchantRefundId"] == call.ids["id"]:
                    return 200, _ok(_refund(order, made)), made["id"]
        raise Refused(404, "NO_SUCH_REFUND_ORDER", "Refund not found")

    def _by_reference(self, account: str, reference: str) -> Order | None:
        return next((one for one in self._orders.of(SITE, account) if one.reference == reference), None)

    def _tell(self, order: Order, what: str, webhook: Webhook) -> None:
        if what not in _STATES:
            return
        told = {
            "notification_type": "Transaction",
            "merchant_id": order.kept["merchant"],
            "store_id": "",
            "pos_id": "",
            "order_id": order.payment_id,
            "merchant_order_id": order.reference,
            "authorized_at": None,
            "expires_at": None,
            "paid_at": datetime.fromtimestamp(order.paid_at, UTC).isoformat() if order.paid_at else None,
            "order_amount": order.amount,
            "state": _STATES[what],
        }
        headers = {"Content-Type": "application/json"}
        self._orders.courier.announce(webhook.url, json.dumps(told).encode(), headers, self._orders.switches)


def failure(status: int) -> Reply:
    """Make the 429 or 500 that a switch asks for."""
    code = "RATE_LIMIT" if status == HTTPStatus.TOO_MANY_REQUESTS else "INTERNAL_SERVER_ERROR"
    return _error(Refused(status, code, "The sandbox was told so."))


def _error(refused: Refused) -> Reply:
    shown = {"resultInfo": {"code": refused.code, "message": refused.message, "codeId": "00000000"}, "data": None}
    return Reply(refused.status, json.dumps(shown).encode(), {"Content-Type": "application/json"})


def _ok(data: Json) -> Json:
    return {"resultInfo": {"code": "SUCCESS", "message": "Success", "codeId": "08100001"}, "data": data}


def _payment(order: Order) -> Json:
    if not order.paid_at and order.state != "cancelled":
        return {"status": "CREATED", "acceptedAt": 0, "requestedAt": 0}
    status = "REFUNDED" if order.refunds else _STATES[order.state]
    return {
        "paymentId": order.payment_id,
        "status": status,
        "acceptedAt": int(order.paid_at),
        "merchantPaymentId": order.reference,
        "amount": {"amount": order.amount, "currency": "JPY"},
        "requestedAt": int(order.created_at),
        "orderDescription": order.description,
        "refunds": {"data": [_refund(order, made) for made in order.refunds]},
    }


def _refund(order: Order, made: Json) -> Json:
    return {
        "status": "CREATED",
        "acceptedAt": int(made["at"]),
        "merchantRefundId": made["asked"]["merchantRefundId"],
        "paymentId": order.payment_id,
        "amount": {"amount": made["amount"], "currency": "JPY"},
        "requestedAt": made["asked"]["requestedAt"],
        "reason": made["asked"].get("reason", ""),
    }
