"""Kinds of lists that fail people in public: what each must come to, read and checked as an import does."""

import datetime as dt
import io
import re

import pytest

from app.intake.checking.checks import CheckedRow, Checker, Level, Outcome, Rejected, Skipped, check_row
from app.intake.checking.rules import make_rules
from app.intake.columns.mapping import Question, propose
from app.intake.reading.reader import read_table
from app.values.answers import Kana, QuestionKind

HEADER = "管理番号,携帯電話番号,氏名,生年月日,郵便番号,請求金額"
ROW = "C1,090-4444-0001,佐藤 花子,1980/1/2,100-0001,26000"
LIST = f"{HEADER}\r\n{ROW}\r\nC2,090-4444-0002,鈴木 一郎,1980/1/2,100-0001,26000\r\n"
QUESTIONS = (
    Question("生年月日", QuestionKind.DATE),
    Question("郵便番号", QuestionKind.POSTCODE),
)


def check(data: bytes, questions: tuple[Question, ...] = QUESTIONS) -> list[Outcome]:
    table = read_table(io.BytesIO(data))
    mapping = propose(table.header, questions, payment_required=True)
    rules = make_rules(table.header, mapping, questions, ["氏名"], payment_required=True, today=dt.date(2026, 11, 30))
    return [check_row(row, rules) for row in table.rows]


def taken(data: bytes, questions: tuple[Question, ...] = QUESTIONS) -> list[CheckedRow]:
    outcomes = check(data, questions)
    assert all(isinstance(outcome, CheckedRow) for outcome in outcomes), outcomes
    return [outcome for outcome in outcomes if isinstance(outcome, CheckedRow)]


def codes(outcome: Outcome, level: Level = Level.ERROR) -> set[tuple[str | None, str]]:
    return {(fault.column, fault.problem.code) for fault in outcome.faults if fault.level is level}


@pytest.mark.parametrize(
    "data",
    [
        ("sep=,\r\n" + LIST).encode("cp932"),
        ("SEP=,\r\n" + LIST).encode("utf-8-sig"),
        ('"sep=;"\r\n' + LIST.replace(",", ";")).encode(),
        ("sep=\t\r\n" + LIST.replace(",", "\t")).encode(),
        LIST.encode("iso2022_jp"),
        LIST.encode("euc_jp"),
        ("\ufeff\ufeff" + LIST).encode(),
        ("\u200b" + LIST).encode(),
        ("\ufeff\ufeff" + re.sub("[^,\r\n]+", r'"\g<0>"', LIST)).encode(),
        ("\r\n\r\n" + LIST.replace(",", "\t")).encode("cp932"),
        ("11月分、作成日,2026/11/30\r\n" + LIST.replace(",", "\t")).encode("utf-16"),
        ("一覧\r\n\r\n" + LIST.replace(",", ";")).encode("utf-8-sig"),
        (LIST.rstrip()[: -len("26000")] + '"26000"\x1a').encode("cp932"),
        (LIST.replace("\r\n", ",,\r\n").rstrip() + "\x1a").encode("cp932"),
        LIST.replace("携帯電話番号", "携帯\u200b電話番号").encode(),
        (LIST + "\x1a").encode("cp932"),
        (LIST.rstrip() + "\x1a").encode("cp932"),
        ("請求のご案内\r\n\r\n" + LIST).encode("cp932"),
        ("請求のご案内,,,,,\r\n作成日,2026/11/30,,,,\r\n,,,,,\r\n" + LIST).encode("cp932"),
        LIST.replace("C1", '="C1"').replace("090-4444-0001", '="09044440001"').encode("cp932"),
        LIST.replace("C1", '"=""C1"""').replace("100-0001", '"=""1000001"""').encode("cp932"),
        LIST.replace("管理番号", '="管理番号"').encode("cp932"),
        LIST.replace("090-4444-0001", "9044440001.0").replace("26000", "26000.0").encode(),
        LIST.replace("100-0001", "1000001.0").replace("26000", "26000.00").encode(),
        LIST.replace("090-4444-0001", "\u202a090-4444-0001\u202c").replace("C1", "C1\u200b").encode(),
        LIST.replace("1980/1/2", "\u202a1980/1/2\u202c").replace("26000", "\u202d26000\u202c").encode(),
    ],
)
def test_the_same_people_come_out(data):
    people = taken(data)
    assert [(row.reference, row.phone, row.amount_yen) for row in people] == [
        ("C1", "+819044440001", 26_000),
        ("C2", "+819044440002", 26_000),
    ]
    assert {row.answers for row in people} == {("1980-01-02", "1000001")}


def test_a_headline_below_a_title_keeps_the_sheets_row_numbers():
    assert [row.sheet_row for row in taken(("請求のご案内\r\n\r\n" + LIST).encode())] == [4, 5]


def test_the_line_that_names_the_delimiter_is_no_row():
    """Excel obeys it and doesn't show it."""
    assert [row.sheet_row for row in taken(("sep=,\r\n" + LIST).encode())] == [2, 3]


def test_invisible_signs_make_no_two_people_of_one_number():
    one, other = taken(LIST.replace("C2", "C1\u200b").replace("0002", "0001").encode())
    assert (one.reference, one.phone) == (other.reference, other.phone)


def test_what_is_seen_stays():
    """A variation selector tells one 葛 from another; an emoji's joiner makes one picture of two."""
    row = taken(LIST.replace("佐藤 花子", "葛\U000e0100 👩\u200d👦").encode())[0]
    assert row.fields["氏名"] == "葛\U000e0100 👩\u200d👦"


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        ("126.000", "amount_unclear_dot"),
        ("1.260", "amount_unclear_dot"),
        ("1.260.000", "amount_unclear_dot"),
        ("1.260,00", "amount_unclear_dot"),
        ("１２６．０００", "amount_unclear_dot"),
        ("¥126.000", "amount_unclear_dot"),
        ("126.5", "amount_fraction"),
    ],
)
def test_a_dot_is_no_thousands_separator(amount, code):
    outcome = check(LIST.replace("26000", f'"{amount}"').encode())[0]
    assert isinstance(outcome, Rejected)
    assert codes(outcome) == {("請求金額", code)}


@pytest.mark.parametrize("amount", ["126.0", "126.00", "126.0000", "126.", "126"])
def test_a_dot_with_nothing_behind_it_is_harmless(amount):
    assert taken(LIST.replace("26000", amount).encode())[0].amount_yen == 126


def test_cells_left_out_at_the_end_are_empty():
    header, *rows = LIST.splitlines()
    people = taken("\r\n".join([header + ",備考,備考2", rows[0], rows[1] + ",あり"]).encode())
    assert [(row.fields["備考"], row.fields["備考2"]) for row in people] == [("", ""), ("あり", "")]


def test_a_row_that_lacks_a_needed_cell_says_which():
    short, whole = check(LIST.replace(ROW, "C1,090-4444-0001,佐藤 花子").encode())
    assert isinstance(short, Rejected)
    assert codes(short) == {(None, "row_too_few_cells")}
    assert all(column in short.faults[0].problem.message_ja for column in ("生年月日", "郵便番号", "請求金額"))
    assert isinstance(whole, CheckedRow)


def test_bank_kana_is_a_right_answer():
    questions = (Question("フリガナ", QuestionKind.TEXT, kana=Kana.KANA),)
    row = taken(f"{HEADER},フリガナ\r\n{ROW},ｻﾄｳ ﾘﾖｳｺ\r\n".encode("cp932"), questions)[0]
    assert row.answers == ("サトウリヨウコ",)


@pytest.mark.parametrize("name", ["??橋 花子", "佐藤〓子", "？？橋", "佐?花", "髙? 太郎", "??", "佐藤\ufffd子"])
def test_lost_letters_are_told(name):
    row = taken(LIST.replace("佐藤 花子", name).encode())[0]
    assert ("氏名", "cell_lost_letters") in codes(row, Level.WARNING)


@pytest.mark.parametrize(
    "name", ["佐藤・子", "お電話をいただけますか?ご都合をお知らせください", "Q&A?", "http://a.example/?q=1"]
)
def test_a_question_mark_is_no_lost_letter(name):
    row = taken(f'{HEADER},備考\r\n{ROW},"{name}"\r\n'.encode())[0]
    told = codes(row, Level.WARNING)
    assert ("備考", "cell_lost_letters") not in told or "?ご" in name


def test_lost_letters_in_an_answer_are_told():
    """That person could never answer."""
    questions = (Question("氏名", QuestionKind.TEXT),)
    row = taken(LIST.replace("佐藤 花子", "佐藤〓子").encode(), questions)[0]
    assert ("氏名", "cell_lost_letters") in codes(row, Level.WARNING)


def test_customer_numbers_of_thirteen_digits_are_no_cards():
    numbers = [f"{first}{rest:012d}" for first in range(1, 10) for rest in range(2_113_819_493, 2_113_819_493 + 40)]
    rows = [f"{number},090-7979-{place:04d},田中 一郎,1980/1/2,100-0001,26000" for place, number in enumerate(numbers)]
    assert len(taken("\r\n".join([HEADER, *rows]).encode())) == len(numbers)


def test_a_companys_own_number_that_looks_like_a_card_has_a_way_out():
    data = LIST.replace("C1", "4111111111111111").encode()
    refused = check(data)[0]
    assert codes(refused) == {("管理番号", "card_or_own_number")}
    assert "自社の番号" in refused.faults[0].problem.message_ja


def test_a_line_of_remarks_below_the_list_is_told():
    *people, remark = check((LIST + "以上\r\n").encode())
    assert isinstance(remark, Rejected)
    assert codes(remark) == {(None, "row_too_few_cells")}
    assert len(people) == 2


def test_empty_lines_are_passed_over():
    outcomes = check((LIST + "\r\n,,,,,\r\n").encode())
    assert [type(outcome) for outcome in outcomes] == [CheckedRow, CheckedRow, Skipped, Skipped]


def odd_rows(numbers: list[str]) -> list[int]:
    questions = (Question("証券番号", QuestionKind.DIGITS),)
    rows = [f"D{place},090-7878-{place:04d},田中,{number},26000" for place, number in enumerate(numbers)]
    table = read_table(io.BytesIO("\r\n".join(["管理番号,携帯電話番号,氏名,証券番号,請求金額", *rows]).encode()))
    mapping = propose(table.header, questions, payment_required=True)
    rules = make_rules(table.header, mapping, questions, ["氏名"], payment_required=True, today=dt.date(2026, 11, 30))
    checker = Checker(rules, 1_000)
    for row in table.rows:
        assert isinstance(checker.check(row), CheckedRow)
    faults = list(checker.odd_lengths())
    assert {(fault.column, fault.level, fault.problem.code) for fault in faults} <= {
        ("証券番号", Level.WARNING, "answer_odd_length")
    }
    return [fault.sheet_row for fault in faults]


def test_a_number_shorter_than_all_others_is_told():
    assert odd_rows([f"1234{place:04d}" for place in range(11)] + ["1234567"]) == [13]


def test_numbers_of_many_lengths_are_nobodys_fault():
    assert odd_rows([str(10**place) for place in range(1, 13)]) == []
    assert odd_rows(["12345678"] * 5 + ["1234567"]) == []  # too few to tell


@pytest.mark.parametrize(
    ("cell", "answer"),
    [
        ("0489", "0489"),
        ("090-1234-0489", "0489"),
        ("00004321", "4321"),
        ("９０１２３４０４８９", "0489"),
        ("A-000731", "0731"),
    ],
)
def test_the_last_four_digits_are_the_end_of_a_longer_number(cell, answer):
    questions = (Question("伝票番号の下4桁", QuestionKind.LAST4, "伝票番号"),)
    assert taken(f"{HEADER},伝票番号\r\n{ROW},{cell}\r\n".encode(), questions)[0].answers == (answer,)


@pytest.mark.parametrize(
    ("cell", "code"), [("731", "answer_last4_too_short"), ("", "answer_without_digits"), ("12AB", "answer_not_digits")]
)
def test_fewer_than_four_digits_are_no_answer(cell, code):
    questions = (Question("伝票番号の下4桁", QuestionKind.LAST4, "伝票番号"),)
    outcome = check(f"{HEADER},伝票番号\r\n{ROW},{cell}\r\n".encode(), questions)[0]
    assert codes(outcome) == {("伝票番号", code)}


def test_that_the_end_of_a_number_is_taken_is_said_once():
    questions = (Question("伝票番号の下4桁", QuestionKind.LAST4, "伝票番号"),)
    data = (
        f"{HEADER},伝票番号\r\n{ROW},4321\r\n{ROW.replace('C1', 'C2')},00004321\r\n{ROW.replace('C1', 'C3')},00004322"
    )
    table = read_table(io.BytesIO(data.encode()))
    mapping = propose(table.header, questions, payment_required=True)
    rules = make_rules(table.header, mapping, questions, ["氏名"], payment_required=True, today=dt.date(2026, 11, 30))
    checker = Checker(rules, 10)
    told = [("伝票番号", "answer_last_digits_taken") in codes(checker.check(row), Level.WARNING) for row in table.rows]
    assert told == [False, True, False]
