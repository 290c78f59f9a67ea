"""The payment provider's door: the part of Stripe's API that Checkout needs.

In: HTTP requests as the official SDK sends them (bracketed forms, Bearer or Basic with a `sk_test_…` key). Out:
Stripe's objects and errors. Spoken are checkout sessions (create, list, retrieve, line items, expire), payment
intents and charges (retrieve), refunds (create, list, retrieve), disputes (list), `expand[]` and `Idempotency-Key`. A
parameter outside of that is refused as unknown. A live key is refused: this is no place for one.
"""

import base64
import binascii
import json
import operator
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from aiohttp import web

from sandbox import stripe_objects as objects
from sandbox.checkout import Checkouts, account_of, shown
from sandbox.idempotency import Idempotency, Saved, fingerprint
from sandbox.middleware import Gate, Reply
from sandbox.stripe_objects import Json
from sandbox.stripe_params import StripeError, integer, metadata, missing, one_of, read, text, url

# https://docs.stripe.com/js/appendix/supported_locales, as in the official schema
_LOCALES = (
    *("auto", "bg", "cs", "da", "de", "el", "en", "en-GB", "es", "es-419", "et", "fi", "fil", "fr", "fr-CA", "hr"),
    *("hu", "id", "it", "ja", "ko", "lt", "lv", "ms", "mt", "nb", "nl", "pl", "pt", "pt-BR", "ro", "ru", "sk", "sl"),
    *("sv", "th", "tr", "vi", "zh", "zh-HK", "zh-TW"),
)
_METHODS = ("card", "konbini", "paypay")
_LEAST_YEN = 50
_MOST_YEN = 99_999_999
_MOST_KONBINI_DAYS = 60
_LONGEST_PAGE = 100
_SHORTEST_S = 30 * 60
_LONGEST_S = 24 * 60 * 60
# kind -> field that may be expanded -> kind of what stands there then
_EXPANDABLE = {
    "checkout.session": {"line_items": "item", "payment_intent": "payment_intent"},
    "payment_intent": {"latest_charge": "charge"},
    "charge": {"payment_intent": "payment_intent", "refunds": "refund"},
    "refund": {"charge": "charge", "payment_intent": "payment_intent"},
}


def _expand_of(kind: str, *, listed: bool = False) -> dict[str, Any]:
    """Make the shape of `expand[]` for an object of a kind, or for a list of them."""

    def reader(name: str, raw: str) -> str:
        path = raw.split(".")
        here = kind if not listed or path.pop(0) == "data" else ""
        for field in path:
            here = _EXPANDABLE.get(here, {}).get(field, "")
            if not here:
                raise StripeError(f"This property cannot be expanded ({raw[:100]}).", param=name)
        return raw

    return {"expand": [reader]}


_SESSION = _expand_of("checkout.session") | {
    "cancel_url": url,
    "client_reference_id": text(200),
    "currency": one_of(["jpy"]),
    "customer_email": text(512),
    "expires_at": integer,
    "line_items": [
        {
            "price_data": {
                "currency": one_of(["jpy"]),
                "product_data": {"name": text(5000), "description": text(40000), "metadata": metadata},
                "unit_amount": integer,
            },
            "quantity": integer,
        }
    ],
    "locale": one_of(_LOCALES),
    "metadata": metadata,
    "mode": one_of(["payment"]),
    "payment_intent_data": {
        "description": text(1000),
        "metadata": metadata,
        "statement_descriptor_suffix": text(22),
    },
    "payment_method_options": {"card": {}, "konbini": {"expires_after_days": integer}, "paypay": {}},
    "payment_method_types": [one_of(_METHODS)],
    "submit_type": one_of(["auto", "book", "donate", "pay"]),
    "success_url": url,
    "ui_mode": one_of(["hosted", "hosted_page"]),
}
_REFUND = _expand_of("refund") | {
    "amount": integer,
    "charge": text(5000),
    "metadata": metadata,
    "payment_intent": text(5000),
    "reason": one_of(["duplicate", "fraudulent", "requested_by_customer"]),
}
_PAGE = {
    "created": dict.fromkeys(("gt", "gte", "lt", "lte"), integer),
    "ending_before": text(5000),
    "limit": integer,
    "payment_intent": text(5000),
    "starting_after": text(5000),
}
# account, path id, encoded parameters -> what to show, and which of its fields to expand
Act = Callable[[str, str, str], tuple[Json, list[str]]]


class Stripe:
    """The API over one payment provider."""

    def __init__(self, checkouts: Checkouts, idempotency: Idempotency) -> None:
        self._checkouts = checkouts
        self._idempotency = idempotency

    def routes(self, gate: Gate) -> list[web.RouteDef]:
        """Return the routes of the API, guarded."""
        sessions = "/stripe/v1/checkout/sessions"
        calls: list[tuple[str, str, str, Act]] = [
            ("POST", sessions, "session_create", self._create),
            ("GET", sessions, "session_list", self._lister("checkout.session", "/v1/checkout/sessions")),
            ("GET", sessions + "/{id}", "session_retrieve", self._retriever("checkout.session")),
            ("GET", sessions + "/{id}/line_items", "session_lines", self._lines),
            ("POST", sessions + "/{id}/expire", "session_expire", self._expire),
            ("GET", "/stripe/v1/payment_intents/{id}", "intent_retrieve", self._retriever("payment_intent")),
            ("GET", "/stripe/v1/charges/{id}", "charge_retrieve", self._retriever("charge")),
            ("POST", "/stripe/v1/refunds", "refund_create", self._refund),
            ("GET", "/stripe/v1/refunds", "refund_list", self._lister("refund", "/v1/refunds")),
            ("GET", "/stripe/v1/refunds/{id}", "refund_retrieve", self._retriever("refund")),
            ("GET", "/stripe/v1/disputes", "dispute_list", self._lister("dispute", "/v1/disputes")),
        ]
        routes = [web.route(method, path, gate.guard(call, self._answer(act))) for method, path, call, act in calls]
        return [*routes, web.route("*", "/stripe/{rest:.*}", gate.guard("other", self._unrecognized))]

    def _answer(self, act: Act) -> Callable[[web.Request, bytes], Reply]:
        def answer(request: web.Request, body: bytes) -> Reply:
            request_id = objects.new_id("req", 14)
            headers = {"Content-Type": "application/json", "Request-Id": request_id}
            headers["Stripe-Version"] = request.headers.get("Stripe-Version", objects.API_VERSION)
            try:
                account = _account(request)
                if request.method == "POST":
                    return self._once(account, request, body, act, headers)
                found, expand = act(account, request.match_info.get("id", ""), request.query_string)
                return Reply(200, self._write(found, expand), headers, _accepted(found))
            except StripeError as error:
                return Reply(error.status, _error(error), headers)

        return answer

    def _once(self, account: str, request: web.Request, body: bytes, act: Act, headers: dict[str, str]) -> Reply:
        """Carry out a POST once for its idempotency key."""
        key = request.headers.get("Idempotency-Key")
        print_ = fingerprint(request.method, request.path, body)
        if key:
            headers["Idempotency-Key"] = key
            saved = self._idempotency.find(account, key, print_)
            if saved is not None:
                replay = {"Idempotent-Replayed": "true", "Original-Request": saved.request_id}
                return Reply(saved.status, saved.body.encode(), headers | replay)
        try:
            made, expand = act(account, request.match_info.get("id", ""), body.decode("utf-8", "replace"))
            reply = Reply(200, self._write(made, expand), headers, _accepted(made))
        except StripeError as error:
            if not error.executed:
                raise
            reply = Reply(error.status, _error(error), headers)
        if key:
            self._bind(account, key, print_, reply)
        return reply

    def _bind(self, account: str, key: str, print_: str, reply: Reply) -> None:
        request_id = reply.headers["Request-Id"]

        def keep(answer: Reply) -> None:
            saved = Saved(account, key, print_, answer.status, answer.body.decode(), request_id, time.time())
            self._idempotency.keep(saved)

        keep(reply)
        reply.spoil = keep

    def _create(self, account: str, _id: str, encoded: str) -> tuple[Json, list[str]]:
        params = read(encoded, _SESSION, required=("mode", "success_url", "line_items"))
        _check_lines(params["line_items"])
        _check_lifetime(params)
        days = params.get("payment_method_options", {}).get("konbini", {}).get("expires_after_days", 1)
        if not 1 <= days <= _MOST_KONBINI_DAYS:
            name = "payment_method_options[konbini][expires_after_days]"
            raise StripeError("Invalid expires_after_days: must be between 1 and 60.", param=name)
        return self._checkouts.open(account, params), params.get("expand", [])

    def _expire(self, account: str, session_id: str, encoded: str) -> tuple[Json, list[str]]:
        params = read(encoded, _expand_of("checkout.session"))
        return self._checkouts.expire(account, session_id), params.get("expand", [])

    def _lines(self, account: str, session_id: str, encoded: str) -> tuple[Json, list[str]]:
        read(encoded, {"limit": integer})
        self._checkouts.find(account, "checkout.session", session_id)
        return self._line_list(session_id), []

    def _refund(self, account: str, _id: str, encoded: str) -> tuple[Json, list[str]]:
        params = read(encoded, _REFUND)
        if "payment_intent" not in params and "charge" not in params:
            raise missing("payment_intent")
        if params.get("amount", 1) < 1:
            raise StripeError("This value must be greater than or equal to 1.", param="amount")
        return self._checkouts.refund(account, params), params.get("expand", [])

    def _retriever(self, kind: str) -> Act:
        def retrieve(account: str, object_id: str, encoded: str) -> tuple[Json, list[str]]:
            params = read(encoded, _expand_of(kind))
            return self._checkouts.find(account, kind, object_id), params.get("expand", [])

        return retrieve

    def _lister(self, kind: str, path: str) -> Act:
        def page(account: str, _id: str, encoded: str) -> tuple[Json, list[str]]:
            params = read(encoded, _PAGE | _expand_of(kind, listed=True))
            limit = params.get("limit", 10)
            if not 1 <= limit <= _LONGEST_PAGE:
                raise StripeError("Invalid limit: must be between 1 and 100.", param="limit")
            found = list(self._checkouts.newest_first(account, kind))
            if "payment_intent" in params:
                found = [one for one in found if one["payment_intent"] == params["payment_intent"]]
            found = [one for one in found if _within(one["created"], params.get("created", {}))]
            ids = [one["id"] for one in found]
            for name in ("starting_after", "ending_before"):
                if name in params and params[name] not in ids:
                    message = f"No such {kind}: '{params[name][:100]}'"
                    raise StripeError(message, code="resource_missing", param=name)
            first, last = 0, len(found)
            if "starting_after" in params:
                first = ids.index(params["starting_after"]) + 1
            if "ending_before" in params:
                last = ids.index(params["ending_before"])
                first = max(first, last - limit)
                more = first > 0
            else:
                more = last - first > limit
            page = found[first : min(last, first + limit)]
            return {"object": "list", "url": path, "has_more": more, "data": page}, params.get("expand", [])

        return page

    def _unrecognized(self, request: web.Request, _body: bytes) -> Reply:
        path = request.path.removeprefix("/stripe")
        message = (
            f"Unrecognized request URL ({request.method}: {path}). Please see https://stripe.com/docs or we can "
            "help at https://support.stripe.com/."
        )
        return Reply(404, _error(StripeError(message)), {"Content-Type": "application/json"})

    def _line_list(self, session_id: str) -> Json:
        path = f"/v1/checkout/sessions/{session_id}/line_items"
        return {"object": "list", "url": path, "has_more": False, "data": self._checkouts.lines(session_id)}

    def _write(self, found: Json, expand: list[str]) -> bytes:
        dressed = shown(found)
        for path in expand:
            self._expand(dressed, path.split("."))
        return json.dumps(dressed).encode()

    def _expand(self, dressed: Json, path: list[str]) -> None:
        """Put objects in the place of their ids; `path` was checked when it was read."""
        head, *rest = path
        if head == "line_items":
            dressed[head] = shown(self._line_list(dressed["id"]))
        elif isinstance(dressed[head], str):
            dressed[head] = shown(self._checkouts.get(dressed[head]))
        if not rest or dressed[head] is None:
            return
        several = dressed[head] if head == "data" else [dressed[head]]
        for one in several:
            self._expand(one, rest)


def failure(status: int) -> Reply:
    """Make the 429 or 500 that a switch asks for."""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        message = "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits."
        error = StripeError(message, code="rate_limit")
    else:
        error = StripeError("An unknown error occurred", kind="api_error")
    return Reply(status, _error(error), {"Content-Type": "application/json"})


def _account(request: web.Request) -> str:
    """Name the account of the request's secret key. Raises StripeError."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            key = base64.b64decode(key, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            key = ""
    if scheme.lower() not in {"basic", "bearer"} or not key:
        message = (
            "You did not provide an API key. You need to provide your API key in the Authorization header, using "
            "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
        raise StripeError(message, status=401)
    if not key.startswith(("sk_test_", "rk_test_")):
        raise StripeError(f"Invalid API Key provided: {key[:7]}***", status=401)
    return account_of(key)


def _within(at: int, bounds: dict[str, int]) -> bool:
    tests = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
    return all(tests[name](at, bound) for name, bound in bounds.items())


def _accepted(found: Json) -> str | None:
    object_id = found.get("id")
    return object_id if isinstance(object_id, str) else None


def _check_lines(lines: list[dict[str, Any]]) -> None:
    if not lines:
        raise missing("line_items")
    total = sum(_line_total(line, f"line_items[{at}]") for at, line in enumerate(lines))
    if total < _LEAST_YEN:
        message = f"The Checkout Session's total amount due must add up to at least ¥{_LEAST_YEN} jpy"
        raise StripeError(message, code="amount_too_small")
    if total > _MOST_YEN:
        message = f"The Checkout Session's total amount due must be no more than ¥{_MOST_YEN:,}"
        raise StripeError(message, code="amount_too_large")


def _line_total(line: dict[str, Any], name: str) -> int:
    price = line.get("price_data")
    if price is None:
        raise missing(f"{name}[price_data]")
    for needed in ("currency", "product_data", "unit_amount"):
        if needed not in price:
            raise missing(f"{name}[price_data][{needed}]")
    if "name" not in price["product_data"]:
        raise missing(f"{name}[price_data][product_data][name]")
    amount, quantity = price["unit_amount"], line.get("quantity", 0)
    if amount < 0:
        param = f"{name}[price_data][unit_amount]"
        raise StripeError("Invalid non-negative integer", code="parameter_invalid_integer", param=param)
    if quantity < 1:
        raise StripeError("Quantity is required. Add `quantity` to `line_items`.", param=f"{name}[quantity]")
    total: int = amount * quantity
    return total


def _check_lifetime(params: dict[str, Any]) -> None:
    if "expires_at" not in params:
        return
    life_s = params["expires_at"] - int(time.time())
    if life_s < _SHORTEST_S:
        message = "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."
        raise StripeError(message, param="expires_at")
    if life_s >= _LONGEST_S:
        message = "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."
        raise StripeError(message, param="expires_at")


def _error(error: StripeError) -> bytes:
    shown_error = {"message": error.message, "type": error.kind}
    if error.code is not None:
        shown_error["code"] = error.code
    if error.param is not None:
        shown_error["param"] = error.param
    return json.dumps({"error": shown_error}).encode()
