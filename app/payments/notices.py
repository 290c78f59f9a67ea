"""What payment sites say unasked, and what they may have failed to say: both only lead to a question of our own.

In: a verified webhook, or the clock. Out: `confirm` for the payments concerned. What can't happen here: a state
changed by a webhook's content; a webhook lost because the site could not be asked at that moment; a site that hangs
holding up another one's payments, or whatever else the worker has to do.
"""

import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from redis.exceptions import RedisError
from sqlalchemy import Row, text

from app import tenancy
from app.accounts import Unusable
from app.extensions import redis_client
from app.payments.attempts import ASKED_ABOUT
from app.payments.base import WebhookEvent
from app.payments.confirm import confirm
from app.payments.site import NoAnswer

# a notice that can't be acted upon for so long is left to the poll
_PATIENCE = timedelta(hours=24)
_BATCH = 500
# A job asks for so long, seconds. A contract whose site gave so many questions in a row no answer rests for so long; so
# does the site itself, for all its contracts, where it let them wait in vain: each of them would hold the worker up.
_LONGEST_S = 60.0
_SILENT = 2
_REST_S = 180

_log = structlog.get_logger()


def store(tenant_id: int, payment_account_id: int, event: WebhookEvent) -> bool:
    """Keep a verified webhook; say whether there is something to do. The tenant's scope must be open.

    One that is not proven leads to another question each time it is told.
    """
    with tenancy.transaction() as connection:
        stored = connection.execute(
            text("""
                INSERT INTO payment_notice AS n (tenant_id, payment_account_id, event_id, kind, provider_id)
                SELECT :tenant_id, :account_id, :event_id, :kind, coalesce(CAST(:provider_id AS text), p.provider_id)
                FROM (SELECT) one LEFT JOIN payment p
                    ON p.reference = CAST(:reference AS text) AND p.payment_account_id = :account_id
                WHERE :proven OR p.id IS NOT NULL
                ON CONFLICT (payment_account_id, event_id) DO UPDATE
                SET received_at = now(), applied_at = NULL, outcome = ''
                WHERE NOT :proven
                RETURNING id
            """),
            {
                "tenant_id": tenant_id,
                "account_id": payment_account_id,
                "event_id": event.id,
                "kind": event.kind,
                "provider_id": event.provider_id,
                "reference": event.reference,
                "proven": event.proven,
            },
        )
        return stored.first() is not None


class _Asking:
    """Asks sites while it is worth it: see `_LONGEST_S`, `_SILENT` and `_REST_S`."""

    def __init__(self) -> None:
        self._until = time.monotonic() + _LONGEST_S
        self._unanswered: Counter[str] = Counter()

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() > self._until

    def resting(self, tenant_id: int) -> list[int]:
        """Name the tenant's contracts that are asked nothing now."""
        with tenancy.transaction() as connection:
            accounts = connection.execute(
                text("SELECT id, provider FROM payment_account WHERE tenant_id = :tenant_id"), {"tenant_id": tenant_id}
            ).all()
        return [row.id for row in accounts if self._rests(str(row.id), row.provider)]

    def confirm(self, payment_id: int, payment_account_id: int, provider: str) -> str:
        """Confirm one; give an outcome, or nothing where no answer was to be had."""
        contract = str(payment_account_id)
        if self.over or self._rests(contract, provider):
            return ""
        try:
            confirm(payment_id)
        except (NoAnswer, Unusable) as fault:
            _log.warning("payment not confirmed", payment_id=payment_id, reason=str(fault))
            if isinstance(fault, NoAnswer) and fault.code == "timeout":
                self._rest(provider)
            elif not (isinstance(fault, NoAnswer) and fault.final):
                self._rest(contract)
            return ""
        self._unanswered[contract] = self._unanswered[provider] = 0
        return "confirmed"

    def _rests(self, *whose: str) -> bool:
        if any(self._unanswered[one] >= _SILENT for one in whose):
            return True
        with suppress(RedisError):
            return bool(redis_client.connection.exists(*map(_resting, whose)))
        return False

    def _rest(self, whose: str) -> None:
        """Count one more without an answer. Tell other jobs too; without Redis each finds out for itself."""
        self._unanswered[whose] += 1
        if self._unanswered[whose] >= _SILENT:
            with suppress(RedisError):
                redis_client.connection.set(_resting(whose), "1", ex=_REST_S)


def _resting(whose: str) -> str:
    return f"todoke:silent:payment:{whose}"


def apply(tenant_id: int) -> bool:
    """Confirm what waiting notices are about; one that gets no answer waits for the next time.

    Say whether more of them wait than there was time for.
    """
    asking = _Asking()
    resting = asking.resting(tenant_id)
    with tenancy.transaction() as connection:
        waiting = connection.execute(
            text("""
                SELECT n.id, n.received_at, n.payment_account_id, p.id AS payment_id, a.provider
                FROM payment_notice n JOIN payment_account a ON a.id = n.payment_account_id
                LEFT JOIN payment p ON p.payment_account_id = n.payment_account_id AND p.provider_id = n.provider_id
                WHERE n.tenant_id = :tenant_id AND n.applied_at IS NULL AND n.payment_account_id <> ALL(:resting)
                ORDER BY n.id LIMIT :batch
            """),
            {"tenant_id": tenant_id, "batch": _BATCH, "resting": resting},
        ).all()
    outcomes: dict[int, str] = {}
    for notice in waiting:
        if notice.payment_id is not None and notice.payment_id not in outcomes:
            outcomes[notice.payment_id] = asking.confirm(notice.payment_id, notice.payment_account_id, notice.provider)
        outcome = outcomes[notice.payment_id] if notice.payment_id is not None else "none of our payments"
        if not outcome and notice.received_at < datetime.now(UTC) - _PATIENCE:
            outcome = "left to the poll"
        if outcome:
            _applied(notice, outcome)
    return "confirmed" in outcomes.values() and (asking.over or len(waiting) == _BATCH)


def poll(tenant_id: int) -> None:
    """Confirm payments and refunds under way that nobody has asked about for a while; drop those that never got a page.

    The longer a payment waits, the rarer it is asked about: each 5 minutes at first, each 2 hours at last.
    """
    now = datetime.now(UTC)
    asking = _Asking()
    resting = asking.resting(tenant_id)
    with tenancy.transaction() as connection:
        connection.execute(
            text("""
                UPDATE payment SET state = 'expired', checked_at = :now
                WHERE tenant_id = :tenant_id AND state = 'started' AND provider_id IS NULL AND expires_at < :now
            """),
            {"tenant_id": tenant_id, "now": now},
        )
        due = connection.execute(
            text(f"""
                SELECT p.id, p.payment_account_id, a.provider
                FROM payment p JOIN payment_account a ON a.id = p.payment_account_id
                WHERE p.tenant_id = :tenant_id AND p.provider_id IS NOT NULL AND p.payment_account_id <> ALL(:resting)
                  AND {ASKED_ABOUT} AND coalesce(p.checked_at, p.created_at) < :now - least(
                      greatest((:now - coalesce(p.refund_asked_at, p.created_at)) / 12, interval '5 minutes'),
                      interval '2 hours'
                  )
                ORDER BY p.checked_at NULLS FIRST LIMIT :batch
            """),  # noqa: S608 - our own words
            {"tenant_id": tenant_id, "now": now, "batch": _BATCH, "resting": resting},
        ).all()
    for row in due:
        asking.confirm(row.id, row.payment_account_id, row.provider)


def _applied(notice: Row[Any], outcome: str) -> None:
    """Put a notice away, unless it was told anew since."""
    with tenancy.transaction() as connection:
        connection.execute(
            text("""
                UPDATE payment_notice SET applied_at = :now, outcome = :outcome
                WHERE id = :id AND received_at = :received_at
            """),
            {"id": notice.id, "received_at": notice.received_at, "now": datetime.now(UTC), "outcome": outcome},
        )
