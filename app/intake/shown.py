"""A number in a cell of an Excel book becomes the text that a person sees there.

In: what the XML holds, and the cell's format. Out: the text as the same list saved as CSV would hold it. What can't
happen here: a zero in front that is lost, a digit that Excel would not show, a date read as another day.
"""

import re
from collections.abc import Callable
from datetime import datetime

from openpyxl.styles.numbers import BUILTIN_FORMATS, is_datetime
from openpyxl.utils.datetime import from_excel

_EXACT = 2**53
_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,15}")
# a number shown with zeros in front: 0000, 000-0000-0000
_ZEROS = re.compile("0{2,}(?:-0+)*")
# formats that Excel in Japan has built in without writing them down: dates, but for two times of day
_JAPANESE_DATES = {*range(27, 37), *range(50, 59)} - {32, 33}
_JAPANESE_TIMES = {32, 33}

Show = Callable[[str], str]


def show(number: int, code: str | None, epoch: datetime) -> Show | None:
    """Give how a format shows numbers, None where they are plain.

    `number` is the format's own, `code` what the book says of it; `epoch` is the day that dates are counted from.
    """
    if code is None and number in _JAPANESE_TIMES:
        return lambda text: _date(text, epoch, time_only=True)
    if code is None and number in _JAPANESE_DATES:
        return lambda text: _date(text, epoch, time_only=False)
    code = code if code is not None else BUILTIN_FORMATS.get(number, "General")
    kind = is_datetime(code)
    if kind:
        return lambda text: _date(text, epoch, time_only=kind == "time")
    if _ZEROS.fullmatch(code):
        return lambda text: _with_zeros(text, code)
    return None


def _date(text: str, epoch: datetime, *, time_only: bool) -> str:
    try:
        at = from_excel(float(text), epoch)
    except (ValueError, OverflowError):
        return text
    if not isinstance(at, datetime):  # below one day it is a time
        return f"{at:%H:%M}" if hasattr(at, "hour") else text
    if time_only:
        return f"{at:%H:%M}"
    day = f"{at.year}/{at.month:02}/{at.day:02}"
    return f"{day} {at:%H:%M}" if (at.hour, at.minute) != (0, 0) else day


def _with_zeros(text: str, code: str) -> str:
    shown = number_shown(text)
    if not shown.isdigit():
        return shown
    groups = [len(zeros) for zeros in code.split("-")]
    digits = shown.zfill(sum(groups))
    parts = []
    for size in reversed(groups[1:]):
        parts.append(digits[-size:])
        digits = digits[:-size]
    return "-".join([digits, *reversed(parts)])


def number_shown(text: str) -> str:
    """Give a number as a cell without a format shows it; XML holds 4.4999999999999998E-2 for 0.045."""
    if _PLAIN_NUMBER.fullmatch(text):
        return text
    try:
        value = float(text)
    except ValueError:
        return text
    # Excel itself keeps 15 digits; a whole number that others wrote in full is told in full, a card's for one
    return str(int(value)) if value.is_integer() and abs(value) < _EXACT else f"{value:.15g}"
