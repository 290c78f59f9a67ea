"""A slice is sent once, whatever the carrier answers and whatever a person decides meanwhile."""

import json
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from app import tenancy
from app.campaigns import lifecycle
from app.identity import guard
from app.identity.revoke import revoke
from sandbox.harness import Sandbox
from tests import steps
from tests.launched import Job, received, requests
from tests.raw_states import force

Launched = Callable[..., Job]
Tuned = Callable[..., None]


def test_every_person_gets_one_sms_with_their_own_link(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(500, slice_rows=200)
    job.send()
    links = {"0" + person.phone[3:]: f"https://todoke.example/{person.token}" for person in job.people}
    assert {message["to"]: message["body"].split("。")[1] for message in sandbox.messages()} == links
    assert received(sandbox) == Counter(links.keys())
    assert job.states() == {"accepted": 500}
    assert job.attempts() == {("accepted", "waiting"): 500}
    assert job.state() == "completed"
    assert job.slice()["due_at"] is None
    assert job.slice()["check_at"] is None
    assert job.slice()["leased_until"] is None
    assert job.events(job.people[0].id) == ["queued", "sending", "accepted"]


def test_an_attempt_is_written_with_what_it_was(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(1)
    before = datetime.now(UTC)
    job.send()
    row = job.rows("SELECT * FROM send_log WHERE campaign_id = %s")[0]
    message = sandbox.messages()[0]
    assert row["provider_id"] == message["id"]
    assert message["tags"] == [row["reference"]]
    assert before <= row["started_at"] <= row["answered_at"] <= datetime.now(UTC)
    assert (row["attempt"], row["fence"], row["settled_at"]) == (1, 1, None)
    person = job.person(job.people[0].id)
    assert person["link_expires_at"] - row["started_at"] == timedelta(minutes=20160)
    assert person["sms_attempt"] == 1


def test_a_slice_sent_again_finds_nothing_to_do(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(20)
    job.send()
    job.send()
    assert requests(sandbox) == 20


@pytest.mark.parametrize("state", ["draft", "paused", "cancelled", "completed"])
def test_nothing_is_sent_unless_the_campaign_is_sending(launched: Launched, sandbox: Sandbox, state: str) -> None:
    job = launched(5)
    force(job.database, "campaign", [job.campaign_id], state=state)
    job.send()
    assert requests(sandbox) == 0
    assert job.states() == {"queued": 5}


def test_nothing_is_sent_for_a_suspended_company(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(5)
    steps.suspend(job.tenant_id)
    job.send()
    assert requests(sandbox) == 0
    assert job.states() == {"queued": 5}


def test_a_slice_is_not_sent_before_its_time(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(5)
    job.change("UPDATE slice SET due_at = now() + interval '1 minute' WHERE campaign_id = %s", job.campaign_id)
    job.send()
    assert requests(sandbox) == 0


def test_429_is_tried_again_later_and_then_arrives(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(100)
    sandbox.faults(too_many_requests={"next": 10}, retry_after_s=7)
    job.send()
    assert job.states() == {"accepted": 90, "queued": 10}
    assert job.attempts()["cancelled", "http_429"] == 10
    assert job.slice()["due_at"] - datetime.now(UTC) > timedelta(seconds=5)
    job.send()
    assert requests(sandbox) == 100, "not before its time"
    job.make_due()
    job.send()
    assert job.states() == {"accepted": 100}
    assert set(received(sandbox).values()) == {1}
    late = job.rows("SELECT recipient_id FROM send_log WHERE campaign_id = %s AND attempt = 2")
    assert len(late) == 10
    assert job.events(late[0]["recipient_id"]) == ["queued", "sending", "queued", "sending", "accepted"]
    assert job.state() == "completed"


def test_a_carrier_that_takes_nothing_does_not_use_up_the_list(
    launched: Launched, sandbox: Sandbox, tuned: Tuned
) -> None:
    tuned(send_connections=50)  # so many may be under way when it is seen
    job = launched(500)
    sandbox.faults(too_many_requests=True, retry_after_s=60)
    job.send()
    assert requests(sandbox) < 150, "it stopped soon"
    assert job.states() == {"queued": 500}
    assert job.slice()["due_at"] - datetime.now(UTC) > timedelta(seconds=50)
    sandbox.faults()
    job.make_due()
    job.send()
    assert job.states() == {"accepted": 1, "queued": 499}, "one is tried first"
    job.send()
    assert job.states() == {"accepted": 500}
    assert set(received(sandbox).values()) == {1}


def test_a_wrong_account_stops_the_slice_and_costs_nobody_the_sms(
    launched: Launched, sandbox: Sandbox, tuned: Tuned
) -> None:
    tuned(send_connections=10)
    job = launched(300)
    job.change("UPDATE sms_account SET settings = settings || %s WHERE id = %s", '{"tenant_id": "x"}', job.account_id)
    for _ in range(7):  # more often than a message may be tried
        job.make_due()
        job.send()
    assert requests(sandbox) <= 7 * 20
    assert job.states() == {"queued": 300}
    assert {code for _, code in job.attempts()} == {"account:invalid_tenant", "not_sent"}
    assert job.slice()["due_at"] - datetime.now(UTC) > timedelta(minutes=4)


def test_what_was_the_accounts_fault_or_never_left_is_no_try(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(2)
    job.change("UPDATE sms_account SET settings = settings || %s WHERE id = %s", '{"tenant_id": "x"}', job.account_id)
    for _ in range(6):
        job.make_due()
        job.send()
    job.change("UPDATE send_log SET code = 'not_sent' WHERE attempt <= 3")
    job.change("UPDATE send_log SET started_at = started_at - interval '2 hours'")
    job.change(
        "UPDATE sms_account SET settings = settings || %s WHERE id = %s",
        json.dumps({"tenant_id": str(uuid.UUID(int=job.tenant_id))}),
        job.account_id,
    )
    sandbox.faults(too_many_requests=True)
    job.make_due()
    job.send()
    assert job.states() == {"queued": 2}


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE sms_account SET active = false WHERE id = %s",
        "UPDATE sms_account SET credentials_sealed = NULL WHERE id = %s",
        "UPDATE sms_account SET credentials_sealed = '\\x0102' WHERE id = %s",
    ],
)
def test_an_account_that_cannot_be_used_leaves_everybody_waiting(
    launched: Launched, sandbox: Sandbox, spoil: str
) -> None:
    job = launched(5)
    job.change(spoil, job.account_id)
    job.send()
    assert requests(sandbox) == 0
    assert job.states() == {"queued": 5}
    assert job.slice()["leased_until"] is None
    assert job.slice()["due_at"] > datetime.now(UTC)


def test_a_message_is_given_up_after_many_tries_and_an_hour(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(2)
    sandbox.faults(too_many_requests=True)
    for _ in range(6):
        job.make_due()
        job.send()
    assert job.states() == {"queued": 2}, "many tries within a few seconds are not enough"
    job.change("UPDATE send_log SET started_at = started_at - interval '61 minutes' WHERE attempt = 1")
    job.make_due()
    job.send()
    assert job.states() == {"undelivered": 2}
    assert job.attempts() == {("cancelled", "http_429"): 12, ("undelivered", "gave_up:http_429"): 2}
    assert job.state() == "completed"


@pytest.mark.parametrize(
    ("text", "code"),
    [("{氏名}様 {ない項目} {リンク}", "missing_field"), ("{氏名}様 " + "あ" * 40 + "{リンク}", "too_long")],
)
def test_what_cannot_be_one_sms_is_never_sent(launched: Launched, sandbox: Sandbox, text: str, code: str) -> None:
    job = launched(3, sms_text=text)
    job.send()
    assert requests(sandbox) == 0
    assert job.states() == {"undelivered": 3}
    assert job.attempts() == {("undelivered", code): 3}
    assert job.state() == "completed"


def test_a_foreign_number_is_never_sent_to(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(1, phones=["+12125550123"])
    job.send()
    assert requests(sandbox) == 0
    assert job.attempts() == {("undelivered", "bad_number"): 1}


def test_a_person_who_cannot_be_opened_waits_and_the_others_get_theirs(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(10)
    job.change("UPDATE recipient SET phone_sealed = fields_sealed WHERE id = %s", job.people[3].id)
    job.send()
    assert job.states() == {"accepted": 9, "queued": 1}
    assert requests(sandbox) == 9
    assert job.slice()["due_at"] > datetime.now(UTC)
    assert job.state() == "sending"


def test_nobody_gets_a_link_that_has_ended(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(7, link_minutes=None, link_until=datetime.now(UTC) - timedelta(seconds=1))
    job.send()
    assert requests(sandbox) == 0
    assert job.states() == {"expired": 7}
    assert job.events(job.people[0].id) == ["queued", "expired"]
    assert job.state() == "completed"


def test_while_the_page_takes_no_answers_nobody_gets_a_link_to_it(launched: Launched, sandbox: Sandbox) -> None:
    """Also when a try that came due woke a campaign that was completed as the checks were stopped."""
    job = launched(3)
    job.change("UPDATE campaign SET checks_stopped_at = now()")
    job.send()
    steps.pause(job.campaign_id)
    with tenancy.tenant(job.tenant_id):
        assert not lifecycle.resume(job.campaign_id, user_id=1)
    assert requests(sandbox) == 0
    with tenancy.tenant(job.tenant_id):
        assert guard.resume(job.tenant_id, job.campaign_id, user_id=1)
        assert lifecycle.resume(job.campaign_id, user_id=1)
    job.send()
    assert job.states() == {"accepted": 3}


def test_a_link_that_was_ended_is_sent_to_nobody(launched: Launched, sandbox: Sandbox) -> None:
    """Neither to whoever waits, nor to those whom a look-up lets wait again after it was ended."""
    job = launched(3)
    waits, returns, other = (person.id for person in job.people)
    with tenancy.tenant(job.tenant_id):
        assert revoke(waits, actor="user:1", at=datetime.now(UTC))
    assert job.person(waits)["sms_state"] == "cancelled"
    steps.revoke(returns)
    job.send()
    assert job.states() == {"cancelled": 2, "accepted": 1}
    assert job.person(other)["sms_state"] == "accepted"
    assert requests(sandbox) == 1
    assert job.state() == "completed"


def test_what_was_checked_is_sent_also_when_the_company_is_renamed_meanwhile(
    launched: Launched, sandbox: Sandbox
) -> None:
    """A longer name would make some SMS too long, and refuse them for good."""
    job = launched(2, sms_text="【{会社名}】{氏名}様 {リンク}")
    job.check()
    job.change(
        "UPDATE tenant SET name = %s WHERE id = %s", "みどり信販フィナンシャルホールディングス" * 3, job.tenant_id
    )
    job.send()
    assert job.states() == {"accepted": 2}
    assert {message["body"].partition("】")[0] for message in sandbox.messages()} == {"【みどり信販"}
