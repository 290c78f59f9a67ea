"""Questions about payments, one by one: about those a provider told of, and about those under way from time to time.

In: payments whose time to be asked about has come (`attempts.is_due`). Out: `confirm`. Can't happen here: two workers
asking about one payment at once; a payment that can't be answered delaying another one of its account, company or
provider; a transaction open while a provider is asked; an account asked on whose provider wishes to be left alone.
"""

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import Connection, Select, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import aliased

from app import queues, tenancy
from app.accounts import Unusable
from app.db import in_text
from app.models import Payment, PaymentAccount
from app.payments.attempts import PATIENCE, is_due, is_under_way, put_off
from app.payments.confirm import confirm
from app.payments.gateway import LEFT_ALONE, NoAnswer
from app.states.transitions import move_attempt
from app.states.vocabulary import PaymentAttemptState
from app.vault import CannotOpen
from app.work_budget import SHORT_SHIFT_S, WorkBudget

# so many questions at once: as long as one answer is awaited, others come
_AT_ONCE = 4
# a worker that dies while it asks holds its payment for so long, seconds: longer than the questions about one can take
_LEASE_S = 60
# An account that gave no answer about so many payments in a row, each asked about for the first time, rests: for so
# long at first, twice as long each time, so long at most; and the next such question waits no longer than that, so that
# a provider that hangs takes little of this worker's time. Seconds.
_SILENT = 8
_REST_S = 15
_LONGEST_REST_S = 60
_PROBE_S = 3.0
_UNUSABLE = 2  # one without credentials rests as long as one that was silent so many times more
# how soon a hand that is free looks again for what has become due while others wait for answers, seconds
_LOOK_S = 0.5
# attempts under way are asked about so often, the rarer the longer it waits. Not rarer than that: a provider that gives
# up telling us, or that we could not hear, costs minutes
_SOONEST, _RAREST = "5 minutes", "15 minutes"

_PAYMENT = aliased(Payment, name="p")
_DUE = in_text(is_due, _PAYMENT, aliased(PaymentAccount, name="a"))
_UNDER_WAY = in_text(is_under_way, _PAYMENT)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Claim:
    """A payment that this worker alone asks about.

    `at` is the database's time of the claim.
    """

    payment_id: int
    payment_account_id: int
    unanswered: int
    at: datetime
    is_account_silent: bool


def due_tenants() -> Select[int]:
    """Return the statement that finds the tenant of each payment that is due, for the sweep."""
    due = select(Payment.tenant_id).join(PaymentAccount, PaymentAccount.id == Payment.payment_account_id)
    return due.where(is_due(Payment, PaymentAccount))


def ask_due(tenant_id: int, *, stopping: Callable[[], bool] = lambda: False, at_once: int = _AT_ONCE) -> bool:
    """Ask about every payment of the tenant that is due.

    Returns whether more are than there was time for.

    The tenant's scope must be open. Ends after a shift, or once `stopping` says so, with the answers under way.
    """
    budget = WorkBudget(SHORT_SHIFT_S)
    answered = 0
    busy: set[Future[bool]] = set()
    with ThreadPoolExecutor(at_once) as hands:
        while not stopping() and not budget.is_spent:
            claim = _claim(tenant_id) if len(busy) < at_once else None
            if claim is not None:
                busy.add(hands.submit(copy_context().run, _ask, claim))
            elif busy:
                done, busy = wait(busy, _LOOK_S, FIRST_COMPLETED)
                answered += sum(one.result() for one in done)
            else:
                return False
        answered += sum(one.result() for one in busy)
    # without any answer the sweep comes again later
    return bool(answered) and _is_any_due(tenant_id)


def ask_soon(recipient_id: int) -> bool:
    """Have a person's payments that are under way asked about next.

    Returns whether there are any. Commits.
    """
    with tenancy.transaction() as connection:
        tenant_ids = connection.execute(
            text("""
                UPDATE payment SET ask_at = least(ask_at, now())
                WHERE id IN (
                    SELECT id FROM payment WHERE recipient_id = :id AND state IN ('started', 'pending')
                    AND payment_account_id IS NOT NULL ORDER BY id FOR NO KEY UPDATE
                )
                RETURNING tenant_id
            """),
            {"id": recipient_id},
        ).scalars()
        found = set(tenant_ids)
    for tenant_id in found:
        queues.enqueue("jobs.payments.ask", tenant_id, once=True)
    return bool(found)


def _claim(tenant_id: int) -> _Claim | None:
    """Take the next payment that is due: those told of first, those that got no answer so far last."""
    with tenancy.transaction() as connection:
        row = connection.execute(
            text(f"""
                WITH next AS MATERIALIZED (
                    SELECT p.id, a.unanswered >= :silent AS is_account_silent
                    FROM payment p JOIN payment_account a ON a.id = p.payment_account_id
                    WHERE p.tenant_id = :tenant_id AND {_DUE}
                    ORDER BY (p.told_at IS NULL OR p.unanswered > 0), p.unanswered, p.ask_at
                    LIMIT 1 FOR NO KEY UPDATE OF p SKIP LOCKED
                )
                UPDATE payment SET asking_until = now() + make_interval(secs => :lease_s) FROM next
                WHERE payment.id = next.id
                RETURNING payment.id, payment_account_id, unanswered, now() AS at, is_account_silent
            """),  # noqa: S608 - our own words
            {"tenant_id": tenant_id, "lease_s": _LEASE_S, "silent": _SILENT},
        ).first()
    return None if row is None else _Claim(*row)


def _is_any_due(tenant_id: int) -> bool:
    with tenancy.transaction() as connection:
        found = connection.execute(due_tenants().where(Payment.tenant_id == tenant_id).limit(1))
        return found.first() is not None


def _ask(claim: _Claim) -> bool:
    """Ask about one payment; return whether there was an answer."""
    probing = claim.is_account_silent and claim.unanswered == 0
    try:
        charge = confirm(claim.payment_id, timeout_s=_PROBE_S if probing else None)
    except (NoAnswer, Unusable, CannotOpen) as fault:
        _log.warning("payment not confirmed", payment_id=claim.payment_id, reason=str(fault))
        _not_answered(claim, fault)
        return False
    except Exception:  # noqa: BLE001 - one payment's fault is no other's
        _log.exception("payment not confirmed", payment_id=claim.payment_id)
        with suppress(SQLAlchemyError):  # else its claim lapses
            _not_answered(claim, NoAnswer("fault", final=True))
        return False
    _answered(claim, has_page=charge is not None)
    return True


def _answered(claim: _Claim, *, has_page: bool) -> None:
    """Plan the next question, and put away what is done: an event that came since the claim stays as it is."""
    with tenancy.transaction() as connection:
        if not has_page:  # it ends with its time
            lapsed = "provider_id IS NULL AND expires_at < now()"
            expired, started = PaymentAttemptState.EXPIRED, [PaymentAttemptState.STARTED]
            move_attempt(connection, claim.payment_id, expired, sources=started, only=lapsed)
        connection.execute(
            text(f"""
                UPDATE payment p SET asking_until = NULL, unanswered = 0, unanswered_since = NULL,
                    told_at = CASE WHEN p.told_at > :at THEN p.told_at END,
                    ask_at = CASE
                        WHEN p.told_at > :at THEN p.ask_at
                        WHEN {_UNDER_WAY} THEN now() + least(
                            greatest((now() - coalesce(p.refund_asked_at, p.created_at)) / 12, interval '{_SOONEST}'),
                            interval '{_RAREST}'
                        )
                        WHEN p.state = 'started' AND p.expires_at > now() THEN p.expires_at
                    END
                WHERE id = :id
            """),  # noqa: S608 - our own words
            {"id": claim.payment_id, "at": claim.at},
        )
        _put_away(connection, claim, "confirmed", "n.received_at <= :at")


def _not_answered(claim: _Claim, fault: NoAnswer | Unusable | CannotOpen) -> None:
    """Let the payment wait a while of its own; let its account rest where it answers nothing at all."""
    is_left_alone = isinstance(fault, NoAnswer) and fault.code == LEFT_ALONE
    with tenancy.transaction() as connection:
        connection.execute(text("UPDATE payment SET asking_until = NULL WHERE id = :id"), {"id": claim.payment_id})
        # one that was not asked about is due as soon as its account may be asked again; the one that drew the
        # provider's wish was put off by `confirm`, as for everybody who asks about it
        if not is_left_alone:
            put_off(connection, claim.payment_id, claim.at)
        _put_away(connection, claim, "left to the poll", f"n.received_at < now() - interval '{PATIENCE}'")
    if is_left_alone:
        return
    # a payment that got no answer before says nothing new of its account
    if not isinstance(fault, NoAnswer):
        _count_silence(claim.payment_account_id, least=_SILENT + _UNUSABLE)
    elif claim.unanswered == 0 and not fault.final:
        _count_silence(claim.payment_account_id, least=0)


def _count_silence(account_id: int, *, least: int) -> None:
    with tenancy.transaction() as connection:
        connection.execute(
            text("""
                UPDATE payment_account SET unanswered = greatest(unanswered + 1, :least),
                    rests_until = CASE WHEN greatest(unanswered + 1, :least) >= :silent THEN now() + make_interval(
                        secs => least(
                            :rest_s * power(2, least(greatest(unanswered + 1, :least) - :silent, 10)), :longest_s
                        )
                    ) ELSE rests_until END
                WHERE id = :id
            """),
            {
                "id": account_id,
                "least": least,
                "silent": _SILENT,
                "rest_s": _REST_S,
                "longest_s": _LONGEST_REST_S,
            },
        )


def _put_away(connection: Connection, claim: _Claim, outcome: str, which: str) -> None:
    """Put away those of a payment's events of which the condition holds."""
    connection.execute(
        text(f"""
            UPDATE payment_notice n SET applied_at = now(), outcome = :outcome FROM payment p
            WHERE p.id = :id AND n.payment_account_id = p.payment_account_id AND n.provider_id = p.provider_id
            AND n.applied_at IS NULL AND {which}
        """),  # noqa: S608 - our own words
        {"id": claim.payment_id, "outcome": outcome, "at": claim.at},
    )
