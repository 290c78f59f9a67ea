"""An SMS that its carrier has twice is kept for a manager, whichever way it came to light, until they settle it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from app import tenancy
from app.delivery.send_log import AttemptReport
from app.outcomes import apply_reports, double_sends
from app.providers.sms.base import Report, ReportState
from tests import factories
from tests.launched import Job

Launched = Callable[..., Job]
NOW = datetime.now(UTC)


@pytest.fixture
def job(launched: Launched) -> Job:
    made = launched(1)
    made.send()
    return made


def told(job: Job, *found: Report) -> None:
    person = job.people[0].id
    with tenancy.tenant(job.tenant_id), tenancy.transaction() as connection:
        apply_reports.apply(connection, [AttemptReport(person, 1, report, NOW) for report in found])


def kept(job: Job) -> list[dict[str, Any]]:
    return job.rows("SELECT recipient_id, attempt, copies, settled_by FROM doubled_message WHERE campaign_id = %s")


def own_id(job: Job) -> str:
    return str(job.rows("SELECT provider_id FROM send_log WHERE campaign_id = %s")[0]["provider_id"])


@pytest.mark.parametrize("copies", [2, 3])
def test_what_a_look_up_finds_twice_is_kept_once(job: Job, copies: int) -> None:
    report = Report(own_id(job), ReportState.DELIVERED, code=double_sends.CODE, copies=copies)
    told(job, report)
    told(job, report)
    assert kept(job) == [{"recipient_id": job.people[0].id, "attempt": 1, "copies": copies, "settled_by": ""}]
    assert job.events(job.people[0].id).count(double_sends.CODE) == 1
    told(job, Report(own_id(job), ReportState.DELIVERED, code="received"))
    assert len(kept(job)) == 1, "a later report takes nothing back"


def test_a_receipt_of_another_message_under_the_same_reference_is_a_second_one(job: Job) -> None:
    told(job, Report("another", ReportState.DELIVERED))
    assert [row["copies"] for row in kept(job)] == [2]


def test_two_receipts_at_once_of_an_attempt_whose_answer_was_lost(job: Job) -> None:
    job.change("UPDATE send_log SET provider_id = NULL")
    told(job, Report("one", ReportState.PROCESSING), Report("other", ReportState.PROCESSING))
    assert [row["copies"] for row in kept(job)] == [2]


def test_one_message_told_of_again_and_again_is_one(job: Job) -> None:
    for state in (ReportState.PROCESSING, ReportState.DELIVERED, ReportState.DELIVERED):
        told(job, Report(own_id(job), state))
    assert kept(job) == []


def test_a_manager_settles_it_on_record(job: Job) -> None:
    told(job, Report("another", ReportState.DELIVERED))
    user_id = factories.user(job.tenant_id, "manager")
    with tenancy.tenant(job.tenant_id):
        assert double_sends.settle(job.people[0].id, user_id=user_id)
        assert not double_sends.settle(job.people[0].id, user_id=user_id)
    assert [row["settled_by"] for row in kept(job)] == [f"user:{user_id}"]
    acts = [row["act"] for row in job.rows("SELECT act FROM audit_entry WHERE %s > 0")]
    assert acts.count("settle_doubled") == 1
