"""Workbooks that mean harm: small files that unpack to hundreds of megabytes, or to a tangle.

In: a path and how many bytes the harmful part may unpack to. Out: the file; it is written piece by piece. Half of the
harm begins behind forty sound rows: the web server, which reads the first ones, sees nothing of it.
"""

import random
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

_TYPES = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_HEADER = ("管理番号", "携帯電話番号", "氏名", "請求金額", "支払期限", "生年月日", "契約番号下4桁")
_SOUND_ROWS = 40
_PIECE = 1 << 20
_SHEET, _TEXTS, _STYLES, _WORKBOOK, _RELATIONS = (
    "xl/worksheets/sheet1.xml",
    "xl/sharedStrings.xml",
    "xl/styles.xml",
    "xl/workbook.xml",
    "xl/_rels/workbook.xml.rels",
)
_PARTS = {
    _WORKBOOK: f'<workbook xmlns:r="{_TYPES}"><sheets><sheet name="名簿" sheetId="1" r:id="r1"/></sheets></workbook>',
    _RELATIONS: f'<Relationships><Relationship Id="r1" Type="{_TYPES}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="r2" Type="{_TYPES}/sharedStrings" Target="sharedStrings.xml"/>'
    f'<Relationship Id="r3" Type="{_TYPES}/styles" Target="styles.xml"/></Relationships>',
}

Pieces = Iterator[str]


def _row(number: int, cells: tuple[str, ...]) -> str:
    inner = "".join(f'<c t="inlineStr"><is><t>{text}</t></is></c>' for text in cells)
    return f'<row r="{number}">{inner}</row>'


def _sound() -> str:
    rows = [_row(1, _HEADER)]
    for number in range(2, _SOUND_ROWS + 2):
        phone = f"0901234{number:04d}"
        rows.append(_row(number, (f"H{number}", phone, "佐藤 花子", "980", "2026/12/25", "1980/1/2", f"{number:04d}")))
    return "".join(rows)


def _sheet(*, before: str = "", harm: Pieces, sound: bool = True) -> Pieces:
    """Write a sheet whose harm stands behind its sound rows, or alone."""
    yield f"<worksheet>{before}<sheetData>{_sound() if sound else _row(1, _HEADER)}"
    yield from harm
    yield "</sheetData></worksheet>"


def _again(unit: str, size: int) -> Pieces:
    """Write a text again and again."""
    times = max(1, _PIECE // len(unit))
    for _ in range(max(1, size // (len(unit) * times))):
        yield unit * times


def _between(first: str, pieces: Pieces, last: str) -> Pieces:
    yield first
    yield from pieces
    yield last


def _numbered(unit: str, size: int) -> Pieces:
    for first in range(0, size // len(unit), 10_000):
        yield "".join(unit.replace("#", str(number)) for number in range(first, first + 10_000))


_LAST = _SOUND_ROWS + 2
_CELL = f'<row r="{_LAST}"><c r="A{_LAST}" t="inlineStr"><is><t>'
_CELL_END = "</t></is></c></row>"


def _part(name: str, pieces: Pieces) -> Mapping[str, Pieces]:
    return {name: pieces}


def _in_sheet(harm: Pieces, *, sound: bool = True, before: str = "") -> Mapping[str, Pieces]:
    return {_SHEET: _sheet(before=before, harm=harm, sound=sound)}


def _shared(texts: Pieces, number: int) -> Mapping[str, Pieces]:
    cell = f'<row r="2"><c t="s"><v>{number}</v></c></row>'
    return {_SHEET: _sheet(harm=iter([cell]), sound=False), _TEXTS: _between("<sst>", texts, "</sst>")}


def _wide(size: int) -> Pieces:
    cells = "<c/>" * 16_000
    for number in range(_LAST, _LAST + size // len(cells)):
        yield f'<row r="{number}"><c t="inlineStr"><is><t>x</t></is></c>{cells}</row>'


def _noise(size: int) -> Pieces:
    signs = "".join(random.choices("0123456789abcdefghijklmnopqrstuvwxyz", k=_PIECE))
    return _between("<!--", _again(signs, size), "-->")


def _many_sheets(size: int) -> Mapping[str, Pieces]:
    sheets = _again('<sheet name="名簿" sheetId="1" r:id="r1"/>', min(size, 19_000_000))
    return _part(_WORKBOOK, _between(f'<workbook xmlns:r="{_TYPES}"><sheets>', sheets, "</sheets></workbook>"))


def _relations(size: int) -> Mapping[str, Pieces]:
    relations = _numbered(f'<Relationship Id="q#" Type="{_TYPES}/worksheet" Target="worksheets/sheet#.xml"/>', size)
    first = _PARTS[_RELATIONS].removesuffix("</Relationships>")
    return _part(_RELATIONS, _between(first, relations, "</Relationships>"))


_FORMULA = '<row r="{0}"><c><f>{1}</f><v>1</v></c></row>'

HARMS: dict[str, Callable[[int], Mapping[str, Pieces]]] = {
    "one text": lambda size: _in_sheet(_between(_CELL, _again("a", size), _CELL_END)),
    "one text at once": lambda size: _in_sheet(_between(_CELL, _again("a", size), _CELL_END), sound=False),
    "one number": lambda size: _in_sheet(_between(f'<row r="{_LAST}"><c><v>', _again("1", size), "</v></c></row>")),
    "one formula": lambda size: _in_sheet(_between(f'<row r="{_LAST}"><c><f>', _again("1+", size), "</f></c></row>")),
    "one shared text": lambda size: _shared(_between("<si><t>", _again("a", size), "</t></si>"), 0),
    "many shared texts": lambda size: _shared(_again("<si><t>a</t></si>", size), 10**7),
    "long shared texts": lambda size: _shared(_again(f"<si><t>{'あ' * 30_000}</t></si>", size // 3), 10**7),
    "pieces of a text": lambda size: _shared(_between("<si>", _again("<r><t/></r>", size), "</si>"), 0),
    "one comment": lambda size: _in_sheet(_between("<!--", _again("a", size), "-->")),
    "many comments": lambda size: _in_sheet(_again("<!--a-->", size)),
    "noise": lambda size: _in_sheet(_noise(size)),
    "one attribute": lambda size: _in_sheet(_between('<row a="', _again("a", size), '"/>')),
    "many attributes": lambda size: _in_sheet(_between("<row ", _numbered('a#="" ', size), "/>")),
    "one reference": lambda size: _in_sheet(_between('<row><c r="', _again("A", size), '1"><v>1</v></c></row>')),
    "a reference of 50,000": lambda _size: _in_sheet(iter([f'<row><c r="{"A" * 50_000}1"><v>1</v></c></row>'])),
    "one name": lambda size: _in_sheet(_between("<", _again("a", size), "/>")),
    "instructions": lambda size: _in_sheet(_again("<?a b?>", size)),
    "nesting": lambda size: _in_sheet(_again("<a>", size)),
    "nesting at once": lambda size: _in_sheet(_again("<a>", size), sound=False),
    "empty rows": lambda size: _in_sheet(_again("<row></row>", size)),
    "empty cells": lambda size: _in_sheet(_between(f'<row r="{_LAST}">', _again("<c/>", size), "</row>")),
    "wide rows": lambda size: _in_sheet(_wide(size)),
    "a far row": lambda _size: _in_sheet(iter([f'<row r="{"9" * 15}"><c><v>1</v></c></row>'])),
    "merged cells": lambda size: _in_sheet(
        _between("</sheetData><mergeCells>", _again('<mergeCell ref="A1:B1"/>', size), "</mergeCells><sheetData>")
    ),
    "entities": lambda _size: _part(
        _SHEET, iter(['<!DOCTYPE a [<!ENTITY b "cccccccccc"><!ENTITY d "&b;&b;&b;&b;">]><worksheet>&d;</worksheet>'])
    ),
    "styles": lambda size: _part(
        _STYLES, _between("<styleSheet><cellXfs>", _again("<xf/>", size), "</cellXfs></styleSheet>")
    ),
    "number formats": lambda size: _part(
        _STYLES,
        _between(
            "<styleSheet><numFmts>", _numbered('<numFmt numFmtId="#" formatCode="0"/>', size), "</numFmts></styleSheet>"
        ),
    ),
    "sheets": _many_sheets,
    "relations": _relations,
    "parts": lambda size: {f"p/{number}": iter(()) for number in range(min(200_000, size // 1_000))},
}


def write(path: Path, name: str, size: int) -> None:
    """Write a workbook with one harm."""
    parts: dict[str, Pieces] = {part: iter([content]) for part, content in _PARTS.items()}
    parts[_SHEET] = _sheet(harm=iter(()))
    parts |= HARMS[name](size)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as workbook:
        for part, pieces in parts.items():
            with workbook.open(part, "w", force_zip64=True) as file:
                for piece in pieces:
                    file.write(piece.encode())
