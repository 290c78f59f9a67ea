"""An SMS account that is registered after a restore is asked what left by its contract before anything leaves."""

from collections.abc import Callable

import psycopg
import pytest

from app import tenancy
from app.campaigns import lifecycle, preflight
from app.delivery import dispatch
from app.extensions import db
from app.models import Campaign, SmsAccount
from app.restore import after, new_accounts
from app.setback import account_holds
from sandbox.harness import Sandbox
from tests import factories
from tests.backups import Backup
from tests.launched import Job, received

Launched = Callable[..., Job]
_OF_ACCOUNT = ("send_log", "event", "slice", "recipient")


@pytest.fixture
def forgotten(launched: Launched, sandbox: Sandbox, database: psycopg.Connection) -> Job:
    """A company whose only account was registered, and a list sent by it, since the backup that was restored."""
    job = launched(5)
    before = Backup(database)
    job.send()
    before.restore()
    for table in _OF_ACCOUNT:
        database.execute(f"DELETE FROM {table} WHERE campaign_id = %s", [job.campaign_id])  # noqa: S608 - our tables
    database.execute("DELETE FROM campaign WHERE id = %s", [job.campaign_id])
    database.execute("DELETE FROM sms_contract WHERE sms_account_id = %s", [job.account_id])
    database.execute("DELETE FROM sms_account WHERE id = %s", [job.account_id])
    job.send()
    done = after.restore(nothing_left=True, sleep=lambda _seconds: None)
    assert (done.accounts, done.strangers, done.unasked) == (0, 0, [])
    assert set(received(sandbox).values()) == {1}
    return job


def registered(job: Job) -> int:
    """Register the account once more, with the same contract, as its screen does."""
    account_id = factories.sms_account(job.tenant_id)
    save(job, account_id)
    return account_id


def save(job: Job, account_id: int) -> None:
    with tenancy.tenant(job.tenant_id):
        new_accounts.hold(db.session.get_one(SmsAccount, account_id))
        db.session.commit()
        new_accounts.begin(account_id)


def uploaded(job: Job, account_id: int) -> Job:
    """Upload the same list."""
    user_id = factories.user(job.tenant_id, "manager")
    campaign_id = factories.campaign(job.tenant_id, sms_account_id=account_id, created_by=user_id)
    people = factories.people(job.tenant_id, campaign_id, 5, phones=[person.phone for person in job.people])
    return Job(job.tenant_id, account_id, campaign_id, [], people, job.database)


def launch(job: Job) -> list[str]:
    """Check and launch; return the check's warnings."""
    with tenancy.tenant(job.tenant_id):
        found = preflight.run(job.campaign_id)
        user_id = db.session.get_one(Campaign, job.campaign_id).created_by
        assert user_id is not None
        lifecycle.launch(job.campaign_id, user_id=user_id, digest=found.digest)
    return found.warnings


def drain() -> None:
    while dispatch.take():
        pass


def ask(account_id: int) -> None:
    new_accounts.ask(account_id, gap_s=0)


def hold_of(job: Job) -> str:
    row = job.database.execute("SELECT restore_hold FROM sms_account WHERE id = %s", [job.account_id]).fetchone()
    assert row is not None
    return str(row[0])


def test_nothing_leaves_by_it_before_it_was_asked_and_nobody_gets_a_second_sms(
    forgotten: Job, sandbox: Sandbox
) -> None:
    again = uploaded(forgotten, registered(forgotten))
    assert any("復元の確認待ち" in words for words in launch(again))
    drain()
    assert again.states() == {"queued": 5}
    ask(again.account_id)
    assert hold_of(again) == ""
    drain()
    assert again.states() == {"cancelled": 5}, "an SMS left for them before"
    assert set(received(sandbox).values()) == {1}
    later = uploaded(forgotten, again.account_id)
    assert any("5人の番号には" in words for words in launch(later))


@pytest.mark.parametrize("switch", ["error_before", "list_empty"])
def test_while_it_cannot_be_asked_it_waits(forgotten: Job, sandbox: Sandbox, switch: str) -> None:
    """An empty list counts here: nothing on record shows that it must be otherwise. It is read twice."""
    account_id = registered(forgotten)
    sandbox.faults(**{switch: {"value": True, "on": "karaden.list"}})
    if switch == "error_before":
        ask(account_id)
        again = uploaded(forgotten, account_id)
        launch(again)
        drain()
        assert again.states() == {"queued": 5}
        assert hold_of(again).startswith("new_")
        sandbox.faults()
        save(forgotten, account_id)
        ask(account_id)
        drain()
        assert again.states() == {"cancelled": 5}
    else:
        sandbox.faults(list_empty={"value": True, "next": 1})
        ask(account_id)
        again = uploaded(forgotten, account_id)
        launch(again)
        drain()
        assert again.states() == {"cancelled": 5}
    assert set(received(sandbox).values()) == {1}


def test_it_holds_no_other_account_and_after_restore_asks_it_too(forgotten: Job, sandbox: Sandbox) -> None:
    account_id = registered(forgotten)
    other = factories.sms_account(forgotten.tenant_id, service_id=2)
    job = Job(forgotten.tenant_id, other, uploaded(forgotten, other).campaign_id, [], [], forgotten.database)
    assert not any("復元の確認待ち" in words for words in launch(job))
    done = after.restore(sleep=lambda _seconds: None)
    assert done.strangers == 5
    assert hold_of(Job(forgotten.tenant_id, account_id, 0, [], [], forgotten.database)) == ""


def test_what_was_launched_with_it_before_its_save_waits_too(forgotten: Job, sandbox: Sandbox) -> None:
    account_id = factories.sms_account(forgotten.tenant_id, active=False)
    again = uploaded(forgotten, account_id)
    forgotten.change("UPDATE sms_account SET active = true WHERE id = %s", account_id)
    launch(again)
    save(forgotten, account_id)
    drain()
    assert again.states() == {"queued": 5}
    ask(account_id)
    drain()
    assert again.states() == {"cancelled": 5}


def test_without_a_restore_nothing_waits(launched: Launched) -> None:
    job = launched(5)
    account_id = registered(job)
    assert account_holds.is_new(hold_of(job)) is False
    assert hold_of(Job(job.tenant_id, account_id, 0, [], [], job.database)) == ""
