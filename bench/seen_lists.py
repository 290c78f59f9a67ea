"""Lists as people make them, and what a person sees in each row: the generator of `make fuzz-lists`.

In: a source of chance, which hypothesis may steer. Out: a `List`: its form, its lines, and for each line whom a person
reads there, or that nobody can be read. Can't happen here: an answer taken from the product, whose parts it knows
nothing of.
"""

import datetime as dt
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

COLUMNS = ("reference", "phone", "name", "amount", "born", "postcode", "note")
NAMES: dict[str, tuple[str, ...]] = {
    "reference": ("管理番号", "顧客番号", "お客様番号", "会員番号"),
    "phone": ("携帯電話番号", "電話番号", "ＴＥＬ", "携帯番号", "携帯電話番号（ハイフンなし）", "※携帯電話"),
    "name": ("氏名", "お名前", "お客様名"),
    "amount": ("請求金額", "ご請求金額", "金額"),
    "born": ("生年月日", "誕生日"),
    "postcode": ("郵便番号", "〒"),
    "note": ("備考", "メモ", "Note"),
}
INVISIBLE = "\u200b\ufeff\u202a\u202c\u2060\u00ad\u200e"
_WIDE = str.maketrans("0123456789-+,", "０１２３４５６７８９－＋，")
_EPOCH = dt.date(1899, 12, 30)
_FAMILY = ("佐藤", "鈴木", "高橋", "田中", "山口", "長谷川", "森")
_GIVEN = ("太郎", "花子", "翼", "陽子", "健一", "", "ジョン・スミス")
# not in every encoding
_RARE_NAMES = ("髙﨑 德子", "𠮷野 家", "葛\U000e0100城 薫", "佐藤 👩\u200d👦", "①山 はな", "Zoë O'Neil", "佐藤〓子")
_NOTES = (
    *("", "", "", "配達は午前", "A,B", 'いわゆる"急ぎ"', "一行目\n二行目", "一\r\n二", "タブ\tあり", "; セミコロン"),
    *("=1+1", "-", "@here", "+", "#N/A", "0", "00012", "_x0041_", "…", "\u3000", "<b>&amp;", "\u2028", "〜", "ﾒﾓ"),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: the text that a person sees, and how a workbook holds it where that is no plain text.

    `number` is a numeric cell's value, `code` its number format (#14: one that is built in), `kind` another type of
    cell: d is a date in ISO 8601, e an error, words a text that its format shows otherwise, raw one whose escapes stand
    as they are, stale a formula that nobody has computed. `number` is what stands in the file in each of them.
    """

    text: str
    number: str = ""
    code: str = ""
    kind: str = ""


EMPTY = Cell("")


@dataclass(frozen=True, slots=True)
class Person:
    """A row as a person reads it: each value in its one form."""

    reference: str
    phone: str
    name: str
    amount: int
    born: str
    postcode: str
    note: str


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the sheet.

    `person` is whom it names, None where it can't be taken; a `blank` one shows nothing.
    """

    cells: tuple[Cell, ...]
    person: Person | None = None
    blank: bool = False
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class List:
    """A list: what stands above its headline, the headline, its columns in order, its lines, and how it is written."""

    form: str  # csv, tsv, semicolon, xlsx
    encoding: str
    above: tuple[Line, ...]
    header: tuple[str, ...]
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    manner: dict[str, object] = field(default_factory=dict)


def make(chance: Random) -> List:
    """Make a list."""
    form = chance.choice(("csv", "csv", "tsv", "semicolon", "xlsx", "xlsx", "xlsx"))
    encodings = ("utf-8", "utf-8-sig", "utf-16-le", "utf-16-be", "cp932", "cp932", "euc_jp", "iso2022_jp")
    encoding = "utf-8" if form == "xlsx" else chance.choice(encodings)
    columns = [name for name in COLUMNS if name not in {"reference", "note"} or _often(chance, 80)]
    if _often(chance, 30):
        chance.shuffle(columns)
    header = tuple(_hide(chance, chance.choice(NAMES[name]), encoding) for name in columns)
    workbook = form == "xlsx"
    lines = _lines(chance, columns, encoding, workbook=workbook)
    if _often(chance, 2):  # a large one
        lines = _many(lines, columns, chance.randint(200, 3_000))
    if workbook and _often(chance, 40):
        lines = [replace(line, hidden=_often(chance, 30)) for line in lines]
    manner = _workbook_manner(chance, columns) if workbook else _text_manner(chance)
    if "reference" in columns and manner.get("merge") != "reference" and _often(chance, 10):
        lines = _twins(chance, lines, columns.index("reference"))
    above = tuple(_title(chance, encoding) for _ in range(chance.choice((0, 0, 0, 1, 2, 4))))
    return List(form, encoding, above, header, tuple(columns), tuple(lines), manner)


def _often(chance: Random, percent: int) -> bool:
    return chance.randrange(100) < percent


def _text_manner(chance: Random) -> dict[str, object]:
    return {
        "eol": chance.choice(("\r\n", "\r\n", "\n", "\r")),
        "quote_all": _often(chance, 20),
        "last_eol": _often(chance, 80),
        "ctrl_z": _often(chance, 5),
        "sep_line": _often(chance, 10),
        "cut": _often(chance, 40),  # empty cells at the end are left out
        "more_columns": chance.choice((0, 0, 0, 3)),
        "marks": chance.choice((1, 1, 1, 2)),
    }


def _workbook_manner(chance: Random, columns: Sequence[str]) -> dict[str, object]:
    return {
        "shared": _often(chance, 60),
        "references": _often(chance, 90),
        "prefix": chance.choice(("", "", "", "x:")),
        "epoch1904": _often(chance, 10),
        "odd_names": _often(chance, 10),
        "sheets_before": chance.choice(("", "", "hidden", "summary")),
        "formulas": _often(chance, 20),
        "readings": _often(chance, 20),
        "hidden_column": "note" if "note" in columns and _often(chance, 10) else "",
        "hidden_by_default": _often(chance, 10),
        "styled_tail": _often(chance, 20),
        "merge": chance.choice(("", "", "", "title", "name", "reference")),
        "stored": _often(chance, 20),
    }


def _title(chance: Random, encoding: str) -> Line:
    texts = chance.choice((("請求のご案内",), ("作成日", "2026/11/30"), (), ("",), ("11月分 お客様一覧（社外秘）",)))
    return Line(tuple(Cell(_fit(text, encoding, "x")) for text in texts), blank=not any(texts))


def _lines(chance: Random, columns: Sequence[str], encoding: str, *, workbook: bool) -> list[Line]:
    lines: list[Line] = []
    for number in range(1, chance.choice((1, 2, 4, 6, 8, 12)) + 1):
        if _often(chance, 8):
            lines.append(_blank(chance, columns, encoding))
        if _often(chance, 5):
            lines.append(_remark(chance, columns, encoding))
        lines.append(_row(chance, columns, encoding, number, workbook=workbook))
    return lines


def _many(lines: Sequence[Line], columns: Sequence[str], count: int) -> list[Line]:
    """Repeat a list's lines, each person another one."""
    made = list(lines)
    sound = [line for line in lines if line.person is not None and not line.blank]
    for number in range(len(lines), count if sound else 0):
        line = sound[number % len(sound)]
        digits = f"080{20_000_000 + number}"
        old = line.person
        if old is None:
            continue
        person = replace(old, reference=f"M{number}" if "reference" in columns else "", phone=f"+81{digits[1:]}")
        cells = list(line.cells) + [EMPTY] * (len(columns) - len(line.cells))
        cells[columns.index("phone")] = Cell(digits)
        if "reference" in columns:
            cells[columns.index("reference")] = Cell(person.reference)
        made.append(replace(line, cells=tuple(cells), person=person))
    return made


def _twins(chance: Random, lines: list[Line], place: int) -> list[Line]:
    """Return two people one number: a person decides which is right, so the second can't be taken."""
    sound = [at for at, line in enumerate(lines) if line.person is not None and not line.hidden]
    if len(sound) < 2:  # noqa: PLR2004 - a pair
        return lines
    first, second = sorted(chance.sample(sound, 2))
    cells = list(lines[second].cells)
    cells[place] = lines[first].cells[place]
    return [replace(line, cells=tuple(cells), person=None) if at == second else line for at, line in enumerate(lines)]


def _blank(chance: Random, columns: Sequence[str], encoding: str) -> Line:
    text = chance.choice(("", "", " ", "\u3000", _fit("\u200b", encoding, "")))
    return Line(tuple(Cell(text) for _ in columns) if _often(chance, 70) else (), blank=True)


def _remark(chance: Random, columns: Sequence[str], encoding: str) -> Line:
    """Make a row that names nobody but shows something."""
    texts = chance.choice((("以上",), ("合計", "", "126,000"), ("",) * (len(columns) - 1) + ("126000",), ("※ 社外秘",)))
    if _often(chance, 20):  # the headline once more, as on each printed page
        texts = tuple(NAMES[name][0] for name in columns)
    return Line(tuple(Cell(_fit(text, encoding, "-")) for text in texts))


def _row(chance: Random, columns: Sequence[str], encoding: str, number: int, *, workbook: bool) -> Line:
    cells: dict[str, Cell] = {}
    seen: dict[str, object] = dict.fromkeys(COLUMNS, "")
    sound = True
    faulty = _often(chance, 25)
    broken = chance.choice([name for name in columns if name != "note"]) if faulty else ""
    for name in columns:
        if name == broken:
            cells[name], sound = _wrong(chance, name, workbook=workbook), False
            continue
        cell, seen[name] = _SPELL[name](chance, number)
        while not _fits(cell.text, encoding):
            cell, seen[name] = _SPELL[name](chance, number)
        if name != "note" and encoding.startswith("utf") and not cell.number and _often(chance, 10):
            cell = replace(cell, text=_hide(chance, cell.text, encoding, always=True))
        cells[name] = cell
    person = Person(**seen) if sound else None  # type: ignore[arg-type]
    made = tuple(cells[name] for name in columns)
    if person is not None and _often(chance, 2):  # a comma too many
        return Line((*made, Cell("ずれ")))
    return Line(made, person)


def _hide(chance: Random, text: str, encoding: str, *, always: bool = False) -> str:
    """Put signs that can't be seen into a text."""
    if not (always or _often(chance, 10)) or not encoding.startswith("utf"):
        return text
    place = chance.randint(0, len(text))
    return text[:place] + chance.choice(INVISIBLE) + text[place:]


def _fits(text: str, encoding: str) -> bool:
    try:
        # a letter that comes back as another isn't the one seen
        return text.encode(encoding).decode(encoding) == text
    except UnicodeError:
        return False


def _fit(text: str, encoding: str, spare: str) -> str:
    return text if _fits(text, encoding) else spare


def _phone(chance: Random, number: int) -> tuple[Cell, str]:
    first = chance.choice(("090", "080", "070", "060"))
    digits = f"{first}{10_000_000 + number * 7_919 + chance.randint(0, 999) * 10_000:08d}"
    area, middle, last = digits[:3], digits[3:7], digits[7:]
    dashed = f"{area}-{middle}-{last}"
    cell = chance.choice(
        (
            *(Cell(dashed), Cell(dashed), Cell(digits), Cell(digits.translate(_WIDE)), Cell(dashed.translate(_WIDE))),
            *(Cell(f"{area} {middle} {last}"), Cell(f"({area}){middle}-{last}"), Cell(f"　{dashed} ")),
            *(Cell(f"+81{digits[1:]}"), Cell(f"+81 {digits[1:3]}-{middle}-{last}"), Cell(f'="{digits}"')),
            *(Cell(f"'+81{digits[1:]}"), Cell(f"{digits[1:]}.0"), Cell(dashed.replace("-", "ー"))),
            *(Cell(digits[1:], digits[1:], "General"), Cell(digits[1:], digits[1:], "0")),
            Cell(dashed, digits[1:], r"000\-0000\-0000"),
            Cell(digits, digits[1:], "00000000000"),
            Cell(digits, digits[1:], '"0"#'),
            Cell(dashed, digits[1:], "000-0000-0000;-0"),
            Cell(dashed, digits[1:], r"[<=9999999]000\-0000;000\-0000\-0000"),
        )
    )
    return cell, f"+81{digits[1:]}"


def _amount(chance: Random, _number: int) -> tuple[Cell, int]:
    yen = chance.choice((1, 10, 980, 26_000, 126_000, 1_234_567, 9_999_999))
    said = f"{yen:,}"
    cell = chance.choice(
        (
            *(Cell(str(yen)), Cell(said), Cell(f"¥{said}"), Cell(f"{said}円"), Cell(said.translate(_WIDE))),
            *(Cell(f"{yen}.0"), Cell(f"{yen}.00"), Cell(f"￥{yen}"), Cell(f'="{yen}"')),
            *(Cell(str(yen), str(yen), "General"), Cell(said, str(yen), "#,##0"), Cell(said, f"{yen}.4", "#,##0")),
            *(Cell(f"¥{said}", str(yen), '"¥"#,##0'), Cell(f"{said}円", str(yen), '#,##0"円"')),
            Cell(f"¥{said}", str(yen), "¥#,##0;[Red]¥-#,##0"),
            Cell(said, f"{yen / 10}E1", "[>=1000]#,##0;0"),
            Cell(said, str(yen), '_ * #,##0_ ;_ * \\-#,##0_ ;_ * "-"_ ;_ @_ '),
            Cell(said, str(yen), "#,##0_);(#,##0)"),
            Cell(said, str(yen), "#38"),
            Cell(str(yen), str(yen), "@"),
        )
    )
    return cell, yen


def _born(chance: Random, _number: int) -> tuple[Cell, str]:
    day = dt.date(1926, 1, 1) + dt.timedelta(days=chance.randint(400, 29_000))
    serial = str((day - _EPOCH).days)
    western = f"{day.year}/{day.month}/{day.day}"
    first_year, era = max((year, name) for year, name in _ERAS if day.year > year)
    japanese = f"{era}{day.year - first_year}年{day.month}月{day.day}日"
    cell = chance.choice(
        (
            *(
                Cell(western),
                Cell(day.isoformat()),
                Cell(f"{day:%Y%m%d}"),
                Cell(f"{day.year}年{day.month}月{day.day}日"),
            ),
            *(Cell(japanese), Cell(western.translate(_WIDE)), Cell(f"{day:%Y.%m.%d}"), Cell(f"{western} 0:00")),
            *(Cell(western, serial, "yyyy/m/d"), Cell(western, serial, "#14"), Cell(western, f"{serial}.0", "#31")),
            *(Cell(western, serial, '[$-411]ggge"年"m"月"d"日"'), Cell(western, serial, "[$-F800]dddd, mmmm dd, yyyy")),
            *(Cell(western, serial, "#57"), Cell(western, serial, 'yyyy"年"m"月"d"日";@')),
            Cell(western, f"{day.isoformat()}T00:00:00", "#14", kind="d"),
        )
    )
    return cell, day.isoformat()


# the year before each era's first
_ERAS = ((1925, "昭和"), (1988, "平成"))


def _postcode(chance: Random, _number: int) -> tuple[Cell, str]:
    code = chance.choice(("0600001", "1000001", "9071801", "0010000"))
    dashed, plain = f"{code[:3]}-{code[3:]}", code.lstrip("0")
    cell = chance.choice(
        (
            *(Cell(dashed), Cell(code), Cell(f"〒{dashed}"), Cell(dashed.translate(_WIDE)), Cell(f'="{code}"')),
            *(Cell(dashed, plain, r"000\-0000"), Cell(code, plain, "0000000"), Cell(dashed, plain, "000-0000")),
            Cell(dashed, plain, r"[<=999]000;[<=9999]000\-00;000\-0000"),
            Cell(f"〒{dashed}", plain, r'"〒"000\-0000'),
        )
    )
    return cell, code


def _reference(chance: Random, number: int) -> tuple[Cell, str]:
    text = chance.choice(
        (f"K{number:05d}", f"{number:04d}", f"{number}/4", f"{number}E3", f"{number + 10**18}", f"お-{number}")
    )
    padded, count = f"{number:05d}", str(number)
    cell = chance.choice(
        (
            *(Cell(text), Cell(text), Cell(f" {text}　"), Cell(f'="{text}"')),
            *(Cell(count, count, "General"), Cell(padded, count, "00000"), Cell(f"K{padded}", count, '"K"00000')),
            *(Cell(f"K{padded}", count, r"\K00000"), Cell(f"{count}番", count, 'G/標準"番"')),
            *(Cell(f"{padded}号", count, '00000"号"'), Cell(f"No.{count}", count, '"No."0'), Cell(count, count, "@")),
            Cell(f"K{text}", text, '"K"@', kind="words"),
        )
    )
    inner = cell.text[2:-1] if cell.text.startswith('="') else cell.text
    return cell, inner.strip()


def _name(chance: Random, number: int) -> tuple[Cell, str]:
    name = f"{chance.choice(_FAMILY)} {chance.choice(_GIVEN)}{number if _often(chance, 50) else ''}"
    if _often(chance, 15):
        name = chance.choice(_RARE_NAMES)
    cell = Cell(chance.choice((name, name, name, f"　{name} ", name.replace(" ", "\r\n"), name.replace(" ", "\n"))))
    return cell, cell.text


def _note(chance: Random, _number: int) -> tuple[Cell, str]:
    text = chance.choice(_NOTES)
    if _often(chance, 20):
        signs = [chr(chance.choice((chance.randint(0x20, 0x7E), chance.randint(0xA1, 0x33FF)))) for _ in range(5)]
        text = "".join(sign for sign in signs if unicodedata.category(sign) not in {"Cf", "Cn", "Cc"}).lstrip("'=")
    return Cell(text), text


_SPELL = {
    "reference": _reference,
    "phone": _phone,
    "name": _name,
    "amount": _amount,
    "born": _born,
    "postcode": _postcode,
    "note": _note,
}

_STALE = Cell("", kind="stale")
_ERROR = Cell("#N/A", "#N/A", kind="e")
_WRONG: dict[str, tuple[Cell, ...]] = {
    "reference": (EMPTY, Cell("9" * 101), _ERROR),
    "phone": (
        *(EMPTY, Cell("03-1234-5678"), Cell("090-1234-567"), Cell("090-1234-56789"), Cell("なし"), Cell("9.01E+09")),
        *(Cell("090-1234-5678/080-1234-5678"), Cell("0120-123-456"), Cell("+1 650 253 0000"), _ERROR),
    ),
    "name": (_ERROR,),
    "amount": (
        *(EMPTY, Cell("0"), Cell("-500"), Cell("126.000"), Cell("12a"), Cell("1,26,000"), Cell("10000000"), _ERROR),
        *(Cell("126.5", "126.5", "General"), Cell("1 1/2"), Cell("二千"), Cell("▲26", "-26", '#,##0;"▲"#,##0')),
    ),
    "born": (
        *(EMPTY, Cell("1980/13/1"), Cell("80/1/2"), Cell("不明"), Cell("2099/1/1"), Cell("29222", "29222", "General")),
        *(Cell("昭和99年1月1日"), _ERROR),
    ),
    "postcode": (EMPTY, Cell("600001"), Cell("12"), Cell("600001", "600001", "General"), Cell("郵便番号なし"), _ERROR),
}
_WRONG_IN_WORKBOOKS = {
    "reference": (_STALE,),
    "phone": (_STALE, Cell("9012345678%", "90123456.78", "0%")),
    "name": (
        *(Cell("佐藤\ufffd", "佐藤_xD800_", kind="raw"), Cell("佐藤\ufffd", "佐藤_x0000_", kind="raw"), _STALE),
        Cell("300%", "3", "0%"),
    ),
    "amount": (
        *(_STALE, Cell("26", "26000", "#,##0,"), Cell("2600%", "26", "0%"), Cell("1 1/2", "1.5", "# ?/?")),
        *(Cell("二千", "2000", "[DBNum1]General"), Cell("26百万", "26000000", '#,##0,,"百万"')),
    ),
    "born": (_STALE,),
    "postcode": (_STALE,),
}


def _wrong(chance: Random, name: str, *, workbook: bool) -> Cell:
    return chance.choice(_WRONG[name] + _WRONG_IN_WORKBOOKS[name] if workbook else _WRONG[name])
