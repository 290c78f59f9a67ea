"""The bytes of a list become a header and rows, in one stream, with the row numbers people see in Excel.

In: a seekable stream of CSV, TSV or an Excel workbook. Out: a `Table`. A sheet row is what Excel shows as one row: the
first is 1, a line break inside quotes adds none, an empty line is a row. The headline is the first row, or the one
below it that looks like one where titles stand above.
"""

import csv
import io
import itertools
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, NoReturn

from app.intake import excel_reader
from app.intake.encodings import check_encoding, find_encoding, too_large
from app.intake.excel_parts import LONG_CELL
from app.intake.excel_process import PREVIEW, WHOLE, WorkbookProcess
from app.limits import COLUMN_NAME
from app.problems import Kind, Problem, Refused
from app.values.card_numbers import holds_card_number
from app.values.cell_text import END_OF_FILE, HIDDEN_ROW, clean, without_marks
from app.values.column_names import canonical, names_phone
from app.values.csv_injection import UNWRITABLE, restore
from app.values.phones import to_e164

Row = tuple[int, list[str]]
"""A sheet row's number, as Excel counts, and its cells."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one file may hold; `cell` is in characters. `preview`: only its first rows are asked for, and soon."""

    bytes: int = 200_000_000
    rows: int = 1_000_000
    columns: int = 200
    cell: int = 2_000
    preview: bool = False


LIMITS = Limits()

_DELIMITERS = ",\t;"
# the line by which Excel is told the delimiter: `sep=,`
_SEPARATOR_LINE = re.compile(r'\ufeff*"?sep=([,;\t|])"?;*,*[ \t]*', re.IGNORECASE)
# how far down a headline is looked for: a title, a date, a remark and an empty line may stand above
_HEADLINE_WITHIN = 20
_SHEETS_LOOKED_AT = 20
# a title stands in one cell, a headline in several
_LEAST_COLUMNS = 2
# a column's name has fewer digits than a date, a phone number, an amount
_MOST_DIGITS = 6
_LONG_CELL = Kind("cell_too_long", "{row}行目の{column}列が長すぎます。{most:,}文字以内に直してください。")
_LONG_ROW = Kind("row_too_long", "{row}行目が長すぎます。要らない列を削除してください。")
_MANY_ROWS = Kind("list_too_many_rows", "行が多すぎます。{most:,}行以下に分けてアップロードしてください。")
_NOT_AMONG_FIRST = Kind("headline_too_far_down", "{row}行目は見出しにできません。初めの{within}行から選んでください。")
_NO_ROWS = Kind(
    "list_without_rows",
    "{row}行目の見出しだけで、データの行がありません。{next_row}行目からデータを入れてください。",
)
_STRAY_QUOTE = Kind(
    "quote_stray",
    '{row}行目の引用符(")の使い方が正しくありません。セルの中の"は""と2つ重ねるか、Excelで保存し直してください。',
)
_OPEN_QUOTE = Kind(
    "quote_open",
    '{row}行目から始まる引用符(")が閉じられていないか、行が長すぎます。この行の"を直してください。',
)
_LONG_HEADER = Kind("header_too_long", "{column}列の見出し（{row}行目）が長すぎます。{most}文字以内に直してください。")
_UNWRITABLE_HEADER = Kind(
    "header_unwritable",
    "{column}列の見出し（{row}行目）に、表示できない文字が入っています。入力し直してください。",
)
_NO_HEADER = Kind("headline_empty", "{row}行目に見出しがありません。{row}行目に列の名前を入れてください。")
_MANY_COLUMNS = Kind(
    "headline_too_many_columns",
    "{row}行目の見出しの列が多すぎます。要らない列を削除して{most}列以内にしてください。",
)
_BLANK_HEADER = Kind(
    "header_blank",
    "{column}列の見出し（{row}行目）が空です。名前を入れるか、この列を削除してください。",
)
_SAME_HEADER = Kind(
    "header_twice",
    "見出し（{row}行目）の「{name}」が{first_column}列と{column}列にあります。違う名前に直してください。",
)
_CARD_IN_HEADLINE = Kind(
    "headline_card_number",
    "見出しの行（{row}行目）に、クレジットカード番号とみられる数字があります。この行を項目名にし、"
    "カード番号を消してから、もう一度アップロードしてください。",
)
_PHONE_IN_HEADLINE = Kind(
    "headline_phone_number",
    "{row}行目に電話番号が入っています。見出しのない名簿のようです。"
    "いちばん上に列の名前（電話番号、氏名など）の行を加えて、もう一度アップロードしてください。",
)
# faults that one sheet alone may have, while others can be read
_OF_ONE_SHEET = frozenset(kind.code for kind in (_LONG_CELL, LONG_CELL, _LONG_ROW, _MANY_ROWS))
_HEADER_CHARACTERS = 100_000
# One row's characters, quoted line breaks included. The csv module's own bound for a cell is 131,072, for the whole
# process; a quote left open is told long before the file's end, and memory stays small.
_ROW_CHARACTERS = 130_000


@dataclass(frozen=True, slots=True)
class Table:
    """An opened list. `rows` reads on as it is iterated and may raise Refused at any row.

    Header names are NFKC (ＴＥＬ and TEL are one name), stripped, without line breaks and invisible signs, none twice,
    none blank. `header_row` is the sheet row in which they stand; what is above it is no data.
    `encoding` is Python's name, or xlsx; `delimiter` one of comma, tab and semicolon, or nothing. `read` tells which
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
    """A file that was opened, but can't be a list as it is read. The rest is a `Table`'s: what can be chosen instead.

    `has_way` says whether another sheet, or another row as headline, may do.
    """

    def __init__(self, problem: Problem, opened: "_Source", limits: Limits, head: Sequence[Row] = ()) -> None:
        super().__init__(problem)
        self.encoding = opened.encoding
        self.sheet, self.sheets = opened.sheet, opened.sheets
        self.head = _shown(head)
        self.has_way = len(self.sheets) > 1 or any(_could_be_headline(*row, limits) for row in self.head[:-1])


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
        head = list(itertools.islice(source.records, _HEADLINE_WITHIN))
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


def is_hidden(cells: Sequence[str]) -> bool:
    """Return whether a row is one that its workbook hides, and that is left out."""
    return len(cells) == 1 and cells[0] == HIDDEN_ROW


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
    named = _named_delimiter(stream, encoding)
    delimiter = named or _find_delimiter(stream, encoding)
    size = stream.seek(0, io.SEEK_END)
    records = _records(stream, encoding, delimiter, limits, named=bool(named))
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
            head = list(itertools.islice(rows, _HEADLINE_WITHIN))
        except Refused as refused:
            if refused.problem.code in _OF_ONE_SHEET:
                continue
            raise
        if any(names_phone(canonical(name_of(cell))) for _, cells in head for cell in cells if cell):
            return name
        under = itertools.dropwhile(lambda row: not _has_names(row[1]), head)
        has_headline = next(under, None) is not None
        found = (sum(_is_phone(cell) for _, cells in under for cell in cells), has_headline)
        if found > likely:
            best, likely = name, found
    return best


def _could_be_headline(sheet_row: int, cells: Sequence[str], limits: Limits) -> bool:
    """Return whether a row may be chosen as the headline, and looks like one."""
    try:
        return bool(_header(sheet_row, list(cells), limits)) and _has_names(cells)
    except Refused:
        return False


def _has_names(cells: Sequence[str]) -> bool:
    """Return whether a row's cells are names: several, with few digits."""
    names = [name for name in map(name_of, cells) if name]
    return len(names) >= _LEAST_COLUMNS and all(_count_digits(name) <= _MOST_DIGITS for name in names)


def _count_digits(name: str) -> int:
    return sum(map(str.isdigit, name))


def _is_phone(cell: str) -> bool:
    """Return whether a cell is a mobile number."""
    with suppress(Refused):
        return _count_digits(cell) > _MOST_DIGITS and bool(to_e164(cell))
    return False


class _Opened(NamedTuple):
    header_row: int
    header: tuple[str, ...]
    rows: Iterator[Row]


def _opened(head: Sequence[Row], records: Iterator[Row], limits: Limits, wanted: int) -> _Opened:
    place: int | None = _headline(head, limits)
    if wanted:
        place = next((place for place, row in enumerate(head) if row[0] == wanted), None)
    if place is None:
        raise Refused(_NOT_AMONG_FIRST(row=wanted, within=_HEADLINE_WITHIN))
    sheet_row, cells = head[place] if head else (1, [])
    cells = [] if is_hidden(cells) else cells
    header = _header(sheet_row, cells, limits)
    below = list(head[place + 1 :])
    first = below.pop(0) if below else next(records, None)
    if first is None:
        raise Refused(_NO_ROWS(row=sheet_row, next_row=sheet_row + 1))
    rows = itertools.chain([first], below, records)
    return _Opened(sheet_row, header, _within(rows, len(header), limits, limits.rows + sheet_row))


def _headline(head: Sequence[Row], limits: Limits) -> int:
    """Return which of the first rows is the headline.

    The first that names a phone's column, each of its columns where one such row does (groups stand above it); else the
    first with two names where the very first row has fewer.
    """
    names = [[canonical(name) for name in map(name_of, cells) if name] for _, cells in head]
    phones = [place for place, row in enumerate(names) if any(map(names_phone, row))]
    if phones:
        return next((place for place in phones if _could_be_headline(*head[place], limits)), phones[0])
    if names and len(names[0]) < _LEAST_COLUMNS:
        written = (place for place, row in enumerate(names) if len(row) >= _LEAST_COLUMNS)
        return next((place for place in written if not any(name.isdigit() for name in names[place])), 0)
    return 0


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


def column_letter(index: int) -> str:
    """Return a column's name in Excel: 0 is A, 26 is AA."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


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


def _named_delimiter(stream: BinaryIO, encoding: str) -> str:
    """Return the delimiter that a first line `sep=,` names, or nothing."""
    first = _text(stream, encoding).readline(_HEADER_CHARACTERS)
    named = _SEPARATOR_LINE.fullmatch(first.rstrip("\r\n"))
    return named[1] if named else ""


def _find_delimiter(stream: BinaryIO, encoding: str) -> str:
    """Return the sign between the cells of the headline; a comma where nothing tells.

    The first row that names a phone's column is asked, else the first in which one of the signs stands.
    """
    first = ""
    for row in itertools.islice(
        _rows_in(without_marks(_text(stream, encoding).read(_HEADER_CHARACTERS))), _HEADLINE_WITHIN
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


def _records(stream: BinaryIO, encoding: str, delimiter: str, limits: Limits, *, named: bool) -> Iterator[Row]:
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


def refuse_long_cells(sheet_row: int, cells: list[str], most: int) -> None:
    """Raise Refused where a cell has more than `most` characters."""
    for index, cell in enumerate(cells):
        if len(cell) > most:
            raise Refused(_LONG_CELL(row=sheet_row, column=column_letter(index), most=most))


def refuse_long_row(sheet_row: int) -> NoReturn:
    """Refuse a list for a row that is too long as a whole."""
    raise Refused(_LONG_ROW(row=sheet_row))


def name_of(cell: str) -> str:
    """Return a column's name out of its cell."""
    return unicodedata.normalize("NFKC", re.sub(r"[\r\n]+", "", restore(clean(cell)))).strip()


def _header(sheet_row: int, cells: list[str], limits: Limits) -> tuple[str, ...]:
    for index, cell in enumerate(cells):
        if len(cell) > limits.cell or len(cell.strip()) > COLUMN_NAME:
            raise Refused(_LONG_HEADER(row=sheet_row, column=column_letter(index), most=COLUMN_NAME))
        if UNWRITABLE.search(cell):
            raise Refused(_UNWRITABLE_HEADER(row=sheet_row, column=column_letter(index)))
    names = [name_of(cell) for cell in cells]
    while names and not names[-1]:  # Excel writes out columns that were once in use
        names.pop()
    if not names:
        raise Refused(_NO_HEADER(row=sheet_row))
    if len(names) > limits.columns:
        raise Refused(_MANY_COLUMNS(row=sheet_row, most=limits.columns))
    _refuse_persons(sheet_row, names)  # first of all: what follows names a cell
    first_seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if not name:
            raise Refused(_BLANK_HEADER(row=sheet_row, column=column_letter(index)))
        if name in first_seen:
            first = column_letter(first_seen[name])
            raise Refused(_SAME_HEADER(row=sheet_row, name=name, first_column=first, column=column_letter(index)))
        first_seen[name] = index
    return tuple(names)


def _refuse_persons(sheet_row: int, names: Sequence[str]) -> None:
    """Refuse a list without a headline: its first person's cells would be kept in plain, as columns' names."""
    if any(map(holds_card_number, names)):
        raise Refused(_CARD_IN_HEADLINE(row=sheet_row))
    if any(map(_is_phone, names)):
        raise Refused(_PHONE_IN_HEADLINE(row=sheet_row))


def _within(rows: Iterator[Row], width: int, limits: Limits, last: int) -> Iterator[Row]:
    """Pass rows on up to the `last` one, without the empty cells beyond the header that Excel writes out."""
    for sheet_row, cells in rows:
        if sheet_row > last:
            raise Refused(_MANY_ROWS(most=limits.rows))
        while len(cells) > width and not cells[-1]:
            cells.pop()
        yield sheet_row, cells
