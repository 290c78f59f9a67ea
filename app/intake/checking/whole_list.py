"""Find what only a whole list shows, whatever its columns will be used for: told before anything of it is taken.

In: every row of an upload, in a worker. Out: how many rows its workbook hides; for each column the numbers whose length
differs from nearly all others, and the letters that were lost before the list came to us. Can't happen here: a cell's
content kept, memory that grows with the list.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from app.intake.checking.number_lengths import NumberLengths
from app.intake.reading.list_rows import Row, is_hidden
from app.values.answers import normal_digits
from app.values.carrier_text import has_lost_letters, may_have_lost_letters
from app.values.cell_text import cleaned
from app.values.csv_injection import restore

# rows that are named of each finding
_NAMED = 5
# digits of a number: who has more is no number that a person types
_LONGEST_NUMBER = 40
# how numbers begin that are written with signs between their digits, or in full width
_BEGINS_AS_NUMBER = re.compile(r"[\s(（+＋]*[0-9０-９]")


class FindingKind(StrEnum):
    """Kinds of things found in a column."""

    ODD_LENGTH = "odd_length"
    LOST_LETTERS = "lost_letters"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found in a column: in how many rows, which are the first; `usual` is the length of most numbers."""

    kind: FindingKind
    column: str
    rows: int
    first: tuple[int, ...]
    usual: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON column."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Finding":
        """Read what `to_json` gave."""
        return cls(**(dict(stored) | {"kind": FindingKind(stored["kind"]), "first": tuple(stored["first"])}))


class WholeList:
    """Sees the rows of a list go by."""

    def __init__(self, header: Sequence[str]) -> None:
        self._header = header
        self._lengths = [NumberLengths(_NAMED) for _ in header]
        self._lost: dict[int, list[int]] = {}
        self._lost_rows: dict[int, int] = {}
        self.hidden_rows = 0

    def see(self, row: Row) -> None:
        """Look at the next row."""
        sheet_row, cells = row
        if is_hidden(cells):
            self.hidden_rows += 1
            return
        cells = cleaned(cells)
        together = "\x1f".join(cells)
        if "'" in together:
            cells = [restore(cell) for cell in cells]
        for lengths, cell in zip(self._lengths, cells, strict=False):
            if cell.isdigit():
                self._see_number(lengths, cell, sheet_row)
            elif "/" not in cell and _BEGINS_AS_NUMBER.match(cell):
                self._see_number(lengths, normal_digits(cell), sheet_row)
        if may_have_lost_letters(together):
            self._see_lost(sheet_row, cells)

    @staticmethod
    def _see_number(lengths: NumberLengths, digits: str, sheet_row: int) -> None:
        if len(digits) <= _LONGEST_NUMBER:
            lengths.see(digits, sheet_row)

    def _see_lost(self, sheet_row: int, cells: Sequence[str]) -> None:
        for place, cell in enumerate(cells[: len(self._header)]):
            if has_lost_letters(cell):
                self._lost_rows[place] = self._lost_rows.get(place, 0) + 1
                rows = self._lost.setdefault(place, [])
                if len(rows) < _NAMED:
                    rows.append(sheet_row)

    def findings(self) -> list[Finding]:
        """Return what was found so far, column by column."""
        found = []
        for place, column in enumerate(self._header):
            usual, odd = self._lengths[place].odd()
            if odd:
                first = tuple(row for row, _ in odd[:_NAMED])
                found.append(
                    Finding(FindingKind.ODD_LENGTH, column, self._lengths[place].count_odd(), first, usual=usual)
                )
            if place in self._lost_rows:
                rows = self._lost_rows[place]
                found.append(Finding(FindingKind.LOST_LETTERS, column, rows, tuple(self._lost[place])))
        return found
