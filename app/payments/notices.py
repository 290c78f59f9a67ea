"""What payment sites say unasked, and what they may have failed to say: both only lead to a question of our own.

In: a verified webhook, or the clock. Out: `confirm` for the payments concerned. What can't happen here: a state
changed by a webhook's content; a webhook lost because the site could not be asked at that moment; a site that hangs
holding up another one's payments, or whatever else the worker has to do.
"""

import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import structlog
from redis.exceptions import RedisError
from sqlalchemy import text

from app import tenancy
from app.accounts import Unusable
from app.extensions import redis_client
from app.payments.base import WebhookEvent
from app.payments.confirm import confirm
from app.payments.site import NoAnswer

# a notice that can't be acted upon for so long is left to the poll
_PATIENCE = timedelta(hours=24)
_BATCH = 500
# a job asks for so long, seconds; a contract's site that gave so many questions in a row no answer rests for so long
_LONGEST_S = 60.0
_SILENT = 2
_REST_S = 180

_log = structlog.get_logger()


def store(tenant_id: int, payment_account_id: int, event: WebhookEvent) -> bool:
    """Keep a verified webhook; say whether it is new. The tenant's scope must be open."""
    with tenancy.transaction() as connection:
        stored = connection.execute(
            text("""
                INSERT INTO payment_notice (tenant_id, payment_account_id, event_id, kind, provider_id)
                VALUES (:tenant_id, :account_id, :event_id, :kind, coalesce(
                    :provider_id,
                    (SELECT provider_id FROM payment WHERE reference = :reference AND payment_account_id = :account_id)
                ))
                ON CONFLICT (payment_account_id, event_id) DO NOTHING RETURNING id
            """),
            {
                "tenant_id": tenant_id,
                "account_id": payment_account_id,
                "event_id": event.id,
                "kind": event.kind,
                "provider_id": event.provider_id,
                "reference": event.reference,
            },
        )
        return stored.first() is not None


class _Asking:
    """Asks sites while it is worth it: see `_LONGEST_S`, `_SILENT` and `_REST_S`."""

    def __init__(self) -> None:
        self._until = time.monotonic() + _LONGEST_S
        self._unanswered: Counter[int] = Counter()

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() > self._until

    def confirm(self, payment_id: int, payment_account_id: int) -> str:
        """Confirm one; give an outcome, or nothing where no answer was to be had."""
        if self.over or self._rests(payment_account_id):
            return ""
        try:
            confirm(payment_id)
        except (NoAnswer, Unusable) as fault:
            _log.warning("payment not confirmed", payment_id=payment_id, reason=str(fault))
            if not (isinstance(fault, NoAnswer) and fault.final):
                self._unanswered[payment_account_id] += 1
                self._rest(payment_account_id)
            return ""
        self._unanswered[payment_account_id] = 0
        return "confirmed"

    def _rests(self, payment_account_id: int) -> bool:
        if self._unanswered[payment_account_id] >= _SILENT:
            return True
        with suppress(RedisError):
            return bool(redis_client.connection.exists(_resting(payment_account_id)))
        return False

    def _rest(self, payment_account_id: int) -> None:
        """Tell other jobs too; without Redis each finds out for itself."""
        if self._unanswered[payment_account_id] >= _SILENT:
            with suppress(RedisError):
                redis_client.connection.set(_resting(payment_account_id), "1", ex=_REST_S)


def _resting(payment_account_id: int) -> str:
    return f"todoke:silent:payment:{payment_account_id}"


def apply(tenant_id: int) -> bool:
    """Confirm what waiting notices are about; one that gets no answer waits for the next time.

    Say whether more of them wait than there was time for.
    """
    with tenancy.transaction() as connection:
        waiting = connection.execute(
            text("""
                SELECT n.id, n.received_at, n.payment_account_id, p.id AS payment_id
                FROM payment_notice n
                LEFT JOIN payment p ON p.payment_account_id = n.payment_account_id AND p.provider_id = n.provider_id
                WHERE n.tenant_id = :tenant_id AND n.applied_at IS NULL ORDER BY n.id LIMIT :batch
            """),
            {"tenant_id": tenant_id, "batch": _BATCH},
        ).all()
    outcomes: dict[int, str] = {}
    asking = _Asking()
    for notice in waiting:
        if notice.payment_id is not None and notice.payment_id not in outcomes:
            outcomes[notice.payment_id] = asking.confirm(notice.payment_id, notice.payment_account_id)
        outcome = outcomes[notice.payment_id] if notice.payment_id is not None else "none of our payments"
        if not outcome and notice.received_at < datetime.now(UTC) - _PATIENCE:
            outcome = "left to the poll"
        if outcome:
            _applied(notice.id, outcome)
    return "confirmed" in outcomes.values() and (asking.over or len(waiting) == _BATCH)


def poll(tenant_id: int) -> None:
    """Confirm payments and refunds under way that nobody has asked about for a while; drop those that never got a page.

    The longer a payment waits, the rarer it is asked about: each 5 minutes at first, each 2 hours at last.
    """
    now = datetime.now(UTC)
    with tenancy.transaction() as connection:
        connection.execute(
            text("""
                UPDATE payment SET state = 'expired', checked_at = :now
                WHERE tenant_id = :tenant_id AND state = 'started' AND provider_id IS NULL AND expires_at < :now
            """),
            {"tenant_id": tenant_id, "now": now},
        )
        due = connection.execute(
            text("""
                SELECT id, payment_account_id FROM payment
                WHERE tenant_id = :tenant_id AND provider_id IS NOT NULL
                  AND (state IN ('started', 'pending')
                       OR (state = 'paid' AND refund_asked_at IS NOT NULL AND problem = ''))
                  AND coalesce(checked_at, created_at) < :now - least(
                      greatest((:now - coalesce(refund_asked_at, created_at)) / 12, interval '5 minutes'),
                      interval '2 hours'
                  )
                ORDER BY checked_at NULLS FIRST LIMIT :batch
            """),
            {"tenant_id": tenant_id, "now": now, "batch": _BATCH},
        ).all()
    asking = _Asking()
    for row in due:
        asking.confirm(row.id, row.payment_account_id)


def _applied(notice_id: int, outcome: str) -> None:
    with tenancy.transaction() as connection:
        connection.execute(
            text("UPDATE payment_notice SET applied_at = :now, outcome = :outcome WHERE id = :id"),
            {"id": notice_id, "now": datetime.now(UTC), "outcome": outcome},
        )
