"""Payment card numbers, found so that none enters the system.

In: any cell or free text. Out: whether it holds digits that an issuer's range and length allow and that pass Luhn's
check, written in one run, with spaces or with hyphens, at any width. One in ten of a company's own customer numbers
passes Luhn's check alone. Payment happens at the payment provider; a list with card numbers is a mistake or worse.
"""

import re
from collections.abc import Iterator

_FEWEST, _MOST = 13, 19  # ISO/IEC 7812 account numbers in use
_LAST_SHOWN = 4

# First four digits (from, to) and lengths of the networks' account numbers: ISO/IEC 7812 issuer identification numbers
# as the networks publish them (Visa, Mastercard, JCB, American Express, Diners Club, Discover, UnionPay, Maestro).
_ISSUERS = (
    (4000, 4999, {13, 16, 19}),
    (5100, 5599, {16}),
    (2221, 2720, {16}),
    (3528, 3589, {16, 17, 18, 19}),
    (3400, 3499, {15}),
    (3700, 3799, {15}),
    *((low, high, {14, 15, 16, 17, 18, 19}) for low, high in ((3000, 3059), (3095, 3095), (3600, 3699), (3800, 3999))),
    (2131, 2131, {15}),
    (1800, 1800, {15}),
    *((low, high, {16, 17, 18, 19}) for low, high in ((6011, 6011), (6200, 6299), (6440, 6599), (8100, 8171))),
    *((first, first, {13, 14, 15, 16, 17, 18, 19}) for first in (5018, 5020, 5038, 5893, 6304, 6759, 6761, 6762, 6763)),
)
# Visa gave out its last numbers of 13 digits long ago; customers' numbers have 13 digits often
_OLD_LENGTH = 13

_SPACES = " \t\r\n\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u202f\u205f\u3000"
_HYPHENS = "‐‑‒–—―−⁻⁃ーｰ－﹣─━-"
# Letter for letter, so that a place in the plain form is the same place in the text.
_PLAIN = str.maketrans(
    dict.fromkeys(_SPACES, " ")
    | dict.fromkeys(_HYPHENS, "-")
    | dict(zip("０１２３４５６７８９＊", "0123456789*", strict=True))
)
_FORMS = (
    re.compile(r"[0-9]{13,}"),
    # begun at a number's first digit and never taken back: else a long row of digits is walked again from each of them
    re.compile(r"(?<![0-9])[0-9]++(?: ++[0-9]++)++"),
    re.compile(r"(?<![0-9])[0-9]++(?:-[0-9]++)++"),
)
# The printed layouts, which may stand among other numbers and with any mix of separators.
_LAYOUTS = re.compile(
    r"(?<![0-9])(?=([0-9]{4}(?:[ -]+[0-9]{4}){3}|[0-9]{4}[ -]+[0-9]{6}[ -]+[0-9]{4,5})(?![0-9]))",
)
_STARS = "*" * (_FEWEST - _LAST_SHOWN)
_MASKED = re.compile(re.escape(_STARS) + "[0-9]{4}")  # however many more stars stand in front
_THIRTEEN_DIGITS = re.compile(
    f"(?<![0-9０-９])[0-9０-９](?:[{re.escape(_SPACES + _HYPHENS)}]*+[0-9０-９]){{{_FEWEST - 1}}}"
)


def may_hold_card_number(text: str) -> bool:
    r"""A cheap look at a text, or at a row's cells joined by \x1f: whether `holds_card_number` is worth asking."""
    return _THIRTEEN_DIGITS.search(text) is not None or _STARS in text


def holds_card_number(text: str, *, own_number: bool = False) -> bool:
    """Return whether a text holds a card number, or one that `mask_card_numbers` masked and nobody has corrected yet.

    `own_number`: it stands in a column of the company's own numbers, where 13 digits are no card.
    """
    if not may_hold_card_number(text):
        return False
    plain = text.translate(_PLAIN)
    if _MASKED.search(plain) is not None:
        return True
    found = (_digits(plain[start:end]) for start, end in _card_numbers(plain))
    return any(len(digits) > _OLD_LENGTH for digits in found) if own_number else any(found)


def mask_card_numbers(text: str) -> str:
    """Return the text with stars for each card number but its last four digits; the rest of it stays as it is."""
    if not may_hold_card_number(text):
        return text
    while place := next(_card_numbers(text.translate(_PLAIN)), None):
        start, end = place
        digits = _digits(text[start:end].translate(_PLAIN))
        stars = "*" * (len(digits) - _LAST_SHOWN)
        text = text[:start] + stars + digits[-_LAST_SHOWN:] + text[end:]
    return text


def _card_numbers(plain: str) -> Iterator[tuple[int, int]]:
    places = [found.span() for form in _FORMS for found in form.finditer(plain)]
    places += [found.span(1) for found in _LAYOUTS.finditer(plain)]
    return ((start, end) for start, end in places if _may_be_issued(_digits(plain[start:end])))


def _digits(number: str) -> str:
    return number.replace(" ", "").replace("-", "")


def _may_be_issued(digits: str) -> bool:
    if not _FEWEST <= len(digits) <= _MOST:
        return False
    first = int(digits[:4])
    ranges = (lengths for low, high, lengths in _ISSUERS if low <= first <= high)
    return any(len(digits) in lengths for lengths in ranges) and _passes_luhn(digits)


_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def _passes_luhn(digits: str) -> bool:
    backwards = [int(digit) for digit in reversed(digits)]
    return (sum(backwards[::2]) + sum(_DOUBLED[digit] for digit in backwards[1::2])) % 10 == 0
