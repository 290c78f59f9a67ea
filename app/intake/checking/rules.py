"""Compile the rules for a campaign's rows: header, mapping and questions, compiled once per file."""

import datetime as dt
import functools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from app.campaigns.rendering import TIED
from app.intake.columns.mapping import OUR_COLUMNS, ColumnMapping, Question
from app.problems import Kind, Refused
from app.values import amounts, dates
from app.values.amounts import to_yen
from app.values.answers import QuestionKind, normal_digits, normalise
from app.values.column_names import canonical
from app.values.dates import parse_date_ahead
from app.values.phones import read_phone

MAX_REFERENCE = 100  # characters
_NO_REFERENCE = Kind("reference_empty", "番号が空です。行ごとに違う番号を入力してください。")
_LONG_REFERENCE = Kind("reference_too_long", "番号が長すぎます。{most}文字以内で入力してください。")
_BORN_LATER = Kind("birth_date_in_future", "これから先の日付です。生年月日を確かめて直してください。")
# answers whose length nobody prescribes
FREE_KINDS = (QuestionKind.DIGITS, QuestionKind.TEXT)
_FOUR_DIGITS = re.compile("[0-9]{4}")
_ENDS_IN_DIGITS = re.compile("[0-9]{4}$")


@dataclass(frozen=True, slots=True)
class CellReader:
    """How the cell at one position is read; `read` raises Refused."""

    position: int
    read: Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Rules:
    """Made by `make_rules`. All numbers are positions in the header.

    `readers` are those of phone, reference, amount and due date, in this order, then of each answer. `fields` are the
    cells to store readable (encrypted) by column name, or as `people.TIED` says; `texts` those among them that no
    reader has checked; `merged` those the template merges; `not_for_cards` those not searched for card numbers,
    `own_numbers` those of the company's own numbers; `words` those whose letters a person reads or types (`texts`, and
    answers that are texts). `free_answers` are the answers, by their place among them and their column, whose length
    nobody prescribes; `last_digits` the positions of those of which the last four digits are taken. `needed` can't be
    empty; in `variants` each variant of a letter is told.
    """

    header: tuple[str, ...]
    phone: int
    reference: int | None
    readers: tuple[CellReader, ...]
    fields: tuple[tuple[str, int], ...]
    texts: tuple[int, ...]
    merged: tuple[int, ...]
    not_for_cards: frozenset[int]
    own_numbers: frozenset[int]
    words: tuple[int, ...]
    free_answers: tuple[tuple[int, str], ...]
    last_digits: tuple[int, ...]
    needed: tuple[int, ...]
    variants: tuple[int, ...]


def make_rules(
    header: Sequence[str],
    mapping: ColumnMapping,
    questions: Sequence[Question],
    merge_names: Iterable[str],
    *,
    payment_required: bool,
    today: dt.date,
) -> Rules:
    """Compile what the rows are checked by.

    `merge_names` are the template's merge fields, `today` is Tokyo's date.

    Raises ValueError where `mapping.problems` names any: those are shown before a check is started.
    """
    merge_names = list(merge_names)
    if mapping.problems(header, questions, merge_names, payment_required=payment_required) or mapping.phone is None:
        raise ValueError("the mapping has problems")
    at = {column: position for position, column in enumerate(header)}
    answers = [(question, column) for question, column in zip(questions, mapping.answers, strict=True) if column]
    merged = {mapping.source(name) for name in merge_names}
    hidden = {mapping.phone, *OUR_COLUMNS, *mapping.answers} - merged
    checked = {mapping.phone, mapping.amount, mapping.due_date} | {
        column for question, column in answers if question.kind not in (QuestionKind.TEXT, QuestionKind.CHOICE)
    }
    own_numbers = frozenset(at[column] for column in (mapping.reference, *mapping.answers) if column)
    passed_over = frozenset(at[column] for column in (mapping.phone, *OUR_COLUMNS) if column in at)
    texts = tuple(at[column] for column in at if column not in hidden | checked)
    spoken = {at[column] for question, column in answers if question.kind in (QuestionKind.TEXT, QuestionKind.CHOICE)}
    own = tuple((column, position) for column, position in at.items() if column not in hidden)
    tied = tuple((TIED + name, at[mapping.source(name)]) for name in merge_names if mapping.source(name) != name)
    readers = cell_readers(header, mapping, questions, payment_required=payment_required, today=today)
    return Rules(
        header=tuple(header),
        phone=at[mapping.phone],
        reference=None if mapping.reference is None else at[mapping.reference],
        readers=readers,
        fields=own + tied,
        texts=texts,
        merged=tuple(position for column, position in own if column in merged),
        not_for_cards=passed_over | own_numbers if mapping.own_numbers else passed_over,
        own_numbers=own_numbers,
        words=tuple(sorted({*texts, *spoken})),
        free_answers=_free_answers(answers),
        last_digits=tuple(at[column] for question, column in answers if question.kind is QuestionKind.LAST4),
        needed=tuple(reader.position for reader in readers if not _takes_nothing(reader)),
        variants=tuple(at[column] for question, column in answers if _tells_variants(question)),
    )


def _free_answers(answers: Sequence[tuple[Question, str]]) -> tuple[tuple[int, str], ...]:
    """Return the answers whose length nobody prescribes, by their place and their column."""
    return tuple((place, column) for place, (question, column) in enumerate(answers) if question.kind in FREE_KINDS)


def _tells_variants(question: Question) -> bool:
    return question.kind is QuestionKind.TEXT and not question.variants_alike


def cell_readers(
    header: Sequence[str],
    mapping: ColumnMapping,
    questions: Sequence[Question],
    *,
    payment_required: bool,
    today: dt.date,
) -> tuple[CellReader, ...]:
    """Compile how phone, reference, amount and due date are read, then each answer; no column, nothing read."""
    at = {column: position for position, column in enumerate(header)}
    return (
        _reader(at, mapping.phone, read_phone),
        _reader(at, mapping.reference, _read_reference),
        _reader(at, mapping.amount, to_yen if payment_required else _optional(to_yen, amounts.EMPTY)),
        # the same few days stand in every row
        _reader(at, mapping.due_date, _optional(functools.lru_cache(maxsize=1024)(parse_date_ahead), dates.EMPTY)),
        *(
            _reader(at, column, _answer_reader(question, column or "", today))
            for question, column in zip(questions, mapping.answers, strict=True)
        ),
    )


def _reader(at: dict[str, int], column: str | None, read: Callable[[str], Any]) -> CellReader:
    return CellReader(0, _read_nothing) if column is None or column not in at else CellReader(at[column], read)


def _takes_nothing(reader: CellReader) -> bool:
    try:
        reader.read("")
    except Refused:
        return False
    return True


def _read_nothing(_cell: str) -> None:
    return None


def _optional(read: Callable[[str], Any], empty: Kind) -> Callable[[str], Any]:
    def read_or_none(cell: str) -> Any:  # noqa: ANN401 - whatever `read` gives
        try:
            return read(cell)
        except Refused as refused:
            if refused.problem.code == empty.code:
                return None
            raise

    return read_or_none


def _read_reference(cell: str) -> str:
    reference = cell.strip()
    if not reference:
        raise Refused(_NO_REFERENCE())
    if len(reference) > MAX_REFERENCE:
        raise Refused(_LONG_REFERENCE(most=MAX_REFERENCE))
    return reference


def last_four(cell: str) -> str:
    """Return the last four digits of a number's cell, of a whole phone number for one; other cells as they are.

    Only a list's column is read so: what a person types is never cut.
    """
    if _FOUR_DIGITS.fullmatch(cell):
        return cell
    found = _ENDS_IN_DIGITS.search(normal_digits(cell)) if len(cell) <= MAX_REFERENCE else None
    return found[0] if found else cell


def _answer_reader(question: Question, column: str, today: dt.date) -> Callable[[str], str]:
    read = functools.partial(
        normalise,
        question.kind,
        kana=question.kana,
        choices=question.choices,
        variants_alike=question.variants_alike,
    )
    if question.kind is QuestionKind.LAST4:
        return lambda cell: read(last_four(cell))
    names = canonical(question.label) + canonical(column)
    if question.kind is not QuestionKind.DATE or not ("生年月日" in names or "誕生日" in names):
        return read
    latest = today.isoformat()

    def read_birth_date(cell: str) -> str:
        born = read(cell)
        if born > latest:
            raise Refused(_BORN_LATER())
        return born

    return read_birth_date
