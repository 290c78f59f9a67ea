"""Excel books: what a clerk saves as .xlsx reads as the same list saved as CSV."""

import datetime as dt
import io
import zipfile
from collections.abc import Callable, Mapping

import pytest
from openpyxl import Workbook
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from app.intake.reading import excel_reader
from app.intake.reading.list_rows import Limits
from app.intake.reading.reader import Choice, read_table
from app.problems import Refused
from app.values.cell_text import HIDDEN_ROW

# a cell's time has no zone
WHEN = dt.datetime.fromisoformat("2026-12-01T09:30")
NS = "http://schemas.openxmlformats.org"


def _book(fill: Callable[[Workbook], None]) -> io.BytesIO:
    book = Workbook()
    fill(book)
    stream = io.BytesIO()
    book.save(stream)
    return stream


def _sheet(rows: list[list[object]], formats: Mapping[str, str] | None = None) -> io.BytesIO:
    def fill(book: Workbook) -> None:
        sheet = book.worksheets[0]
        for row in rows:
            sheet.append(row)
        for cell, code in (formats or {}).items():
            sheet[cell].number_format = code

    return _book(fill)


def _by_hand(sheet: str, texts: str = "", workbook: str = '<sheet name="名簿" sheetId="1" r:id="rId1"/>') -> io.BytesIO:
    """A book of parts as Excel writes them, which openpyxl would not write."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{NS}/spreadsheetml/2006/main" xmlns:r="{NS}/officeDocument/2006/relationships">'
            f"<sheets>{workbook}</sheets></workbook>",
        )
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{NS}/package/2006/relationships"><Relationship Id="rId1" '
            f'Type="{NS}/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        )
        book.writestr("xl/worksheets/sheet1.xml", sheet)
        if texts:
            book.writestr("xl/sharedStrings.xml", texts)
    return stream


def _rows_of(stream: io.BytesIO) -> list[tuple[int, list[str]]]:
    return list(read_table(stream).rows)


def test_cells_read_as_excel_shows_them():
    stream = _sheet(
        [
            ["電話番号", "氏名", "請求金額", "生年月日", "訪問", "下4桁", "率", "はい"],
            [9012345678, "山田 太郎", 26000, dt.date(1978, 9, 2), WHEN, 489, 0.045, True],
            ["090-1234-5678", "山田=太郎", 1234.5, "昭和53年9月2日", dt.time(13, 5), "0489", 1e20, None],
        ],
        {"A2": "000-0000-0000", "F2": "0000"},
    )
    table = read_table(stream)
    assert (table.encoding, table.delimiter, table.sheet) == ("xlsx", "", "Sheet")
    assert table.header == ("電話番号", "氏名", "請求金額", "生年月日", "訪問", "下4桁", "率", "はい")
    assert list(table.rows) == [
        (2, ["090-1234-5678", "山田 太郎", "26000", "1978/09/02", "2026/12/01 09:30", "0489", "0.045", "TRUE"]),
        (3, ["090-1234-5678", "山田=太郎", "1234.5", "昭和53年9月2日", "13:05", "0489", "1e+20", ""]),
    ]
    assert table.read() == 1


def test_dates_count_from_1904_where_the_book_says_so():
    def fill(book: Workbook) -> None:
        book.epoch = CALENDAR_MAC_1904
        book.worksheets[0].append(["日付"])
        book.worksheets[0].append([dt.date(2026, 12, 1)])

    assert _rows_of(_book(fill)) == [(2, ["2026/12/01"])]


def test_rows_keep_excels_numbers_and_empty_ones_at_the_end_are_none():
    def fill(book: Workbook) -> None:
        sheet = book.worksheets[0]
        sheet["A1"], sheet["C1"] = "電話番号", "氏名"
        sheet["B1"] = "メモ"
        sheet["A2"] = "1"
        sheet["C5"] = "森"
        sheet["A9"].number_format = "0000"

    assert _rows_of(_book(fill)) == [(2, ["1", "", ""]), (3, ["", "", ""]), (4, ["", "", ""]), (5, ["", "", "森"])]


def test_the_first_visible_sheet_is_taken_and_named_where_there_are_others():
    def fill(book: Workbook) -> None:
        book.worksheets[0].title = "控え"
        book.worksheets[0].sheet_state = "hidden"
        for name in ("名簿", "集計"):
            sheet = book.create_sheet(name)
            sheet.append([f"{name}の列"])
            sheet.append(["1"])
        book.active = 1

    table = read_table(_book(fill))
    assert (table.header, table.sheet, table.sheets) == (("名簿の列",), "名簿", ("名簿", "集計"))


def test_a_sheet_with_a_phones_column_goes_before_a_summary():
    def fill(book: Workbook) -> None:
        book.worksheets[0].append(["区分", "件数"])
        book.worksheets[0].append(["請求", 2])
        sheet = book.create_sheet("名簿")
        sheet.append(["一覧"])
        sheet.append(["管理番号", "携帯電話番号"])
        sheet.append(["K1", "090-1234-5678"])

    table = read_table(_book(fill))
    assert (table.sheet, table.header_row, table.header) == ("名簿", 2, ("管理番号", "携帯電話番号"))
    assert read_table(_book(fill), choice=Choice("Sheet")).header == ("区分", "件数")


@pytest.mark.parametrize(
    ("sheet_format", "row", "seen"),
    [
        ("", 'hidden="1"', False),
        ("", 'hidden="true"', False),
        ("", 'hidden="0"', True),
        ("", "", True),
        ('<sheetFormatPr zeroHeight="1"/>', "", False),
        ('<sheetFormatPr zeroHeight="1"/>', 'hidden="0"', True),
    ],
)
def test_a_hidden_row_is_left_out_as_such(sheet_format, row, seen):
    cell = '<c t="inlineStr"><is><t>{}</t></is></c>'
    rows = "".join(
        f'<row r="{number}" {hidden}>{cell.format(text)}</row>'
        for number, text, hidden in ((1, "番号", 'hidden="0"'), (2, "K1", row), (3, "K2", 'hidden="0"'))
    )
    stream = _by_hand(f"<worksheet>{sheet_format}<sheetData>{rows}</sheetData></worksheet>")
    assert [cells for _, cells in _rows_of(stream) if any(cells)] == [["K1"] if seen else [HIDDEN_ROW], ["K2"]]
    assert [cells for _, cells in read_table(stream, choice=Choice(hidden_rows=True)).rows] == [["K1"], ["K2"]]


def test_hidden_columns_are_named():
    columns = (
        '<cols><col min="2" max="3" hidden="1"/><col min="5" max="16384" hidden="true"/><col min="1" max="1"/></cols>'
    )
    row = "".join(
        f'<c t="inlineStr"><is><t>{text}</t></is></c>' for text in ("番号", "氏名", "備考", "電話番号", "住所")
    )
    rows = f'<row r="1">{row}</row><row r="2"><c><v>1</v></c></row>'
    table = read_table(_by_hand(f"<worksheet>{columns}<sheetData>{rows}</sheetData></worksheet>"))
    assert table.hidden_columns == ("氏名", "備考", "住所")
    assert read_table(_sheet([["番号", "氏名"], [1, "森"]])).hidden_columns == ()


def test_a_text_is_read_as_its_format_shows_it():
    stream = _sheet([["番号", "氏名"], ["12", "佐藤"], [12, 3]], {"A2": '"K"@', "A3": '"K"00000', "B3": "0%"})
    assert _rows_of(stream) == [(2, ["K12", "佐藤"]), (3, ["K00012", "#書式!"])]


def _row_with(cell: str, calculation: str = "") -> tuple[int, list[str]]:
    text = '<c r="A{0}" t="inlineStr"><is><t>氏名</t></is></c>'
    head = text.format(1) + text.format(1).replace("A1", "B1").replace("氏名", "電話番号")
    sheet = f'<row r="1">{head}</row><row r="2">{text.format(2)}{cell}</row>'
    workbook = f'<sheet name="名簿" sheetId="1" r:id="rId1"/></sheets>{calculation}<sheets>'
    return _rows_of(_by_hand(f"<worksheet><sheetData>{sheet}</sheetData></worksheet>", workbook=workbook))[0]


@pytest.mark.parametrize(
    ("cell", "calculation", "text"),
    [
        ("<f>A1</f>", "", "#未計算!"),
        ("<f>A1</f><v></v>", "", "#未計算!"),
        ("<f>A1</f><v/>", "", "#未計算!"),
        ("<f>A1</f><v>0</v>", '<calcPr fullCalcOnLoad="1"/>', "#未計算!"),
        ("<f>A1</f><v>0</v>", "", "0"),
        ("<f>A1</f><v>7</v>", '<calcPr fullCalcOnLoad="1"/>', "7"),
        ("<v>0</v>", '<calcPr fullCalcOnLoad="1"/>', "0"),
    ],
)
def test_a_formula_that_nobody_has_computed_is_told(cell, calculation, text):
    """A program that writes formulas leaves their results empty, or 0: Excel shows more than the file holds."""
    assert _row_with(f'<c r="B2">{cell}</c>', calculation) == (2, ["氏名", text])


def test_an_empty_text_of_a_formula_is_empty():
    assert _row_with('<c r="B2" t="str"><f>""</f><v></v></c>') == (2, ["氏名", ""])


def test_a_row_of_formulas_alone_is_seen():
    rows: list[list[object]] = [["電話番号"], ["=B1"], ["=B2"]]
    assert _rows_of(_sheet(rows)) == [(2, ["#未計算!"]), (3, ["#未計算!"])]


def test_cells_out_of_order_stand_in_their_places():
    number = '<c r="{}2"><v>{}</v></c>'
    assert _row_with(number.format("D", 4) + number.format("B", 2)) == (2, ["氏名", "2", "", "4"])
    with pytest.raises(Refused, match="book_broken"):
        _row_with(number.format("B", 4) + number.format("B", 2))


def test_a_row_beyond_excels_last_is_refused_at_once():
    rows = '<row r="1"><c><v>1</v></c></row><row r="1048577"><c><v>1</v></c></row>'
    assert _refusal(_by_hand(f"<worksheet><sheetData>{rows}</sheetData></worksheet>")) == "book_broken"


def test_parts_are_found_by_their_relations_whatever_their_names():
    stream = _sheet([["氏名", "番号"], ["森", 5]])
    renamed = io.BytesIO()
    with zipfile.ZipFile(stream) as old, zipfile.ZipFile(renamed, "w") as new:
        for info in old.infolist():
            name = info.filename.replace("sharedStrings", "SharedStrings").replace("/", "\\")
            new.writestr(name, old.read(info).replace(b"xl/worksheets/sheet1.xml", b"xl\\Worksheets\\Sheet1.xml"))
    assert _rows_of(renamed) == [(2, ["森", "5"])]


def test_a_cells_reference_without_end_is_refused_at_once():
    row = f'<row r="1"><c r="{"A" * 50_000}1"><v>1</v></c></row>'
    assert _refusal(_by_hand(f"<worksheet><sheetData>{row}</sheetData></worksheet>")) == "book_broken"


def test_a_reading_aid_is_no_part_of_a_name_and_pieces_of_a_text_are_one():
    texts = (
        f'<sst xmlns="{NS}/spreadsheetml/2006/main"><si><t>氏名</t><rPh sb="0" eb="2"><t>シメイ</t></rPh></si>'
        '<si><r><rPr><b/></rPr><t xml:space="preserve">山田 </t></r><r><t>太郎_x000D_</t></r>'
        '<rPh sb="0" eb="2"><t>ヤマダ</t></rPh><phoneticPr fontId="1"/></si></sst>'
    )
    sheet = (
        f'<x:worksheet xmlns:x="{NS}/spreadsheetml/2006/main"><x:sheetData><x:row r="1">'
        '<x:c r="A1" t="s"><x:v>0</x:v></x:c>'
        '<x:c r="B1" t="inlineStr"><x:is><x:t>備考</x:t><x:rPh sb="0" eb="2"><x:t>ビコウ</x:t></x:rPh></x:is></x:c>'
        "</x:row>"
        '<x:row r="2"><x:c r="A2" t="s"><x:v>1</x:v></x:c><x:c r="B2" t="str"><x:f>A1</x:f>'
        "<x:v>氏名</x:v></x:c></x:row></x:sheetData></x:worksheet>"
    )
    table = read_table(_by_hand(sheet, texts))
    assert table.header == ("氏名", "備考")
    assert list(table.rows) == [(2, ["山田 太郎\r", "氏名"])]


def _shared(rows: int) -> io.BytesIO:
    texts = "".join(f"<si><t>名前{number}</t></si>" for number in range(rows))
    cells = "".join(f'<row r="{number + 1}"><c t="s"><v>{number}</v></c></row>' for number in range(rows))
    return _by_hand(f"<worksheet><sheetData>{cells}</sheetData></worksheet>", f"<sst>{texts}</sst>")


def test_the_first_rows_need_the_first_texts_alone():
    sheet = excel_reader.open_workbook(_shared(30_000), most_text=60_000)
    assert next(sheet.rows) == (1, ["名前0"])
    assert 0 < sheet.read() < 0.5
    with pytest.raises(Refused, match="book_too_much_text"):
        list(sheet.rows)


def _refusal(stream: io.BytesIO) -> str:
    with pytest.raises(Refused) as caught:
        _rows_of(stream)
    return caught.value.problem.code


def test_what_is_no_such_book_is_refused():
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as file:
        file.writestr("content.xml", "<a/>")
    assert _refusal(other) == "book_not_xlsx"
    whole = _sheet([["氏名"], ["森"]]).getvalue()
    assert _refusal(io.BytesIO(whole[: len(whole) // 2])) == "book_broken"
    assert _refusal(_by_hand("<worksheet><sheetData><row")) == "book_broken"
    assert _refusal(_by_hand('<worksheet><sheetData><row r="1"><c r="A1" t="s"><v>7</v></c></row>')) == "book_broken"
    backwards = '<row r="{}"><c><v>1</v></c></row>'
    rows = backwards.format(5) + backwards.format(3)
    assert _refusal(_by_hand(f"<worksheet><sheetData>{rows}</sheetData></worksheet>")) == "book_broken"
    rows = backwards.format(1) + rows
    assert _refusal(_by_hand(f"<worksheet><sheetData>{rows}</sheetData></worksheet>")) == "book_broken"
    hidden = '<sheet name="a" sheetId="1" state="veryHidden" r:id="rId1"/>'
    assert _refusal(_by_hand("<worksheet/>", workbook=hidden)) == "book_without_visible_sheet"
    assert _refusal(_sheet([["氏名"]])) == "list_without_rows"
    with pytest.raises(Refused, match="too_long"):
        list(read_table(_sheet([["氏名"], ["森" * 50]]), Limits(cell=40)).rows)


def test_entities_are_not_expanded():
    laughs = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]>'
    assert _refusal(_by_hand(f"{laughs}<worksheet><sheetData/></worksheet>")) == "book_broken"
