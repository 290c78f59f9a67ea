"""The parts of an Excel workbook: found by their relations, parsed piece by piece, the small ones read whole.

In: a ZIP with Office Open XML (ECMA-376). Out: what a part's elements say, as they come; sheets, formats and relations.
Can't happen here: an entity that is expanded, a part without a bound.
"""

import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime
from typing import IO, BinaryIO, NamedTuple
from xml.parsers import expat

from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900

from app.problems import Kind, Refused

_PIECE = 1 << 16
# of the small parts (relations, styles), unpacked
_MOST_PART = 20_000_000
_MOST_PARTS = 10_000
# of one token (a tag with its attributes, a comment), and of all comments of a part
_LONGEST_TOKEN = 1_000_000
_MOST_COMMENTS = 1_000_000
_MOST_SHEETS = 1_000
_LONGEST_NAME = 255  # of a sheet; Excel's own are 31
_MOST_FORMATS = 65_490  # Excel's
_LONGEST_TEXT = 7 * 32_767  # of a cell, by Excel; each letter may be written as _x0041_

SAVE_AS_CSV = "Excelで開き、「名前を付けて保存」で「CSV UTF-8」を選んで保存し、そのファイルを選んでください。"
BROKEN = Kind("book_broken", "Excelブックが壊れているため読めません。" + SAVE_AS_CSV)
_TOO_MANY_PARTS = Kind("book_too_many_parts", "Excelブックの部品が多すぎます。" + SAVE_AS_CSV)
_NOT_XLSX = Kind("book_not_xlsx", "取り込めるExcelブック(.xlsx)ではありません。" + SAVE_AS_CSV)
LONG_CELL = Kind("book_cell_too_long", "Excelブックに長すぎるセルがあります。短くして保存し直してください。")
_LARGE_FORMATS = Kind("book_formats_too_large", "Excelブックの書式が大きすぎます。" + SAVE_AS_CSV)
_TOO_MANY_FORMATS = Kind("book_too_many_formats", "Excelブックの書式が多すぎます。" + SAVE_AS_CSV)
_TOO_MANY_SHEETS = Kind("book_too_many_sheets", "シートが多すぎるか、シートの名前が長すぎます。" + SAVE_AS_CSV)
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


class Parts:
    """A workbook's parts by name, without regard to case and to which slash separates (ECMA-376 part 2, 6.2.2)."""

    def __init__(self, stream: BinaryIO) -> None:
        try:
            self._zip = zipfile.ZipFile(stream)
            if len(self._zip.filelist) > _MOST_PARTS:
                raise Refused(_TOO_MANY_PARTS())
            self._parts = {_part_name(info.filename): info for info in self._zip.filelist}
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
            raise Refused(BROKEN()) from None

    def has(self, name: str) -> bool:
        """Return whether there is such a part."""
        return _part_name(name) in self._parts

    def size(self, name: str) -> int:
        """Return how many bytes a part says that it unpacks to."""
        return self._parts[_part_name(name)].file_size

    def open(self, name: str) -> IO[bytes]:
        """Open a part for reading."""
        return self._zip.open(self._parts[_part_name(name)])

    def main(self) -> str:
        """Return the workbook part's name, by the package's relations.

        Raises Refused for another kind of file.
        """
        if self.has("_rels/.rels"):
            relations = _Relations("")
            parse(self, "_rels/.rels", relations)
            found = relations.of_kind("/officeDocument")
            if found and self.has(found) and not found.lower().startswith(("word/", "ppt/")):
                return found
        if self.has("xl/workbook.xml"):
            return "xl/workbook.xml"
        raise Refused(_NOT_XLSX())


def _part_name(name: str) -> str:
    return posixpath.normpath(name.replace("\\", "/").lstrip("/")).lower()


class Handler:
    """A listener to a part's elements: `start` and `end` with names without prefix; text while `wanted`."""

    wanted = False

    def __init__(self) -> None:
        self.text: list[str] = []
        self._size = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Hear of an element's beginning."""

    def end(self, name: str) -> None:
        """Hear of an element's end."""

    def characters(self, text: str) -> None:
        """Hear of a piece of text."""
        if self.wanted:
            self.text.append(text)
            self._size += len(text)
            if self._size > _LONGEST_TEXT:
                raise Refused(LONG_CELL())

    def take(self) -> str:
        """Return the text since the last time, Excel's escapes undone."""
        text = self.text[0] if len(self.text) == 1 else "".join(self.text)
        self.text.clear()
        self._size = 0
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def parse(parts: Parts, part: str, handler: Handler) -> None:
    """Read a small part to its end. Raises Refused."""
    for size in fed(parts, part, handler):
        if size > _MOST_PART:
            raise Refused(_LARGE_FORMATS())


def fed(parts: Parts, part: str, handler: Handler) -> Iterator[int]:
    """Parse a part piece by piece; give after each how many bytes were read.

    Raises Refused.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def start(name: str, attributes: dict[str, str]) -> None:
        handler.start(name.rpartition(":")[2] if ":" in name else name, attributes)

    def end(name: str) -> None:
        handler.end(name.rpartition(":")[2] if ":" in name else name)

    def refuse(*_: object) -> None:
        raise Refused(BROKEN())

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = handler.characters
    parser.StartDoctypeDeclHandler = refuse  # no workbook has one; entities could be expanded without end
    comments = size = 0

    def comment(text: str) -> None:
        nonlocal comments
        comments += len(text)
        if comments > _MOST_COMMENTS:
            refuse()

    parser.CommentHandler = comment
    try:
        with parts.open(part) as file:
            while piece := file.read(_PIECE):
                size += len(piece)
                parser.Parse(piece, False)  # noqa: FBT003 - expat takes it by place
                if size - parser.CurrentByteIndex > _LONGEST_TOKEN:
                    refuse()
                yield size
            parser.Parse(b"", True)  # noqa: FBT003
            yield size
    except (expat.ExpatError, zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, IndexError):
        raise Refused(BROKEN()) from None
    except (RuntimeError, NotImplementedError):  # sealed with a password, or packed in an unknown way
        raise Refused(BROKEN()) from None


# --- the small parts ---


class _Workbook(Handler):
    def __init__(self) -> None:
        super().__init__()
        self.sheets: list[tuple[str, str]] = []
        self.epoch = CALENDAR_WINDOWS_1900
        self.stale = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "sheet" and attributes.get("state", "visible") == "visible":
            relation = next((value for key, value in attributes.items() if key.endswith(":id")), "")
            self.sheets.append((attributes.get("name", ""), relation))
            if len(self.sheets) > _MOST_SHEETS or len(self.sheets[-1][0]) > _LONGEST_NAME:
                raise Refused(_TOO_MANY_SHEETS())
        elif name == "workbookPr" and attributes.get("date1904") in {"1", "true"}:
            self.epoch = CALENDAR_MAC_1904
        elif name == "calcPr":
            self.stale = is_on(attributes.get("fullCalcOnLoad"))


class _Relations(Handler):
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


class Found(NamedTuple):
    """A workbook's visible sheets by name and part, what their cells share, and how much all sheets hold, unpacked.

    `epoch` is the day that dates count from; `stale` says that no formula's result counts until it is computed anew.
    """

    sheets: list[tuple[str, str]]
    epoch: datetime
    stale: bool
    texts: str
    styles: str
    size: int


def find_sheets(parts: Parts, main: str) -> Found:
    """Read the workbook's own part and its relations. Raises Refused."""
    folder, base = posixpath.split(main)
    workbook, relations = _Workbook(), _Relations(folder)
    parse(parts, main, workbook)
    parse(parts, f"{folder}/_rels/{base}.rels", relations)
    found = [(name, relations.targets[key]) for name, key in workbook.sheets if key in relations.targets]
    # old writers leave these two out of the relations
    texts = relations.of_kind("/sharedStrings") or f"{folder}/sharedStrings.xml"
    styles = relations.of_kind("/styles") or f"{folder}/styles.xml"
    size = sum(parts.size(part) for part in {*relations.targets.values()} - {texts} if parts.has(part))
    return Found(found, workbook.epoch, workbook.stale, texts, styles, size)


def is_on(value: str | None) -> bool:
    """Return whether an attribute's value is a yes."""
    return value in {"1", "true", "on"}


class Styles(Handler):
    """Number formats, and which of them each style of cells has."""

    def __init__(self) -> None:
        super().__init__()
        self.codes: dict[int, str] = {}
        self.formats: list[int] = []
        self._in_cells = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Hear of a format or a style."""
        if name == "numFmt":
            self.codes[int(attributes["numFmtId"])] = attributes.get("formatCode", "")
        elif name == "cellXfs":
            self._in_cells = True
        elif name == "xf" and self._in_cells:
            self.formats.append(int(attributes.get("numFmtId", 0)))
        if max(len(self.codes), len(self.formats)) > _MOST_FORMATS:
            raise Refused(_TOO_MANY_FORMATS())

    def end(self, name: str) -> None:
        """Hear that the cells' styles are over."""
        if name == "cellXfs":
            self._in_cells = False
