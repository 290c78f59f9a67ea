"""Stripe Checkout: a page of Stripe's own where the person pays by card, at a konbini or with PayPay.

Sources: Stripe's API reference as its Python SDK carries it, and docs.stripe.com (changelog, signatures, konbini).
Yen has no smaller unit, so amounts are whole yen. A session lives 30 minutes to 24 hours from its creation; a konbini
session is complete and unpaid until the money comes. `Idempotency-Key` is our reference: the same order sent again
opens no second session, as long as it is the same to the letter, which is why nothing here looks at a clock.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode

from app.outbound import AccountField, Request, Response
from app.payments.base import (
    BadSignature,
    Charge,
    ChargeStatus,
    Order,
    PaymentAccount,
    UnclearCharge,
    WebhookEvent,
)

# The last version whose sessions take payment_method_types; 2026-09-30.endive has allowed_payment_method_types instead.
VERSION: Final = "2026-08-26.dahlia"
TOLERANCE_S: Final = 300  # Stripe's own for signatures; here it holds in both directions
KONBINI_DAYS: Final = 3  # Stripe's default
_KONBINI_DAYS_LIMITS: Final = (1, 60)
_KONBINI_YEN_LIMITS: Final = (120, 300_000)  # docs.stripe.com/payments/konbini; a session beyond them is refused whole

_ID: Final = re.compile(r"[0-9A-Za-z_]{1,255}", re.ASCII)
_WORD: Final = re.compile(r"[0-9A-Za-z_.-]{1,60}", re.ASCII)
# Another try may pass: the key is mended, the limit is over, the first request has ended, Stripe is up again.
_PASSING: Final = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
_LAPSED: Final = "payment_intent_payment_attempt_expired"  # last_payment_error.code of a konbini slip out of date

Json = Mapping[str, Any]


class _StripeCheckout:
    """The adapter; see `PaymentProvider` for each method."""

    name = "stripe"
    label = "Stripe"
    fields: Sequence[AccountField] = (
        AccountField("secret_key", "シークレットキー", secret=True, help="sk_ または rk_ で始まるキーです。"),
        AccountField("webhook_secret", "Webhook署名シークレット", secret=True, help="whsec_ で始まる文字列です。"),
        AccountField("methods", "支払方法", help="card, konbini, paypay をカンマ区切りで入力します。例：card,konbini"),
        AccountField("konbini_days", "コンビニ払いの期限（日数）", help="1から60までの日数です。空欄は3日です。"),
    )
    methods: Mapping[str, str] = {"card": "カード", "konbini": "コンビニ", "paypay": "PayPay"}
    # Stripe takes 1,800 to 86,400 s from when it creates the session: a minute of room for clocks and the way there.
    lifetime_s = (1_860, 86_340)

    def start(self, account: PaymentAccount, order: Order) -> Request:
        """Give the request that opens a payment page; repeating it with the same order opens no second one.

        `success_url` may hold `{CHECKOUT_SESSION_ID}`, which Stripe fills in.
        """
        methods = _payable(list(order.methods) or _methods(account.settings.get("methods", "")), order.amount_yen)
        form = {
            "mode": "payment",
            "line_items[0][quantity]": "1",
            "line_items[0][price_data][currency]": "jpy",
            "line_items[0][price_data][unit_amount]": str(order.amount_yen),
            "line_items[0][price_data][product_data][name]": order.description,
            "client_reference_id": order.reference,
            "metadata[reference]": order.reference,
            # The payment itself bears it as well: a refund's event tells of the charge, not of the session.
            "payment_intent_data[metadata][reference]": order.reference,
            "success_url": order.success_url,
            "cancel_url": order.cancel_url,
            "expires_at": str(int(order.expires_at.timestamp())),
            "locale": order.locale,
        }
        form |= {f"payment_method_types[{index}]": method for index, method in enumerate(methods)}
        if "konbini" in methods:
            days = _konbini_days(account.settings.get("konbini_days", ""))
            form["payment_method_options[konbini][expires_after_days]"] = str(days)
        headers = _headers(account) | {
            "Content-Type": "application/x-www-form-urlencoded",
            "Idempotency-Key": order.reference,
        }
        url = f"{account.base_url.rstrip('/')}/v1/checkout/sessions"
        return Request("POST", url, headers, urlencode(form).encode(), account.timeout_s)

    def fetch(self, account: PaymentAccount, provider_id: str) -> Request:
        """Give the request that asks for one session with its payment and that one's latest charge."""
        query = urlencode({"expand[0]": "payment_intent.latest_charge"})
        url = f"{account.base_url.rstrip('/')}/v1/checkout/sessions/{quote(provider_id, safe='')}?{query}"
        return Request("GET", url, _headers(account), timeout_s=account.timeout_s)

    def charge(self, response: Response) -> Charge:
        """Read the answer to `start` or `fetch`. Raises UnclearCharge."""
        session = _json(response.body)
        if response.status != HTTPStatus.OK:
            raise _error(response, session)
        if session.get("object") != "checkout.session" or session.get("mode") != "payment":
            raise UnclearCharge("unreadable")
        provider_id = session.get("id")
        if not isinstance(provider_id, str) or not _ID.fullmatch(provider_id):
            raise UnclearCharge("no_id")
        payment = _object(session, "payment_intent")
        latest = _object(payment, "latest_charge")
        status = _status(session, payment, latest)
        konbini = _object(_object(payment, "next_action"), "konbini_display_details")
        return Charge(
            provider_id=provider_id,
            reference=_text(session, "client_reference_id") or _text(_object(session, "metadata"), "reference"),
            status=status,
            amount=_int(session, "amount_total"),
            currency=_text(session, "currency"),
            method=_method(session, payment, latest),
            url=_text(session, "url") if status is ChargeStatus.OPEN else None,
            expires_at=_time(session, "expires_at"),
            pay_by=_time(konbini, "expires_at") if status is ChargeStatus.PENDING else None,
            paid_at=_time(latest, "created") if status in {ChargeStatus.PAID, ChargeStatus.REFUNDED} else None,
        )

    def webhook(self, account: PaymentAccount, headers: Mapping[str, str], body: bytes, now: datetime) -> WebhookEvent:
        """Verify and read a webhook. Raises BadSignature; UnclearCharge when it is Stripe's but can't be read."""
        _verify(headers.get("stripe-signature", ""), account.credentials.get("webhook_secret", ""), body, now)
        event = _json(body)
        event_id, kind = event.get("id"), event.get("type")
        if event.get("object") != "event" or not isinstance(event_id, str) or not isinstance(kind, str):
            raise UnclearCharge("unreadable")
        if not _ID.fullmatch(event_id) or not _WORD.fullmatch(kind):
            raise UnclearCharge("unreadable")
        about = _object(_object(event, "data"), "object")
        session_id = _text(about, "id") if about.get("object") == "checkout.session" else None
        return WebhookEvent(
            id=event_id,
            kind=kind,
            provider_id=session_id if session_id and _ID.fullmatch(session_id) else None,
            reference=_text(about, "client_reference_id") or _text(_object(about, "metadata"), "reference"),
        )


stripe_checkout = _StripeCheckout()


def _headers(account: PaymentAccount) -> dict[str, str]:
    return {"Authorization": f"Bearer {account.credentials.get('secret_key', '')}", "Stripe-Version": VERSION}


def _methods(setting: str) -> list[str]:
    """Read the account's list; an empty one is cards alone."""
    named = [word.strip() for word in setting.split(",")]
    return list(dict.fromkeys(word for word in named if word)) or ["card"]


def _payable(methods: list[str], amount_yen: int) -> list[str]:
    """Leave konbini out where it can't take the amount and there is another way to pay."""
    least, most = _KONBINI_YEN_LIMITS
    fitting = methods if least <= amount_yen <= most else [method for method in methods if method != "konbini"]
    return fitting or methods


def _konbini_days(setting: str) -> int:
    least, most = _KONBINI_DAYS_LIMITS
    return min(max(int(setting), least), most) if re.fullmatch(r"\d{1,3}", setting, re.ASCII) else KONBINI_DAYS


def _status(session: Json, payment: Json, latest: Json) -> ChargeStatus:
    """Read where a session stands. `status` is open, complete or expired; `payment_status` tells about the money."""
    status, paid = session.get("status"), session.get("payment_status")
    if (status, paid) == ("open", "unpaid"):
        return ChargeStatus.OPEN
    if (status, paid) == ("expired", "unpaid"):
        return ChargeStatus.EXPIRED
    if (status, paid) == ("complete", "paid"):
        return ChargeStatus.REFUNDED if latest.get("refunded") is True else ChargeStatus.PAID
    if (status, paid) == ("complete", "unpaid"):
        return _unpaid(payment)
    raise UnclearCharge("contradiction")  # such as no_payment_required: nothing we ask for costs nothing


def _unpaid(payment: Json) -> ChargeStatus:
    """Read what becomes of an ordered payment (konbini): it waits, or it came to nothing."""
    status = payment.get("status")
    if status == "canceled":
        return ChargeStatus.EXPIRED if payment.get("cancellation_reason") == "expired" else ChargeStatus.CANCELLED
    if status == "requires_payment_method":
        error = _object(payment, "last_payment_error")
        return ChargeStatus.EXPIRED if error.get("code") == _LAPSED else ChargeStatus.FAILED
    if status == "succeeded":
        raise UnclearCharge("contradiction")  # the money is there, the session is not yet told: look again
    return ChargeStatus.PENDING


def _method(session: Json, payment: Json, latest: Json) -> str | None:
    """Name the means of payment where it is known: of the charge, of the slip, or the only one offered."""
    used = _text(_object(latest, "payment_method_details"), "type")
    if used:
        return used
    if _object(payment, "next_action").get("type") == "konbini_display_details":
        return "konbini"
    offered = session.get("payment_method_types")
    return offered[0] if isinstance(offered, list) and len(offered) == 1 and isinstance(offered[0], str) else None


def _error(response: Response, content: Json) -> UnclearCharge:
    error = _object(content, "error")
    code = _text(error, "code") or _text(error, "type") or ""
    refused = HTTPStatus.BAD_REQUEST <= response.status < HTTPStatus.INTERNAL_SERVER_ERROR and bool(error)
    # Stripe keeps the answer to an Idempotency-Key for a day, a 500 too: this order will never get another one.
    replayed = response.headers.get("idempotent-replayed") == "true"
    final = replayed or (refused and response.status not in _PASSING)
    return UnclearCharge(code if _WORD.fullmatch(code) else f"http_{response.status}", final=final)


def _verify(header: str, secret: str, body: bytes, now: datetime) -> None:
    """Check `Stripe-Signature: t=<epoch seconds>,v1=<hex HMAC-SHA256 of "t.body">[,v1=…]`. Raises BadSignature."""
    pairs = [part.partition("=")[::2] for part in header.split(",")]
    times = [value for name, value in pairs if name.strip() == "t"]
    signatures = [value for name, value in pairs if name.strip() == "v1"]
    if not secret or len(times) != 1 or not re.fullmatch(r"\d{1,12}", times[0], re.ASCII):
        raise BadSignature("unsigned")
    expected = hmac.new(secret.encode(), times[0].encode() + b"." + body, hashlib.sha256).hexdigest().encode()
    # Two secrets sign while one is being replaced. Bytes, because compare_digest refuses text beyond ASCII.
    matches = [hmac.compare_digest(expected, value.encode("utf-8", "replace")) for value in signatures]
    if not any(matches):
        raise BadSignature("signature")
    if abs(now.timestamp() - int(times[0])) > TOLERANCE_S:
        raise BadSignature("age")


def _json(body: bytes) -> Json:
    """Read a JSON object; an empty one for anything else."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _object(content: Json, name: str) -> Json:
    """Give a nested object; an empty one where there is none, or only its id."""
    value = content.get(name)
    return value if isinstance(value, dict) else {}


def _text(content: Json, name: str) -> str | None:
    value = content.get(name)
    return value if isinstance(value, str) and value else None


def _int(content: Json, name: str) -> int | None:
    value = content.get(name)
    return value if type(value) is int else None


def _time(content: Json, name: str) -> datetime | None:
    """Read epoch seconds; None for anything that is no time."""
    value = _int(content, name)
    try:
        return None if value is None else datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError, ValueError):
        return None
