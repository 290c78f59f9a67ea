"""A refusal that seems the account's may be one message's: another one shows which, and nobody waits behind it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app import tenancy
from app.delivery import dispatch, resend
from app.delivery.circuit_breaker import Breaker
from app.providers.sms.base import Outcome, OutcomeKind
from app.states import result_codes
from sandbox.harness import Sandbox
from tests import factories
from tests.launched import Job, received

Launched = Callable[..., Job]

REFUSED = Outcome(OutcomeKind.LATER, "http_403", account_fault=True)
TAKEN = Outcome(OutcomeKind.ACCEPTED)
EVERYBODY = list("0123456789")
CODES = {401: "unauthentication", 403: "http_403", 404: "model_not_found", 422: "validation_error:service_id"}


def poison(sandbox: Sandbox, status: int, *phones: str) -> None:
    sandbox.faults(poison={"value": status, "ids": [phone[3:] for phone in phones]})


def drain() -> None:
    """Let a worker serve whatever is due; not for ever."""
    for _ in range(200):
        if not dispatch.take():
            return
    pytest.fail("a hot loop: something is always due")


def a_minute_passes(job: Job) -> None:
    job.change("UPDATE send_log SET answered_at = answered_at - interval '61 s' WHERE starts_with(code, 'account:')")
    job.change("UPDATE slice SET due_at = now() WHERE due_at > now()")


def account(job: Job) -> dict[str, Any]:
    return job.rows("SELECT a.* FROM sms_account a JOIN campaign c ON c.sms_account_id = a.id WHERE c.id = %s")[0]


def asked(job: Job, place: int) -> int:
    """Count the requests for one person that left, whatever became of them."""
    statement = "SELECT FROM send_log WHERE campaign_id = %s AND recipient_id = %s AND code <> 'not_sent'"
    return len(job.rows(statement, job.people[place].id))


@pytest.mark.parametrize("status", CODES)
@pytest.mark.parametrize("slice_rows", [5, 5000])
@pytest.mark.parametrize("place", [0, 12])
def test_one_refused_number_stops_nobody_else(
    launched: Launched, sandbox: Sandbox, status: int, slice_rows: int, place: int
) -> None:
    job = launched(30, slice_rows=slice_rows)
    bad = job.people[place]
    poison(sandbox, status, bad.phone)
    drain()
    assert job.states() == {"accepted": 29, "queued": 1}
    assert (account(job)["trips"], account(job)["resting_until"]) == (0, None)
    assert asked(job, place) == 1
    assert job.person(bad.id)["sms_code"] == result_codes.ACCOUNT + CODES[status]
    a_minute_passes(job)
    drain()
    assert asked(job, place) == 2
    assert job.states() == {"accepted": 29, "undelivered": 1}
    assert job.state() == "completed"
    assert job.person(bad.id)["sms_code"] == result_codes.MESSAGE + CODES[status]
    assert "この送信先へのSMSだけ" in result_codes.words(job.person(bad.id)["sms_code"])
    assert (account(job)["trips"], account(job)["resting_until"]) == (0, None)
    assert set(received(sandbox).values()) == {1}


def test_whoever_was_refused_alone_can_be_sent_to_again_by_hand(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(5)
    poison(sandbox, 403, job.people[0].phone)
    for _ in range(2):
        drain()
        a_minute_passes(job)
    drain()
    assert job.states() == {"accepted": 4, "undelivered": 1}
    sandbox.faults()
    user_id = factories.user(job.tenant_id)
    with tenancy.tenant(job.tenant_id):
        assert resend.resend(job.campaign_id, user_id=user_id) == 1
    drain()
    assert job.states() == {"accepted": 5}


def test_it_is_tried_again_a_minute_later_not_at_once(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(10)
    poison(sandbox, 403, job.people[0].phone)
    drain()
    due = job.slice()["due_at"]
    assert timedelta(seconds=50) < due - datetime.now(UTC) <= timedelta(seconds=60)


def test_a_passing_refusal_of_one_number_costs_a_minute(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(10)
    poison(sandbox, 403, job.people[0].phone)
    drain()
    sandbox.faults()
    a_minute_passes(job)
    drain()
    assert job.states() == {"accepted": 10}
    assert set(received(sandbox).values()) == {1}


@pytest.mark.parametrize("connections", [1, 256])
def test_several_in_one_batch_are_each_found(
    launched: Launched, sandbox: Sandbox, tuned: Callable[..., None], connections: int
) -> None:
    tuned(send_connections=connections)
    job = launched(60)
    bad = [job.people[place] for place in (0, 1, 2, 30, 58)]
    poison(sandbox, 403, *(person.phone for person in bad))
    for _ in range(6):
        drain()
        a_minute_passes(job)
        job.make_due()
    drain()
    assert job.states() == {"accepted": 55, "undelivered": 5}
    assert {job.person(person.id)["sms_code"] for person in bad} == {result_codes.MESSAGE + "http_403"}
    assert set(received(sandbox).values()) == {1}


def test_an_account_that_is_refused_rests_and_goes_on_when_mended(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(30, slice_rows=5)
    sandbox.faults(poison={"value": 401, "ids": EVERYBODY})
    drain()
    assert job.states() == {"queued": 30}
    assert len(sandbox.ledger("karaden")) <= 6, "the first slice's, and one to show whose fault it is"
    assert account(job)["resting_until"] > datetime.now(UTC) + timedelta(seconds=290)
    assert account(job)["resting_code"] == "unauthentication"
    for _ in range(3):
        before = len(sandbox.ledger("karaden"))
        a_minute_passes(job)
        job.make_due()
        drain()
        assert len(sandbox.ledger("karaden")) == before + 1
        assert account(job)["resting_until"] > datetime.now(UTC) + timedelta(seconds=290)
    sandbox.faults()
    a_minute_passes(job)
    job.make_due()
    drain()
    a_minute_passes(job)
    drain()
    assert job.states() == {"accepted": 30}
    assert set(received(sandbox).values()) == {1}


def test_nobody_is_given_up_while_the_account_is_refused(launched: Launched, sandbox: Sandbox) -> None:
    """Refused, mended, refused again: what got through before the second refusal began shows nothing."""
    job = launched(3)
    sandbox.faults(poison={"value": 403, "ids": EVERYBODY})
    for _ in range(5):
        drain()
        a_minute_passes(job)
        job.make_due()
    assert job.states() == {"queued": 3}
    sandbox.faults()
    drain()
    a_minute_passes(job)
    drain()
    assert job.states() == {"accepted": 3}


def test_alone_in_its_account_a_message_lets_it_rest(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(1)
    poison(sandbox, 403, job.people[0].phone)
    drain()
    assert asked(job, 0) == 1
    assert job.states() == {"queued": 1}
    assert account(job)["resting_until"] > datetime.now(UTC) + timedelta(seconds=290)
    a_minute_passes(job)
    job.make_due()
    drain()
    assert asked(job, 0) == 2
    assert job.states() == {"queued": 1}
    assert account(job)["resting_until"] > datetime.now(UTC) + timedelta(seconds=290)


def test_a_message_of_another_campaign_shows_it_too(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(1)
    poison(sandbox, 403, job.people[0].phone)
    drain()
    campaign_id = factories.campaign(job.tenant_id, sms_account_id=job.account_id)
    people = factories.people(job.tenant_id, campaign_id, 5)
    slices = factories.launch(job.tenant_id, campaign_id)
    other = Job(job.tenant_id, job.account_id, campaign_id, slices, people, job.database)
    a_minute_passes(job)
    job.make_due()
    for _ in range(3):
        drain()
        a_minute_passes(job)
    drain()
    assert other.states() == {"accepted": 5}
    assert job.states() == {"undelivered": 1}
    assert asked(job, 0) == 2


def test_whoever_is_behind_a_refused_number_is_sent_to_before_it(launched: Launched, sandbox: Sandbox) -> None:
    """Everybody was refused once; of those one is refused for good, and stands first."""
    job = launched(5)
    sandbox.faults(poison={"value": 403, "ids": EVERYBODY})
    drain()
    poison(sandbox, 403, job.people[0].phone)
    for _ in range(4):
        a_minute_passes(job)
        job.make_due()
        drain()
    assert job.states() == {"accepted": 4, "undelivered": 1}


def test_only_what_leaves_after_the_refusal_shows_whose_it_is(launched: Launched) -> None:
    job = launched(30, slice_rows=5)
    with tenancy.tenant(job.tenant_id):
        early = Breaker(job.account_id)
        first = Breaker(job.account_id)
        first.note_outcome(TAKEN)
        first.note_outcome(REFUSED)
        first.save()
        first.settle_doubt()
        assert (first.open, first.account_fault, first.pause_s) == (True, False, 0)
        assert (account(job)["trips"], account(job)["proved_at"]) == (1, None)
        early.note_outcome(TAKEN)
        early.save()
        assert (account(job)["trips"], account(job)["proved_at"]) == (1, None)
        trial = Breaker(job.account_id)
        assert (trial.trying, trial.doubted) == (True, True)
        trial.note_outcome(TAKEN)
        trial.save()
        row = account(job)
        assert (row["trips"], row["doubted_at"], row["resting_until"]) == (0, None, None)
        assert row["proved_at"] is not None


def test_what_is_taken_at_the_same_time_shows_it_at_once(launched: Launched) -> None:
    job = launched(30, slice_rows=5)
    with tenancy.tenant(job.tenant_id):
        breaker = Breaker(job.account_id)
        left_at = time.monotonic()
        breaker.note_outcome(TAKEN)
        breaker.note_outcome(REFUSED, left_at)
        breaker.save()
        breaker.settle_doubt()
        row = account(job)
        assert (row["trips"], row["doubted_at"], row["resting_until"]) == (0, None, None)
        assert row["proved_at"] is not None


def test_a_second_refusal_while_the_account_is_in_doubt_is_nobodys_own(launched: Launched) -> None:
    job = launched(30)
    job.change("UPDATE sms_account SET proved_at = now(), doubted_at = now(), trips = 1")
    with tenancy.tenant(job.tenant_id):
        breaker = Breaker(job.account_id)
        assert not breaker.is_own_fault(REFUSED, datetime.now(UTC) - timedelta(minutes=5))


def test_many_single_refusals_in_a_row_are_the_accounts(launched: Launched) -> None:
    job = launched(30)
    with tenancy.tenant(job.tenant_id):
        since = datetime.now(UTC)
        Breaker(job.account_id).note_outcome(REFUSED)
        job.change("UPDATE sms_account SET proved_at = now() + interval '1 s'")
        breaker = Breaker(job.account_id)
        assert not breaker.is_own_fault(REFUSED, None)
        assert not breaker.is_own_fault(TAKEN, since)
        assert [breaker.is_own_fault(REFUSED, since) for _ in range(21)] == [True] * 20 + [False]
        breaker.note_outcome(TAKEN)
        assert breaker.is_own_fault(REFUSED, since)
