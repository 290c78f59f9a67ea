"""Accounts that could not be asked after a restore: what is launched later waits too, until a manager has looked."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select

from app import tenancy
from app.campaigns import lifecycle, preflight
from app.delivery import dispatch
from app.extensions import db
from app.models import AuditEntry, Campaign
from app.restore import after, missed_recipients
from app.restore.after import Restored
from app.setback import account_holds, beat, doubt
from app.states import locks
from sandbox.harness import Sandbox
from tests import factories
from tests.backups import Backup
from tests.launched import Job, received

Launched = Callable[..., Job]
AWAY = {"error_before": {"value": True, "on": "karaden.list"}}


@pytest.fixture
def forgotten(launched: Launched, sandbox: Sandbox, database: psycopg.Connection) -> Job:
    """A list that was uploaded and sent since the backup; the account couldn't be asked after the restore."""
    job = launched(5)
    before = Backup(database)
    job.send()
    before.restore()
    for table in ("slice", "recipient"):
        database.execute(f"DELETE FROM {table} WHERE campaign_id = %s", [job.campaign_id])  # noqa: S608 - our tables
    database.execute("DELETE FROM campaign WHERE id = %s", [job.campaign_id])
    job.send()
    sandbox.faults(**AWAY)
    done = restored()
    sandbox.faults()
    assert (done.accounts, len(done.unasked)) == (0, 1)
    assert set(received(sandbox).values()) == {1}
    return job


def restored() -> Restored:
    return after.restore(sleep=lambda _seconds: None)


def drain() -> None:
    while dispatch.take():
        pass


def drafted(job: Job, *, account_id: int | None = None, **columns: Any) -> Job:
    """Upload the list once more."""
    user_id = factories.user(job.tenant_id, "manager")
    account_id = job.account_id if account_id is None else account_id
    campaign_id = factories.campaign(job.tenant_id, sms_account_id=account_id, created_by=user_id, **columns)
    people = factories.people(job.tenant_id, campaign_id, 5, phones=[person.phone for person in job.people])
    return Job(job.tenant_id, account_id, campaign_id, [], people, job.database)


def launch(job: Job) -> list[str]:
    """Check and launch a draft; return the check's warnings."""
    with tenancy.tenant(job.tenant_id):
        found = preflight.run(job.campaign_id)
        user_id = db.session.get_one(Campaign, job.campaign_id).created_by
        assert user_id is not None
        lifecycle.launch(job.campaign_id, user_id=user_id, digest=found.digest)
    return found.warnings


def hold_of(job: Job) -> str:
    return str(job.rows("SELECT restore_hold FROM campaign WHERE id = %s")[0]["restore_hold"])


def lift(job: Job, account_id: int | None = None) -> int | None:
    user_id = factories.user(job.tenant_id, "manager")
    with tenancy.tenant(job.tenant_id):
        number = job.account_id if account_id is None else account_id
        return account_holds.lift(account_holds.SMS, number, actor=f"user:{user_id}", reason="履歴を確かめた")


def test_a_list_that_is_uploaded_again_waits_for_a_manager(forgotten: Job, sandbox: Sandbox) -> None:
    again = drafted(forgotten)
    warnings = launch(again)
    assert any("管理者が送信履歴を確かめて許可するまで、SMSは送られません" in words for words in warnings)
    assert again.state() == "sending"
    assert hold_of(again).startswith(f"sms:{forgotten.account_id}:")
    drain()
    assert again.states() == {"queued": 5}
    assert set(received(sandbox).values()) == {1}
    with tenancy.tenant(again.tenant_id):
        assert missed_recipients.release(again.campaign_id, user_id=1, reason="履歴にない")
    drain()
    assert again.states() == {"accepted": 5}
    later = drafted(forgotten)
    launch(later)
    assert hold_of(later), "one campaign's release says nothing of the next"


def test_by_another_account_of_the_company_it_waits_too(forgotten: Job, sandbox: Sandbox) -> None:
    other = factories.sms_account(forgotten.tenant_id, service_id=2)
    again = drafted(forgotten, account_id=other)
    launch(again)
    drain()
    assert again.states() == {"queued": 5}
    assert set(received(sandbox).values()) == {1}


def test_another_company_sends_on(forgotten: Job, launched: Launched) -> None:
    tenant_id = factories.tenant()
    account_id = factories.sms_account(tenant_id)
    campaign_id = factories.campaign(
        tenant_id, sms_account_id=account_id, created_by=factories.user(tenant_id, "manager")
    )
    theirs = Job(
        tenant_id, account_id, campaign_id, [], factories.people(tenant_id, campaign_id, 3), forgotten.database
    )
    assert not any("復元" in words for words in launch(theirs))
    drain()
    assert theirs.states() == {"accepted": 3}


def test_a_draft_and_a_booked_campaign_of_the_backup_wait_at_their_launch(
    launched: Launched, sandbox: Sandbox, database: psycopg.Connection
) -> None:
    """They may have been launched since the backup, by another account than they have now."""
    job = launched(5)
    draft = drafted(job)
    booked = drafted(job, starts_at=datetime.now(UTC) + timedelta(hours=1))
    launch(booked)
    assert booked.state() == "scheduled"
    before = Backup(database)
    job.send()
    before.restore()
    job.send()
    sandbox.faults(**AWAY)
    restored()
    sandbox.faults()
    booked.change("UPDATE campaign SET starts_at = now() WHERE id = %s", booked.campaign_id)
    with tenancy.tenant(job.tenant_id):
        assert not missed_recipients.release(draft.campaign_id, user_id=1, reason="まだ"), "its list may change yet"
        assert lifecycle.start(booked.campaign_id)
    launch(draft)
    drain()
    for one in (job, draft, booked):
        assert hold_of(one)
        assert one.states() == {"queued": 5}
    assert set(received(sandbox).values()) == {1}


def test_a_managers_word_about_the_account_lets_all_of_it_go_on(forgotten: Job, sandbox: Sandbox) -> None:
    again = drafted(forgotten)
    launch(again)
    draft = drafted(forgotten)
    assert lift(forgotten) == 1
    assert hold_of(draft) == ""
    assert lift(forgotten) is None
    assert hold_of(again) == ""
    drain()
    assert again.states() == {"accepted": 5}
    later = drafted(forgotten)
    launch(later)
    assert hold_of(later) == ""
    with tenancy.tenant(again.tenant_id):
        acts = [(row.act, row.target, row.detail) for row in db.session.scalars(select(AuditEntry))]
    for act, target in (
        ("release_account", f"sms_account:{forgotten.account_id}"),
        ("release_restored", f"campaign:{again.campaign_id}"),
    ):
        assert (act, target, {"reason": "履歴を確かめた"}) in acts


def test_what_waits_for_two_accounts_waits_for_both(forgotten: Job) -> None:
    other = factories.sms_account(forgotten.tenant_id, service_id=2)
    now = datetime.now(UTC)
    with tenancy.tenant(forgotten.tenant_id):
        account_holds.hold(account_holds.SMS, other, "http 500", start=now, end=now)
        account_holds.hold(account_holds.SMS, other, "flapping", start=now - timedelta(days=1), end=now)
    again = drafted(forgotten)
    launch(again)
    assert [(one.account_id, one.code) for one in account_holds.read(hold_of(again))][1] == (other, "flapping")
    lift(forgotten)
    assert account_holds.read(hold_of(again)) == [account_holds.AccountHold("sms", other, "flapping")]
    lift(forgotten, other)
    assert hold_of(again) == ""


def test_once_it_can_be_asked_the_command_asks_since_the_backup_and_lifts_it(forgotten: Job, sandbox: Sandbox) -> None:
    """Sent meanwhile, so that the database's own last sign of life says nothing of the backup any more."""
    again = drafted(forgotten)
    launch(again)
    beat.forget()
    with tenancy.platform():
        doubt.watch(alive=True)
    done = restored()
    assert (done.unasked, done.strangers, done.campaigns_held_now) == ([], 5, 0)
    assert hold_of(again) == ""
    drain()
    assert again.states() == {"cancelled": 5}, "their numbers are known now"
    assert set(received(sandbox).values()) == {1}


def test_a_launch_that_did_not_see_the_account_held_is_held_all_the_same(
    app: Flask, launched: Launched, sandbox: Sandbox
) -> None:
    job = launched(5)
    other = factories.sms_account(job.tenant_id, service_id=2)
    again = drafted(job)
    now = datetime.now(UTC)
    with tenancy.tenant(job.tenant_id):
        campaign = locks.locked_campaign(again.campaign_id)
        lifecycle._begin(campaign, datetime.now(UTC), "system")
        db.session.flush()

        def hold() -> None:
            with app.app_context(), tenancy.tenant(job.tenant_id):
                account_holds.hold(account_holds.SMS, other, "timeout", start=now, end=now)

        thread = threading.Thread(target=hold)
        thread.start()
        thread.join(1.0)
        assert thread.is_alive(), "it waits for the launch"
        db.session.commit()
    thread.join(60)
    assert hold_of(again) == f"sms:{other}:timeout"


def test_a_payment_contract_without_a_list_holds_what_is_launched_with_it(
    forgotten: Job, database: psycopg.Connection
) -> None:
    """PayPay lists no payments: a list that is uploaded again could be asked for money that was paid."""
    lift(forgotten)
    account_id = factories.payment_account(forgotten.tenant_id)
    now = datetime.now(UTC)
    with tenancy.tenant(forgotten.tenant_id):
        account_holds.hold(account_holds.PAYMENT, account_id, "no_list", start=now, end=now)
    with_it, without = drafted(forgotten, payment_account_id=account_id), drafted(forgotten)
    for one in (with_it, without):
        one.change("UPDATE recipient SET amount_yen = 1000 WHERE campaign_id = %s", one.campaign_id)
        launch(one)
    assert (hold_of(with_it), hold_of(without)) == (f"payment:{account_id}:no_list", "")


def test_a_reason_is_needed_and_names_nobody() -> None:
    assert account_holds.reason_problems("") == account_holds.reason_problems("  ")
    assert account_holds.reason_problems("")
    (problem,) = account_holds.reason_problems("090-1234-5678 には送られていない")
    assert problem.code == "release_reason_personal"
    assert account_holds.reason_problems("０９０（１２３４）５６７８") == [problem]
    assert account_holds.reason_problems("あ" * 201)
    assert account_holds.reason_problems("11/30 12:00〜14:00の履歴 1,234件を名簿と照合し、重なりなし") == []
