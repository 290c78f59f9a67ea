"""An Excel workbook (.xlsx) becomes rows of text, in one stream, as the same list saved as CSV would give them.

In: a seekable stream of a ZIP with Office Open XML (ECMA-376). Out: the first visible sheet's rows. The libraries hold
a workbook's texts as objects (openpyxl) or its whole sheet (calamine): a million rows would take several times our
memory. Here the texts that cells share lie packed in one buffer, and the sheet is parsed as it is unpacked. Can't
happen here: an entity that is expanded, memory that grows with what a small file unpacks to, a reading aid (フリガナ)
taken for a part of the name.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import BinaryIO, NamedTuple

from app.intake.reading.excel_numbers import UNCOMPUTED, Show, number_shown, show, show_text
from app.intake.reading.excel_parts import BROKEN, SAVE_AS_CSV, Handler, Parts, Styles, fed, find_sheets, is_on, parse
from app.problems import Kind, Refused
from app.values.cell_text import HIDDEN_ROW

_NO_SHEET = Kind(
    "book_without_visible_sheet",
    "表示されているシートがありません。名簿のシートを表示して保存し直してください。",
)
_TOO_MUCH_TEXT = Kind("book_too_much_text", "Excelブックの文字が多すぎます。" + SAVE_AS_CSV)

SIGNATURE = b"PK\x03\x04"

# of the texts that cells share, UTF-8 bytes in memory: a million rows with five texts of their own take about 60 MB
_MOST_TEXT = 100_000_000
# a cell that uses a shared text takes more bytes than this: of more texts than these some are used by none
_CELL_BYTES = 20
_FEW_TEXTS = 10_000
_MOST_COLUMNS = 16_384  # Excel's
_MOST_ROWS = 1_048_576  # Excel's
_LONGEST_REFERENCE = len("XFD1048576")
# shared, by a formula, in the cell itself
_TEXT_KINDS = frozenset({"s", "str", "inlineStr"})
# time that reading may take for each text and each row with something in it, seconds: several times what it takes
_TEXT_S, _ROW_S = 0.000_005, 0.001

Earn = Callable[[float], None]
"""Hears now and then how many seconds of a processor the rows and texts read so far are worth."""


class Sheet(NamedTuple):
    """A sheet: its name, those of all visible ones, its rows, the share of it that was read (0 to 1).

    `hidden_columns` tells the places of the columns that it hides, once its first row was read.
    """

    name: str
    names: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]]]
    read: Callable[[], float]
    hidden_columns: Callable[[], Sequence[int]] = tuple


def _nothing(_seconds: float) -> None:
    """Hear what reading is worth, where nobody asks."""


def open_workbook(
    stream: BinaryIO,
    wanted: str = "",
    *,
    hidden: bool = False,
    earn: Earn = _nothing,
    most_text: int = _MOST_TEXT,
) -> Sheet:
    """Open a visible sheet: the one `wanted`, or the first.

    With `hidden`, its hidden rows are read too.

    Rows carry Excel's numbers and come in order; those without any text are empty lists where others follow, those
    that are hidden hold HIDDEN_ROW alone.
    Raises Refused, here or while the rows are read.
    """
    parts = Parts(stream)
    found = find_sheets(parts, parts.main())
    if not found.sheets:
        raise Refused(_NO_SHEET())
    name, part = next((sheet for sheet in found.sheets if sheet[0] == wanted), found.sheets[0])
    if not parts.has(part):
        raise Refused(BROKEN())
    texts = _Texts(max(_FEW_TEXTS, found.size // _CELL_BYTES), most_text)
    if parts.has(found.texts):
        texts.more = fed(parts, found.texts, _SharedTexts(texts))
    texts.earn = earn
    shows = _shows(parts, found.styles, found.epoch) if parts.has(found.styles) else []
    size = parts.size(part)
    at = [0]
    cells = _SheetRows(texts, shows, hidden=hidden, stale=found.stale)
    names = tuple(name for name, _ in found.sheets)
    rows = _rows(parts, part, cells, at, earn)
    return Sheet(name, names, rows, lambda: at[0] / max(1, size), lambda: sorted(cells.hidden_columns))


class _Texts:
    """Texts by number, packed: 4 bytes each and their UTF-8, where objects would take 80.

    They are read as they are asked for: the first rows need the first texts alone.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self.more: Iterator[int] = iter(())
        self.earn: Earn = _nothing
        self._most, self._most_bytes = most, most_bytes
        self._data = bytearray()
        self._ends = array("I", [0])

    def add(self, text: str) -> None:
        self._data += text.encode(errors="surrogatepass")  # _xD800_: refused at its cell, not with the whole workbook
        if len(self._data) > self._most_bytes or len(self._ends) > self._most:
            raise Refused(_TOO_MUCH_TEXT())
        self._ends.append(len(self._data))

    def __getitem__(self, number: int) -> str:
        while number + 1 >= len(self._ends):
            if next(self.more, None) is None:
                raise ValueError(number)
            self.earn(len(self._ends) * _TEXT_S)
        return self._data[self._ends[number] : self._ends[number + 1]].decode(errors="surrogatepass")


class _SharedTexts(Handler):
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


class _SheetRows(Handler):
    """A sheet's part: rows as they end."""

    def __init__(
        self, texts: _Texts, shows: list[tuple[Show | None, Show | None]], *, hidden: bool, stale: bool
    ) -> None:
        super().__init__()
        self._take_hidden = hidden
        self._hidden = self._hidden_by_default = self._formula = False
        # a program that computes nothing itself leaves a formula's result empty, or writes 0
        self._not_computed = frozenset({"", "0"} if stale else {""})
        self.filled = 0
        self.hidden_columns: set[int] = set()
        self.rows: list[tuple[int, list[str]]] = []
        self._texts = texts
        self._shows = shows
        self._number = 0
        self._cells: list[str] = []
        self._place = self._next = 0
        self._kind = "n"
        self._style = ""
        # a text in the cell itself; in it, a reading aid
        self._within = {"is": False, "rPh": False}
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
            self._formula = False
        elif name == "v" or (name == "t" and self._within["is"] and not self._within["rPh"]):
            self.wanted = True
        elif name == "row":
            self._number = int(attributes.get("r", self._number + 1))
            if self._number > _MOST_ROWS:
                raise ValueError(self._number)
            self._cells = []
            self._next = 0
            self._hidden = _is_hidden(attributes, "ht") or (self._hidden_by_default and "hidden" not in attributes)
        elif name == "col":
            if _is_hidden(attributes, "width"):
                first, last = int(attributes["min"]), int(attributes["max"])
                self.hidden_columns.update(range(max(0, first - 1), min(last, _MOST_COLUMNS)))
        elif name == "f":
            self._formula = True
        elif name == "sheetFormatPr":
            self._hidden_by_default = is_on(attributes.get("zeroHeight"))
        elif name in self._within:
            self._within[name] = True

    def end(self, name: str) -> None:
        self.wanted = False
        if name == "c":
            if self._formula and self._kind == "n" and "".join(self.text) in self._not_computed:
                self.take()
                self._put(UNCOMPUTED)
            elif self.text:
                self._put(self._value())
        elif name == "row":
            if any(self._cells):
                self.filled += 1
                if self._hidden and not self._take_hidden:
                    self.rows.append((self._number, [HIDDEN_ROW]))
                else:
                    self.rows.append((self._number, self._cells))
        elif name in self._within:
            self._within[name] = False

    def _put(self, text: str) -> None:
        """Put a cell's text in its place; some programs write a row's cells out of order."""
        cells, place = self._cells, self._place
        if place >= len(cells):
            cells.extend([""] * (place - len(cells)))
            cells.append(text)
        elif cells[place]:
            raise ValueError(place)
        else:
            cells[place] = text

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


def _is_hidden(attributes: dict[str, str], size: str) -> bool:
    """Return whether a row or a column isn't seen: hidden, or of no height or width as other programs write it."""
    return is_on(attributes.get("hidden")) or (size in attributes and float(attributes[size]) == 0)


def _rows(parts: Parts, part: str, found: _SheetRows, at: list[int], earn: Earn) -> Iterator[tuple[int, list[str]]]:
    expected = 1
    for size in fed(parts, part, found):
        at[0] = size
        earn(found.filled * _ROW_S)
        for number, cells in found.rows:
            if number < expected:
                raise Refused(BROKEN())
            for empty in range(expected, number):
                yield empty, []
            yield number, cells
            expected = number + 1
        found.rows.clear()


def _shows(parts: Parts, part: str, epoch: datetime) -> list[tuple[Show | None, Show | None]]:
    """Return for each style of cells how its numbers and its texts are shown, None where they are plain."""
    styles = Styles()
    parse(parts, part, styles)
    return [
        (show(number, styles.codes.get(number), epoch), show_text(styles.codes.get(number)))
        for number in styles.formats
    ]
