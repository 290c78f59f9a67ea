"""KOMOJU's door: the part of its API v1 that sessions need.

In: HTTP requests as the official SDK sends them (JSON, Basic with an `sk_test_…` key and no password). Out: KOMOJU's
sessions, payments and errors. Spoken are sessions (create, show, cancel), payments (list, show, cancel, refund) and
`X-KOMOJU-IDEMPOTENCY`. The browser goes back to `return_url` with `session_id` added, paid or not. A konbini takes a
fee of its own. Webhooks are signed with the account's secret. A live key is refused.
"""

import base64
import binascii
import hmac
import json
import time
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit, urlunsplit

from aiohttp import web

from sandbox.checkout import account_of
from sandbox.idempotency import Idempotency
from sandbox.json_door import Act, Call, Json, JsonDoor, Refused, check
from sandbox.middleware import Gate, Reply
from sandbox.orders import Order, Orders, WrongMomentError, new_id
from sandbox.schemas import address, metadata
from sandbox.settings import Webhook

SITE = "komoju"
VERSION = "2025-01-28"
_METHODS = frozenset({"credit_card", "konbini", "paypay", "bank_transfer", "pay_easy"})
_FEES = {"konbini": 190}  # yen, on top of the amount
_NO_REFUND = frozenset({"konbini", "bank_transfer", "pay_easy"})
_LONGEST_S = 86_400
_LONGEST_KEY = 100
_LONGEST_PAGE = 100
_SESSION = {
    "mode": frozenset({"payment"}),
    "amount*": int,
    "currency*": frozenset({"JPY"}),
    "return_url": address,
    "default_locale": frozenset({"ja", "en", "ko"}),
    "email": str,
    "expires_in_seconds": int,
    "external_customer_id": str,
    "payment_types": [_METHODS],
    "payment_data": {"external_order_num": str, "capture": frozenset({"auto", "manual"}), "name": str},
    "line_items": [{"description": str, "quantity": int, "amount": int}],
    "metadata": metadata,
}
_REFUND = {"amount": int, "description": str}
_EVENTS = {
    "ordered": ("payment.authorized",),
    "paid": ("payment.captured",),
    "declined": ("payment.failed",),
    "lapsed": ("payment.expired",),
    "cancelled": ("payment.cancelled",),
    "refunded": ("payment.refund.created",),
}
_STATUS = {"ordered": "authorized", "paid": "captured", "lapsed": "expired", "cancelled": "cancelled"}


class Komoju:
    """The API over the orders."""

    def __init__(self, orders: Orders, idempotency: Idempotency) -> None:
        self._orders = orders
        self._door = JsonDoor(SITE, _account, _error, idempotency, "X-KOMOJU-IDEMPOTENCY", "idempotency_conflict")
        orders.told_by(SITE, self._tell)

    def routes(self, gate: Gate) -> list[web.RouteDef]:
        """Return the routes of the API, guarded."""
        calls: list[tuple[str, str, str, Act]] = [
            ("POST", "sessions", "session_create", self._create),
            ("GET", "sessions/{id}", "session_show", self._show),
            ("POST", "sessions/{id}/cancel", "session_cancel", self._cancel),
            ("GET", "payments", "payment_list", self._list),
            ("GET", "payments/{id}", "payment_show", self._show_payment),
            ("POST", "payments/{id}/cancel", "payment_cancel", self._cancel_payment),
            ("POST", "payments/{id}/refund", "payment_refund", self._refund),
        ]
        return [
            web.route(method, f"/komoju/api/v1/{path}", gate.guard(call, self._door.answer(act)))
            for method, path, call, act in calls
        ]

    def _create(self, call: Call) -> tuple[int, Json, str]:
        if len(call.headers.get("X-KOMOJU-IDEMPOTENCY", "")) > _LONGEST_KEY:
            raise Refused(400, "bad_request", "the idempotency key is too long")
        body = call.body
        check(body, _SESSION, status=422, code="unprocessable_entity")
        life_s = body.get("expires_in_seconds", _LONGEST_S)
        if body["amount"] < 1 or not 0 < life_s <= _LONGEST_S:
            raise Refused(422, "unprocessable_entity", "amount or expires_in_seconds is out of bounds")
        now = time.time()
        session_id = new_id(25)
        back = _with(body.get("return_url", ""), session_id)
        lines = body.get("line_items", [])
        order = Order(
            id=session_id,
            site=SITE,
            account=call.account,
            reference=body.get("payment_data", {}).get("external_order_num", ""),
            amount=body["amount"],
            description=lines[0].get("description", "") if lines else "",
            methods=body.get("payment_types", sorted(_METHODS)),
            success_url=back,
            cancel_url=back,
            created_at=now,
            expires_at=now + life_s,
            kept=body,
        )
        self._orders.open(order)
        return 200, self._session(order), session_id

    def _show(self, call: Call) -> tuple[int, Json, str]:
        order = self._find(call.account, call.ids["id"])
        return 200, self._session(order), order.id

    def _cancel(self, call: Call) -> tuple[int, Json, str]:
        order = self._find(call.account, call.ids["id"])
        if order.state != "open":
            raise Refused(422, "unprocessable_entity", "the session can't be cancelled any more")
        self._orders.end(order, "cancelled")
        return 200, self._session(order), order.id

    def _show_payment(self, call: Call) -> tuple[int, Json, str]:
        order = self._by_payment(call.account, call.ids["id"])
        return 200, _payment(order), order.payment_id

    def _cancel_payment(self, call: Call) -> tuple[int, Json, str]:
        order = self._by_payment(call.account, call.ids["id"])
        if order.state != "ordered":
            raise Refused(422, "not_cancellable", "only a pending or authorized payment can be cancelled")
        self._orders.end(order, "cancelled")
        return 200, _payment(order), order.payment_id

    def _refund(self, call: Call) -> tuple[int, Json, str]:
        check(call.body, _REFUND, status=422, code="unprocessable_entity")
        order = self._by_payment(call.account, call.ids["id"])
        amount = call.body.get("amount", order.amount - order.refunded)
        if order.method in _NO_REFUND:
            raise Refused(422, "not_refundable", "this means of payment can't be refunded")
        try:
            self._orders.refund(order, amount, call.body)
        except WrongMomentError:
            raise Refused(422, "refund_exceeds_payment_amount", "there is not so much to give back") from None
        return 200, _payment(order), order.payment_id

    def _list(self, call: Call) -> tuple[int, Json, None]:
        query = call.query
        per_page, page = _count(query.get("per_page", "25")), _count(query.get("page", "1"))
        begin = _moment(query.get("start_time"), 0.0)
        end = _moment(query.get("end_time"), time.time())
        found = [
            _payment(one)
            for one in self._orders.of(SITE, call.account)
            if one.payment_id and begin <= one.created_at < end
        ]
        last = max(1, -(-len(found) // per_page))
        shown = found[(page - 1) * per_page : page * per_page]
        counted = {"total": len(found), "page": page, "per_page": per_page, "last_page": last}
        span = {"start_time": _time(begin), "end_time": _time(end)}
        return 200, {"resource": "payment_list", "data": shown, **span, **counted}, None

    def _find(self, account: str, order_id: str) -> Order:
        order = self._orders.get(order_id)
        if order is None or (order.site, order.account) != (SITE, account):
            raise Refused(404, "not_found", f"The requested resource could not be found ({order_id[:100]}).")
        return order

    def _by_payment(self, account: str, payment_id: str) -> Order:
        for order in self._orders.of(SITE, account):
            if order.payment_id == payment_id:
                return order
        raise Refused(404, "not_found", f"The requested resource could not be found ({payment_id[:100]}).")

    def _session(self, order: Order) -> Json:
        done = bool(order.method) and order.state in {"ordered", "paid", "lapsed", "cancelled"}
        kept = order.kept
        return {
            "id": order.id,
            "resource": "session",
            "mode": "payment",
            "amount": order.amount,
            "currency": "JPY",
            "session_url": f"{self._orders.pages}/till/{order.id}",
            "return_url": kept.get("return_url"),
            "default_locale": kept.get("default_locale", "ja"),
            "payment_methods": [{"type": method} for method in order.methods],
            "created_at": _time(order.created_at),
            "cancelled_at": _time(order.changed_at) if order.state == "cancelled" and not done else None,
            "completed_at": _time(order.changed_at) if done else None,
            "status": "completed" if done else "cancelled" if order.state == "cancelled" else "pending",
            "expired": order.state == "expired",
            "metadata": kept.get("metadata", {}),
            "payment_data": kept.get("payment_data", {}),
            "line_items": kept.get("line_items", []),
            "payment": _payment(order) if order.payment_id else None,
        }

    def _tell(self, order: Order, what: str, webhook: Webhook) -> None:
        kinds = _EVENTS.get(what, ()) if order.payment_id else ()
        if what == "refunded" and order.refunded == order.amount:
            kinds = (*kinds, "payment.refunded")
        for kind in kinds:
            event_id = new_id(25)
            event = {
                "id": event_id,
                "type": kind,
                "resource": "event",
                "data": _payment(order),
                "created_at": _time(time.time()),
                "reason": None,
            }
            body = json.dumps(event).encode()
            headers = {
                "Content-Type": "application/json",
                "X-Komoju-ID": event_id,
                "X-Komoju-Event": kind,
                "X-Komoju-Signature": hmac.digest(webhook.secret.encode(), body, "sha256").hex(),
            }
            self._orders.courier.announce(webhook.url, body, headers, self._orders.switches)


def failure(status: int) -> Reply:
    """Make the 429 or 500 that a switch asks for."""
    code = "too_many_requests" if status == HTTPStatus.TOO_MANY_REQUESTS else "internal_server_error"
    return _error(Refused(status, code, "The sandbox was told so."))


def _error(refused: Refused) -> Reply:
    shown: Json = {
        "error": {
            "code": refused.code,
            "message": refused.message,
            "param": refused.field or None,
            "details": {},
        }
    }
    return Reply(refused.status, json.dumps(shown).encode(), {"Content-Type": "application/json"})


def _account(request: web.Request, body: bytes) -> str:
    """Name the account of the request's secret key."""
    del body
    scheme, _, login = request.headers.get("Authorization", "").partition(" ")
    try:
        key, _, password = base64.b64decode(login, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        key, password = "", ""
    if scheme.lower() != "basic" or not key.startswith("sk_test_") or password:
        raise Refused(401, "unauthorized", "Could not authenticate with the given API key.")
    return account_of(key)


def _payment(order: Order) -> Json:
    fee = _FEES.get(order.method, 0)
    status = _STATUS.get(order.state, "failed" if order.declined else "pending")
    if order.refunds and order.refunded == order.amount:
        status = "refunded"
    return {
        "id": order.payment_id,
        "resource": "payment",
        "status": status,
        "amount": order.amount,
        "tax": 0,
        "customer": None,
        "payment_deadline": _time(order.pay_by) if order.pay_by else None,
        "payment_details": {"type": order.method, "email": None},
        "payment_method_fee": fee,
        "total": order.amount + fee,
        "currency": "JPY",
        "description": None,
        "captured_at": _time(order.paid_at) if order.paid_at else None,
        "external_order_num": order.reference or None,
        "metadata": order.kept.get("metadata", {}),
        "created_at": _time(order.created_at),
        "amount_refunded": order.refunded,
        "locale": order.kept.get("default_locale", "ja"),
        "session": order.id,
        "customer_family_name": None,
        "customer_given_name": None,
        "mcc": None,
        "statement_descriptor": None,
        "refunds": [
            {
                "id": refund["id"],
                "resource": "refund",
                "amount": refund["amount"],
                "currency": "JPY",
                "payment": order.payment_id,
                "description": refund["asked"].get("description"),
                "created_at": _time(refund["at"]),
                "chargeback": refund["asked"].get("chargeback", False),
            }
            for refund in order.refunds
        ],
        "refund_requests": [],
    }


def _with(url: str, session_id: str) -> str:
    """Add `session_id` to an address."""
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, urlencode({"session_id": session_id})) if part)
    return urlunsplit(parts._replace(query=query)) if url else ""


def _count(told: str) -> int:
    if not told.isdigit() or not 1 <= int(told) <= _LONGEST_PAGE:
        raise Refused(422, "unprocessable_entity", "page and per_page must be numbers from 1 to 100")
    return int(told)


def _moment(told: str | None, default: float) -> float:
    try:
        return datetime.fromisoformat(told).timestamp() if told else default
    except ValueError:
        raise Refused(422, "unprocessable_entity", "start_time and end_time must be times") from None


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
