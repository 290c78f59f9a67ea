"""When SMS may leave: hours by weekday, Japanese holidays, a deadline.

Everything in Asia/Tokyo, nothing stored here.

A window as stored (JSON): `{"days": {"mon": ["09:00", "20:00"], …}, "holidays": true}`. A day without hours is closed;
hours run from the first time up to, not including, the second, which may be 24:00. `holidays` says whether Japan's
public holidays count as the weekday they fall on; if not, they are closed. 29 December to 3 January are ordinary days
but for 1 January, which is a holiday: who wants to rest then ends the campaign before or pauses it.

A campaign is sent when the company's window and its own are both open; the company's is 8:00-21:00 on every day unless
set. A campaign of profile 督促 keeps to 8:00-21:00 besides, whatever both say: 貸金業法第21条 forbids calls, fax and
visits from 21:00 to 8:00. It doesn't name SMS; we keep to it all the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, Protocol

import jpholiday

from app.values.japan_time import TOKYO

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_WORDS = ("月", "火", "水", "木", "金", "土", "日")

_DAY_MINUTES = 24 * 60
# how far ahead an opening is looked for: a window that is shut for longer never opens
_HORIZON_DAYS = 400

_LONGEST_OPENING = timedelta(days=30)

Hours = tuple[int, int]  # minutes of the day, the second one not included


@dataclass(frozen=True, slots=True)
class Window:
    """One party's hours by weekday, Monday first; None is closed.

    `holidays` false closes public holidays.
    """

    days: tuple[Hours | None, ...]
    holidays: bool = True

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Window":
        """Read a stored window.

        Raises ValueError: who reads nonsense as "open" writes to people at night.
        """
        hours = stored.get("days")
        resting = stored.get("holidays")
        if not isinstance(hours, Mapping) or not isinstance(resting, bool) or set(hours) - set(DAYS):
            raise ValueError("not a send window")
        return cls(tuple(_hours(hours.get(day)) for day in DAYS), resting)

    def to_json(self) -> dict[str, Any]:
        """Return the form that is stored."""
        days = {
            day: [clock_text(hours[0]), clock_text(hours[1])]
            for day, hours in zip(DAYS, self.days, strict=True)
            if hours
        }
        return {"days": days, "holidays": self.holidays}

    def __and__(self, other: "Window") -> "Window":
        """Return the window that is open when both are."""
        pairs = zip(self.days, other.days, strict=True)
        return Window(tuple(_both(one, two) for one, two in pairs), self.holidays and other.holidays)


DAYTIME = Window(((8 * 60, 21 * 60),) * 7)
ALWAYS = Window(((0, _DAY_MINUTES),) * 7)


@dataclass(frozen=True, slots=True)
class Policy:
    """When a campaign's SMS may leave: while its window is open and before its deadline (aware UTC)."""

    window: Window
    deadline: datetime | None = None

    def open_at(self, at: datetime) -> bool:
        """Return whether an SMS may leave at this moment."""
        return self.closes_at(at) is not None

    def closes_at(self, at: datetime) -> datetime | None:
        """Return when the opening that holds at `at` ends; None when it is closed.

        A day's opening ends at midnight.
        """
        if self.deadline is not None and at >= self.deadline:
            return None
        opening = self._opening(at.astimezone(TOKYO).date())
        if opening is None or not opening[0] <= at < opening[1]:
            return None
        return opening[1] if self.deadline is None else min(opening[1], self.deadline)

    def ends_at(self, at: datetime) -> datetime | None:
        """Return when SMS must have left by that may leave at `at`; None when none may.

        Days that follow each other without a gap are one opening, up to a month.
        """
        ends = self.closes_at(at)
        while ends is not None and ends < at + _LONGEST_OPENING and (further := self.closes_at(ends)) is not None:
            ends = further
        return ends

    def next_opening(self, at: datetime) -> datetime | None:
        """Return the first moment, `at` or later, at which an SMS may leave; None when there is none any more."""
        today = at.astimezone(TOKYO).date()
        for ahead in range(_HORIZON_DAYS + 1):
            opening = self._opening(today + timedelta(days=ahead))
            if opening is not None and at < opening[1]:
                first = max(at, opening[0])
                return first if self.deadline is None or first < self.deadline else None
        return None

    def _opening(self, day: date) -> tuple[datetime, datetime] | None:
        hours = self.window.days[day.weekday()]
        if hours is None or (not self.window.holidays and is_holiday(day)):
            return None
        midnight = datetime(day.year, day.month, day.day, tzinfo=TOKYO)  # Japan has no summer time
        first, last = ((midnight + timedelta(minutes=minutes)).astimezone(UTC) for minutes in hours)
        return first, last


class _Tenant(Protocol):
    @property
    def send_window(self) -> dict[str, Any] | None: ...


class _Campaign(Protocol):
    @property
    def send_window(self) -> dict[str, Any] | None: ...
    @property
    def profile(self) -> str: ...
    @property
    def deadline_at(self) -> datetime | None: ...


def policy_of(campaign: _Campaign, tenant: _Tenant) -> Policy:
    """Return the policy of a campaign's row and its company's.

    Raises ValueError for a stored window that is none.
    """
    window = DAYTIME if tenant.send_window is None else Window.from_json(tenant.send_window)
    if campaign.send_window is not None:
        window &= Window.from_json(campaign.send_window)
    if campaign.profile == "collection":
        window &= DAYTIME
    return Policy(window, campaign.deadline_at)


def is_holiday(day: date) -> bool:
    """Return whether a day is a public holiday in Japan (国民の祝日, 振替休日, 国民の休日)."""
    return day in _holidays(day.year)


@cache
def _holidays(year: int) -> frozenset[date]:
    return frozenset(day for day, _ in jpholiday.year_holidays(year))


def expected_finish(
    policy: Policy, start: datetime, people: int, rate: float, daily_cap: int | None = None
) -> datetime | None:
    """Return when `people` SMS, from `start` at `rate` a second, will have left; None when not all will.

    With `daily_cap`, no more than so many on one day of Japan's calendar. None also beyond the horizon.
    """
    at = policy.next_opening(start)
    horizon = start + timedelta(days=_HORIZON_DAYS)
    left = people
    while at is not None and at < horizon and left > 0:
        closes = policy.closes_at(at)
        assert closes is not None  # noqa: S101 - `next_opening` gives open moments only
        # a day has one opening, so each turn is another day
        can = min(int((closes - at).total_seconds() * rate), people if daily_cap is None else daily_cap)
        if can >= left:
            return at + timedelta(seconds=left / rate)
        left -= can
        at = policy.next_opening(closes)
    return at if left <= 0 else None


def at_night(policy: Policy, begins: datetime, finishes: datetime) -> bool:
    """Return whether some of the SMS that leave between two moments (aware) leave outside 8:00-21:00."""
    daytime = Policy(DAYTIME)
    at: datetime | None = begins
    while at is not None and at <= finishes and (closes := policy.closes_at(at)) is not None:
        evening = daytime.closes_at(at)
        if evening is None or evening < min(closes, finishes):
            return True
        at = policy.next_opening(closes)
    return False


def describe(policy: Policy) -> str:
    """Explain in Japanese when SMS may leave: 「月〜金 9:00〜20:00、土日 10:00〜17:00（祝日は送りません）」."""
    window = policy.window
    if not any(window.days):
        return "送信できる時間帯がありません"
    if window == ALWAYS:
        return "終日（毎日0:00〜24:00）"
    parts: list[str] = []
    for first, last, hours in _runs(window.days):
        if hours is not None:
            parts.append(f"{_days_text(first, last)} {_short(hours[0])}〜{_short(hours[1])}")
    return "、".join(parts) + ("（祝日も送ります）" if window.holidays else "（祝日は送りません）")


def _runs(days: tuple[Hours | None, ...]) -> list[tuple[int, int, Hours | None]]:
    """Return the runs of days with the same hours: first and last day, hours."""
    runs: list[tuple[int, int, Hours | None]] = []
    for number, hours in enumerate(days):
        if runs and runs[-1][2] == hours:
            runs[-1] = (runs[-1][0], number, hours)
        else:
            runs.append((number, number, hours))
    return runs


def _days_text(first: int, last: int) -> str:
    if (first, last) == (0, len(DAYS) - 1):
        return "毎日"
    if first == last:
        return DAY_WORDS[first]
    between = "・" if last == first + 1 else "〜"
    return f"{DAY_WORDS[first]}{between}{DAY_WORDS[last]}"


def clock_minutes(text: str) -> int:
    """Read HH:MM, 00:00 to 24:00, as minutes of the day. Raises ValueError."""
    hour, colon, minute = text.partition(":")
    if not colon or not (len(hour) == len(minute) == 2 and (hour + minute).isascii() and (hour + minute).isdigit()):  # noqa: PLR2004
        raise ValueError("not a time of day")
    minutes = int(hour) * 60 + int(minute)
    if int(minute) >= 60 or minutes > _DAY_MINUTES:  # noqa: PLR2004
        raise ValueError("not a time of day")
    return minutes


def clock_text(minutes: int) -> str:
    """Write minutes of the day as HH:MM."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _short(minutes: int) -> str:
    return f"{minutes // 60}:{minutes % 60:02}"


def _hours(stored: object) -> Hours | None:
    if stored is None:
        return None
    if not isinstance(stored, list | tuple) or len(stored) != 2 or not all(isinstance(one, str) for one in stored):  # noqa: PLR2004
        raise ValueError("not hours of a day")
    start, end = clock_minutes(stored[0]), clock_minutes(stored[1])
    if start >= end:
        raise ValueError("hours end before they begin")
    return start, end


def _both(one: Hours | None, two: Hours | None) -> Hours | None:
    if one is None or two is None:
        return None
    start, end = max(one[0], two[0]), min(one[1], two[1])
    return (start, end) if start < end else None
