"""Rows of values as one SQL table: the same rows, however many of their values are shared."""

from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from app import tenancy
from app.states import bulk_values

ROWS: list[list[tuple[Any, ...]]] = [
    [(1, "a", None, 7)],
    [(1, "a", {"x": 1}, 7), (2, "a", {"x": 1}, 7)],
    [(3, "a", {"x": 1}, None), (2, 'b"{},\\', None, 7), (9, "", {"y": "é"}, None)],
    [(5, "a", None, 1), (5, "a", None, 1)],
]


@pytest.mark.parametrize("rows", ROWS)
def test_each_row_comes_back_as_it_was(app, database: psycopg.Connection, rows: list[tuple[Any, ...]]) -> None:
    kinds = {"id": "bigint", "word": "text", "detail": "jsonb", "number": "integer"}
    table, values = bulk_values.table(
        {name: (kind, [row[place] for row in rows]) for place, (name, kind) in enumerate(kinds.items())}
    )
    with app.app_context(), tenancy.platform(), tenancy.transaction() as connection:
        found = connection.execute(
            text(f"SELECT u.id, u.word, u.detail, u.number FROM {table} AS u WHERE u.id BETWEEN :u_first AND :u_last"),  # noqa: S608
            values,
        ).all()
    assert [tuple(row) for row in found] == rows
