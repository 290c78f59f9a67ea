"""One row becomes a checked recipient, or the faults that keep it out.

In: a row as the reader gives it and the campaign's `Rules`. Out: `CheckedRow`, `Rejected` or `Skipped`, each with its
faults. `check_row` is pure and looks at one row; `Checker` adds what only the whole file shows: numbers and references
that come twice. Can't happen here: a row without an outcome, a fault that names the value, an answer among the fields
that are stored readable.
"""

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from app.intake.checking.first_seen import FirstRows
from app.intake.checking.number_lengths import NumberLengths
from app.intake.checking.rules import CellReader, Rules
from app.intake.reading.excel_numbers import UNCOMPUTED, UNKNOWN
from app.intake.reading.list_rows import LIMITS, Row, is_hidden
from app.problems import Kind, Problem, Refused
from app.values.answers import LAST4_TOO_SHORT, POSTCODE_TOO_SHORT, normal_digits
from app.values.card_numbers import holds_card_number, mask_card_numbers, may_hold_card_number
from app.values.carrier_text import (
    LOST_LETTERS,
    MAY_BE_LOST,
    has_lost_letters,
    looks_odd,
    may_have_lost_letters,
    warnings,
)
from app.values.cell_text import MAY_HIDE, cleaned
from app.values.csv_injection import UNWRITABLE, UNWRITABLE_SIGNS, restore
from app.values.dates import DIGITS_ONLY
from app.values.kanji_variants import has_variants

_LAST_DIGITS = 4

_REFERENCE_TWICE = Kind(
    "reference_twice", "{earlier_row}行目と同じ番号です。どちらかの行を削除するか、番号を直してください。"
)
_PHONE_TWICE = Kind("phone_twice", "{earlier_row}行目と同じ電話番号です。このままだと同じ人に2通届きます。")
_LAST_DIGITS_TAKEN = Kind(
    "answer_last_digits_taken",
    "4桁より長い番号の列です。どの行も、末尾の4桁だけを本人確認の答えとして使います。番号そのものは残りません。",
)
_ODD_LENGTH = Kind(
    "answer_odd_length",
    "ほかの行は{usual}桁ですが、この行は{digits}桁です。このままだと本人が正しく答えられません。"
    "先頭の0が消えていないか確かめてください。",
)
_ZERO_ADDED = Kind(
    "phone_zero_added", "先頭の0がないため、0を補って取り込みます。番号に間違いがないか確かめてください。"
)
_MANY_CELLS = Kind(
    "row_too_many_cells",
    "セルの数が見出しより多い行です(見出し{columns}列、この行{cells}列)。列のずれを直してください。",
)
_FEW_CELLS = Kind(
    "row_too_few_cells",
    "セルの数が見出しより少ない行です(見出し{columns}列、この行{cells}列)。必要な列（{missing}）がありません。"
    "列のずれを直すか、足りない値を入れてください。",
)
_UNWRITABLE = Kind(
    "cell_unwritable",
    "表示できない文字（制御文字か、こわれた文字）が入っています。入力し直してください。",
)
_CARD_WORDS = "クレジットカード番号とみられる数字があります。カード番号は取り込めません。番号を消してください。"
_CARD_NUMBER = Kind("card_number", _CARD_WORDS)
_CARD_OR_OWN_NUMBER = Kind(
    "card_or_own_number",
    _CARD_WORDS + "カード番号ではないときは、列の確認の画面で「自社の番号」にチェックを入れて取り込み直してください。",
)
_EXCEL_ERROR = Kind(
    "cell_excel_error",
    "Excelのエラー値（#N/Aなど）です。このままでは送れません。元の数式を直し、正しい値にしてください。",
)
_MERGE_NULL = Kind(
    "cell_merged_null",
    "文面に差し込む項目が、値がないことを表す語（NULLなど）です。このままだとその語が届きます。正しい値に直してください。",
)
_MERGE_EMPTY = Kind("cell_merged_empty", "文面に差し込む項目が空です。このままだと空白で届きます。")


# as databases and programs write what is not there
_NO_VALUES = frozenset(
    {"", "NULL", "Null", "null", "(null)", "<NULL>", "[NULL]", "\\N", "None", "NaN", "nan", "undefined"}
)


class Level(StrEnum):
    """How much a fault weighs: an error keeps the row out, a warning doesn't, an ignored row was never one."""

    ERROR = "error"
    WARNING = "warning"
    IGNORED = "ignored"


LEVEL_LABELS = {Level.ERROR: "エラー", Level.WARNING: "注意", Level.IGNORED: "対象外"}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to tell about a row.

    `column` is the header's name, None for the whole row. No value stands in it.
    """

    sheet_row: int
    column: str | None
    level: Level
    problem: Problem


@dataclass(slots=True)
class CheckedRow:
    """A recipient to be.

    `phone` is E.164; `answers` follow the questions' order, normalised, to be digested at once.

    `fields` holds the cells to store (encrypted) for merging and export, by column; answers are among them only where
    the template merges their column. `faults` are warnings.
    """

    sheet_row: int
    phone: str = field(repr=False)
    reference: str | None
    amount_yen: int | None
    due_date: dt.date | None
    answers: tuple[str, ...] = field(repr=False)
    fields: dict[str, str] = field(repr=False)
    faults: tuple[Fault, ...] = ()


@dataclass(slots=True)
class Rejected:
    """A row that is kept out, with its cells as uploaded, to be corrected; card numbers in them are masked."""

    sheet_row: int
    cells: list[str] = field(repr=False)
    faults: tuple[Fault, ...]


@dataclass(slots=True)
class Skipped:
    """A row with nothing in it, or one that is left out by choice."""

    sheet_row: int
    faults: tuple[Fault, ...]


Outcome = CheckedRow | Rejected | Skipped


class Checker:
    """Checks a file's rows in order and knows what came before: two entries a row, about 50 MB for a million.

    Only rows that pass count as earlier ones, so that a corrected row isn't kept out by its own faulty twin.
    """

    def __init__(self, rules: Rules, most_rows: int = LIMITS.rows) -> None:
        self._rules = rules
        self._references = FirstRows(most_rows)
        self._phones = FirstRows(most_rows)
        self._whole_numbers = set(rules.last_digits)
        self._lengths = [(place, column, NumberLengths()) for place, column in rules.free_answers]

    def check(self, row: Row) -> CheckedRow | Rejected | Skipped:
        """Check the next row."""
        rules = self._rules
        checked = check_row(row, rules)
        if not isinstance(checked, CheckedRow):
            return checked
        sheet_row = checked.sheet_row
        checked.faults = (*checked.faults, *self._last_digits(row))
        for place, _, lengths in self._lengths:
            lengths.see(checked.answers[place], sheet_row)
        if checked.reference is not None and rules.reference is not None:
            earlier = self._references.first(hash(checked.reference), sheet_row)
            if earlier != sheet_row:
                problem = _REFERENCE_TWICE(earlier_row=earlier)
                fault = Fault(sheet_row, rules.header[rules.reference], Level.ERROR, problem)
                return _rejected(row, [*checked.faults, fault])
        earlier = self._phones.first(int(checked.phone), sheet_row)
        if earlier != sheet_row:
            problem = _PHONE_TWICE(earlier_row=earlier)
            fault = Fault(sheet_row, rules.header[rules.phone], Level.WARNING, problem)
            checked.faults = (*checked.faults, fault)
        return checked

    def _last_digits(self, row: Row) -> Iterator[Fault]:
        """Report once for each column that the end of its longer numbers is taken."""
        sheet_row, cells = row
        for position in sorted(self._whole_numbers):
            cell = cells[position] if position < len(cells) else ""
            if len(cell) > _LAST_DIGITS and len(normal_digits(cell)) > _LAST_DIGITS:
                self._whole_numbers.discard(position)
                yield Fault(sheet_row, self._rules.header[position], Level.WARNING, _LAST_DIGITS_TAKEN())

    def odd_lengths(self) -> Iterator[Fault]:
        """Return what the rows so far show together: numbers longer or shorter than nearly all others of a column."""
        for _, column, lengths in self._lengths:
            usual, odd = lengths.odd()
            for sheet_row, length in odd:
                yield Fault(sheet_row, column, Level.WARNING, _ODD_LENGTH(usual=usual, digits=length))


# Excel's effects on cells of numbers, told here alone: the same refusal on the person's page knows no Excel.
_ZERO_LOST = "Excelで先頭の0が消えている場合は、列の表示形式を「文字列」にして入れ直してください。"
_FILE_HINTS = {
    POSTCODE_TOO_SHORT.code: _ZERO_LOST,
    LAST4_TOO_SHORT.code: _ZERO_LOST,
    DIGITS_ONLY.code: "Excelで日付が数値になっている場合は、列の表示形式を「日付」にして保存し直してください。",
}


# Signs that few rows hold: any of those that `cleaned`, UNWRITABLE, `restore`, `_excel_errors` and the search for lost
# letters look for. One look at a row in the place of five; tests/intake/checking/test_checks.py compares them.
_RARE = re.compile(f"[{MAY_HIDE}{UNWRITABLE_SIGNS}{MAY_BE_LOST}='#]")


def check_row(row: Row, rules: Rules) -> CheckedRow | Rejected | Skipped:
    """Check one row by itself."""
    sheet_row, cells = row
    if is_hidden(cells):
        return Skipped(sheet_row, (Fault(sheet_row, None, Level.IGNORED, HIDDEN()),))
    together = "\x1f".join(cells)
    rare = _RARE.search(together) is not None
    if rare:
        cells = cleaned(cells)
        together = "\x1f".join(cells)
    if not together.strip():  # \x1f is white space too
        return _skipped(sheet_row)
    if len(cells) > len(rules.header) or any(position >= len(cells) for position in rules.needed):
        return _misshapen((sheet_row, cells), rules)
    if rare and UNWRITABLE.search(together):
        return _unwritable((sheet_row, cells), rules)
    if rare and "'" in together:
        cells = [restore(cell) for cell in cells]
    if len(cells) < len(rules.header):
        # programs leave out the empty cells at a row's end together with their commas
        cells = [*cells, *[""] * (len(rules.header) - len(cells))]
    return _readable(sheet_row, cells, rules, rare=rare)


def _readable(sheet_row: int, cells: list[str], rules: Rules, *, rare: bool) -> CheckedRow | Rejected:
    together = "\x1f".join(cells)
    read, faults = read_cells(sheet_row, cells, rules.readers, rules.header)
    if may_hold_card_number(together):
        faults.extend(_card_faults(sheet_row, cells, rules))
    if rare and "#" in together:
        faults.extend(_excel_errors(sheet_row, cells, rules))
    if faults:
        return _rejected((sheet_row, cells), [*faults, *_text_faults(sheet_row, cells, rules)])

    (phone, zero_added), reference, amount_yen, due_date, *answers = read
    if zero_added:
        faults.append(Fault(sheet_row, rules.header[rules.phone], Level.WARNING, _ZERO_ADDED()))
    if rare and may_have_lost_letters(together):
        faults.extend(_lost_letters(sheet_row, cells, rules))
    if rules.variants:
        faults.extend(_variants(sheet_row, cells, rules))
    fields = _fields((sheet_row, cells), rules, faults)
    return CheckedRow(sheet_row, phone, reference, amount_yen, due_date, tuple(answers), fields, tuple(faults))


def _fields(row: Row, rules: Rules, faults: list[Fault]) -> dict[str, str]:
    """Return the cells to store by their columns; `faults` takes what is to be told of them."""
    sheet_row, cells = row
    if looks_odd("\x1f".join(["", *[cells[position] for position in rules.texts]])):
        faults.extend(_text_faults(sheet_row, cells, rules))
        cells = [cell.replace("\r\n", "\n").replace("\r", "\n") for cell in cells]
    fields = {column: cells[position].strip() for column, position in rules.fields}
    if not _NO_VALUES.isdisjoint(fields.values()):
        faults.extend(_empty_merge_faults(sheet_row, cells, rules))
    return fields


def read_cells(
    sheet_row: int, cells: Sequence[str], readers: Iterable[CellReader], header: Sequence[str]
) -> tuple[list[Any], list[Fault]]:
    """Read a row's cells; return the values, and what can't be read."""
    values: list[Any] = []
    faults: list[Fault] = []
    for reader in readers:
        try:
            if cells[reader.position] in UNREADABLE:
                raise Refused(UNREADABLE[cells[reader.position]]())
            values.append(reader.read(cells[reader.position]))
        except Refused as refused:
            problem = refused.problem.followed_by(_FILE_HINTS.get(refused.problem.code, ""))
            faults.append(Fault(sheet_row, header[reader.position], Level.ERROR, problem))
    return values, faults


EMPTY = Kind("empty_row", "空の行なので取り込みません。")
HIDDEN = Kind("hidden_row", "非表示の行なので、選んだとおり取り込んでいません。")


def _skipped(sheet_row: int) -> Skipped:
    return Skipped(sheet_row, (Fault(sheet_row, None, Level.IGNORED, EMPTY()),))


def _rejected(row: Row, faults: Iterable[Fault]) -> Rejected:
    sheet_row, cells = row
    return Rejected(sheet_row, [mask_card_numbers(cell) for cell in cells], tuple(faults))


def _misshapen(row: Row, rules: Rules) -> Rejected:
    sheet_row, cells = row
    if len(cells) > len(rules.header):
        problem = _MANY_CELLS(columns=len(rules.header), cells=len(cells))
    else:
        missing = dict.fromkeys(rules.header[position] for position in rules.needed if position >= len(cells))
        problem = _FEW_CELLS(columns=len(rules.header), cells=len(cells), missing="、".join(missing))
    written = [restore(UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", cell)) for cell in cells]
    return _rejected((sheet_row, written), [Fault(sheet_row, None, Level.ERROR, problem)])


def _unwritable(row: Row, rules: Rules) -> Rejected:
    """Refuse cells that hold NUL or half of a letter, which a workbook may write as _x0000_ or _xD800_."""
    sheet_row, cells = row
    faults = [
        Fault(sheet_row, rules.header[position], Level.ERROR, _UNWRITABLE())
        for position, cell in enumerate(cells)
        if UNWRITABLE.search(cell)
    ]
    return _rejected(
        (sheet_row, [restore(UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", cell)) for cell in cells]), faults
    )


def _card_faults(sheet_row: int, cells: Sequence[str], rules: Rules) -> Iterator[Fault]:
    for position, cell in enumerate(cells):
        own = position in rules.own_numbers
        if position not in rules.not_for_cards and holds_card_number(cell, own_number=own):
            problem = (_CARD_OR_OWN_NUMBER if own else _CARD_NUMBER)()
            yield Fault(sheet_row, rules.header[position], Level.ERROR, problem)


VARIANTS = Kind(
    "answer_with_variants",
    "答えに異体字（髙・﨑・德など）があります。本人がふつうの字体（高・崎・徳）で入力すると、一致しません。同じとみなす"
    "ときは、この名簿を取り消し、列の確認の画面で「異体字を同じとみなす」を選んで取り込み直してください。",
)

# the text of a workbook's cell whose text isn't known, and what is told of it
UNREADABLE = {
    UNKNOWN: Kind(
        "cell_format_unknown",
        "セルの表示形式が特殊で、表示されている文字を読み取れません。Excelで表示形式を「文字列」か「標準」にして、"
        "値を確かめてから取り込み直してください。",
    ),
    UNCOMPUTED: Kind(
        "cell_formula_uncomputed",
        "数式の結果がファイルに入っていません。Excelで開いて上書き保存してから、取り込み直してください。",
    ),
}

# as Excel in Japan shows them; the reason column of our own file is passed over
_EXCEL_ERRORS = frozenset(
    ["#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#GETTING_DATA"]
)


def _excel_errors(sheet_row: int, cells: Sequence[str], rules: Rules) -> Iterator[Fault]:
    for position in rules.texts:
        told = position in rules.merged or position == rules.reference  # in other columns they reach nobody
        if told and cells[position].strip() in _EXCEL_ERRORS:
            yield Fault(sheet_row, rules.header[position], Level.ERROR, _EXCEL_ERROR())
    for position in rules.merged:
        if cells[position] in UNREADABLE:
            yield Fault(sheet_row, rules.header[position], Level.ERROR, UNREADABLE[cells[position]]())


def _text_faults(sheet_row: int, cells: Sequence[str], rules: Rules) -> Iterator[Fault]:
    for position in rules.texts:
        for problem in warnings(cells[position]):
            yield Fault(sheet_row, rules.header[position], Level.WARNING, problem)


def _lost_letters(sheet_row: int, cells: Sequence[str], rules: Rules) -> Iterator[Fault]:
    for position in rules.words:
        if has_lost_letters(cells[position]):
            yield Fault(sheet_row, rules.header[position], Level.WARNING, LOST_LETTERS())


def _variants(sheet_row: int, cells: Sequence[str], rules: Rules) -> Iterator[Fault]:
    for position in rules.variants:
        if has_variants(cells[position]):
            yield Fault(sheet_row, rules.header[position], Level.WARNING, VARIANTS())


def _empty_merge_faults(sheet_row: int, cells: Sequence[str], rules: Rules) -> Iterator[Fault]:
    for position in rules.merged:
        cell = cells[position].strip()
        if cell in _NO_VALUES:
            yield Fault(sheet_row, rules.header[position], Level.WARNING, (_MERGE_NULL if cell else _MERGE_EMPTY)())
