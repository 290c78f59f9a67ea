"""Deliveries as rows: what a batch came to, in one transaction with the cursor behind it; old ones forgotten.

In: deliveries, each with the receiver's answer or none. Out: rows. Can't happen here: a cursor that moves without the
rows of what it passed, or rows written by a worker that no longer holds the endpoint.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, text

from app import tenancy
from app.states import bulk_values
from app.webhooks import retry_schedule
from app.webhooks.outbox import Delivery

# deliveries that arrived are kept for so long, for a manager to look at or to send again
KEPT: Final = timedelta(days=30)
_FORGET_STEP: Final = 10_000

_INSERT = """
    INSERT INTO webhook_delivery (tenant_id, endpoint_id, event_id, event_epoch, event_type, event_at, campaign_id,
        recipient_id, sequence, code, created_at, due_at, delivered, tries, tried_at, status, fault, took_ms)
    SELECT :tenant_id, :endpoint_id, u.event_id, u.event_epoch, u.event_type, u.event_at, u.campaign_id, u.recipient_id,
        u.sequence, u.code, :now, u.due_at, u.delivered = 1, u.tries, u.tried_at, u.status, u.fault, u.took_ms
    FROM {table} AS u ORDER BY u.place
"""
_UPDATE = """
    UPDATE webhook_delivery d SET due_at = u.due_at, delivered = u.delivered = 1, tries = u.tries,
        tried_at = u.tried_at, status = u.status, fault = u.fault, took_ms = u.took_ms
    FROM {table} AS u WHERE d.id = u.id AND d.endpoint_id = :endpoint_id
"""
_ALL_AT_ONCE = "UPDATE webhook_delivery SET due_at = :now WHERE endpoint_id = :endpoint_id AND due_at > :now"
_FORGET = """
    DELETE FROM webhook_delivery WHERE id IN (
        SELECT id FROM webhook_delivery WHERE endpoint_id = :endpoint_id AND created_at < :before AND due_at IS NULL
        ORDER BY id LIMIT :most
    )
"""
_FORGOT = """
    UPDATE webhook_endpoint SET forgot_on = (now() AT TIME ZONE 'Asia/Tokyo')::date WHERE id = :endpoint_id
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a delivery's try. `tried_at` is None where none was made."""

    delivery: Delivery
    tried_at: datetime | None = None
    status: int | None = None
    # "" where it arrived
    fault: str = ""
    took_ms: int | None = None

    @property
    def delivered(self) -> bool:
        """Whether the receiver took it."""
        return self.tried_at is not None and not self.fault

    @property
    def tries(self) -> int:
        """The tries so far; one before its time costs nothing."""
        counts = self.tried_at is not None and (self.delivery.is_due or self.delivered)
        return self.delivery.tries + counts

    def due_at(self, now: datetime) -> datetime | None:
        """Return when it is tried next; None where it arrived, or is given up."""
        if self.delivered or self.fault == "gone" or (self.delivery.is_ping and self.tried_at is not None):
            return None
        if self.tries == 0:
            return now
        pause_s = retry_schedule.pause_s(self.tries)
        return None if pause_s is None else (self.tried_at or now) + timedelta(seconds=pause_s)


def keep(connection: Connection, endpoint_id: int, outcomes: Sequence[Outcome], now: datetime) -> None:
    """Write what a batch came to; new rows stand in the feed's order."""
    new = [outcome for outcome in outcomes if outcome.delivery.id is None]
    old = [outcome for outcome in outcomes if outcome.delivery.id is not None and outcome.tried_at is not None]
    if new:
        table, values = bulk_values.table({"place": ("bigint", range(len(new))), **_event(new), **_tried(new, now)})
        values |= {"tenant_id": tenancy.current().tenant_id, "endpoint_id": endpoint_id, "now": now}
        connection.execute(text(_INSERT.format(table=table)), values)
    if old:
        table, values = bulk_values.table({"id": ("bigint", [one.delivery.id for one in old]), **_tried(old, now)})
        connection.execute(text(_UPDATE.format(table=table)), {**values, "endpoint_id": endpoint_id})


def hasten(connection: Connection, endpoint_id: int, now: datetime) -> None:
    """Let all that wait go now: their receiver is back."""
    connection.execute(text(_ALL_AT_ONCE), {"endpoint_id": endpoint_id, "now": now})


def forget_old() -> None:
    """Drop the company's deliveries that are over and older than `KEPT`, in steps."""
    now = datetime.now(UTC)
    with tenancy.transaction() as connection:
        endpoints = connection.execute(text("SELECT id FROM webhook_endpoint ORDER BY id")).scalars().all()
    for endpoint_id in endpoints:
        values = {"endpoint_id": endpoint_id, "before": now - KEPT, "most": _FORGET_STEP}
        while True:
            with tenancy.transaction() as connection:
                if connection.execute(text(_FORGET), values).rowcount < _FORGET_STEP:
                    break
        with tenancy.transaction() as connection:
            connection.execute(text(_FORGOT), {"endpoint_id": endpoint_id})


def _event(outcomes: Sequence[Outcome]) -> dict[str, tuple[str, Sequence[Any]]]:
    deliveries = [outcome.delivery for outcome in outcomes]
    return {
        "event_id": ("bigint", [one.event_id for one in deliveries]),
        "event_epoch": ("integer", [one.event_epoch for one in deliveries]),
        "event_type": ("text", [one.told.event_type for one in deliveries]),
        "event_at": ("timestamptz", [one.told.at for one in deliveries]),
        "campaign_id": ("bigint", [one.campaign_id for one in deliveries]),
        "recipient_id": ("bigint", [one.recipient_id for one in deliveries]),
        "sequence": ("integer", [one.told.sequence for one in deliveries]),
        "code": ("text", [one.told.code for one in deliveries]),
    }


def _tried(outcomes: Sequence[Outcome], now: datetime) -> dict[str, tuple[str, Sequence[Any]]]:
    return {
        "due_at": ("timestamptz", [one.due_at(now) for one in outcomes]),
        "delivered": ("integer", [int(one.delivered) for one in outcomes]),
        "tries": ("integer", [one.tries for one in outcomes]),
        "tried_at": ("timestamptz", [one.tried_at for one in outcomes]),
        "status": ("integer", [one.status for one in outcomes]),
        "fault": ("text", [one.fault for one in outcomes]),
        "took_ms": ("integer", [one.took_ms for one in outcomes]),
    }
