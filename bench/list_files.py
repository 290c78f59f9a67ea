"""A made-up list (`bench.seen_lists`) becomes the bytes of a file: text of any encoding, or a workbook.

In: a `List`. Out: bytes, and for each sheet row the line that a person sees there. Can't happen here: a row number that
Excel would count otherwise.
"""

import datetime as dt
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from xml.sax.saxutils import escape, quoteattr

from bench.seen_lists import EMPTY, Cell, Line, List

_DELIMITERS = {"csv": ",", "tsv": "\t", "semicolon": ";"}
_NS = "http://schemas.openxmlformats.org"
_TYPES = f"{_NS}/officeDocument/2006/relationships"
_MARKS = {"utf-8-sig": b"\xef\xbb\xbf", "utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}
_DAYS_FROM_1904 = 1462


@dataclass(frozen=True, slots=True)
class File:
    """A file, the sheet row of its headline, and the lines below it by sheet row, as they are seen."""

    data: bytes = field(repr=False)
    header_row: int
    lines: dict[int, Line]


def write(made: List) -> File:
    """Write a list."""
    header_row = len(made.above) + 1
    lines = list(made.lines)
    if made.form == "xlsx":
        lines = _merged(made, lines)
    rows = [*(line.cells for line in made.above), tuple(Cell(name) for name in made.header)]
    rows += [line.cells for line in lines]
    below = {header_row + place: line for place, line in enumerate(lines, 1)}
    if made.form == "xlsx":
        return File(_workbook(made, rows, lines, header_row), header_row, below)
    return File(_text(made, rows), header_row, below)


# --- text ---


def _text(made: List, rows: Sequence[Sequence[Cell]]) -> bytes:
    manner, delimiter = made.manner, _DELIMITERS[made.form]
    eol = str(manner["eol"])
    written = []
    for place, cells in enumerate(rows):
        texts = [cell.text for cell in cells]
        if manner["cut"] and place > len(made.above):
            while texts and not texts[-1]:
                texts.pop()
        elif cells:
            texts += [""] * (len(made.header) + int(str(manner["more_columns"])) - len(texts))
        written.append(delimiter.join(_quoted(text, delimiter, always=bool(manner["quote_all"])) for text in texts))
    if manner["sep_line"]:
        written.insert(0, f"sep={delimiter}")
    text = eol.join(written) + (eol if manner["last_eol"] else "") + ("\x1a" if manner["ctrl_z"] else "")
    mark = _MARKS.get(made.encoding, b"") * (int(str(manner["marks"])) if made.encoding == "utf-8-sig" else 1)
    return mark + text.encode("utf-8" if made.encoding == "utf-8-sig" else made.encoding)


def _quoted(text: str, delimiter: str, *, always: bool) -> str:
    if always or any(sign in text for sign in ('"', "\r", "\n", delimiter)):
        return '"' + text.replace('"', '""') + '"'
    return text


# --- workbooks ---


def _merged(made: List, lines: list[Line]) -> list[Line]:
    """Join two rows' cells of one column: a person sees the upper one's text in both, the file holds it once."""
    column = str(made.manner["merge"])
    if column not in made.columns or len(lines) < 2:  # noqa: PLR2004 - two are joined
        return lines
    place = made.columns.index(column)
    upper, lower = lines[0], lines[1]
    if any(line.person is None or line.blank or len(line.cells) <= place for line in (upper, lower)):
        return lines
    cells = (*lower.cells[:place], EMPTY, *lower.cells[place + 1 :])
    person = replace(lower.person, **{column: getattr(upper.person, column)}) if lower.person else None
    return [upper, replace(lower, cells=cells, person=person), *lines[2:]]


class _Workbook:
    """Parts that a workbook's cells share: texts and formats."""

    def __init__(self, made: List) -> None:
        self.made = made
        self.texts: list[str] = []
        self.formats: list[str] = []

    def style(self, code: str) -> str:
        """Return a cell's attribute for a number format."""
        if not code:
            return ""
        if code not in self.formats:
            self.formats.append(code)
        return f' s="{self.formats.index(code) + 1}"'

    def cell(self, cell: Cell, where: str, place: int) -> str:
        """Write one cell; an empty one is left out."""
        style = self.style(cell.code)
        if cell.kind == "stale":
            return f"<c{where}{style}><f>A1</f><v></v></c>"
        if cell.kind == "raw":
            return f'<c{where} t="inlineStr"><is><t>{escape(cell.number)}</t></is></c>'
        if cell.kind in {"d", "e"}:
            return f'<c{where}{style} t="{cell.kind}"><v>{cell.number}</v></c>'
        if cell.number and not cell.kind:
            formula = "<f>1*1</f>" if self.made.manner["formulas"] else ""
            return f"<c{where}{style}>{formula}<v>{self._counted(cell)}</v></c>"
        return self._words(cell.number if cell.kind else cell.text, where, style, place)

    def _words(self, said: str, where: str, style: str, place: int) -> str:
        manner, text = self.made.manner, _escaped(said)
        if not text:
            return f"<c{where}{style}/>" if manner["styled_tail"] or not where else ""
        if manner["formulas"] and place % 2:
            return f'<c{where}{style} t="str"><f>A1&amp;""</f><v>{text}</v></c>'
        if manner["shared"]:
            self.texts.append(text)
            return f'<c{where}{style} t="s"><v>{len(self.texts) - 1}</v></c>'
        return f'<c{where}{style} t="inlineStr"><is>{self.runs(text)}</is></c>'

    def _counted(self, cell: Cell) -> str:
        """Count a date from the workbook's own first day."""
        dated = cell.code in {"#14", "#31", "#57"} or "yyyy" in cell.code or "ggge" in cell.code
        if dated and self.made.manner["epoch1904"]:
            return str(int(float(cell.number)) - _DAYS_FROM_1904)
        return cell.number

    def runs(self, text: str) -> str:
        """Write a text, whole or in pieces with its reading."""
        if not self.made.manner["readings"] or "_x" in text or "&" in text:
            return f'<t xml:space="preserve">{text}</t>'
        half = len(text) // 2
        pieces = "".join(f'<r><t xml:space="preserve">{part}</t></r>' for part in (text[:half], text[half:]))
        return f'{pieces}<rPh sb="0" eb="1"><t>ヨミ</t></rPh>'


def _escaped(text: str) -> str:
    text = re.sub("(?=_x[0-9A-Fa-f]{4}_)", "_x005F", text)
    text = re.sub("[\x00-\x08\x0b-\x1f]", lambda found: f"_x{ord(found[0]):04X}_", text)
    return escape(text)


def _letters(place: int) -> str:
    return chr(ord("A") + place)


def _sheet(
    workbook: _Workbook, rows: Sequence[Sequence[Cell]], lines: Sequence[Line], header_row: int
) -> Iterator[str]:
    manner = workbook.made.manner
    yield f'<worksheet xmlns="{_NS}/spreadsheetml/2006/main"><dimension ref="A1:A1"/>'
    if manner["hidden_by_default"]:
        yield '<sheetFormatPr zeroHeight="1"/>'
    if manner["hidden_column"]:
        place = workbook.made.columns.index(str(manner["hidden_column"])) + 1
        yield f'<cols><col min="{place}" max="{place}" hidden="1" width="9"/></cols>'
    yield "<sheetData>"
    for number, cells in enumerate(rows, 1):
        if not cells and manner["references"]:
            continue
        hidden = number > header_row and lines[number - header_row - 1].hidden
        shown = f' hidden="{int(hidden)}"' if hidden or manner["hidden_by_default"] else ""
        named = manner["references"]
        inner = "".join(
            workbook.cell(cell, f' r="{_letters(place)}{number}"' if named else "", place)
            for place, cell in enumerate(cells)
        )
        at = f' r="{number}"' if named else ""
        yield f'<row{at} spans="1:9"{shown}>{inner}</row>'
    yield "</sheetData>"
    if manner["merge"] == "title":
        yield '<mergeCells count="1"><mergeCell ref="A1:G1"/></mergeCells>'
    yield "</worksheet>"


def _styles(workbook: _Workbook) -> str:
    codes = [code for code in workbook.formats if not code.startswith("#") or not code[1:].isdigit()]
    formats = "".join(f'<numFmt numFmtId="{200 + at}" formatCode={quoteattr(code)}/>' for at, code in enumerate(codes))
    numbers = [int(code[1:]) if code not in codes else 200 + codes.index(code) for code in workbook.formats]
    return (
        f'<styleSheet xmlns="{_NS}/spreadsheetml/2006/main"><numFmts>{formats}</numFmts>'
        '<cellStyleXfs><xf numFmtId="0"/></cellStyleXfs>'
        f'<cellXfs><xf numFmtId="0"/>{"".join(f"<xf numFmtId={quoteattr(str(at))}/>" for at in numbers)}</cellXfs>'
        "</styleSheet>"
    )


def _workbook(made: List, rows: Sequence[Sequence[Cell]], lines: Sequence[Line], header_row: int) -> bytes:
    manner, workbook = made.manner, _Workbook(made)
    sheet = "".join(_sheet(workbook, rows, lines, header_row))
    if manner["prefix"]:
        sheet = re.sub("<(/?)(?=[a-zA-Z])", r"<\1x:", sheet).replace("xmlns=", "xmlns:x=")
    other = '<worksheet><sheetData><row r="1"><c t="inlineStr"><is><t>区分</t></is></c></row></sheetData></worksheet>'
    before = str(manner["sheets_before"])
    state = ' state="hidden"' if before == "hidden" else ""
    names = [f'<sheet name="集計" sheetId="2"{state} r:id="rId2"/>'] if before else []
    names.append('<sheet name="名簿" sheetId="1" r:id="rId1"/>')
    date = '<workbookPr date1904="1"/>' if manner["epoch1904"] else ""
    relations = "".join(
        f'<Relationship Id="{key}" Type="{_TYPES}/{kind}" Target="{target}"/>'
        for key, kind, target in (
            ("rId1", "worksheet", "worksheets/sheet1.xml"),
            ("rId2", "worksheet", "/xl/worksheets/sheet2.xml"),
            ("rId3", "styles", "styles.xml"),
            ("rId4", "sharedStrings", "sharedStrings.xml"),
        )
    )
    parts = {
        "_rels/.rels": f'<Relationships><Relationship Id="r" Type="{_TYPES}/officeDocument" Target="xl/workbook.xml"/>'
        "</Relationships>",
        "xl/workbook.xml": f'<workbook xmlns:r="{_TYPES}">{date}<sheets>{"".join(names)}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f"<Relationships>{relations}</Relationships>",
        "xl/worksheets/sheet1.xml": sheet,
        "xl/worksheets/sheet2.xml": other,
        "xl/styles.xml": _styles(workbook),
        "xl/sharedStrings.xml": f"<sst>{''.join(f'<si>{workbook.runs(text)}</si>' for text in workbook.texts)}</sst>",
    }
    stream = io.BytesIO()
    packed = zipfile.ZIP_STORED if manner["stored"] else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(stream, "w", packed, compresslevel=1) as file:
        for name, content in parts.items():
            odd = name.replace("sharedStrings", "SharedStrings").replace("/", "\\") if manner["odd_names"] else name
            file.writestr(zipfile.ZipInfo(odd, dt.datetime(2026, 11, 30).timetuple()[:6]), content, packed)  # noqa: DTZ001 - a file's date has no zone
    return stream.getvalue()
