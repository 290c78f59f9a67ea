"""Receipts that come a hundred at once: each of them counts, whatever else is in the bundle."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import pytest

from jobs import outcomes
from sandbox.harness import Sandbox
from tests import factories
from tests.launched import Job
from tests.outcomes.live_door import Door
from tests.waiting import until

Launched = Callable[..., Job]


@pytest.fixture
def quiet(launched: Launched, sandbox: Sandbox) -> Job:
    """Three people whose SMS was accepted, and whose receipts never came."""
    sandbox.faults(receipts_off=True)
    job = launched(3, provider="zettai_reach")
    job.send()
    assert job.states() == {"accepted": 3}
    return job


def event(reference: str, **fields: object) -> dict[str, object]:
    whole = {"type": "DLR", "clientTag": reference, "statusId": 2, "dateTime": "2026/11/23 10:00:00"}
    return {**whole, "phoneNumber": "+819012345678", "messageText": "本文", **fields}


def push(job: Job, *events: dict[str, object]) -> None:
    body = "json=" + quote_plus(json.dumps({"eventNotifications": events}))
    factories.keep_receipt(job.account_id, body.encode())


def receipts(job: Job) -> list[dict[str, Any]]:
    return job.rows("SELECT outcome, applied_at IS NOT NULL AS applied, tries FROM receipt WHERE %s > 0")


def delivered(job: Job) -> int:
    return job.states().get("delivered", 0)


def test_a_campaigns_receipts_come_in_bundles_and_all_count(launched: Launched, sandbox: Sandbox, door: Door) -> None:
    job = launched(130, provider="zettai_reach")
    url = door.url + factories.receipt_path(job.account_id)
    sandbox.addresses(sms_accounts={"zettai_reach": {"*": {"url": url, "secret": "any"}}})
    job.send()

    def all_told() -> bool:
        outcomes.apply_receipts(job.tenant_id)
        return job.states() == {"delivered": 130}

    until(all_told)
    assert {answer[:3] for answer in door.answers} == {"200"}
    assert len(door.answers) < 30
    assert all(row["applied"] for row in receipts(job))


def test_what_isnt_ours_is_not_asked_about_and_holds_nothing_up(quiet: Job, sandbox: Sandbox) -> None:
    push(quiet, *(event(reference) for reference in quiet.references()), event("crm-20261123-0007"))
    outcomes.apply_receipts(quiet.tenant_id)
    assert delivered(quiet) == 3
    assert [(row["applied"], row["outcome"]) for row in receipts(quiet)] == [(True, "3 delivered")]
    assert all("crm-20261123" not in row["target"] for row in sandbox.ledger("zettai_reach"))


def test_one_that_can_not_be_asked_about_holds_no_other_up(quiet: Job, sandbox: Sandbox) -> None:
    sandbox.faults(receipts_off=True, list_empty={"value": True, "next": 1, "on": "zettai_reach.list"})
    push(quiet, *(event(reference) for reference in quiet.references()))
    outcomes.apply_receipts(quiet.tenant_id)
    assert delivered(quiet) == 2
    assert [(row["applied"], row["tries"]) for row in receipts(quiet)] == [(False, 1)]
    asked = len(sandbox.ledger("zettai_reach"))
    quiet.change("UPDATE receipt SET try_at = now()")
    outcomes.apply_receipts(quiet.tenant_id)
    assert delivered(quiet) == 3
    assert [row["applied"] for row in receipts(quiet)] == [True]
    # only the one that was missing
    assert len(sandbox.ledger("zettai_reach")) == asked + 1


def test_a_bundle_says_nothing_by_itself(quiet: Job, sandbox: Sandbox) -> None:
    push(quiet, *(event(reference, statusId=3, detailedStatusId=31732) for reference in quiet.references()))
    outcomes.apply_receipts(quiet.tenant_id)
    assert delivered(quiet) == 3, "unsigned, it only makes the product ask"


def test_a_hundred_of_the_longest_texts_are_let_in(quiet: Job) -> None:
    events = [event(f"k3mzq7x2abcd.{10**12 + n}.100", messageText="ア" * 660) for n in range(97)]
    whole = {"eventNotifications": [*events, *(event(reference) for reference in quiet.references())]}
    body = ("json=" + quote_plus(json.dumps(whole, ensure_ascii=False))).encode()
    assert len(body) > 500_000
    assert factories.keep_receipt(quiet.account_id, body)
    outcomes.apply_receipts(quiet.tenant_id)
    assert delivered(quiet) == 3


@pytest.mark.parametrize("body", [b"xml=%3Cx%2F%3E", b"json=%7B", b"json=" + b"%5B" * 9_000])
def test_a_bundle_that_can_not_be_read_is_kept_with_a_word(quiet: Job, body: bytes) -> None:
    factories.keep_receipt(quiet.account_id, body)
    outcomes.apply_receipts(quiet.tenant_id)
    assert [row["outcome"] for row in receipts(quiet)] == ["unreadable: unreadable"]
