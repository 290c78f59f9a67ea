import ast
import datetime as dt
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.intake.checking.checks import CheckedRow, Fault, Level, Rejected, check_row
from app.intake.checking.rejects import rejects_csv, rejects_xlsx
from app.intake.checking.rules import make_rules
from app.intake.columns.mapping import REASON_COLUMN, ROW_COLUMN, Question, propose
from app.intake.reading.reader import read_table
from app.problems import Problem
from app.values.answers import QuestionKind
from app.values.csv_injection import restore

ROOT = Path(__file__).parents[3]
LIST = (
    "管理番号,電話番号,氏名,請求金額,生年月日\r\n"
    'K1,03-1234-5678,"=HYPERLINK(""http://x"",""y"")",五千円,1956-09-04\r\n'
    'K2,+819012345678,"髙橋\n①郎",0,1956-09-04\r\n'
    "K3,08012345678,森 進,100\r\n"
    "K4,08012345678,森 進,-100,S31.9.4\r\n"
)
QUESTIONS = [Question("生年月日", QuestionKind.DATE)]


def _check(data):
    table = read_table(io.BytesIO(data))
    mapping = propose(table.header, QUESTIONS, payment_required=True)
    rules = make_rules(table.header, mapping, QUESTIONS, ["氏名"], payment_required=True, today=dt.date(2026, 11, 23))
    return table, [check_row(row, rules) for row in table.rows]


def _rejects(data):
    table, outcomes = _check(data)
    rejected = [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
    return b"".join(rejects_csv(table.header, rejected, table.encoding))


@pytest.mark.parametrize(
    ("uploaded", "returned"),
    [("cp932", "cp932"), ("utf-8", "utf-8-sig"), ("utf-8-sig", "utf-8-sig"), ("utf-16", "utf-8-sig")],
)
def test_rejected_rows_come_back_in_a_form_excel_opens(uploaded, returned):
    data = _rejects(LIST.encode(uploaded))
    table = read_table(io.BytesIO(data))
    assert table.encoding == returned
    assert table.header == (REASON_COLUMN, "管理番号", "電話番号", "氏名", "請求金額", "生年月日")
    rows = [cells for _, cells in table.rows]
    assert rows[0][1:] == ["K1", "03-1234-5678", '\'=HYPERLINK("http://x","y")', "五千円", "1956-09-04"]
    assert rows[1][1:] == ["K2", "'+819012345678", "髙橋\n①郎", "0", "1956-09-04"]
    assert rows[2][1:] == ["K3", "08012345678", "森 進", "100"]
    assert rows[3][1:] == ["K4", "08012345678", "森 進", "'-100", "S31.9.4"]
    assert rows[0][0].startswith("電話番号: 固定電話の番号です。")
    assert " / 請求金額: 金額が数字ではありません。" in rows[0][0]
    assert rows[2][0].startswith("セルの数が見出しより少ない行です")


def test_the_corrected_file_is_accepted_and_gives_what_was_meant():
    data = _rejects(LIST.encode("cp932")).decode("cp932")
    corrected = data.replace("03-1234-5678", "090-8765-4321").replace("五千円", "5000").replace(",0,", ",10,")
    corrected = corrected.replace("森 進,100", "森 進,100,1956-09-04").replace("'-100", "100")
    _, outcomes = _check(corrected.encode("cp932"))
    assert all(isinstance(outcome, CheckedRow) for outcome in outcomes)
    assert [outcome.fields["氏名"] for outcome in outcomes] == [
        '=HYPERLINK("http://x","y")',
        "髙橋\n①郎",
        "森 進",
        "森 進",
    ]
    assert REASON_COLUMN not in outcomes[0].fields


def test_an_uncorrected_file_comes_back_as_it_went():
    for encoding in ("cp932", "utf-8"):
        first = _rejects(LIST.encode(encoding))
        second = _rejects(first)
        assert _cells(second) == _cells(first)
        assert _rejects(second) == second


def _cells(data):
    table = read_table(io.BytesIO(data))
    assert table.header.count(REASON_COLUMN) == 1
    return table.encoding, table.header, [cells[1:] for _, cells in table.rows]


def test_a_header_that_cp932_cannot_hold_is_written_as_utf8():
    rejected = Rejected(2, ["x", "y"], (Fault(2, "\u309b", Level.ERROR, Problem("a", "b。")),))
    data = b"".join(rejects_csv(["番号", " \u3099"], [rejected], "cp932"))
    assert data.decode("utf-8-sig").splitlines()[0] == f"{REASON_COLUMN},番号, \u3099"


def test_every_sentence_of_ours_fits_into_a_cp932_file():
    sources = [path for room in ("identity", "intake", "values") for path in (ROOT / "app" / room).rglob("*.py")]
    texts = [
        node.value
        for path in sources
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "。" in node.value
    ]
    assert len(texts) > 50
    for text in texts:
        assert text.encode("cp932").decode("cp932") == text


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=3, max_size=3))
def test_every_cell_comes_back_as_it_was(cells):
    header = ["甲", "乙", "丙"]
    data = b"".join(rejects_csv(header, [Rejected(2, cells, ())], "utf-8"))
    table = read_table(io.BytesIO(data))
    ((sheet_row, read),) = table.rows
    assert (sheet_row, [restore(cell) for cell in read]) == (2, ["", *cells])


def test_a_workbook_of_rejected_rows_has_their_rows_and_reasons_and_comes_back_corrected():
    table, outcomes = _check(LIST.encode())
    rejected = [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
    data = b"".join(rejects_xlsx(table.header, rejected))
    back = read_table(io.BytesIO(data))
    assert back.header == (REASON_COLUMN, ROW_COLUMN, *table.header)
    rows = [cells for _, cells in back.rows]
    assert [cells[1] for cells in rows] == ["2", "3", "4", "5"]
    assert [cells[2:] for cells in rows] == [
        [*restore_all(outcome.cells), *[""] * (len(table.header) - len(outcome.cells))] for outcome in rejected
    ]
    assert not {REASON_COLUMN, ROW_COLUMN} & {column for column, _ in _rules(back).fields}


def test_a_cell_too_many_comes_back_in_both_forms_and_is_refused_again():
    table, [outcome] = _check(
        "管理番号,電話番号,氏名,請求金額,生年月日\r\nK5,08012345678,森,進,100,1956-09-04\r\n".encode()
    )
    for data in (
        b"".join(rejects_xlsx(table.header, [outcome])),
        b"".join(rejects_csv(table.header, [outcome], table.encoding)),
    ):
        _, [again] = _check(data)
        assert isinstance(again, Rejected)
        assert [fault.problem.code for fault in again.faults] == [fault.problem.code for fault in outcome.faults]
        assert again.cells[-6:] == outcome.cells


def restore_all(cells):
    return [restore(cell) for cell in cells]


def _rules(table):
    mapping = propose(table.header, QUESTIONS, payment_required=True)
    return make_rules(table.header, mapping, QUESTIONS, ["氏名"], payment_required=True, today=dt.date(2026, 11, 23))
