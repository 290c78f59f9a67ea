"""Receipts of a shared account find their company by the reference, and nobody else."""

import json
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from flask import Flask

from app import accounts, tenancy
from app.extensions import db, vault
from app.models import SharedSmsAccount
from app.vault import Place
from jobs import outcomes
from sandbox.harness import Sandbox
from sandbox.twilio import signature
from tests import factories
from tests.launched import Job, received
from tests.outcomes.live_door import Door
from tests.outcomes.proving_absence import make_due, witnessed
from tests.sharing import Share
from tests.waiting import until


def path_of(shared_account_id: int) -> str:
    with tenancy.platform():
        return accounts.receipt_path(db.session.get_one(SharedSmsAccount, shared_account_id))


def sent(share: Share, sandbox: Sandbox, account: int, phone: str) -> Job:
    """A company whose one SMS was accepted, and whose receipt never came."""
    sandbox.faults(receipts_off=True)
    job = share(account, 1, phones=[phone])
    job.send()
    assert job.states() == {"accepted": 1}
    return job


def event(job: Job, reference: str = "", **fields: object) -> dict[str, object]:
    phone = job.people[0].phone
    whole = {"type": "DLR", "clientTag": reference or job.references()[0], "statusId": 2, "phoneNumber": phone}
    return {**whole, "dateTime": "2026/11/23 10:00:00", "messageText": f"{phone}への本文", **fields}


def push(app: Flask, account: int, *events: dict[str, object], path: str = "") -> int:
    body = "json=" + quote_plus(json.dumps({"eventNotifications": events}))
    content = "application/x-www-form-urlencoded"
    return app.test_client().post(path or path_of(account), data=body, content_type=content).status_code


def kept(job: Job) -> list[dict[str, Any]]:
    return job.rows(
        "SELECT r.* FROM receipt r JOIN campaign c ON c.id = %s WHERE r.sms_account_id = %s", job.account_id
    )


def content(job: Job) -> str:
    """Open all that the company holds of receipts."""
    places = [(Place(job.tenant_id, "receipt", "body_sealed", row["id"]), row["body_sealed"]) for row in kept(job)]
    return "".join(vault.open(bytes(sealed), place).decode("latin-1") for place, sealed in places)


def test_a_bundle_of_two_companies_is_taken_apart(app: Flask, share: Share, sandbox: Sandbox) -> None:
    account = factories.shared_account(provider="zettai_reach")
    one = sent(share, sandbox, account, "+819011112222")
    other = sent(share, sandbox, account, "+819033334444")
    assert push(app, account, event(one), event(other), event(one, "abcdefghijkl.999999.1")) == 200
    assert [len(kept(job)) for job in (one, other)] == [1, 1]
    for job, foreign in ((one, other), (other, one)):
        told = content(job)
        assert job.references()[0] in told
        assert foreign.references()[0] not in told
        for number in ("9011112222", "9033334444", "abcdefghijkl"):
            assert number not in told
    for job in (one, other):
        outcomes.apply_receipts(job.tenant_id)
        assert job.states() == {"delivered": 1}, "asked about, and told"


def test_the_same_bundle_again_is_kept_once(app: Flask, share: Share, sandbox: Sandbox) -> None:
    account = factories.shared_account(provider="zettai_reach")
    job = sent(share, sandbox, account, "+819011112222")
    for _ in range(2):
        assert push(app, account, event(job)) == 200
    assert len(kept(job)) == 1


def test_a_foreign_or_unknown_reference_reaches_nobody(app: Flask, share: Share, sandbox: Sandbox) -> None:
    account, another = (factories.shared_account(provider="zettai_reach") for _ in range(2))
    job = sent(share, sandbox, account, "+819011112222")
    stranger = sent(share, sandbox, another, "+819033334444")
    mark, row, attempt = job.references()[0].split(".")
    for reference in (
        stranger.references()[0],  # of another account
        f"{'a' * len(mark)}.{row}.{attempt}",  # of a person whose row has the number now
        f"{mark}.{row}.7",
        f"{mark}.t{row}",
        "",
        "x" * 5000,
    ):
        assert push(app, account, {**event(job), "clientTag": reference}) in {202, 400}, reference
    assert kept(job) == kept(stranger) == []


def test_no_company_is_told_by_the_address_of_its_part(app: Flask, share: Share, sandbox: Sandbox) -> None:
    account = factories.shared_account(provider="zettai_reach")
    job = sent(share, sandbox, account, "+819011112222")
    key = vault.receipt_key(job.account_id, None)
    assert push(app, account, event(job), path=f"/callbacks/sms/{job.account_id}/{key}") == 404
    for path in (f"/callbacks/sms/shared/{account}/{'0' * 32}", "/callbacks/sms/shared/9999/x"):
        assert push(app, account, event(job), path=path) == 404
    assert kept(job) == []


def test_what_cannot_be_read_is_refused(app: Flask, share: Share, sandbox: Sandbox) -> None:
    account = factories.shared_account(provider="zettai_reach")
    sent(share, sandbox, account, "+819011112222")
    for body in (b"", b"json=", b"json=%5B%5D", b"\x02[]", b"\xff" * 400):
        assert app.test_client().post(path_of(account), data=body).status_code in {202, 400}


def test_signed_ones_are_verified_and_find_their_company(app: Flask, share: Share, sandbox: Sandbox) -> None:
    account = factories.shared_account(provider="twilio")
    one = sent(share, sandbox, account, "+819011112222")
    other = sent(share, sandbox, account, "+819033334444")
    path, fields = path_of(account), {"MessageSid": "SM" + "0a" * 16, "MessageStatus": "delivered", "AccountSid": "AC"}

    def called(token: str) -> int:
        address = f"{path}?reference={one.references()[0]}"
        headers = {"X-Twilio-Signature": signature(f"http://localhost{address}", fields, token)}
        form = "application/x-www-form-urlencoded"
        answer = app.test_client().post(address, data=urlencode(fields), content_type=form, headers=headers)
        return answer.status_code

    assert called("another-token") == 401
    assert kept(one) == []
    assert called("twilio-token") == 200
    for job in (one, other):
        outcomes.apply_receipts(job.tenant_id)
    assert (one.states(), other.states()) == ({"delivered": 1}, {"accepted": 1})


@pytest.mark.parametrize("provider", ["karaden"])
def test_the_service_pushes_to_the_one_address(share: Share, sandbox: Sandbox, door: Door, provider: str) -> None:
    account = factories.shared_account(provider=provider)
    with tenancy.platform():
        settings = dict(db.session.get_one(SharedSmsAccount, account).settings)
    url = door.url + path_of(account)
    sandbox.addresses(karaden_receipts={f"{settings['tenant_id']}/{settings['service_id']}": url})
    one, other = share(account, 3), share(account, 2)
    for job in (one, other):
        job.send()
    until(lambda: sandbox.summary()["sent"].get("receipts_pending") == 0 and door.answers)
    assert {answer[:3] for answer in door.answers} == {"200"}
    for job in (one, other):
        outcomes.apply_receipts(job.tenant_id)
    assert (one.states(), other.states()) == ({"delivered": 3}, {"delivered": 2})


def test_a_look_up_finds_ones_own_message_alone(share: Share, sandbox: Sandbox) -> None:
    """Another company wrote to the same number: its message is not taken for the one that nobody answered for."""
    account = factories.shared_account()
    neighbour = share(account, 1, phones=["+819011112222"])
    neighbour.send()
    job = share(account, 1, phones=["+819011112222"])
    sandbox.faults(error_before=True)
    job.send()
    sandbox.faults()
    assert job.states() == {"unknown": 1}
    job.change(
        "UPDATE send_log SET started_at = started_at - interval '20 s', answered_at = answered_at - interval '20 s'"
        " WHERE campaign_id = %s",
        job.campaign_id,
    )
    witnessed(job)
    for _ in range(4):
        make_due(job)
        outcomes.reconcile(job.tenant_id)
        job.send()
        job.change(
            "UPDATE send_log SET asked_at = asked_at - interval '1 hour', absent_at = absent_at - interval '1 hour'"
            " WHERE state = 'unknown'"
        )
    assert job.person(job.people[0].id)["sms_code"] != "listed", "no company learns that another one wrote to a number"
    assert set(job.states()) <= {"accepted", "delivered"}
    assert received(sandbox)["09011112222"] == 2, "one of each company"
