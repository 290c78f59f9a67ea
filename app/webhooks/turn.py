"""A turn of one endpoint: batch after batch while there is something to deliver, under a lease of its own.

In: an endpoint's id. Out: deliveries made and recorded, and how long it may be left alone. Can't happen here: two
workers at one endpoint for longer than a lease; a delivery recorded that did not leave.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import Connection, case, select, update

from app import leases, tenancy
from app.event_feed.feed import StaleCursor
from app.extensions import db
from app.leases import WorkLease
from app.models import WebhookEndpoint
from app.vault import CannotOpen
from app.webhooks import delivery_log, endpoints, outbox, retry_schedule, sending
from app.webhooks.message import Signer
from app.webhooks.outbox import Batch
from app.webhooks.sending import Sending, Sent, WebhookEngine
from app.work_budget import WorkBudget

# events read and deliveries recorded together: all that a worker holds of an endpoint in memory
BATCH_ROWS: Final = 500
# longer than a batch with its last time limit
LEASE_S: Final = sending.BATCH_S + sending.TIMEOUT_S + 20
# so long one endpoint is served before the others that wait
TURN_S: Final = 10.0
# how soon an endpoint is looked at again that had nothing, and one that another worker has or that can't be used
IDLE_S: Final = 1.0
ELSEWHERE_S: Final = 5.0
_UNUSABLE_S: Final = 60.0

_log = structlog.get_logger()


def take(endpoint_id: int, is_halted: Callable[[], bool] = lambda: False, *, turn_s: float = TURN_S) -> float:
    """Serve an endpoint of the open scope; return how long it may be left alone, seconds."""
    budget = WorkBudget(turn_s)
    with leases.taking(f"webhook:{endpoint_id}", LEASE_S) as lease:
        if lease is None:
            return ELSEWHERE_S
        with sending.engine() as connections:
            while not is_halted() and not budget.is_spent:
                rest_s = _step(_Step(endpoint_id, lease, connections, is_halted))
                if rest_s is not None:
                    return rest_s
    return 0.0


@dataclass(frozen=True, slots=True)
class _Step:
    """The needs of one batch."""

    endpoint_id: int
    lease: WorkLease
    connections: WebhookEngine
    is_halted: Callable[[], bool]


def _step(step: _Step) -> float | None:
    """Deliver one batch; return how long to leave the endpoint alone, None where there is more at once."""
    now = datetime.now(UTC)
    with tenancy.transaction() as connection:
        leases.hold(connection, step.lease)
    endpoint = _read(step.endpoint_id)
    if endpoint is None:
        return ELSEWHERE_S
    try:
        signer = Signer(endpoints.secrets_of(endpoint, now))
        batch = _batch(endpoint, now)
    except CannotOpen as fault:
        _log.error("webhook secret unusable", endpoint_id=endpoint.id, reason=str(fault))
        return _UNUSABLE_S
    except StaleCursor as stale:
        # a database that was dumped and loaded: from here on events come again rather than never
        _log.warning("webhook cursor of an earlier epoch", endpoint_id=endpoint.id)
        with tenancy.transaction() as connection:
            leases.hold(connection, step.lease)
            _set(connection, endpoint.id, cursor=stale.go_on_from)
        return None
    batch_of = Sending(
        endpoint.url,
        signer,
        batch.deliveries,
        in_order=endpoint.in_order,
        failures=min(endpoint.failures, retry_schedule.FAILING_AFTER - 1),
        most=1 if _is_failing(endpoint) else sending.MOST,
    )
    sent = batch_of.run(step.connections, step.is_halted)
    rest_s = _record(step, endpoint, batch, sent)
    if rest_s is None and not batch.deliveries and batch.read_all:
        return IDLE_S
    return rest_s


def _read(endpoint_id: int) -> WebhookEndpoint | None:
    """Return the endpoint as it is now, out of the session."""
    try:
        row = db.session.scalar(
            select(WebhookEndpoint).where(
                WebhookEndpoint.id == endpoint_id, WebhookEndpoint.tenant_id == tenancy.current().tenant_id
            )
        )
        if row is not None:
            db.session.expunge(row)
        return row
    finally:
        db.session.rollback()


def _is_failing(endpoint: WebhookEndpoint) -> bool:
    """Return whether it gets one delivery at a time until one arrives."""
    return endpoint.failures >= retry_schedule.FAILING_AFTER


def _batch(endpoint: WebhookEndpoint, now: datetime) -> Batch:
    """Return what goes out now: tests, deliveries that are due, then what the feed has."""
    failing = _is_failing(endpoint)
    with tenancy.transaction() as connection:
        pings = outbox.pings(connection, endpoint, now, BATCH_ROWS)
        if endpoint.rests_because or (endpoint.wait_until is not None and endpoint.wait_until > now):
            return Batch(pings)
        if pings:
            return Batch(pings, read_all=False)
        due = outbox.waiting(connection, endpoint, now, 1 if failing else BATCH_ROWS, early=failing)
    return Batch(due, read_all=False) if due else outbox.from_feed(endpoint, BATCH_ROWS)


def _record(step: _Step, endpoint: WebhookEndpoint, batch: Batch, sent: Sent) -> float | None:
    """Write what the batch came to, with the cursor behind it; return how long the endpoint is left alone."""
    now = datetime.now(UTC)
    values: dict[str, object] = {}
    if batch.cursor is not None and batch.cursor != endpoint.cursor:
        # a manager who leaves out what waits has moved it meanwhile
        as_read = WebhookEndpoint.cursor.is_not_distinct_from(endpoint.cursor)
        values["cursor"] = case((as_read, batch.cursor), else_=WebhookEndpoint.cursor)
    if sent.arrived:
        values["delivered_at"] = now
    tried = any(outcome.tried_at is not None for outcome in sent.outcomes)
    wait_s = 0.0
    if tried:
        failures = sent.failures if sent.arrived else endpoint.failures + sum(bool(one.fault) for one in sent.outcomes)
        since = None if not failures else now if sent.arrived else endpoint.failing_since or now
        if failures >= retry_schedule.FAILING_AFTER:
            wait_s = retry_schedule.probe_pause_s(failures)
        wait_s = max(wait_s, sent.wish_s)
        wait_until = now + timedelta(seconds=wait_s) if wait_s else None
        values |= {"failures": failures, "failing_since": since, "wait_until": wait_until}
        if not endpoint.rests_because:
            values |= _rests(sent, since, now)
    if sent.outcomes or values:
        _write(step, endpoint, sent, values, now)
    if values.get("rests_because"):
        _log.warning("webhook endpoint rests", endpoint_id=endpoint.id, because=values["rests_because"])
    left_alone = endpoint.rests_because or values.get("rests_because")
    if left_alone or (not tried and batch.cursor is None and not batch.deliveries):
        return IDLE_S
    return wait_s or None


def _write(step: _Step, endpoint: WebhookEndpoint, sent: Sent, values: Mapping[str, object], now: datetime) -> None:
    with tenancy.transaction() as connection:
        leases.hold(connection, step.lease)
        delivery_log.keep(connection, endpoint.id, sent.outcomes, now)
        if sent.arrived and endpoint.failing_since is not None:
            delivery_log.hasten(connection, endpoint.id, now)
        if values:
            _set(connection, endpoint.id, **values)


def _rests(sent: Sent, failing_since: datetime | None, now: datetime) -> dict[str, object]:
    """Return what is set where the endpoint is to rest from now on; nothing else."""
    if sent.gone:
        return {"rests_because": "gone", "rests_since": now}
    if failing_since is not None and now - failing_since >= retry_schedule.RESTS_AFTER:
        return {"rests_because": "failing", "rests_since": now}
    return {}


def _set(connection: Connection, endpoint_id: int, **values: object) -> None:
    connection.execute(update(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id).values(**values))
