"""The two ways in which a test writes a state itself. Everything else is reached by steps (`tests.steps`).

They write the state's column and no event: what the product finds then is what it finds after a crash, beside another
transaction, or in a restored database. `tests/test_suite.py` holds that no other file writes a state.
"""

from collections.abc import Iterable

import psycopg
from psycopg import sql


def force(database: psycopg.Connection, table: str, ids: Iterable[int] | None = None, /, **columns: object) -> None:
    """Write a state at a moment at which the product makes it only in passing, or that only a broken row has.

    For what lasts too short to be caught (a message on its way, an import or export in a worker's hands), for what must
    be refused although no step leads there, and for a company that shows every state at once. Not for a state to which
    a step of `tests.steps` leads.
    """
    _write(database, table, ids, columns)


def set_back(database: psycopg.Connection, table: str, ids: Iterable[int] | None = None, /, **columns: object) -> None:
    """Return rows to an earlier state, as a backup restored holds them: what came after it is forgotten.

    For what no move of the vocabulary leads back to: a paid payment that was started, a launched campaign that is a
    draft again.
    """
    _write(database, table, ids, columns)


def _write(database: psycopg.Connection, table: str, ids: Iterable[int] | None, columns: dict[str, object]) -> None:
    pairs = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in columns]
    rows = sql.SQL("" if ids is None else " WHERE id = ANY(%(ids)s)")
    statement = sql.SQL("UPDATE {} SET {}{}").format(sql.Identifier(table), sql.SQL(", ").join(pairs), rows)
    values = {**columns, "ids": None if ids is None else list(ids)}
    try:
        database.execute(statement, values)
    except psycopg.errors.CheckViolation as refused:
        # no move of the vocabulary: for this one write the table's owner takes the guard away
        guard = sql.Identifier(refused.diag.constraint_name or "")
        with database.transaction():
            database.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER {}").format(sql.Identifier(table), guard))
            database.execute(statement, values)
            database.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER {}").format(sql.Identifier(table), guard))
