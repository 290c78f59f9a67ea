"""An Excel number format becomes a function that writes a number as the cell shows it.

In: a format's code (ECMA-376 part 1, 18.8.31), as Excel and LibreOffice write it: sections, conditions, colours,
literals in quotes, behind a backslash or bare, `0`, `#`, `?`, grouping, decimals, `_` and `*`, and `@` for texts. Out:
the text in the cell. Can't happen here: a text that leaves out digits that the cell holds (thousands as units, percent,
fractions, kanji numerals): such a format is `Unknown`, and the row is told.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

Shown = Callable[[Decimal], str]

_LONGEST = 255  # Excel's own limit for a code
_CONDITION = re.compile(r"\[(<=|>=|<>|<|>|=)\s*(-?[0-9]{1,15}(?:\.[0-9]{1,15})?)\]")
_COLOUR = re.compile(
    r"\[(?:black|blue|cyan|green|magenta|red|white|yellow|color ?[0-9]{1,2}|黒|青|水|緑|紫|赤|白|黄|色 ?[0-9]{1,2})\]",
    re.IGNORECASE,
)
_LOCALE = re.compile(r"\[\$([^\]\-]{0,20})(?:-[0-9A-Za-z_,]{0,20})?\]")
# in Japan Excel writes "!" where it writes a backslash elsewhere
_TOKEN = re.compile(
    r'(?P<next>;)|(?P<quoted>"[^"]*")|(?P<escaped>[\\!].?)|(?P<space>_.?)|(?P<fill>\*.?)|(?P<bracket>\[[^\]]*\])'
    r"|(?P<general>general|G/標準)|(?P<sign>.)",
    re.IGNORECASE | re.DOTALL,
)
_DIGITS = "0#?"
_SIGNS = {".": "point", ",": "comma", "@": "text"}
# characters that stand for themselves without quotes: Excel's list, and letters that no format code has
_BARE = frozenset(" $-+()!^&'~{}<>=:¥￥\u00a0")
_COMPARE: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "<": Decimal.__lt__,
    "<=": Decimal.__le__,
    ">": Decimal.__gt__,
    ">=": Decimal.__ge__,
    "=": Decimal.__eq__,
    "<>": Decimal.__ne__,
}


class UnknownFormat(Exception):  # noqa: N818 - it says what the format is
    """A format whose text can't be known, or would not say what the cell holds."""


@dataclass(slots=True)
class _Section:
    """One part of a code: tokens are (kind, text), kind one of literal, digit, point, general, text."""

    tokens: list[tuple[str, str]] = field(default_factory=list)
    condition: tuple[str, Decimal] | None = None
    grouped: bool = False

    @property
    def decimals(self) -> int:
        """How many places stand behind the point."""
        kinds = [kind for kind, _ in self.tokens]
        return kinds[kinds.index("point") :].count("digit") if "point" in kinds else 0


@lru_cache(256)
def number_format(code: str) -> Shown | None:
    """Return how a code writes numbers, None where it writes them as they are.

    Raises UnknownFormat.

    Dates and times are not its business.
    """
    sections = _sections(code)
    numbers = [section for section in sections if not any(kind == "text" for kind, _ in section.tokens)] or [_Section()]
    if len(numbers) == 1 and not numbers[0].condition and [kind for kind, _ in numbers[0].tokens] in (["general"], []):
        return None
    return lambda value: _written(value, numbers)


@lru_cache(256)
def text_format(code: str) -> Callable[[str], str] | None:
    """Return how a code writes a text, None where it writes it as it is.

    Raises UnknownFormat.
    """
    sections = [section for section in _sections(code) if any(kind == "text" for kind, _ in section.tokens)]
    if not sections or [kind for kind, _ in sections[-1].tokens] == ["text"]:
        return None
    tokens = sections[-1].tokens
    return lambda text: "".join(text if kind == "text" else literal for kind, literal in tokens)


def _sections(code: str) -> list[_Section]:
    if len(code) > _LONGEST:
        raise UnknownFormat("too long")
    sections = [_Section()]
    for found in _TOKEN.finditer(code):
        kind, text = str(found.lastgroup), found[0]
        if kind == "next":
            sections.append(_Section())
        elif kind == "bracket":
            _bracket(text, sections[-1])
        elif kind == "sign":
            sections[-1].tokens.append(_sign(text))
        elif kind != "fill":
            # `_x` leaves the width of x free
            literal = {"quoted": text[1:-1], "escaped": text[1:], "space": " ", "general": ""}[kind]
            sections[-1].tokens.append(("general" if kind == "general" else "literal", literal))
    for section in sections:
        _settle(section)
    return sections


def _bracket(text: str, section: _Section) -> None:
    if condition := _CONDITION.fullmatch(text):
        section.condition = condition[1], Decimal(condition[2])
    elif locale := _LOCALE.fullmatch(text):
        section.tokens.append(("literal", locale[1]))
    elif not _COLOUR.fullmatch(text):  # kanji numerals, elapsed time
        raise UnknownFormat(text)


def _sign(sign: str) -> tuple[str, str]:
    if sign in _DIGITS:
        return "digit", sign
    if sign in _SIGNS:
        return _SIGNS[sign], sign
    if sign in _BARE or ord(sign) > ord("\x7f"):
        return "literal", sign
    raise UnknownFormat(sign)  # percent, exponents, fractions, letters of dates


def _settle(section: _Section) -> None:
    """Read the commas: between digits they group, behind the last one they divide by a thousand."""
    kinds = [kind for kind, _ in section.tokens]
    whole = kinds[: kinds.index("point")] if "point" in kinds else kinds
    last_digit = max((place for place, kind in enumerate(whole) if kind == "digit"), default=-1)
    for place, kind in enumerate(kinds):
        if kind != "comma":
            continue
        if "digit" in kinds[:place] and place < last_digit:
            section.grouped = True
        elif "digit" in kinds[:place]:
            raise UnknownFormat("thousands")
        else:
            section.tokens[place] = ("literal", ",")
    section.tokens = [(kind, text) for kind, text in section.tokens if kind != "comma"]
    if kinds.count("point") > 1:
        raise UnknownFormat("points")


def _written(value: Decimal, sections: list[_Section]) -> str:
    section, signed = _chosen(value, sections)
    shown = _fill(abs(value), section)
    return f"-{shown}" if signed and value < 0 and any(sign in "123456789" for sign in shown) else shown


def _chosen(value: Decimal, sections: list[_Section]) -> tuple[_Section, bool]:
    """Return the section for a value, and whether its minus sign is written before it."""
    if any(section.condition for section in sections):
        for section in sections:
            if section.condition is None or _COMPARE[section.condition[0]](value, section.condition[1]):
                return section, True
        raise UnknownFormat("no section")
    if value < 0 and len(sections) > 1:
        return sections[1], False
    if value == 0 and len(sections) > 2:  # noqa: PLR2004 - the third is zero's
        return sections[2], False
    return sections[0], True


def _fill(value: Decimal, section: _Section) -> str:
    kinds = [kind for kind, _ in section.tokens]
    if "general" in kinds:
        plain = format(value.normalize(), "f")
        return "".join(plain if kind == "general" else text for kind, text in section.tokens)
    if "digit" not in kinds:
        return "".join(text for _, text in section.tokens)
    places = section.decimals
    rounded = value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    whole, _, fraction = format(rounded, "f").partition(".")
    point = kinds.index("point") if "point" in kinds else len(kinds)
    return _whole(whole.lstrip("0"), section, point) + _fraction(fraction, section, point)


def _whole(digits: str, section: _Section, point: int) -> str:
    """Write the digits before the point from the right; the first place takes all that are left."""
    tokens = section.tokens[:point]
    first = next((place for place, (kind, _) in enumerate(tokens) if kind == "digit"), None)
    written: list[str] = []
    count = 0

    def put(sign: str) -> None:
        nonlocal count
        if section.grouped and sign != " " and count and count % 3 == 0:
            written.append(",")
        written.append(sign)
        count += 1

    for place in range(len(tokens) - 1, -1, -1):
        kind, text = tokens[place]
        if kind != "digit":
            written.append(text[::-1])
            continue
        if digits:
            put(digits[-1])
            digits = digits[:-1]
        elif text != "#":
            put("0" if text == "0" else " ")
        while place == first and digits:
            put(digits[-1])
            digits = digits[:-1]
    return "".join(written)[::-1]


def _fraction(digits: str, section: _Section, point: int) -> str:
    written: list[str] = []
    left = digits
    for kind, text in section.tokens[point:]:
        if kind == "digit":
            sign, left = left[:1], left[1:]
            rest_is_zero = not (sign + left).strip("0")
            written.append("" if text == "#" and rest_is_zero else " " if text == "?" and rest_is_zero else sign)
        else:
            written.append(text)
    return "".join(written)
