"""One recipient: their number read on record, their link ended, their money recorded; and a company's accounts."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select

from api import finding, shapes
from api.door import Doing, Endpoint
from app import audit
from app.accounts import abilities
from app.api_access import ids
from app.api_access.entry import Caller
from app.api_access.ids import Of
from app.api_access.keys import Scope
from app.campaigns import rendering
from app.delivery.resend import unpaid_after_all
from app.extensions import db
from app.identity.revoke import revoke
from app.models import Payment, PaymentAccount, Recipient, SmsAccount
from app.payments import manual_payments
from app.payments.manual_payments import Money
from app.problems import Kind, Refused
from app.values.card_numbers import holds_card_number
from app.values.phones import holds_mobile_number

_ENDED = Kind("link_ended_before", "この送信先のリンクは、すでに無効です。")
_PERSONAL = Kind("settle_reason_personal", "理由は証跡に残ります。電話番号やカード番号は書かないでください。")


def get_phone(caller: Caller, campaign: str, recipient: str) -> shapes.Phone:
    """Return a recipient's phone number. That it was read is on record."""
    row = finding.recipient(finding.campaign(campaign), recipient)
    told = shapes.Phone(
        ids.make_person(row.id, row.link_secret), rendering.open_phone(row.tenant_id, row.id, row.phone_sealed)
    )
    audit.record(db.session, actor=caller.actor, act="reveal_phone", target=f"recipient:{row.id}")
    db.session.commit()
    return told


def revoke_link(caller: Caller, campaign: str, recipient: str) -> Doing:
    """End a recipient's link, and what still waits to be sent with it. This can't be undone."""
    row = finding.recipient(finding.campaign(campaign), recipient)
    recipient_id = row.id

    def do(_act: object) -> None:
        if not revoke(recipient_id, actor=caller.actor, at=datetime.now(UTC)):
            raise Refused(_ENDED())

    return Doing(do, lambda connection: _stands(connection, recipient_id))


def settle_payment(caller: Caller, body: shapes.Settle, campaign: str, recipient: str) -> Doing:
    """Record that somebody paid in full another way (消込). Refused while a payment is under way."""
    row = finding.recipient(finding.campaign(campaign), recipient)
    recipient_id, reason = row.id, _reason(body.reason)
    money = Money(body.method, body.yen, reason)
    return Doing(
        lambda _act: manual_payments.settle(recipient_id, money, actor=caller.actor, despite_open=False),
        lambda connection: _last_payment(connection, recipient_id),
    )


def take_payment_back(caller: Caller, body: shapes.TakeBack, campaign: str, payment: str) -> Doing:
    """Take money back that was recorded by hand and was not there."""
    row = finding.payment(finding.campaign(campaign), payment)
    payment_id, recipient_id, reason = row.id, row.recipient_id, _reason(body.reason)

    def do(_act: object) -> None:
        manual_payments.take_back(payment_id, reason, actor=caller.actor)
        unpaid_after_all(recipient_id, actor=caller.actor)

    return Doing(do, lambda connection: _told(connection, payment_id))


def list_payments(_caller: Caller, query: shapes.PageQuery, campaign: str) -> shapes.PaymentPage:
    """List a campaign's payments, in the order in which they began."""
    within = finding.campaign(campaign)
    found = select(Payment).where(Payment.campaign_id == within.id)
    if query.after is not None:
        found = found.where(Payment.id > finding.payment(within, query.after).id)
    rows = db.session.scalars(found.order_by(Payment.id).limit(query.limit + 1)).all()
    page = [_payment(row) for row in rows[: query.limit]]
    return shapes.PaymentPage(page, page[-1].id if len(rows) > query.limit else None)


def get_payment(_caller: Caller, campaign: str, payment: str) -> shapes.Payment:
    """Return one payment."""
    return _payment(finding.payment(finding.campaign(campaign), payment))


def list_accounts(caller: Caller) -> shapes.Accounts:
    """List the company's contracts with SMS services and payment providers, and whether they can be used."""
    sms = db.session.scalars(select(SmsAccount).where(SmsAccount.tenant_id == caller.tenant_id).order_by(SmsAccount.id))
    payment = db.session.scalars(
        select(PaymentAccount).where(PaymentAccount.tenant_id == caller.tenant_id).order_by(PaymentAccount.id)
    )
    now = datetime.now(UTC)
    return shapes.Accounts(
        [
            shapes.Account(
                ids.make(Of.SMS_ACCOUNT, row.id),
                row.name,
                row.active,
                abilities.is_test(row),
                bool(row.restore_hold),
                row.resting_until if row.resting_until is not None and row.resting_until > now else None,
            )
            for row in sms
        ],
        [
            shapes.Account(
                ids.make(Of.PAYMENT_ACCOUNT, row.id),
                row.name,
                row.active,
                row.test_mode,
                bool(row.restore_hold),
                row.rests_until if row.rests_until is not None and row.rests_until > now else None,
            )
            for row in payment
        ],
    )


def _reason(text: str) -> str:
    reason = text.replace("\0", "").strip()
    if holds_card_number(reason) or holds_mobile_number(reason):
        raise Refused(_PERSONAL())
    return reason


def _stands(connection: Connection, recipient_id: int) -> shapes.RecipientAct:
    row = connection.execute(
        select(Recipient.link_secret, Recipient.sms_state, Recipient.page_state, Recipient.payment_state).where(
            Recipient.id == recipient_id
        )
    ).one()
    return shapes.RecipientAct(
        ids.make_person(recipient_id, row.link_secret), row.sms_state, row.page_state, row.payment_state
    )


_COLUMNS = (
    Payment.id, Payment.campaign_id, Payment.attempt, Payment.state, Payment.amount_yen, Payment.method,
    Payment.payment_account_id, Payment.problem, Payment.created_at, Payment.paid_at, Payment.refunded_yen,
)  # fmt: skip


def _last_payment(connection: Connection, recipient_id: int) -> shapes.Payment:
    mine = select(*_COLUMNS).where(Payment.recipient_id == recipient_id)
    return _payment(connection.execute(mine.order_by(Payment.attempt.desc()).limit(1)).one())


def _told(connection: Connection, payment_id: int) -> shapes.Payment:
    return _payment(connection.execute(select(*_COLUMNS).where(Payment.id == payment_id)).one())


def _payment(row: Any) -> shapes.Payment:  # noqa: ANN401 - the model, or its columns
    return shapes.Payment(
        id=ids.make(Of.PAYMENT, row.id),
        campaign_id=ids.make(Of.CAMPAIGN, row.campaign_id),
        attempt=row.attempt,
        state=row.state,
        amount_yen=row.amount_yen,
        method=row.method or "",
        by_hand=row.payment_account_id is None,
        needs_review=bool(row.problem),
        created_at=row.created_at,
        paid_at=row.paid_at,
        refunded_yen=row.refunded_yen,
    )


ENDPOINTS = (
    Endpoint(
        method="GET", rule="/campaigns/<campaign>/recipients/<recipient>/phone", scope=Scope.READ_PERSONAL,
        view=get_phone, answers=shapes.Phone,
    ),
    Endpoint(
        method="POST", rule="/campaigns/<campaign>/recipients/<recipient>/revoke", scope=Scope.MANAGE,
        view=revoke_link, answers=shapes.RecipientAct,
    ),
    Endpoint(
        method="POST", rule="/campaigns/<campaign>/recipients/<recipient>/settle", scope=Scope.PAY,
        view=settle_payment, answers=shapes.Payment, body=shapes.Settle, status=201,
    ),
    Endpoint(
        method="GET", rule="/campaigns/<campaign>/payments", scope=Scope.READ, view=list_payments,
        answers=shapes.PaymentPage, query=shapes.PageQuery,
    ),
    Endpoint(
        method="GET", rule="/campaigns/<campaign>/payments/<payment>", scope=Scope.READ, view=get_payment,
        answers=shapes.Payment,
    ),
    Endpoint(
        method="POST", rule="/campaigns/<campaign>/payments/<payment>/take-back", scope=Scope.PAY,
        view=take_payment_back, answers=shapes.Payment, body=shapes.TakeBack,
    ),
    Endpoint(method="GET", rule="/accounts", scope=Scope.READ, view=list_accounts, answers=shapes.Accounts),
)  # fmt: skip
