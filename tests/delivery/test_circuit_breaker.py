"""One breaker for an account: every worker and every slice of it sees it, and Redis has no part in it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis as redis_package

from app import queues, tenancy
from app.delivery import circuit_breaker, dispatch, send_context
from app.delivery.circuit_breaker import Breaker
from app.extensions import db
from app.models import SmsAccount
from app.providers.sms.base import Outcome, OutcomeKind
from jobs import due
from sandbox.harness import Sandbox
from tests import factories
from tests.launched import Job, requests

Launched = Callable[..., Job]

LATER = Outcome(OutcomeKind.LATER, "http_429", retry_after_s=90)
TIMEOUT = Outcome(OutcomeKind.UNKNOWN, "timeout")
ACCEPTED = Outcome(OutcomeKind.ACCEPTED)
REFUSED = Outcome(OutcomeKind.REFUSED, "validation_error")


@pytest.fixture
def job(launched: Launched) -> Iterator[Job]:
    made = launched(30, slice_rows=5)
    with tenancy.tenant(made.tenant_id):
        yield made


def account(job: Job) -> dict[str, Any]:
    return job.rows("SELECT a.* FROM sms_account a JOIN campaign c ON c.sms_account_id = a.id WHERE c.id = %s")[0]


def test_it_opens_when_nothing_is_taken(job: Job) -> None:
    breaker = Breaker(job.account_id)
    for _ in range(19):
        breaker.note_outcome(LATER)
    breaker.note_outcome(ACCEPTED)
    for _ in range(19):
        breaker.note_outcome(TIMEOUT)
    breaker.save()
    assert (breaker.open, breaker.pause_s) == (False, 0)
    assert (account(job)["failures"], account(job)["resting_until"]) == (19, None)
    breaker.note_outcome(LATER)
    breaker.save()
    assert (breaker.open, breaker.account_fault) == (True, False)
    assert breaker.pause_s >= 90
    assert account(job)["resting_until"] > datetime.now(UTC) + timedelta(seconds=85)
    assert (account(job)["trips"], account(job)["resting_code"]) == (1, "http_429")


def test_it_opens_for_the_account_once_another_message_is_refused_too(job: Job) -> None:
    refused = Outcome(OutcomeKind.LATER, "unauthentication", account_fault=True)
    for pause_s, account_fault in ((0, False), (300, True)):
        breaker = Breaker(job.account_id)
        breaker.note_outcome(refused)
        breaker.save()
        breaker.settle_doubt()
        assert (breaker.open, breaker.account_fault, breaker.pause_s) == (True, account_fault, pause_s)
    assert account(job)["resting_code"] == "unauthentication"
    assert account(job)["resting_until"] > datetime.now(UTC) + timedelta(seconds=290)


def test_it_opens_for_the_account_at_once_when_many_are_refused(job: Job) -> None:
    breaker = Breaker(job.account_id)
    for _ in range(20):
        breaker.note_outcome(Outcome(OutcomeKind.LATER, "unauthentication", account_fault=True))
    assert (breaker.open, breaker.account_fault, breaker.pause_s) == (True, True, 300)


def test_failures_of_several_workers_add_up(job: Job) -> None:
    workers = [Breaker(job.account_id) for _ in range(4)]
    for worker in workers:
        for _ in range(5):
            worker.note_outcome(TIMEOUT)
        worker.save()
    assert [worker.open for worker in workers] == [False, False, False, True]
    assert account(job)["resting_until"] > datetime.now(UTC) - timedelta(seconds=1)
    assert account(job)["trips"] == 1


def test_a_clear_answer_of_one_worker_clears_what_others_counted(job: Job) -> None:
    one = Breaker(job.account_id)
    for _ in range(19):
        one.note_outcome(TIMEOUT)
    one.save()
    other = Breaker(job.account_id)
    other.note_outcome(REFUSED)
    other.save()
    assert account(job)["failures"] == 0
    third = Breaker(job.account_id)
    third.note_outcome(TIMEOUT)
    third.save()
    assert not third.open
    assert account(job)["failures"] == 1


def test_workers_that_open_it_together_open_it_once_and_keep_the_longest_wish(job: Job) -> None:
    workers = [Breaker(job.account_id) for _ in range(3)]
    for worker, wish in zip(workers, (0, 600, 0), strict=True):
        for _ in range(20):
            worker.note_outcome(Outcome(OutcomeKind.LATER, "http_429", retry_after_s=wish))
    for worker in workers:
        worker.save()
    assert account(job)["trips"] == 1
    assert account(job)["resting_until"] > datetime.now(UTC) + timedelta(seconds=590)


def test_an_answer_to_what_was_under_way_closes_nothing(job: Job) -> None:
    breaker = Breaker(job.account_id)
    for _ in range(20):
        breaker.note_outcome(LATER)
    breaker.save()
    breaker.note_outcome(ACCEPTED)
    breaker.save()
    assert account(job)["trips"] == 1
    assert account(job)["resting_until"] > datetime.now(UTC)


def test_good_times_write_nothing(job: Job) -> None:
    before = job.rows("SELECT xmin FROM sms_account WHERE %s > 0")
    breaker = Breaker(job.account_id)
    for _ in range(100):
        breaker.note_outcome(ACCEPTED)
    breaker.save()
    assert job.rows("SELECT xmin FROM sms_account WHERE %s > 0") == before


def test_while_it_is_open_no_slice_of_the_account_is_sent_and_others_are(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(200, slice_rows=10)
    sandbox.faults(too_many_requests=True, retry_after_s=60)
    while account(job)["resting_until"] is None:
        assert dispatch.take()
    met = requests(sandbox)
    assert met < 60, "small slices too stop soon"
    sandbox.faults()
    other = launched(5)
    while dispatch.take():
        pass
    assert other.states() == {"accepted": 5}
    assert job.states() == {"queued": 200}
    with tenancy.platform():
        assert dict(due.work())["jobs.delivery.send"] == [], "nobody is woken in vain"


def test_a_running_turn_of_another_worker_stops(
    launched: Launched, sandbox: Sandbox, tuned: Callable[..., None]
) -> None:
    tuned(send_connections=2, batch_rows=20)
    job = launched(400)
    sandbox.faults(latency_ms=50)
    with tenancy.tenant(job.tenant_id):
        breaker = Breaker(job.account_id)
        for _ in range(20):
            breaker.note_outcome(LATER)
    told = [False]
    real = send_context.request

    def counting(*arguments: object) -> object:
        if requests(sandbox) > 20 and not told[0]:
            told[0] = True
            with tenancy.tenant(job.tenant_id):
                breaker.save()
        return real(*arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(send_context, "request", counting)
        dispatch.take()
    assert told[0]
    assert requests(sandbox) < 60
    assert job.states()["queued"] > 300


def test_half_open_tries_one_message_and_no_more(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(200, slice_rows=100)
    sandbox.faults(too_many_requests=True)
    dispatch.take()
    for trip in (2, 3):
        job.make_due()
        before = requests(sandbox)
        dispatch.take()
        assert requests(sandbox) == before + 1
        assert account(job)["trips"] == trip
        assert job.states() == {"queued": 200}
    sandbox.faults()
    job.make_due()
    dispatch.take()
    assert job.states() == {"accepted": 1, "queued": 199}
    while dispatch.take():
        pass
    assert job.states() == {"accepted": 200}
    row = account(job)
    assert (row["failures"], row["trips"], row["resting_until"], row["resting_code"]) == (0, 0, None, "")
    assert len({message["to"] for message in sandbox.messages()}) == len(sandbox.messages()) == 200


def test_an_emptied_redis_changes_nothing(launched: Launched, sandbox: Sandbox, redis: redis_package.Redis) -> None:
    job = launched(200, slice_rows=100)
    sandbox.faults(too_many_requests=True, retry_after_s=60)
    dispatch.take()
    redis.flushall()
    sandbox.faults()
    assert not dispatch.take()
    assert job.states() == {"queued": 200}
    assert queues.waiting("jobs.delivery.send") == set()


def test_another_account_of_the_company_is_not_held_up(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(100, slice_rows=50)
    sandbox.faults(too_many_requests=True, retry_after_s=60)
    dispatch.take()
    sandbox.faults()
    second = factories.sms_account(job.tenant_id)
    campaign_id = factories.campaign(job.tenant_id, sms_account_id=second)
    people = factories.people(job.tenant_id, campaign_id, 5)
    slices = factories.launch(job.tenant_id, campaign_id)
    other = Job(job.tenant_id, second, campaign_id, slices, people, job.database)
    while dispatch.take():
        pass
    assert other.states() == {"accepted": 5}


def test_a_mended_account_sends_at_once(launched: Callable[..., Job], sandbox: Sandbox) -> None:
    """The rest it had earned stood in its slices too: five minutes more, or the rest of the day."""
    job = launched(3)
    job.change("UPDATE slice SET due_at = now() + interval '5 minutes' WHERE campaign_id = %s", job.campaign_id)
    job.change(
        "UPDATE sms_account SET resting_until = now() + interval '5 minutes', trips = 1,"
        " resting_code = 'account:unauthentication' WHERE id = %s",
        job.account_id,
    )
    with tenancy.tenant(job.tenant_id):
        circuit_breaker.close(db.session.get_one(SmsAccount, job.account_id))
        db.session.commit()
    job.send()
    assert job.states() == {"accepted": 3}
