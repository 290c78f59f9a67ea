"""Rows of a text file: its delimiter found, its quotes read, its marks taken off."""

import csv
import io
import itertools
import re
from collections.abc import Iterator
from typing import BinaryIO

from app.intake.reading.headline import (
    HEADLINE_WITHIN,
    name_of,
)
from app.intake.reading.list_rows import (
    Limits,
    Row,
    refuse_long_cells,
)
from app.problems import Kind, Refused
from app.values.cell_text import END_OF_FILE, without_marks
from app.values.column_names import canonical, names_phone

_DELIMITERS = ",\t;|"
# the line by which Excel is told the delimiter: `sep=,`
_SEPARATOR_LINE = re.compile(r'\ufeff*"?sep=([,;\t|])"?;*,*[ \t]*', re.IGNORECASE)
_HEADER_CHARACTERS = 100_000
# One row's characters, quoted line breaks included. The csv module's own bound for a cell is 131,072, for the whole
# process; a quote left open is told long before the file's end, and memory stays small.
_ROW_CHARACTERS = 130_000
_STRAY_QUOTE = Kind(
    "quote_stray",
    '{row}行目の引用符(")の使い方が正しくありません。セルの中の"は""と2つ重ねるか、Excelで保存し直してください。',
)
_OPEN_QUOTE = Kind(
    "quote_open",
    '{row}行目から始まる引用符(")が閉じられていないか、行が長すぎます。この行の"を直してください。',
)


class _Borrowed(io.BufferedIOBase):
    """A stream whose text wrapper may be closed, by the garbage collector too, without closing it."""

    name = "list"

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        return self._stream.read(-1 if size is None else size)

    read1 = read


def _text(stream: BinaryIO, encoding: str) -> io.TextIOWrapper:
    stream.seek(0)
    return io.TextIOWrapper(_Borrowed(stream), encoding, newline="")


def named_delimiter(stream: BinaryIO, encoding: str) -> str:
    """Return the delimiter that a first line `sep=,` names, or nothing."""
    first = _text(stream, encoding).readline(_HEADER_CHARACTERS)
    named = _SEPARATOR_LINE.fullmatch(first.rstrip("\r\n"))
    return named[1] if named else ""


def find_delimiter(stream: BinaryIO, encoding: str) -> str:
    """Return the sign between the cells of the headline; a comma where nothing tells.

    The first row that names a phone's column is asked, else the first in which one of the signs stands.
    """
    first = ""
    for row in itertools.islice(
        _rows_in(without_marks(_text(stream, encoding).read(_HEADER_CHARACTERS))), HEADLINE_WITHIN
    ):
        counts = {delimiter: len(cells) for delimiter in _DELIMITERS if len(cells := row.split(delimiter)) > 1}
        if not counts:
            continue
        most = max(counts, key=lambda delimiter: counts[delimiter])
        if any(names_phone(canonical(name_of(cell))) for cell in row.split(most)):
            return most
        first = first or most
    return first or ","


def _rows_in(head: str) -> Iterator[str]:
    """Return a beginning's rows, without their quotes and what stands between those but for its letters."""
    row: list[str] = []
    quoted = False
    for character in head:
        if character == '"':
            quoted = not quoted
        elif quoted:
            row.append("" if character in _DELIMITERS else character)
        elif character in "\r\n":
            yield "".join(row)
            row.clear()
        else:
            row.append(character)
    yield "".join(row)


def read_records(stream: BinaryIO, encoding: str, delimiter: str, limits: Limits, *, named: bool) -> Iterator[Row]:
    """Yield the rows of a text; `named`: its first line names the delimiter.

    Raises Refused where quotes are broken.
    """
    text = _text(stream, encoding)
    row_size = [0]
    sheet_row = 0
    if named:
        text.readline(_HEADER_CHARACTERS)  # Excel obeys this line and doesn't show it: row 1 stands below
    try:
        for cells in csv.reader(_lines(text, row_size), delimiter=delimiter, strict=True):
            sheet_row += 1
            if row_size[0] > limits.cell:
                refuse_long_cells(sheet_row, cells, limits.cell)
            row_size[0] = 0
            if cells != [END_OF_FILE]:
                yield sheet_row, cells
    except csv.Error as error:
        raise _bad_quotes(sheet_row + 1, str(error)) from None


def _lines(text: io.TextIOWrapper, row_size: list[int]) -> Iterator[str]:
    first = True
    while line := text.readline(_ROW_CHARACTERS):
        row_size[0] += len(line)
        if row_size[0] >= _ROW_CHARACTERS:
            raise csv.Error("row too long")
        if first:
            line = without_marks(line)
            first = False
        if line.endswith(END_OF_FILE):  # behind the last cell, which may be in quotes or empty
            line = line.rstrip(END_OF_FILE)
        if line:
            yield line


def _bad_quotes(sheet_row: int, reason: str) -> Refused:
    return Refused((_STRAY_QUOTE if "expected after" in reason else _OPEN_QUOTE)(row=sheet_row))
