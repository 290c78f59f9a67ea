"""An Excel book (.xlsx) becomes rows of text, in one stream, as the same list saved as CSV would give them.

In: a seekable stream of a ZIP with Office Open XML (ECMA-376). Out: the first visible sheet's rows. The libraries hold
a book's texts as objects (openpyxl) or its whole sheet (calamine): a million rows would take several times our memory.
Here the texts that cells share lie packed in one buffer, and the sheet is parsed as it is unpacked. What can't happen
here: an entity that is expanded, memory that grows with what a small file unpacks to, a reading aid (フリガナ) taken
for a part of the name.
"""

import posixpath
import re
import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import IO, BinaryIO, NamedTuple
from xml.parsers import expat

from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900

from app.intake.encodings import BadFile
from app.intake.shown import Show, number_shown, show, show_text

SIGNATURE = b"PK\x03\x04"

_PIECE = 1 << 16
# of the texts that cells share, UTF-8 bytes in memory: a million rows with five texts of their own take about 60 MB
_MOST_TEXT = 100_000_000
# of the small parts (relations, styles), unpacked
_MOST_PART = 20_000_000
_MOST_COLUMNS = 16_384  # Excel's
_MOST_PARTS = 10_000
_LONGEST_TEXT = 7 * 32_767  # of a cell, by Excel; each letter may be written as _x0041_
_LONGEST_REFERENCE = len("XFD1048576")
# shared, by a formula, in the cell itself
_TEXT_KINDS = frozenset({"s", "str", "inlineStr"})

_SAVE_AS_CSV = "Excelで開き、「名前を付けて保存」で「CSV UTF-8」を選んで保存し、そのファイルを選んでください。"
_BROKEN = "Excelブックが壊れているため読めません。" + _SAVE_AS_CSV
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


class Sheet(NamedTuple):
    """A sheet: its name, those of all visible ones, its rows, the share of it that was read (0 to 1)."""

    name: str
    names: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]]]
    read: Callable[[], float]


def open_book(stream: BinaryIO, wanted: str = "", *, hidden: bool = False) -> Sheet:
    """Open a visible sheet: the one `wanted`, or the first. With `hidden`, its hidden rows are read too.

    Rows carry Excel's numbers and come in order; those without any text are empty lists where others follow.
    Raises BadFile, here or while the rows are read: binary (no book of this kind), broken_book, too_large.
    """
    book = _Parts(stream)
    main = book.main()
    sheets, epoch, texts_part, styles_part = _sheets(book, main)
    if not sheets:
        raise BadFile("broken_book", "表示されているシートがありません。名簿のシートを表示して保存し直してください。")
    name, part = next((sheet for sheet in sheets if sheet[0] == wanted), sheets[0])
    if not book.has(part):
        raise BadFile("broken_book", _BROKEN)
    texts = _Texts()
    if texts_part and book.has(texts_part):
        texts.more = _fed(book, texts_part, _SharedTexts(texts))
    shows = _shows(book, styles_part, epoch) if styles_part and book.has(styles_part) else []
    size = book.size(part)
    at = [0]
    found = _SheetRows(texts, shows, hidden=hidden)
    names = tuple(name for name, _ in sheets)
    return Sheet(name, names, _rows(book, part, found, at), lambda: at[0] / max(1, size))


def count_hidden_rows(stream: BinaryIO, wanted: str) -> int:
    """Return how many rows with something in them a sheet hides, by a filter or by hand. Raises BadFile."""
    shown = sum(any(cells) for _, cells in open_book(stream, wanted).rows)
    return sum(any(cells) for _, cells in open_book(stream, wanted, hidden=True).rows) - shown


class _Parts:
    """A workbook's parts by name, without regard to case and to which slash separates (ECMA-376 part 2, 6.2.2)."""

    def __init__(self, stream: BinaryIO) -> None:
        try:
            self._zip = zipfile.ZipFile(stream)
            if len(self._zip.filelist) > _MOST_PARTS:
                raise BadFile("too_large", "Excelブックの部品が多すぎます。" + _SAVE_AS_CSV)
            self._parts = {_part_name(info.filename): info for info in self._zip.filelist}
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
            raise BadFile("broken_book", _BROKEN) from None

    def has(self, name: str) -> bool:
        return _part_name(name) in self._parts

    def size(self, name: str) -> int:
        return self._parts[_part_name(name)].file_size

    def open(self, name: str) -> IO[bytes]:
        return self._zip.open(self._parts[_part_name(name)])

    def main(self) -> str:
        """Return the workbook part's name, by the package's relations. Raises BadFile for another kind of file."""
        if self.has("_rels/.rels"):
            relations = _Relations("")
            _parse(self, "_rels/.rels", relations)
            found = relations.of_kind("/officeDocument")
            if found and self.has(found) and not found.lower().startswith(("word/", "ppt/")):
                return found
        if self.has("xl/workbook.xml"):
            return "xl/workbook.xml"
        raise BadFile("binary", "取り込めるExcelブック(.xlsx)ではありません。" + _SAVE_AS_CSV)


def _part_name(name: str) -> str:
    return posixpath.normpath(name.replace("\\", "/").lstrip("/")).lower()


class _Texts:
    """Texts by number, packed: 4 bytes each and their UTF-8, where objects would take 80.

    They are read as they are asked for: the first rows need the first texts alone.
    """

    def __init__(self) -> None:
        self.more: Iterator[int] = iter(())
        self._data = bytearray()
        self._ends = array("I", [0])

    def add(self, text: str) -> None:
        self._data += text.encode(errors="surrogatepass")  # _xD800_: refused at its cell, not with the whole book
        if len(self._data) > _MOST_TEXT:
            raise BadFile("too_large", "Excelブックの文字が多すぎます。" + _SAVE_AS_CSV)
        self._ends.append(len(self._data))

    def __getitem__(self, number: int) -> str:
        while number + 1 >= len(self._ends):
            if next(self.more, None) is None:
                raise ValueError(number)
        return self._data[self._ends[number] : self._ends[number + 1]].decode(errors="surrogatepass")


class _Handler:
    """What is told of a part's elements: `start` and `end` with names without prefix; text while `wanted`."""

    wanted = False

    def __init__(self) -> None:
        self.text: list[str] = []
        self._size = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Hear of an element's beginning."""

    def end(self, name: str) -> None:
        """Hear of an element's end."""

    def characters(self, text: str) -> None:
        if self.wanted:
            self.text.append(text)
            self._size += len(text)
            if self._size > _LONGEST_TEXT:
                raise BadFile("cell_too_long", "Excelブックに長すぎるセルがあります。短くして保存し直してください。")

    def take(self) -> str:
        """Give the text since the last time, Excel's escapes undone."""
        text = self.text[0] if len(self.text) == 1 else "".join(self.text)
        self.text.clear()
        self._size = 0
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

    def __init__(self, texts: _Texts, shows: list[tuple[Show | None, Show | None]], *, hidden: bool) -> None:
        super().__init__()
        self._take_hidden = hidden
        self._hidden = self._hidden_by_default = False
        self.rows: list[tuple[int, list[str]]] = []
        self._texts = texts
        self._shows = shows
        self._number = 0
        self._cells: list[str] = []
        self._place = self._next = 0
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
            # a cell that names no place stands behind the one before it, an empty one too
            self._place = self._at(reference) if reference else self._next
            self._next = self._place + 1
        elif name == "v" or (name == "t" and not self._aid):
            self.wanted = True
        elif name == "row":
            self._number = int(attributes.get("r", self._number + 1))
            self._cells = []
            self._next = 0
            self._hidden = _is_on(attributes.get("hidden")) or (self._hidden_by_default and "hidden" not in attributes)
        elif name == "sheetFormatPr":
            self._hidden_by_default = _is_on(attributes.get("zeroHeight"))
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
            self.rows.append((self._number, [] if self._hidden and not self._take_hidden else self._cells))
        elif name == "rPh":
            self._aid = False

    def _at(self, reference: str) -> int:
        if len(reference) > _LONGEST_REFERENCE:
            raise ValueError(reference[:_LONGEST_REFERENCE])
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
        number, words = self._shows[int(self._style)] if self._style and self._shows else (None, None)
        if kind == "n":
            return number(text) if number else number_shown(text)
        if kind == "b":
            return "TRUE" if text == "1" else "FALSE"
        if kind == "s":
            text = self._texts[int(text)]
        return words(text) if words and kind in _TEXT_KINDS else text


def _is_on(value: str | None) -> bool:
    return value in {"1", "true", "on"}


def _rows(book: _Parts, part: str, found: _SheetRows, at: list[int]) -> Iterator[tuple[int, list[str]]]:
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


def _parse(book: _Parts, part: str, handler: _Handler) -> None:
    for size in _fed(book, part, handler):
        if size > _MOST_PART:
            raise BadFile("too_large", "Excelブックの書式が大きすぎます。" + _SAVE_AS_CSV)


def _fed(book: _Parts, part: str, handler: _Handler) -> Iterator[int]:
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
    """A part's relations: targets by id, and by kind. `folder` is the part's own."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.targets: dict[str, str] = {}
        self._kinds: dict[str, str] = {}
        self._folder = folder

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name != "Relationship" or attributes.get("TargetMode") == "External":
            return
        target = attributes.get("Target", "").replace("\\", "/")
        part = target.lstrip("/") if target.startswith("/") else posixpath.join(self._folder, target)
        self.targets[attributes.get("Id", "")] = part
        self._kinds.setdefault(attributes.get("Type", "").rpartition("/")[2].lower(), part)

    def of_kind(self, kind: str) -> str:
        """Return the first target of a kind, such as /styles, or nothing."""
        return self._kinds.get(kind.lstrip("/").lower(), "")


def _sheets(book: _Parts, main: str) -> tuple[list[tuple[str, str]], datetime, str, str]:
    """Return the visible sheets with their parts, the day that dates count from, and the parts of texts and styles."""
    folder, base = posixpath.split(main)
    workbook, relations = _Workbook(), _Relations(folder)
    _parse(book, main, workbook)
    _parse(book, f"{folder}/_rels/{base}.rels", relations)
    found = [(name, relations.targets[key]) for name, key in workbook.sheets if key in relations.targets]
    # old writers leave these two out of the relations
    texts = relations.of_kind("/sharedStrings") or f"{folder}/sharedStrings.xml"
    styles = relations.of_kind("/styles") or f"{folder}/styles.xml"
    return found, workbook.epoch, texts, styles


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


def _shows(book: _Parts, part: str, epoch: datetime) -> list[tuple[Show | None, Show | None]]:
    """Return for each style of cells how its numbers and its texts are shown, None where they are plain."""
    styles = _Styles()
    _parse(book, part, styles)
    return [
        (show(number, styles.codes.get(number), epoch), show_text(styles.codes.get(number)))
        for number in styles.formats
    ]
