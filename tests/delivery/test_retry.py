"""When to try again, and when to stop trying."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.delivery.retry import Breaker, give_up, pause_s
from app.sms.base import Outcome, OutcomeKind

NOON = datetime(2026, 11, 24, 3, tzinfo=UTC)
LATER = Outcome(OutcomeKind.LATER, "http_429", retry_after_s=90)
ACCEPTED = Outcome(OutcomeKind.ACCEPTED)


@pytest.mark.parametrize(
    ("tries", "minutes", "expected"), [(5, 60, True), (5, 59, False), (4, 600, False), (50, 1, False)]
)
def test_giving_up_takes_both_tries_and_time(tries: int, minutes: int, expected: bool) -> None:  # noqa: FBT001 - a table
    assert give_up(tries, NOON, NOON + timedelta(minutes=minutes)) is expected


@given(st.integers(1, 10_000), st.none() | st.floats(0, 1e9))
def test_a_pause_is_never_shorter_than_asked_nor_endless(tries: int, wish: float | None) -> None:
    pause = pause_s(tries, wish)
    assert min(wish or 0, 3600) <= pause <= max(900, min(wish or 0, 3600))


def test_pauses_grow() -> None:
    assert max(pause_s(1) for _ in range(200)) <= 30
    assert max(pause_s(4) for _ in range(200)) > 60


def test_the_breaker_opens_when_nothing_is_taken() -> None:
    breaker = Breaker()
    for _ in range(19):
        breaker.saw(LATER)
    breaker.saw(ACCEPTED)
    for _ in range(19):
        breaker.saw(Outcome(OutcomeKind.UNKNOWN, "timeout"))
    assert (breaker.open, breaker.pause_s) == (False, 0)
    breaker.saw(LATER)
    assert (breaker.open, breaker.account_fault) == (True, False)
    assert breaker.pause_s >= 90


def test_the_breaker_opens_at_once_for_the_account() -> None:
    breaker = Breaker()
    breaker.saw(Outcome(OutcomeKind.LATER, "unauthentication", account_fault=True))
    assert breaker.open
    assert breaker.account_fault
    assert breaker.pause_s == 300
