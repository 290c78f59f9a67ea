"""The bytes of a list become a header and rows, in one stream, with the row numbers people see in Excel.

In: a seekable stream of CSV, TSV or an Excel workbook. Out: a `Table`. A sheet row is what Excel shows as one row: the
first is 1, a line break inside quotes adds none, an empty line is a row. The headline is the first row, or the one
below it that looks like one where titles stand above.
"""

import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from app.intake.reading import excel_reader
from app.intake.reading.encodings import check_encoding, find_encoding, too_large
from app.intake.reading.excel_parts import LONG_CELL as LONG_TEXT
from app.intake.reading.excel_process import PREVIEW, WHOLE, WorkbookProcess
from app.intake.reading.headline import (
    HEADLINE_WITHIN,
    could_be_headline,
    find_headline,
    has_names,
    is_phone,
    name_of,
    read_header,
)
from app.intake.reading.list_rows import LIMITS, LONG_CELL, LONG_ROW, Limits, Row, is_hidden, refuse_long_cells
from app.intake.reading.text_rows import find_delimiter, named_delimiter, read_records
from app.problems import Kind, Problem, Refused
from app.values.column_names import canonical, names_phone

_SHEETS_LOOKED_AT = 20
_MANY_ROWS = Kind("list_too_many_rows", "行が多すぎます。{most:,}行以下に分けてアップロードしてください。")
_NOT_AMONG_FIRST = Kind("headline_too_far_down", "{row}行目は見出しにできません。初めの{within}行から選んでください。")
_NO_ROWS = Kind(
    "list_without_rows",
    "{row}行目の見出しだけで、データの行がありません。{next_row}行目からデータを入れてください。",
)
# faults that one sheet alone may have, while others can be read
_OF_ONE_SHEET = frozenset(kind.code for kind in (LONG_CELL, LONG_TEXT, LONG_ROW, _MANY_ROWS))


@dataclass(frozen=True, slots=True)
class Table:
    """An opened list.

    `rows` reads on as it is iterated and may raise Refused at any row.

    Header names are NFKC (ＴＥＬ and TEL are one name), stripped, without line breaks and invisible signs, none twice,
    none blank. `header_row` is the sheet row in which they stand; what is above it is no data.
    `encoding` is Python's name, or xlsx; `delimiter` one of comma, tab, semicolon and |, or nothing. `read` tells which
    share of the file was read so far, 0 to 1. `sheet` is the one read of a workbook's visible `sheets`. `head` are the
    first rows as they stand, the headline among them.
    """

    header: tuple[str, ...]
    rows: Iterator[Row]
    encoding: str
    delimiter: str
    read: Callable[[], float]
    header_row: int = 1
    sheet: str = ""
    sheets: tuple[str, ...] = ()
    head: tuple[Row, ...] = ()
    hidden_columns: tuple[str, ...] = ()


class Misread(Refused):
    """A file that was opened, but can't be a list as it is read.

    The rest is a `Table`'s: what can be chosen instead.

    `has_way` says whether another sheet, or another row as headline, may do.
    """

    def __init__(self, problem: Problem, opened: "_Source", limits: Limits, head: Sequence[Row] = ()) -> None:
        super().__init__(problem)
        self.encoding = opened.encoding
        self.sheet, self.sheets = opened.sheet, opened.sheets
        self.head = _shown(head)
        self.has_way = len(self.sheets) > 1 or any(could_be_headline(*row, limits) for row in self.head[:-1])


@dataclass(frozen=True, slots=True)
class Choice:
    """How a file is read, where that is known; what stays empty is found out.

    `sheet` is a workbook's by name, else the first that looks like a list; its hidden rows are read too or not.
    `header_row` is the sheet row of the headline, `encoding` Python's name.
    """

    sheet: str = ""
    hidden_rows: bool = False
    header_row: int = 0
    encoding: str = ""


def read_table(stream: BinaryIO, limits: Limits = LIMITS, choice: Choice | None = None) -> Table:
    """Open a list; the stream must stay open while `rows` is read, and is left open.

    Raises Refused, here or while `rows` is read. Raises Misread for a headline that can't be one, for a list without
    rows, and for what is wrong with one sheet of a workbook.
    """
    stream.seek(0)
    choice = choice or Choice()
    if stream.read(len(excel_reader.SIGNATURE)) == excel_reader.SIGNATURE:
        source = _workbook_source(stream, limits, choice)
    else:
        source = _text_source(stream, limits, choice)
    try:
        head = list(itertools.islice(source.records, HEADLINE_WITHIN))
    except Refused as refused:
        if len(source.sheets) > 1:
            raise Misread(refused.problem, source, limits) from None
        raise
    try:
        opened = _opened(head, source.records, limits, choice.header_row)
    except Refused as refused:
        raise Misread(_in_sheet(refused.problem, source.sheet), source, limits, head) from None
    return Table(
        opened.header,
        opened.rows,
        source.encoding,
        source.delimiter,
        source.read,
        opened.header_row,
        source.sheet,
        source.sheets,
        _shown(head),
        tuple(opened.header[place] for place in source.hidden_columns() if place < len(opened.header)),
    )


def _shown(head: Sequence[Row]) -> tuple[Row, ...]:
    return tuple(row for row in head if not is_hidden(row[1]))


class _Source(NamedTuple):
    """A file as opened, before its headline is looked for: fields as those of `Table`."""

    records: Iterator[Row]
    encoding: str
    delimiter: str
    read: Callable[[], float]
    sheet: str = ""
    sheets: tuple[str, ...] = ()
    hidden_columns: Callable[[], Sequence[int]] = tuple


def _text_source(stream: BinaryIO, limits: Limits, choice: Choice) -> _Source:
    chosen = choice.encoding
    encoding = check_encoding(stream, chosen, limits.bytes) if chosen else find_encoding(stream, limits.bytes)
    named = named_delimiter(stream, encoding)
    delimiter = named or find_delimiter(stream, encoding)
    size = stream.seek(0, io.SEEK_END)
    records = read_records(stream, encoding, delimiter, limits, named=bool(named))
    return _Source(records, encoding, delimiter, lambda: stream.tell() / max(1, size))


def _workbook_source(stream: BinaryIO, limits: Limits, choice: Choice) -> _Source:
    if stream.seek(0, io.SEEK_END) > limits.bytes:
        raise too_large(limits.bytes)
    workbook = WorkbookProcess(stream, PREVIEW if limits.preview else WHOLE, limits.cell)
    sheet = workbook.open(choice.sheet, hidden=choice.hidden_rows)
    if not choice.sheet and len(sheet.names) > 1:
        sheet = workbook.open(_list_among(workbook, sheet.names, limits), hidden=choice.hidden_rows)
    rows = _rows_of(sheet.name, _short_cells(sheet.rows, limits))
    return _Source(rows, "xlsx", "", sheet.read, sheet.name, sheet.names, sheet.hidden_columns)


def _rows_of(sheet: str, rows: Iterator[Row]) -> Iterator[Row]:
    """Pass rows on; whatever is wrong with one names the sheet."""
    try:
        yield from rows
    except Refused as refused:
        problem = refused.problem
        raise Refused(_in_sheet(problem, sheet) if problem.code in _OF_ONE_SHEET else problem) from None


def _in_sheet(problem: Problem, sheet: str) -> Problem:
    return problem.within(f"シート「{sheet}」：", sheet=sheet) if sheet else problem


def _list_among(workbook: WorkbookProcess, names: Sequence[str], limits: Limits) -> str:
    """Return the sheet that looks like the list: a cover or a summary often stands in front.

    The first that names a phone's column; else the one with the most mobile numbers under what could be a headline;
    else the first that could have one; else the first of all.
    """
    best, likely = names[0], (0, False)
    for name in names[:_SHEETS_LOOKED_AT]:
        try:
            rows = _short_cells(workbook.open(name).rows, limits)
            head = list(itertools.islice(rows, HEADLINE_WITHIN))
        except Refused as refused:
            if refused.problem.code in _OF_ONE_SHEET:
                continue
            raise
        if any(names_phone(canonical(name_of(cell))) for _, cells in head for cell in cells if cell):
            return name
        under = itertools.dropwhile(lambda row: not has_names(row[1]), head)
        has_headline = next(under, None) is not None
        found = (sum(is_phone(cell) for _, cells in under for cell in cells), has_headline)
        if found > likely:
            best, likely = name, found
    return best


class _Opened(NamedTuple):
    header_row: int
    header: tuple[str, ...]
    rows: Iterator[Row]


def _opened(head: Sequence[Row], records: Iterator[Row], limits: Limits, wanted: int) -> _Opened:
    place: int | None = find_headline(head, limits)
    if wanted:
        place = next((place for place, row in enumerate(head) if row[0] == wanted), None)
    if place is None:
        raise Refused(_NOT_AMONG_FIRST(row=wanted, within=HEADLINE_WITHIN))
    sheet_row, cells = head[place] if head else (1, [])
    cells = [] if is_hidden(cells) else cells
    header = read_header(sheet_row, cells, limits)
    below = list(head[place + 1 :])
    first = below.pop(0) if below else next(records, None)
    if first is None:
        raise Refused(_NO_ROWS(row=sheet_row, next_row=sheet_row + 1))
    rows = itertools.chain([first], below, records)
    return _Opened(sheet_row, header, _within(rows, len(header), limits, limits.rows + sheet_row))


def _short_cells(rows: Iterator[Row], limits: Limits) -> Iterator[Row]:
    """Refuse long cells, and fill up rows of a workbook: it doesn't hold the empty cells at their end."""
    width = 0
    for sheet_row, cells in rows:
        if is_hidden(cells):
            yield sheet_row, cells
            continue
        if sum(map(len, cells)) > limits.cell:
            refuse_long_cells(sheet_row, cells, limits.cell)
        width = width or len(cells)
        yield sheet_row, cells + [""] * (width - len(cells))


def _within(rows: Iterator[Row], width: int, limits: Limits, last: int) -> Iterator[Row]:
    """Pass rows on up to the `last` one, without the empty cells beyond the header that Excel writes out."""
    for sheet_row, cells in rows:
        if sheet_row > last:
            raise Refused(_MANY_ROWS(most=limits.rows))
        while len(cells) > width and not cells[-1]:
            cells.pop()
        yield sheet_row, cells
