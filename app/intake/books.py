"""An Excel book (.xlsx) becomes rows of text, in one stream, as the same list saved as CSV would give them.

In: a seekable stream of a ZIP with Office Open XML (ECMA-376). Out: the first visible sheet's rows. The libraries hold
a book's texts as objects (openpyxl) or its whole sheet (calamine): a million rows would take several times our memory.
Here the texts that cells share lie packed in one buffer, and the sheet is parsed as it is unpacked. What can't happen
here: an entity that is expanded, memory that grows with what a small file unpacks to, a reading aid (フリガナ) taken
for a part of the name.
"""

import re
import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import BinaryIO, NamedTuple
from xml.parsers import expat

from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900

from app.intake.encodings import BadFile
from app.intake.shown import Show, number_shown, show

SIGNATURE = b"PK\x03\x04"

_PIECE = 1 << 16
# of the texts that cells share, UTF-8 bytes in memory: a million rows with five texts of their own take about 60 MB
_MOST_TEXT = 100_000_000
# of the small parts (relations, styles), unpacked
_MOST_PART = 20_000_000
_MOST_COLUMNS = 16_384  # Excel's

_SAVE_AS_CSV = "Excelで開き、「名前を付けて保存」で「CSV UTF-8」を選んで保存し、そのファイルを選んでください。"
_BROKEN = "Excelブックが壊れているため読めません。" + _SAVE_AS_CSV
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


class Sheet(NamedTuple):
    """A sheet: its name, how many other visible ones the book has, its rows, the share of it that was read (0 to 1)."""

    name: str
    others: int
    rows: Iterator[tuple[int, list[str]]]
    read: Callable[[], float]


def open_book(stream: BinaryIO) -> Sheet:
    """Open the first visible sheet.

    Rows carry Excel's numbers and come in order; those without any text are empty lists where others follow.
    Raises BadFile, here or while the rows are read: binary (no book of this kind), broken_book, too_large.
    """
    try:
        book = zipfile.ZipFile(stream)
        names = set(book.namelist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        raise BadFile("broken_book", _BROKEN) from None
    if "xl/workbook.xml" not in names:
        raise BadFile("binary", "取り込めるExcelブック(.xlsx)ではありません。" + _SAVE_AS_CSV)
    sheets, epoch = _sheets(book)
    if not sheets:
        raise BadFile("broken_book", "表示されているシートがありません。名簿のシートを表示して保存し直してください。")
    name, part = sheets[0]
    if part not in names:
        raise BadFile("broken_book", _BROKEN)
    texts = _Texts()
    if "xl/sharedStrings.xml" in names:
        texts.more = _fed(book, "xl/sharedStrings.xml", _SharedTexts(texts))
    shows = _shows(book, epoch) if "xl/styles.xml" in names else []
    size = book.getinfo(part).file_size
    at = [0]
    return Sheet(name, len(sheets) - 1, _rows(book, part, _SheetRows(texts, shows), at), lambda: at[0] / max(1, size))


class _Texts:
    """Texts by number, packed: 4 bytes each and their UTF-8, where objects would take 80.

    They are read as they are asked for: the first rows need the first texts alone.
    """

    def __init__(self) -> None:
        self.more: Iterator[int] = iter(())
        self._data = bytearray()
        self._ends = array("I", [0])

    def add(self, text: str) -> None:
        self._data += text.encode()
        if len(self._data) > _MOST_TEXT:
            raise BadFile("too_large", "Excelブックの文字が多すぎます。" + _SAVE_AS_CSV)
        self._ends.append(len(self._data))

    def __getitem__(self, number: int) -> str:
        while number + 1 >= len(self._ends):
            if next(self.more, None) is None:
                raise ValueError(number)
        return self._data[self._ends[number] : self._ends[number + 1]].decode()


class _Handler:
    """What is told of a part's elements: `start` and `end` with names without prefix; text while `wanted`."""

    wanted = False

    def __init__(self) -> None:
        self.text: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Hear of an element's beginning."""

    def end(self, name: str) -> None:
        """Hear of an element's end."""

    def characters(self, text: str) -> None:
        if self.wanted:
            self.text.append(text)

    def take(self) -> str:
        """Give the text since the last time, Excel's escapes undone."""
        text = self.text[0] if len(self.text) == 1 else "".join(self.text)
        self.text.clear()
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


class _SharedTexts(_Handler):
    """xl/sharedStrings.xml: one text for each si, of all its t, but for those of a reading aid (rPh)."""

    def __init__(self, texts: _Texts) -> None:
        super().__init__()
        self._texts = texts
        self._aid = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        del attributes
        if name == "t":
            self.wanted = not self._aid
        elif name == "rPh":
            self._aid = True

    def end(self, name: str) -> None:
        self.wanted = False
        if name == "rPh":
            self._aid = False
        elif name == "si":
            self._texts.add(self.take())


class _SheetRows(_Handler):
    """A sheet's part: rows as they end."""

    def __init__(self, texts: _Texts, shows: list[Show | None]) -> None:
        super().__init__()
        self.rows: list[tuple[int, list[str]]] = []
        self._texts = texts
        self._shows = shows
        self._number = 0
        self._cells: list[str] = []
        self._place = 0
        self._kind = "n"
        self._style = ""
        self._aid = False
        self._places: dict[str, int] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            get = attributes.get
            self._kind = get("t", "n")
            self._style = get("s", "")
            reference = get("r")
            self._place = self._at(reference) if reference else len(self._cells)
        elif name == "v" or (name == "t" and not self._aid):
            self.wanted = True
        elif name == "row":
            self._number = int(attributes.get("r", self._number + 1))
            self._cells = []
        elif name == "rPh":
            self._aid = True

    def end(self, name: str) -> None:
        self.wanted = False
        if name == "c":
            if self.text:
                cells = self._cells
                while len(cells) < self._place:
                    cells.append("")
                cells.append(self._value())
        elif name == "row":
            self.rows.append((self._number, self._cells))
        elif name == "rPh":
            self._aid = False

    def _at(self, reference: str) -> int:
        letters = reference.rstrip("0123456789")
        place = self._places.get(letters)
        if place is None:
            place = 0
            for letter in letters:
                place = place * 26 + ord(letter) - ord("A") + 1
            place -= 1
            if not 0 <= place < _MOST_COLUMNS:
                raise ValueError(letters)
            self._places[letters] = place
        return place

    def _value(self) -> str:
        text, kind = self.take(), self._kind
        if kind == "s":
            return self._texts[int(text)]
        if kind == "n":
            shown = self._shows[int(self._style)] if self._style and self._shows else None
            return shown(text) if shown else number_shown(text)
        if kind == "b":
            return "TRUE" if text == "1" else "FALSE"
        return text


def _rows(book: zipfile.ZipFile, part: str, found: _SheetRows, at: list[int]) -> Iterator[tuple[int, list[str]]]:
    expected = 1
    for size in _fed(book, part, found):
        at[0] = size
        for number, cells in found.rows:
            if not any(cells):
                continue
            if number < expected:
                raise BadFile("broken_book", _BROKEN)
            for empty in range(expected, number):
                yield empty, []
            yield number, cells
            expected = number + 1
        found.rows.clear()


def _parse(book: zipfile.ZipFile, part: str, handler: _Handler) -> None:
    for size in _fed(book, part, handler):
        if size > _MOST_PART:
            raise BadFile("too_large", "Excelブックの書式が大きすぎます。" + _SAVE_AS_CSV)


def _fed(book: zipfile.ZipFile, part: str, handler: _Handler) -> Iterator[int]:
    """Parse a part piece by piece; give after each how many bytes were read. Raises BadFile: broken_book."""
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def start(name: str, attributes: dict[str, str]) -> None:
        handler.start(name.rpartition(":")[2] if ":" in name else name, attributes)

    def end(name: str) -> None:
        handler.end(name.rpartition(":")[2] if ":" in name else name)

    def refuse(*_: object) -> None:
        raise BadFile("broken_book", _BROKEN)

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = handler.characters
    parser.StartDoctypeDeclHandler = refuse  # no book has one; entities could be expanded without end
    size = 0
    try:
        with book.open(part) as file:
            while piece := file.read(_PIECE):
                size += len(piece)
                parser.Parse(piece, False)  # noqa: FBT003 - expat takes it by place
                yield size
            parser.Parse(b"", True)  # noqa: FBT003
            yield size
    except (expat.ExpatError, zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, IndexError):
        raise BadFile("broken_book", _BROKEN) from None
    except (RuntimeError, NotImplementedError):  # sealed with a password, or packed in an unknown way
        raise BadFile("broken_book", _BROKEN) from None


# --- the small parts ---


class _Workbook(_Handler):
    def __init__(self) -> None:
        super().__init__()
        self.sheets: list[tuple[str, str]] = []
        self.epoch = CALENDAR_WINDOWS_1900

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "sheet" and attributes.get("state", "visible") == "visible":
            relation = next((value for key, value in attributes.items() if key.endswith(":id")), "")
            self.sheets.append((attributes.get("name", ""), relation))
        elif name == "workbookPr" and attributes.get("date1904") in {"1", "true"}:
            self.epoch = CALENDAR_MAC_1904


class _Relations(_Handler):
    def __init__(self) -> None:
        super().__init__()
        self.targets: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship" and attributes.get("Type", "").endswith("/worksheet"):
            target = attributes.get("Target", "")
            self.targets[attributes.get("Id", "")] = target.lstrip("/") if target.startswith("/") else f"xl/{target}"


def _sheets(book: zipfile.ZipFile) -> tuple[list[tuple[str, str]], datetime]:
    """Give the visible sheets with their parts, and the day that dates are counted from."""
    workbook, relations = _Workbook(), _Relations()
    _parse(book, "xl/workbook.xml", workbook)
    _parse(book, "xl/_rels/workbook.xml.rels", relations)
    found = [(name, relations.targets[key]) for name, key in workbook.sheets if key in relations.targets]
    return found, workbook.epoch


class _Styles(_Handler):
    def __init__(self) -> None:
        super().__init__()
        self.codes: dict[int, str] = {}
        self.formats: list[int] = []
        self._in_cells = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "numFmt":
            self.codes[int(attributes["numFmtId"])] = attributes.get("formatCode", "")
        elif name == "cellXfs":
            self._in_cells = True
        elif name == "xf" and self._in_cells:
            self.formats.append(int(attributes.get("numFmtId", 0)))

    def end(self, name: str) -> None:
        if name == "cellXfs":
            self._in_cells = False


def _shows(book: zipfile.ZipFile, epoch: datetime) -> list[Show | None]:
    """Give for each style of cells how its numbers are shown, None where they are plain."""
    styles = _Styles()
    _parse(book, "xl/styles.xml", styles)
    return [show(number, styles.codes.get(number), epoch) for number in styles.formats]
