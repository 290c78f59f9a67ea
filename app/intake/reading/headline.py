"""The headline of a list: found among its first rows, read as the names of its columns, or refused."""

import re
import unicodedata
from collections.abc import Sequence
from contextlib import suppress

from app.intake.reading.list_rows import Limits, Row, column_letter
from app.limits import COLUMN_NAME
from app.problems import Kind, Refused
from app.values.card_numbers import holds_card_number
from app.values.cell_text import clean
from app.values.column_names import canonical, names_phone
from app.values.csv_injection import UNWRITABLE, restore
from app.values.phones import to_e164

# how far down a headline is looked for: a title, a date, a remark and an empty line may stand above
HEADLINE_WITHIN = 20
# a title stands in one cell, a headline in several
_LEAST_COLUMNS = 2
# a column's name has fewer digits than a date, a phone number, an amount
_MOST_DIGITS = 6
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


def find_headline(head: Sequence[Row], limits: Limits) -> int:
    """Return which of the first rows is the headline.

    The first that names a phone's column, each of its columns where one such row does (groups stand above it); else the
    first with two names where the very first row has fewer.
    """
    names = [[canonical(name) for name in map(name_of, cells) if name] for _, cells in head]
    phones = [place for place, row in enumerate(names) if any(map(names_phone, row))]
    if phones:
        return next((place for place in phones if could_be_headline(*head[place], limits)), phones[0])
    if names and len(names[0]) < _LEAST_COLUMNS:
        written = (place for place, row in enumerate(names) if len(row) >= _LEAST_COLUMNS)
        return next((place for place in written if not any(name.isdigit() for name in names[place])), 0)
    return 0


def could_be_headline(sheet_row: int, cells: Sequence[str], limits: Limits) -> bool:
    """Return whether a row may be chosen as the headline, and looks like one."""
    try:
        return bool(read_header(sheet_row, list(cells), limits)) and has_names(cells)
    except Refused:
        return False


def has_names(cells: Sequence[str]) -> bool:
    """Return whether a row's cells are names: several, with few digits."""
    names = [name for name in map(name_of, cells) if name]
    return len(names) >= _LEAST_COLUMNS and all(_count_digits(name) <= _MOST_DIGITS for name in names)


def is_phone(cell: str) -> bool:
    """Return whether a cell is a mobile number."""
    with suppress(Refused):
        return _count_digits(cell) > _MOST_DIGITS and bool(to_e164(cell))
    return False


def _count_digits(name: str) -> int:
    return sum(map(str.isdigit, name))


def name_of(cell: str) -> str:
    """Return a column's name out of its cell."""
    return unicodedata.normalize("NFKC", re.sub(r"[\r\n]+", "", restore(clean(cell)))).strip()


def read_header(sheet_row: int, cells: list[str], limits: Limits) -> tuple[str, ...]:
    """Return a headline's names of columns.

    Raises Refused, with the cell that is to be mended.
    """
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
    if any(map(is_phone, names)):
        raise Refused(_PHONE_IN_HEADLINE(row=sheet_row))
