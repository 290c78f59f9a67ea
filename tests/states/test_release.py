"""Recipients who get no further SMS stand as the last one left them: nobody who got one is told of as cancelled."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from app import tenancy
from app.campaigns import lifecycle
from app.delivery import resend
from app.extensions import db
from app.identity.revoke import revoke
from app.models import Campaign
from app.payments import manual_payments
from app.payments.manual_payments import Money
from sandbox.harness import Sandbox
from tests import factories, steps
from tests.launched import Job

Launched = Callable[..., Job]

# of five people: where they stood before all of them wait again; the last two never got an SMS
_BEFORE = {
    "accepted": "accepted_at = '2026-11-01'",
    "delivered": "accepted_at = '2026-11-01', delivered_at = '2026-11-02'",
    "undelivered": "accepted_at = '2026-11-03', delivered_at = '2026-11-02', undelivered_at = '2026-11-03'",
    "never accepted": "sms_attempt = 2, unknown_at = '2026-11-01'",
    "never sent": "sms_attempt = 0",
}
_TIMES = "SELECT accepted_at, delivered_at, undelivered_at FROM recipient WHERE campaign_id = %s ORDER BY id"


@pytest.fixture
def waiting(launched: Launched) -> Job:
    job = launched(5)
    for person, stood in zip(job.people, _BEFORE.values(), strict=True):
        job.change(f"UPDATE recipient SET {stood} WHERE id = %s", person.id)  # noqa: S608 - from above
    return job


def cancel(job: Job) -> None:
    with tenancy.tenant(job.tenant_id):
        assert lifecycle.cancel(job.campaign_id, user_id=1)


def run_late(job: Job) -> None:
    job.change("UPDATE campaign SET link_minutes = NULL, link_until = now() WHERE id = %s", job.campaign_id)
    job.send()


def end_links(job: Job) -> None:
    with tenancy.tenant(job.tenant_id):
        assert all(revoke(person.id, actor="user:1", at=datetime.now(UTC)) for person in job.people)


@pytest.mark.parametrize(
    ("end", "state", "code"),
    [(cancel, "cancelled", "called_off"), (run_late, "expired", "too_late"), (end_links, "cancelled", "revoked")],
)
def test_each_stands_as_before(
    waiting: Job, sandbox: Sandbox, end: Callable[[Job], None], state: str, code: str
) -> None:
    times = waiting.rows(_TIMES)
    end(waiting)
    found = [waiting.person(person.id)["sms_state"] for person in waiting.people]
    assert found == ["accepted", "delivered", "undelivered", state, state]
    assert waiting.rows(_TIMES) == times
    told = waiting.rows(
        "SELECT state, detail FROM event WHERE campaign_id = %s AND track = 'sms' AND state <> 'queued'"
    )
    assert sorted(row["state"] for row in told) == sorted(found)
    assert [row["detail"] for row in told] == [{"code": code}] * 5
    assert sandbox.messages() == []


def paid_by_hand(job: Job, place: int) -> int:
    person = job.people[place].id
    with tenancy.tenant(job.tenant_id):
        manual_payments.settle(person, Money("cash", 12_000, "窓口で受領"), actor="user:1", despite_open=False)
    return int(job.rows("SELECT id FROM payment WHERE campaign_id = %s ORDER BY id DESC")[0]["id"])


@pytest.fixture
def billed(launched: Launched) -> Job:
    """A campaign of three that asks for payment, before its opening hour."""
    return launched(3, payment=True)


def test_who_paid_while_they_waited_gets_no_sms(billed: Job, sandbox: Sandbox) -> None:
    paid_by_hand(billed, 0)
    billed.send()
    assert len(sandbox.messages()) == 2
    assert billed.states() == {"cancelled": 1, "accepted": 2}
    assert billed.state() == "completed"


def test_whose_payment_was_a_mistake_in_the_books_gets_it_then(billed: Job, sandbox: Sandbox) -> None:
    person = billed.people[0].id
    payment_id = paid_by_hand(billed, 0)
    billed.send()
    with tenancy.tenant(billed.tenant_id):
        assert not resend.unpaid_after_all(person, actor="user:1"), "paid"
        manual_payments.take_back(payment_id, "別の契約だった", actor="user:1")
        assert resend.unpaid_after_all(person, actor="user:1")
        assert not resend.unpaid_after_all(person, actor="user:1"), "waits already"
    assert billed.state() == "sending"
    billed.send()
    with tenancy.tenant(billed.tenant_id):
        assert not resend.unpaid_after_all(person, actor="user:1"), "was sent"
    assert billed.states() == {"accepted": 3}
    assert len({message["to"] for message in sandbox.messages()}) == len(sandbox.messages()) == 3
    assert billed.state() == "completed"


def test_of_a_campaign_that_was_given_up_nobody_waits_again(billed: Job) -> None:
    payment_id = paid_by_hand(billed, 0)
    cancel(billed)
    with tenancy.tenant(billed.tenant_id):
        manual_payments.take_back(payment_id, "別の契約だった", actor="user:1")
        assert not resend.unpaid_after_all(billed.people[0].id, actor="user:1")
    assert billed.states() == {"cancelled": 3}


@pytest.mark.parametrize("which", resend.WHICH)
def test_who_paid_is_not_reminded(billed: Job, which: str) -> None:
    """Nor counted among those who would be, though they never opened the page."""
    billed.send()
    paid_by_hand(billed, 0)
    with tenancy.tenant(billed.tenant_id):
        assert resend.to_remind(db.session.get_one(Campaign, billed.campaign_id), which).people == 2


def test_who_paid_is_not_sent_to_again(billed: Job) -> None:
    billed.send()
    steps.fail(*billed.ids())
    paid_by_hand(billed, 0)
    user_id = factories.user(billed.tenant_id)
    with tenancy.tenant(billed.tenant_id):
        assert resend.to_resend(db.session.get_one(Campaign, billed.campaign_id)).people == 2
        assert resend.resend(billed.campaign_id, user_id=user_id) == 2
