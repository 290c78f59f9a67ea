"""A number in a cell of an Excel workbook becomes the text that a person sees there.

In: what the XML holds, and the cell's format. Out: the text as the same list saved as CSV would hold it. Can't happen
here: a zero in front that is lost, a digit that Excel would not show, a date read as another day.
"""

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Context, Decimal, InvalidOperation

from openpyxl.styles.numbers import BUILTIN_FORMATS, is_datetime
from openpyxl.utils.datetime import from_excel

from app.intake.reading.number_format import UnknownFormat, number_format, text_format

_EXACT = 2**53
_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,15}")
# formats that Excel in Japan has built in without writing them down: dates, but for two times of day
_JAPANESE_DATES = {*range(27, 37), *range(50, 59)} - {32, 33}
_JAPANESE_TIMES = {32, 33}

# Excel keeps 15 digits; what others wrote with more is shown in full
_PRECISION = Context(prec=17)
# before and behind the point: 1E-999999999 would be written out with as many zeros
_PLACES = 20
# 0.00E+00: the cell holds every digit, and we tell all of them
_EXPONENT = re.compile(r"[0#?.,]+E[+-]0+", re.IGNORECASE)
# stands in a cell whose text can't be known: the row is told (`app.intake.checking.checks`)
UNKNOWN = "#書式!"
# the same where a program wrote a formula and no spreadsheet has computed it since
UNCOMPUTED = "#未計算!"

Show = Callable[[str], str]


def show(number: int, code: str | None, epoch: datetime) -> Show | None:
    """Return how a format shows numbers, None where they are plain.

    `number` is the format's own, `code` what the workbook says of it; `epoch` is the day that dates are counted from.
    """
    if code is None and number in _JAPANESE_TIMES:
        return lambda text: _date(text, epoch, time_only=True)
    if code is None and number in _JAPANESE_DATES:
        return lambda text: _date(text, epoch, time_only=False)
    code = code if code is not None else BUILTIN_FORMATS.get(number, "General")
    kind = is_datetime(code)
    if kind:
        return lambda text: _date(text, epoch, time_only=kind == "time")
    try:
        shown = number_format(code)
    except UnknownFormat:
        return _unknown if not _EXPONENT.fullmatch(code) else None
    return None if shown is None else lambda text: _formatted(text, shown)


def show_text(code: str | None) -> Show | None:
    """Return how a format shows texts, None where they stand as they are."""
    try:
        return text_format(code or "General")
    except UnknownFormat:
        return None


def _formatted(text: str, shown: Callable[[Decimal], str]) -> str:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return text
    try:
        fits = value.is_finite() and (not value or -_PLACES < value.adjusted() < _PLACES)
        return shown(_PRECISION.plus(value)) if fits else number_shown(text)
    except UnknownFormat:
        return UNKNOWN


def _unknown(_text: str) -> str:
    return UNKNOWN


def _date(text: str, epoch: datetime, *, time_only: bool) -> str:
    try:
        if float(text) < 0:
            return UNKNOWN  # Excel shows ####
        at = from_excel(float(text), epoch)
    except (ValueError, OverflowError):
        return text
    if not isinstance(at, datetime):  # below one day it is a time
        return f"{at:%H:%M}" if hasattr(at, "hour") else text
    if time_only:
        return f"{at:%H:%M}"
    day = f"{at.year}/{at.month:02}/{at.day:02}"
    return f"{day} {at:%H:%M}" if (at.hour, at.minute) != (0, 0) else day


def number_shown(text: str) -> str:
    """Return a number as a cell without a format shows it; XML holds 4.4999999999999998E-2 for 0.045."""
    if _PLAIN_NUMBER.fullmatch(text):
        return text
    try:
        value = float(text)
    except ValueError:
        return text
    # Excel itself keeps 15 digits; a whole number that others wrote in full is told in full, a card's for one
    return str(int(value)) if value.is_integer() and abs(value) < _EXACT else f"{value:.15g}"
