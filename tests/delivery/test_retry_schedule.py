"""People who weren't reached for a passing cause are tried again as the campaign says, and nobody else."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from app import queues
from app.providers.sms.base import ReportState
from jobs import outcomes, sweep
from sandbox.harness import Sandbox
from tests import steps
from tests.delivery.retries import received, time_passes, told
from tests.launched import Job

Launched = Callable[..., Job]


def test_who_was_switched_off_is_tried_again_after_the_wait(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(2, retry_times=2, retry_after_minutes=30)
    job.send()
    assert job.state() == "completed"
    told(job, "unconnected")
    wait = job.person(job.people[0].id)["retry_at"] - datetime.now(UTC)
    assert timedelta(minutes=29) < wait < timedelta(minutes=36)
    outcomes.reconcile(job.tenant_id)
    job.send()
    assert received(sandbox) == 2, "not before its time"
    time_passes(job)
    sweep.sweep()
    assert queues.waiting("jobs.outcomes.reconcile") == {(job.tenant_id,)}
    outcomes.reconcile(job.tenant_id)
    assert job.state() == "sending"
    assert job.states() == {"queued": 2}
    assert queues.waiting("jobs.delivery.send") == {()}
    job.send()
    assert received(sandbox) == 4
    assert job.events(job.people[0].id) == [
        "queued", "sending", "accepted", "undelivered", "queued", "sending", "accepted"
    ]  # fmt: skip
    assert job.state() == "completed"
    assert job.person(job.people[0].id)["retry_at"] is None


@pytest.mark.parametrize("meanwhile", [steps.pay_elsewhere, steps.revoke])
def test_who_paid_meanwhile_is_not_tried_again(
    launched: Launched, sandbox: Sandbox, meanwhile: Callable[..., None]
) -> None:
    job = launched(2, payment=True)
    job.send()
    told(job, "unconnected")
    meanwhile(job.people[0].id)
    time_passes(job)
    outcomes.reconcile(job.tenant_id)
    job.send()
    assert [job.person(person.id)["sms_state"] for person in job.people] == ["undelivered", "accepted"]
    assert received(sandbox) == 3
    assert job.person(job.people[0].id)["retry_at"] is None


def test_it_is_tried_as_often_as_the_campaign_says(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(1, retry_times=2, retry_after_minutes=5)
    for attempt in range(1, 5):
        job.send()
        told(job, "unconnected", attempt=min(attempt, 3))
        time_passes(job)
        outcomes.reconcile(job.tenant_id)
    assert received(sandbox) == 3
    assert job.states() == {"undelivered": 1}
    assert job.state() == "completed"


@pytest.mark.parametrize(("code", "columns"), [("error", {}), ("", {}), ("unconnected", {"retry_times": 0})])
def test_refused_for_good_or_not_wanted_is_not_tried_again(
    launched: Launched, code: str, columns: dict[str, int]
) -> None:
    job = launched(1, **columns)
    job.send()
    told(job, code)
    assert job.person(job.people[0].id)["retry_at"] is None


def test_what_never_got_in_is_tried_again_too(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(1)
    sandbox.faults(too_many_requests=True)
    for _ in range(5):
        job.change("UPDATE slice SET due_at = now() WHERE due_at IS NOT NULL")
        job.change("UPDATE send_log SET started_at = started_at - interval '30 minutes'")
        job.send()
    assert job.states() == {"undelivered": 1}
    assert job.person(job.people[0].id)["sms_code"] == "gave_up:http_429"
    sandbox.faults()
    time_passes(job)
    outcomes.reconcile(job.tenant_id)
    job.send()
    assert job.states() == {"accepted": 1}
    assert received(sandbox) == 1


@pytest.mark.parametrize(
    ("statement", "state"),
    [
        ("cancelled", "cancelled"),
        ("UPDATE campaign SET deadline_at = now()", "completed"),
        ("UPDATE campaign SET link_minutes = NULL, link_until = now()", "completed"),
    ],
)
def test_nobody_is_woken_who_may_not_be_written_to(launched: Launched, statement: str, state: str) -> None:
    job = launched(1)
    job.send()
    told(job, "unconnected")
    if statement == "cancelled":
        steps.cancel(job.campaign_id)
    else:
        job.change(statement)
    time_passes(job)
    outcomes.reconcile(job.tenant_id)
    assert job.states() == {"undelivered": 1}
    assert job.state() == state
    assert job.person(job.people[0].id)["retry_at"] is None


def test_a_late_delivery_makes_another_try_needless(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(1)
    job.send()
    told(job, "unconnected")
    time_passes(job)
    outcomes.reconcile(job.tenant_id)
    assert job.states() == {"queued": 1}
    told(job, "received", state=ReportState.DELIVERED)
    job.send()
    assert job.states() == {"delivered": 1}
    assert received(sandbox) == 1
    assert job.state() == "completed"


def test_a_campaign_completed_with_people_waiting_goes_on(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(1)
    steps.complete(job.campaign_id)
    job.send()
    assert received(sandbox) == 0
    sweep.sweep()
    assert queues.waiting("jobs.outcomes.reconcile") == {(job.tenant_id,)}
    outcomes.reconcile(job.tenant_id)
    job.send()
    assert job.states() == {"accepted": 1}
    assert job.state() == "completed"
