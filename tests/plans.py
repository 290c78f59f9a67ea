"""How much the database has to look at: the plans of what is executed, carried out and counted."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy.event
from sqlalchemy import Connection

from app.extensions import db

_PLANNED = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


@contextmanager
def explained(*, instead: bool = True, answer: str = "SELECT 0") -> Iterator[list[dict[str, Any]]]:
    """Run what is executed by EXPLAIN ANALYZE, which carries it out; collect the plans.

    `instead` of it, and `answer` comes for its own answer; or besides, for what only reads.
    """
    plans: list[dict[str, Any]] = []

    def explain(connection: Connection, *args: Any) -> tuple[str, Any]:
        statement, parameters = args[1], args[2]
        if not statement.lstrip().startswith(_PLANNED):
            return statement, parameters
        row = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).scalar_one()
        plans.append(row[0]["Plan"])
        return (answer, {}) if instead else (statement, parameters)

    engine = db.engine
    sqlalchemy.event.listen(engine, "before_cursor_execute", explain, retval=True)
    try:
        yield plans
    finally:
        sqlalchemy.event.remove(engine, "before_cursor_execute", explain)


def touched(plan: dict[str, Any]) -> float:
    """Count the rows that a plan's nodes gave or threw away."""
    rows = plan["Actual Rows"] + sum(count for name, count in plan.items() if name.startswith("Rows Removed by"))
    return float(rows * plan["Actual Loops"] + sum(touched(part) for part in plan.get("Plans", [])))
