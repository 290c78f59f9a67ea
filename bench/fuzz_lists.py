"""`make fuzz-lists`: thousands of made-up lists and workbooks through the product's own intake, each row accounted for.

A list is drawn by hypothesis (`bench.seen_lists`), written (`bench.list_files`), then opened, mapped and checked by the
very functions that a worker calls. `rows` are those that a person sees below the headline; each is `taken`, as exactly
the person who stands there, or `told`: refused with its row's number, or with the whole file. Whatever is neither, or
is taken though nobody sees it, or as somebody else, is `silent`. A fault of ours that ends a reading is silent too.

Most workbooks are read by the child's functions within this process, every fiftieth in the child itself.
"""

import datetime as dt
import io
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, BinaryIO
from unittest import mock

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from app.intake.checking.checks import CheckedRow, Checker, Level, Outcome, Rejected
from app.intake.checking.rules import make_rules
from app.intake.checking.whole_list import WholeList
from app.intake.columns.mapping import Question, propose
from app.intake.reading import excel_child, headline, reader
from app.intake.reading.excel_process import Bounds
from app.intake.reading.excel_reader import Sheet
from app.intake.reading.reader import Table, read_table
from app.problems import Refused
from app.values.answers import QuestionKind
from bench.list_files import write
from bench.report import report
from bench.seen_lists import Line, List, Person, make

FIELDS = ("files", "rows", "taken", "told", "silent")
FILES = 20_000
_QUESTIONS = (Question("生年月日", QuestionKind.DATE), Question("郵便番号", QuestionKind.POSTCODE))
_MERGED = ("氏名",)
_TODAY = dt.date(2026, 11, 30)
_MOST_ROWS = 5_000
_CHILD_EVERY = 50
_SHOWN = 10


@dataclass(slots=True)
class Tally:
    """The fate of the rows.

    `silences` say where a row was lost, `needless` why rows were told that seemed sound.
    """

    files: int = 0
    rows: int = 0
    taken: int = 0
    told: int = 0
    silent: int = 0
    silences: list[str] = field(default_factory=list)
    needless: Counter[str] = field(default_factory=Counter)

    def is_silent(self, what: str, rows: int = 1) -> None:
        """Count rows of which nothing was said."""
        self.silent += rows
        if len(self.silences) < _SHOWN:
            self.silences.append(what)

    def as_run(self) -> dict[str, int]:
        """Return the numbers."""
        return {name: getattr(self, name) for name in FIELDS}


class _Here:
    """A workbook read by the child's own functions, without a process for each of thousands."""

    def __init__(self, stream: BinaryIO, _bounds: Bounds, longest_cell: int = 2_000) -> None:
        self._reader = excel_child.Reader(stream, longest_cell, excel_child.Clock(0))

    def open(self, wanted: str = "", *, hidden: bool = False) -> Sheet:
        """Open a sheet, as `WorkbookProcess` does."""
        told = self._reader.open(wanted, hidden=hidden)
        hidden_columns: list[int] = []
        return Sheet(
            told["sheet"], tuple(told["names"]), self._rows(hidden_columns), lambda: 1.0, lambda: hidden_columns
        )

    def _rows(self, hidden_columns: list[int]) -> Iterator[tuple[int, list[str]]]:
        while True:
            told = self._reader.more()
            hidden_columns[:] = told["hidden"]
            yield from told["rows"]
            if told["end"]:
                return


def judge(made: List, tally: Tally, *, in_child: bool = False) -> None:
    """Read one list and account for each of its rows."""
    file = write(made)
    tally.files += 1
    seen = {row: line for row, line in file.lines.items() if not line.blank and not line.hidden}
    tally.rows += len(seen)
    try:
        if in_child:
            outcomes = _outcomes(file.data, made, tally)
        else:
            with mock.patch.object(reader, "WorkbookProcess", _Here):
                outcomes = _outcomes(file.data, made, tally)
    except Refused as refused:
        tally.told += len(seen)
        tally.needless[f"file {refused.problem.code}"] += 1
        return
    except Exception:  # noqa: BLE001 - whatever ends a reading is what is looked for
        tally.is_silent(traceback.format_exc(), len(seen) or 1)
        return
    _account(made, seen, outcomes, tally)


def _outcomes(data: bytes, made: List, tally: Tally) -> list[Outcome]:
    """Open, map and check a list as a worker does. Raises Refused."""
    table = read_table(io.BytesIO(data))
    paid = "amount" in made.columns
    mapping = propose(table.header, _QUESTIONS, _MERGED, payment_required=paid)
    problems = mapping.problems(table.header, _QUESTIONS, _MERGED, payment_required=paid)
    if problems:
        raise Refused(*problems)
    whole, rows = WholeList(table.header), list(table.rows)
    for row in rows:
        whole.see(row)
    if table.encoding == "xlsx":
        _compare_hidden(whole.hidden_rows, table, made, tally)
    rules = make_rules(table.header, mapping, _QUESTIONS, _MERGED, payment_required=paid, today=_TODAY)
    checker = Checker(rules, _MOST_ROWS)
    return [checker.check(row) for row in rows]


def _compare_hidden(counted: int, table: Table, made: List, tally: Tally) -> None:
    hidden = sum(line.hidden and any(cell.text or cell.kind for cell in line.cells) for line in made.lines)
    if counted != hidden:
        tally.is_silent(f"{counted} hidden rows told of {hidden}: {made.manner}")
    column = _names(made).get(str(made.manner["hidden_column"]))
    if table.hidden_columns != ((column,) if column else ()):
        tally.is_silent(f"hidden columns told: {table.hidden_columns} of {column}")


def _account(made: List, seen: dict[int, Line], outcomes: list[Outcome], tally: Tally) -> None:
    found: dict[int, Outcome] = {}
    names = _names(made)
    for came in outcomes:
        if isinstance(came, CheckedRow) and (came.sheet_row not in seen or came.sheet_row in found):
            tally.is_silent(f"row {came.sheet_row} taken, which nobody sees or twice: {_about(made)}")
        found.setdefault(came.sheet_row, came)
    for row, line in seen.items():
        outcome = found.get(row)
        if isinstance(outcome, Rejected):
            tally.told += 1
            if line.person is not None:
                errors = [fault for fault in outcome.faults if fault.level is Level.ERROR]
                tally.needless.update(fault.problem.code for fault in errors)
        elif not isinstance(outcome, CheckedRow):
            tally.is_silent(f"row {row} lost: {line} {_about(made)}")
        elif line.person is None:
            tally.is_silent(f"row {row} taken, which names nobody: {line} {outcome.fields} {_about(made)}")
        elif wrong := _differences(outcome, line.person, made):
            if {fault.column for fault in outcome.faults} >= {names[name] for name in wrong}:
                tally.told += 1
                continue
            tally.is_silent(f"row {row} taken as somebody else: {wrong} {line} {_about(made)}")
        else:
            tally.taken += 1


def _differences(row: CheckedRow, person: Person, made: List) -> dict[str, Any]:
    """Return what was taken otherwise than it was seen."""
    header = _names(made)
    taken: dict[str, Any] = {
        "reference": row.reference or "",
        "phone": row.phone,
        "name": row.fields[header["name"]],
        "amount": row.amount_yen or "",
        "born": row.answers[0],
        "postcode": row.answers[1],
    }
    if "note" in made.columns:
        taken["note"] = row.fields[header["note"]]
    return {
        name: (value, getattr(person, name))
        for name, value in taken.items()
        if name in made.columns and _plain(value) != _plain(getattr(person, name))
    }


def _names(made: List) -> dict[str, str]:
    """Name a list's columns as the product does."""
    return {name: headline.name_of(written) for name, written in zip(made.columns, made.header, strict=True)}


def _plain(value: object) -> object:
    return value.replace("\r\n", "\n").replace("\r", "\n").strip() if isinstance(value, str) else value


def _about(made: List) -> str:
    return f"[{made.form} {made.encoding} {made.header} {made.manner}]"


def chances() -> st.SearchStrategy[Random]:
    """Return the source of chance that hypothesis steers."""
    return st.randoms(use_true_random=False)


def main(files: int = FILES, first_seed: int = 0) -> int:
    """Make and judge lists. Returns an exit status: 1 unless nothing is silent."""
    tally = Tally()
    while tally.files < files:
        drawn = min(1_000, files - tally.files)

        @seed(first_seed + tally.files)
        @settings(
            max_examples=drawn,
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(chances())
        def draw(chance: Random) -> None:
            judge(make(chance), tally, in_child=tally.files % _CHILD_EVERY == 0)

        draw()
        print(f"  {tally.files:,} files, {tally.silent} silent", file=sys.stderr, flush=True)
    for silence in tally.silences:
        print(f"silent: {silence}", file=sys.stderr)
    told = ", ".join(f"{what} {count:,}" for what, count in tally.needless.most_common())
    print(f"told of rows that a person may think sound: {told}", file=sys.stderr)
    report("fuzz-lists", FIELDS, [tally.as_run()], sys.stdout)
    return 1 if tally.silent else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3])))
