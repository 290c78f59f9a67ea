"""Whether this process can work: asked for by supervisors and load balancers, answered within two seconds.

In: a check that asks the database. Out: its answer, or None where none came in time. Can't happen here: a request that
waits for a database that is frozen, or a second check while the first one waits.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import psycopg
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")

LIMIT_S = 2.0

# the programs' word for an empty database, as a failed pg_restore leaves it
NO_TABLES = "the database has no tables: restore the dump, or migrate a new installation (docs/install.md)"


def lacks_tables(fault: DBAPIError | psycopg.Error) -> bool:
    """Return whether a statement failed as its table is missing."""
    return isinstance(fault.orig if isinstance(fault, DBAPIError) else fault, psycopg.errors.UndefinedTable)


class Check(Generic[T]):
    """One question to the database, asked by a thread of its own."""

    def __init__(self, ask: Callable[[], T], limit_s: float = LIMIT_S) -> None:
        self._ask = ask
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._under_way: _Answer[T] | None = None

    def answer(self) -> T | None:
        """Return the database's answer, None where it gives none in time.

        Raises what the question raises.
        """
        with self._lock:
            asked = self._under_way
            if asked is None or asked.over.is_set():
                asked = self._under_way = _Answer(self._ask)
        return asked.within(self._limit_s)


class _Answer(Generic[T]):
    def __init__(self, ask: Callable[[], T]) -> None:
        self.over = threading.Event()
        self._value: T | None = None
        self._fault: Exception | None = None
        threading.Thread(target=self._run, args=[ask], name="health", daemon=True).start()

    def _run(self, ask: Callable[[], T]) -> None:
        try:
            self._value = ask()
        except Exception as fault:  # noqa: BLE001 - told to whoever waits
            self._fault = fault
        finally:
            self.over.set()

    def within(self, limit_s: float) -> T | None:
        if not self.over.wait(limit_s):
            return None
        if self._fault is not None:
            raise self._fault
        return self._value
