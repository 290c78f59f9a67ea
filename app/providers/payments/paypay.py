"""PayPay OPA (Web Payment): PayPay's own page, or its app where the phone has it, for the balance of a PayPay user.

Sources: PayPay's SDKs (paypayopa for Python: signing, addresses, error codes; paypayopa-sdk-java: models) and
integration.paypay.ne.jp (lapsed codes, refunds). Requests are signed with the time and must arrive within two minutes
of it. `merchantPaymentId` is our reference: a second code under it is refused, and its address is not told again, so
an order whose answer got lost is over. A code lives as long as its answer says (`expiryDate`, minutes); one that
lapsed unpaid stays CREATED for good. Webhooks are not signed: anybody can send one, and all it does is make us ask.
There is no list of a day's payments but a file sent once a day, so `day_request` has none; a code can only be deleted
by an id that is told once, when it is made, so `expire` can't.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, unquote, urlsplit

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
    RefundStatus,
    UnclearCharge,
    WebhookEvent,
)
from app.providers.payments.json_fields import (
    Json,
    content,
    identifier,
    nested,
    refusal,
    same,
    seconds,
    several,
    text,
    whole,
    word,
)

_CODES: Final = "/v2/codes"
_DETAILS: Final = f"{_CODES}/payments/"
_TYPE: Final = "application/json;charset=UTF-8"  # to the letter: the signature covers it
_LONGEST_DESCRIPTION: Final = 255
_STATUS: Final = {
    "CREATED": ChargeStatus.OPEN,
    "AUTHORIZED": ChargeStatus.PENDING,
    "REAUTHORIZING": ChargeStatus.PENDING,
    "COMPLETED": ChargeStatus.PAID,
    "REFUNDED": ChargeStatus.PAID,  # wholly or in part: the refunds tell
    "CANCELED": ChargeStatus.CANCELLED,
    "EXPIRED": ChargeStatus.EXPIRED,
    "EXPIRED_USER_CONFIRMATION": ChargeStatus.EXPIRED,
    "FAILED": ChargeStatus.FAILED,
}
# CREATED and REFUNDED both mean success; a failed refund is tried again by PayPay until it is done
_REFUND_STATUS: Final = {
    "CREATED": RefundStatus.DONE,
    "REFUNDED": RefundStatus.DONE,
    "REFUND_FAILED": RefundStatus.PENDING,
}


class _PayPay:
    """The adapter; see `PaymentProvider` for each method."""

    name = "paypay"
    label = "PayPay"
    api_base = "https://apigw.paypay.ne.jp"
    fields: Sequence[AccountField] = (
        AccountField("api_key", "APIキー", secret=True, expects="PayPay for Developersの「APIキー」（空白なし）"),
        AccountField("api_secret", "シークレット", secret=True, expects="APIキーと一緒に発行される文字列（空白なし）"),
        AccountField(
            "merchant_id",
            "加盟店ID",
            pattern="[0-9A-Za-z_-]+",
            expects="PayPay for Developersの「MerchantID」（半角英数字）",
        ),
    )
    methods: Mapping[str, str] = {"paypay": "PayPay"}
    lifetime_s = (30, 300)  # PayPay sets the end itself, and tells it
    page_domains: tuple[str, ...] = ("paypay.ne.jp",)
    tells_end = False

    def bounds(self, settings: Mapping[str, str]) -> tuple[int, int]:
        """Return no bounds: none are told."""
        del settings
        return ANY_AMOUNT

    def start(self, account: PaymentAccess, order: Order) -> Request:
        """Return the request that makes a code; PayPay refuses a second one for the same order."""
        wanted = {
            "merchantPaymentId": order.reference,
            "codeType": "ORDER_QR",
            "amount": {"amount": order.amount_yen, "currency": "JPY"},
            "orderDescription": order.description[:_LONGEST_DESCRIPTION],
            "isAuthorization": False,
            "redirectUrl": order.success_url,
            "redirectType": "WEB_LINK",
            "requestedAt": int(account.opened_at.timestamp()),
        }
        return _request(account, "POST", _CODES, wanted)

    def fetch(self, account: PaymentAccess, provider_id: str) -> Request:
        """Return the request that asks for the payment of one code, by our reference."""
        return _request(account, "GET", _DETAILS + quote(provider_id, safe=""))

    def charge(self, asked: Request, answers: Sequence[Response]) -> Charge:
        """Read the answer to `start` or `fetch`. Raises UnclearCharge."""
        data = _read(answers[0])
        path = urlsplit(asked.url).path
        # before anybody pays, the answer doesn't say what it is about: then it is what was asked about
        about = unquote(path.rpartition(_DETAILS)[2]) if _DETAILS in path else None
        provider_id = identifier(data, "merchantPaymentId") or about
        if provider_id is None:
            raise UnclearCharge("no_id")
        made = about is None
        status = ChargeStatus.OPEN if made else _STATUS.get(str(data.get("status")))
        if status is None:
            raise UnclearCharge("contradiction")
        money, refunded = nested(data, "amount"), _refunded(data)
        amount = whole(money, "amount")
        paid_at = seconds(data, "acceptedAt")
        if status is ChargeStatus.CANCELLED and paid_at is not None:
            status = ChargeStatus.REFUNDED  # a payment that had been made: cancelling it gave the money back
        elif status is ChargeStatus.PAID and _given_back(data, amount, refunded):
            status = ChargeStatus.REFUNDED
        return Charge(
            provider_id=provider_id,
            reference=identifier(data, "merchantPaymentId"),
            status=status,
            amount=amount,
            currency=text(money, "currency"),
            payment_id=identifier(data, "paymentId"),
            amount_refunded=refunded,
            method="paypay",
            url=text(data, "url") if made else None,
            expires_at=seconds(data, "expiryDate"),
            paid_at=paid_at if status in {ChargeStatus.PAID, ChargeStatus.REFUNDED} else None,
            refunds={
                reference: _REFUND_STATUS.get(str(one.get("status")), RefundStatus.PENDING)
                for one in several(nested(data, "refunds"), "data")
                if (reference := identifier(one, "merchantRefundId")) is not None
            },
        )

    def webhook(self, account: PaymentAccess, headers: Mapping[str, str], body: bytes, now: datetime) -> WebhookEvent:
        """Read a webhook. Raises BadSignature, UnclearCharge.

        It bears no signature, only the merchant's id is compared; nor an id: what it tells of what is one event.
        """
        del headers, now
        event = content(body)
        kind, state = word(event, "notification_type"), event.get("state")
        if kind is None:
            raise UnclearCharge("unreadable")
        about = kind == "Transaction"
        if about:
            kind = f"{kind}.{state if isinstance(state, str) and state in _STATUS else 'other'}"
        if about and not same(account.settings.get("merchant_id", ""), text(event, "merchant_id") or ""):
            raise BadSignature("merchant")
        reference = identifier(event, "merchant_order_id") if about else None
        return WebhookEvent(
            id=hashlib.sha256(f"{kind} {reference}".encode()).hexdigest(),
            kind=kind,
            provider_id=reference,
            reference=reference,
            proven=False,
        )

    def expire(self, account: PaymentAccess, charge: Charge) -> None:
        """Nothing: see this module's first words."""
        del account, charge

    def refund(self, account: PaymentAccess, charge: Charge, amount_yen: int, reference: str) -> Request | None:
        """Return the request that gives money back; PayPay takes one refund for a payment."""
        if charge.status is not ChargeStatus.PAID or charge.payment_id is None or charge.amount_refunded:
            return None
        wanted = {
            "merchantRefundId": reference,
            "paymentId": charge.payment_id,
            "amount": {"amount": amount_yen, "currency": "JPY"},
            "requestedAt": int(account.opened_at.timestamp()),
        }
        return _request(account, "POST", "/v2/refunds", wanted)

    def refunded(self, response: Response) -> Refund:
        """Read the answer to `refund`. Raises UnclearCharge."""
        made = _read(response)
        status, amount = _REFUND_STATUS.get(str(made.get("status"))), whole(nested(made, "amount"), "amount")
        if status is None or amount is None:
            raise UnclearCharge("unreadable")
        return Refund(status, amount, identifier(made, "merchantRefundId"))

    def day_request(self, account: PaymentAccess, day: date, cursor: str = "") -> None:
        """Nothing: see this module's first words."""
        del account, day, cursor

    def parse_list(self, day: date, response: Response) -> Page:
        """Read nothing: `day_request` never asks. Raises UnclearCharge."""
        del day, response
        raise UnclearCharge("no_list", final=True)


paypay = _PayPay()


def _request(account: PaymentAccess, method: str, path: str, wanted: Mapping[str, object] | None = None) -> Request:
    """Make a signed request: `hmac OPA-Auth:key:signature:nonce:epoch seconds:body's hash`."""
    body = b"" if wanted is None else json.dumps(wanted).encode()
    kind, digest = "empty", "empty"
    headers = {"Accept": "application/json", "X-ASSUME-MERCHANT": account.settings.get("merchant_id", "")}
    if body:
        kind = headers["Content-Type"] = _TYPE
        digest = base64.b64encode(hashlib.md5(_TYPE.encode() + body).digest()).decode()  # noqa: S324 - PayPay's choice
    epoch = str(int(account.opened_at.timestamp()))
    nonce = hashlib.sha256(f"{account.opened_at.isoformat()} {method} {path}".encode() + body).hexdigest()[:8]
    signed = f"{path}\n{method}\n{nonce}\n{epoch}\n{kind}\n{digest}"
    secret = account.credentials.get("api_secret", "").encode()
    signature = base64.b64encode(hmac.digest(secret, signed.encode(), "sha256")).decode()
    key = account.credentials.get("api_key", "")
    headers["Authorization"] = f"hmac OPA-Auth:{key}:{signature}:{nonce}:{epoch}:{digest}"
    return Request(method, account.base_url.rstrip("/") + path, headers, body, account.timeout_s)


def _read(response: Response) -> Json:
    """Read an answer's data. Raises UnclearCharge."""
    found = content(response.body)
    code = word(nested(found, "resultInfo"), "code")
    if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES or code != "SUCCESS":
        raise refusal(response, code)
    return nested(found, "data")


def _given_back(data: Json, amount: int | None, refunded: int) -> bool:
    """Return whether all of a payment was given back; REFUNDED without a list of refunds means so."""
    return (amount is not None and 0 < amount <= refunded) or (data.get("status") == "REFUNDED" and not refunded)


def _refunded(data: Json) -> int:
    """Add up what was given back of a payment."""
    given = [refund for refund in several(nested(data, "refunds"), "data") if refund.get("status") in _REFUND_STATUS]
    return sum(whole(nested(refund, "amount"), "amount") or 0 for refund in given)
