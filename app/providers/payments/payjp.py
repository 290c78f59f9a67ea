"""PAY.JP v2: a checkout page of PAY.JP's own where the person pays by card, PayPay or Apple Pay.

Sources: PAY.JP's Python SDK payjpv2 1.3.0 (requests, models) and docs.pay.jp/v2 (guide: idempotency, error-response,
event-webhook, status-management). A session says whether its page is done, its payment flow whether the money came, the
flow's refunds what went back, its disputes who contests it: up to four questions for one charge. The session doesn't
repeat `client_reference_id`, so our reference stands in the metadata of the session and of the flow. Webhooks bear a
fixed token and no signature; what an event about a dispute is called is not documented, so its object is read.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
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
    FORBIDDEN,
    Json,
    content,
    disputed,
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

_SESSIONS: Final = "/v2/checkout/sessions"
_FLOWS: Final = "/v2/payment_flows"
_DISPUTES: Final = "/v2/payment_disputes"
_PAGE: Final = 100  # the most that a list gives at once
_DONE: Final = frozenset({HTTPStatus.OK, HTTPStatus.CREATED})
# flow status -> what it comes to once the page is left; any other one contradicts a page that is complete
_FLOW_STATUS: Final = {
    "succeeded": ChargeStatus.PAID,
    "processing": ChargeStatus.PENDING,
    "requires_capture": ChargeStatus.PENDING,
    "canceled": ChargeStatus.CANCELLED,
}
_REFUND_STATUS: Final = {
    "succeeded": RefundStatus.DONE,
    "pending": RefundStatus.PENDING,
    "requires_action": RefundStatus.PENDING,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.FAILED,
}
# any other status of a dispute is still open: an inquiry, a stop of delivery, a chargeback
_DISPUTE_ENDS: Final = {"lost": Dispute.LOST, "cancel": Dispute.WON}


_METHODS: Final[Mapping[str, str]] = {"card": "カード", "paypay": "PayPay", "apple_pay": "Apple Pay"}


class _Payjp:
    """The adapter; see `PaymentProvider` for each method."""

    name = "payjp"
    label = "PAY.JP"
    api_base = "https://api.pay.jp"
    fields: Sequence[AccountField] = (
        AccountField(
            "secret_key",
            "シークレットキー",
            secret=True,
            pattern="sk_(live|test)_[!-~]+",
            expects="sk_live_ または sk_test_ で始まるキー",
        ),
        AccountField(
            "webhook_token", "Webhookトークン", secret=True, expects="管理画面のWebhook設定にある文字列（空白なし）"
        ),
        AccountField("methods", "支払方法", choices=_METHODS, help="PAY.JPの管理画面で有効にしたものを選びます。"),
    )
    methods = _METHODS
    # up to 24 hours from when PAY.JP makes the session: a minute of room for clocks and the way there
    lifetime_s = (120, 86_340)
    page_domains: tuple[str, ...] = ("pay.jp",)
    tells_end = True

    def bounds(self, settings: Mapping[str, str]) -> tuple[int, int]:
        """Return no bounds: none are told."""
        del settings
        return ANY_AMOUNT

    def start(self, account: PaymentAccess, order: Order) -> Request:
        """Return the request that opens a payment page; repeating it with the same order opens no second one."""
        metadata = {"reference": order.reference}
        wanted = {
            "mode": "payment",
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": "jpy",
                        "unit_amount": order.amount_yen,
                        "product_data": {"name": order.description},
                    },
                }
            ],
            "client_reference_id": order.reference,
            "metadata": metadata,
            "payment_flow_data": {"capture_method": "automatic", "metadata": metadata},
            "payment_method_types": list(order.methods) or listed_in(account.settings.get("methods", ""), "card"),
            "success_url": order.success_url,
            "cancel_url": order.cancel_url,
            # the flow's secret has no business in our addresses
            "redirect_options": {"include_client_secret": False},
            "expires_at": order.expires_at.isoformat(timespec="seconds"),
            "locale": "ja" if order.locale == "ja" else "auto",
        }
        return _post(account, _SESSIONS, wanted, order.reference)

    def fetch(self, account: PaymentAccess, provider_id: str) -> Request:
        """Return the request that asks for one session."""
        return _get(account, f"{_SESSIONS}/{quote(provider_id, safe='')}")

    def charge(self, asked: Request, answers: Sequence[Response]) -> Charge | Request:
        """Read a session; of one whose page was left, ask for its flow too, of money for its refunds and disputes."""
        session = _read(answers[0], "checkout.session")
        flow_id = identifier(session, "payment_flow_id")
        if session.get("status") == "open" or flow_id is None:
            return _of_session(session)
        path = f"{_FLOWS}/{quote(flow_id, safe='')}"
        if len(answers) == 1:
            return _next(asked, path)
        flow = _read(answers[1], "payment_flow")
        charge = _of_flow(flow, session)
        if charge.status is not ChargeStatus.PAID:
            return charge
        if len(answers) == 2:  # noqa: PLR2004 - the third question
            return _next(asked, f"{path}/refunds?limit={_PAGE}")
        charge = _less(charge, _read(answers[2], "list"))
        if len(answers) == 3:  # noqa: PLR2004 - the fourth
            query = urlencode({"payment_flow_id": flow_id, "limit": str(_PAGE)})
            return _next(asked, f"{_DISPUTES}?{query}")
        # none where a key, or a contract, may not ask about them
        told = [] if answers[3].status in FORBIDDEN else several(_read(answers[3], "list"), "data")
        return replace(charge, dispute=disputed(told, _DISPUTE_ENDS))

    def webhook(self, account: PaymentAccess, headers: Mapping[str, str], body: bytes, now: datetime) -> WebhookEvent:
        """Compare the token and read a webhook.

        Raises BadSignature; UnclearCharge when it can't be read.
        """
        del now
        if not same(account.credentials.get("webhook_token", ""), headers.get("x-payjp-webhook-token", "")):
            raise BadSignature("token")
        event = content(body)
        event_id, kind = identifier(event, "id"), word(event, "type")
        if event.get("object") != "event" or event_id is None or kind is None:
            raise UnclearCharge("unreadable")
        about = nested(event, "data")
        return WebhookEvent(
            id=event_id,
            kind=kind,
            provider_id=identifier(about, "id") if about.get("object") == "checkout.session" else None,
            reference=text(nested(about, "metadata"), "reference"),
            # a dispute, and a refund made at PAY.JP's own desk, bear nothing else that is known here
            payment_id=identifier(about, "id" if about.get("object") == "payment_flow" else "payment_flow_id"),
        )

    def expire(self, account: PaymentAccess, charge: Charge) -> Request | None:
        """Return the request that ends an open session."""
        if charge.status is not ChargeStatus.OPEN:
            return None
        return _post(account, f"{_SESSIONS}/{quote(charge.provider_id, safe='')}/expire", {}, None)

    def refund(self, account: PaymentAccess, charge: Charge, amount_yen: int, reference: str) -> Request | None:
        """Return the request that gives money back.

        Its event tells of our charge, by the metadata given here.
        """
        if charge.status is not ChargeStatus.PAID or charge.payment_id is None:
            return None
        wanted = {
            "payment_flow_id": charge.payment_id,
            "amount": amount_yen,
            "reason": "requested_by_customer",
            "metadata": {"reference": charge.reference or "", "refund": reference},
        }
        return _post(account, "/v2/payment_refunds", wanted, reference)

    def refunded(self, response: Response) -> Refund:
        """Read the answer to `refund`. Raises UnclearCharge."""
        made = _read(response, "payment_refund")
        status, amount = _REFUND_STATUS.get(str(made.get("status"))), whole(made, "amount")
        if status is None or amount is None:
            raise UnclearCharge("unreadable")
        return Refund(status, amount, identifier(made, "id"))

    def day_request(self, account: PaymentAccess, day: date, cursor: str = "") -> Request:
        """Return the request for a page of the payment flows, newest first; they can't be asked for by day."""
        del day
        query = {"limit": str(_PAGE)} | ({"starting_after": cursor} if cursor else {})
        return _get(account, f"{_FLOWS}?{urlencode(query)}")

    def parse_list(self, day: date, response: Response) -> Page:
        """Pick a day's flows from a page, and go on until they are older.

        Refunds are not told here.
        """
        page = _read(response, "list")
        begin, end = day_bounds(day)
        charges = []
        flows = several(page, "data")
        last = moment(flows[-1], "created_at") if flows else None
        for flow in flows:
            made = moment(flow, "created_at")
            if made is not None and begin <= made < end:
                with suppress(UnclearCharge):
                    charges.append(_of_flow(flow, None))
        more = page.get("has_more") is True and last is not None and last >= begin
        return Page(charges, identifier(flows[-1], "id") if more else None)


payjp = _Payjp()


def _get(account: PaymentAccess, path: str) -> Request:
    return Request("GET", account.base_url.rstrip("/") + path, _headers(account), timeout_s=account.timeout_s)


def _post(account: PaymentAccess, path: str, wanted: Mapping[str, object], reference: str | None) -> Request:
    headers = _headers(account) | {"Content-Type": "application/json"}
    if reference is not None:
        # only letters, digits, - and _ are taken, which a reference needn't be made of
        headers["Idempotency-Key"] = hashlib.sha256(reference.encode()).hexdigest()
    body = json.dumps(wanted, ensure_ascii=False).encode()
    return Request("POST", account.base_url.rstrip("/") + path, headers, body, account.timeout_s)


def _headers(account: PaymentAccess) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {account.credentials.get('secret_key', '')}",
        "Accept": "application/json, application/problem+json",
    }


def _next(asked: Request, path: str) -> Request:
    """Make a further question to where the first one went, as the same account."""
    base = asked.url.partition(_SESSIONS)[0]
    headers = {name: value for name, value in asked.headers.items() if name in {"Authorization", "Accept"}}
    return replace(asked, method="GET", url=base + path, headers=headers, body=b"")


def _read(response: Response, kind: str) -> Json:
    """Read an object of a kind. Raises UnclearCharge."""
    found = content(response.body)
    if response.status not in _DONE:
        code = word(found, "code") or (f"http_{response.status}" if "status" in found else None)
        # another content under a known Idempotency-Key stays refused, though it is a 409 like the passing ones
        raise refusal(response, code, over=code == "idempotency_conflict")
    if found.get("object") != kind:
        raise UnclearCharge("unreadable")
    return found


def _of_session(session: Json) -> Charge:
    provider_id = identifier(session, "id")
    if session.get("mode") != "payment" or provider_id is None:
        raise UnclearCharge("unreadable")
    statuses = {"open": ChargeStatus.OPEN, "expired": ChargeStatus.EXPIRED}
    status = statuses.get(str(session.get("status")))
    if status is None:  # such as complete without a flow: nothing we ask for costs nothing
        raise UnclearCharge("contradiction")
    return Charge(
        provider_id=provider_id,
        reference=text(nested(session, "metadata"), "reference"),
        status=status,
        amount=whole(session, "amount_total"),
        currency=text(session, "currency"),
        method=_only(session),
        url=text(session, "url") if status is ChargeStatus.OPEN else None,
        expires_at=moment(session, "expires_at"),
    )


def _of_flow(flow: Json, session: Json | None) -> Charge:
    """Read the money.

    Without its session (in a list) a flow still under way is an open page.
    """
    payment_id = identifier(flow, "id")
    provider_id = payment_id if session is None else identifier(session, "id")
    if payment_id is None or provider_id is None:
        raise UnclearCharge("unreadable")
    status = _FLOW_STATUS.get(str(flow.get("status")))
    if status is None:
        if session is not None and session.get("status") == "complete":
            raise UnclearCharge("contradiction")  # the page is done, the flow is not yet told: look again
        status = ChargeStatus.OPEN if session is None else ChargeStatus.EXPIRED
    lapsed = flow.get("cancellation_reason") == "expired" or (
        session is not None and session.get("status") == "expired"
    )
    if status is ChargeStatus.CANCELLED and lapsed:
        status = ChargeStatus.EXPIRED
    paid = status is ChargeStatus.PAID
    return Charge(
        provider_id=provider_id,
        reference=text(nested(flow, "metadata"), "reference"),
        status=status,
        amount=whole(flow, "amount_received") if paid else whole(flow, "amount"),
        currency=text(flow, "currency"),
        payment_id=payment_id,
        amount_refunded=None if session is None else 0,
        method=_only(flow),
        # the flow's last change: when it is paid, that is the payment
        paid_at=moment(flow, "updated_at") if paid else None,
    )


def _less(charge: Charge, refunds: Json) -> Charge:
    """Take into account what was given back."""
    told = several(refunds, "data")
    back = sum(whole(one, "amount") or 0 for one in told if one.get("status") == "succeeded")
    status = ChargeStatus.REFUNDED if charge.amount is not None and 0 < charge.amount <= back else charge.status
    ours = {
        reference: _REFUND_STATUS.get(str(one.get("status")), RefundStatus.PENDING)
        for one in told
        if (reference := text(nested(one, "metadata"), "refund")) is not None
    }
    return replace(charge, amount_refunded=back, status=status, refunds=ours)


def _only(found: Json) -> str | None:
    """Name the means of payment where only one was offered; another is not told."""
    offered = found.get("payment_method_types")
    return offered[0] if isinstance(offered, list) and len(offered) == 1 and isinstance(offered[0], str) else None
