"""A service that takes no reference is asked by number and text: what left is found, what did not is sent once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app import tenancy
from app.campaigns import rendering
from app.delivery import resend, send_context
from app.extensions import db
from app.models import Recipient, Tenant
from app.outcomes import manual_review, missing_receipts, sent_texts
from app.providers.sms.base import Sought
from jobs import outcomes
from sandbox.harness import Sandbox
from tests import factories, steps
from tests.launched import Job, give_witness_phone, received, to_own_number
from tests.outcomes.proving_absence import make_due, proven_absent, settled, witnessed

Launched = Callable[..., Job]
Tuned = Callable[..., None]


@pytest.fixture
def untold(launched: Launched, sandbox: Sandbox) -> Job:
    """Three people whose SMS the service took, answering 500."""
    return broken(launched, sandbox, "error_after")


@pytest.fixture
def lost(launched: Launched, sandbox: Sandbox) -> Job:
    """Three people whose SMS never reached the service."""
    return broken(launched, sandbox, "error_before")


def broken(launched: Launched, sandbox: Sandbox, fault: str) -> Job:
    job = launched(3, provider="twilio")
    sandbox.faults(receipts_off=True, **{fault: True})
    job.send()
    sandbox.faults(receipts_off=True)
    assert job.states() == {"unknown": 3}
    return job


def lookups(sandbox: Sandbox) -> int:
    return sum(1 for row in sandbox.ledger("twilio") if row["call"] == "list")


def sought(job: Job) -> dict[str, Sought]:
    with tenancy.tenant(job.tenant_id):
        return sent_texts.sought(send_context.account(job.account_id), job.references())


def times_each(sandbox: Sandbox, job: Job) -> set[int]:
    """Return how often each person of the campaign got an SMS."""
    counts = received(sandbox)
    return {counts["0" + person.phone[3:]] for person in job.people}


def test_what_is_asked_with_is_what_was_sent(untold: Job, sandbox: Sandbox) -> None:
    asked = sought(untold)
    sent = {message["to"]: message for message in sandbox.messages()}
    for person, reference in zip(untold.people, untold.references(), strict=True):
        one = asked[reference]
        assert (one.reference, one.to, one.until, one.known) == (reference, person.phone, None, frozenset())
        assert one.body == sent["0" + person.phone[3:]]["body"]
        assert one.sent_at is not None
        assert timedelta() <= datetime.fromisoformat(sent["0" + person.phone[3:]]["at"]) - one.sent_at


def test_found_by_its_text_goes_on_as_sent(untold: Job, sandbox: Sandbox) -> None:
    outcomes.reconcile(untold.tenant_id)
    assert set(untold.states()) <= {"accepted", "delivered"}
    assert lookups(sandbox) == 3
    assert times_each(sandbox, untold) == {1}
    assert not untold.rows("SELECT 1 FROM send_log WHERE campaign_id = %s AND provider_id IS NULL")
    assert untold.state() == "completed"


def test_found_though_the_company_has_another_name_by_now_and_links_another_address(
    untold: Job, sandbox: Sandbox, tuned: Tuned
) -> None:
    with tenancy.tenant(untold.tenant_id):
        db.session.get_one(Tenant, untold.tenant_id).name = "さくら信販"
        db.session.commit()
    tuned(link_base_url="https://new.example")
    assert "さくら信販" not in str(sandbox.messages())
    outcomes.reconcile(untold.tenant_id)
    assert set(untold.states()) <= {"accepted", "delivered"}


def test_absent_is_proven_by_others_and_sent_again_once(lost: Job, sandbox: Sandbox) -> None:
    outcomes.reconcile(lost.tenant_id)
    assert lost.states() == {"unknown": 3}, "absent just now proves nothing"
    proven_absent(lost)
    assert lost.states() == {"queued": 3}
    make_due(lost)
    lost.send()
    assert lost.states() == {"accepted": 3}
    assert times_each(sandbox, lost) == {1}


def test_an_sms_to_the_companys_own_number_proves_absence_too(lost: Job, sandbox: Sandbox) -> None:
    give_witness_phone(lost)
    for _ in range(4):
        settled(lost)
        outcomes.reconcile(lost.tenant_id)
    assert len(to_own_number(sandbox)) == 1
    assert lost.states() == {"queued": 3}


@pytest.mark.parametrize(
    "switches",
    [{"list_empty": {"rate": 0.3}, "seed": 11}, {"list_unfiltered": True}, {"list_stale_s": 3600}],
)
def test_a_list_that_cannot_be_believed_sends_nothing_again(
    untold: Job, sandbox: Sandbox, switches: dict[str, Any]
) -> None:
    witnessed(untold)
    sandbox.faults(receipts_off=True, **switches)
    for _ in range(3):
        settled(untold)
        outcomes.reconcile(untold.tenant_id)
        make_due(untold)
        untold.send()
    assert times_each(sandbox, untold) == {1}


def test_a_clock_that_is_wrong_sends_nothing_again(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(2, provider="twilio")
    sandbox.faults(receipts_off=True, error_after=True, clock_behind_s=7200)
    job.send()
    sandbox.faults(receipts_off=True, clock_behind_s=7200)
    proven_absent(job)
    assert set(job.states()) <= {"unknown", "accepted", "delivered"}
    assert times_each(sandbox, job) == {1}


def test_two_attempts_of_one_text_are_told_apart(lost: Job, sandbox: Sandbox) -> None:
    proven_absent(lost)
    sandbox.faults(receipts_off=True, error_after=True)
    make_due(lost)
    lost.send()
    sandbox.faults(receipts_off=True)
    assert lost.states() == {"unknown": 3}
    for _ in range(2):
        settled_last(lost)
        outcomes.reconcile(lost.tenant_id)
    assert set(lost.states()) <= {"accepted", "delivered"}
    assert lost.rows("SELECT DISTINCT attempt FROM send_log WHERE campaign_id = %s AND provider_id IS NOT NULL") == [
        {"attempt": 2}
    ]
    assert lost.rows("SELECT 1 FROM doubled_message WHERE campaign_id = %s") == []
    assert times_each(sandbox, lost) == {1}


def settled_last(job: Job) -> None:
    """Let the time between two questions pass."""
    job.change("UPDATE send_log SET asked_at = asked_at - interval '1 hour' WHERE state = 'unknown'")
    make_due(job)


def test_a_reminder_of_the_same_text_is_no_duplicate_and_is_found_or_missed_by_itself(
    launched: Launched, sandbox: Sandbox
) -> None:
    job = launched(2, provider="twilio", retry_times=0)
    sandbox.faults(receipts_off=True)
    job.send()
    assert job.states() == {"accepted": 2}
    steps.deliver(*job.ids())
    # those of before are older than the reminder will be made
    job.change("UPDATE send_log SET started_at = started_at - interval '1 hour'")
    user_id = factories.user(job.tenant_id)
    with tenancy.tenant(job.tenant_id):
        assert resend.remind(job.campaign_id, "unopened", user_id=user_id, number=1) == 2
    sandbox.faults(receipts_off=True, error_before={"next": 1, "on": "twilio.create"})
    make_due(job)
    job.send()
    sandbox.faults(receipts_off=True)
    assert job.states() == {"accepted": 1, "unknown": 1}
    proven_absent(job)
    assert job.states() == {"accepted": 1, "queued": 1}
    assert job.rows("SELECT 1 FROM doubled_message WHERE campaign_id = %s") == []


def test_a_text_whose_link_was_drawn_anew_is_asked_for_by_nobody(lost: Job, sandbox: Sandbox) -> None:
    lost.change("UPDATE recipient SET link_generation = link_generation + 1")
    assert all(one == Sought(reference) for reference, one in sought(lost).items())
    proven_absent(lost)
    assert lost.states() == {"unknown": 3}
    lost.change("UPDATE send_log SET answered_at = answered_at - interval '2 hours' WHERE state = 'unknown'")
    with tenancy.tenant(lost.tenant_id):
        assert all(manual_review.is_held(db.session.get_one(Recipient, person.id)) for person in lost.people)


def test_a_text_that_cannot_be_opened_is_asked_for_by_nobody(lost: Job) -> None:
    lost.change("UPDATE recipient SET fields_sealed = phone_sealed WHERE id = %s", lost.people[0].id)
    asked = sought(lost)
    first, *others = lost.references()
    assert asked[first] == Sought(first)
    assert all(asked[reference].body for reference in others)


def test_a_service_that_takes_references_costs_no_opened_number(
    launched: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = launched(3)
    job.send()

    def never(*_: object) -> None:
        pytest.fail("a number or a text was opened")

    monkeypatch.setattr(rendering, "open_phone", never)
    monkeypatch.setattr(rendering, "sms_text", never)
    assert sought(job) == {reference: Sought(reference) for reference in job.references()}


def test_no_transaction_is_open_while_texts_are_written(lost: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    real = rendering.sms_text
    seen: list[int] = []

    def write(*arguments: Any) -> str:
        seen.append(
            len(
                lost.rows(
                    "SELECT 1 FROM pg_stat_activity WHERE state LIKE 'idle in transaction%%'"
                    " AND datname = current_database() AND %s > 0"
                )
            )
        )
        return real(*arguments)

    monkeypatch.setattr(rendering, "sms_text", write)
    assert all(one.body for one in sought(lost).values())
    assert seen == [0, 0, 0]


def test_a_missing_receipt_of_one_without_an_id_is_asked_for_by_text(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(1, provider="twilio", retry_times=0)
    sandbox.faults(receipts_off=True)
    job.send()
    job.change("UPDATE send_log SET provider_id = NULL")
    job.change("UPDATE recipient SET accepted_at = accepted_at - interval '72 hours'")
    job.change("UPDATE slice SET receipts_due_at = now()")
    with tenancy.tenant(job.tenant_id):
        missing_receipts.poll(job.tenant_id)
    assert lookups(sandbox) == 1
    assert job.states() == {"delivered": 1}
    assert datetime.now(UTC) - job.person(job.people[0].id)["delivered_at"] < timedelta(minutes=1)
