"""How every bench and drill tells its result: a table for people, then one line of JSON."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import TextIO

Run = Mapping[str, object]


class BadReport(Exception):  # noqa: N818 - it names what was found
    """Runs that are not what the bench declared; the message says which and why."""


def report(name: str, fields: Sequence[str], runs: Sequence[Run], out: TextIO) -> None:
    """Print the runs as a table, a column for each of `fields`, then `{"name": …, "runs": [{…}, …]}` as the last line.

    Raises BadReport, before anything is printed, unless there is a run and every run has exactly `fields`, each finite.
    """
    if not runs:
        raise BadReport(f"{name}: no run")
    for number, run in enumerate(runs, 1):
        _check(name, fields, run, number)
    rows = [list(fields), *([_shown(run[field]) for field in fields] for run in runs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numbers = [all(isinstance(run[field], int | float | None) for run in runs) for field in fields]
    print(f"\n{name}", file=out)
    for row in rows:
        cells = (
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numbers, strict=True)
        )
        print("  " + "  ".join(cells).rstrip(), file=out)
    ordered = [{field: run[field] for field in fields} for run in runs]
    print(json.dumps({"name": name, "runs": ordered}, ensure_ascii=False, allow_nan=False), file=out, flush=True)


def _check(name: str, fields: Sequence[str], run: Run, number: int) -> None:
    missing, more = sorted(set(fields) - set(run)), sorted(set(run) - set(fields))
    if missing or more:
        raise BadReport(f"{name}, run {number}: missing fields {missing}, undeclared fields {more}")
    for field, value in run.items():
        if not isinstance(value, str | int | float | None) or (isinstance(value, float) and not math.isfinite(value)):
            raise BadReport(f"{name}, run {number}: {field} is no finite number, text, truth value or null")


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.3g}"  # noqa: PLR2004 - four digits say enough
    return f"{value:,}" if isinstance(value, int) else str(value)
