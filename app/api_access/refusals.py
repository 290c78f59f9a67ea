"""Attempts that were turned away, told to the company whose key was named: the first of an hour from an address.

In: an attempt. Out: a row that home shows, written by a thread of its own after the answer, so that nobody learns by
the time it takes what was wrong. Can't happen here: a log that grows with every attempt; somebody's answer that waits.
"""

import threading
from datetime import UTC, datetime
from ipaddress import IPv6Address, IPv6Network
from queue import Empty, Full, Queue
from typing import NamedTuple

import psycopg
import structlog

from app.api_access.addresses import Address
from app.process_state import process_state
from app.tenancy import lookup

_WAITING = 1_000
_IDLE_S = 30.0
# of one company in one hour: beyond it there is nothing more to learn
_MOST_AN_HOUR = 100

_log = structlog.get_logger()

_TELL = f"""
    INSERT INTO api_refusal (tenant_id, address, reason, public_id, hour)
    SELECT tried.*, date_trunc('hour', now())
    FROM (SELECT CAST(%s AS bigint) AS tenant_id, CAST(%s AS text), CAST(%s AS text), CAST(%s AS text)) AS tried
    WHERE (
        SELECT count(*) FROM api_refusal r WHERE r.tenant_id = tried.tenant_id AND r.hour = date_trunc('hour', now())
    ) < {_MOST_AN_HOUR}
    ON CONFLICT (tenant_id, hour, address) DO NOTHING
"""  # noqa: S608 - a number of ours


class _Attempt(NamedTuple):
    tenant_id: int
    address: str
    reason: str
    public_id: str


class _Teller:
    """Writes attempts down, one after the other; the same one once an hour."""

    def __init__(self) -> None:
        self._attempts: Queue[_Attempt] = Queue(_WAITING)
        self._lock = threading.Lock()
        self._running = False
        self._hour: datetime | None = None
        self._told: set[tuple[object, ...]] = set()

    def take(self, attempt: _Attempt) -> None:
        """Have an attempt written down soon; where a thousand wait, there is no need for one more."""
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        with self._lock:
            if hour != self._hour:
                self._hour, self._told = hour, set()
            known = attempt.tenant_id, attempt.address
            if known in self._told or len(self._told) > 100 * _WAITING:
                return
            self._told.add(known)
            try:
                self._attempts.put_nowait(attempt)
            except Full:
                return
            if not self._running:
                self._running = True
                threading.Thread(target=self._serve, daemon=True, name="api-refusals").start()

    def _serve(self) -> None:
        while True:
            try:
                attempt = self._attempts.get(timeout=_IDLE_S)
            except Empty:
                with self._lock:
                    if self._attempts.empty():
                        self._running = False
                        return
                continue
            try:
                lookup.write(_TELL, *attempt)
            except psycopg.Error as fault:
                _log.warning("refused attempt not recorded", error=type(fault).__name__)
            finally:
                self._attempts.task_done()

    def finish(self) -> None:
        """Wait until all are written down."""
        self._attempts.join()


def tell_later(tenant_id: int, public_id: str, address: Address | None, reason: str) -> None:
    """Have an attempt with a company's key told at its home; `reason` is key, address or company."""
    process_state.of(_Teller).take(_Attempt(tenant_id, shown(address), reason, public_id))


def finish() -> None:
    """Wait until all attempts so far are written down."""
    process_state.of(_Teller).finish()


def shown(address: Address | None) -> str:
    """Return an address as it is told: of IPv6 the network that one customer has, empty where it isn't known."""
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False))
    return str(address or "")
