"""Kinds of questions and the one form of an answer.

The file's cell at import and the person's typing on the page go through the same `normalise`; only its result is ever
digested, so whatever shall not matter (width, spaces, hyphens, 〒, era names) is settled here and nowhere else.
"""

import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum

from app.problems import Kind, Refused
from app.values.dates import UNSEEN, parse_date
from app.values.kanji_variants import usual_forms

_MAX_ANSWER = 100  # characters: longer than any name or contract number, short enough to be no attack


class QuestionKind(StrEnum):
    """The kinds of answer. The kind decides which differences in writing don't matter."""

    TEXT = "text"
    DIGITS = "digits"
    DATE = "date"
    POSTCODE = "postcode"
    LAST4 = "last4"
    CHOICE = "choice"


QUESTION_KIND_LABELS = {
    QuestionKind.TEXT: "自由記述",
    QuestionKind.DIGITS: "数字",
    QuestionKind.DATE: "生年月日・日付",
    QuestionKind.POSTCODE: "郵便番号",
    QuestionKind.LAST4: "下4桁",
    QuestionKind.CHOICE: "選択",
}


class Kana(StrEnum):
    """Whether a text answer tells hiragana from katakana."""

    AS_WRITTEN = "as_written"
    KANA = "kana"


KANA_LABELS = {
    Kana.AS_WRITTEN: "区別する",
    Kana.KANA: "ひらがなとカタカナ、小さい「ょ」と「よ」を同じとみなす",
}


_EMPTY = Kind("answer_empty", "空です。入力してください。")
_NO_DIGITS = Kind("answer_without_digits", "空です。数字で入力してください。")
_TOO_LONG = Kind("answer_too_long", "長すぎます。{most}文字以内で入力してください。")
_NOT_A_CHOICE = Kind("answer_not_a_choice", "選択肢にありません。「{choices}」から選んでください。")
_NOT_DIGITS = Kind("answer_not_digits", "数字以外の文字があります。数字だけで入力してください。")
_POSTCODE_WORDS = "郵便番号が7桁ではありません。7桁の数字で入力してください(例: 123-4567)。"
POSTCODE_TOO_SHORT = Kind("answer_postcode_too_short", _POSTCODE_WORDS)
_POSTCODE_TOO_LONG = Kind("answer_postcode_too_long", _POSTCODE_WORDS)
_LAST4_WORDS = "4桁ではありません。先頭の0も含めて、数字4桁で入力してください(例: 0489)。"
LAST4_TOO_SHORT = Kind("answer_last4_too_short", _LAST4_WORDS)
_LAST4_TOO_LONG = Kind("answer_last4_too_long", _LAST4_WORDS)


# Signs that people put between digits: spaces and, from whatever keyboard, anything that looks like a hyphen. After
# NFKC.
_HYPHENS = "-‐‑‒–—―−⁻⁃─━"
_LONG_VOWEL = "ー"
BETWEEN_DIGITS = " \t\r\n\u00a0\u200b\ufeff" + _HYPHENS + _LONG_VOWEL
_NO_SEPARATORS = dict.fromkeys(map(ord, BETWEEN_DIGITS))
_NO_POSTAL_MARK = {ord("〒"): None, ord("〠"): None}

_UNSEEN = re.compile(f"[{UNSEEN}]+")
# in a text: hyphens and the dot between the parts of a foreign name; the long vowel where there is no kana to lengthen
_BETWEEN_LETTERS = re.compile(f"[{UNSEEN}{re.escape(_HYPHENS)}・]+|(?<![\u3041-\u30ffー]){_LONG_VOWEL}+")

_HIRAGANA_TO_KATAKANA = {code: code + 0x60 for code in (*range(0x3041, 0x3097), 0x309D, 0x309E)}
# banks' lists (zengin) know no small letters: リョウコ stands there as ﾘﾖｳｺ
_SMALL_TO_LARGE = str.maketrans(
    "ァィゥェォッャュョヮヵヶㇰㇱㇲㇳㇴㇵㇶㇷㇸㇹㇺㇻㇼㇽㇾㇿ",
    "アイウエオツヤユヨワカケクシストヌハヒフヘホムラリルレロ",
)
# a whole number as pandas and databases write it where the column has empty cells
_AS_FLOAT = re.compile(r"([0-9]+)\.0+")


def normalise(
    kind: QuestionKind,
    raw: str,
    *,
    kana: Kana = Kana.AS_WRITTEN,
    choices: Sequence[str] = (),
    variants_alike: bool = False,
) -> str:
    """Return the form of an answer that is digested and compared.

    text, choice: NFKC, case-folded, without spaces, hyphens and ・; 髙 and 高 stay two letters, and サトー and サト too
    unless hiragana and katakana are one; then ョ and ヨ are one too. With `variants_alike`, 髙 and 高 are one letter in
    a text. date: ISO 8601. digits: ASCII digits, leading
    zeros kept. postcode: 7 digits. last4: 4 digits. With `choices`, a choice must be one of them.
    Raises Refused.
    """
    if len(raw) > _MAX_ANSWER:
        raise Refused(_TOO_LONG(most=_MAX_ANSWER))
    if kind is QuestionKind.DATE:
        return parse_date(raw).isoformat()
    if kind is QuestionKind.TEXT:
        return usual_forms(_text(raw, kana)) if variants_alike else _text(raw, kana)
    if kind is QuestionKind.CHOICE:
        return _choice(raw, kana, choices)
    if kind is QuestionKind.POSTCODE:
        return _postcode(raw)
    if kind is QuestionKind.LAST4:
        return _last4(raw)
    return _digits(raw)


def forms(
    kind: QuestionKind,
    raw: str,
    *,
    kana: Kana = Kana.AS_WRITTEN,
    choices: Sequence[str] = (),
    variants_alike: bool = False,
) -> list[str]:
    """Return every form under which a right answer may have been digested: today's, and those of before.

    Until 2026-11 small kana stayed small under `Kana.KANA`; digests of that time are still in the tables. Lists that
    came before variants were taken for alike have the letters as written. Raises Refused.
    """
    found = [normalise(kind, raw, kana=kana, choices=choices, variants_alike=variants_alike)]
    if variants_alike:
        found.append(normalise(kind, raw, kana=kana, choices=choices))
    if kana is Kana.KANA and kind in {QuestionKind.TEXT, QuestionKind.CHOICE}:
        found.append(_text(raw, kana, fold_small=False))
    return list(dict.fromkeys(found))


def _text(raw: str, kana: Kana, *, fold_small: bool = True) -> str:
    # signs between letters go first, so that a letter and its mark meet; NFKC makes spaces of its own
    text = unicodedata.normalize("NFKC", _UNSEEN.sub("", raw))
    text = unicodedata.normalize("NFKC", text.casefold())
    text = unicodedata.normalize("NFKC", _BETWEEN_LETTERS.sub("", text))
    if kana is Kana.KANA:
        # banks' lists write the long vowel as a hyphen, and many people leave it out
        text = text.translate(_HIRAGANA_TO_KATAKANA).replace(_LONG_VOWEL, "")
        if fold_small:
            text = text.translate(_SMALL_TO_LARGE)
    if not text:
        raise Refused(_EMPTY())
    return text


def _choice(raw: str, kana: Kana, choices: Sequence[str]) -> str:
    text = _text(raw, kana)
    if choices and text not in {_text(choice, kana) for choice in choices}:
        raise Refused(_NOT_A_CHOICE(choices="」「".join(choices)))
    return text


def normal_digits(raw: str) -> str:
    """Return a text with its digits in ASCII and nothing between them; what is no digit stays."""
    text = unicodedata.normalize("NFKC", _UNSEEN.sub("", raw)).translate(_NO_SEPARATORS)
    as_float = _AS_FLOAT.fullmatch(text)
    return as_float[1] if as_float else text


def _digits(raw: str) -> str:
    if raw.isascii() and raw.isdigit():
        return raw
    text = normal_digits(raw)
    if not text:
        raise Refused(_NO_DIGITS())
    if not (text.isascii() and text.isdigit()):
        raise Refused(_NOT_DIGITS())
    return text


def _postcode(raw: str) -> str:
    digits = _digits(raw.translate(_NO_POSTAL_MARK))
    if len(digits) != len("1234567"):
        raise Refused((POSTCODE_TOO_SHORT if len(digits) < len("1234567") else _POSTCODE_TOO_LONG)())
    return digits


def _last4(raw: str) -> str:
    digits = _digits(raw)
    if len(digits) != len("1234"):
        raise Refused((LAST4_TOO_SHORT if len(digits) < len("1234") else _LAST4_TOO_LONG)())
    return digits
