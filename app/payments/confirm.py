"""Confirm payments: the provider is asked, its answer compared with ours, and only then a state changes.

In: a payment's id; a browser's return, a webhook and the poll all end here. Out: the payment's and the person's state,
moved together, or the payment put aside (要確認). Can't happen here: "paid" on anybody's word but the provider's own
answer to our own question; another amount, currency or order taken for ours; a later answer that undoes money received;
a payment page left open beside money received, where the provider can end it.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Row, text

from app import tenancy
from app.accounts import Unusable
from app.extensions import vault
from app.payments import bulkhead, gateway, review
from app.payments.attempts import put_off, url_place
from app.payments.gateway import NoAnswer
from app.payments.review import ReviewReason
from app.providers.payments.base import Charge, ChargeStatus, PaymentAccess, PaymentProvider
from app.states import locks
from app.states.transitions import Step, move, move_attempt
from app.states.vocabulary import PAYMENT, PaymentAttemptState, PaymentState

CURRENCY = "jpy"

_STATES = {
    ChargeStatus.PENDING: PaymentAttemptState.PENDING,
    ChargeStatus.PAID: PaymentAttemptState.PAID,
    ChargeStatus.FAILED: PaymentAttemptState.FAILED,
    ChargeStatus.EXPIRED: PaymentAttemptState.EXPIRED,
    ChargeStatus.CANCELLED: PaymentAttemptState.CANCELLED,
    ChargeStatus.REFUNDED: PaymentAttemptState.REFUNDED,
}
# an answer of these kinds says that money moves: it must name what it is for
_ABOUT_MONEY = {ChargeStatus.PENDING, ChargeStatus.PAID, ChargeStatus.REFUNDED}

# a page that the provider doesn't call over counts as over so long after its end: clocks differ
_LAPSED_AFTER = timedelta(seconds=10)

# one that drew the provider's wish to be left alone comes back after so many times as long: others come in between
_OTHERS_TURN = 2

# how soon a person's page may ask the payment provider again; twice as long with each question that got no answer
_PAGE_PAUSE = timedelta(seconds=3)
_LONGEST_PAGE_PAUSE = timedelta(minutes=1)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Payment:
    id: int
    tenant_id: int
    campaign_id: int
    recipient_id: int
    attempt: int
    reference: str
    provider_id: str
    state: PaymentAttemptState
    amount_yen: int
    problem: str
    created_at: datetime
    answered_at: datetime | None


def confirm(payment_id: int, *, timeout_s: float | None = None) -> Charge | None:
    """Ask the payment provider and record what it says; harmless to repeat.

    Raises NoAnswer, Unusable.

    Gives what it said; None for an attempt that never got a page. With `timeout_s` no answer is awaited longer.
    """
    asked_at = datetime.now(UTC)
    with tenancy.transaction() as connection:
        row = connection.execute(
            text("""
                UPDATE payment SET checked_at = :now WHERE id = :id
                RETURNING payment_account_id, provider_id, expires_at
            """),
            {"id": payment_id, "now": asked_at},
        ).one()
    if row.provider_id is None:
        return None
    provider, account = gateway.open_account(row.payment_account_id)
    if timeout_s is not None:
        account = replace(account, timeout_s=min(timeout_s, account.timeout_s))
    charge = _ask(payment_id, provider, account, row)
    record(payment_id, charge, asked_at)
    _end_beside(payment_id)
    return charge


def end(payment_id: int) -> Charge | None:
    """Have the payment provider end an attempt that nobody is to pay any more, where it can; record what it then says.

    Money that came before the end is taken as money. An attempt without a page is dropped: should the provider's answer
    still come, its page is nobody's. Gives what the provider said, None without a page. Raises NoAnswer, Unusable.
    """
    with tenancy.transaction() as connection:
        drop_without_page(connection, payment_id)
        row = connection.execute(
            text("SELECT payment_account_id, provider_id, expires_at FROM payment WHERE id = :id"), {"id": payment_id}
        ).one()
    if row.provider_id is None:
        return None
    provider, account = gateway.open_account(row.payment_account_id)
    asked_at = datetime.now(UTC)
    charge = _ask(payment_id, provider, account, row)
    if (request := provider.expire(account, charge)) is not None:
        # its answer counts for nothing: what became of the charge is asked
        with suppress(NoAnswer):
            gateway.exchange(account, request)
        asked_at = datetime.now(UTC)
        charge = _ask(payment_id, *gateway.open_account(row.payment_account_id), row)
    record(payment_id, charge, asked_at)
    return charge


def drop_without_page(connection: Connection, payment_id: int) -> None:
    """Cancel an attempt that never got a page; one that has a page stands as it is."""
    cancelled, started = PaymentAttemptState.CANCELLED, [PaymentAttemptState.STARTED]
    move_attempt(connection, payment_id, cancelled, sources=started, only="provider_id IS NULL")


def brings_money(payment_id: int, charge: Charge | None) -> bool:
    """Return whether a charge is this payment's money, as it was ordered."""
    if charge is None or charge.status not in {ChargeStatus.PAID, ChargeStatus.REFUNDED}:
        return False
    with tenancy.transaction() as connection:
        return not _differences(_locked(connection, payment_id), charge)


def _ask(payment_id: int, provider: PaymentProvider, account: PaymentAccess, row: Row[Any]) -> Charge:
    """Ask about one charge. Raises NoAnswer.

    A provider may wish to be left alone for the sake of this one (Stripe: 429 lock_timeout): whoever asks about it next
    waits until others of its account had their turn.
    """
    try:
        charge = gateway.ask(provider, account, provider.fetch(account, row.provider_id))
    except NoAnswer as fault:
        if fault.is_wish_new:
            with tenancy.transaction() as connection:
                put_off(connection, payment_id, datetime.now(UTC), wait_s=_OTHERS_TURN * fault.wait_s)
        raise
    if charge.url is not None and not gateway.trusted(charge.url, provider, account):
        charge = replace(charge, url=None)
    over = row.expires_at is not None and row.expires_at < datetime.now(UTC) - _LAPSED_AFTER
    if charge.status is ChargeStatus.OPEN and over and not provider.tells_end:
        return replace(charge, status=ChargeStatus.EXPIRED)
    return charge


@bulkhead.person_waits()
def confirm_for_page(payment_id: int) -> None:
    """Confirm for a person who waits: at most once per few seconds; a provider without an answer changes nothing."""
    now = datetime.now(UTC)
    with tenancy.transaction() as connection:
        mine = connection.execute(
            text("""
                UPDATE payment SET checked_at = :now
                WHERE id = :id AND (checked_at IS NULL
                    OR checked_at <= :now - least(:pause * power(2, least(unanswered, 20)), :longest)) RETURNING id
            """),
            {"id": payment_id, "now": now, "pause": _PAGE_PAUSE, "longest": _LONGEST_PAGE_PAUSE},
        ).first()
    if mine is None:
        return
    try:
        confirm(payment_id)
    except (NoAnswer, Unusable) as fault:
        _log.warning("payment not confirmed", payment_id=payment_id, reason=str(fault))


def _end_beside(payment_id: int) -> None:
    """End what is still open beside money received.

    One that can't be ended now is tried again by the poll.
    """
    with tenancy.transaction() as connection:
        still_open = connection.scalars(
            text("""
                SELECT o.id FROM payment p JOIN recipient r ON r.id = p.recipient_id
                JOIN payment o ON o.recipient_id = r.id
                WHERE p.id = :id AND r.payment_state IN ('paid', 'refunded') AND o.state IN ('started', 'pending')
                AND o.provider_id IS NOT NULL AND o.problem = ''
            """),
            {"id": payment_id},
        ).all()
    for other_id in still_open:
        try:
            end(other_id)
        except (NoAnswer, Unusable) as fault:
            _log.warning("parallel attempt not ended", payment_id=other_id, reason=str(fault))


def record(payment_id: int, charge: Charge, asked_at: datetime) -> None:
    """Take a charge that the provider itself gave for this payment when asked at `asked_at`, if it is what was ordered.

    An answer to an earlier question than that on record says nothing new, unless it tells of money.
    """
    now = datetime.now(UTC)
    with tenancy.transaction() as connection:
        payment = _locked(connection, payment_id)
        if payment.problem and payment.state not in {PaymentAttemptState.PAID, PaymentAttemptState.REFUNDED}:
            return
        overtaken = payment.answered_at is not None and asked_at < payment.answered_at
        if overtaken and charge.status not in {ChargeStatus.PAID, ChargeStatus.REFUNDED}:
            return
        if not overtaken:
            connection.execute(
                text("""
                    UPDATE payment SET answered_at = :at, unanswered = 0, unanswered_since = NULL,
                        provider_payment_id = coalesce(:money_id, provider_payment_id)
                    WHERE id = :id
                """),
                {"id": payment_id, "at": asked_at, "money_id": charge.payment_id},
            )
        if differing := _differences(payment, charge):
            review.put_aside(connection, payment.id, "mismatch: " + ", ".join(differing), now)
            return
        if charge.status is ChargeStatus.OPEN:
            if charge.expires_at is not None:
                connection.execute(
                    text("UPDATE payment SET expires_at = :at WHERE id = :id"),
                    {"id": payment_id, "at": charge.expires_at},
                )
            return
        to = _STATES[charge.status]
        if to is PaymentAttemptState.REFUNDED and payment.state is not PaymentAttemptState.PAID:
            _enter(connection, payment, PaymentAttemptState.PAID, charge, now)
        _enter(connection, payment, to, charge, now)
        if not overtaken:
            review.look_at_money(connection, payment.id, charge, now)


def _locked(connection: Connection, payment_id: int) -> _Payment:
    """Lock the person's row, then the payment's."""
    locks.lock_payer_of(connection, payment_id)
    row = connection.execute(
        text("""
            SELECT id, tenant_id, campaign_id, recipient_id, attempt, reference, provider_id, state, amount_yen,
                   problem, created_at, answered_at
            FROM payment WHERE id = :id FOR UPDATE
        """),
        {"id": payment_id},
    ).one()
    return _Payment(**row._asdict() | {"state": PaymentAttemptState(row.state)})


def _differences(payment: _Payment, charge: Charge) -> list[str]:
    """Name what the provider's answer and our order don't agree on."""
    currency = charge.currency.lower() if charge.currency is not None else None
    pairs: Sequence[tuple[str, object, object]] = (
        ("payment", charge.provider_id, payment.provider_id),
        ("order", charge.reference, payment.reference),
        ("amount", charge.amount, payment.amount_yen),
        ("currency", currency, CURRENCY),
    )
    required = charge.status in _ABOUT_MONEY
    return [name for name, theirs, ours in pairs if theirs != ours and (required or theirs is not None)]


def _enter(connection: Connection, payment: _Payment, to: PaymentAttemptState, charge: Charge, now: datetime) -> None:
    if to is PaymentAttemptState.PENDING and _another(connection, payment, "state IN ('started', 'pending')"):
        review.put_aside(connection, payment.id, ReviewReason.PENDING_BESIDE, now)
        return
    at = paid_at(charge, payment.created_at, now) if to is PaymentAttemptState.PAID else now
    columns: dict[str, object] = {}
    if charge.method is not None:
        columns["method"] = charge.method
    if charge.pay_by is not None:
        columns["pay_by"] = charge.pay_by
    if to is PaymentAttemptState.PENDING:
        columns["url_sealed"] = _slip(payment, charge)
    if to is PaymentAttemptState.PAID:
        columns["paid_at"] = at
    # a person may pay after a refund, by another attempt; the attempt given back never counts as paid again
    sources = [state for state in PaymentAttemptState if state is not PaymentAttemptState.REFUNDED]
    if not move_attempt(connection, payment.id, to, sources=sources, columns=columns):
        return
    if to is PaymentAttemptState.REFUNDED:
        review.drop(connection, payment.id, ReviewReason.PAID_TWICE)
        review.resolve_twice(connection, payment.recipient_id)
    if to is PaymentAttemptState.PAID and _another(connection, payment, "state = 'paid'"):
        review.put_aside(connection, payment.id, ReviewReason.PAID_TWICE, now)
        return
    # the end of an older attempt says nothing of the person's present one, unless it brings money; and one of two
    # payments given back leaves the other
    later = "attempt > :attempt AND payment_account_id IS NOT NULL"
    others = {PaymentAttemptState.PAID: "false", PaymentAttemptState.REFUNDED: "state = 'paid'"}.get(to, later)
    if _another(connection, payment, others):
        return
    detail = {"payment_id": payment.id, "attempt": payment.attempt, "method": charge.method or ""}
    move(connection, PAYMENT, PaymentState(to), [Step(payment.recipient_id, at, detail)], actor="provider")


def paid_at(charge: Charge, began_at: datetime, now: datetime) -> datetime:
    """Return when money came: the provider's word, never before the attempt began nor after this moment.

    A provider's clock may be wrong, and what it tells stands on receipts and in files. Some tell whole seconds.
    """
    return min(max(charge.paid_at or now, began_at.replace(microsecond=0)), now)


def _slip(payment: _Payment, charge: Charge) -> bytes | None:
    """Seal the address of what a pending payment is paid with."""
    return None if charge.url is None else vault.seal(charge.url, url_place(payment.tenant_id, payment.id))


def _another(connection: Connection, payment: _Payment, which: str) -> bool:
    """Return whether the person has another attempt of which the condition (one of this module's) holds."""
    found = connection.execute(
        text(f"SELECT FROM payment WHERE recipient_id = :recipient_id AND id <> :id AND {which} LIMIT 1"),
        {"recipient_id": payment.recipient_id, "id": payment.id, "attempt": payment.attempt},
    )
    return found.first() is not None


def set_aside(payment_id: int, problem: str) -> None:
    """Put an attempt under way aside for a person to look at."""
    with tenancy.transaction() as connection:
        payment = _locked(connection, payment_id)
        if payment.state in {PaymentAttemptState.STARTED, PaymentAttemptState.PENDING}:
            review.put_aside(connection, payment.id, problem, datetime.now(UTC))
