"""Reads of one statement across companies, on connections of their own: what a link's address costs is this.

In: a statement with its values. Out: its first row. What can't happen here: a write (the sessions are read-only), or
another part's transaction in the platform's scope (the connections are shared with nobody). One round trip, no BEGIN
and no COMMIT; a connection that died with the database is replaced and the read done again.
"""

from collections import deque
from typing import Any, TypeAlias

import psycopg

from app.config import settings
from app.tenancy.time_limits import LIBPQ, PAGE

_SESSION = """
    SELECT set_config('app.platform', 'on', false), set_config('default_transaction_read_only', 'on', false),
        set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false)
"""

_Cursor: TypeAlias = psycopg.Cursor[tuple[Any, ...]]

# one per connection, as many as threads have read at the same time; the last one back is the first one out
_idle: deque[_Cursor] = deque()


def first(statement: str, *values: object) -> tuple[Any, ...] | None:
    """Give the first row of a read in the platform's scope. Raises psycopg.Error."""
    try:
        cursor = _idle.pop()
    except IndexError:
        return _read(_connect(), statement, values)
    try:
        return _read(cursor, statement, values)
    except psycopg.OperationalError:
        # the others are of the same age
        close()
        return _read(_connect(), statement, values)


def close() -> None:
    """Close the connections that nobody reads from; for the end of a process, or of its database."""
    while _idle:
        _idle.pop().connection.close()


def _read(cursor: _Cursor, statement: str, values: tuple[object, ...]) -> tuple[Any, ...] | None:
    try:
        row = cursor.execute(statement, values).fetchone()
    except BaseException:
        cursor.connection.close()
        raise
    _idle.append(cursor)
    return row


def _connect() -> _Cursor:
    connection = psycopg.connect(settings().database_url.replace("+psycopg", "", 1), autocommit=True, **LIBPQ)
    # told once it stands, not as start-up options, which poolers drop
    _, lock_timeout, statement_timeout = PAGE.values
    connection.execute(_SESSION, (lock_timeout, statement_timeout))
    return connection.cursor(binary=True)
