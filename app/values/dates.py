"""Dates as people in Japan write them: 西暦 and 和暦, any width, any separator.

Unreal or unclear ones are refused.
"""

import datetime as dt
import re
import unicodedata

from app.problems import Kind, Refused

EMPTY = Kind("date_empty", "空です。日付を入力してください。")
DIGITS_ONLY = Kind("date_digits_only", "日付として読めません。数字だけのときは、西暦の年月日を8桁で入力してください。")
_NOT_A_DATE = Kind(
    "date_unreadable", "日付として読めません。1956年9月4日、1956/9/4、昭和31年9月4日のように入力してください。"
)
_NOT_A_COMING_DATE = Kind(
    "date_ahead_unreadable", "日付として読めません。2027年3月31日、2027/3/31、令和9年3月31日のように入力してください。"
)
_AMBIGUOUS_YEAR = Kind(
    "date_ambiguous_year",
    "年がはっきりしません。西暦4桁か、元号を付けて入力してください(例: 1956年、昭和31年)。",
)
_AMBIGUOUS_COMING_YEAR = Kind(
    "date_ahead_ambiguous_year",
    "年がはっきりしません。西暦4桁か、元号を付けて入力してください(例: 2027年、令和9年)。",
)
_INCOMPLETE = Kind("date_incomplete", "年・月・日をすべて入力してください。")
_YEAR_OUT_OF_RANGE = Kind("date_year_out_of_range", "年が正しくありません。西暦4桁か、元号を付けて入力してください。")
_NOT_IN_ERA = Kind(
    "date_not_in_era",
    "{era}にはない日付です({era}は{since}から{until})。年月日を確かめて直してください。",
)
_NO_SUCH_DAY = Kind("date_no_such_day", "暦にない日付です。年月日を確かめて直してください。")


# of refusals whose examples are dates of birth, the same with dates to come
_AHEAD = {_NOT_A_DATE.code: _NOT_A_COMING_DATE, _AMBIGUOUS_YEAR.code: _AMBIGUOUS_COMING_YEAR}

# The eras by the cabinets' orders, each day inclusive. 1912-07-30 and 1926-12-25 bear two names: the change was made
# within the day, and family registers hold both.
_ERAS = {
    "明治": (dt.date(1868, 1, 25), dt.date(1912, 7, 30)),
    "大正": (dt.date(1912, 7, 30), dt.date(1926, 12, 25)),
    "昭和": (dt.date(1926, 12, 25), dt.date(1989, 1, 7)),
    "平成": (dt.date(1989, 1, 8), dt.date(2019, 4, 30)),
    "令和": (dt.date(2019, 5, 1), dt.date(2199, 12, 31)),
}
_SHORT_ERAS = {"明": "明治", "大": "大正", "昭": "昭和", "平": "平成", "令": "令和"} | {
    "M": "明治",
    "T": "大正",
    "S": "昭和",
    "H": "平成",
    "R": "令和",
}
_FIRST_YEAR, _LAST_YEAR = _ERAS["明治"][0].year, _ERAS["令和"][1].year

_MAX_LENGTH = 40  # characters: the longest form with its weekday and time has 30
_ERA = "(明治|大正|昭和|平成|令和|[明大昭平令MTSHR])"
_MONTH_AND_DAY = r"[-/.月]([0-9]{1,2})日?"

_WESTERN = re.compile(r"([0-9]{4})[-/.年]([0-9]{1,2})" + _MONTH_AND_DAY)
_EIGHT_DIGITS = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_JAPANESE = re.compile(_ERA + r"\.?(元|[0-9]{1,2})[-/.年]([0-9]{1,2})" + _MONTH_AND_DAY)
_JAPANESE_DIGITS = re.compile(_ERA + r"([0-9]{2})([0-9]{2})([0-9]{2})")
_SHORT_YEAR = re.compile(r"'?[0-9]{1,3}[-/.年][0-9]{1,2}" + _MONTH_AND_DAY)

_TIME_OF_DAY = re.compile(
    r"(?:(?<!\s)\s++|T)[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?\s*+$"
)  # databases export it
_WEEKDAY = re.compile(r"\([月火水木金土日](?:曜日?)?\)$")
# White space, and what can't be seen at all: zero-width signs, directions that come with a copied text, and variation
# selectors, which phones can't type.
UNSEEN = "\\s\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef"
_SPACE = re.compile(f"[{UNSEEN}]+")
_HYPHENS = str.maketrans(dict.fromkeys("‐‑‒–—―−⁻⁃ー─━", "-"))


def parse_date(raw: str) -> dt.date:
    """Read a date: 1956-9-4, 1956/09/04, 1956年9月4日, 19560904, 昭和31年9月4日, S31.9.4, 令和元年5月1日, any width.

    A weekday in brackets or a time of day after it is passed over. Raises Refused.
    """
    if len(raw) > _MAX_LENGTH:
        raise _not_a_date()
    date = _read(raw)  # most cells need no cleaning
    if date is None:
        text = _TIME_OF_DAY.sub("", unicodedata.normalize("NFKC", raw))
        text = _WEEKDAY.sub("", _SPACE.sub("", text)).translate(_HYPHENS).upper().removeprefix("西暦")
        date = _read(text)
        if date is None:
            raise _unreadable(text)
    return date


def parse_date_ahead(raw: str) -> dt.date:
    """Read a date that is to come, such as an end or a due date, as `parse_date` does; examples are of such dates."""
    try:
        return parse_date(raw)
    except Refused as refused:
        if (kind := _AHEAD.get(refused.problem.code)) is not None:
            raise Refused(kind()) from None
        raise


def join_date(year: str, month: str, day: str) -> str:
    """Join the form's three inputs into one text for `parse_date`; the year may bear its era (昭和31).

    All three empty give an empty text. Raises Refused where only some are filled.
    """
    if max(map(len, (year, month, day))) > _MAX_LENGTH:
        raise _not_a_date()
    parts = [part.strip() for part in (year, month, day)]
    if not any(parts):
        return ""
    if not all(parts):
        raise Refused(_INCOMPLETE())
    return "".join(part.removesuffix(unit) + unit for part, unit in zip(parts, "年月日", strict=True))


def _read(text: str) -> dt.date | None:
    western = _WESTERN.fullmatch(text) or _EIGHT_DIGITS.fullmatch(text)
    if western:
        return _western(*western.groups())
    japanese = _JAPANESE.fullmatch(text) or _JAPANESE_DIGITS.fullmatch(text)
    if japanese:
        return _japanese(*japanese.groups())
    return None


def _western(year: str, month: str, day: str) -> dt.date:
    if not _FIRST_YEAR <= int(year) <= _LAST_YEAR:
        raise Refused(_YEAR_OUT_OF_RANGE())
    return _day(int(year), month, day)


def _japanese(era: str, year_of_era: str, month: str, day: str) -> dt.date:
    era = _SHORT_ERAS.get(era, era)
    first, last = _ERAS[era]
    years = 1 if year_of_era == "元" else int(year_of_era)
    year = first.year + years - 1
    if years and first.year <= year <= last.year:
        date = _day(year, month, day)
        if first <= date <= last:
            return date
    since = f"元年{first.month}月{first.day}日"
    until = "" if era == "令和" else f"{last.year - first.year + 1}年{last.month}月{last.day}日まで"
    raise Refused(_NOT_IN_ERA(era=era, since=since, until=until))


def _day(year: int, month: str, day: str) -> dt.date:
    try:
        return dt.date(year, int(month), int(day))
    except ValueError:
        raise Refused(_NO_SUCH_DAY()) from None


def _unreadable(text: str) -> Refused:
    if not text:
        return Refused(EMPTY())
    if text.isascii() and text.isdigit():
        return Refused(DIGITS_ONLY())
    if _SHORT_YEAR.fullmatch(text):
        return Refused(_AMBIGUOUS_YEAR())
    return _not_a_date()


def _not_a_date() -> Refused:
    return Refused(_NOT_A_DATE())
