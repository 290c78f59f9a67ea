"""The workbook that is written as it goes, read by a library that knows the format."""

import io
import zipfile
from collections.abc import Iterator

import openpyxl
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape

from app.values import xlsx_writer


def read(content: bytes) -> list[list[tuple[object, ...]]]:
    return [list(sheet.values) for sheet in openpyxl.load_workbook(io.BytesIO(content)).worksheets]


# texts that people write, that Excel would run, what XML can't hold, what looks like Excel's own escapes
CELLS = st.text(max_size=12) | st.sampled_from(
    ["=1+1", '<&">', "髙橋𠮷", "a\nb", " x ", "_x0041_", "__x000D_", "\x01\x1f"]
)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=6))
def test_every_text_comes_back(rows: list[tuple[str, str]]) -> None:
    pages = iter([[list(row) for row in rows]] if rows else [])
    told = read(b"".join(xlsx_writer.workbook("状況", ["左", "右"], pages)))
    back = [tuple("" if cell is None else unescape(str(cell)) for cell in row) for row in told[0]]
    plain = [tuple(cell.replace("\r\n", "\n").replace("\r", "\n") for cell in row) for row in rows]
    assert back == [("左", "右"), *plain]


def test_numbers_are_numbers_and_nothing_is_a_formula() -> None:
    pages = iter([[["=1+1", "12000"], ["x", ""]]])
    content = b"".join(xlsx_writer.workbook("状況", ["名", "金額"], pages, numbers={"金額"}))
    sheet = openpyxl.load_workbook(io.BytesIO(content))["状況"]
    assert [(cell.value, cell.data_type) for row in sheet["A2:B3"] for cell in row] == [
        ("=1+1", "s"), (12000, "n"), ("x", "s"), (None, "n"),
    ]  # fmt: skip


def test_a_full_sheet_is_followed_by_another() -> None:
    pages = iter([[[f"{page}{row}"] for row in "ab"] for page in range(5)])
    sheets = read(b"".join(xlsx_writer.workbook("状況", ["名"], pages, sheet_rows=4)))
    assert [[row[0] for row in sheet] for sheet in sheets] == [
        ["名", "0a", "0b", "1a", "1b"],
        ["名", "2a", "2b", "3a", "3b"],
        ["名", "4a", "4b"],
    ]


def test_the_first_piece_leaves_before_a_page_is_read() -> None:
    asked: list[int] = []

    def pages() -> Iterator[list[list[str]]]:
        for page in range(3):
            asked.append(page)
            yield [[str(page)]]

    pieces = xlsx_writer.workbook("状況", ["名"], pages())
    assert next(pieces).startswith(b"PK")
    assert asked == []
    assert zipfile.ZipFile(io.BytesIO(b"".join(xlsx_writer.workbook("状況", ["名"], iter([]))))).testzip() is None
