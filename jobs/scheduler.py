"""The scheduler: sweeps again and again, and looks for what can't wait in between; of several that run, one does.

The one is whoever holds the lease of that name (`app.leases`): it ends by itself when its holder dies, is frozen or cut
off. One that comes back asks for its lease before each step, and leaves off when another has it.
"""

import signal
import time
from collections.abc import Callable

import psycopg
import structlog
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app import leases, tenancy
from app.config import settings
from app.web import health
from jobs import sweep

_NAME = "scheduler"
# how long the lead is held without a sign of life, and how old such a sign may get before the next one; seconds
LEASE_S = 10.0
_BEAT_S = 1.0
# how soon a waiting scheduler tries for the lead again, and one that lost its database for that; seconds
_RETRY_S = 2.0
# how often it looks for what is urgent: how long a dead worker's lease may be over before that is seen; seconds
_WATCH_S = 2.0
# also runs while the machine sleeps; elsewhere than on Linux there is none
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
# how soon a signal to stop is seen, seconds
_LOOK_S = 0.2
_STOP = {signal.SIGTERM, signal.SIGINT}

_log = structlog.get_logger()


def run() -> None:
    """Schedule until SIGTERM or SIGINT, through any absence of Redis or PostgreSQL.

    An application context must be pushed. The signals are kept back and asked for, never handled in the middle of
    something.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    lease, waits = None, False
    with tenancy.platform():
        while True:
            try:
                if lease is None and (lease := leases.take(_NAME, LEASE_S)) is not None:
                    waits = False
                    _log.info("scheduler leads")
                if lease is not None:
                    _lead(lease)
                    return
                if not waits:
                    waits = True
                    _log.info("scheduler stands by")
            except leases.Lost:
                lease = None
                _log.warning("scheduler lead lost")
            # psycopg's own: a session that ends as a transaction begins, before SQLAlchemy knows of it
            except (SQLAlchemyError, psycopg.Error) as error:
                if isinstance(error, DBAPIError | psycopg.Error) and health.lacks_tables(error):
                    _log.error("database has no tables", advice=health.NO_TABLES)
                else:
                    _log.warning("database unavailable", error=type(error).__name__)
            if _stopped_within(_RETRY_S):
                return


def _lead(lease: leases.WorkLease) -> None:
    """Sweep until asked to stop. Raises Lost once another leads."""
    go_on = _beating(lease)
    sweep_at = time.monotonic()
    while True:
        go_on()
        whole = time.monotonic() >= sweep_at
        if whole:
            sweep_at = time.monotonic() + settings().sweep_s
        _look(go_on, whole=whole)
        if _stopped_within(min(_WATCH_S, settings().sweep_s)):
            leases.give_back(lease)
            return


def _beating(lease: leases.WorkLease) -> Callable[[], None]:
    """Return what gives a sign of life, unless the last one is fresh.

    Raises Lost, then and whenever called again.
    """
    beaten = -_BEAT_S

    def go_on() -> None:
        nonlocal beaten
        now = time.clock_gettime(_CLOCK)
        if now - beaten >= _BEAT_S:
            leases.beat(lease)
            beaten = now

    return go_on


def _stopped_within(seconds: float) -> bool:
    """Wait; return whether a signal to stop came.

    Not by sigtimedwait: where SIGCONT wakes it after its time, Python 3.11 gives a signal that never came.
    """
    ends = time.monotonic() + seconds
    while not signal.sigpending() & _STOP:
        left = ends - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(left, _LOOK_S))
    return True


def _look(go_on: Callable[[], None], *, whole: bool) -> None:
    try:
        if whole:
            sweep.sweep(go_on)
        else:
            sweep.watch(go_on)
    except RedisError as error:
        _log.warning("redis unavailable", error=type(error).__name__)
