"""An SMS of which no provider can tell is held until a manager decides; nothing is sent again by itself."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from app import queues, tenancy
from app.extensions import db
from app.models import AuditEntry, Campaign, Recipient
from app.outcomes import manual_review
from app.outcomes.manual_decisions import Verdict
from app.providers.sms import PROVIDERS
from app.providers.sms.base import LookupBy
from sandbox.harness import Sandbox
from tests import decided, factories, steps
from tests.launched import Job, received
from tests.raw_states import force

Launched = Callable[..., Job]


@pytest.fixture
def unclear(launched: Launched, sandbox: Sandbox) -> Job:
    """Three people whose SMS has had no known fate for 25 hours."""
    sandbox.faults(reset_after_body=True)
    job = launched(3)
    job.send()
    sandbox.faults()
    assert job.states() == {"unknown": 3}
    age(job, "25 hours")
    return job


def age(job: Job, interval: str) -> None:
    job.change(
        f"UPDATE send_log SET started_at = now() - interval '{interval}', answered_at = now() - interval '{interval}'"  # noqa: S608
    )


def count(job: Job) -> int:
    with tenancy.tenant(job.tenant_id):
        return manual_review.count(db.session.get_one(Campaign, job.campaign_id))


def is_held(job: Job, place: int) -> bool:
    with tenancy.tenant(job.tenant_id):
        return manual_review.is_held(db.session.get_one(Recipient, job.people[place].id))


def settle(job: Job, place: int, *, as_sent: bool) -> bool:
    user_id = factories.user(job.tenant_id, "manager")
    with tenancy.tenant(job.tenant_id):
        return decided.settle(job.people[place].id, as_sent=as_sent, user_id=user_id)


def test_only_after_half_an_hour_of_asking_a_person_decides(unclear: Job) -> None:
    assert count(unclear) == 3
    assert is_held(unclear, 0)
    age(unclear, "29 minutes")
    assert count(unclear) == 0
    assert not is_held(unclear, 0)
    assert not settle(unclear, 0, as_sent=True)
    assert unclear.states() == {"unknown": 3}


def answer_no_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    able = replace(PROVIDERS["karaden"].capabilities, lookup_by=LookupBy.NONE)
    monkeypatch.setattr(type(PROVIDERS["karaden"]), "capabilities", able)


def test_without_a_lookup_a_person_decides_once_it_has_settled(unclear: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    age(unclear, "2 seconds")
    assert count(unclear) == 0
    answer_no_look_up(monkeypatch)
    assert count(unclear) == 3


def reason(job: Job, place: int = 0) -> str | None:
    with tenancy.tenant(job.tenant_id):
        return manual_review.reason(db.session.get_one(Recipient, job.people[place].id))


def test_why_it_is_held_is_said(unclear: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reason(unclear) == manual_review.UNPROVEN_ALONE
    unclear.change("UPDATE sms_account SET witness_phone_sealed = 'x'")
    assert reason(unclear) == manual_review.UNPROVEN
    with monkeypatch.context() as patch:
        answer_no_look_up(patch)
        assert reason(unclear) == manual_review.NO_LOOKUP
    unclear.change('UPDATE sms_account SET settings = settings || \'{"service_id": "7"}\'')
    age(unclear, "6 minutes")
    assert reason(unclear) == manual_review.OTHER_CONTRACT, "and no longer waiting helps"
    unclear.change("UPDATE send_log SET attempt = 2")
    unclear.change("UPDATE recipient SET sms_attempt = 2")
    unclear.change("""
        INSERT INTO send_log (
            tenant_id, campaign_id, recipient_id, sms_account_id, attempt, fence, state, code, started_at
        )
        SELECT tenant_id, campaign_id, recipient_id, sms_account_id, 1, 0, 'cancelled', 'absent', started_at
        FROM send_log
    """)
    assert reason(unclear) == manual_review.SENT_AGAIN
    first = unclear.rows("SELECT id FROM send_log WHERE campaign_id = %s AND attempt = 1")
    force(unclear.database, "send_log", [row["id"] for row in first], state="accepted", code="waiting")
    assert reason(unclear) == manual_review.ARRIVED_BEFORE
    assert set(manual_review.REASONS) >= {manual_review.SILENT, manual_review.UNPROVEN}


def test_who_opened_the_link_needs_no_decision(unclear: Job) -> None:
    steps.open_page(*unclear.ids())
    assert count(unclear) == 0
    assert reason(unclear) is None


def test_what_counts_as_sent_is_never_sent_again(unclear: Job, sandbox: Sandbox) -> None:
    sent_before = len(sandbox.messages())
    assert settle(unclear, 0, as_sent=True)
    assert unclear.states() == {"accepted": 1, "unknown": 2}
    assert unclear.attempts()["accepted", "by_hand:sent"] == 1
    assert not settle(unclear, 0, as_sent=False)
    unclear.send()
    assert len(sandbox.messages()) == sent_before


def test_who_is_written_to_again_gets_one_sms_more(unclear: Job, sandbox: Sandbox) -> None:
    before = received(sandbox)
    assert settle(unclear, 1, as_sent=False)
    assert queues.waiting("jobs.delivery.send") == {()}
    assert not settle(unclear, 1, as_sent=False)
    unclear.send()
    got = received(sandbox) - before
    assert got == {"0" + unclear.people[1].phone[3:]: 1}
    assert unclear.states() == {"accepted": 1, "unknown": 2}
    # the outcome of the first attempt is still not known, and that is what the log says
    assert unclear.attempts()["unknown", next(code for state, code in unclear.attempts() if state == "unknown")] == 3


def test_the_last_decision_completes_the_campaign(unclear: Job) -> None:
    for place in range(3):
        assert unclear.state() == "sending"
        settle(unclear, place, as_sent=True)
    assert unclear.state() == "completed"


def test_nobody_of_a_cancelled_campaign_is_written_to(unclear: Job) -> None:
    steps.cancel(unclear.campaign_id)
    assert not settle(unclear, 0, as_sent=False)
    assert settle(unclear, 0, as_sent=True)
    assert unclear.states() == {"accepted": 1, "unknown": 2}


def test_who_decided_is_on_record(unclear: Job) -> None:
    settle(unclear, 0, as_sent=True)
    settle(unclear, 1, as_sent=False)
    with tenancy.tenant(unclear.tenant_id):
        acts = [(row.act, row.target) for row in db.session.scalars(select(AuditEntry).order_by(AuditEntry.id))]
    assert acts == [
        ("settle_as_sent", f"recipient:{unclear.people[0].id}"),
        ("settle_again", f"recipient:{unclear.people[1].id}"),
    ]


def test_a_manager_may_decide_that_no_more_is_sent(unclear: Job, sandbox: Sandbox) -> None:
    """Also where the campaign was cancelled: whoever got nothing must not stand as accepted."""
    steps.cancel(unclear.campaign_id)
    sent = received(sandbox).total()
    user_id = factories.user(unclear.tenant_id, "manager")
    with tenancy.tenant(unclear.tenant_id):
        assert decided.decide(unclear.people[0].id, Verdict.NEVER, user_id=user_id)
        assert not decided.decide(unclear.people[0].id, Verdict.NEVER, user_id=user_id)
        acts = db.session.scalars(select(AuditEntry.act)).all()
    assert "settle_call_off" in acts
    assert unclear.states() == {"unknown": 2, "cancelled": 1}
    assert received(sandbox).total() == sent
