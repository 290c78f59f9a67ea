"""How long PostgreSQL waits for whoever holds something: limits by kind of work, told at each BEGIN.

In: the kind of work that a transaction is part of. Out: a transaction that PostgreSQL itself ends, with its locks, when
its holder falls silent, waits or computes for too long. Can't happen here: a frozen process or a lost machine that
holds others up for longer than `idle_s` of its kind. A limit is told within the transaction (SET LOCAL), never at the
start of a connection: a pooler between us and PostgreSQL drops start-up options.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import DBAPIError

# SQLSTATEs with which PostgreSQL ends a transaction for the sake of others: nothing of it was written, and the same
# transaction may well pass when it is done once more.
IDLE_IN_TRANSACTION = "25P03"
LOCK_NOT_AVAILABLE = "55P03"
QUERY_CANCELED = "57014"
_CONFLICTS = frozenset({"40001", "40P01"})  # serialization failure, deadlock
_ENDED = frozenset({IDLE_IN_TRANSACTION, LOCK_NOT_AVAILABLE, QUERY_CANCELED}) | _CONFLICTS


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a transaction, seconds; 0 is none.

    `idle_s`: its client says nothing in the middle of it. `lock_s`: it waits for one lock. `statement_s`: one statement
    runs. Locks are waited for longer than anybody but an import may be silent in holding them, save on a recipient's
    page: that answers within a second.
    """

    idle_s: float
    lock_s: float
    statement_s: float

    @property
    def values(self) -> tuple[str, str, str]:
        """The values of PostgreSQL's three settings, milliseconds."""
        return (f"{self.idle_s * 1000:.0f}", f"{self.lock_s * 1000:.0f}", f"{self.statement_s * 1000:.0f}")


PAGE = Limits(idle_s=5, lock_s=0.7, statement_s=5)  # a recipient waits, and so does one of the web server's few threads
STAFF = Limits(idle_s=5, lock_s=8, statement_s=30)  # 取消 outlives a worker that vanished with the slice
STEP = Limits(idle_s=5, lock_s=10, statement_s=120)  # one step of a worker or of the scheduler
# one thread writes for all turns of a worker, so it comes again later; longer than PostgreSQL takes to see a deadlock
SENDING = Limits(idle_s=5, lock_s=2, statement_s=60)
BULK = Limits(idle_s=60, lock_s=20, statement_s=1800)  # an import, an export, a check of a whole list
MIGRATION = Limits(idle_s=60, lock_s=15, statement_s=0)  # whoever waits behind it waits for its lock too

# How soon a connection notices that the other side has vanished, packets dropped, no goodbye: libpq's own settings,
# kept on our side. Asked for after 10 s without a word, given up after 15 s without an acknowledgement.
LIBPQ: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
}

_limits: ContextVar[Limits] = ContextVar("todoke_limits", default=STEP)


def current() -> Limits:
    """Return the limits of the work at hand, outside a request."""
    return _limits.get()


@contextmanager
def limited_to(kind: Limits) -> Iterator[None]:
    """Let transactions that begin within a with block have these limits."""
    token = _limits.set(kind)
    try:
        yield
    finally:
        _limits.reset(token)


def gave_way(fault: BaseException) -> bool:
    """Return whether PostgreSQL ended a transaction for the sake of others, or its connection broke."""
    if not isinstance(fault, DBAPIError):
        return False
    return fault.connection_invalidated or getattr(fault.orig, "sqlstate", None) in _ENDED
