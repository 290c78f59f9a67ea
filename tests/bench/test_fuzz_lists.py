"""Some hundred made-up lists through the intake: nothing silent. And the judge itself sees what is lost or doubled."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.intake.checking import checks
from app.intake.reading import excel_reader
from app.intake.reading.list_rows import Row
from app.intake.reading.reader import Table, read_table
from app.values.cell_text import clean
from bench import fuzz_lists
from bench.fuzz_lists import Tally, chances, judge
from bench.list_files import write
from bench.seen_lists import List, make

FEW = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@FEW
@given(chances())
def test_no_row_is_lost_or_doubled_in_silence(chance: Random) -> None:
    tally = Tally()
    judge(make(chance), tally)
    assert tally.silences == []
    assert tally.rows == tally.taken + tally.told


@settings(FEW, max_examples=8)
@given(st.integers(0, 10_000))
def test_a_workbook_in_the_child_comes_to_the_same(number: int) -> None:
    here, there = Tally(), Tally()
    judge(book(number), here)
    judge(book(number), there, in_child=True)
    assert here == there
    assert not there.silent


def book(number: int) -> List:
    made = (make(Random(seed)) for seed in range(number, number + 1_000))
    return next(one for one in made if one.form == "xlsx")


def lists(count: int, **manner: object) -> list[List]:
    found = (make(Random(seed)) for seed in range(5_000))
    wanted = (one for one in found if manner.items() <= one.manner.items())
    return [next(wanted) for _ in range(count)]


def tally_of(made: list[List]) -> Tally:
    tally = Tally()
    for one in made:
        judge(one, tally)
    return tally


def test_most_rows_are_taken_and_each_form_is_made() -> None:
    made = lists(150)
    tally = tally_of(made)
    assert tally.silent == 0
    assert tally.taken > tally.told > 50
    assert {one.form for one in made} == {"csv", "tsv", "semicolon", "xlsx"}
    assert len({one.encoding for one in made}) == 7
    assert any(line.hidden for one in made for line in one.lines)
    assert any(len(write(one).lines) > 150 for one in made)


def reads(monkeypatch: pytest.MonkeyPatch, spoilt: Callable[[Iterator[Row]], Iterator[Row]]) -> None:
    """Let lists be read with their rows spoilt."""

    def read_spoilt(stream: BinaryIO) -> Table:
        table = read_table(stream)
        return replace(table, rows=spoilt(table.rows))

    monkeypatch.setattr(fuzz_lists, "read_table", read_spoilt)


def test_a_row_that_is_lost_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    reads(monkeypatch, lambda rows: itertools.islice(rows, 1, None))
    assert tally_of(lists(20)).silent >= 10


def test_a_row_that_comes_twice_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    reads(monkeypatch, lambda rows: (row for row in rows for _ in range(2)))
    # where no number tells one row from another
    assert tally_of([one for one in lists(100) if "reference" not in one.columns]).silent >= 10


def test_a_hidden_row_that_is_taken_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel_reader, "is_on", lambda _: False)
    hiding = [one for one in lists(60, hidden_by_default=False) if any(line.hidden for line in one.lines)]
    assert tally_of(hiding).silent >= 10


def test_somebody_else_in_a_row_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "restore", lambda cell: cell)
    monkeypatch.setattr(checks, "cleaned", lambda cells: [clean(cell).replace("0001", "0002") for cell in cells])
    assert tally_of(lists(60)).silent >= 1


def test_a_fault_of_ours_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    reads(monkeypatch, lambda rows: iter([list(rows)[10**6]]))
    tally = tally_of(lists(3, eol="\n"))
    assert tally.silent >= 3
    assert "IndexError" in tally.silences[0]
