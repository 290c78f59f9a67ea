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
from app.tenancy.time_limits import LIBPQ, PAGE

_SESSION = """
    SELECT set_config('app.platform', 'on', false), set_config('default_transaction_read_only', %s, false),
        set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false),
        -- as in every transaction (`app.tenancy.scope`): what was answered for must not be forgotten
        CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')
            THEN set_config('synchronous_commit', 'on', false) END
"""

_Cursor: TypeAlias = psycopg.Cursor[tuple[Any, ...]]
_Idle: TypeAlias = deque[_Cursor]

# one per connection, as many as threads have asked at the same time; the last one back is the first one out
_reading: _Idle = deque()
_writing: _Idle = deque()


def first(statement: str, *values: object) -> tuple[Any, ...] | None:
    """Return the first row of a read in the platform's scope. Raises psycopg.Error."""
    return _ask(_reading, statement, values)


def write(statement: str, *values: object) -> tuple[Any, ...] | None:
    """Return the first row that a write in the platform's scope returns; it is committed. Raises psycopg.Error."""
    return _ask(_writing, statement, values)


def close() -> None:
    """Close the connections that nobody uses; for the end of a process, or of its database."""
    for idle in (_reading, _writing):
        _close(idle)


def _ask(idle: _Idle, statement: str, values: tuple[object, ...]) -> tuple[Any, ...] | None:
    try:
        cursor = idle.pop()
    except IndexError:
        return _run(_connect(idle), idle, statement, values)
    try:
        return _run(cursor, idle, statement, values)
    except psycopg.OperationalError:
        # the others are of the same age
        _close(idle)
        return _run(_connect(idle), idle, statement, values)


def _run(cursor: _Cursor, idle: _Idle, statement: str, values: tuple[object, ...]) -> tuple[Any, ...] | None:
    try:
        cursor.execute(statement, values)
        row = cursor.fetchone() if cursor.description else None
    except BaseException:
        cursor.connection.close()
        raise
    idle.append(cursor)
    return row


def _close(idle: _Idle) -> None:
    while idle:
        idle.pop().connection.close()


def _connect(idle: _Idle) -> _Cursor:
    connection = psycopg.connect(settings().database_url.replace("+psycopg", "", 1), autocommit=True, **LIBPQ)
    # told once it stands, not as start-up options, which poolers drop
    _, lock_timeout, statement_timeout = PAGE.values
    connection.execute(_SESSION, ("on" if idle is _reading else "off", lock_timeout, statement_timeout))
    return connection.cursor(binary=True)
