"""A number on the company's list gets no SMS: not a first one, no retry, no reminder, not even one claimed already."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from app import tenancy
from app.delivery import clerk_test_sms, dispatch, leases, resend, retry_due, send_context
from app.delivery.slice_run import SliceRun
from app.extensions import db
from app.models import Campaign, Recipient
from app.problems import Refused
from app.states import result_codes
from app.suppression import numbers
from app.suppression.numbers import Added, Terms
from app.values.japan_time import TOKYO
from app.values.suppression_reasons import SuppressionReason
from sandbox.harness import Sandbox
from tests import factories, steps
from tests.launched import Job, received

Launched = Callable[..., Job]


def national(phone: str) -> str:
    return "0" + phone[3:]


def suppress(job: Job, phone: str, reason: SuppressionReason = SuppressionReason.WISH) -> Added:
    with tenancy.tenant(job.tenant_id):
        return numbers.add(phone, Terms(reason), actor="user:1")


def told(job: Job, recipient_id: int) -> list[tuple[str, str | None]]:
    rows = job.rows(
        "SELECT state, detail->>'code' AS code FROM event WHERE campaign_id = %s AND recipient_id = %s"
        " AND track = 'sms' ORDER BY id",
        recipient_id,
    )
    return [(row["state"], row["code"]) for row in rows]


def test_a_number_on_the_list_gets_nothing_and_stands_as_cancelled_with_the_reason(
    launched: Launched, sandbox: Sandbox
) -> None:
    job = launched(3)
    out = job.people[1]
    added = suppress(job, out.phone, SuppressionReason.LAWYER)
    assert (added.waiting, added.leaving) == (1, 0)
    job.send()
    assert set(received(sandbox)) == {national(job.people[0].phone), national(job.people[2].phone)}
    code = result_codes.SUPPRESSED + "lawyer"
    person = job.person(out.id)
    assert (person["sms_state"], person["sms_code"], person["sms_attempt"]) == ("cancelled", code, 0)
    assert told(job, out.id) == [("queued", None), ("cancelled", code)]
    assert "弁護士介入" in result_codes.words(code)
    assert job.state() == "completed"


def test_a_list_of_another_company_stops_nobody_here(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(1)
    with tenancy.tenant(factories.tenant()):
        numbers.add(job.people[0].phone, Terms(SuppressionReason.WISH), actor="user:1")
    job.send()
    assert job.states() == {"accepted": 1}


def test_an_entry_that_ended_stops_nobody(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(2)
    for person in job.people:
        suppress(job, person.phone)
    with tenancy.tenant(job.tenant_id):
        entry = numbers.find(job.people[0].phone)
        assert entry is not None
        numbers.end(entry.id, actor="user:1")
    job.change("UPDATE suppression SET until = now() - interval '1 second' WHERE until IS NULL")
    job.send()
    assert job.states() == {"accepted": 2}


def test_an_entry_counts_through_its_last_day(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(1)
    with tenancy.tenant(job.tenant_id):
        today = datetime.now(TOKYO).date()
        numbers.add(job.people[0].phone, Terms(SuppressionReason.OTHER, today), actor="user:1")
    job.send()
    assert job.states() == {"cancelled": 1}
    assert not sandbox.messages()


def test_a_number_added_after_its_claim_and_before_its_request_does_not_leave(
    launched: Launched, sandbox: Sandbox
) -> None:
    job = launched(2)
    with tenancy.tenant(job.tenant_id):
        lease = leases.take_next()
        assert lease is not None
        route = send_context.route(job.campaign_id)
        run = SliceRun(lease, route, datetime.now(UTC) + timedelta(hours=1), lambda: False)
        run.read()
        claims = run.batch
    assert [claim.recipient_id for claim in claims] == job.ids()
    added = suppress(job, job.people[0].phone)
    assert added.leaving == 1
    with tenancy.tenant(job.tenant_id):
        run.record()  # a sign of life, every fifth of a second
    assert [run.may_send(claim) for claim in claims] == [False, True]
    run.skipped(claims[0])
    with tenancy.tenant(job.tenant_id):
        run.close()
    job.make_due()
    job.send()
    assert job.person(job.people[0].id)["sms_state"] == "cancelled"
    assert not sandbox.messages()


def test_a_number_added_while_a_campaign_runs_stops_what_has_not_left(
    launched: Launched, sandbox: Sandbox, tuned: Callable[..., None]
) -> None:
    tuned(batch_rows=1)
    job = launched(2, slice_rows=1)
    assert dispatch.take()
    suppress(job, job.people[1].phone)
    job.send()
    assert set(received(sandbox)) == {national(job.people[0].phone)}
    assert job.states() == {"accepted": 1, "cancelled": 1}


def test_a_planned_retry_is_not_made(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(1)
    job.send()
    steps.fail(job.people[0].id)
    job.change("UPDATE recipient SET retry_at = now() WHERE id = %s", job.people[0].id)
    suppress(job, job.people[0].phone)
    with tenancy.tenant(job.tenant_id):
        retry_due.wake()
    assert job.person(job.people[0].id)["sms_state"] == "undelivered"
    assert job.person(job.people[0].id)["retry_at"] is None
    assert len(sandbox.messages()) == 1


def test_neither_resend_nor_reminder_counts_or_writes_to_a_number_on_the_list(
    launched: Launched, sandbox: Sandbox
) -> None:
    job = launched(4)
    job.send()
    arrived, failed = job.ids()[:2], job.ids()[2:]
    steps.deliver(*arrived)
    steps.fail(*failed)
    with tenancy.tenant(job.tenant_id):
        campaign = db.session.get_one(Campaign, job.campaign_id)
        assert resend.to_remind(campaign, "unopened").people == 2
        assert resend.to_resend(campaign).people == 2
    suppress(job, job.people[0].phone)
    suppress(job, job.people[2].phone)
    with tenancy.tenant(job.tenant_id):
        campaign = db.session.get_one(Campaign, job.campaign_id)
        assert resend.to_remind(campaign, "unopened").people == 1
        assert resend.to_resend(campaign).people == 1
        assert not resend.may_resend(db.session.get_one(Recipient, job.people[2].id))


def test_a_reminder_that_waits_leaves_its_person_as_they_were(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(1)
    job.send()
    steps.deliver(job.people[0].id)
    user_id = factories.user(job.tenant_id)
    with tenancy.tenant(job.tenant_id):
        assert resend.remind(job.campaign_id, "unopened", user_id=user_id, number=1) == 1
    suppress(job, job.people[0].phone)
    job.send()
    assert job.person(job.people[0].id)["sms_state"] == "delivered"
    assert told(job, job.people[0].id)[-1] == ("delivered", result_codes.SUPPRESSED + "wish")
    assert len(sandbox.messages()) == 1


def test_a_clerks_test_sms_goes_to_no_number_on_the_list(launched: Launched, app: Flask, sandbox: Sandbox) -> None:
    job = launched(1)
    campaign_id = factories.campaign(job.tenant_id, sms_account_id=job.account_id)
    suppress(job, "090-1234-5678")
    with tenancy.tenant(job.tenant_id), pytest.raises(Refused) as refused:
        clerk_test_sms.send_test_sms(campaign_id, "09012345678", user_id=1)
    assert "test_sms_suppressed" in [problem.code for problem in refused.value.problems]
    assert not sandbox.messages()
