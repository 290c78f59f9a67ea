"""When to try again, and when to give up."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.delivery.backoff import give_up, pause_s

NOON = datetime(2026, 11, 24, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("tries", "minutes", "expected"), [(5, 60, True), (5, 59, False), (4, 600, False), (50, 1, False)]
)
def test_giving_up_takes_both_tries_and_time(tries: int, minutes: int, expected: bool) -> None:  # noqa: FBT001 - a table
    assert give_up(tries, NOON, NOON + timedelta(minutes=minutes)) is expected


@given(st.integers(1, 10_000), st.none() | st.floats(0, 1e9))
def test_a_pause_is_never_shorter_than_asked_nor_endless(tries: int, wish: float | None) -> None:
    pause = pause_s(tries, wish)
    assert min(wish or 0, 3600) <= pause <= max(60, min(wish or 0, 3600))


def test_pauses_are_spread_over_the_whole_span() -> None:
    """Full jitter: anything from nothing to the limit, evenly."""
    pauses = sorted(pause_s(1) for _ in range(2000))
    assert pauses[0] < 1
    assert pauses[-1] > 29
    assert 13 < sum(pauses) / len(pauses) < 17


def test_pauses_grow() -> None:
    assert max(pause_s(1) for _ in range(200)) <= 30
    assert 45 < max(pause_s(2) for _ in range(200)) <= 60


def test_a_provider_that_was_away_for_long_is_tried_within_a_minute() -> None:
    assert max(pause_s(100) for _ in range(200)) <= 60
