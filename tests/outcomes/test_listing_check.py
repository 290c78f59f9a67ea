"""A carrier may never list a message under its reference: the list of its time is looked at before it is sent again."""

import itertools
import json
import time
import urllib.request
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from app import tenancy
from app.extensions import db
from app.models import Campaign, Recipient
from app.outcomes import manual_review
from app.providers.http import Response
from app.providers.sms import PROVIDERS
from app.providers.sms.base import Page, UnclearAnswer
from jobs import outcomes
from sandbox.harness import Sandbox
from tests.launched import Job, give_witness_phone, received
from tests.outcomes.proving_absence import make_due, witnessed

Launched = Callable[..., Job]


def unknown(launched: Launched, sandbox: Sandbox, count: int = 3, **switches: object) -> Job:
    """Send to people whose SMS has no known outcome under these switches."""
    job = launched(count)
    sandbox.faults(**switches)
    job.send()
    sandbox.faults()
    assert job.states() == {"unknown": count}
    return job


def looked_for(job: Job, rounds: int = 4, *, others: bool = True) -> None:
    """Let it be asked about as often as it takes; it left so much earlier as the margins of the list by time allow."""
    job.change(
        """
        UPDATE send_log SET started_at = started_at - interval '20 seconds',
            answered_at = answered_at - interval '20 seconds'
        WHERE campaign_id = %s
        """,
        job.campaign_id,
    )
    if others:
        witnessed(job)
    for _ in range(rounds):
        make_due(job)
        outcomes.reconcile(job.tenant_id)
        job.send()
        job.change("""
            UPDATE send_log SET asked_at = asked_at - interval '1 hour', absent_at = absent_at - interval '1 hour'
            WHERE state = 'unknown'
        """)


def lists_by_time(sandbox: Sandbox) -> int:
    return sum(1 for row in sandbox.ledger("karaden") if row["call"] == "list" and "start_at" in str(row))


def reasons(job: Job) -> list[str | None]:
    with tenancy.tenant(job.tenant_id):
        return [manual_review.reason(db.session.get_one(Recipient, person.id)) for person in job.people]


def test_a_message_that_is_never_listed_under_its_tag_is_found_by_its_time(
    launched: Launched, sandbox: Sandbox
) -> None:
    job = unknown(launched, sandbox, error_after=True, tag_unlisted=True)
    looked_for(job)
    assert set(job.states()) <= {"accepted", "delivered"}
    assert set(received(sandbox).values()) == {1}
    assert not job.rows("SELECT 1 FROM send_log WHERE campaign_id = %s AND provider_id IS NULL")


def test_a_message_that_lost_its_tag_is_held_and_never_sent_again(launched: Launched, sandbox: Sandbox) -> None:
    job = unknown(launched, sandbox, error_after=True, tag_lost=True)
    looked_for(job, 6)
    assert job.states() == {"unknown": 3}
    assert set(received(sandbox).values()) == {1}
    assert reasons(job) == [manual_review.LISTED] * 3
    with tenancy.tenant(job.tenant_id):
        assert manual_review.count(db.session.get_one(Campaign, job.campaign_id)) == 3
    assert job.rows("SELECT count(*) AS n FROM event WHERE campaign_id = %s AND state = 'listed'") == [{"n": 3}]


def test_what_the_list_by_time_shows_absent_too_is_sent_again_once(launched: Launched, sandbox: Sandbox) -> None:
    job = unknown(launched, sandbox, 15, error_before=True)
    looked_for(job)
    assert set(job.states()) <= {"accepted", "delivered"}
    assert set(received(sandbox).values()) == {1}
    assert job.attempts()["cancelled", "absent"] == 15
    assert 1 < lists_by_time(sandbox) <= 12, "one list for all, not one for each"


def test_another_message_of_ours_to_the_same_number_holds_nobody(launched: Launched, sandbox: Sandbox) -> None:
    """Three people of one number: two of them got theirs at the same time, one with its tag and one without."""
    job = launched(3, phones=["+819012345678"] * 3)
    sandbox.faults(tag_lost={"next": 1}, error_before={"next": 1})
    job.send()
    sandbox.faults()
    assert job.states() == {"unknown": 1, "accepted": 2}
    looked_for(job)
    assert set(job.states()) <= {"accepted", "delivered"}
    assert received(sandbox)["09012345678"] == 3


def test_a_list_of_many_pages_is_read_to_its_end(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(230)
    sandbox.faults(error_after={"next": 2}, tag_unlisted={"next": 2})
    job.send()
    sandbox.faults()
    assert job.states()["unknown"] == 2
    looked_for(job)
    assert set(job.states()) <= {"accepted", "delivered"}
    assert set(received(sandbox).values()) == {1}
    assert lists_by_time(sandbox) >= 3


def crowd(job: Job, sandbox: Sandbox, first: int, count: int) -> None:
    """Have the service take so many SMS of another system, all at once."""
    numbers = [{"to": f"8190{first + number:08d}"} for number in range(count)]
    body = json.dumps({"messages": [{"destinations": numbers, "content": {"text": "別のシステムのお知らせ"}}]}).encode()
    headers = {"Authorization": f"App infobip-key-{job.tenant_id}"}
    urllib.request.urlopen(urllib.request.Request(f"{sandbox.infobip_base}/sms/3/messages", body, headers)).close()


def test_of_a_service_that_shows_few_at_once_shorter_times_are_asked_for(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(3, provider="infobip")
    crowd(job, sandbox, 30_000_000, 600)
    sandbox.faults(error_before={"value": True, "on": "infobip.create"})
    job.send()
    sandbox.faults()
    crowd(job, sandbox, 40_000_000, 600)
    assert job.states() == {"unknown": 3}
    looked_for(job)
    assert set(job.states()) <= {"accepted", "delivered"}
    assert job.attempts()["cancelled", "absent"] == 3


@pytest.mark.parametrize("fault", ["unfiltered", "unreadable"])
def test_a_list_by_time_that_is_no_such_list_proves_nothing(
    launched: Launched, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def refuse(*_args: object) -> Page:
        raise UnclearAnswer(fault)

    monkeypatch.setattr(type(PROVIDERS["karaden"]), "parse_list", refuse)
    job = unknown(launched, sandbox, error_before=True)
    looked_for(job)
    assert job.states() == {"unknown": 3}
    assert received(sandbox).total() == 3, "the witnesses"
    assert job.rows("SELECT 1 FROM send_log WHERE campaign_id = %s AND absent_at IS NOT NULL") == []


def test_an_empty_list_by_time_proves_nothing(
    launched: Launched, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a carrier that doesn't know the question: the witness isn't in it either."""
    monkeypatch.setattr(type(PROVIDERS["karaden"]), "parse_list", lambda *_: Page([], more=False))
    job = unknown(launched, sandbox, error_before=True)
    looked_for(job)
    assert job.states() == {"unknown": 3}


@pytest.mark.parametrize("witnesses", [True, False])
def test_a_list_by_time_that_flaps_sends_nothing_twice(
    launched: Launched, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, *, witnesses: bool
) -> None:
    """Each second answer is empty, of a witness's second or of the time of the attempts; none under a reference is."""
    real, turns = type(PROVIDERS["karaden"]).parse_list, itertools.count()

    def flapping(self: object, response: Response, start: datetime, end: datetime) -> Page:
        page = real(self, response, start, end)  # type: ignore[arg-type]
        of_witness = end - start < timedelta(seconds=10)
        return Page([], more=False) if of_witness is witnesses and next(turns) % 2 == 0 else page

    monkeypatch.setattr(type(PROVIDERS["karaden"]), "parse_list", flapping)
    job = unknown(launched, sandbox, error_after=True, tag_unlisted=True)
    time.sleep(3)  # the witness's own second must not show them
    looked_for(job)
    assert set(received(sandbox).values()) == {1}


def test_a_list_that_lacks_what_was_taken_in_that_time_proves_nothing(
    launched: Launched, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = launched(6)
    sandbox.faults(error_before={"next": 2})
    job.send()
    sandbox.faults()
    assert job.states() == {"unknown": 2, "accepted": 4}
    hidden = job.rows("SELECT provider_id FROM send_log WHERE campaign_id = %s AND provider_id IS NOT NULL")[0]
    real = type(PROVIDERS["karaden"]).parse_list

    def lacking(self: object, response: Response, start: datetime, end: datetime) -> Page:
        page = real(self, response, start, end)  # type: ignore[arg-type]
        left = [one for one in page.messages if one.report.provider_id != hidden["provider_id"]]
        return Page(left, page.more)

    monkeypatch.setattr(type(PROVIDERS["karaden"]), "parse_list", lacking)
    looked_for(job)
    assert job.states()["unknown"] == 2
    monkeypatch.undo()
    looked_for(job)
    assert set(job.states()) <= {"accepted", "delivered"}


def test_a_provider_without_such_a_list_is_asked_by_reference_alone(
    launched: Launched, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(PROVIDERS["karaden"]), "sent_between", lambda *_: None)
    job = unknown(launched, sandbox, error_before=True)
    looked_for(job)
    assert set(job.states()) <= {"accepted", "delivered"}


def test_the_own_number_is_a_witness_in_the_list_by_time_too(launched: Launched, sandbox: Sandbox) -> None:
    job = unknown(launched, sandbox, 1, error_before=True)
    give_witness_phone(job)
    looked_for(job, 6, others=False)
    assert set(job.states()) <= {"accepted", "delivered"}
    assert set(received(sandbox).values()) == {1}
