"""Amounts as people type them become whole yen."""

import re
import unicodedata

from app.problems import Kind, Refused

# The payment providers' own bounds differ; this is the widest we let into the system. Stripe takes at most 8 digits of
# jpy (docs.stripe.com/currencies, "Minimum and maximum charge amounts"), so 7 digits are payable everywhere.
MAX_YEN = 9_999_999

_MOST_SIGNS = 100  # of what is typed

_PLAIN = re.compile(r"[1-9][0-9]{0,6}|[1-9][0-9]{0,2},[0-9]{3}|[1-9],[0-9]{3},[0-9]{3}")
_NUMBER = re.compile(r"(?:[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)(\.[0-9]*)?")
# a dot between groups of three: a thousands separator elsewhere, a decimal point here
_DOT_FOR_COMMA = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+(?:,[0-9]*)?")
_NEGATIVE = re.compile(r"(?:[-‐‑‒–—―−△▲].*|\(.*\))")
_MISPLACED_COMMA = re.compile(r"[0-9,]+(?:\.[0-9]*)?")
_DECORATION = re.compile(r"[\s¥円\\]")


EMPTY = Kind("amount_empty", "金額が空です。円単位の数字で入力してください(例: 5000)。")
_TOO_MUCH = Kind("amount_too_much_typed", "金額が長すぎます。{most:,}円以下の数字で入力してください。")
_TOO_LARGE = Kind("amount_too_large", "金額が大きすぎます。{most:,}円以下で入力してください。")
_UNCLEAR = Kind(
    "amount_unclear_dot",
    "「.」が桁区切りか小数点か判断できません。円単位の整数を、「.」を使わずに入力してください(例: 126000)。",
)
_FRACTION = Kind("amount_fraction", "金額に小数があります。円未満の端数をなくして入力してください。")
_ZERO = Kind("amount_zero", "金額が0円です。1円以上の金額を入力してください。")
_IS_NEGATIVE = Kind("amount_negative", "金額がマイナスです。1円以上の金額を入力してください。")
_BAD_COMMAS = Kind(
    "amount_bad_commas",
    "カンマの位置が正しくありません。3桁ごとに区切るか、カンマなしで入力してください。",
)
_NOT_A_NUMBER = Kind("amount_not_a_number", "金額が数字ではありません。円単位の数字だけで入力してください(例: 5000)。")


def to_yen(raw: str) -> int:
    """Return an amount in whole yen, 1 to MAX_YEN: 26000, 26,000, ¥26,000, ２６，０００円.

    126.0 and 126.00 are 126, as programs write it; 126.000 could be 126 or 126,000.
    Raises Refused.
    """
    if _PLAIN.fullmatch(raw):
        return int(raw.replace(",", ""))
    if len(raw) > _MOST_SIGNS:
        raise Refused(_TOO_MUCH(most=MAX_YEN))
    text = _DECORATION.sub("", unicodedata.normalize("NFKC", raw))
    if not text:
        raise Refused(EMPTY())
    if _DOT_FOR_COMMA.fullmatch(text):
        raise Refused(_UNCLEAR())
    number = _NUMBER.fullmatch(text)
    if not number:
        raise _unreadable(text)
    if number[1] and number[1].strip(".0"):
        raise Refused(_FRACTION())
    digits = text.partition(".")[0].replace(",", "").lstrip("0")
    if not digits:
        raise Refused(_ZERO())
    if len(digits) > len(str(MAX_YEN)):
        raise Refused(_TOO_LARGE(most=MAX_YEN))
    return int(digits)


def _unreadable(text: str) -> Refused:
    if _NEGATIVE.fullmatch(text):
        return Refused(_IS_NEGATIVE())
    return Refused(_BAD_COMMAS() if _MISPLACED_COMMA.fullmatch(text) else _NOT_A_NUMBER())
