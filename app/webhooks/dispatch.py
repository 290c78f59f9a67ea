"""A worker's webhooks: every endpoint that has something gets a lane, a thread with connections of its own.

In: nothing; the database says which endpoints have something. Out: turns, the endpoint that waited longest first. Can't
happen here: an endpoint that waits for another one's receiver while a lane is free; more lanes than `MOST_LANES`; a
message that leaves while the installation is held.
"""

import threading
import time
from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple

import structlog
from sqlalchemy import Connection, text

from app import queues, tenancy
from app.delivery import shutdown
from app.event_feed import feed
from app.event_feed.feed import StaleCursor
from app.extensions import in_own_session
from app.problems import Refused
from app.setback import doubt
from app.webhooks import retry_schedule, turn
from app.webhooks.endpoints import DELIVER
from app.work_budget import WorkBudget

# One job goes on for so long. At its end it waits for its last lanes, so ends are rare.
SHIFT_S: Final = 600.0
MOST_LANES: Final = 32
# how soon the endpoints are looked at again
_LOOK_S: Final = 0.3
# how long an endpoint is left alone whose turn ended in an error
_FAULT_S: Final = 10.0

# No company that is suspended, and none while the installation is held. A receiver that fails is looked at with the
# first delivery that waits, due or not.
_ENDPOINTS = """
    SELECT e.id, e.tenant_id, e.cursor, e.rests_because = '' AND coalesce(e.wait_until <= :now, true) AS is_served,
        EXISTS (SELECT FROM webhook_delivery d WHERE d.endpoint_id = e.id AND d.due_at IS NOT NULL
            AND d.event_id IS NULL) AS is_pinged,
        EXISTS (SELECT FROM webhook_delivery d WHERE d.endpoint_id = e.id AND d.due_at <= :now)
        OR e.failures >= :failing_after AND EXISTS (
            SELECT FROM webhook_delivery d WHERE d.endpoint_id = e.id AND d.due_at IS NOT NULL) AS is_waiting
    FROM webhook_endpoint e JOIN tenant t ON t.id = e.tenant_id
    WHERE t.state <> 'suspended' AND NOT EXISTS (SELECT FROM installation WHERE held_why <> '')
    AND (e.rests_because = '' OR EXISTS (SELECT FROM webhook_delivery d WHERE d.endpoint_id = e.id
        AND d.due_at IS NOT NULL AND d.event_id IS NULL))
    ORDER BY e.id
"""
_ANY = """
    SELECT EXISTS (SELECT FROM webhook_endpoint WHERE rests_because = '')
    OR EXISTS (SELECT FROM webhook_delivery WHERE due_at IS NOT NULL AND event_id IS NULL)
"""

_log = structlog.get_logger()


class _Seen(NamedTuple):
    """An endpoint as a look found it."""

    id: int
    tenant_id: int
    cursor: str | None
    is_served: bool
    is_pinged: bool
    is_waiting: bool

    def has_something(self) -> bool:
        """Return whether there is something to deliver now; the feed is asked last."""
        if self.is_pinged:
            return True
        return self.is_served and (self.is_waiting or self._has_events())

    def _has_events(self) -> bool:
        with tenancy.tenant(self.tenant_id):
            try:
                return bool(feed.read(self.cursor, 1).events)
            except (StaleCursor, Refused):
                return True  # a cursor of before a restore, or sealed by a key that is gone: its turn deals with that


def serve(*, shift_s: float = SHIFT_S) -> None:
    """Serve endpoints until none is there, `shift_s` are over, or the process is asked to end. No scope may be open."""
    with tenancy.platform():
        if not doubt.may_send():
            return
    budget, lanes = WorkBudget(shift_s), _Lanes()
    try:
        while not budget.is_spent and not shutdown.is_asked():
            seen = _look()
            if not seen:
                return
            lanes.begin(seen)
            shutdown.wait(_LOOK_S)
    finally:
        lanes.finish()
    if budget.is_spent:
        queues.enqueue(DELIVER, once=True)


def are_any(connection: Connection) -> bool:
    """Return whether any company has an endpoint that is served, or a test waits. The scope is the platform's."""
    return bool(connection.execute(text(_ANY)).scalar_one())


def _look() -> list[_Seen]:
    values = {"now": datetime.now(UTC), "failing_after": retry_schedule.FAILING_AFTER}
    with tenancy.platform(), tenancy.transaction() as connection:
        return [_Seen(*row) for row in connection.execute(text(_ENDPOINTS), values)]


class _Lanes:
    """The endpoints that are being served, and how long the others are left alone."""

    def __init__(self) -> None:
        self._running: dict[int, threading.Thread] = {}
        self._look_at: dict[int, float] = {}
        self._ending = threading.Event()

    def begin(self, seen: list[_Seen]) -> None:
        """Begin a lane for each that has something, the longest left alone first, while there is room."""
        self._running = {one: thread for one, thread in self._running.items() if thread.is_alive()}
        now = time.monotonic()
        for endpoint in sorted(seen, key=lambda one: self._look_at.get(one.id, 0.0)):
            if len(self._running) >= MOST_LANES:
                return
            if endpoint.id in self._running or self._look_at.get(endpoint.id, 0.0) > now:
                continue
            if not endpoint.has_something():
                self._look_at[endpoint.id] = now + turn.IDLE_S
                continue
            act = in_own_session(partial(self._serve, endpoint))
            thread = threading.Thread(target=act, name=f"webhook-{endpoint.id}")
            self._running[endpoint.id] = thread
            thread.start()

    def finish(self) -> None:
        """Let the lanes record what is under way, and wait for them."""
        self._ending.set()
        for thread in self._running.values():
            thread.join()

    def _is_halted(self) -> bool:
        return self._ending.is_set() or shutdown.is_asked()

    def _serve(self, endpoint: _Seen) -> None:
        rest_s = _FAULT_S
        try:
            with tenancy.tenant(endpoint.tenant_id):
                rest_s = turn.take(endpoint.id, self._is_halted)
        except Exception as fault:  # noqa: BLE001 - it is no other endpoint's fault; what was under way is sent again
            say = _log.warning if tenancy.gave_way(fault) else _log.error
            say("webhook turn failed", endpoint_id=endpoint.id, error=type(getattr(fault, "orig", fault)).__name__)
        finally:
            self._look_at[endpoint.id] = time.monotonic() + rest_s
