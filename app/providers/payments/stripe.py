"""Stripe Checkout: a page of Stripe's own where the person pays by card, at a konbini or with PayPay.

Sources: Stripe's API reference as its Python SDK carries it, and docs.stripe.com (changelog, signatures, konbini).
Yen has no smaller unit, so amounts are whole yen. A session lives 30 minutes to 24 hours from its creation; a konbini
session is complete and unpaid until the money comes. A charge counts as refunded from when that is asked for, so its
refunds are read themselves: one of a konbini payment waits for the person's bank account and may fail weeks later, and
then the money is the company's again. `Idempotency-Key` is our reference: the same order sent again
opens no second session, as long as it is the same to the letter, which is why nothing here looks at a clock.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlencode

from app.providers.http import AccountField, Request, Response
from app.providers.payments.base import (
    BadSignature,
    Charge,
    ChargeStatus,
    Dispute,
    Order,
    Page,
    PaymentAccess,
    Refund,
    RefundStatus,
    UnclearCharge,
    WebhookEvent,
    day_bounds,
)
from app.providers.payments.json_fields import (
    FORBIDDEN,
    Json,
    content,
    disputed,
    identifier,
    listed_in,
    nested,
    refusal,
    same,
    seconds,
    several,
    text,
    whole,
    word,
)

# The last version whose sessions take payment_method_types; 2026-09-30.endive has allowed_payment_method_types instead.
VERSION: Final = "2026-08-26.dahlia"
TOLERANCE_S: Final = 300  # Stripe's own for signatures; here it holds in both directions
KONBINI_DAYS: Final = 3  # Stripe's default
_KONBINI_DAYS_LIMITS: Final = (1, 60)
_KONBINI_YEN_LIMITS: Final = (120, 300_000)  # docs.stripe.com/payments/konbini; a session beyond them is refused whole
_YEN_LIMITS: Final = (50, 99_999_999)  # docs.stripe.com/currencies

_LAPSED: Final = "payment_intent_payment_attempt_expired"  # last_payment_error.code of a konbini slip out of date
_REFUNDS: Final = "latest_charge.refunds"
_PAGE: Final = 100  # the most that a list gives at once
_PENDING_REFUNDS: Final = frozenset({"pending", "requires_action"})  # konbini: the person names a bank account first
# a dispute's last words; any other status is still open, an inquiry (warning_…) too
_DISPUTE_ENDS: Final = {
    "lost": Dispute.LOST,
    "won": Dispute.WON,
    "warning_closed": Dispute.WON,
    "prevented": Dispute.WON,
}


_METHODS: Final[Mapping[str, str]] = {"card": "カード", "konbini": "コンビニ", "paypay": "PayPay"}


class _StripeCheckout:
    """The adapter; see `PaymentProvider` for each method."""

    name = "stripe"
    label = "Stripe"
    api_base = "https://api.stripe.com"
    fields: Sequence[AccountField] = (
        AccountField(
            "secret_key", "シークレットキー", secret=True, pattern="[sr]k_[!-~]+", expects="sk_ か rk_ で始まるキー"
        ),
        AccountField(
            "webhook_secret",
            "Webhook署名シークレット",
            secret=True,
            pattern="whsec_[!-~]+",
            expects="whsec_ で始まる値",
        ),
        AccountField("methods", "支払方法", choices=_METHODS, help="Stripeの管理画面で有効にしたものを選びます。"),
        AccountField(
            "konbini_days",
            "コンビニ払いの期限（日数）",
            help="1から60までの日数です。空欄は3日です。",
            whole=_KONBINI_DAYS_LIMITS,
        ),
    )
    methods = _METHODS
    # Stripe takes 1,800 to 86,400 s from when it creates the session: a minute of room for clocks and the way there.
    lifetime_s = (1_860, 86_340)
    page_domains: tuple[str, ...] = ("stripe.com",)
    tells_end = True

    def bounds(self, settings: Mapping[str, str]) -> tuple[int, int]:
        """Return the least and the most that can be paid: konbini's where there is no other way."""
        return _KONBINI_YEN_LIMITS if listed_in(settings.get("methods", ""), "card") == ["konbini"] else _YEN_LIMITS

    def start(self, account: PaymentAccess, order: Order) -> Request:
        """Return the request that opens a payment page; repeating it with the same order opens no second one.

        `success_url` may hold `{CHECKOUT_SESSION_ID}`, which Stripe fills in.
        """
        methods = _payable(
            list(order.methods) or listed_in(account.settings.get("methods", ""), "card"), order.amount_yen
        )
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
        return _post(account, "checkout/sessions", form, order.reference)

    def fetch(self, account: PaymentAccess, provider_id: str) -> Request:
        """Return the request that asks for one session with its payment and that one's latest charge."""
        query = urlencode({"expand[0]": f"payment_intent.{_REFUNDS}"})
        return _get(account, f"checkout/sessions/{quote(provider_id, safe='')}?{query}")

    def charge(self, asked: Request, answers: Sequence[Response]) -> Charge | Request:
        """Read the answer to `start` or `fetch`; of disputed money, ask how that stands.

        Raises UnclearCharge.
        """
        charge = _charge(_read(answers[0], "checkout.session"))
        if charge.dispute is None or charge.payment_id is None:
            return charge
        if len(answers) == 1:
            query = urlencode({"payment_intent": charge.payment_id, "limit": str(_PAGE)})
            headers = {name: asked.headers[name] for name in ("Authorization", "Stripe-Version")}
            url = f"{asked.url.partition('/v1/')[0]}/v1/disputes?{query}"
            return Request("GET", url, headers, timeout_s=asked.timeout_s)
        if answers[1].status in FORBIDDEN:  # a restricted key: that there is one is known all the same
            return charge
        told = several(_read(answers[1], "list"), "data")
        return replace(charge, dispute=disputed(told, _DISPUTE_ENDS) or Dispute.OPEN)

    def webhook(self, account: PaymentAccess, headers: Mapping[str, str], body: bytes, now: datetime) -> WebhookEvent:
        """Verify and read a webhook.

        Raises BadSignature; UnclearCharge when it is Stripe's but can't be read.
        """
        secret = account.credentials.get("webhook_secret", "")
        _verify_webhook_signature(headers.get("stripe-signature", ""), secret, body, now)
        event = content(body)
        event_id, kind = identifier(event, "id"), word(event, "type")
        if event.get("object") != "event" or event_id is None or kind is None:
            raise UnclearCharge("unreadable")
        about = nested(nested(event, "data"), "object")
        return WebhookEvent(
            id=event_id,
            kind=kind,
            provider_id=identifier(about, "id") if about.get("object") == "checkout.session" else None,
            reference=text(about, "client_reference_id") or text(nested(about, "metadata"), "reference"),
            # a dispute, and a refund made at Stripe's own desk, bear nothing else that is known here
            payment_id=identifier(about, "payment_intent"),
        )

    def expire(self, account: PaymentAccess, charge: Charge) -> Request | None:
        """Return the request that ends an open session.

        Stripe cancels no slip of a session once it is out.
        """
        if charge.status is not ChargeStatus.OPEN:
            return None
        return _post(account, f"checkout/sessions/{quote(charge.provider_id, safe='')}/expire", {}, None)

    def refund(self, account: PaymentAccess, charge: Charge, amount_yen: int, reference: str) -> Request | None:
        """Return the request that gives money back."""
        if charge.status is not ChargeStatus.PAID or charge.payment_id is None:
            return None
        form = {
            "payment_intent": charge.payment_id,
            "amount": str(amount_yen),
            "reason": "requested_by_customer",
            # its own events lead to our charge, not to the refund
            "metadata[reference]": charge.reference or "",
            "metadata[refund]": reference,
        }
        return _post(account, "refunds", form, reference)

    def refunded(self, response: Response) -> Refund:
        """Read the answer to `refund`. Raises UnclearCharge."""
        made = _read(response, "refund")
        amount = whole(made, "amount")
        if amount is None:
            raise UnclearCharge("unreadable")
        return Refund(_refund_status(made), amount, identifier(made, "id"))

    def day_request(self, account: PaymentAccess, day: date, cursor: str = "") -> Request:
        """Return the request for a page of the sessions made on a day, newest first."""
        begin, end = day_bounds(day)
        query = {
            "created[gte]": str(int(begin.timestamp())),
            "created[lt]": str(int(end.timestamp())),
            "limit": str(_PAGE),
            "expand[0]": f"data.payment_intent.{_REFUNDS}",
        }
        return _get(account, f"checkout/sessions?{urlencode(query | ({'starting_after': cursor} if cursor else {}))}")

    def parse_list(self, day: date, response: Response) -> Page:
        """Read the answer to `day_request`. Raises UnclearCharge."""
        del day
        page = _read(response, "list")
        sessions = several(page, "data")
        charges = []
        for session in sessions:
            with suppress(UnclearCharge):
                charges.append(_charge(session))
        more = bool(sessions) and page.get("has_more") is True
        return Page(charges, identifier(sessions[-1], "id") if more else None)


stripe_checkout = _StripeCheckout()


def _headers(account: PaymentAccess) -> dict[str, str]:
    return {"Authorization": f"Bearer {account.credentials.get('secret_key', '')}", "Stripe-Version": VERSION}


def _get(account: PaymentAccess, path: str) -> Request:
    return Request("GET", _url(account, path), _headers(account), timeout_s=account.timeout_s)


def _post(account: PaymentAccess, path: str, form: Mapping[str, str], idempotency_key: str | None) -> Request:
    headers = _headers(account) | {"Content-Type": "application/x-www-form-urlencoded"}
    if idempotency_key is not None:
        headers["Idempotency-Key"] = idempotency_key
    return Request("POST", _url(account, path), headers, urlencode(form).encode(), account.timeout_s)


def _url(account: PaymentAccess, path: str) -> str:
    return f"{account.base_url.rstrip('/')}/v1/{path}"


def _payable(methods: list[str], amount_yen: int) -> list[str]:
    """Leave konbini out where it can't take the amount and there is another way to pay."""
    least, most = _KONBINI_YEN_LIMITS
    fitting = methods if least <= amount_yen <= most else [method for method in methods if method != "konbini"]
    return fitting or methods


def _konbini_days(setting: str) -> int:
    least, most = _KONBINI_DAYS_LIMITS
    return min(max(int(setting), least), most) if re.fullmatch(r"\d{1,3}", setting, re.ASCII) else KONBINI_DAYS


def _read(response: Response, kind: str) -> Json:
    """Read an object of a kind. Raises UnclearCharge."""
    found = content(response.body)
    if response.status != HTTPStatus.OK:
        raise _error(response, found)
    if found.get("object") != kind:
        raise UnclearCharge("unreadable")
    return found


def _charge(session: Json) -> Charge:
    if session.get("mode") != "payment":
        raise UnclearCharge("unreadable")
    provider_id = identifier(session, "id")
    if provider_id is None:
        raise UnclearCharge("no_id")
    payment = nested(session, "payment_intent")
    latest = nested(payment, "latest_charge")
    status, back = _status(session, payment), _given_back(latest)
    if status is ChargeStatus.PAID and 0 < (whole(session, "amount_total") or 0) <= back:
        status = ChargeStatus.REFUNDED
    konbini = nested(nested(payment, "next_action"), "konbini_display_details")
    return Charge(
        provider_id=provider_id,
        reference=text(session, "client_reference_id") or text(nested(session, "metadata"), "reference"),
        status=status,
        amount=whole(session, "amount_total"),
        currency=text(session, "currency"),
        payment_id=identifier(payment, "id") or identifier(session, "payment_intent"),
        amount_refunded=back,
        method=_method(session, payment, latest),
        url={ChargeStatus.OPEN: text(session, "url"), ChargeStatus.PENDING: text(konbini, "hosted_voucher_url")}.get(
            status
        ),
        expires_at=seconds(session, "expires_at"),
        pay_by=seconds(konbini, "expires_at") if status is ChargeStatus.PENDING else None,
        paid_at=seconds(latest, "created") if status in {ChargeStatus.PAID, ChargeStatus.REFUNDED} else None,
        refunds={
            reference: _refund_status(one)
            for one in several(nested(latest, "refunds"), "data")
            if (reference := text(nested(one, "metadata"), "refund")) is not None
        },
        dispute=Dispute.OPEN if latest.get("disputed") is True else None,
    )


def _refund_status(made: Json) -> RefundStatus:
    if made.get("status") == "succeeded":
        return RefundStatus.DONE
    return RefundStatus.PENDING if made.get("status") in _PENDING_REFUNDS else RefundStatus.FAILED


def _given_back(latest: Json) -> int:
    """Add up what went back for certain; where not all refunds are told, what Stripe adds up, pending ones too."""
    refunds = nested(latest, "refunds")
    if refunds.get("object") != "list" or refunds.get("has_more") is True:
        return whole(latest, "amount_refunded") or 0
    return sum(whole(one, "amount") or 0 for one in several(refunds, "data") if one.get("status") == "succeeded")


def _status(session: Json, payment: Json) -> ChargeStatus:
    """Read where a session stands.

    `status` is open, complete or expired; `payment_status` tells about the money.
    """
    status, paid = session.get("status"), session.get("payment_status")
    if (status, paid) == ("open", "unpaid"):
        return ChargeStatus.OPEN
    if (status, paid) == ("expired", "unpaid"):
        return ChargeStatus.EXPIRED
    if (status, paid) == ("complete", "paid"):
        return ChargeStatus.PAID
    if (status, paid) == ("complete", "unpaid"):
        return _unpaid(payment)
    raise UnclearCharge("contradiction")  # such as no_payment_required: nothing we ask for costs nothing


def _unpaid(payment: Json) -> ChargeStatus:
    """Read what becomes of an ordered payment (konbini): it waits, or it came to nothing."""
    status = payment.get("status")
    if status == "canceled":
        return ChargeStatus.EXPIRED if payment.get("cancellation_reason") == "expired" else ChargeStatus.CANCELLED
    if status == "requires_payment_method":
        error = nested(payment, "last_payment_error")
        return ChargeStatus.EXPIRED if error.get("code") == _LAPSED else ChargeStatus.FAILED
    if status == "succeeded":
        raise UnclearCharge("contradiction")  # the money is there, the session is not yet told: look again
    return ChargeStatus.PENDING


def _method(session: Json, payment: Json, latest: Json) -> str | None:
    """Name the means of payment where it is known: of the charge, of the slip, or the only one offered."""
    used = text(nested(latest, "payment_method_details"), "type")
    if used:
        return used
    if nested(payment, "next_action").get("type") == "konbini_display_details":
        return "konbini"
    offered = session.get("payment_method_types")
    return offered[0] if isinstance(offered, list) and len(offered) == 1 and isinstance(offered[0], str) else None


def _error(response: Response, found: Json) -> UnclearCharge:
    error = nested(found, "error")
    code = word(error, "code") or word(error, "type") or (f"http_{response.status}" if error else None)
    # Stripe keeps the answer to an Idempotency-Key for a day, a 500 too: this order will never get another one.
    return refusal(response, code, over=response.headers.get("idempotent-replayed") == "true")


def _verify_webhook_signature(header: str, secret: str, body: bytes, now: datetime) -> None:
    """Check `Stripe-Signature: t=<epoch seconds>,v1=<hex HMAC-SHA256 of "t.body">[,v1=…]`. Raises BadSignature."""
    pairs = [part.partition("=")[::2] for part in header.split(",")]
    times = [value for name, value in pairs if name.strip() == "t"]
    signatures = [value for name, value in pairs if name.strip() == "v1"]
    if not secret or len(times) != 1 or not re.fullmatch(r"\d{1,12}", times[0], re.ASCII):
        raise BadSignature("unsigned")
    expected = hmac.new(secret.encode(), times[0].encode() + b"." + body, hashlib.sha256).hexdigest()
    # two secrets sign while one is being replaced
    matches = [same(expected, value) for value in signatures]
    if not any(matches):
        raise BadSignature("signature")
    if abs(now.timestamp() - int(times[0])) > TOLERANCE_S:
        raise BadSignature("age")
