"""Which column of a list is what: proposed by the columns' names, corrected by hand, told where something is missing.

Roles: phone, reference, amount, due date, and the answer to each question. Every other column is a merge field under
its own name. Where two columns could be the phone number none is proposed: a person decides who gets the SMS.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from app.identity.normalise import Kana, QuestionKind

REASON_COLUMN = "エラー内容"
ROW_COLUMN = "元の行"
OUR_COLUMNS = frozenset({REASON_COLUMN, ROW_COLUMN})
"""The columns our file of rejected rows begins with; they are passed over when the corrected file comes back."""


OF_LIST = "（名簿）"
"""Ends the name of a list's own column in our files where one of ours is called alike: that one says the same."""


@dataclass(frozen=True, slots=True)
class Question:
    """What intake needs of a campaign's question. `column` is the name its column bears where that isn't the label."""

    label: str
    kind: QuestionKind
    column: str | None = None
    kana: Kana = Kana.AS_WRITTEN
    choices: tuple[str, ...] = ()
    variants_alike: bool = False


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """The column's name for each role; `answers` follows the questions' order. None: no column.

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
        """Give plain values for a JSON column."""
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
    ) -> list[str]:
        """Say in Japanese what stands in the way of checking rows; empty when nothing does."""
        return [
            *self._missing_roles(questions, payment_required=payment_required),
            *self._unknown_columns(header, merge_names),
            *self._shared_columns(),
        ]

    def _missing_roles(self, questions: Sequence[Question], *, payment_required: bool) -> Iterable[str]:
        if self.phone is None:
            yield "電話番号の列が決まっていません。どの列が携帯電話番号か選んでください。"
        if payment_required and self.amount is None:
            yield "決済ありの配信ですが、金額の列が決まっていません。どの列が請求金額か選んでください。"
        if len(self.answers) != len(questions):
            yield "設問の数が変わりました。設問ごとに答えの列を選び直してください。"
            return
        for question, column in zip(questions, self.answers, strict=True):
            if column is None:
                yield f"設問「{question.label}」の答えの列が決まっていません。どの列が答えか選んでください。"

    def _unknown_columns(self, header: Sequence[str], merge_names: Iterable[str]) -> Iterable[str]:
        for column in dict.fromkeys((*self._roles().values(), *self.answers)):
            if column is not None and column not in header:
                yield f"列「{column}」がファイルにありません。列を選び直してください。"
        for name in dict.fromkeys(merge_names):
            if self.source(name) not in header:
                yield (
                    f"差込項目「{name}」の列がありません。差し込む列の「文面の差込項目」で {{{name}}} を選ぶか、"
                    "文面の差込項目を直してください。"
                )

    def _shared_columns(self) -> Iterable[str]:
        taken: dict[str, str] = {}
        for role, column in self._roles().items():
            if column in taken:
                yield f"列「{column}」が{taken[column]}と{role}の両方に選ばれています。別の列を選んでください。"
            elif column is not None:
                taken[column] = role
        answers = [column for column in self.answers if column is not None]
        for column in dict.fromkeys(column for column in answers if answers.count(column) > 1):
            yield f"列「{column}」が2つの設問の答えに選ばれています。設問ごとに別の列を選んでください。"
        # these three stand readable on screens and in files, an answer never does
        for column in answers:
            if column in (self.reference, self.amount, self.due_date):
                yield f"列「{column}」は設問の答えなので、{taken[column]}には使えません。別の列を選んでください。"

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
    phone = _by_name(names, _PHONE) or _by_ending(names)
    mergeable = {column: name for column, name in readable.items() if column != phone}
    return ColumnMapping(
        phone=phone,
        reference=_by_name(readable, _REFERENCE),
        amount=_by_name(readable, _AMOUNT) if payment_required else None,
        due_date=_by_name(readable, _DUE_DATE),
        answers=tuple(answers),
        ties={
            name: column
            for name in merge_names
            if name not in header and (column := _named_alike(canonical(name), mergeable))
        },
    )


def _named_alike(wanted: str, names: Mapping[str, str]) -> str | None:
    """Return the one column whose name says what is wanted, in the same words or in others for the same thing."""
    same = next((tier for tier in (*_SAME_QUESTION, *_DUE_DATE, *_AMOUNT) if wanted in tier), frozenset({wanted}))
    found = [column for column, name in names.items() if name == wanted] or [
        column for column, name in names.items() if name in same
    ]
    return found[0] if len(found) == 1 else None


def _says_the_same(column: str, header: Sequence[str]) -> bool:
    """Return whether one of our own files has this column twice: as ours, and as its list brought it."""
    plain = unicodedata.normalize("NFKC", column).removesuffix(unicodedata.normalize("NFKC", OF_LIST))
    return plain != column and plain in header


# no remark is longer: else each opening bracket of many would be followed to the text's end
_BRACKETS = re.compile(r"[(\[{【〔<「]([^)\]}】〕>」]{0,200})[)\]}】〕>」]")
_LAST_DIGITS = re.compile("の?下[0-9]桁")
_TELLING = re.compile(r"携帯|mobile|自宅|固定|勤務|会社|fax")
_MARKS = re.compile(r"[\s\u200b*※●○◎★☆■◆:・_.#-]+|必須$")
_SPELLINGS = (
    ("四", "4"),
    ("ケタ", "桁"),
    ("けた", "桁"),
    ("末尾", "下"),
    ("の下", "下"),
    ("支払い", "支払"),
    ("払い込み", "払込"),
    ("申し込み", "申込"),
    ("申込み", "申込"),
    ("お客さま", "お客様"),
)


def canonical(name: str) -> str:
    """Give a column's name as names are compared: one width and spelling, without marks, polite prefix or remarks.

    A remark in brackets goes (電話番号（ハイフンなし）), unless it tells one column from another (電話番号（下4桁）).
    """
    text = unicodedata.normalize("NFKC", name).casefold()
    for written, spelling in _SPELLINGS:
        text = text.replace(written, spelling)
    text = _BRACKETS.sub(lambda remark: remark[1] if _tells(remark[1]) else "", text)
    text = _MARKS.sub("", text)
    return text[1:] if len(text) > 1 and text[0] in "おご御" else text


def _tells(remark: str) -> bool:
    """Return whether a remark tells one column from another: 下4桁, 携帯, 自宅."""
    return "桁" in remark.partition("下")[2] or _TELLING.search(remark) is not None


def _tiers(*tiers: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(map(canonical, tier.split())) for tier in tiers)


# Tiers of equal names, the surest first.
_PHONE = _tiers(
    "携帯電話番号 携帯番号 携帯電話 携帯 携帯no 携帯tel 電話番号携帯 電話携帯 tel携帯 ケータイ ケイタイ "
    "ケータイ番号 ケイタイ番号 スマホ スマホ番号 スマートフォン スマートフォン番号 "
    "mobile mobilephone mobilenumber mobilephonenumber cellphone sms電話番号 sms番号 送信先携帯番号",
    "電話番号 電話 電話no tel telno tel番号 telephone phone phonenumber 連絡先 連絡先電話番号 連絡先tel 送信先電話番号",
)
_REFERENCE = _tiers(
    "管理番号 管理no 管理id 管理コード reference referenceno",
    "お客様番号 お客様no お客様id お客様コード 顧客番号 顧客no 顧客id 顧客コード customerid customerno",
    "会員番号 会員no 会員id 会員コード memberid",
    "受付番号 受付no 受付id 申込番号 申込no 予約番号 注文番号 案件番号 案件id 整理番号 伝票番号",
    "請求番号 請求書番号 請求no",
    "契約番号 契約no 契約id 契約者番号 加入者番号 利用者番号 証券番号",
    "id no 番号 コード",
)
_AMOUNT = _tiers(
    "請求金額 請求額 今回請求金額 今回請求額 請求金額合計 請求合計 請求合計額",
    "支払金額 支払額 支払合計 払込金額 払込額 納付金額 納付額 振込金額",
    "合計金額 合計額 利用金額 保険料 初回保険料 未払金額 未納額 延滞金額",
    "金額 料金 amount price",
)
_DUE_DATE = _tiers(
    "支払期限 支払期限日 支払期日 払込期限 払込期日 納付期限 納付期日 納期限 振込期限 振込期日 入金期限",
    "期限 期限日 期日 duedate due",
)
_SAME_QUESTION = _tiers(
    "生年月日 誕生日 birthday birthdate dateofbirth",
    "郵便番号 郵便no 〒 zip zipcode postcode postalcode",
    "氏名 名前 お名前 お客様名 顧客名 会員名 契約者名 契約者氏名 name",
    "氏名カナ カナ氏名 名前カナ フリガナ ふりがな カナ",
)


def names_person(name: str) -> bool:
    """Return whether a column's name is that of people's names: 氏名, お客様名, 契約者名, 宛名."""
    return canonical(name) in _NAMES


_NAMES = frozenset[str]().union(
    *_tiers("氏名 名前 宛名 宛先 お客様名 お客様氏名 顧客名 会員名 契約者名 契約者氏名 name")
)


def names_phone(name: str) -> bool:
    """Return whether a column's name, as `canonical` gives it, is that of a phone number."""
    return any(name in tier for tier in _PHONE) or name.endswith(_PHONE_ENDINGS)


_PHONE_ENDINGS = ("携帯電話番号", "携帯番号", "携帯電話", "電話番号", "tel")


def _by_name(names: Mapping[str, str], tiers: Sequence[frozenset[str]]) -> str | None:
    for tier in tiers:
        found = [column for column, name in names.items() if name in tier]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _by_ending(names: Mapping[str, str]) -> str | None:
    """契約者携帯電話番号, 契約者電話番号: the phone where one column alone ends so."""
    if any(name in tier for name in names.values() for tier in _PHONE):
        return None
    for ending in _PHONE_ENDINGS:
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
    same = [tier for tier in _SAME_QUESTION if any(name in want for name in tier for want in wanted)]
    return _by_name(others, same[:1])
