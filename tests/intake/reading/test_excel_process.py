"""A workbook is opened in a child: what a file unpacks to costs the parent nothing but a wait, and is told in words."""

import io
import resource
import time
import zipfile
from typing import BinaryIO

import psutil
import pytest

from app.intake.reading import excel_child, excel_reader
from app.intake.reading.excel_process import WHOLE, Bounds, WorkbookProcess
from app.intake.reading.list_rows import Limits
from app.intake.reading.reader import read_table
from app.problems import Refused

_TYPES = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_WORKBOOK = f'<workbook xmlns:r="{_TYPES}"><sheets><sheet name="名簿" sheetId="1" r:id="r1"/></sheets></workbook>'
_RELATIONS = (
    f'<Relationships><Relationship Id="r1" Type="{_TYPES}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>'
)
_HEAD = '<row r="1"><c r="A1" t="inlineStr"><is><t>電話番号</t></is></c></row>'


def workbook(sheet: str | bytes, texts: str | bytes = "") -> BinaryIO:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("xl/workbook.xml", _WORKBOOK)
        parts.writestr("xl/_rels/workbook.xml.rels", _RELATIONS)
        parts.writestr("xl/worksheets/sheet1.xml", sheet)
        if texts:
            parts.writestr("xl/sharedStrings.xml", texts)
    return made


def rows_of(*rows: str) -> str:
    return f"<worksheet><sheetData>{_HEAD}{''.join(rows)}</sheetData></worksheet>"


def row(number: int, text: str, kind: str = "inlineStr") -> str:
    inner = f"<is><t>{text}</t></is>" if kind == "inlineStr" else f"<v>{text}</v>"
    return f'<row r="{number}"><c r="A{number}" t="{kind}">{inner}</c></row>'


def test_rows_come_as_they_are_through_many_messages() -> None:
    count = 5_000
    stream = workbook(rows_of(*(row(n, f"090-0000-{n:04}") for n in range(2, count + 2))))
    table = read_table(stream)
    assert table.header == ("電話番号",)
    found = list(table.rows)
    assert (found[0], found[-1], len(found)) == ((2, ["090-0000-0002"]), (5001, ["090-0000-5001"]), count)
    assert table.read() == 1.0


def test_a_sheet_can_be_left_for_another_at_any_time() -> None:
    book = WorkbookProcess(workbook(rows_of(*(row(n, str(n)) for n in range(2, 4_000)))), WHOLE)
    for _ in range(3):
        rows = book.open("名簿").rows
        assert [cells for _, cells in (next(rows), next(rows))] == [["電話番号"], ["2"]]


def _bomb() -> BinaryIO:
    """Hold one text of 400 MB in a file of some hundred kB."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("xl/workbook.xml", _WORKBOOK)
        parts.writestr("xl/_rels/workbook.xml.rels", _RELATIONS)
        with parts.open("xl/worksheets/sheet1.xml", "w") as sheet:
            sheet.write(b'<worksheet><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>')
            for _ in range(400):
                sheet.write(b"a" * 1_000_000)
            sheet.write(b"</t></is></c></row></sheetData></worksheet>")
    return made


def test_what_unpacks_to_hundreds_of_megabytes_is_refused_and_costs_us_nothing() -> None:
    stream = _bomb()
    assert stream.seek(0, io.SEEK_END) < 500_000
    before = psutil.Process().memory_info().rss
    with pytest.raises(Refused) as caught:
        read_table(stream, Limits(preview=True))
    assert caught.value.problem.code.startswith("book_")
    assert "保存し" in caught.value.message_ja
    assert psutil.Process().memory_info().rss - before < 20_000_000


@pytest.mark.parametrize(
    "sheet",
    [
        rows_of(f'<row r="2"><c r="{"A" * 50_000}2"><v>1</v></c></row>'),
        rows_of(f'<row r="2"><c r="B2"><v>{"1" * 5_000_000}</v></c></row>'),
        rows_of(f'<row r="{"9" * 100_000}"><c><v>1</v></c></row>'),
        rows_of(row(2, "9" * 40, "s")),
        rows_of("<a>" * 200_000),
        '<!DOCTYPE a [<!ENTITY b "cccccccccc">]>' + rows_of(row(2, "&b;")),
    ],
    ids=["reference", "number", "row", "text", "depth", "entity"],
)
def test_odd_parts_are_refused_soon(sheet: str) -> None:
    began = time.process_time()
    with pytest.raises(Refused):
        list(read_table(workbook(sheet), Limits(preview=True)).rows)
    assert time.process_time() - began < 1  # of ours


def test_a_child_that_takes_too_long_is_ended_and_told() -> None:
    # as many rows as a sheet may have
    endless = workbook(b"<worksheet><sheetData>" + b"<row><c/><c/><c/><c/></row>" * 1_000_000)
    book = WorkbookProcess(endless, Bounds(400_000_000, 1, 60.0))
    with pytest.raises(Refused, match="book_too_slow"):
        list(book.open().rows)
    slow = WorkbookProcess(endless, Bounds(400_000_000, 60, 0.5))
    began = time.monotonic()
    with pytest.raises(Refused, match="book_too_slow") as caught:
        list(slow.open().rows)
    assert time.monotonic() - began < 5
    assert "時間がかかりすぎる" in caught.value.message_ja


def test_no_child_outlives_its_reader() -> None:
    def children() -> int:
        return sum("excel_child.py" in " ".join(child.cmdline()) for child in psutil.Process().children())

    table = read_table(workbook(rows_of(*(row(n, str(n)) for n in range(2, 5_000)))))
    assert children() == 1
    next(table.rows)
    del table
    assert children() == 0


def test_a_child_sees_nothing_of_ours() -> None:
    book = WorkbookProcess(workbook(rows_of(row(2, "1"))), WHOLE)
    book.open()
    child = psutil.Process(book._process.pid)
    assert child.environ() == {} or set(child.environ()) <= {"LC_CTYPE"}
    assert child.cwd() == "/"
    assert resource.prlimit(child.pid, resource.RLIMIT_FSIZE) == (0, 0)
    assert resource.prlimit(child.pid, resource.RLIMIT_AS)[0] == WHOLE.memory


@pytest.mark.parametrize("shared", [False, True])
def test_nul_and_halves_of_letters_come_as_they_are(*, shared: bool) -> None:
    """They are refused at their cell (`test_checks`), not with the whole book."""
    odd = ["_x0000_", "a_xD800_b", "_xDC00_"]
    if shared:
        stream = workbook(
            rows_of(*(row(n + 2, str(n), "s") for n in range(3))),
            "<sst>" + "".join(f"<si><t>{text}</t></si>" for text in odd) + "</sst>",
        )
    else:
        stream = workbook(rows_of(*(row(n + 2, text) for n, text in enumerate(odd))))
    assert [cells for _, cells in read_table(stream).rows] == [["\0"], ["a\ud800b"], ["\udc00"]]


def test_time_is_given_as_rows_and_texts_come(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _what, limits: given.append(limits))
    clock = excel_child.Clock(12)
    clock.earn(0.9)
    assert given == []
    clock.earn(3.2)
    clock.begin()
    clock.earn(0.5)
    clock.earn(2.0)
    clock.earn(100.0)
    assert given == [(7, 12), (9, 12), (12, 12)]


def test_a_list_may_take_longer_than_what_gives_no_rows() -> None:
    """Forty thousand rows are worth forty seconds; as many bytes of nothing are worth none."""
    earned: list[float] = []
    file = workbook(rows_of(*(row(n, str(n)) for n in range(2, 40_002))))
    from_rows = excel_reader.open_workbook(file, earn=earned.append)
    assert sum(1 for _ in from_rows.rows) == 40_001
    assert 39 < max(earned) < 41
    earned.clear()
    assert list(excel_reader.open_workbook(workbook(rows_of("<row></row>" * 40_000)), earn=earned.append).rows) == [
        (1, ["電話番号"])
    ]
    assert max(earned) < 0.1
