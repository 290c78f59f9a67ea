"""PAY.JP's door: the part of its API v2 that Checkout needs.

In: HTTP requests as the official SDK sends them (JSON, Bearer or Basic with an `sk_test_…` key). Out: PAY.JP's objects
and problem+json. Spoken are checkout sessions (create, list, retrieve, expire), payment flows (list, retrieve, their
refunds), payment refunds (create, list, retrieve), disputes (list), and `Idempotency-Key`. A session gets its payment
flow when the person first tries to pay. Webhooks bear the account's token and no signature. A live key is refused.
"""

import base64
import binascii
import json
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from sandbox.checkout import account_of
from sandbox.idempotency import Idempotency
from sandbox.json_door import Act, Call, Json, JsonDoor, Refused, check
from sandbox.middleware import Gate, Reply
from sandbox.orders import Order, Orders, WrongMomentError, new_id
from sandbox.schemas import address, metadata
from sandbox.settings import Webhook

SITE = "payjp"
_METHODS = frozenset({"card", "paypay", "apple_pay"})
_LEAST_YEN = 50
_LONGEST_S = 86_400
_LONGEST_PAGE = 100
_KEY = re.compile(r"[A-Za-z0-9_-]{1,255}")
_SESSION = {
    "mode*": frozenset({"payment"}),
    "line_items*": [
        {
            "quantity*": int,
            "price_data*": {
                "currency*": frozenset({"jpy"}),
                "unit_amount*": int,
                "product_data*": {"name*": str, "description": str},
            },
        }
    ],
    "client_reference_id": str,
    "metadata": metadata,
    "payment_flow_data": {
        "capture_method": frozenset({"automatic", "manual"}),
        "description": str,
        "metadata": metadata,
    },
    "payment_method_types": [_METHODS],
    "success_url": address,
    "cancel_url": address,
    "redirect_options": {"include_client_secret": bool},
    "expires_at": str,
    "locale": frozenset({"ja", "auto"}),
    "currency": frozenset({"jpy"}),
    "submit_type": frozenset({"auto", "book", "donate", "pay"}),
    "ui_mode": frozenset({"hosted"}),
}
_REFUND = {
    "payment_flow_id*": str,
    "amount": int,
    "reason": frozenset({"duplicate", "fraudulent", "requested_by_customer"}),
    "metadata": metadata,
}
_EVENTS = {
    "paid": (("payment_flow.succeeded", "flow"), ("checkout.session.completed", "session")),
    "declined": (("payment_flow.payment_failed", "flow"),),
    "expired": (("checkout.session.expired", "session"),),
    "refunded": (("refund.created", "refund"),),
    "refund_failed": (("refund.updated", "failed"),),
    "disputed": (("payment_dispute.updated", "dispute"),),
}


class Payjp:
    """The API over the orders."""

    def __init__(self, orders: Orders, idempotency: Idempotency) -> None:
        self._orders = orders
        self._door = JsonDoor(SITE, _account, problem, idempotency, "Idempotency-Key", "idempotency_conflict")
        orders.told_by(SITE, self._tell)

    def routes(self, gate: Gate) -> list[web.RouteDef]:
        """Return the routes of the API, guarded."""
        calls: list[tuple[str, str, str, Act]] = [
            ("POST", "checkout/sessions", "session_create", self._create),
            ("GET", "checkout/sessions", "session_list", self._list_sessions),
            ("GET", "checkout/sessions/{id}", "session_retrieve", self._retrieve),
            ("POST", "checkout/sessions/{id}/expire", "session_expire", self._expire),
            ("GET", "payment_flows", "flow_list", self._list_flows),
            ("GET", "payment_flows/{id}", "flow_retrieve", self._flow),
            ("GET", "payment_flows/{id}/refunds", "flow_refunds", self._flow_refunds),
            ("POST", "payment_refunds", "refund_create", self._refund),
            ("GET", "payment_refunds", "refund_list", self._list_refunds),
            ("GET", "payment_refunds/{id}", "refund_retrieve", self._retrieve_refund),
            ("GET", "payment_disputes", "dispute_list", self._list_disputes),
        ]
        return [
            web.route(method, f"/payjp/v2/{path}", gate.guard(call, self._door.answer(act)))
            for method, path, call, act in calls
        ]

    def _create(self, call: Call) -> tuple[int, Json, str]:
        key = call.headers.get("Idempotency-Key")
        if key is not None and not _KEY.fullmatch(key):
            raise Refused(400, "invalid_idempotency_key", "only letters, digits, - and _ are allowed")
        body = call.body
        check(body, _SESSION, status=422, code="validation_error")
        total = sum(line["quantity"] * line["price_data"]["unit_amount"] for line in body["line_items"])
        if total < _LEAST_YEN:
            raise Refused(422, "validation_error", f"the amount must be {_LEAST_YEN} or more", "line_items")
        now = time.time()
        session_id = f"cs_test_{new_id(24)}"
        order = Order(
            id=session_id,
            site=SITE,
            account=call.account,
            reference=body.get("client_reference_id", ""),
            amount=total,
            description=body["line_items"][0]["price_data"]["product_data"]["name"],
            methods=body.get("payment_method_types", ["card"]),
            success_url=body.get("success_url", ""),
            cancel_url=body.get("cancel_url", ""),
            created_at=now,
            expires_at=_end(body.get("expires_at"), now),
            kept=body,
        )
        self._orders.open(order)
        return 200, self._session(order), session_id

    def _retrieve(self, call: Call) -> tuple[int, Json, str]:
        order = self._find(call.account, call.ids["id"])
        return 200, self._session(order), order.id

    def _expire(self, call: Call) -> tuple[int, Json, str]:
        order = self._find(call.account, call.ids["id"])
        try:
            self._orders.end(order, "expired")
        except WrongMomentError:
            raise Refused(400, "invalid_status", f"The current status is {_status(order)}.") from None
        return 200, self._session(order), order.id

    def _flow(self, call: Call) -> tuple[int, Json, str]:
        order = self._by_flow(call.account, call.ids["id"])
        return 200, _flow(order), order.id

    def _flow_refunds(self, call: Call) -> tuple[int, Json, None]:
        order = self._by_flow(call.account, call.ids["id"])
        return 200, _page(call, [_refund(order, one) for one in reversed(order.refunds)]), None

    def _refund(self, call: Call) -> tuple[int, Json, str]:
        check(call.body, _REFUND, status=422, code="validation_error")
        order = self._by_flow(call.account, call.body["payment_flow_id"])
        amount = call.body.get("amount", order.amount - order.refunded)
        try:
            made = self._orders.refund(order, amount, call.body)
        except WrongMomentError:
            raise Refused(400, "invalid_amount", "there is not so much to give back") from None
        return 200, _refund(order, made), made["id"]

    def _list_sessions(self, call: Call) -> tuple[int, Json, None]:
        return 200, _page(call, [self._session(one) for one in self._orders.of(SITE, call.account)]), None

    def _list_flows(self, call: Call) -> tuple[int, Json, None]:
        return 200, _page(call, [_flow(one) for one in self._orders.of(SITE, call.account) if one.payment_id]), None

    def _list_refunds(self, call: Call) -> tuple[int, Json, None]:
        return 200, _page(call, self._refunds(call.account)), None

    def _retrieve_refund(self, call: Call) -> tuple[int, Json, str]:
        for refund in self._refunds(call.account):
            if refund["id"] == call.ids["id"]:
                return 200, refund, refund["id"]
        raise _missing(call.ids["id"])

    def _list_disputes(self, call: Call) -> tuple[int, Json, None]:
        wanted = call.query.get("payment_flow_id")
        found = [one for one in self._orders.of(SITE, call.account) if one.dispute]
        return 200, _page(call, [_dispute(one) for one in found if wanted in {None, _flow_id(one)}]), None

    def _refunds(self, account: str) -> list[Json]:
        orders = self._orders.of(SITE, account)
        return [_refund(order, one) for order in orders for one in reversed(order.refunds)]

    def _find(self, account: str, order_id: str) -> Order:
        order = self._orders.get(order_id)
        if order is None or (order.site, order.account) != (SITE, account):
            raise _missing(order_id)
        return order

    def _by_flow(self, account: str, flow_id: str) -> Order:
        for order in self._orders.of(SITE, account):
            if order.payment_id and _flow_id(order) == flow_id:
                return order
        raise _missing(flow_id)

    def _session(self, order: Order) -> Json:
        kept = order.kept
        return {
            "object": "checkout.session",
            "id": order.id,
            "livemode": False,
            "amount_subtotal": order.amount,
            "amount_total": order.amount,
            "customer_id": None,
            "customer_email": None,
            "customer_details": None,
            "expires_at": _time(order.expires_at),
            "currency": "jpy",
            "locale": kept.get("locale"),
            "payment_flow_id": _flow_id(order) if order.payment_id else None,
            "payment_method_types": order.methods,
            "payment_method_options": None,
            "setup_flow_id": None,
            "submit_type": kept.get("submit_type"),
            "mode": "payment",
            "ui_mode": "hosted",
            "status": _status(order),
            "success_url": order.success_url or None,
            "cancel_url": order.cancel_url or None,
            "redirect_options": {"include_client_secret": True} | kept.get("redirect_options", {}),
            "url": f"{self._orders.pages}/till/{order.id}",
            "metadata": kept.get("metadata", {}),
            "created_at": _time(order.created_at),
            "updated_at": _time(order.changed_at),
        }

    def _tell(self, order: Order, what: str, webhook: Webhook) -> None:
        about: dict[str, Callable[[Order], Json]] = {
            "session": self._session,
            "flow": _flow,
            "refund": lambda one: _refund(one, one.refunds[-1]),
            "failed": lambda one: _refund(one, [refund for refund in one.refunds if refund.get("failed")][-1]),
            "dispute": _dispute,
        }
        now = _time(time.time())
        for kind, shown in _EVENTS.get(what, ()):
            event = {
                "object": "event",
                "id": f"evnt_{new_id(24)}",
                "livemode": False,
                "type": kind,
                "pending_webhooks": 1,
                "data": about[shown](order),
                "created_at": now,
                "updated_at": now,
            }
            headers = {"Content-Type": "application/json", "X-Payjp-Webhook-Token": webhook.secret}
            self._orders.courier.announce(webhook.url, json.dumps(event).encode(), headers, self._orders.switches)


def problem(refused: Refused) -> Reply:
    """Write an error as RFC 9457 has it."""
    shown: dict[str, Any] = {
        "type": f"https://docs.pay.jp/v2/errors/{refused.code.replace('_', '-')}",
        "title": refused.code.replace("_", " ").title(),
        "status": refused.status,
        "code": refused.code,
        "detail": refused.message,
        "instance": "/v2",
    }
    if refused.field:
        shown["errors"] = [{"field": refused.field, "message": refused.message}]
    return Reply(refused.status, json.dumps(shown).encode(), {"Content-Type": "application/problem+json"})


def failure(status: int) -> Reply:
    """Make the 429 or 500 that a switch asks for."""
    return problem(Refused(status, "rate_limited" if status == 429 else "internal_error", "The sandbox was told so."))  # noqa: PLR2004


def _account(request: web.Request, body: bytes) -> str:
    """Name the account of the request's secret key."""
    del body
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            key = base64.b64decode(key, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            key = ""
    if scheme.lower() not in {"basic", "bearer"} or not key.startswith("sk_test_"):
        raise Refused(401, "unauthorized", "Give a secret key of the test mode.")
    return account_of(key)


def _missing(object_id: str) -> Refused:
    return Refused(404, "not_found", f"{object_id[:100]} was not found.")


def _end(wished: str | None, now: float) -> float:
    if wished is None:
        return now + _LONGEST_S
    try:
        end = datetime.fromisoformat(wished)
    except ValueError:
        raise Refused(422, "validation_error", "expires_at must be a time", "expires_at") from None
    if end.tzinfo is None or not now < end.timestamp() <= now + _LONGEST_S:
        raise Refused(422, "validation_error", "expires_at must be within 24 hours", "expires_at")
    return end.timestamp()


def _status(order: Order) -> str:
    return {"open": "open", "paid": "complete"}.get(order.state, "expired")


def _flow_id(order: Order) -> str:
    return f"pfw_{order.payment_id}"


def _flow(order: Order) -> Json:
    paid = order.state == "paid"
    status = "succeeded" if paid else "requires_payment_method" if order.state == "open" else "canceled"
    declined = {"type": "card_error", "code": "card_declined", "message": "カードが利用できませんでした。"}
    data = order.kept.get("payment_flow_data", {})
    return {
        "object": "payment_flow",
        "id": _flow_id(order),
        "livemode": False,
        "amount": order.amount,
        "currency": "jpy",
        "amount_capturable": 0,
        "amount_received": order.amount if paid else 0,
        "client_secret": f"{_flow_id(order)}_secret_sandbox",
        "customer_id": None,
        "description": data.get("description"),
        "payment_method_id": f"pm_{order.payment_id}" if paid else None,
        "payment_method_options": None,
        "payment_method_types": order.methods,
        "status": status,
        "next_action": None,
        "return_url": None,
        "redirect_options": {"include_client_secret": True} | order.kept.get("redirect_options", {}),
        "capture_method": "automatic",
        "last_payment_error": declined if order.declined else None,
        "cancellation_reason": "automatic" if status == "canceled" else None,
        "canceled_at": _time(order.changed_at) if status == "canceled" else None,
        "expired_at": None,
        "metadata": data.get("metadata", {}),
        "created_at": _time(order.created_at),
        "updated_at": _time(order.paid_at if paid else order.changed_at),
    }


def _refund(order: Order, refund: Json) -> Json:
    return {
        "object": "payment_refund",
        "id": f"re_{refund['id']}",
        "livemode": False,
        "payment_flow_id": _flow_id(order),
        "amount": refund["amount"],
        "status": "failed" if refund.get("failed") else "succeeded",
        "reason": refund["asked"].get("reason"),
        "metadata": refund["asked"].get("metadata", {}),
        "created_at": _time(refund["at"]),
        "updated_at": _time(refund["at"]),
    }


def _dispute(order: Order) -> Json:
    return {
        "object": "payment_dispute",
        "id": f"pdis_{order.payment_id}",
        "livemode": False,
        "payment_flow_id": _flow_id(order),
        "amount": order.amount,
        "currency": "jpy",
        "status": {"open": "needs_response", "lost": "lost", "won": "cancel"}[order.dispute],
        "reason": "fraudulent",
        "due_by": _time(order.changed_at + 7 * 86_400),
        "payment_method_type": "card",
        "metadata": {},
        "created_at": _time(order.changed_at),
        "updated_at": _time(order.changed_at),
    }


def _page(call: Call, found: Sequence[Json]) -> Json:
    limit = call.query.get("limit", "10")
    if not limit.isdigit() or not 1 <= int(limit) <= _LONGEST_PAGE:
        raise Refused(422, "validation_error", "limit must be between 1 and 100", "limit")
    ids = [one["id"] for one in found]
    after = call.query.get("starting_after")
    first = ids.index(after) + 1 if after in ids else 0
    page = list(found[first : first + int(limit)])
    return {"object": "list", "url": "/v2", "has_more": first + int(limit) < len(found), "data": page}


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
