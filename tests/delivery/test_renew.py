"""A link that ended unused lives anew by one SMS more, at a clerk's word about one person; never for who used it."""

from collections.abc import Callable

import pytest

from app import queues, tenancy
from app.delivery import resend
from app.extensions import db
from app.models import AuditEntry, Recipient
from app.problems import Refused
from app.suppression import numbers
from app.suppression.numbers import Terms
from app.values.suppression_reasons import SuppressionReason
from sandbox.harness import Sandbox
from tests import factories, steps
from tests.launched import Job, received
from tests.raw_states import force

Launched = Callable[..., Job]


@pytest.fixture
def job(launched: Launched) -> Job:
    """A campaign whose SMS arrived, and whose links have ended since."""
    made = launched(3, retry_times=0, payment=True)
    made.send()
    steps.deliver(*made.ids())
    made.change("UPDATE recipient SET link_expires_at = now() - interval '1 minute'")
    return made


def renew(job: Job, place: int = 0) -> None:
    user_id = factories.user(job.tenant_id)
    with tenancy.tenant(job.tenant_id):
        resend.renew(job.people[place].id, user_id=user_id)


def offered(job: Job, place: int = 0) -> bool:
    with tenancy.tenant(job.tenant_id):
        return resend.may_renew(db.session.get_one(Recipient, job.people[place].id))


def test_one_person_gets_the_same_link_with_a_new_end(job: Job, sandbox: Sandbox) -> None:
    person = job.people[0]
    steps.end_link(person.id)
    before = job.person(person.id)
    assert offered(job)
    renew(job)
    assert job.state() == "sending"
    assert queues.waiting("jobs.delivery.send") == {()}
    job.make_due()
    job.send()
    after = job.person(person.id)
    assert (after["page_state"], after["sms_state"], after["sms_attempt"]) == ("unopened", "accepted", 2)
    assert after["link_expires_at"] > before["link_expires_at"]
    assert after["token_digest"] == before["token_digest"]
    got = received(sandbox)
    assert [got["0" + one.phone[3:]] for one in job.people] == [2, 1, 1]
    assert job.state() == "completed"
    with tenancy.tenant(job.tenant_id):
        assert [(row.act, row.target) for row in db.session.query(AuditEntry)] == [
            ("renew_link", f"recipient:{person.id}")
        ]


def test_a_second_press_finds_somebody_who_waits(job: Job) -> None:
    renew(job)
    with pytest.raises(Refused, match="link_not_renewed"):
        renew(job)
    assert job.states() == {"queued": 1, "delivered": 2}


def suppress(job: Job) -> None:
    with tenancy.tenant(job.tenant_id):
        numbers.add(job.people[0].phone, Terms(SuppressionReason.WISH), actor="user:1")


def open_and_end(job: Job) -> None:
    steps.open_page(job.people[0].id)
    steps.end_link(job.people[0].id)


HINDRANCES: dict[str, Callable[[Job], object]] = {
    "opened it": open_and_end,
    "read it": lambda job: steps.view(job.people[0].id),
    "locked": lambda job: steps.lock(job.people[0].id),
    "ended by staff": lambda job: steps.revoke(job.people[0].id),
    "paid": lambda job: steps.pay_elsewhere(job.people[0].id),
    "at the payment site": lambda job: steps.start_paying(job.people[0].id),
    "on the list": suppress,
    "its number is none": lambda job: force(
        job.database, "recipient", [job.people[0].id], sms_state="undelivered", sms_code="error"
    ),
    "nobody knows": lambda job: force(job.database, "recipient", [job.people[0].id], sms_state="unknown"),
    "tried again by itself": lambda job: job.change(
        "UPDATE recipient SET retry_at = now() WHERE id = %s", job.people[0].id
    ),
    "its link lives": lambda job: job.change(
        "UPDATE recipient SET link_expires_at = now() + interval '1 hour' WHERE id = %s", job.people[0].id
    ),
}


@pytest.mark.parametrize("hindrance", HINDRANCES)
def test_nobody_else_is_sent_to_again(job: Job, sandbox: Sandbox, hindrance: str) -> None:
    HINDRANCES[hindrance](job)
    before = job.states()
    assert not offered(job)
    with pytest.raises(Refused, match="link_not_renewed"):
        renew(job)
    assert job.states() == before
    assert max(received(sandbox).values()) == 1


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("UPDATE campaign SET link_minutes = NULL, link_until = now() - interval '1 minute'", "有効期限が過ぎて"),
        ("UPDATE campaign SET deadline_at = now() - interval '1 minute'", "締切が過ぎて"),
        ("UPDATE campaign SET checks_stopped_at = now()", "回答の受け付けが止まって"),
        ("UPDATE sms_account SET active = false", "停止中"),
    ],
)
def test_what_stands_in_the_campaigns_way_is_said(job: Job, spoil: str, said: str) -> None:
    job.change(spoil)
    with pytest.raises(Refused, match=said):
        renew(job)
    assert job.states() == {"delivered": 3}


def test_whoever_uses_the_link_while_the_sms_waits_is_spared(job: Job, sandbox: Sandbox) -> None:
    """A page that was shown before the link's end can still be pressed."""
    renew(job)
    steps.open_page(job.people[0].id)
    job.make_due()
    job.send()
    assert job.person(job.people[0].id)["sms_state"] == "delivered"
    assert received(sandbox)["0" + job.people[0].phone[3:]] == 1
