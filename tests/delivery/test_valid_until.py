"""The carrier is told until when an SMS may arrive, and no request starts whose answer could come after that."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from app.campaigns.send_windows import ALWAYS, DAYTIME, Policy, Window
from app.config import Settings
from app.delivery import dispatch, send_context
from app.providers.http import Response
from app.providers.sms.base import OutcomeKind
from app.providers.sms.karaden import karaden
from sandbox.harness import Sandbox
from tests import steps
from tests.clock import Clock, japan, standing_clock
from tests.launched import Job, requests
from tests.waiting import until

Launched = Callable[..., Job]

MONDAY = "2036-11-24T"


@pytest.fixture
def clock(tuned: Callable[..., None], database: psycopg.Connection, settings: Settings) -> Iterator[Clock]:
    # ends are told to the second here, so answers are waited for shortly
    tuned(send_timeout_s=2, lease_s=5)
    with standing_clock(database, settings, f"{MONDAY}12:00:00") as standing:
        yield standing


def told(sandbox: Sandbox) -> list[datetime | None]:
    return [
        datetime.fromisoformat(message["limited_at"]) if message["limited_at"] else None
        for message in sandbox.messages()
    ]


@pytest.mark.parametrize(
    ("columns", "until"),
    [
        # the hours end
        ({"link_minutes": 20160}, f"{MONDAY}21:00:00"),
        ({"link_minutes": None, "link_until": japan("2036-11-25T12:00:00")}, f"{MONDAY}21:00:00"),
        # the link does, at a time or so long after the SMS
        ({"link_minutes": None, "link_until": japan(f"{MONDAY}12:06:00")}, f"{MONDAY}12:06:00"),
        ({"link_minutes": 30}, f"{MONDAY}12:30:00"),
        # the deadline does
        ({"deadline_at": japan(f"{MONDAY}13:00:30")}, f"{MONDAY}13:00:30"),
        # days without a gap between them are one
        ({"send_window": ALWAYS.to_json(), "link_minutes": 2880}, "2036-11-26T12:00:00"),
        ({"send_window": ALWAYS.to_json(), "deadline_at": japan("2036-11-25T09:00:00")}, "2036-11-25T09:00:00"),
    ],
)
def test_an_sms_may_arrive_until_the_hours_end_or_its_link(
    launched: Launched, clock: Clock, sandbox: Sandbox, columns: dict[str, Any], until: str
) -> None:
    job = launched(2, **({"send_window": DAYTIME.to_json()} | columns))
    dispatch.take()
    assert job.states() == {"accepted": 2}
    assert told(sandbox) == [japan(until)] * 2


def test_a_reminder_and_a_retry_are_told_of_too(launched: Launched, clock: Clock, sandbox: Sandbox) -> None:
    job = launched(1, send_window=DAYTIME.to_json())
    dispatch.take()
    clock.to(f"{MONDAY}13:00:00")
    steps.fail(*job.ids())
    steps.queue(*job.ids())
    steps.resume(job.campaign_id)
    job.change("UPDATE slice SET due_at = %s", clock.now)
    dispatch.take()
    assert told(sandbox) == [japan(f"{MONDAY}21:00:00")] * 2


@pytest.mark.parametrize(("seconds", "leaves"), [(2.001, True), (2, False), (0.001, False)])
def test_no_request_starts_whose_answer_could_come_too_late(
    launched: Launched, clock: Clock, sandbox: Sandbox, *, seconds: float, leaves: bool
) -> None:
    """SEND_TIMEOUT_S is 2 here."""
    job = launched(3, send_window=DAYTIME.to_json())
    clock.to(japan(f"{MONDAY}21:00:00") - timedelta(seconds=seconds))
    dispatch.take()
    assert requests(sandbox) == (3 if leaves else 0)
    if not leaves:
        assert job.slice()["due_at"] == japan("2036-11-25T08:00:00"), "it waits for the morning, not in a loop"
        assert not dispatch.take()


def test_who_can_not_be_answered_before_the_link_ends_has_expired(
    launched: Launched, clock: Clock, sandbox: Sandbox
) -> None:
    job = launched(3, link_minutes=None, link_until=japan(f"{MONDAY}12:00:02"))
    dispatch.take()
    assert job.states() == {"expired": 3}
    assert requests(sandbox) == 0


def test_the_carrier_sends_nothing_after_that(launched: Launched, sandbox: Sandbox, tuned: Callable[..., None]) -> None:
    tuned(send_timeout_s=2)
    sandbox.faults(receipt_delay_ms=6500)
    job = launched(1, link_minutes=None, link_until=datetime.now(UTC) + timedelta(hours=1))
    job.change("UPDATE campaign SET link_until = now() + interval '6 seconds'")
    job.send()
    assert job.states() == {"accepted": 1}
    until(lambda: {message["state"] for message in sandbox.messages()} == {"expired"})


def test_a_carrier_whose_clock_is_ahead_refuses_nobody_for_good() -> None:
    body = b'{"object": "error", "code": "validation_error", "errors": {"limited_at": ["?"]}}'
    outcome = karaden.outcome(Response(422, {}, body))
    assert (outcome.kind, outcome.account_fault) == (OutcomeKind.LATER, False)


def test_hours_of_a_few_seconds_never_open() -> None:
    policy = Policy(ALWAYS, japan(f"{MONDAY}12:00:01"))
    assert send_context.ends_at(policy, japan(f"{MONDAY}11:59:00"), karaden.capabilities) is not None
    assert send_context.ends_at(policy, japan(f"{MONDAY}12:00:00"), karaden.capabilities) is None


def test_midnight_ends_nothing_where_the_next_day_follows() -> None:
    at = japan(f"{MONDAY}23:59:59")
    ends = Policy(ALWAYS).ends_at(at)
    assert ends is not None
    assert ends > at + timedelta(days=29)
    late = Window(((20 * 60, 24 * 60), (0, 6 * 60), None, None, None, None, None))
    assert Policy(late).ends_at(at) == japan("2036-11-25T06:00:00")
