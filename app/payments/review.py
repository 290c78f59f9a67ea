"""要確認: what a person has to look at in a payment, and how that is put on record and closed.

In: what the provider's own answer told of money that came. Out: `payment.problem`, all problems that stand, and an
event for each. Can't happen here: a second problem lost behind a first one; one that somebody closed told again without
anything new.
"""

from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from sqlalchemy import Connection, text

from app import references
from app.providers.payments.base import Charge, ChargeStatus, Dispute, RefundStatus
from app.states.transitions import Step, move, move_attempt, note
from app.states.vocabulary import PAYMENT, PaymentAttemptState, PaymentState

SEPARATOR = "; "

# a refund that the provider took on and tells as under way is to be done within this: a konbini's payer has to name a
# bank account first. Of one that it doesn't tell at all a person is told soon.
_REFUND_PATIENCE = timedelta(days=10)
_REFUND_SILENCE = timedelta(hours=20)

_log = structlog.get_logger()


class ReviewReason(StrEnum):
    """A reason to look at a payment; beside these there is `mismatch: …`, which names what differs from the order."""

    PAID_TWICE = "paid twice"
    PENDING_BESIDE = "pending beside another attempt"
    UNKNOWN = "unknown to the site"
    REFUND_NOT_DONE = "refund not done"
    REFUND_FAILED = "refund failed"
    PART_REFUNDED = "part refunded"
    DISPUTED = "disputed"
    DISPUTE_LOST = "dispute lost"


def split(problem: str) -> list[str]:
    """Return the problems that stand."""
    return problem.split(SEPARATOR) if problem else []


def put_aside(connection: Connection, payment_id: int, problem: str, now: datetime) -> bool:
    """Put a payment aside for a person to look at, once for each problem.

    Returns whether this call did it.
    """
    row = connection.execute(
        text("""
            UPDATE payment SET problem = CASE WHEN problem = '' THEN :problem ELSE problem || :separator || :problem END
            WHERE id = :id AND NOT :problem = ANY(string_to_array(problem, :separator))
            RETURNING id
        """),
        {"id": payment_id, "problem": problem, "separator": SEPARATOR},
    ).first()
    if row is None:
        return False
    _note(connection, payment_id, "needs_review", problem, now)
    _log.error("payment needs review", payment_id=payment_id, problem=problem)
    return True


def drop(connection: Connection, payment_id: int, *problems: ReviewReason) -> None:
    """Let problems of a payment stand no longer: the provider's answer has closed them."""
    for problem in problems:
        connection.execute(
            text("""
                UPDATE payment SET problem =
                    array_to_string(array_remove(string_to_array(problem, :separator), :problem), :separator)
                WHERE id = :id AND problem <> ''
            """),
            {"id": payment_id, "problem": str(problem), "separator": SEPARATOR},
        )


def resolve_twice(connection: Connection, recipient_id: int) -> None:
    """Let a double payment that is single now stand no longer as a problem."""
    found = connection.scalars(
        text("""
            SELECT id FROM payment WHERE recipient_id = :recipient_id AND problem <> ''
            AND (SELECT count(*) FROM payment WHERE recipient_id = :recipient_id AND state = 'paid') < 2 ORDER BY id
        """),
        {"recipient_id": recipient_id},
    ).all()
    for payment_id in found:
        drop(connection, payment_id, ReviewReason.PAID_TWICE)


def look_at_money(connection: Connection, payment_id: int, charge: Charge, now: datetime) -> None:
    """Compare what the provider tells of money that came with what it told before; the payment's row is locked."""
    row = connection.execute(
        text("""
            SELECT state, reference, refunded_yen, dispute, refund_asked_at, refund_attempt FROM payment WHERE id = :id
        """),
        {"id": payment_id},
    ).one()
    if row.state not in {PaymentAttemptState.PAID, PaymentAttemptState.REFUNDED}:
        return
    back = row.refunded_yen if charge.amount_refunded is None else charge.amount_refunded
    if charge.status is ChargeStatus.PAID and row.state == PaymentAttemptState.REFUNDED:
        # money that had gone back came back to the company
        if back < row.refunded_yen:
            _come_back(connection, payment_id, now)
    elif charge.status is ChargeStatus.PAID:
        if back > row.refunded_yen:
            put_aside(connection, payment_id, ReviewReason.PART_REFUNDED, now)
        if row.refund_asked_at is not None:
            told = charge.refunds.get(references.refund(row.reference, row.refund_attempt))
            _look_at_wish(connection, payment_id, told, row.refund_asked_at, now)
    elif charge.status is ChargeStatus.REFUNDED:
        drop(
            connection, payment_id, ReviewReason.REFUND_NOT_DONE, ReviewReason.REFUND_FAILED, ReviewReason.PART_REFUNDED
        )
    if charge.dispute is not None and charge.dispute != row.dispute:
        _look_at_dispute(connection, payment_id, charge.dispute, now)
    connection.execute(
        text("UPDATE payment SET refunded_yen = :back, dispute = :dispute WHERE id = :id"),
        {"id": payment_id, "back": back, "dispute": str(charge.dispute or row.dispute)},
    )


def _come_back(connection: Connection, payment_id: int, now: datetime) -> None:
    """Take a payment whose refund failed after all as paid again: the company has the money, and may give it back anew.

    Raises the alarm each time. Beside another payment of the person's it is one too many.
    """
    paid, refunded = PaymentAttemptState.PAID, [PaymentAttemptState.REFUNDED]
    move_attempt(connection, payment_id, paid, sources=refunded, columns={"refund_asked_at": None})
    row = connection.execute(
        text("""
            SELECT recipient_id, attempt, EXISTS (
                SELECT FROM payment o WHERE o.recipient_id = p.recipient_id AND o.id <> p.id AND o.state = 'paid'
            ) AS is_one_too_many
            FROM payment p WHERE id = :id
        """),
        {"id": payment_id},
    ).one()
    put_aside(connection, payment_id, ReviewReason.REFUND_FAILED, now)
    if row.is_one_too_many:
        put_aside(connection, payment_id, ReviewReason.PAID_TWICE, now)
    detail = {"payment_id": payment_id, "attempt": row.attempt, "problem": str(ReviewReason.REFUND_FAILED)}
    steps = [Step(row.recipient_id, now, detail)]
    sources = [PaymentState.REFUNDED]
    move(connection, PAYMENT, PaymentState.PAID, steps, actor="provider", sources=sources, timed=False)


def _look_at_wish(
    connection: Connection, payment_id: int, told: RefundStatus | None, asked_at: datetime, now: datetime
) -> None:
    """Report a refund that was wished for and failed, or isn't done in time."""
    if told is RefundStatus.FAILED:
        put_aside(connection, payment_id, ReviewReason.REFUND_FAILED, now)
        # it may be wished for anew, as another refund
        connection.execute(text("UPDATE payment SET refund_asked_at = NULL WHERE id = :id"), {"id": payment_id})
    elif asked_at < now - (_REFUND_PATIENCE if told is RefundStatus.PENDING else _REFUND_SILENCE):
        put_aside(connection, payment_id, ReviewReason.REFUND_NOT_DONE, now)


def _look_at_dispute(connection: Connection, payment_id: int, dispute: Dispute, now: datetime) -> None:
    if dispute is Dispute.OPEN:
        put_aside(connection, payment_id, ReviewReason.DISPUTED, now)
        return
    drop(connection, payment_id, ReviewReason.DISPUTED)
    if dispute is Dispute.LOST:
        put_aside(connection, payment_id, ReviewReason.DISPUTE_LOST, now)
    else:
        _note(connection, payment_id, "dispute_won", "", now)


def _note(connection: Connection, payment_id: int, kind: str, problem: str, now: datetime) -> None:
    row = connection.execute(
        text("SELECT tenant_id, campaign_id, recipient_id, attempt FROM payment WHERE id = :id"), {"id": payment_id}
    ).one()
    detail = {"payment_id": payment_id, "attempt": row.attempt} | ({"problem": problem} if problem else {})
    note(
        connection,
        PAYMENT.name,
        kind,
        tenant_id=row.tenant_id,
        campaign_id=row.campaign_id,
        recipient_id=row.recipient_id,
        at=now,
        actor="provider",
        detail=detail,
    )
