"""Every starter takes every natural form of the columns that it asks for, and reads it as the person means it."""

import datetime as dt
import io
from collections.abc import Iterable, Sequence
from typing import Any

import openpyxl
import pytest

from app.campaigns.presets import STARTERS, Starter
from app.intake.checking.checks import CheckedRow, Level, Rejected, check_row
from app.intake.checking.rules import Rules, make_rules
from app.intake.columns.mapping import Question, propose
from app.intake.columns.sample_list import FORMS, Asked, sample_file
from app.intake.reading.list_rows import column_letter
from app.intake.reading.reader import read_table

TODAY = dt.date(2026, 11, 30)

_DATES = (
    "{y}/{m}/{d}", "{y}/{m:02}/{d:02}", "{y}-{m:02}-{d:02}", "{y}.{m}.{d}", "{y}年{m}月{d}日", "{y}年{m:02}月{d:02}日",
    "{y}{m:02}{d:02}", "{y}/{m}/{d} 0:00:00", "{y}-{m:02}-{d:02} 00:00:00", "{y}-{m:02}-{d:02}T00:00:00",
    "{era}{e}年{m}月{d}日", "{era}{e:02}年{m:02}月{d:02}日", "{short}{e}.{m}.{d}", "{short}{e:02}.{m:02}.{d:02}",
    "{short}{e}/{m}/{d}", "{kanji}{e}.{m}.{d}", "{kanji}{e}年{m}月{d}日", "西暦{y}年{m}月{d}日",
)  # fmt: skip


def _wide(text: str) -> str:
    return text.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)})


def _dates(day: dt.date, era: str, first_year: int) -> dict[str, str]:
    parts = {
        "y": day.year, "m": day.month, "d": day.day, "e": day.year - first_year + 1,
        "era": era, "kanji": era[0], "short": {"昭和": "S", "令和": "R"}[era],
    }  # fmt: skip
    forms = [form.format(**parts) for form in _DATES]
    forms += [_wide(form) for form in forms if ":" not in form] + [f"{forms[4]}({'月火水木金土日'[day.weekday()]})"]
    return dict.fromkeys(forms, day.isoformat())


_POSTCODES = dict.fromkeys(
    ("100-0001", "1000001", "〒100-0001", "〒 100-0001", "１００－０００１", "100 0001"), "1000001"
)
_LAST4 = {
    "4321": "4321", "00004321": "4321", "0000-4321": "4321", "A-00004321": "4321", "No.00004321": "4321",
    "2026-11-04321": "4321", "００００４３２１": "4321", "D20261130-0489": "0489", "0489": "0489", "12340489": "0489",
}  # fmt: skip
_PHONE_ENDS = {
    "03-1234-0489": "0489", "0312340489": "0489", "(03)1234-0489": "0489", "03(1234)0489": "0489",
    "０３－１２３４－０４８９": "0489", "03 1234 0489": "0489", "090-1234-0489": "0489", "09012340489": "0489",
    "9012340489": "0489", "+81-90-1234-0489": "0489", "+81 3 1234 0489": "0489", "0489": "0489",
}  # fmt: skip
_NUMBERS = {"12": "12", "012": "012", "0012": "0012", "１２": "12", "12.0": "12", "20261130012": "20261130012"}

ANSWERS = {
    "郵便番号": _POSTCODES,
    "受付番号の下4桁": _LAST4,
    "伝票番号の下4桁": _LAST4,
    "受付番号": _NUMBERS,
    "生年月日": _dates(dt.date(1980, 1, 2), "昭和", 1926),
    "ご契約時の電話番号の下4桁": _PHONE_ENDS,
}
ANSWERS |= {
    "ご住所の郵便番号": _POSTCODES,
    "契約者ご本人の生年月日": ANSWERS["生年月日"],
    "ご契約者の生年月日": ANSWERS["生年月日"],
}
PHONES = (
    "090-1234-5678", "09012345678", "9012345678", "９０１２３４５６７８", "０９０－１２３４－５６７８", "090 1234 5678",
    "(090)1234-5678", "+819012345678", "+81 90-1234-5678", "090ー1234ー5678", "9012345678.0", "090.1234.5678",
)  # fmt: skip
AMOUNTS = (
    "12000", "12,000", "12,000円", "12000円", "¥12,000", "￥12,000", "\\12,000", "１２，０００円", "１２０００",
    "12000.0", "12000.00", " 12,000 円", "¥ 12,000",
)  # fmt: skip
DUE_DATES = tuple(_dates(dt.date(2027, 1, 31), "令和", 2019))

COLUMNS = [
    (key, ask.column or ask.label, place, ANSWERS[ask.label])
    for key, starter in STARTERS.items()
    for place, ask in enumerate(starter.questions)
]
PAID = {key: starter for key, starter in STARTERS.items() if starter.payment_required}


def asked_of(starter: Starter) -> Asked:
    questions = [Question(ask.label, ask.kind, ask.column or None) for ask in starter.questions]
    return Asked(questions, starter.merged(), starter.payment_required)


def rules_of(header: Sequence[str], starter: Starter) -> Rules:
    asked = asked_of(starter)
    mapping = propose(header, asked.questions, asked.merge_names, payment_required=asked.payment_required)
    terms: dict[str, Any] = {"payment_required": asked.payment_required, "today": TODAY}
    return make_rules(header, mapping, asked.questions, asked.merge_names, **terms)


def taken(starter: Starter, column: str, cells: Iterable[object]) -> list[CheckedRow]:
    """Read the starter's sample in a book, with a row for each cell of one column."""
    book = openpyxl.load_workbook(io.BytesIO(b"".join(sample_file(asked_of(starter), "xlsx", TODAY))))
    sheet = book.worksheets[0]
    header, first = ([cell.value for cell in row] for row in sheet.iter_rows(max_row=2))
    sheet.delete_rows(2, 2)
    for value in cells:
        row = dict(zip(header, first, strict=True)) | {"電話番号": "090-1234-5678", column: value}
        sheet.append([row[name] for name in header])
        for cell in sheet[sheet.max_row]:
            cell.number_format = "@" if isinstance(cell.value, str) else "General"
    stored = io.BytesIO()
    book.save(stored)
    stored.seek(0)
    table = read_table(stored)
    rules = rules_of(table.header, starter)
    outcomes = [check_row(row, rules) for row in table.rows]
    refused = [outcome for outcome in outcomes if not isinstance(outcome, CheckedRow)]
    assert refused == []
    return [outcome for outcome in outcomes if isinstance(outcome, CheckedRow)]


@pytest.mark.parametrize(
    ("key", "column", "place", "answers"), COLUMNS, ids=[f"{key}-{name}" for key, name, *_ in COLUMNS]
)
def test_an_answers_column_is_read(key, column, place, answers):
    rows = taken(STARTERS[key], column, answers)
    assert dict(zip(answers, (row.answers[place] for row in rows), strict=True)) == answers


@pytest.mark.parametrize("starter", STARTERS.values(), ids=STARTERS)
def test_a_phone_is_read(starter):
    assert [row.phone for row in taken(starter, "電話番号", PHONES)] == ["+819012345678"] * len(PHONES)


@pytest.mark.parametrize("starter", PAID.values(), ids=PAID)
def test_an_amount_is_read(starter):
    amounts = [*AMOUNTS, 12000, 12000.0]
    assert [row.amount_yen for row in taken(starter, "請求金額", amounts)] == [12_000] * len(amounts)


@pytest.mark.parametrize("starter", PAID.values(), ids=PAID)
def test_a_due_date_is_read(starter):
    *days, none = (row.due_date for row in taken(starter, "支払期限", [*DUE_DATES, ""]))
    assert set(days) == {dt.date(2027, 1, 31)}
    assert none is None


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("starter", STARTERS.values(), ids=STARTERS)
def test_the_sample_is_understood_and_reaches_nobody(starter, form):
    """Each of its columns is used, and only its numbers, which nobody has, are refused."""
    table = read_table(io.BytesIO(b"".join(sample_file(asked_of(starter), form, TODAY))))
    assert set(starter.columns()) <= set(table.header)
    outcomes = [check_row(row, rules_of(table.header, starter)) for row in table.rows]
    assert len(outcomes) == 2
    for outcome in outcomes:
        assert isinstance(outcome, Rejected)
        assert [(fault.column, fault.problem.code) for fault in outcome.faults if fault.level is Level.ERROR] == [
            ("電話番号", "phone_not_mobile")
        ]


def test_every_cell_and_column_of_the_book_is_text():
    """090… and 0012 keep their zeros, also what is typed below the sample."""
    book = openpyxl.load_workbook(io.BytesIO(b"".join(sample_file(asked_of(STARTERS["collection"]), "xlsx", TODAY))))
    sheet = book.worksheets[0]
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "inlineStr"}
    assert {cell.number_format for row in sheet.iter_rows(min_row=2) for cell in row} == {"@"}
    columns = [column_letter(place - 1) for place in range(1, sheet.max_column + 1)]
    assert {sheet.column_dimensions[column].number_format for column in columns} == {"@"}
