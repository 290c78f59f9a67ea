"""Siblings of files that fail people elsewhere: nothing is taken that nobody sees, nothing is taken in silence."""

import datetime as dt
import io
import zipfile

import pytest

from app.intake.checking.checks import CheckedRow, check_row
from app.intake.checking.rules import make_rules
from app.intake.columns.mapping import propose
from app.intake.reading.reader import Table, read_table
from app.values.carrier_text import has_lost_letters

_TYPES = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_HEADER = ("電話番号", "氏名")
_PERSON = ("090-1234-5678", "佐藤 花子")


def _text(place: str, text: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


def _book(rows: str, before: str = "", styles: str = "") -> Table:
    head = f'<row r="1">{_text("A1", _HEADER[0])}{_text("B1", _HEADER[1])}</row>'
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as book:
        book.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns:r="{_TYPES}"><sheets><sheet name="名簿" sheetId="1" r:id="r1"/></sheets></workbook>',
        )
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships><Relationship Id="r1" Type="{_TYPES}/worksheet" Target="worksheets/sheet1.xml"/>'
            f'<Relationship Id="r2" Type="{_TYPES}/styles" Target="styles.xml"/></Relationships>',
        )
        book.writestr("xl/worksheets/sheet1.xml", f"<worksheet>{before}<sheetData>{head}{rows}</sheetData></worksheet>")
        book.writestr("xl/styles.xml", styles or "<styleSheet/>")
    return read_table(made)


def _row(number: int, attributes: str = "") -> str:
    return f'<row r="{number}" {attributes}>{_text(f"A{number}", _PERSON[0])}{_text(f"B{number}", _PERSON[1])}</row>'


@pytest.mark.parametrize("attributes", ['ht="0" customHeight="1"', 'ht="0.0"', 'hidden="true"'])
def test_a_row_of_no_height_is_one_that_nobody_sees(attributes: str) -> None:
    rows = [cells for _, cells in _book(_row(2, attributes) + _row(3, 'ht="18"')).rows]
    assert [cells == list(_PERSON) for cells in rows] == [False, True]


def test_a_column_of_no_width_is_told_as_hidden() -> None:
    assert _book(_row(2), '<cols><col min="2" max="2" width="0" customWidth="1"/></cols>').hidden_columns == ("氏名",)
    assert _book(_row(2), '<cols><col min="2" max="2" width="8.4"/></cols>').hidden_columns == ()


def test_an_extension_of_a_cell_is_no_part_of_its_text() -> None:
    inner = "<is><t>佐藤</t></is><extLst><ext><t>覚え書き</t></ext></extLst>"
    row = f'<row r="2">{_text("A2", _PERSON[0])}<c r="B2" t="inlineStr">{inner}</c></row>'
    assert [cells for _, cells in _book(row).rows] == [[_PERSON[0], "佐藤"]]


def test_a_day_before_all_days_is_told() -> None:
    styles = '<styleSheet><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>'
    row = f'<row r="2">{_text("A2", _PERSON[0])}<c r="B2" s="1"><v>-1</v></c></row>'
    assert [cells[1] for _, cells in _book(row, styles=styles).rows] == ["#書式!"]


def test_columns_are_told_apart_by_bars() -> None:
    table = read_table(io.BytesIO("電話番号|氏名\r\n090-1234-5678|佐藤,花子\r\n".encode("cp932")))
    assert (table.header, list(table.rows)) == (_HEADER, [(2, ["090-1234-5678", "佐藤,花子"])])


@pytest.mark.parametrize(
    "name", ["&#39640;橋", "&#x9AD8;橋", "佐藤&amp;鈴木", "縺輔→縺?", "繧ｵ繝医え", "佐□ 花子", "□橋"]
)
def test_letters_that_another_program_lost_are_told(name: str) -> None:
    assert has_lost_letters(name)


@pytest.mark.parametrize("name", ["佐藤 & 鈴木", "A&B商事", "□希望する（はい）・いいえのどちらか", "髙橋", "R&D;課"])
def test_sound_names_are_not(name: str) -> None:
    assert not has_lost_letters(name)


@pytest.mark.parametrize(("name", "told"), [("NULL", True), ("(null)", True), ("nan", True), ("Nullさん", False)])
def test_a_word_for_nothing_is_told_where_it_would_reach_somebody(name: str, told: bool) -> None:  # noqa: FBT001
    mapping = propose(_HEADER, [], ["氏名"], payment_required=False)
    rules = make_rules(_HEADER, mapping, [], ["氏名"], payment_required=False, today=dt.date(2026, 12, 1))
    outcome = check_row((2, [_PERSON[0], name]), rules)
    assert isinstance(outcome, CheckedRow)
    assert [fault.problem.code for fault in outcome.faults] == (["cell_merged_null"] if told else [])
