"""Money that came another way, unknown to any payment provider: recorded in full (消込), taken back if wrong.

In: a person or a payment, what came and why, and who acts. Out: the person's state, the record, the act with its reason
(証跡). Can't happen here: a part of an amount taken for the whole; a payment that a provider told of undone; a state
after a taking back other than what the person's attempts at the provider say.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import Connection, Row, text

from app import audit, references, tenancy
from app.accounts import Unusable
from app.payments import bulkhead
from app.payments.confirm import end
from app.payments.gateway import NoAnswer
from app.payments.review import resolve_twice
from app.problems import Kind, Refused
from app.states import locks
from app.states.transitions import Step, cancel_by_hand, move
from app.states.vocabulary import PAYMENT, PaymentAttemptState, PaymentState

# how money came: kept as the payment's method
BY_HAND = {
    "bank_transfer": "銀行振込",
    "cash": "窓口・集金",
    "other_site": "ほかの決済サービス",
    "misfit": "決済サイト（請求と合わない入金）",
}

_NO_METHOD = Kind("settle_method_missing", "どのように入金されたかを選んでください。")
_NO_REASON = Kind("settle_reason_missing", "理由を入力してください。")
_UNDER_WAY = Kind(
    "settle_payment_under_way",
    "進行中の支払い手続きがあります。このまま消し込むと、二重に支払われるおそれがあります。"
    "ご本人に確かめたうえで、確認の欄に印を付けてください。",
)
_NOT_UNPAID = Kind(
    "settle_not_unpaid", "いまの状態は「{state}」のため、消し込めません。画面を開き直して確かめてください。"
)
_OTHER_AMOUNT = Kind(
    "settle_amount_differs",
    "請求金額{amount_yen:,}円と同じ金額の入金だけを消し込めます。"
    "一部だけの入金や、多い入金は消し込めません。差額をご本人に確かめてください。",
)
_NOT_SETTLED = Kind(
    "unsettle_not_settled",
    "消し込みで支払済になっている支払いだけを取り消せます。画面を開き直して確かめてください。",
)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Money:
    """Money that came, as staff tell it: by which of BY_HAND, how many yen, and why it is recorded."""

    method: str
    yen: int
    reason: str


@bulkhead.person_waits()
def settle(recipient_id: int, money: Money, *, actor: str, despite_open: bool) -> bool:
    """Record that a person paid in full another way (消込).

    Returns whether a page can still be paid. Commits.

    With an attempt under way it wants `despite_open`; that attempt is ended where the provider can. Raises Refused.
    """
    if money.method not in BY_HAND:
        raise Refused(_NO_METHOD())
    if not money.reason:
        raise Refused(_NO_REASON())
    _end_attempt(recipient_id, despite_open=despite_open)
    now = datetime.now(UTC)
    with tenancy.transaction() as connection:
        person = _locked_payer(connection, recipient_id, money, despite_open=despite_open)
        payment_id = _record(connection, person, money, now)
        detail = {"payment_id": payment_id, "attempt": person.attempt, "method": money.method, "by_hand": True}
        move(connection, PAYMENT, PaymentState.PAID, [Step(recipient_id, now, detail)], actor=actor)
        audit.record(
            connection,
            actor=actor,
            act="settle_payment",
            target=f"recipient:{recipient_id}",
            detail={"payment_id": payment_id, "yen": money.yen, "method": money.method, "reason": money.reason},
        )
        still_open = connection.execute(
            text("""
                SELECT FROM payment WHERE recipient_id = :id AND state IN ('started', 'pending') AND problem = ''
                AND provider_id IS NOT NULL
            """),
            {"id": recipient_id},
        )
        return still_open.first() is not None


def _end_attempt(recipient_id: int, *, despite_open: bool) -> None:
    """End an attempt that is under way, where the provider can.

    Raises Refused unless `despite_open`.
    """
    with tenancy.transaction() as connection:
        open_id = connection.execute(
            text("SELECT id FROM payment WHERE recipient_id = :id AND state IN ('started', 'pending')"),
            {"id": recipient_id},
        ).scalar()
    if open_id is None:
        return
    if not despite_open:
        raise Refused(_UNDER_WAY())
    try:
        end(open_id)
    except (NoAnswer, Unusable) as fault:
        # the poll ends it later
        _log.warning("parallel attempt not ended", payment_id=open_id, reason=str(fault))


def _locked_payer(connection: Connection, recipient_id: int, money: Money, *, despite_open: bool) -> Row[Any]:
    """Lock a person and return what is recorded of them with their money.

    Raises Refused where it can't be.
    """
    # first the lock, then the look: who pressed pay meanwhile has an attempt by now
    locks.lock_payer(connection, recipient_id)
    person = connection.execute(
        text("""
            SELECT r.id, r.tenant_id, r.campaign_id, r.payment_state, r.amount_yen, r.link_secret, c.key,
                   coalesce((SELECT max(attempt) FROM payment WHERE recipient_id = r.id), 0) + 1 AS attempt,
                   EXISTS (SELECT FROM payment WHERE recipient_id = r.id AND state IN ('started', 'pending'))
                   AS under_way
            FROM recipient r JOIN campaign c ON c.id = r.campaign_id WHERE r.id = :id
        """),
        {"id": recipient_id},
    ).one()
    if person.under_way and not despite_open:
        raise Refused(_UNDER_WAY())
    if person.payment_state not in PAYMENT.sources(PaymentState.PAID):
        word = PAYMENT.words[PaymentState(person.payment_state)]
        raise Refused(_NOT_UNPAID(state=word))
    if person.amount_yen != money.yen:
        raise Refused(_OTHER_AMOUNT(amount_yen=person.amount_yen or 0))
    return person


def _record(connection: Connection, person: Row[Any], money: Money, now: datetime) -> int:
    """Write down a payment without an account; return its id."""
    payment_id: int = connection.execute(
        text("""
            INSERT INTO payment (tenant_id, campaign_id, recipient_id, attempt, reference, state, amount_yen,
                                 method, reason, paid_at)
            VALUES (:tenant_id, :campaign_id, :recipient_id, :attempt, :reference, :paid, :amount_yen,
                    :method, :reason, :now)
            RETURNING id
        """),
        {
            "tenant_id": person.tenant_id,
            "campaign_id": person.campaign_id,
            "recipient_id": person.id,
            "attempt": person.attempt,
            "reference": references.by_hand(references.mark(person.link_secret, person.key), person.id, person.attempt),
            "paid": str(PaymentAttemptState.PAID),
            "amount_yen": money.yen,
            "method": money.method,
            "reason": money.reason,
            "now": now,
        },
    ).scalar_one()
    return payment_id


def take_back(payment_id: int, reason: str, *, actor: str) -> PaymentState:
    """Undo a 消込 that was wrong; return where the person stands then.

    Commits. Raises Refused.

    They stand as their attempts at the payment provider say: one that is open, another payment, or none.
    """
    if not reason:
        raise Refused(_NO_REASON())
    now = datetime.now(UTC)
    with tenancy.transaction() as connection:
        locks.lock_payer_of(connection, payment_id)
        if not cancel_by_hand(connection, payment_id):
            raise Refused(_NOT_SETTLED())
        row = connection.execute(
            text("""
                UPDATE payment SET problem = '', reason = reason || '（取り消した理由：' || :reason || '）'
                WHERE id = :id RETURNING recipient_id, attempt, amount_yen
            """),
            {"id": payment_id, "reason": reason},
        ).one()
        detail = {"payment_id": payment_id, "attempt": row.attempt, "by_hand": True}
        audit.record(
            connection,
            actor=actor,
            act="unsettle_payment",
            target=f"recipient:{row.recipient_id}",
            detail={"payment_id": payment_id, "yen": row.amount_yen, "reason": reason},
        )
        resolve_twice(connection, row.recipient_id)
        return _stand_as_before(connection, row.recipient_id, now, detail, actor)


def _stand_as_before(
    connection: Connection, recipient_id: int, now: datetime, detail: dict[str, object], actor: str
) -> PaymentState:
    """Let a person stand as what is left of their attempts says."""
    left = connection.execute(
        text("""
            SELECT state, paid_at FROM payment WHERE recipient_id = :id AND state IN ('paid', 'started', 'pending')
            AND (payment_account_id IS NULL OR provider_id IS NOT NULL) ORDER BY state = 'paid' DESC, paid_at LIMIT 1
        """),
        {"id": recipient_id},
    ).first()
    if left is not None and left.state == PaymentAttemptState.PAID:
        connection.execute(
            text("UPDATE recipient SET paid_at = :at WHERE id = :id"), {"id": recipient_id, "at": left.paid_at}
        )
        return PaymentState.PAID
    move(
        connection,
        PAYMENT,
        PaymentState.UNPAID,
        [Step(recipient_id, now, detail, {"paid_at": None})],
        actor=actor,
    )
    steps = {
        None: [],
        PaymentAttemptState.STARTED: [PaymentState.STARTED],
        PaymentAttemptState.PENDING: [PaymentState.STARTED, PaymentState.PENDING],
    }
    state = PaymentState.UNPAID
    for state in steps[left.state if left is not None else None]:
        move(connection, PAYMENT, state, [Step(recipient_id, now, detail)], actor=actor)
    return state
