"""Act on one payment at its provider, for staff: give money back, cancel what is under way, close a problem.

In: a payment and who acts. Out: the act on record (証跡), and the state as the payment provider tells it afterwards.
Can't happen here: money given back twice by pressing twice, or after a lost answer (`refund_attempt` makes the
provider's idempotency key); a state changed by our wish alone.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import structlog
from sqlalchemy import Connection, Row, text

from app import audit, references, tenancy
from app.accounts import Unusable
from app.payments import bulkhead, gateway
from app.payments.confirm import CURRENCY, brings_money, confirm, end
from app.payments.gateway import NoAnswer
from app.problems import Kind, Problem, Refused
from app.providers.http import Request
from app.providers.payments.base import (
    Charge,
    ChargeStatus,
    Dispute,
    PaymentAccess,
    PaymentProvider,
    RefundStatus,
    UnclearCharge,
)
from app.setback import beat, doubt, hold_reasons
from app.setback.beat import NothingMayLeave
from app.setback.outside import OutsideAway
from app.states import locks
from app.states.transitions import Step, move, move_attempt, note
from app.states.vocabulary import PAYMENT, PaymentAttemptState, PaymentState

_AWAY = Kind(
    "payment_site_away",
    "決済サイトに確かめられませんでした。まだ何も変えていません。時間をおいて、もう一度お試しください。",
)
_UNABLE = Kind(
    "refund_method_unable",
    "この支払い方法は、ここから返金できません。決済サイトの管理画面で返金してください。結果は自動で反映します。",
)
_DISPUTED = Kind(
    "refund_disputed",
    "カード会社から、この支払いに異議（チャージバック）が申し立てられています。ここから返金すると、二重に返すおそれがあります。"
    "決済サイトの管理画面で、チャージバックの状態を確かめてください。",
)
_ASKED_BEFORE = Kind(
    "refund_asked_before",
    "この返金は前にも依頼しています。決済サイトは、もう一度の返金を受け付けませんでした。"
    "決済サイトの管理画面で、返金の状態を確かめてください。終わった返金は自動で反映します。",
)
_SITE_REFUSES = Kind(
    "refund_site_refuses", "決済サイトが返金を受け付けませんでした。決済サイトの管理画面で確かめてください。"
)
_AMOUNT_DIFFERS = Kind(
    "refund_amount_differs",
    "決済サイトで、金額が違うか、一部が返金されています。決済サイトの管理画面で確かめてください。",
)
_NO_SITE = Kind("refund_without_site", "決済サイトを通さずに入金された支払いです。お振込みなどで直接ご返金ください。")
_NOT_PAID = Kind("refund_not_paid", "支払済の支払いだけを返金できます。画面を開き直して確かめてください。")
_NOT_OPEN = Kind("payment_not_open", "手続中か入金待ちの支払いだけを取り消せます。画面を開き直して確かめてください。")
_NOT_CANCELLABLE = Kind(
    "payment_not_cancellable",
    "この支払い方法は、ここから取り消せません。払込期限が過ぎると、自動で期限切れになります。",
)
_NOTHING_TO_REVIEW = Kind("payment_nothing_to_review", "この支払いには、確認の必要なことがありません。")
_MISFIT = Kind(
    "payment_misfit_money",
    "決済サイトには、この方のお金{money}があります。請求と合わないため、このまま確認を終えると、ご本人がもう一度支払うことになります。"
    "次のどちらかを先に済ませてください。①決済サイトの管理画面で全額を返金する（ご本人は支払い直せます）。"
    "②受け取ったお金で支払い済みとする：送信先の画面の「消込」で、入金の方法を「決済サイト（請求と合わない入金）」にして記録する。",
)
_NOW_TO_LOOK_AT = Kind(
    "payment_needs_review",
    "取り消す前に、決済サイトから、注文と合わない入金が知らされました。この支払いは「要確認」になりました。"
    "送信先の画面の説明に沿って確かめてください。",
)

_UNDER_WAY = {PaymentAttemptState.STARTED, PaymentAttemptState.PENDING}
_HAS_MONEY = {PaymentAttemptState.PAID, PaymentAttemptState.REFUNDED}

_REFUND_TRIES = 2
_REFUND_PAUSE_S = 1.0

_log = structlog.get_logger()


class RefundResult(StrEnum):
    """The outcome of a refund."""

    DONE = "done"
    PENDING = "pending"  # the provider took it on: the poll finds out when it is done
    UNKNOWN = "unknown"  # the provider gave no answer: the poll finds out, and the wish may be repeated


@bulkhead.person_waits()
def refund(payment_id: int, *, actor: str) -> RefundResult:
    """Return all of a payment back.

    The tenant's scope must be open; commits. Raises Refused.

    Pressed again while the first refund's end is not known, it repeats that one.
    """
    asked_before, number, row, at = _want_refund(payment_id, actor)
    try:
        provider, account = gateway.open_account(row.payment_account_id)
        charge = gateway.ask(provider, account, provider.fetch(account, row.provider_id))
    except (NoAnswer, Unusable) as fault:
        _log.warning("refund not begun", payment_id=payment_id, reason=str(fault))
        if not asked_before:
            _unwant(payment_id, at)
        raise Refused(_AWAY()) from None
    request = provider.refund(account, charge, row.amount_yen, references.refund(row.reference, number))
    if (why := _why_not(charge, row.amount_yen, request)) is not None:
        _unwant(payment_id, at)
        raise Refused(why)
    taken = True
    if charge.status is ChargeStatus.PAID and request is not None:
        status = _give_back(provider, account, request, payment_id)
        if status is RefundStatus.FAILED:
            if _state_now(payment_id) is PaymentAttemptState.REFUNDED:
                return RefundResult.DONE
            if asked_before:
                raise Refused(_ASKED_BEFORE())
            _unwant(payment_id, at)
            raise Refused(_SITE_REFUSES())
        taken = status is not None
    if _state_now(payment_id) is PaymentAttemptState.REFUNDED:
        return RefundResult.DONE
    return RefundResult.PENDING if taken else RefundResult.UNKNOWN


def _why_not(charge: Charge, amount_yen: int, request: Request | None) -> Problem | None:
    """Return why a paid charge can't be given back from here, if it can't."""
    if charge.status is not ChargeStatus.PAID:
        return None
    if (charge.amount, charge.amount_refunded) != (amount_yen, 0):
        return _AMOUNT_DIFFERS()
    if charge.dispute in {Dispute.OPEN, Dispute.LOST}:
        return _DISPUTED()
    return _UNABLE() if request is None else None


def _give_back(
    provider: PaymentProvider, account: PaymentAccess, request: Request, payment_id: int
) -> RefundStatus | None:
    """Ask for the refund, and once more where no answer came: its key keeps it one.

    None when nothing is known.
    """
    for turn in range(_REFUND_TRIES):
        if turn:
            time.sleep(_REFUND_PAUSE_S)
        try:
            answer = gateway.exchange(account, request)
        except NoAnswer as fault:
            _log.warning("refund unanswered", payment_id=payment_id, reason=fault.code)
            continue
        try:
            return provider.refunded(answer).status
        except UnclearCharge as unclear:
            _log.warning("refund unclear", payment_id=payment_id, reason=unclear.code, final=unclear.final)
            if unclear.final:
                return RefundStatus.FAILED
    return None


def _want_refund(payment_id: int, actor: str) -> tuple[bool, int, Row[Any], datetime]:
    """Put the wish on record before the provider is asked: what is asked twice is asked with one key.

    Gives whether it was wished before, the refund's number, the payment, and the time by which this wish is known.
    """
    now = datetime.now(UTC)
    with _charging() as connection:
        row = connection.execute(
            text("""
                SELECT recipient_id, payment_account_id, provider_id, reference, state, amount_yen, refund_asked_at,
                       refund_attempt
                FROM payment WHERE id = :id FOR UPDATE
            """),
            {"id": payment_id},
        ).one()
        if row.payment_account_id is None:
            raise Refused(_NO_SITE())
        if row.state != PaymentAttemptState.PAID:
            raise Refused(_NOT_PAID())
        asked_before = row.refund_asked_at is not None
        number = row.refund_attempt + (0 if asked_before else 1)
        connection.execute(
            text("""
                UPDATE payment SET refund_asked_at = :now, refund_attempt = :number,
                    ask_at = now() + interval '5 minutes'
                WHERE id = :id
            """),
            {"id": payment_id, "now": now, "number": number},
        )
        audit.record(
            connection,
            actor=actor,
            act="refund_payment",
            target=f"recipient:{row.recipient_id}",
            detail={"payment_id": payment_id, "yen": row.amount_yen},
        )
    return asked_before, number, row, now


@contextmanager
def _charging() -> Iterator[Connection]:
    """Open a transaction after which money moves.

    Raises Refused where the database was set back.
    """
    try:
        with beat.rising(tenancy.transaction()) as connection:
            yield connection
    except NothingMayLeave as stopped:
        doubt.hold_or_ask(stopped)
        raise Refused(hold_reasons.REFUSED()) from None
    except OutsideAway as fault:
        _log.error("outside folder unusable", held="refund", error=str(fault))
        raise Refused(hold_reasons.REFUSED()) from None


def _unwant(payment_id: int, at: datetime) -> None:
    """Take a wish back, unless somebody wished it again meanwhile."""
    with tenancy.transaction() as connection:
        connection.execute(
            text("UPDATE payment SET refund_asked_at = NULL WHERE id = :id AND refund_asked_at = :at"),
            {"id": payment_id, "at": at},
        )


def _yen(charge: Charge) -> str:
    is_yen = charge.amount is not None and (charge.currency or "").lower() == CURRENCY
    return f"（{charge.amount:,}円）" if is_yen else ""


def _state_now(payment_id: int) -> PaymentAttemptState:
    """Return the state once the provider was asked; without its answer, as it was."""
    try:
        confirm(payment_id)
    except (NoAnswer, Unusable) as fault:
        _log.warning("payment not confirmed", payment_id=payment_id, reason=str(fault))
    return _state(payment_id)


def _state(payment_id: int) -> PaymentAttemptState:
    with tenancy.transaction() as connection:
        found = connection.execute(text("SELECT state FROM payment WHERE id = :id"), {"id": payment_id}).scalar_one()
    return PaymentAttemptState(found)


def _problem(payment_id: int) -> str:
    with tenancy.transaction() as connection:
        found = connection.execute(text("SELECT problem FROM payment WHERE id = :id"), {"id": payment_id})
        return str(found.scalar_one())


@bulkhead.person_waits()
def cancel(payment_id: int, *, actor: str) -> PaymentAttemptState:
    """End an attempt under way at the payment provider; return where it stands then.

    Commits. Raises Refused.
    """
    with tenancy.transaction() as connection:
        row = connection.execute(
            text("SELECT recipient_id, state FROM payment WHERE id = :id FOR UPDATE"), {"id": payment_id}
        ).one()
        if row.state not in _UNDER_WAY:
            raise Refused(_NOT_OPEN())
        audit.record(
            connection,
            actor=actor,
            act="cancel_payment",
            target=f"recipient:{row.recipient_id}",
            detail={"payment_id": payment_id},
        )
    try:
        end(payment_id)
    except (NoAnswer, Unusable) as fault:
        _log.warning("payment not cancelled", payment_id=payment_id, reason=str(fault))
        raise Refused(_AWAY()) from None
    state = _state(payment_id)
    if _problem(payment_id):
        raise Refused(_NOW_TO_LOOK_AT())
    if state in _UNDER_WAY:
        raise Refused(_NOT_CANCELLABLE())
    return state


@bulkhead.person_waits()
def looked_at(payment_id: int, *, actor: str) -> None:
    """Close what stood at 要確認: a person has looked into it. Commits. Raises Refused.

    An attempt that was under way is over with it, and the person may pay anew, unless its money is there by now, as
    ordered. Nobody is to pay anew while the provider has money of theirs that doesn't fit, or can't be asked.
    """
    charge, away = _ended(payment_id)
    paid = brings_money(payment_id, charge)
    now = datetime.now(UTC)
    with tenancy.transaction() as connection:
        stands = locks.lock_payer_of(connection, payment_id)
        row = connection.execute(
            text("""
                SELECT tenant_id, campaign_id, recipient_id, attempt, state, problem FROM payment
                WHERE id = :id FOR UPDATE
            """),
            {"id": payment_id},
        ).one()
        if not row.problem:
            raise Refused(_NOTHING_TO_REVIEW())
        may_pay_anew = stands != PaymentState.PAID and row.state not in _HAS_MONEY
        if may_pay_anew and away:
            raise Refused(_AWAY())
        if may_pay_anew and not paid and charge is not None and charge.status is ChargeStatus.PAID:
            raise Refused(_MISFIT(money=_yen(charge)))
        detail = {"payment_id": payment_id, "attempt": row.attempt, "problem": row.problem}
        connection.execute(
            text("UPDATE payment SET problem = '', refund_asked_at = NULL WHERE id = :id"), {"id": payment_id}
        )
        note(
            connection,
            PAYMENT.name,
            "looked_at",
            tenant_id=row.tenant_id,
            campaign_id=row.campaign_id,
            recipient_id=row.recipient_id,
            at=now,
            actor=actor,
            detail=detail,
        )
        if row.state in _UNDER_WAY and not paid:
            move_attempt(connection, payment_id, PaymentAttemptState.CANCELLED)
            sources = [PaymentState.STARTED, PaymentState.PENDING]
            steps = [Step(row.recipient_id, now, detail)]
            move(connection, PAYMENT, PaymentState.CANCELLED, steps, actor=actor, sources=sources)
        audit.record(
            connection, actor=actor, act="close_problem", target=f"recipient:{row.recipient_id}", detail=detail
        )
    if paid:
        _state_now(payment_id)


def _ended(payment_id: int) -> tuple[Charge | None, bool]:
    """End an attempt where its provider can.

    Returns its charge, and whether the provider gave no answer.
    """
    try:
        return end(payment_id), False
    except (NoAnswer, Unusable) as fault:
        _log.warning("attempt not ended", payment_id=payment_id, reason=str(fault))
        # a charge that the provider doesn't know has no money; a contract that can't be used opens no second page
        return None, isinstance(fault, NoAnswer) and not fault.final
