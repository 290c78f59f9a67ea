"""Screens tell why an account waits, while it does: its service's wish, and that it refuses to tell of messages."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from app import tenancy
from app.delivery import account_waits
from app.delivery.account_waits import Waits
from app.extensions import db
from app.models import SmsAccount
from app.outcomes.provider_queries import ask_account
from app.providers.http import Request, Response
from app.providers.sms.base import UnclearAnswer
from jobs import outcomes
from sandbox.harness import Sandbox
from tests.launched import Job
from tests.outcomes.proving_absence import make_due, settled
from tests.providers.rawserver import RawServer, answering

Launched = Callable[..., Job]
REFUSED, GONE, FINE = b"403 Forbidden", b"404 Not Found", b"200 OK"


def told(job: Job, campaign_id: int | None = None) -> Waits:
    with tenancy.tenant(job.tenant_id):
        account = db.session.get_one(SmsAccount, job.account_id, populate_existing=True)
        return account_waits.waits_of(account, datetime.now(UTC), campaign_id=campaign_id)


def asked(job: Job, what: str, *statuses: bytes) -> None:
    def read(_key: int, response: Response) -> bool:
        if response.status != 200:
            raise UnclearAnswer(f"http_{response.status}")
        return True

    job.change("UPDATE sms_account SET ask_after = NULL")
    with tenancy.tenant(job.tenant_id):
        for status in statuses:
            with RawServer(answering(status)) as server:
                requests = {0: Request("GET", server.url, timeout_s=5)}
                ask_account(job.account_id, requests, read, what="lookup" if what == "lookup" else "detail")


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([REFUSED], "http_403"),
        ([b"401 Unauthorized"], "http_401"),
        ([REFUSED, FINE], ""),
        ([REFUSED, GONE], ""),
        ([REFUSED, b"500 Oops"], "http_403"),
        ([FINE], ""),
        ([b"500 Oops"], ""),
    ],
)
def test_a_service_that_refuses_to_tell_is_told_of_until_it_tells_again(
    launched: Launched, statuses: Sequence[bytes], code: str
) -> None:
    job = launched(1)
    asked(job, "detail", *statuses)
    assert told(job).refused_code == code
    assert (told(job).refused_since is not None) == bool(code)


def test_what_one_kind_of_question_is_refused_another_does_not_make_good(launched: Launched) -> None:
    job = launched(1)
    asked(job, "lookup", REFUSED)
    since = told(job).refused_since
    asked(job, "detail", FINE, FINE)
    asked(job, "lookup", REFUSED)
    assert told(job).refused_since == since
    asked(job, "lookup", FINE)
    assert told(job).refused_since is None


def test_one_message_that_is_refused_among_others_is_no_matter_of_the_account(launched: Launched) -> None:
    job = launched(1)
    with tenancy.tenant(job.tenant_id), RawServer(answering(REFUSED)) as bad, RawServer(answering(FINE)) as good:
        requests = {0: Request("GET", bad.url, timeout_s=5), 1: Request("GET", good.url, timeout_s=5)}
        ask_account(job.account_id, requests, lambda _key, answer: answer.status, what="detail")
    assert told(job).refused_since is None


def test_the_carriers_own_refusal_of_look_ups_is_seen(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(2)
    sandbox.faults(error_after=True)
    job.send()
    sandbox.faults(forbidden={"on": "karaden.list"})
    make_due(job)
    outcomes.reconcile(job.tenant_id)
    assert (told(job).refused_since is not None, told(job).refused_code) == (True, "unknown")
    sandbox.faults()
    settled(job)
    outcomes.reconcile(job.tenant_id)
    assert set(job.states()) <= {"accepted", "delivered"}
    assert told(job).refused_since is None


def test_a_far_wish_of_the_carrier_is_told_for_sending(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(3)
    sandbox.faults(too_many_requests=True, retry_after_s=1800)
    job.send()
    sandbox.faults()
    assert job.states() == {"queued": 3}
    until = told(job).sending_until
    assert until is not None
    assert timedelta(minutes=29) < until - datetime.now(UTC) < timedelta(minutes=31)
    assert told(job, job.campaign_id).sending_until == until
    assert told(job, job.campaign_id + 1).sending_until is None
    job.change("UPDATE slice SET due_at = now()")
    assert told(job).sending_until is None, "it goes on"
    job.change("UPDATE slice SET due_at = now() + interval '9 hours'")
    assert told(job).sending_until is None, "it waits for its hours"


def test_a_short_wish_is_not_worth_a_word(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(3)
    sandbox.faults(too_many_requests=True, retry_after_s=5)
    job.send()
    sandbox.faults()
    assert told(job).sending_until is None


def test_a_wish_while_asking_is_told_and_holds_for_ten_minutes_at_most(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(3)
    sandbox.faults(error_after={"value": True, "on": "karaden.create"})
    job.send()
    sandbox.faults(too_many_requests={"value": True, "on": "karaden.list"}, retry_after_s=86_400)
    make_due(job)
    outcomes.reconcile(job.tenant_id)
    until = told(job).asking_until
    assert until is not None
    assert timedelta(minutes=9) < until - datetime.now(UTC) <= timedelta(minutes=10)
