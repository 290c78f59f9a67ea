"""KOMOJU: a page of KOMOJU's own where the person pays by card, PayPay, at a konbini, by bank transfer or Pay-easy.

Sources: KOMOJU's own TypeScript SDK komoju-typescript-sdk (models, version header), its WooCommerce plugin (signature,
amount check) and doc.komoju.com (idempotent-requests, webhooks, sessions). The API counts in the currency's smallest
unit, for JPY in yen. The amount paid may hold a fee of the means of payment on top: `total` less `payment_method_fee`
is what was ordered. The browser comes back to one address, with or without having paid, and `session_id` is added to
it. A session's life counts in seconds from its making, and repeating an order must repeat its body: so every page lives
an hour. A chargeback is a refund that is marked as one, told once the money is gone.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlencode

from app.providers.http import AccountField, Request, Response
from app.providers.payments.base import (
    ANY_AMOUNT,
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
    Json,
    content,
    identifier,
    listed_in,
    moment,
    nested,
    refusal,
    same,
    several,
    text,
    whole,
    word,
)

VERSION: Final = "2025-01-28"  # X-KOMOJU-API-VERSION of the SDK read here
SESSION_S: Final = 3_600
_PAGE: Final = 100
_PAYMENT_STATUS: Final = {
    "authorized": ChargeStatus.PENDING,  # konbini, bank, Pay-easy: reserved, the person still has to pay
    "captured": ChargeStatus.PAID,
    "refunded": ChargeStatus.REFUNDED,
    "expired": ChargeStatus.EXPIRED,
    "cancelled": ChargeStatus.CANCELLED,
    "failed": ChargeStatus.FAILED,
}
_MONEY: Final = frozenset({ChargeStatus.PENDING, ChargeStatus.PAID, ChargeStatus.REFUNDED})
_LOCALES: Final = frozenset({"ja", "en", "ko"})
# paid in cash or from a bank: only a refund request naming the person's bank account gives it back
_NO_REFUND: Final = frozenset({"konbini", "bank_transfer", "pay_easy"})


_METHODS: Final[Mapping[str, str]] = {
    "credit_card": "カード",
    "konbini": "コンビニ",
    "paypay": "PayPay",
    "bank_transfer": "銀行振込",
    "pay_easy": "Pay-easy",
}


class _Komoju:
    """The adapter; see `PaymentProvider` for each method."""

    name = "komoju"
    label = "KOMOJU"
    api_base = "https://komoju.com/api/v1"
    fields: Sequence[AccountField] = (
        AccountField("secret_key", "シークレットキー", secret=True, pattern="sk_[!-~]+", expects="sk_ で始まるキー"),
        AccountField(
            "webhook_secret", "Webhook署名シークレット", secret=True, expects="Webhook設定のSecret Token（空白なし）"
        ),
        AccountField("methods", "支払方法", choices=_METHODS, help="KOMOJUの管理画面で有効にしたものを選びます。"),
    )
    methods = _METHODS
    lifetime_s = (1, SESSION_S)
    page_domains: tuple[str, ...] = ("komoju.com",)
    tells_end = True

    def bounds(self, settings: Mapping[str, str]) -> tuple[int, int]:
        """Return no bounds: none are told."""
        del settings
        return ANY_AMOUNT

    def start(self, account: PaymentAccess, order: Order) -> Request:
        """Return the request that opens a payment page; repeating it with the same order opens no second one."""
        wanted = {
            "mode": "payment",
            "amount": order.amount_yen,
            "currency": "JPY",
            "return_url": order.success_url,
            "default_locale": order.locale if order.locale in _LOCALES else "en",
            "expires_in_seconds": SESSION_S,
            "payment_types": list(order.methods) or listed_in(account.settings.get("methods", ""), "credit_card"),
            "payment_data": {"external_order_num": order.reference, "capture": "auto"},
            "line_items": [{"description": order.description, "quantity": 1, "amount": order.amount_yen}],
            "metadata": {"reference": order.reference},
        }
        return _post(account, "sessions", wanted, order.reference)

    def fetch(self, account: PaymentAccess, provider_id: str) -> Request:
        """Return the request that asks for one session, which holds its payment."""
        return _get(account, f"sessions/{quote(provider_id, safe='')}")

    def charge(self, asked: Request, answers: Sequence[Response]) -> Charge:
        """Read the answer to `start` or `fetch`. Raises UnclearCharge."""
        del asked
        return _of_session(_read(answers[0], "session"))

    def webhook(self, account: PaymentAccess, headers: Mapping[str, str], body: bytes, now: datetime) -> WebhookEvent:
        """Verify and read a webhook.

        Raises BadSignature; UnclearCharge when it can't be read.
        """
        del now
        _verify_webhook_signature(
            headers.get("x-komoju-signature", ""), account.credentials.get("webhook_secret", ""), body
        )
        event = content(body)
        # the ping that a new webhook begins with has no id of its own
        event_id = identifier(event, "id") or headers.get("x-komoju-id") or hashlib.sha256(body).hexdigest()
        kind = word(event, "type")
        if kind is None:
            raise UnclearCharge("unreadable")
        about = nested(event, "data")
        payment = about.get("resource") == "payment"
        return WebhookEvent(
            id=event_id,
            kind=kind,
            provider_id=identifier(about, "session") if payment else None,
            reference=text(about, "external_order_num") if payment else None,
            payment_id=identifier(about, "id") if payment else identifier(about, "payment"),
        )

    def expire(self, account: PaymentAccess, charge: Charge) -> Request | None:
        """Return the request that cancels an open session, or a payment that still waits for its money."""
        if charge.status is ChargeStatus.OPEN:
            return _post(account, f"sessions/{quote(charge.provider_id, safe='')}/cancel", {}, None)
        if charge.status is ChargeStatus.PENDING and charge.payment_id is not None:
            return _post(account, f"payments/{quote(charge.payment_id, safe='')}/cancel", {}, None)
        return None

    def refund(self, account: PaymentAccess, charge: Charge, amount_yen: int, reference: str) -> Request | None:
        """Return the request that gives money back; None for means of payment that can't take it back."""
        if charge.status is not ChargeStatus.PAID or charge.payment_id is None or charge.method in _NO_REFUND:
            return None
        wanted = {"amount": amount_yen, "description": reference}
        return _post(account, f"payments/{quote(charge.payment_id, safe='')}/refund", wanted, reference)

    def refunded(self, response: Response) -> Refund:
        """Read the answer to `refund`: the payment, whose newest refund is ours.

        Raises UnclearCharge.
        """
        refunds = several(_read(response, "payment"), "refunds")
        made = max(refunds, key=lambda refund: text(refund, "created_at") or "", default={})
        amount = whole(made, "amount")
        if amount is None:
            raise UnclearCharge("unreadable")
        return Refund(RefundStatus.DONE, amount, identifier(made, "id"))

    def day_request(self, account: PaymentAccess, day: date, cursor: str = "") -> Request:
        """Return the request for a page of the payments made on a day; pages are counted."""
        begin, end = day_bounds(day)
        query = {
            "start_time": begin.isoformat(timespec="seconds"),
            "end_time": end.isoformat(timespec="seconds"),
            "per_page": str(_PAGE),
            "page": cursor or "1",
        }
        return _get(account, f"payments?{urlencode(query)}")

    def parse_list(self, day: date, response: Response) -> Page:
        """Read the answer to `day_request`. Raises UnclearCharge."""
        page = _read(response, "payment_list")
        begin, end = day_bounds(day)
        charges = []
        for payment in several(page, "data"):
            made = moment(payment, "created_at")
            if made is not None and begin <= made < end:
                with suppress(UnclearCharge):
                    charges.append(_of_payment(payment))
        number, last = whole(page, "page"), whole(page, "last_page")
        more = number is not None and last is not None and number < last
        return Page(charges, str(number + 1) if more and number is not None else None)


komoju = _Komoju()


def _get(account: PaymentAccess, path: str) -> Request:
    return Request("GET", _url(account, path), _headers(account), timeout_s=account.timeout_s)


def _post(account: PaymentAccess, path: str, wanted: Mapping[str, object], idempotency_key: str | None) -> Request:
    headers = _headers(account) | {"Content-Type": "application/json"}
    if idempotency_key is not None:
        headers["X-KOMOJU-IDEMPOTENCY"] = idempotency_key
    return Request("POST", _url(account, path), headers, json.dumps(wanted).encode(), account.timeout_s)


def _url(account: PaymentAccess, path: str) -> str:
    return f"{account.base_url.rstrip('/')}/{path}"


def _verify_webhook_signature(signature: str, secret: str, body: bytes) -> None:
    """Check `X-Komoju-Signature`, the hex HMAC-SHA256 of the body; it bears no time.

    Raises BadSignature.
    """
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if not secret or not same(expected, signature):
        raise BadSignature("signature")


def _headers(account: PaymentAccess) -> dict[str, str]:
    login = base64.b64encode(f"{account.credentials.get('secret_key', '')}:".encode()).decode()
    return {"Authorization": f"Basic {login}", "Accept": "application/json", "X-KOMOJU-API-VERSION": VERSION}


def _read(response: Response, kind: str) -> Json:
    """Read a resource of a kind. Raises UnclearCharge."""
    found = content(response.body)
    if response.status != HTTPStatus.OK:
        error = nested(found, "error")
        raise refusal(response, word(error, "code") or (f"http_{response.status}" if error else None))
    if found.get("resource") != kind:
        raise UnclearCharge("unreadable")
    return found


def _of_session(session: Json) -> Charge:
    """Read a session: where there is money, its payment tells; else whether the page may still be used."""
    provider_id = identifier(session, "id")
    if session.get("mode") != "payment" or provider_id is None:
        raise UnclearCharge("unreadable")
    payment = nested(session, "payment")
    if payment:
        told = _of_payment(payment, provider_id)
        # a payment that failed leaves the page open for another try
        if told.status in _MONEY or session.get("status") == "completed":
            return told
    status = ChargeStatus.OPEN
    if session.get("status") == "cancelled":
        status = ChargeStatus.CANCELLED
    elif session.get("status") != "pending":
        raise UnclearCharge("contradiction")  # such as completed without a payment
    elif session.get("expired") is True:
        status = ChargeStatus.EXPIRED
    made = moment(session, "created_at")
    return Charge(
        provider_id=provider_id,
        reference=text(nested(session, "metadata"), "reference"),
        status=status,
        amount=whole(session, "amount"),
        currency=text(session, "currency"),
        url=text(session, "session_url") if status is ChargeStatus.OPEN else None,
        expires_at=made + timedelta(seconds=SESSION_S) if made is not None else None,
    )


def _of_payment(payment: Json, session_id: str | None = None) -> Charge:
    payment_id = identifier(payment, "id")
    provider_id = session_id or identifier(payment, "session") or payment_id
    if payment.get("resource") != "payment" or payment_id is None or provider_id is None:
        raise UnclearCharge("unreadable")
    status = (
        ChargeStatus.OPEN if payment.get("status") == "pending" else _PAYMENT_STATUS.get(str(payment.get("status")))
    )
    if status is None:
        raise UnclearCharge("contradiction")
    total, fee = whole(payment, "total"), whole(payment, "payment_method_fee")
    refunds = several(payment, "refunds")
    return Charge(
        provider_id=provider_id,
        reference=text(payment, "external_order_num"),
        status=status,
        amount=None if total is None else total - (fee or 0),
        currency=text(payment, "currency"),
        payment_id=payment_id,
        amount_refunded=whole(payment, "amount_refunded") or 0,
        method=text(nested(payment, "payment_details"), "type"),
        pay_by=moment(payment, "payment_deadline") if status is ChargeStatus.PENDING else None,
        paid_at=moment(payment, "captured_at") if status in {ChargeStatus.PAID, ChargeStatus.REFUNDED} else None,
        refunds={
            reference: RefundStatus.DONE for one in refunds if (reference := text(one, "description")) is not None
        },
        dispute=Dispute.LOST if any(one.get("chargeback") is True for one in refunds) else None,
    )
