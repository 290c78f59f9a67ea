"""Clean a cell of all that cannot be seen, before anything is compared.

In: a cell or a column's name as a file holds it. Out: its text without signs of direction and width, byte order marks
and the control signs that old programs put at a file's end, and without the `="…"` by which people keep Excel from
changing a number. Can't happen here: a letter that a person sees being changed, or a variation selector (葛󠄀) or an
emoji's joiner being lost.
"""

import re
from collections.abc import Sequence

# Unicode's invisible format signs (general category Cf) that come with copied texts: soft hyphen, zero widths,
# directions, joiners of words, byte order marks. ZWJ (U+200D) stays where it joins emoji.
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]"
    "|\u200d(?![\u2600-\u27bf\U0001f000-\U0001faff])"
)
# each of those and DOS's end of a file, as they stand in a set of signs
MAY_HIDE = "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u206f\ufeff\ufff9-\ufffb\x1a"
_MAY_HIDE = re.compile(f'[{MAY_HIDE}]|="')
_AT_START = "\ufeff\u200b\u200e\u200f\u2060"
# DOS's end of a file, written by old programs behind the last row
END_OF_FILE = "\x1a"
# alone in a row: the workbook hides the row, and it is left out; no sign that any text holds (U+FDD0)
HIDDEN_ROW = "\ufdd0"


def clean(cell: str) -> str:
    """Return the cell's text as a person sees it."""
    text = _INVISIBLE.sub("", cell).rstrip(END_OF_FILE)
    stripped = text.strip()
    if stripped.startswith('="') and stripped.endswith('"') and len(stripped) > len('=""'):
        inner = stripped[2:-1]
        if '"' not in inner.replace('""', ""):
            return inner.replace('""', '"')
    return "" if stripped == '=""' else text


def without_marks(text: str) -> str:
    """Return a file's beginning without what can't be seen there: byte order marks stand before a quote, for one."""
    return text.lstrip(_AT_START)


def cleaned(cells: Sequence[str]) -> list[str]:
    """Return the cells of one row, each as `clean` gives it."""
    if not _MAY_HIDE.search("\x1f".join(cells)):
        return list(cells)
    return [clean(cell) for cell in cells]
