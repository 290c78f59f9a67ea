"""Many rows of values as one SQL table: what all of them share travels once, the rest as arrays."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

Columns = Mapping[str, tuple[str, Sequence[Any]]]


def table(columns: Columns) -> tuple[str, dict[str, Any]]:
    """Return a subquery for FROM, and its parameters (`u_<name>`).

    `columns` are name -> (SQL type, values), as many values in each, at least one; names and types are our own words.
    The first column is a number that rows are joined by: `:u_first` and `:u_last` are its least and greatest, by which
    the joined table's rows are best bounded, for then the planner reads a range of an index, whatever it believes of
    the table's size.
    """
    (key, (_, keys)), *_others = columns.items()
    arrays, names, shared = [], [], []
    parameters: dict[str, Any] = {"u_first": min(keys), "u_last": max(keys)}
    for name, (kind, values) in columns.items():
        one = values[0]
        if name != key and values.count(one) == len(values):
            shared.append(f", CAST(:u_{name} AS {kind}) AS {name}")
            parameters[f"u_{name}"] = _json(one) if kind == "jsonb" else one
        else:
            arrays.append(f"CAST(:u_{name} AS {kind}[])")
            names.append(name)
            parameters[f"u_{name}"] = _array(values, _WRITTEN[kind])
    return (
        f"(SELECT u.*{''.join(shared)} FROM unnest({', '.join(arrays)}) AS u({', '.join(names)}))",  # noqa: S608 - our own words
        parameters,
    )


def _json(value: object) -> Jsonb | None:
    return None if value is None else Jsonb(value)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


# how an element stands in an array's text (PostgreSQL, 8.15.2: Array Value Input)
_WRITTEN: dict[str, Callable[[Any], str]] = {
    "bigint": int.__repr__,
    "integer": int.__repr__,
    "double precision": float.__repr__,
    "timestamptz": lambda at: f'"{at.isoformat()}"',
    "text": lambda value: _quoted(str(value)),
    "jsonb": lambda value: _quoted(json.dumps(value)),
}


def _array(values: Sequence[Any], written: Callable[[Any], str]) -> str:
    """Write an array's text: in a fifth of the time that psycopg takes for a list, and a worker writes many."""
    return "{" + ",".join(["NULL" if value is None else written(value) for value in values]) + "}"
