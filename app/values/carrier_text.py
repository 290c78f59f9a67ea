"""Guard against what a text cell may do later: run in Excel, break a line, show as a blank box on a phone.

In: a cell that is stored as it stands. Out: warnings; the text itself is kept. Nothing here changes a letter.
"""

import re
from collections.abc import Iterator

from app.problems import Kind, Problem

# In cells that each follow a \x1f: a sign that isn't printed, or a cell's first sign where that may begin a formula.
# One set of signs in front keeps the search at the speed of a scan.
_ODD = re.compile("[\0-\x1f\x7f](?:(?<!\x1f)|(?=[=+\\-@＝＋－＠]))")
# A lone hyphen, a negative number or +81… begins alike and is harmless
_FORMULA = re.compile("[=@＝＠].|[+\\-＋－](?![\\d\\s.,+\\-＋－()]*$)", re.DOTALL)
_LINE_BREAK = re.compile("[\r\n]")
_CONTROL = re.compile("[\0-\x09\x0b\x0c\x0e-\x1f\x7f]")

FORMULA = Kind("cell_like_formula", "数式の形のセルです。計算せず、文字のまま取り込みます。")
LINE_BREAK = Kind("cell_line_break", "セルの中に改行があります。改行のまま取り込みます。")
LOST_LETTERS = Kind(
    "cell_lost_letters",
    "「?」「〓」「□」や文字化け（縺、&#39640;など）は、前のシステムで失われた文字のようです。元の名簿で正しい文字を"
    "確かめてください。",
)
CARRIER_CHARACTERS = Kind(
    "cell_carrier_characters",
    "携帯電話会社によっては表示できない文字(絵文字、①、髙、～など)があります。"
    "SMSの本文に差し込む場合は、別の文字に直してください。",
)


# Signs that programs write for a letter they do not have: ?, 〓 (geta), □, U+FFFD, a form's &#39640;. A question mark
# behind a whole word is one. Kana of UTF-8 that were read as Shift_JIS begin with 縺, 繧 or 繝.
MAY_BE_LOST = "?？〓\ufffd□&縺繧繝"
_MAY_BE_LOST = re.compile(f"[{MAY_BE_LOST}]")
_JAPANESE = "\u3005-\u3007\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f"
_LOST = re.compile(
    f"[〓\ufffd]|&(?:#[0-9]{{2,7}}|#x[0-9A-Fa-f]{{2,6}}|amp|lt|gt|quot|nbsp);|[縺繧繝]\\S|(?<![?？])[?？]{{2,}}+[{_JAPANESE}]|(?:^|[\\s\u3000])[?？]++[{_JAPANESE}]"
    f"|[{_JAPANESE}][?？]++[{_JAPANESE}]"
)
# the whole of a short cell is letters and question marks: a name, no sentence
_NAME_WITH_MARKS = re.compile(f"(?=[^?？□]*[?？□])[{_JAPANESE}?？□\\s\u3000]{{2,10}}")
_MARKS_ALONE = re.compile("[?？\\s\u3000]+")


def may_have_lost_letters(joined: str) -> bool:
    """Return whether any of these joined cells may hold a sign that stands for a lost letter."""
    return _MAY_BE_LOST.search(joined) is not None


def has_lost_letters(cell: str) -> bool:
    """Return whether a cell seems to have lost letters before it came to us: ??橋, 佐藤〓子, 髙? 太郎."""
    text = cell.strip()
    if _LOST.search(text):
        return True
    return bool(text) and bool(_NAME_WITH_MARKS.fullmatch(text) or (_MARKS_ALONE.fullmatch(text) and len(text) > 1))


def looks_odd(joined: str) -> bool:
    r"""Whether cells, each after a \x1f, may hold one that `warnings` warns of: one cheap look at a whole row."""
    return _ODD.search(joined) is not None or not every_carrier_shows(joined)


def warnings(cell: str) -> Iterator[Problem]:
    """Return what to warn of in one cell."""
    cell = cell.strip()
    if _FORMULA.match(cell):
        yield FORMULA()
    if _LINE_BREAK.search(cell):
        yield LINE_BREAK()
    if _CONTROL.search(cell) or not every_carrier_shows(cell):
        yield CARRIER_CHARACTERS()


def every_carrier_shows(text: str) -> bool:
    """Whether a text is plain Shift_JIS.

    au takes nothing else in an SMS of up to 70 characters: emoji, ①, 髙 and ～ are outside. The hyphen of addresses as
    Windows writes it (－) is Shift_JIS's minus sign, which everything that sends and shows SMS knows.
    """
    try:
        text.replace("－", "−").encode("shift_jis")
    except UnicodeEncodeError:
        return False
    return True
