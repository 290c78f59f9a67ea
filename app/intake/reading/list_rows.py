"""Rows of a list, how much of them a file may hold, and the refusal of what is longer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from app.problems import Kind, Refused
from app.values.cell_text import HIDDEN_ROW

Row = tuple[int, list[str]]
"""A sheet row's number, as Excel counts, and its cells."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one file may hold; `cell` is in characters.

    `preview`: only its first rows are asked for, and soon.
    """

    bytes: int = 200_000_000
    rows: int = 1_000_000
    columns: int = 200
    cell: int = 2_000
    preview: bool = False


LIMITS = Limits()
LONG_CELL = Kind("cell_too_long", "{row}行目の{column}列が長すぎます。{most:,}文字以内に直してください。")
LONG_ROW = Kind("row_too_long", "{row}行目が長すぎます。要らない列を削除してください。")


def is_hidden(cells: Sequence[str]) -> bool:
    """Return whether a row is one that its workbook hides, and that is left out."""
    return len(cells) == 1 and cells[0] == HIDDEN_ROW


def column_letter(index: int) -> str:
    """Return a column's name in Excel: 0 is A, 26 is AA."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def refuse_long_cells(sheet_row: int, cells: list[str], most: int) -> None:
    """Raise Refused where a cell has more than `most` characters."""
    for index, cell in enumerate(cells):
        if len(cell) > most:
            raise Refused(LONG_CELL(row=sheet_row, column=column_letter(index), most=most))


def refuse_long_row(sheet_row: int) -> NoReturn:
    """Refuse a list for a row that is too long as a whole."""
    raise Refused(LONG_ROW(row=sheet_row))
