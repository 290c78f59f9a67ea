"""Windows: the edges, year end, holidays, intersections; then laws that hold for every window."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.campaigns.send_windows import (
    ALWAYS,
    DAYS,
    DAYTIME,
    Policy,
    Window,
    at_night,
    describe,
    expected_finish,
    is_holiday,
    policy_of,
)
from app.values.japan_time import TOKYO


@dataclass
class Tenant:
    send_window: dict[str, Any] | None = None


@dataclass
class Campaign:
    send_window: dict[str, Any] | None = None
    profile: str = "normal"
    deadline_at: datetime | None = None


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=TOKYO).astimezone(UTC)


def every_day(start: str, end: str, *, holidays: bool = True) -> dict[str, Any]:
    return {"days": {day: [start, end] for day in DAYS}, "holidays": holidays}


WEEKDAYS: dict[str, Any] = {"days": {day: ["09:00", "18:00"] for day in DAYS[:5]}, "holidays": False}


@pytest.mark.parametrize(
    ("time", "is_open"),
    [
        ("2026-11-24T20:59:59.999999", True),
        ("2026-11-24T21:00:00", False),
        ("2026-11-25T00:00:00", False),
        ("2026-11-25T07:59:59.999999", False),
        ("2026-11-25T08:00:00", True),
    ],
)
def test_without_any_setting_nothing_leaves_before_8_or_from_21_on(time, is_open):
    assert policy_of(Campaign(), Tenant()).open_at(at(time)) is is_open


def test_what_is_cut_off_in_the_evening_goes_on_at_8_the_next_morning():
    policy = policy_of(Campaign(), Tenant())
    assert policy.next_opening(at("2026-11-24T21:00:00")) == at("2026-11-25T08:00:00")
    assert policy.next_opening(at("2026-11-24T20:59:59")) == at("2026-11-24T20:59:59")
    assert policy.closes_at(at("2026-11-24T20:59:59")) == at("2026-11-24T21:00:00")
    assert policy.closes_at(at("2026-11-24T21:00:00")) is None


@pytest.mark.parametrize(
    ("time", "opens"),
    [
        ("2026-12-28T18:00:00", "2026-12-29T09:00:00"),  # Tuesday, an ordinary day
        ("2026-12-29T12:00:00", "2026-12-29T12:00:00"),
        ("2026-12-30T18:00:00", "2026-12-31T09:00:00"),  # Thursday, an ordinary day
        ("2026-12-31T18:00:00", "2027-01-04T09:00:00"),  # Friday is 元日, then Saturday and Sunday
        ("2027-01-03T12:00:00", "2027-01-04T09:00:00"),
    ],
)
def test_at_year_end_only_new_years_day_rests(time, opens):
    assert policy_of(Campaign(), Tenant(WEEKDAYS)).next_opening(at(time)) == at(opens)


def test_with_holidays_on_new_years_day_is_a_friday():
    window = {**WEEKDAYS, "holidays": True}
    assert policy_of(Campaign(), Tenant(window)).open_at(at("2027-01-01T09:00:00"))


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2026, 11, 23), True),  # 勤労感謝の日
        (date(2026, 9, 22), True),  # between two holidays: 国民の休日
        (date(2027, 3, 21), True),  # 春分の日, a Sunday
        (date(2027, 3, 22), True),  # 振替休日
        (date(2026, 12, 29), False),
        (date(2026, 12, 31), False),
        (date(2027, 1, 1), True),
        (date(2027, 1, 2), False),
        (date(2027, 1, 3), False),
        (date(2026, 8, 14), False),  # お盆 is no public holiday
    ],
)
def test_holidays_of_japan(day, expected):
    assert is_holiday(day) is expected


@pytest.mark.parametrize(
    ("window", "begins", "finishes", "expected"),
    [
        (ALWAYS, "2026-11-24T20:59:00", "2026-11-24T20:59:59", False),
        (ALWAYS, "2026-11-24T20:59:00", "2026-11-24T21:00:00", False),  # the last one leaves before
        (ALWAYS, "2026-11-24T20:59:00", "2026-11-24T21:00:01", True),
        (ALWAYS, "2026-11-24T22:30:00", "2026-11-24T22:30:00", True),
        (ALWAYS, "2026-11-24T07:59:59", "2026-11-24T07:59:59", True),
        (ALWAYS, "2026-11-24T08:00:00", "2026-11-24T08:00:00", False),
        (DAYTIME, "2026-11-24T20:00:00", "2026-11-27T10:00:00", False),  # rests each night
        (Window(((6 * 60, 20 * 60),) * 7), "2026-11-24T19:00:00", "2026-11-24T19:59:00", False),
        (Window(((6 * 60, 20 * 60),) * 7), "2026-11-24T19:00:00", "2026-11-25T06:01:00", True),  # the next morning
    ],
)
def test_what_leaves_at_night_is_known_before(window, begins, finishes, expected):
    assert at_night(Policy(window), at(begins), at(finishes)) is expected


def test_a_window_to_24_00_passes_midnight_without_a_gap():
    policy = policy_of(Campaign(), Tenant(ALWAYS.to_json()))
    assert policy.open_at(at("2026-11-24T23:59:59.999999"))
    assert policy.closes_at(at("2026-11-24T23:59:59")) == at("2026-11-25T00:00:00")
    assert policy.next_opening(at("2026-11-25T00:00:00")) == at("2026-11-25T00:00:00")


def test_a_campaign_narrows_its_companys_hours_and_never_widens_them():
    policy = policy_of(Campaign(every_day("07:00", "12:00")), Tenant(every_day("10:00", "20:00")))
    assert policy.window == Window.from_json(every_day("10:00", "12:00"))


def test_hours_that_never_meet_never_open():
    policy = policy_of(Campaign(every_day("08:00", "09:00")), Tenant(every_day("10:00", "20:00")))
    assert policy.next_opening(at("2026-11-24T08:30:00")) is None
    assert describe(policy) == "送信できる時間帯がありません"


@pytest.mark.parametrize("campaign_window", [None, ALWAYS.to_json(), every_day("05:00", "23:00")])
def test_nobody_can_widen_dunning(campaign_window):
    policy = policy_of(Campaign(campaign_window, "collection"), Tenant(ALWAYS.to_json()))
    assert policy.window == DAYTIME
    narrower = policy_of(Campaign(every_day("09:00", "22:00"), "collection"), Tenant(ALWAYS.to_json()))
    assert narrower.window == Window.from_json(every_day("09:00", "21:00"))


def test_the_deadline_ends_everything():
    policy = policy_of(Campaign(deadline_at=at("2026-11-25T12:00:00")), Tenant())
    assert policy.closes_at(at("2026-11-25T11:59:59")) == at("2026-11-25T12:00:00")
    assert not policy.open_at(at("2026-11-25T12:00:00"))
    assert policy.next_opening(at("2026-11-25T12:00:00")) is None
    assert (
        policy_of(Campaign(deadline_at=at("2026-11-25T08:00:00")), Tenant()).next_opening(at("2026-11-24T21:00:00"))
        is None
    )


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"days": {}},
        {"days": {"mon": ["09:00", "18:00"]}},
        {"days": [], "holidays": True},
        {"days": {"monday": ["09:00", "18:00"]}, "holidays": True},
        {"days": {"mon": ["18:00", "09:00"]}, "holidays": True},
        {"days": {"mon": ["09:00", "09:00"]}, "holidays": True},
        {"days": {"mon": ["09:00", "24:01"]}, "holidays": True},
        {"days": {"mon": ["9:00", "18:00"]}, "holidays": True},
        {"days": {"mon": ["０９:00", "18:00"]}, "holidays": True},
        {"days": {"mon": ["09:60", "18:00"]}, "holidays": True},
        {"days": {"mon": "09:00"}, "holidays": True},
        {"days": {"mon": [540, 1080]}, "holidays": True},
        {"days": {"mon": ["09:00", "18:00"]}, "holidays": "yes"},
    ],
)
def test_nonsense_is_refused_rather_than_read_as_open(stored):
    with pytest.raises(ValueError, match=r"."):
        Window.from_json(stored)


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (DAYTIME.to_json(), "毎日 8:00〜21:00（祝日も送ります）"),
        (WEEKDAYS, "月〜金 9:00〜18:00（祝日は送りません）"),
        (
            {"days": {**WEEKDAYS["days"], "sat": ["10:00", "17:00"], "sun": ["10:00", "17:00"]}, "holidays": True},
            "月〜金 9:00〜18:00、土・日 10:00〜17:00（祝日も送ります）",
        ),
        ({"days": {"wed": ["09:30", "24:00"]}, "holidays": True}, "水 9:30〜24:00（祝日も送ります）"),
        (ALWAYS.to_json(), "終日（毎日0:00〜24:00）"),
    ],
)
def test_windows_in_words(window, words):
    assert describe(policy_of(Campaign(), Tenant(window))) == words


@pytest.mark.parametrize(
    ("people", "rate", "cap", "finish"),
    [
        (0, 10, None, "2026-11-24T20:00:00"),
        (3600, 10, None, "2026-11-24T20:06:00"),
        (36_000, 10, None, "2026-11-24T21:00:00"),
        (36_010, 10, None, "2026-11-25T08:00:01"),  # one hour is left today
        (250, 10, 100, "2026-11-26T08:00:05"),
    ],
)
def test_expected_finish(people, rate, cap, finish):
    policy = policy_of(Campaign(), Tenant())
    assert expected_finish(policy, at("2026-11-24T20:00:00"), people, rate, cap) == at(finish)


def test_what_the_deadline_cuts_off_has_no_finish():
    policy = policy_of(Campaign(deadline_at=at("2026-11-24T20:30:00")), Tenant())
    assert expected_finish(policy, at("2026-11-24T20:00:00"), 18_000, 10) == at("2026-11-24T20:30:00")
    assert expected_finish(policy, at("2026-11-24T20:00:00"), 18_001, 10) is None
    assert expected_finish(policy_of(Campaign(), Tenant()), at("2026-11-24T20:00:00"), 1_000_000, 1, 1) is None


minutes = st.integers(0, 24 * 60)
hours = st.none() | st.tuples(minutes, minutes).filter(lambda pair: pair[0] < pair[1])
windows = st.builds(Window, st.tuples(*[hours] * 7), st.booleans())
moments = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - given UTC
deadlines = st.none() | moments


@given(windows)
def test_every_window_is_read_as_it_was_stored(window):
    assert Window.from_json(window.to_json()) == window


@given(windows, windows, moments)
def test_two_windows_are_open_together_exactly_when_both_are(one, two, moment):
    both = Policy(one & two).open_at(moment)
    assert both == (Policy(one).open_at(moment) and Policy(two).open_at(moment))


@given(windows, deadlines, moments)
def test_an_opening_holds_up_to_its_end_and_not_at_it_unless_the_next_day_begins(window, deadline, moment):
    policy = Policy(window, deadline)
    closes = policy.closes_at(moment)
    if closes is None:
        return
    assert moment < closes
    assert policy.open_at(closes - timedelta(microseconds=1))
    if deadline is None and closes.astimezone(TOKYO).time().isoformat() != "00:00:00":
        assert not policy.open_at(closes)


@given(windows, deadlines, moments)
def test_the_next_opening_is_open_and_nothing_before_it_is(window, deadline, moment):
    policy = Policy(window, deadline)
    opens = policy.next_opening(moment)
    if opens is None:
        until = min(deadline or moment + timedelta(days=9), moment + timedelta(days=9))
        step, limit = timedelta(minutes=97), until
    else:
        assert opens >= moment
        assert policy.open_at(opens)
        step, limit = timedelta(minutes=97), opens
    while moment < limit:
        assert not policy.open_at(moment)
        moment += step


@given(st.none() | windows.map(Window.to_json), st.none() | windows.map(Window.to_json), moments)
def test_no_setting_lets_a_dunning_sms_leave_at_night(tenant_window, campaign_window, moment):
    policy = policy_of(Campaign(campaign_window, "collection"), Tenant(tenant_window))
    if policy.open_at(moment):
        assert 8 <= moment.astimezone(TOKYO).hour < 21


@given(windows, deadlines, moments, st.integers(1, 100_000), st.integers(1, 1000), st.none() | st.integers(1, 50_000))
def test_a_finish_is_never_before_the_rate_allows_nor_after_the_deadline(window, deadline, moment, people, rate, cap):
    finish = expected_finish(Policy(window, deadline), moment, people, rate, cap)
    if finish is not None:
        assert finish >= moment + timedelta(seconds=people / rate) - timedelta(milliseconds=1)
        assert deadline is None or finish <= deadline
