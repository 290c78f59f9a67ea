"""No SMS leaves outside its hours, beyond its deadline or beyond the day's cap; whom that stops goes on or expires.

The clock is moved, ahead of the database's own; the carrier and the database are real.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine

from app.campaigns.windows import ALWAYS, DAYTIME, Window
from app.delivery import caps, turns
from sandbox.harness import Sandbox
from tests.launched import Job

Launched = Callable[..., Job]
Tuned = Callable[..., None]

TOKYO = ZoneInfo("Asia/Tokyo")


def japan(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=TOKYO)


def requests(sandbox: Sandbox) -> int:
    return len(sandbox.ledger("karaden"))


def at(text: str, job: Job) -> None:
    """Let a worker come by at this time of Japan; the slice is due then."""
    job.change("UPDATE slice SET due_at = now() - interval '1 day' WHERE due_at IS NOT NULL")
    with time_machine.travel(japan(text), tick=False):
        turns.take()


@pytest.fixture
def daytime(launched: Launched) -> Callable[..., Job]:
    """Launch a campaign that may be sent from 8:00 to 21:00."""

    def make(count: int = 3, *, window: Window = DAYTIME, **columns: Any) -> Job:
        return launched(count, send_window=window.to_json(), **columns)

    return make


@pytest.mark.parametrize(
    ("time", "leaves", "opens"),
    [
        ("2036-11-24T20:59:59", True, None),
        ("2036-11-24T21:00:00", False, "2036-11-25T08:00:00"),
        ("2036-11-24T07:59:59", False, "2036-11-24T08:00:00"),
        ("2036-11-24T08:00:00", True, None),
        ("2036-12-29T08:00:00", True, None),
        ("2036-12-30T21:00:00", False, "2036-12-31T08:00:00"),
        ("2037-01-01T12:00:00", True, None),
    ],
)
def test_only_within_hours(
    daytime: Callable[..., Job], sandbox: Sandbox, *, time: str, leaves: bool, opens: str | None
) -> None:
    job = daytime()
    at(time, job)
    assert job.states() == ({"accepted": 3} if leaves else {"queued": 3})
    assert requests(sandbox) == (3 if leaves else 0)
    if opens:
        assert job.slice()["due_at"] == japan(opens)
        assert job.slice()["leased_until"] is None
        assert job.attempts() == {}, "nobody was claimed"


def test_holidays_of_the_new_year_are_kept(daytime: Callable[..., Job]) -> None:
    job = daytime(window=Window(DAYTIME.days, holidays=False))
    at("2036-12-31T21:30:00", job)
    assert job.slice()["due_at"] == japan("2037-01-02T08:00:00")
    at("2037-01-01T12:00:00", job)
    assert job.states() == {"queued": 3}
    at("2037-01-02T08:00:00", job)
    assert job.states() == {"accepted": 3}


def test_a_job_held_overnight_goes_on_in_the_morning(daytime: Callable[..., Job], sandbox: Sandbox) -> None:
    job = daytime()
    for hour in ("2036-11-24T21:00:00", "2036-11-24T23:59:59", "2036-11-25T00:00:00", "2036-11-25T07:59:59"):
        at(hour, job)
    assert requests(sandbox) == 0
    at("2036-11-25T08:00:00", job)
    assert job.states() == {"accepted": 3}


def test_closing_time_in_mid_slice_stops_before_the_next_call(
    daytime: Callable[..., Job], sandbox: Sandbox, tuned: Tuned
) -> None:
    tuned(send_connections=5, batch_rows=20)
    job = daytime(500)
    sandbox.switches(latency_ms=50)
    job.change("UPDATE slice SET due_at = now() - interval '1 day'")
    with time_machine.travel(japan("2036-11-24T20:59:59.3"), tick=True):
        turns.take()
    sent = requests(sandbox)
    assert 5 <= sent < 150
    assert job.states() == {"accepted": sent, "queued": 500 - sent}
    last = job.rows("SELECT max(started_at) AS at FROM send_log WHERE campaign_id = %s")[0]["at"]
    assert last < japan("2036-11-24T21:00:00")
    assert job.slice()["due_at"] == japan("2036-11-25T08:00:00")
    sandbox.switches()
    job.change("UPDATE slice SET due_at = now()")
    with time_machine.travel(japan("2036-11-25T08:00:00"), tick=True):
        turns.take()
    assert job.states() == {"accepted": 500}
    assert len({message["to"] for message in sandbox.messages()}) == len(sandbox.messages()) == 500


@pytest.mark.parametrize(
    "columns",
    [
        {"deadline_at": japan("2036-11-25T07:00:00")},
        {"deadline_at": japan("2036-11-24T20:00:00")},
        {"link_minutes": None, "link_until": japan("2036-11-25T08:00:00")},
    ],
)
def test_whom_no_opening_awaits_has_expired(
    daytime: Callable[..., Job], sandbox: Sandbox, columns: dict[str, Any]
) -> None:
    job = daytime(**columns)
    at("2036-11-24T21:00:00", job)
    assert job.states() == {"expired": 3}
    assert requests(sandbox) == 0
    assert job.events(job.people[0].id) == ["queued", "expired"]
    assert job.state() == "completed"


def test_dunning_stays_out_of_the_night_whatever_both_say(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(3, profile="collection", send_window=ALWAYS.to_json())
    at("2036-11-24T21:00:00", job)
    assert requests(sandbox) == 0
    assert job.slice()["due_at"] == japan("2036-11-25T08:00:00")


def test_hours_that_cannot_be_read_let_nothing_out(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(3, send_window={"days": "always"})
    turns.take()
    assert requests(sandbox) == 0
    assert job.states() == {"queued": 3}
    assert job.slice()["due_at"] > datetime.now(UTC)


def test_what_is_over_the_daily_cap_waits_for_the_next_day(launched: Launched, sandbox: Sandbox, tuned: Tuned) -> None:
    tuned(batch_rows=4)
    job = launched(10, slice_rows=5)
    job.change("UPDATE tenant SET daily_cap = 7 WHERE id = %s", job.tenant_id)
    for _ in range(3):
        at("2036-11-24T12:00:00", job)
    assert job.states() == {"accepted": 7, "queued": 3}
    waiting = job.rows("SELECT due_at FROM slice WHERE campaign_id = %s AND due_at IS NOT NULL")
    assert [row["due_at"] for row in waiting] == [japan("2036-11-25T00:00:00")]
    at("2036-11-25T00:00:00", job)
    assert job.states() == {"accepted": 10}
    assert requests(sandbox) == 10


def test_the_day_after_the_cap_keeps_to_the_hours(daytime: Callable[..., Job]) -> None:
    job = daytime(5)
    job.change("UPDATE tenant SET daily_cap = 2 WHERE id = %s", job.tenant_id)
    at("2036-11-24T12:00:00", job)
    assert job.slice()["due_at"] == japan("2036-11-25T08:00:00")


def test_what_never_left_does_not_count_against_the_cap(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(5)
    job.change("UPDATE tenant SET daily_cap = 5 WHERE id = %s", job.tenant_id)
    sandbox.switches(too_many_requests={"next": 3})
    at("2036-11-24T12:00:00", job)
    assert job.states() == {"accepted": 2, "queued": 3}
    at("2036-11-24T12:30:00", job)
    assert job.states() == {"accepted": 5}


def test_a_cap_set_in_the_course_of_the_day_counts_what_left_before(launched: Launched) -> None:
    job = launched(6, slice_rows=3)
    turns.take()
    job.change("UPDATE tenant SET daily_cap = 4 WHERE id = %s", job.tenant_id)
    turns.take()
    assert job.states() == {"accepted": 4, "queued": 2}


def test_tomorrow_is_japans() -> None:
    assert caps.tomorrow(datetime(2036, 11, 24, 14, 59, tzinfo=UTC)) == japan("2036-11-25T00:00:00")
    assert caps.tomorrow(datetime(2036, 11, 24, 15, 0, tzinfo=UTC)) - timedelta(days=1) == japan("2036-11-25T00:00:00")
