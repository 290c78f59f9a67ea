"""Compare every total with a count, as the owner sees both."""

from typing import Any

import psycopg
from psycopg.rows import dict_row

from app.reports.totals import ALL, Totals


def differences(database: psycopg.Connection) -> list[dict[str, Any]]:
    """List the totals that are not what a count says, each with by how much."""
    return [row for totals in ALL for row in _differences(database, totals)]


def _differences(database: psycopg.Connection, totals: Totals) -> list[dict[str, Any]]:
    names, sums = ", ".join(totals.names), ", ".join(totals.sums)
    lacking = ", ".join(f"sum({name}) AS {name}" for name in totals.sums)
    statement = f"""
        SELECT '{totals.table}' AS kept_in, {names}, {lacking} FROM (
            SELECT {names}, {sums} FROM {totals.rows()} AS counted
            UNION ALL SELECT {names}, {", ".join(f"-{name}" for name in totals.sums)} FROM {totals.table}
        ) AS compared GROUP BY {names} HAVING {" OR ".join(f"sum({name}) <> 0" for name in totals.sums)}
    """  # noqa: S608 - the product's own words
    with database.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement).fetchall()
