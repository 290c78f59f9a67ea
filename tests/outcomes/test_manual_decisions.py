"""A manager decides about many held people at once: each as if alone, and nobody is sent to twice for it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app import audit, queues, tenancy
from app.delivery import dispatch, number_limits
from app.delivery.held_selection import Chosen
from app.extensions import db
from app.models import AuditEntry, Campaign
from app.outcomes import manual_decisions, manual_review
from app.outcomes.manual_decisions import Decided, Verdict
from app.states import result_codes
from sandbox.harness import Sandbox
from tests import factories, steps
from tests.launched import Job, received

Launched = Callable[..., Job]
PEOPLE = 12


@pytest.fixture
def unclear(launched: Launched, sandbox: Sandbox) -> Job:
    """Twelve people in slices of five whose SMS has had no known fate for a day."""
    sandbox.faults(reset_after_body=True)
    job = launched(PEOPLE, slice_rows=5)
    for _ in range(3):
        dispatch.take()
    sandbox.faults()
    assert job.states() == {"unknown": PEOPLE}
    job.change("UPDATE send_log SET started_at = started_at - interval '1 day', answered_at = now() - interval '1 day'")
    return job


def decide(job: Job, verdict: Verdict, *, at: datetime | None = None, **chosen: Any) -> Decided:
    user_id = factories.user(job.tenant_id, "manager")
    with tenancy.tenant(job.tenant_id):
        whom = Chosen(at or datetime.now(UTC), **chosen)
        return manual_decisions.decide(job.campaign_id, verdict, whom, user_id=user_id)


def by_reason(job: Job) -> dict[str, int]:
    with tenancy.tenant(job.tenant_id):
        campaign = db.session.get_one(Campaign, job.campaign_id)
        return {**manual_review.by_reason(campaign), **number_limits.by_reason(campaign)}


def drain() -> None:
    while dispatch.take():
        pass


def test_all_of_a_reason_are_sent_again_once_each(unclear: Job, sandbox: Sandbox) -> None:
    before = received(sandbox)
    assert by_reason(unclear) == {manual_review.UNPROVEN_ALONE: PEOPLE}
    assert decide(unclear, Verdict.AGAIN, reason=manual_review.UNPROVEN) == Decided(0), (
        "the reason that was read is the one"
    )
    assert decide(unclear, Verdict.AGAIN, reason=manual_review.UNPROVEN_ALONE) == Decided(PEOPLE)
    assert queues.waiting("jobs.delivery.send") == {()}
    assert decide(unclear, Verdict.AGAIN, reason=manual_review.UNPROVEN_ALONE) == Decided(0)
    drain()
    assert set((received(sandbox) - before).values()) == {1}
    assert unclear.states() == {"accepted": PEOPLE}


def test_the_chosen_alone_are_decided_and_each_is_on_record(unclear: Job, sandbox: Sandbox) -> None:
    sent = received(sandbox).total()
    ids = [unclear.people[place].id for place in (1, 6, 11)]
    assert decide(unclear, Verdict.SENT, reason=manual_review.UNPROVEN_ALONE, ids=ids) == Decided(3)
    assert unclear.states() == {"accepted": 3, "unknown": PEOPLE - 3}
    assert unclear.attempts()["accepted", result_codes.AS_SENT] == 3
    assert decide(unclear, Verdict.NEVER, ids=ids) == Decided(0)
    drain()
    assert received(sandbox).total() == sent
    with tenancy.tenant(unclear.tenant_id):
        entries = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
        assert [(one.act, one.target, one.detail) for one in entries] == [
            ("settle_as_sent", f"recipient:{number}", {"attempt": 1}) for number in ids
        ]
        assert audit.verify(db.session, unclear.tenant_id) is None


def test_two_managers_at_once_send_to_nobody_twice(unclear: Job, sandbox: Sandbox, app: Flask) -> None:
    before = received(sandbox)
    user_id = factories.user(unclear.tenant_id, "manager")
    whom = Chosen(datetime.now(UTC), reason=manual_review.UNPROVEN_ALONE)

    def press() -> int:
        with app.app_context(), tenancy.tenant(unclear.tenant_id):
            return manual_decisions.decide(unclear.campaign_id, Verdict.AGAIN, whom, user_id=user_id).people

    with ThreadPoolExecutor(4) as pool:
        done = [one.result() for one in [pool.submit(press) for _ in range(4)]]
    assert sum(done) == PEOPLE
    drain()
    assert set((received(sandbox) - before).values()) == {1}


def test_a_word_about_an_earlier_attempt_says_nothing_of_a_later_one(unclear: Job, sandbox: Sandbox) -> None:
    """Another manager had it sent again meanwhile, and that one is held now."""
    first = unclear.people[0].id
    sandbox.faults(reset_after_body=True)
    assert decide(unclear, Verdict.AGAIN, ids=[first]) == Decided(1)
    drain()
    sandbox.faults()
    assert unclear.person(first)["sms_state"] == "unknown"
    unclear.change("UPDATE send_log SET started_at = now() - interval '31 minutes', answered_at = NULL")
    assert sum(by_reason(unclear).values()) == PEOPLE
    before_it_began = datetime.now(UTC) - timedelta(hours=1)
    assert decide(unclear, Verdict.AGAIN, at=before_it_began, ids=[first]) == Decided(0)
    to_come = datetime.now(UTC) + timedelta(hours=1)
    assert decide(unclear, Verdict.AGAIN, at=to_come, ids=[first]) == Decided(1), "counts as now"


def test_whoever_fell_silent_since_is_left(unclear: Job) -> None:
    """Accepted days ago, and held from the day on which nobody could tell: after the manager had looked."""
    seen_at = datetime.now(UTC)
    silent = unclear.people[0].id
    unclear.change("UPDATE recipient SET sms_code = 'no_receipt', unknown_at = now() WHERE id = %s", silent)
    assert by_reason(unclear) == {manual_review.SILENT: 1, manual_review.UNPROVEN_ALONE: PEOPLE - 1}
    assert decide(unclear, Verdict.AGAIN, at=seen_at) == Decided(PEOPLE - 1)
    assert unclear.person(silent)["sms_state"] == "unknown"
    assert decide(unclear, Verdict.AGAIN, reason=manual_review.SILENT) == Decided(1)


def test_whoever_used_the_link_meanwhile_is_left(unclear: Job) -> None:
    seen_at = datetime.now(UTC)
    steps.open_page(unclear.people[0].id)
    assert decide(unclear, Verdict.AGAIN, at=seen_at, reason=manual_review.UNPROVEN_ALONE) == Decided(PEOPLE - 1)


def test_of_a_cancelled_campaign_nobody_is_sent_to_and_all_can_be_ended(unclear: Job, sandbox: Sandbox) -> None:
    sent = received(sandbox).total()
    steps.cancel(unclear.campaign_id)
    assert decide(unclear, Verdict.AGAIN, reason=manual_review.UNPROVEN_ALONE) == Decided(0)
    assert decide(unclear, Verdict.NEVER, reason=manual_review.UNPROVEN_ALONE) == Decided(PEOPLE)
    drain()
    assert unclear.states() == {"cancelled": PEOPLE}
    assert received(sandbox).total() == sent


def test_the_last_ones_complete_the_campaign(unclear: Job) -> None:
    assert unclear.state() == "sending"
    decide(unclear, Verdict.SENT, reason=manual_review.UNPROVEN_ALONE)
    assert unclear.state() == "completed"


def test_a_press_decides_about_so_many_and_says_how_many_are_left(
    unclear: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manual_decisions, "MOST", 8)
    assert decide(unclear, Verdict.NEVER, reason=manual_review.UNPROVEN_ALONE) == Decided(8, left=4)
    assert decide(unclear, Verdict.NEVER, reason=manual_review.UNPROVEN_ALONE) == Decided(4)


def test_of_a_number_at_its_limit_the_chosen_are_sent_to_and_the_others_let_go(
    launched: Launched, sandbox: Sandbox
) -> None:
    job = launched(9, phones=["+819012345678"] * 9, slice_rows=3)
    for _ in range(20):
        dispatch.take()
    assert by_reason(job) == {result_codes.NUMBER_CAMPAIGN: 6}
    seen_at = datetime.now(UTC)
    chosen = [job.people[place].id for place in (3, 8)]
    assert decide(job, Verdict.SEND, reason=result_codes.NUMBER_CAMPAIGN, ids=chosen) == Decided(2)
    assert decide(job, Verdict.SEND, at=seen_at, reason=result_codes.NUMBER_CAMPAIGN, ids=chosen) == Decided(0)
    assert decide(job, Verdict.SKIP, at=seen_at, reason=result_codes.NUMBER_CAMPAIGN) == Decided(4)
    for _ in range(20):
        dispatch.take()
    assert received(sandbox) == {"09012345678": 5}
    assert job.states() == {"accepted": 5, "cancelled": 4}
    assert by_reason(job) == {}


def test_what_to_look_up_is_told_of_each_attempt_at_the_message(unclear: Job) -> None:
    with tenancy.tenant(unclear.tenant_id):
        campaign = db.session.get_one(Campaign, unclear.campaign_id)
        cases = manual_review.cases(campaign, manual_review.UNPROVEN_ALONE, limit=5)
        assert [case.recipient_id for case in cases] == [person.id for person in unclear.people[:5]]
        after = manual_review.cases(campaign, manual_review.UNPROVEN_ALONE, after_id=cases[-1].recipient_id, limit=50)
        assert [case.recipient_id for case in after] == [person.id for person in unclear.people[5:]]
    [row] = unclear.rows("SELECT * FROM send_log WHERE campaign_id = %s AND recipient_id = %s", unclear.people[0].id)
    [attempt] = cases[0].attempts
    assert (attempt.number, attempt.reference) == (1, row["reference"])
    assert attempt.begins_at == row["started_at"]
    assert attempt.ends_at > row["answered_at"]
