"""A table as an xlsx file, written out while its rows are read.

In: a header and pages of rows of text. Out: pieces of a workbook that Excel and LibreOffice open (ECMA-376, Office Open
XML: inline strings, one sheet or, past a sheet's bound, several). Can't happen here: memory or a temporary file that
grows with the rows, a cell that is run as a formula (all cells are text or plain numbers).
"""

import io
import re
import zipfile
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import chain, repeat
from xml.sax.saxutils import escape

from app.values.japan_time import TOKYO

# a sheet of Excel holds 1,048,576 rows with its header
_SHEET_ROWS = 1_000_000
# at 6, zlib would take longer than everything else together
_LEVEL = 1
_NS = "http://schemas.openxmlformats.org"
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_STYLES = (
    f'<styleSheet xmlns="{_NS}/spreadsheetml/2006/main">'
    '<fonts count="2"><font><sz val="11"/><name val="游ゴシック"/></font>'
    '<font><b/><sz val="11"/><name val="游ゴシック"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill>'
    '</fills><borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="4">'
    '<xf numFmtId="0" xfId="0"/><xf numFmtId="0" fontId="1" xfId="0" applyFont="1"/>'
    '<xf numFmtId="49" xfId="0" applyNumberFormat="1"/><xf numFmtId="3" xfId="0" applyNumberFormat="1"/>'
    '</cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)
_HEAD, _TEXT, _NUMBER = 1, 2, 3
# characters that XML 1.0 can't hold, and what Excel would read as one of its own escapes
_UNWRITABLE = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_LOOKS_ESCAPED = re.compile("_(?=x[0-9A-Fa-f]{4}_)")


class _Pipe(io.RawIOBase):
    """The target that a zip file is written to: taken away piece by piece, never sought in."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: bytes) -> int:  # type: ignore[override]
        self._pieces.append(bytes(piece))
        return len(piece)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def workbook(
    title: str,
    header: Sequence[str],
    pages: Iterator[list[list[str]]],
    *,
    numbers: Collection[str] = (),
    sheet_rows: int = _SHEET_ROWS,
) -> Iterator[bytes]:
    """Return the file piece by piece.

    `numbers` names the columns whose cells are whole numbers, or empty.

    Cells beyond the header are text. After `sheet_rows` rows another sheet follows.
    """
    pipe = _Pipe()
    styles = [_NUMBER if name in numbers else _TEXT for name in header]
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as package:
        sheets, waiting = 0, True
        held: list[list[str]] = []
        while waiting:
            sheets, waiting, room = sheets + 1, False, sheet_rows - len(held)
            with package.open(_entry(f"xl/worksheets/sheet{sheets}.xml"), "w", force_zip64=True) as sheet:
                sheet.write((_opening(header, styles) + _rows(held, styles)).encode())
                yield pipe.take()
                for page in pages:
                    if len(page) > room:
                        held, waiting = page, True
                        break
                    room -= len(page)
                    sheet.write(_rows(page, styles).encode())
                    yield pipe.take()
                sheet.write(b"</sheetData></worksheet>")
        for name, content in _frame(title, sheets).items():
            package.writestr(_entry(name), _XML + content)
    yield pipe.take()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, datetime.now(TOKYO).timetuple()[:6])
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry._compresslevel = _LEVEL  # type: ignore[attr-defined]  # noqa: SLF001 - public from Python 3.13 on
    return entry


def _opening(header: Sequence[str], styles: Sequence[int]) -> str:
    cells = "".join(_text(name, _HEAD) for name in header)
    # a cell typed below the last row is text too: 090… keeps its zero
    columns = "".join(
        f'<col min="{place}" max="{place}" width="18" style="{style}" customWidth="1"/>'
        for place, style in enumerate(styles, start=1)
    )
    return (
        f'{_XML}<worksheet xmlns="{_NS}/spreadsheetml/2006/main"><sheetViews><sheetView workbookViewId="0">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
        f"<cols>{columns}</cols><sheetData><row>{cells}</row>"
    )


def _rows(page: list[list[str]], styles: Sequence[int]) -> str:
    return "".join(_row(cells, styles) for cells in page)


def _row(cells: Sequence[str], styles: Sequence[int]) -> str:
    written = [
        "<c/>" if not cell else f'<c s="3"><v>{cell}</v></c>' if style == _NUMBER else _text(cell, style)
        for cell, style in zip(cells, chain(styles, repeat(_TEXT)), strict=False)
    ]
    return f"<row>{''.join(written)}</row>"


def _text(cell: str, style: int) -> str:
    if "_x" in cell:
        cell = _LOOKS_ESCAPED.sub("_x005F_", cell)
    if not cell.isprintable():
        cell = _UNWRITABLE.sub(lambda found: f"_x{ord(found[0]):04X}_", cell)
    return f'<c s="{style}" t="inlineStr"><is><t xml:space="preserve">{escape(cell)}</t></is></c>'


def _frame(title: str, sheets: int) -> dict[str, str]:
    """Return the parts that name the sheets."""
    main, rels = f"{_NS}/spreadsheetml/2006/main", f"{_NS}/officeDocument/2006/relationships"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    each = range(1, sheets + 1)
    named = "".join(
        f'<sheet name="{escape(title)}{n if sheets > 1 else ""}" sheetId="{n}" r:id="rId{n}"/>' for n in each
    )
    targets = "".join(
        f'<Relationship Id="rId{n}" Type="{rels}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n in each
    )
    overrides = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{kind}.worksheet+xml"/>' for n in each
    )
    return {
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{rels}"><sheets>{named}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": (
            f'<Relationships xmlns="{_NS}/package/2006/relationships">{targets}'
            f'<Relationship Id="rIdStyles" Type="{rels}/styles" Target="styles.xml"/></Relationships>'
        ),
        "xl/styles.xml": _STYLES,
        "_rels/.rels": (
            f'<Relationships xmlns="{_NS}/package/2006/relationships">'
            f'<Relationship Id="rId1" Type="{rels}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
        ),
        "[Content_Types].xml": (
            f'<Types xmlns="{_NS}/package/2006/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
            f'<Override PartName="/xl/styles.xml" ContentType="{kind}.styles+xml"/>{overrides}</Types>'
        ),
    }
