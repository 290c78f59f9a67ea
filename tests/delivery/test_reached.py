"""Whoever used the link that an SMS carried is never sent the same message again, by any path, and stands so."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from app import tenancy
from app.delivery import claims, leases, resend, send_context
from app.delivery.send_log import AttemptReport
from app.extensions import db
from app.identity import visit
from app.models import Campaign, Recipient
from app.outcomes import apply_reports, manual_review
from app.providers.sms.base import Report, ReportState
from app.states import result_codes
from jobs import outcomes
from sandbox.harness import Sandbox
from tests import decided, factories, steps
from tests.launched import Job, received
from tests.raw_states import force

Launched = Callable[..., Job]

# every way in which a person can have used the link
USED: dict[str, tuple[Callable[..., None], ...]] = {
    "opened": (steps.open_page,),
    "verified": (steps.verify,),
    "viewed": (steps.view,),
    "locked": (steps.lock,),
    "expired": (steps.open_page, steps.end_link),
    "paying": (steps.view, steps.start_paying),
    "paid": (steps.view, steps.pay),
}


def use(job: Job, how: str, place: int = 0) -> None:
    for step in USED[how]:
        step(job.people[place].id)


def leave_unused(job: Job) -> None:
    """Leave the page as it is."""


def let_lapse(job: Job) -> None:
    """Let the link end unused."""
    steps.end_link(*job.ids())


def use_an_earlier_link(job: Job) -> None:
    """Let an earlier link have been used, and the message have carried a newer one."""
    job.change("UPDATE recipient SET opened_at = now(), opened_generation = link_generation - 1")


def told(job: Job, state: ReportState, code: str, attempt: int = 1) -> None:
    report = Report("id", state, code=code)
    with tenancy.tenant(job.tenant_id), tenancy.transaction() as connection:
        apply_reports.apply(
            connection, [AttemptReport(person.id, attempt, report, datetime.now(UTC)) for person in job.people]
        )


def retried(job: Job) -> None:
    job.change("UPDATE recipient SET retry_at = now() WHERE retry_at IS NOT NULL")
    outcomes.reconcile(job.tenant_id)
    job.send()


def settled(job: Job) -> None:
    job.change("UPDATE send_log SET answered_at = answered_at - interval '1 hour' WHERE state = 'unknown'")
    job.make_due()
    job.change("UPDATE slice SET check_at = now() WHERE campaign_id = %s AND check_at IS NOT NULL", job.campaign_id)


@pytest.mark.parametrize("how", USED)
def test_whoever_used_the_link_gets_no_retry(launched: Launched, sandbox: Sandbox, how: str) -> None:
    job = launched(2, retry_times=2, payment=True)
    job.send()
    told(job, ReportState.UNDELIVERED, "unconnected")
    use(job, how)
    retried(job)
    assert sorted(received(sandbox).values()) == [1, 2]
    person = job.person(job.people[0].id)
    assert (person["sms_state"], person["sms_code"], person["retry_at"]) == ("delivered", result_codes.OPENED, None)
    assert "リンクを開いた" in result_codes.words(person["sms_code"])
    assert job.attempts()["undelivered", "unconnected"] == 2, "the provider's word stays in the log"


@pytest.mark.parametrize("how", [leave_unused, let_lapse, use_an_earlier_link])
def test_whoever_did_not_use_the_link_gets_the_retry(
    launched: Launched, sandbox: Sandbox, how: Callable[[Job], None]
) -> None:
    job = launched(1, retry_times=2)
    job.send()
    told(job, ReportState.UNDELIVERED, "unconnected")
    how(job)
    retried(job)
    assert list(received(sandbox).values()) == [2]


def test_no_retry_is_planned_for_whoever_read_before_the_provider_spoke(launched: Launched) -> None:
    job = launched(1, retry_times=2)
    job.send()
    use(job, "viewed")
    told(job, ReportState.UNDELIVERED, "unconnected")
    person = job.person(job.people[0].id)
    assert (person["sms_state"], person["retry_at"]) == ("delivered", None)


@pytest.mark.parametrize("how", USED)
def test_whoever_used_the_link_gets_nothing_after_an_empty_look_up(
    launched: Launched, sandbox: Sandbox, how: str
) -> None:
    job = launched(1, payment=True)
    sandbox.faults(reset_before_body=True)
    job.send()
    sandbox.faults()
    assert job.states() == {"unknown": 1}
    use(job, how)
    settled(job)
    outcomes.reconcile(job.tenant_id)
    assert (job.states(), job.state()) == ({"delivered": 1}, "completed")
    assert job.attempts() == {("delivered", result_codes.OPENED): 1}
    job.send()
    assert sandbox.messages() == []


@pytest.mark.parametrize("how", USED)
def test_the_button_to_send_again_leaves_out_whoever_used_the_link(
    launched: Launched, sandbox: Sandbox, how: str
) -> None:
    job = launched(2, retry_times=0, payment=True)
    job.send()
    told(job, ReportState.UNDELIVERED, "unconnected")
    use(job, how)
    user_id = factories.user(job.tenant_id)
    with tenancy.tenant(job.tenant_id):
        assert resend.to_resend(db.session.get_one(Campaign, job.campaign_id)).people == 1
        assert resend.resend(job.campaign_id, user_id=user_id) == 1
    job.send()
    assert sorted(received(sandbox).values()) == [1, 2]
    assert received(sandbox)["0" + job.people[0].phone[3:]] == 1


@pytest.mark.parametrize("how", USED)
def test_between_decision_and_claim_the_link_still_counts(launched: Launched, sandbox: Sandbox, how: str) -> None:
    job = launched(2, retry_times=2, payment=True)
    job.send()
    told(job, ReportState.UNDELIVERED, "unconnected")
    job.change("UPDATE recipient SET retry_at = now() WHERE retry_at IS NOT NULL")
    outcomes.reconcile(job.tenant_id)
    assert job.states() == {"queued": 2}
    use(job, how)
    job.send()
    assert sorted(received(sandbox).values()) == [1, 2]
    assert job.states() == {"accepted": 1, "delivered": 1}


def test_nobody_is_held_who_used_the_link(launched: Launched, sandbox: Sandbox) -> None:
    sandbox.faults(reset_after_body=True)
    job = launched(2)
    job.send()
    sandbox.faults()
    job.change(
        "UPDATE send_log SET started_at = now() - interval '25 hours', answered_at = now() - interval '25 hours'"
    )
    use(job, "viewed")
    user_id = factories.user(job.tenant_id, "manager")
    with tenancy.tenant(job.tenant_id):
        assert manual_review.count(db.session.get_one(Campaign, job.campaign_id)) == 1
        assert not manual_review.is_held(db.session.get_one(Recipient, job.people[0].id))
        assert not decided.settle(job.people[0].id, as_sent=False, user_id=user_id)
        assert decided.settle(job.people[1].id, as_sent=False, user_id=user_id)


@pytest.mark.parametrize("before", ["unknown", "undelivered"])
def test_a_press_on_the_link_says_at_once_that_the_sms_arrived(
    launched: Launched, sandbox: Sandbox, before: str
) -> None:
    job = launched(1, retry_times=1)
    sandbox.faults(error_after=before == "unknown")
    job.send()
    if before == "undelivered":
        told(job, ReportState.UNDELIVERED, "unconnected")
    assert job.states() == {before: 1}
    link = sandbox.messages()[0]["body"].rsplit("/", 1)[1]
    found = visit.by_token(link.split()[0])
    assert found is not None
    with tenancy.tenant(job.tenant_id):
        visit.begin(found)
    person = job.person(job.people[0].id)
    assert (person["sms_state"], person["sms_code"], person["opened_generation"]) == (
        "delivered",
        result_codes.OPENED,
        1,
    )
    retried(job)
    settled(job)
    outcomes.reconcile(job.tenant_id)
    job.send()
    assert list(received(sandbox).values()) == [1]


def test_a_newer_link_is_another_message(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(1)
    job.send()
    use(job, "viewed")
    # effects of drawing a new link: the page begins anew, and an SMS is due
    force(job.database, "recipient", job.ids(), link_generation=2, page_state="unopened", sms_state="queued")
    job.change("UPDATE slice SET due_at = now()")
    steps.resume(job.campaign_id)
    with tenancy.platform():
        taken = leases.take_next()
    assert taken is not None
    with tenancy.tenant(job.tenant_id):
        route = send_context.route(job.campaign_id)
        with leases.holding(taken) as connection:
            claimed = claims.claim(
                connection,
                taken,
                account_id=route.account.id,
                contract_id=route.account.contract_id,
                validity=route.validity,
                after_id=0,
                limit=10,
            )
    # the one before carried generation 1, which was used: but it is the new one that waits
    assert [(claim.attempt, claim.generation) for claim in claimed] == [(2, 2)]
