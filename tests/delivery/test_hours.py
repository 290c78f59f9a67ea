"""No SMS leaves outside its hours, beyond its deadline or beyond the day's cap; whom that stops goes on or expires.

The clock is moved, Python's and the database's together; leases, the carrier and libcurl are real.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from app import tenancy
from app.campaigns.send_windows import ALWAYS, DAYTIME, Window
from app.config import Settings
from app.delivery import daily_cap, dispatch, send_context
from app.delivery.send_log import AttemptReport
from app.outcomes import apply_reports
from app.providers.sms.base import Report, ReportState
from jobs import outcomes
from sandbox.harness import Sandbox
from tests.clock import TOKYO, Clock, japan, standing_clock
from tests.launched import Job, requests
from tests.waiting import until

Launched = Callable[..., Job]
Tuned = Callable[..., None]


@pytest.fixture
def clock(tuned: Tuned, database: psycopg.Connection, settings: Settings) -> Iterator[Clock]:
    """Let it be midnight of Monday, 24 November 2036, in Japan, until it is made later.

    Ends are told to the second here, so answers are waited for shortly.
    """
    tuned(send_timeout_s=2, lease_s=5)
    with standing_clock(database, settings, "2036-11-24T00:00:00") as standing:
        yield standing


@pytest.fixture
def at(clock: Clock) -> Callable[[str], bool]:
    """Let a worker come by at this time of Japan; return whether it found a slice to look at."""

    def come_by(when: str) -> bool:
        clock.to(when)
        return dispatch.take()

    return come_by


At = Callable[[str], bool]


@pytest.fixture
def daytime(clock: Clock, launched: Launched) -> Callable[..., Job]:
    """Launch a campaign that may be sent from 8:00 to 21:00."""

    def make(count: int = 3, *, window: Window = DAYTIME, **columns: Any) -> Job:
        return launched(count, send_window=window.to_json(), **columns)

    return make


@pytest.mark.parametrize(
    ("time", "leaves", "opens"),
    [
        ("2036-11-24T20:59:57", True, None),
        # the answer could come after that: SEND_TIMEOUT_S is 2 here
        ("2036-11-24T20:59:58", False, "2036-11-25T08:00:00"),
        ("2036-11-24T21:00:00", False, "2036-11-25T08:00:00"),
        ("2036-11-24T07:59:59", False, "2036-11-24T08:00:00"),
        ("2036-11-24T08:00:00", True, None),
        ("2036-12-29T08:00:00", True, None),
        ("2036-12-29T21:00:00", False, "2036-12-30T08:00:00"),
        ("2036-12-30T20:59:57", True, None),
        ("2036-12-31T21:00:00", False, "2037-01-01T08:00:00"),
        ("2037-01-01T12:00:00", True, None),
        ("2037-01-02T07:59:59", False, "2037-01-02T08:00:00"),
        ("2037-01-03T20:59:57", True, None),
    ],
)
def test_only_within_hours(
    daytime: Callable[..., Job], at: At, sandbox: Sandbox, *, time: str, leaves: bool, opens: str | None
) -> None:
    job = daytime()
    at(time)
    assert job.states() == ({"accepted": 3} if leaves else {"queued": 3})
    assert requests(sandbox) == (3 if leaves else 0)
    if opens:
        assert job.slice()["due_at"] == japan(opens)
        assert job.slice()["leased_until"] is None
        assert job.attempts() == {}, "nobody was claimed"


def test_at_year_end_a_campaign_that_rests_on_holidays_rests_on_new_years_day(
    daytime: Callable[..., Job], clock: Clock, sandbox: Sandbox, tuned: Tuned
) -> None:
    """A person every four hours from noon of 29 December, by a worker that comes by every two."""
    tuned(batch_rows=1)
    job = daytime(30, slice_rows=1, window=Window(DAYTIME.days, holidays=False))
    noon = japan("2036-12-29T12:00:00")
    job.change("UPDATE slice SET due_at = %s + (id - %s) * interval '4 hours'", noon, job.slices[0])
    clock.to(noon)
    sent: dict[str, int] = {}
    while clock.now < japan("2037-01-04T00:00:00"):
        before = requests(sandbox)
        while dispatch.take():
            pass
        day = clock.now.astimezone(TOKYO).date().isoformat()
        sent[day] = sent.get(day, 0) + requests(sandbox) - before
        clock.ahead(hours=2)
    # SMS that a night holds back leave at 8:00, what New Year's Day holds back on the 2nd
    assert sent == {
        "2036-12-29": 3, "2036-12-30": 6, "2036-12-31": 6, "2037-01-01": 0, "2037-01-02": 12, "2037-01-03": 3
    }  # fmt: skip
    assert job.states() == {"accepted": 30}


def test_a_job_held_overnight_goes_on_in_the_morning(daytime: Callable[..., Job], at: At, sandbox: Sandbox) -> None:
    job = daytime()
    assert at("2036-11-24T21:00:00"), "it is leased, looked at, and given back"
    for hour in ("2036-11-24T23:59:59", "2036-11-25T00:00:00", "2036-11-25T07:59:59"):
        assert not at(hour), "nobody leases it in the night"
    assert requests(sandbox) == 0
    assert at("2036-11-25T08:00:00")
    assert job.states() == {"accepted": 3}
    assert job.rows("SELECT min(started_at) AS at FROM send_log WHERE campaign_id = %s")[0]["at"] == japan(
        "2036-11-25T08:00:00"
    )


@pytest.mark.parametrize(("closes", "sent"), [("2036-11-24T20:59:57.999999", 1), ("2036-11-24T20:59:58", 0)])
def test_what_was_leased_and_claimed_in_time_does_not_leave_too_late(
    daytime: Callable[..., Job],
    clock: Clock,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    closes: str,
    sent: int,
) -> None:
    """The clock strikes between the claim and libcurl's gate, at which the last look is taken."""
    job = daytime(1)
    clock.to("2036-11-24T20:59:57")
    real = send_context.request

    def strikes(*arguments: Any) -> Any:
        clock.to(closes)
        return real(*arguments)

    monkeypatch.setattr(send_context, "request", strikes)
    dispatch.take()
    assert requests(sandbox) == sent
    assert job.attempts() == ({("accepted", "waiting"): 1} if sent else {("cancelled", "not_sent"): 1})
    if not sent:
        assert job.slice()["due_at"] == japan("2036-11-25T08:00:00")
        monkeypatch.undo()


@pytest.mark.parametrize(("struck", "sent"), [("2036-11-24T11:59:57.999999", 1), ("2036-11-24T11:59:58", 0)])
def test_no_link_leaves_that_is_over_by_then(
    daytime: Callable[..., Job],
    clock: Clock,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    struck: str,
    sent: int,
) -> None:
    job = daytime(1, link_minutes=None, link_until=japan("2036-11-24T12:00:00"))
    clock.to("2036-11-24T11:59:57")
    real = send_context.request

    def strikes(*arguments: Any) -> Any:
        clock.to(struck)
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(send_context, "request", strikes)
        dispatch.take()
    assert requests(sandbox) == sent
    assert job.states() == ({"accepted": 1} if sent else {"expired": 1})


def test_closing_time_in_mid_slice_stops_before_the_next_call(
    daytime: Callable[..., Job], clock: Clock, sandbox: Sandbox, tuned: Tuned
) -> None:
    tuned(send_connections=5, batch_rows=20)
    job = daytime(100)
    clock.to("2036-11-24T20:59:57")
    sandbox.faults(latency_ms=200)

    def minutes_pass() -> None:
        until(lambda: requests(sandbox) >= 30)
        clock.to("2036-11-24T21:00:00")

    with ThreadPoolExecutor(1) as pool:
        passing = pool.submit(minutes_pass)
        dispatch.take()
        passing.result()
    sandbox.faults()
    sent = requests(sandbox)
    assert 30 <= sent < 60
    assert job.states() == {"accepted": sent, "queued": 100 - sent}
    assert job.slice()["due_at"] == japan("2036-11-25T08:00:00")
    clock.to("2036-11-25T08:00:00")
    while dispatch.take():
        pass
    assert job.states() == {"accepted": 100}
    assert len({message["to"] for message in sandbox.messages()}) == len(sandbox.messages()) == 100


def test_whom_closing_time_cuts_off_before_the_deadline_has_expired(
    daytime: Callable[..., Job], clock: Clock, sandbox: Sandbox, tuned: Tuned, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned(send_connections=1, batch_rows=2)
    job = daytime(10, deadline_at=japan("2036-11-25T08:00:00"))
    clock.to("2036-11-24T20:59:57")
    real = send_context.request

    def minutes_pass(*arguments: Any) -> Any:
        if requests(sandbox) >= 4:
            clock.to("2036-11-24T21:00:00")
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(send_context, "request", minutes_pass)
        dispatch.take()
    sent = requests(sandbox)
    assert sent < 10
    assert job.states() == {"accepted": sent, "expired": 10 - sent}
    assert job.state() == "completed"


@pytest.mark.parametrize(
    "columns",
    [
        {"deadline_at": japan("2036-11-25T07:00:00")},
        {"deadline_at": japan("2036-11-24T20:00:00")},
        {"link_minutes": None, "link_until": japan("2036-11-25T08:00:00")},
    ],
)
def test_whom_no_opening_awaits_has_expired(
    daytime: Callable[..., Job], at: At, sandbox: Sandbox, columns: dict[str, Any]
) -> None:
    job = daytime(**columns)
    at("2036-11-24T21:00:00")
    assert job.states() == {"expired": 3}
    assert requests(sandbox) == 0
    assert job.events(job.people[0].id) == ["queued", "expired"]
    assert job.state() == "completed"


def test_a_try_that_comes_due_in_the_night_leaves_in_the_morning(
    daytime: Callable[..., Job], clock: Clock, sandbox: Sandbox
) -> None:
    job = daytime(2, retry_times=1, retry_after_minutes=30)
    clock.to("2036-11-24T20:50:00")
    dispatch.take()
    report = Report("id", ReportState.UNDELIVERED, code="unconnected")
    with tenancy.tenant(job.tenant_id), tenancy.transaction() as connection:
        apply_reports.apply(connection, [AttemptReport(person.id, 1, report, clock.now) for person in job.people])
    for when in ("2036-11-24T21:30:00", "2036-11-25T07:59:59"):
        clock.to(when)
        outcomes.reconcile(job.tenant_id)
        while dispatch.take():
            pass
        assert requests(sandbox) == 2
        assert job.states() == {"queued": 2}
    clock.to("2036-11-25T08:00:00")
    dispatch.take()
    assert job.states() == {"accepted": 2}
    assert requests(sandbox) == 4


def test_dunning_stays_out_of_the_night_whatever_both_say(
    clock: Clock, at: At, launched: Launched, sandbox: Sandbox
) -> None:
    job = launched(3, profile="collection", send_window=ALWAYS.to_json())
    at("2036-11-24T21:00:00")
    assert requests(sandbox) == 0
    assert job.slice()["due_at"] == japan("2036-11-25T08:00:00")


def test_hours_that_cannot_be_read_let_nothing_out(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(3, send_window={"days": "always"})
    dispatch.take()
    assert requests(sandbox) == 0
    assert job.states() == {"queued": 3}
    assert job.slice()["due_at"] > datetime.now(UTC)


def test_what_is_over_the_daily_cap_waits_for_the_next_day(
    clock: Clock, at: At, launched: Launched, sandbox: Sandbox, tuned: Tuned
) -> None:
    tuned(batch_rows=4)
    job = launched(10, slice_rows=5)
    job.change("UPDATE tenant SET daily_cap = 7 WHERE id = %s", job.tenant_id)
    for _ in range(3):
        at("2036-11-24T12:00:00")
    assert job.states() == {"accepted": 7, "queued": 3}
    waiting = job.rows("SELECT due_at FROM slice WHERE campaign_id = %s AND due_at IS NOT NULL")
    assert [row["due_at"] for row in waiting] == [japan("2036-11-25T00:00:00")]
    at("2036-11-25T00:00:00")
    assert job.states() == {"accepted": 10}
    assert requests(sandbox) == 10


def test_the_day_after_the_cap_keeps_to_the_hours(daytime: Callable[..., Job], at: At) -> None:
    job = daytime(5)
    job.change("UPDATE tenant SET daily_cap = 2 WHERE id = %s", job.tenant_id)
    at("2036-11-24T12:00:00")
    assert job.slice()["due_at"] == japan("2036-11-25T08:00:00")


def test_what_never_left_does_not_count_against_the_cap(
    clock: Clock, at: At, launched: Launched, sandbox: Sandbox
) -> None:
    job = launched(5)
    job.change("UPDATE tenant SET daily_cap = 5 WHERE id = %s", job.tenant_id)
    sandbox.faults(too_many_requests={"next": 3})
    at("2036-11-24T12:00:00")
    assert job.states() == {"accepted": 2, "queued": 3}
    at("2036-11-24T12:30:00")
    assert job.states() == {"accepted": 5}


def test_what_did_not_leave_before_midnight_is_given_back_to_its_own_day(
    clock: Clock, launched: Launched, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = launched(3)
    job.change("UPDATE tenant SET daily_cap = 5 WHERE id = %s", job.tenant_id)
    clock.to("2036-11-24T23:59:59")
    real = send_context.request

    def strikes(*arguments: Any) -> Any:
        """Midnight comes, and another worker has sent four by then."""
        clock.to("2036-11-25T00:00:01")
        job.change(
            "INSERT INTO sending_day (tenant_id, day, messages) VALUES (%s, '2036-11-25', 4) ON CONFLICT DO NOTHING",
            job.tenant_id,
        )
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(send_context, "request", strikes)
        dispatch.take()
    assert requests(sandbox) == 0
    days = job.rows("SELECT day, messages FROM sending_day WHERE %s > 0 ORDER BY day")
    assert [(row["day"].day, row["messages"]) for row in days] == [(24, 0), (25, 4)]


def test_a_cap_set_in_the_course_of_the_day_counts_what_left_before(launched: Launched) -> None:
    job = launched(6, slice_rows=3)
    dispatch.take()
    job.change("UPDATE tenant SET daily_cap = 4 WHERE id = %s", job.tenant_id)
    dispatch.take()
    assert job.states() == {"accepted": 4, "queued": 2}


def test_tomorrow_is_japans() -> None:
    assert daily_cap.tomorrow(datetime(2036, 11, 24, 14, 59, tzinfo=UTC)) == japan("2036-11-25T00:00:00")
    assert daily_cap.tomorrow(datetime(2036, 11, 24, 15, 0, tzinfo=UTC)) - timedelta(days=1) == japan(
        "2036-11-25T00:00:00"
    )
