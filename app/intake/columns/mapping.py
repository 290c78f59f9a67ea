"""Which column of a list is what: proposed by the columns' names, corrected by hand, told where something is missing.

Roles: phone, reference, amount, due date, and the answer to each question. Every other column is a merge field under
its own name. Where two columns could be the phone number none is proposed: a person decides who gets the SMS.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from app.problems import Kind, Problem
from app.values.answers import Kana, QuestionKind
from app.values.column_names import (
    AMOUNT,
    DUE_DATE,
    PHONE,
    PHONE_ENDINGS,
    REFERENCE,
    SAME_QUESTION,
    canonical,
    names_phone,
)

_NO_PHONE = Kind("mapping_phone_missing", "電話番号の列が決まっていません。どの列が携帯電話番号か選んでください。")
_NO_AMOUNT = Kind(
    "mapping_amount_missing",
    "決済ありの配信ですが、金額の列が決まっていません。どの列が請求金額か選んでください。",
)
_OTHER_QUESTIONS = Kind("mapping_questions_changed", "設問の数が変わりました。設問ごとに答えの列を選び直してください。")
_NO_ANSWER = Kind(
    "mapping_answer_missing", "設問「{question}」の答えの列が決まっていません。どの列が答えか選んでください。"
)
_NO_COLUMN = Kind("mapping_column_unknown", "列「{column}」がファイルにありません。列を選び直してください。")
_NO_MERGE_COLUMN = Kind(
    "mapping_merge_field_missing",
    "差込項目「{field}」の列がありません。差し込む列の「文面の差込項目」で {{{field}}} を選ぶか、"
    "文面の差込項目を直してください。",
)
_TWO_ROLES = Kind(
    "mapping_column_twice", "列「{column}」が{role}と{other_role}の両方に選ばれています。別の列を選んでください。"
)
_TWO_ANSWERS = Kind(
    "mapping_answer_twice",
    "列「{column}」が2つの設問の答えに選ばれています。設問ごとに別の列を選んでください。",
)
_ANSWER_AS_ROLE = Kind(
    "mapping_answer_not_secret", "列「{column}」は設問の答えなので、{role}には使えません。別の列を選んでください。"
)

REASON_COLUMN = "エラー内容"
ROW_COLUMN = "元の行"
OUR_COLUMNS = frozenset({REASON_COLUMN, ROW_COLUMN})
"""The columns our file of rejected rows begins with; they are passed over when the corrected file comes back."""


OF_LIST = "（名簿）"
"""Ends the name of a list's own column in our files where one of ours is called alike: that one says the same."""


@dataclass(frozen=True, slots=True)
class Question:
    """A campaign's question as intake needs it.

    `column` is the name its column bears where that isn't the label.
    """

    label: str
    kind: QuestionKind
    column: str | None = None
    kana: Kana = Kana.AS_WRITTEN
    choices: tuple[str, ...] = ()
    variants_alike: bool = False


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """The column's name for each role; `answers` follows the questions' order.

    None: no column.

    `own_numbers` says that long numbers in the columns of references and answers are the company's own, no cards.
    `ties` names the column of each merge field that takes its value from one of another name. `asked` names the
    questions that the answers are for, once an import was started.
    """

    phone: str | None = None
    reference: str | None = None
    amount: str | None = None
    due_date: str | None = None
    answers: tuple[str | None, ...] = ()
    own_numbers: bool = False
    ties: Mapping[str, str] = field(default_factory=dict)
    asked: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON column."""
        return asdict(self) | {"answers": list(self.answers), "asked": list(self.asked)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "ColumnMapping":
        """Read what `to_json` gave."""
        lists = {"answers": tuple(stored["answers"]), "asked": tuple(stored.get("asked", ()))}
        return cls(**(dict(stored) | lists))

    def source(self, name: str) -> str:
        """Return the column that a merge field takes its value from."""
        return self.ties.get(name, name)

    def problems(
        self,
        header: Sequence[str],
        questions: Sequence[Question],
        merge_names: Iterable[str],
        *,
        payment_required: bool,
    ) -> list[Problem]:
        """Return what stands in the way of checking rows; empty when nothing does."""
        return [
            *self._missing_roles(questions, payment_required=payment_required),
            *self._unknown_columns(header, merge_names),
            *self._shared_columns(),
        ]

    def _missing_roles(self, questions: Sequence[Question], *, payment_required: bool) -> Iterable[Problem]:
        if self.phone is None:
            yield _NO_PHONE()
        if payment_required and self.amount is None:
            yield _NO_AMOUNT()
        if len(self.answers) != len(questions):
            yield _OTHER_QUESTIONS()
            return
        for question, column in zip(questions, self.answers, strict=True):
            if column is None:
                yield _NO_ANSWER(question=question.label)

    def _unknown_columns(self, header: Sequence[str], merge_names: Iterable[str]) -> Iterable[Problem]:
        for column in dict.fromkeys((*self._roles().values(), *self.answers)):
            if column is not None and column not in header:
                yield _NO_COLUMN(column=column)
        for name in dict.fromkeys(merge_names):
            if self.source(name) not in header:
                yield _NO_MERGE_COLUMN(field=name)

    def _shared_columns(self) -> Iterable[Problem]:
        taken: dict[str, str] = {}
        for role, column in self._roles().items():
            if column in taken:
                yield _TWO_ROLES(column=column, role=taken[column], other_role=role)
            elif column is not None:
                taken[column] = role
        answers = [column for column in self.answers if column is not None]
        for column in dict.fromkeys(column for column in answers if answers.count(column) > 1):
            yield _TWO_ANSWERS(column=column)
        # these three stand readable on screens and in files, an answer never does
        for column in answers:
            if column in (self.reference, self.amount, self.due_date):
                yield _ANSWER_AS_ROLE(column=column, role=taken[column])

    def _roles(self) -> dict[str, str | None]:
        return {
            "電話番号": self.phone,
            "管理番号": self.reference,
            "金額": self.amount,
            "期限": self.due_date,
        }


def propose(
    header: Sequence[str],
    questions: Sequence[Question],
    merge_names: Iterable[str] = (),
    *,
    payment_required: bool,
) -> ColumnMapping:
    """Map columns to roles by their names; what the names don't tell stays None.

    A merge field without a column of its name is tied to the one column that says the same ({氏名}: お名前), unless
    that is an answer or the phone number.

    The amount is mapped only where payment is on; otherwise it is a merge field like any other.
    """
    names = {
        column: canonical(column)
        for column in header
        if column not in OUR_COLUMNS and not _says_the_same(column, header)
    }
    answers: list[str | None] = []
    for question in questions:
        column = _answer_column(question, names)
        answers.append(None if column in answers else column)
    readable = {column: name for column, name in names.items() if column not in answers}
    phone = _by_name(names, PHONE) or _by_ending(names)
    mergeable = {column: name for column, name in readable.items() if column != phone}
    return ColumnMapping(
        phone=phone,
        reference=_by_name(readable, REFERENCE),
        amount=_by_name(readable, AMOUNT) if payment_required else None,
        due_date=_by_name(readable, DUE_DATE),
        answers=tuple(answers),
        ties={
            name: column
            for name in merge_names
            if name not in header and (column := _named_alike(canonical(name), mergeable))
        },
    )


def _named_alike(wanted: str, names: Mapping[str, str]) -> str | None:
    """Return the one column whose name says what is wanted, in the same words or in others for the same thing."""
    same = next((tier for tier in (*SAME_QUESTION, *DUE_DATE, *AMOUNT) if wanted in tier), frozenset({wanted}))
    found = [column for column, name in names.items() if name == wanted] or [
        column for column, name in names.items() if name in same
    ]
    return found[0] if len(found) == 1 else None


def _says_the_same(column: str, header: Sequence[str]) -> bool:
    """Return whether one of our own files has this column twice: as ours, and as its list brought it."""
    plain = unicodedata.normalize("NFKC", column).removesuffix(unicodedata.normalize("NFKC", OF_LIST))
    return plain != column and plain in header


_LAST_DIGITS = re.compile("の?下[0-9]桁")


def _by_name(names: Mapping[str, str], tiers: Sequence[frozenset[str]]) -> str | None:
    for tier in tiers:
        found = [column for column, name in names.items() if name in tier]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _by_ending(names: Mapping[str, str]) -> str | None:
    """契約者携帯電話番号, 契約者電話番号: the phone where one column alone ends so."""
    if any(name in tier for name in names.values() for tier in PHONE):
        return None
    for ending in PHONE_ENDINGS:
        found = [column for column, name in names.items() if name.endswith(ending)]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _answer_column(question: Question, names: Mapping[str, str]) -> str | None:
    wanted = [canonical(name) for name in (question.column, question.label) if name]
    for name in wanted:
        found = [column for column, other in names.items() if other == name]
        if found:
            return found[0] if len(found) == 1 else None
    # the last digits of a number are another column than the number, whose end serves where that column is missing
    last_digits = any("桁" in name for name in wanted)
    others = {column: name for column, name in names.items() if ("桁" in name) == last_digits}
    if last_digits and not others:
        wanted = [_LAST_DIGITS.sub("", name) for name in wanted]
        # not the number the SMS goes to: whoever holds that phone knows it
        others = {column: name for column, name in names.items() if not names_phone(name)}
    inside = [column for column, name in others.items() if len(name) > 1 and any(name in want for want in wanted)]
    if inside:
        longest = max(len(others[column]) for column in inside)
        found = [column for column in inside if len(others[column]) == longest]
        return found[0] if len(found) == 1 else None
    same = [tier for tier in SAME_QUESTION if any(name in want for name in tier for want in wanted)]
    return _by_name(others, same[:1])
