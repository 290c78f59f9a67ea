"""The scheduler: sweeps again and again, and looks for what can't wait in between; of several that run, one does.

The one is whoever holds a session lock of PostgreSQL: it frees itself when its holder dies.
"""

import signal
import time
from contextlib import suppress

import structlog
from redis.exceptions import RedisError
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from app import tenancy
from app.config import settings
from app.extensions import db
from jobs import sweep

_LOCK = 7_230_002
# how soon a waiting scheduler tries for the lock again, and one that lost its database for that; seconds
_RETRY_S = 2.0
# how often it looks for what is urgent: how long a dead worker's lease may be over before that is seen; seconds
_WATCH_S = 2.0
_STOP = {signal.SIGTERM, signal.SIGINT}

_log = structlog.get_logger()


def run() -> None:
    """Schedule until SIGTERM or SIGINT, through any absence of Redis or PostgreSQL.

    An application context must be pushed. The signals are kept back and asked for, never handled in the middle of
    something.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    with tenancy.platform():
        while True:
            try:
                with db.engine.connect() as connection:
                    # each statement on its own: the lock is the session's, and no transaction stays open
                    _lead(connection.execution_options(isolation_level="AUTOCOMMIT"))
                    return
            except SQLAlchemyError as error:
                _log.warning("PostgreSQL is away", error=type(error).__name__)
            if _stopped_within(_RETRY_S):
                return


def _lead(connection: Connection) -> None:
    """Wait for the lock, then sweep until asked to stop; raises when the session, and so the lock, is lost."""
    if not _try_lock(connection):
        _log.info("scheduler waits for another")
        while not _try_lock(connection):
            if _stopped_within(_RETRY_S):
                return
    _log.info("scheduler leads")
    try:
        sweep_at = time.monotonic()
        while True:
            connection.execute(text("SELECT 1"))
            whole = time.monotonic() >= sweep_at
            if whole:
                sweep_at = time.monotonic() + settings().sweep_s
            _look(whole=whole)
            if _stopped_within(min(_WATCH_S, settings().sweep_s)):
                return
    finally:
        with suppress(SQLAlchemyError):  # a session that is gone holds no lock
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})


def _try_lock(connection: Connection) -> bool:
    return bool(connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}))


def _stopped_within(seconds: float) -> bool:
    """Wait; say whether a signal to stop came."""
    return signal.sigtimedwait(_STOP, seconds) is not None


def _look(*, whole: bool) -> None:
    try:
        if whole:
            sweep.sweep()
        else:
            sweep.watch()
    except RedisError as error:
        _log.warning("Redis is away", error=type(error).__name__)
