"""Retries after a campaign's completion can be held back and called off, and are told of on screens."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from app import queues, tenancy
from app.campaigns import lifecycle
from app.extensions import db
from app.identity import guard
from app.models import Campaign
from app.reports.progress import progress
from jobs import outcomes, sweep
from sandbox.harness import Sandbox
from tests import factories, steps
from tests.delivery.retries import received, time_passes, told
from tests.launched import Job

Launched = Callable[..., Job]


@pytest.fixture
def unreached(launched: Launched, sandbox: Sandbox) -> Job:
    """A completed campaign of two people who are to be tried again in half an hour."""
    job = launched(2, retry_times=2, retry_after_minutes=30)
    job.send()
    told(job, "unconnected")
    assert (job.state(), received(sandbox)) == ("completed", 2)
    return job


def press(job: Job, act: Callable[..., bool]) -> bool:
    user_id = factories.user(job.tenant_id, "manager")
    with tenancy.tenant(job.tenant_id):
        return act(job.campaign_id, user_id=user_id)


def later(job: Job) -> None:
    """Let the time of the next try come, and everybody do what they do then."""
    time_passes(job)
    sweep.sweep()
    outcomes.reconcile(job.tenant_id)
    job.make_due()
    job.send()
    outcomes.reconcile(job.tenant_id)


def test_cancelled_retries_never_leave(unreached: Job, sandbox: Sandbox) -> None:
    assert press(unreached, lifecycle.cancel)
    assert unreached.state() == "cancelled"
    later(unreached)
    assert received(sandbox) == 2
    assert unreached.states() == {"undelivered": 2}, "they stand as their last SMS left them"
    with tenancy.tenant(unreached.tenant_id):
        assert lifecycle.first_retry_at(unreached.campaign_id) is None
    assert unreached.state() == "cancelled"


def test_a_receipt_that_comes_after_the_cancelling_plans_nothing(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(2, retry_times=2, retry_after_minutes=30)
    job.send()
    told(job, "unconnected")
    assert press(job, lifecycle.cancel)
    told(job, "unconnected")
    assert [job.person(person.id)["retry_at"] for person in job.people] == [None, None]


def test_paused_retries_wait_until_sending_goes_on(unreached: Job, sandbox: Sandbox) -> None:
    assert press(unreached, lifecycle.pause)
    assert unreached.state() == "paused"
    later(unreached)
    assert (received(sandbox), unreached.state()) == (2, "paused")
    assert press(unreached, lifecycle.resume)
    unreached.make_due()
    unreached.send()
    assert (received(sandbox), unreached.state()) == (4, "completed")


def test_sending_that_goes_on_before_the_next_try_is_completed_again(unreached: Job, sandbox: Sandbox) -> None:
    assert press(unreached, lifecycle.pause)
    assert press(unreached, lifecycle.resume)
    assert unreached.state() == "completed"
    later(unreached)
    assert received(sandbox) == 4


def test_a_press_at_the_moment_in_which_the_retries_wake_still_counts(unreached: Job, sandbox: Sandbox) -> None:
    time_passes(unreached)
    outcomes.reconcile(unreached.tenant_id)
    assert unreached.states() == {"queued": 2}
    assert press(unreached, lifecycle.cancel)
    unreached.make_due()
    unreached.send()
    assert (received(sandbox), unreached.states()) == (2, {"undelivered": 2})


def test_a_campaign_of_which_nothing_leaves_any_more_stays_completed(launched: Launched) -> None:
    job = launched(2)
    job.send()
    assert not press(job, lifecycle.pause)
    assert not press(job, lifecycle.cancel)
    assert job.state() == "completed"


@pytest.mark.parametrize("planned", [True, False])
def test_answers_that_stop_hold_planned_retries_back_too(
    launched: Launched,
    sandbox: Sandbox,
    planned: bool,  # noqa: FBT001
) -> None:
    job = launched(30, retry_times=2, retry_after_minutes=30)
    job.send()
    if planned:
        told(job, "unconnected")
    steps.lock(*job.ids())
    job.change(
        "INSERT INTO event (tenant_id, campaign_id, recipient_id, track, state, at, actor)"
        " SELECT tenant_id, campaign_id, id, 'page', 'wrong_answer', now(), 'person' FROM recipient"
        " WHERE campaign_id = %s",
        job.campaign_id,
    )
    with tenancy.tenant(job.tenant_id):
        assert guard.watch(job.tenant_id, job.campaign_id)
    assert job.state() == ("paused" if planned else "completed")
    later(job)
    assert received(sandbox) == 30


def test_the_screens_say_when_the_next_try_leaves(unreached: Job, app: Flask) -> None:
    del app
    with tenancy.tenant(unreached.tenant_id):
        campaign = db.session.get_one(Campaign, unreached.campaign_id)
        found = progress(campaign).planned
        assert found is not None
        assert found.people == 2
        assert timedelta(minutes=29) < found.first_at - datetime.now(UTC) < timedelta(minutes=36)
        assert lifecycle.can_pause(campaign)
        assert lifecycle.can_cancel(campaign)
    assert queues.waiting("jobs.delivery.send") <= {()}
