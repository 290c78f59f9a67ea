"""Letters that not every carrier shows, written with letters that all do: ① as 1, 髙 as 高, ～ as 〜.

In: a text that is to be sent, never a name, an answer or a list's cell, which stay as they came. Out: what each letter
would be written with, for a clerk to choose. Can't happen here: a brace, which would begin a merge field, or a letter
that is itself not shown.
"""

import re
import unicodedata

from app.values.carrier_text import every_carrier_shows
from app.values.kanji_variants import usual_forms

# NFKC knows none of these, or another form than Shift_JIS has
_SIGNS = {
    "～": "〜",
    "∥": "‖",
    "—": "―",
    "–": "-",
    "‐": "-",
    "⁄": "/",
    "•": "・",
    "·": "・",
    "〝": "“",
    "〟": "”",
    "￠": "¢",
    "￡": "£",
    "￢": "¬",
    "€": "ユーロ",
    "©": "(C)",
    "®": "(R)",
    "❶": "1", "❷": "2", "❸": "3", "❹": "4", "❺": "5", "❻": "6", "❼": "7", "❽": "8", "❾": "9", "❿": "10",
    "✓": "レ", "✔": "レ",
    "☎": "TEL", "☏": "TEL",
    "♡": "ハート", "♥": "ハート", "❤": "ハート",
}  # fmt: skip
# they choose a form of the letter before, or hold emoji together: alone they show nothing
_UNSEEN = re.compile("[\u200b-\u200d\u2060\ufeff\ufe00-\ufe0f\U000e0100-\U000e01ef]+")
# a letter with the marks that belong to it: か and ゙ are が
_MARKS = "[\u0300-\u036f\u3099\u309a]"
_LETTER = re.compile(f"(?!{_MARKS}).{_MARKS}*|{_MARKS}+", re.DOTALL)
_ACCENTS = re.compile("[\u0300-\u036f]")


def shown_form(letter: str) -> str | None:
    """Return what a letter that some carriers can't show may be written with; None where there is nothing like it."""
    if _UNSEEN.fullmatch(letter):
        return ""
    tries = (unicodedata.normalize("NFC", letter), usual_forms(letter), unicodedata.normalize("NFKC", letter))
    for tried in (*tries, _ACCENTS.sub("", unicodedata.normalize("NFD", letter))):
        written = "".join(_SIGNS.get(sign, usual_forms(sign)) for sign in tried)
        if written and every_carrier_shows(written) and not set(written) & set("{}"):
            return written
    return None


def pairs(text: str) -> list[tuple[str, str]]:
    """List the letters of a text that some carriers can't show, each once, with what each may be written with."""
    hard = dict.fromkeys(found for found in _parts(text) if not every_carrier_shows(found))
    return [(letter, written) for letter in hard if (written := shown_form(letter)) is not None]


def replaced(text: str) -> str:
    """Return a text with each letter of `pairs` written so; all others stay."""
    known = dict(pairs(text))
    return "".join(known.get(part, part) for part in _parts(text))


def _parts(text: str) -> list[str]:
    parts: list[str] = []
    for unseen in re.split(f"({_UNSEEN.pattern})", text):
        parts += [unseen] if _UNSEEN.fullmatch(unseen) else _LETTER.findall(unseen)
    return parts
