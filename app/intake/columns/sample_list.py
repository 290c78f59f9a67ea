"""A sample list of the very columns that a campaign's texts and questions need, to be filled in and uploaded.

In: what is asked of a list. Out: a headline and two people who don't exist, as a workbook or CSV. Can't happen here: an
SMS to somebody, should the sample be uploaded as it is (no number in Japan begins with 090-0: intake refuses it).
"""

import codecs
import csv
import datetime as dt
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.intake.columns.mapping import Question
from app.values.answers import QuestionKind
from app.values.column_names import canonical, names_phone
from app.values.csv_injection import neutralise
from app.values.xlsx_writer import workbook

FORMS = {"xlsx": "Excel用（.xlsx）", "csv": "CSV（UTF-8）"}

_PHONE, _REFERENCE, _AMOUNT, _DUE_DATE = "電話番号", "管理番号", "請求金額", "支払期限"
_DUE_DAYS = 30

# Words in a column's name, and what two people have there; the first that fits counts.
_EXAMPLES = (
    (("カナ", "フリガナ", "ふりがな"), ("ミホン ハナコ", "ミホン タロウ")),
    (("氏名", "名前", "宛名", "宛先", "お客様名"), ("見本 花子", "見本 太郎")),
    (("担当",), ("山田 一郎", "鈴木 次郎")),
    (("時間", "時刻"), ("14:00〜16:00", "10:00〜12:00")),
    (("金額", "料金", "保険料", "代金"), ("12,000円", "8,500円")),
    (("期限", "期日", "日付", "訪問日", "作業日", "日時", "年月日"), ("12月15日", "12月16日")),
    (("用件", "作業内容"), ("給湯器の点検", "エアコンの修理")),
    (("窓口",), ("2番窓口", "3番窓口")),
    (("商品",), ("終身医療保険", "がん保険")),
    (("請求内容", "内容"), ("11月分のご利用料金", "10月分のご利用料金")),
    (("番号", "コード", "ID"), ("0012-3456", "0012-3457")),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """The needs of a list: the questions, the fields that the texts merge, and whether people pay."""

    questions: Sequence[Question]
    merge_names: Sequence[str]
    payment_required: bool


def wanted_columns(asked: Asked) -> dict[str, list[str]]:
    """Return the columns that a list needs, each with what for."""
    wanted: dict[str, list[str]] = {_PHONE: ["SMSを送る携帯電話番号"]}
    for item in asked.questions:
        wanted.setdefault(item.column or item.label, []).append(f"設問「{item.label}」の答え")
    if asked.payment_required:
        wanted.setdefault(_AMOUNT, []).append("支払いページで請求する金額（円）")
    for name in asked.merge_names:
        wanted.setdefault(name, []).append(f"文面の差込項目 {{{name}}}")
    return wanted


def sample(asked: Asked, today: dt.date) -> tuple[list[str], list[list[str]]]:
    """Return the headline and the rows of a sample list."""
    due_date = [_DUE_DATE] if asked.payment_required else []
    header = list(dict.fromkeys([_REFERENCE, *wanted_columns(asked), *due_date]))
    return header, [[_cell(name, asked, place, today) for name in header] for place in range(2)]


def sample_file(asked: Asked, form: str, today: dt.date) -> Iterator[bytes]:
    """Return the sample piece by piece, in one of `FORMS`; a workbook's cells and columns are text."""
    header, rows = sample(asked, today)
    if form == "xlsx":
        yield from workbook("名簿", header, iter([rows]))
        return
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\r\n").writerows([neutralise(cell) for cell in row] for row in (header, *rows))
    yield codecs.BOM_UTF8 + lines.getvalue().encode()


def _cell(name: str, asked: Asked, place: int, today: dt.date) -> str:
    question = next((item for item in asked.questions if (item.column or item.label) == name), None)
    if name == _PHONE:
        return f"090-0000-000{place + 1}"
    if question is not None and question.kind is not QuestionKind.TEXT:
        return _answer(question, name, place)
    if name == _REFERENCE:
        return f"M000{place + 1}"
    if name == _AMOUNT and asked.payment_required:
        return ("12,000", "8,500")[place]
    if name == _DUE_DATE and asked.payment_required:
        return (today + dt.timedelta(days=_DUE_DAYS)).strftime("%Y/%m/%d")
    found = next((cells for words, cells in _EXAMPLES if any(word in name for word in words)), ("見本A", "見本B"))
    return found[place]


def _answer(question: Question, column: str, place: int) -> str:
    if question.kind is QuestionKind.CHOICE:
        return question.choices[place % len(question.choices)] if question.choices else ""
    if question.kind is QuestionKind.LAST4:
        name = canonical(column)
        if "桁" in name:
            return ("0489", "4321")[place]
        return ("03-0000-0489", "090-0000-4321")[place] if names_phone(name) else ("00000489", "00004321")[place]
    usual = {
        QuestionKind.DATE: ("1980/01/02", "1975/11/23"),
        QuestionKind.POSTCODE: ("100-0001", "530-0001"),
    }
    return usual.get(question.kind, ("0012", "0013"))[place]
