"""Single statements across companies, on connections of their own: what a link's address or a receipt costs is this.

In: a statement with its values. Out: its first row. Can't happen here: a write by `first` (its sessions are read-only),
or another part's transaction in the platform's scope (the connections are shared with nobody). One round trip, no BEGIN
and no COMMIT; a connection that died with the database is replaced and the statement done again, so `write` is for what
may be done twice.
"""

from collections import deque
from typing import Any, TypeAlias

import psycopg

from app.config import settings
from app.process_state import process_state
from app.tenancy.time_limits import LIBPQ, PAGE

_SESSION = """
    SELECT set_config('app.platform', 'on', false), set_config('default_transaction_read_only', %s, false),
        set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false),
        -- as in every transaction (`app.tenancy.scope`): what was answered for must not be forgotten
        CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')
            THEN set_config('synchronous_commit', 'on', false) END
"""

_Cursor: TypeAlias = psycopg.Cursor[tuple[Any, ...]]


class _Idle:
    """Connections that nobody uses: as many as threads have asked at the same time.

    The last one back is the first one out.
    """

    def __init__(self, *, read_only: bool) -> None:
        self.read_only = read_only
        self.cursors: deque[_Cursor] = deque()

    def close(self) -> None:
        """Close them."""
        while self.cursors:
            self.cursors.pop().connection.close()


class _Connections:
    """Those of this process."""

    def __init__(self) -> None:
        self.reading = _Idle(read_only=True)
        self.writing = _Idle(read_only=False)

    def close(self) -> None:
        """Close those that nobody uses."""
        self.reading.close()
        self.writing.close()


def first(statement: str, *values: object) -> tuple[Any, ...] | None:
    """Return the first row of a read in the platform's scope. Raises psycopg.Error."""
    return _ask(process_state.of(_Connections).reading, statement, values)


def write(statement: str, *values: object) -> tuple[Any, ...] | None:
    """Return the first row that a write in the platform's scope returns; it is committed. Raises psycopg.Error."""
    return _ask(process_state.of(_Connections).writing, statement, values)


def close() -> None:
    """Close the connections that nobody uses; for the end of a process, or of its database."""
    process_state.of(_Connections).close()


def _ask(idle: _Idle, statement: str, values: tuple[object, ...]) -> tuple[Any, ...] | None:
    try:
        cursor = idle.cursors.pop()
    except IndexError:
        return _run(_connect(idle), idle, statement, values)
    try:
        return _run(cursor, idle, statement, values)
    except psycopg.OperationalError:
        # the others are of the same age
        idle.close()
        return _run(_connect(idle), idle, statement, values)


def _run(cursor: _Cursor, idle: _Idle, statement: str, values: tuple[object, ...]) -> tuple[Any, ...] | None:
    try:
        cursor.execute(statement, values)
        row = cursor.fetchone() if cursor.description else None
    except BaseException:
        cursor.connection.close()
        raise
    idle.cursors.append(cursor)
    return row


def _connect(idle: _Idle) -> _Cursor:
    connection = psycopg.connect(settings().database_url.replace("+psycopg", "", 1), autocommit=True, **LIBPQ)
    # told once it stands, not as start-up options, which poolers drop
    _, lock_timeout, statement_timeout = PAGE.values
    connection.execute(_SESSION, ("on" if idle.read_only else "off", lock_timeout, statement_timeout))
    return connection.cursor(binary=True)
