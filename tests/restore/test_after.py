"""`flask after-restore`: what left since the backup is written down, and the campaign goes on to its end."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import redis as redis_package

from app import config, tenancy
from app.campaigns import preflight
from app.delivery import dispatch
from app.extensions import db
from app.models import Campaign
from app.reports.campaign_totals import figures
from app.restore import after, missed_recipients
from app.restore.after import NotLifted, Restored
from app.setback import beat, doubt
from app.states.vocabulary import SMS, SmsState
from sandbox.harness import Sandbox
from tests import factories, steps
from tests.backups import Backup
from tests.launched import Job, received

Launched = Callable[..., Job]
Tuned = Callable[..., None]


def why() -> str:
    with tenancy.platform():
        return doubt.why_held()


def restored(**more: object) -> Restored:
    return after.restore(sleep=lambda _seconds: None, **more)  # type: ignore[arg-type]


def set_back(job: Job, database: psycopg.Connection) -> None:
    """Send a part, back up, send another part, restore; 15 people in slices of 5."""
    dispatch.take()
    before = Backup(database)
    dispatch.take()
    before.restore()


def test_attempts_are_written_down_and_the_rest_is_sent_once(
    launched: Launched, sandbox: Sandbox, database: psycopg.Connection
) -> None:
    job = launched(15, slice_rows=5)
    set_back(job, database)
    job.send()
    assert why() == "beat"
    assert len(sandbox.messages()) == 10
    assert job.states() == {"accepted": 5, "queued": 10}
    done = restored()
    assert (done.attempts, done.strangers, done.accounts, done.unasked) == (5, 0, 1, [])
    assert why() == ""
    assert job.states()["queued"] == 5
    job.make_due()
    job.send()
    job.send()
    assert set(received(sandbox).values()) == {1}
    assert len(sandbox.messages()) == 15
    assert "queued" not in job.states()


def test_it_may_be_run_twice_and_where_nothing_is_missing(
    launched: Launched, sandbox: Sandbox, database: psycopg.Connection
) -> None:
    job = launched(15, slice_rows=5)
    set_back(job, database)
    job.send()
    restored()
    again = restored()
    assert (again.attempts, again.strangers) == (0, 0)
    assert why() == ""
    job.make_due()
    job.send()
    assert set(received(sandbox).values()) == {1}


def test_a_list_that_shows_nothing_of_what_left_lifts_nothing(
    launched: Launched, sandbox: Sandbox, database: psycopg.Connection
) -> None:
    """It may be late, whatever time it is given: the beat outside knows that something left."""
    job = launched(5)
    before = Backup(database)
    job.send()
    before.restore()
    job.send()
    sandbox.faults(list_empty=True)
    with pytest.raises(NotLifted, match="--nothing-left"):
        restored()
    job.make_due()
    job.send()
    assert (why(), set(received(sandbox).values())) == ("beat", {1})
    sandbox.faults(list_empty=False)
    assert restored().attempts == 5
    job.make_due()
    job.send()
    assert (why(), set(received(sandbox).values())) == ("", {1})


def test_an_operator_may_say_that_nothing_left(
    launched: Launched, sandbox: Sandbox, database: psycopg.Connection
) -> None:
    job = launched(5)
    before = Backup(database)
    sandbox.faults(error_before=True)
    job.send()
    before.restore()
    sandbox.faults(error_before=False)
    job.send()
    with pytest.raises(NotLifted, match="payments were only begun"):
        restored()
    restored(nothing_left=True)
    assert why() == ""
    job.make_due()
    job.send()
    assert set(received(sandbox).values()) == {1}


def test_a_list_that_takes_too_long_holds_its_account_and_not_the_others(
    launched: Launched, sandbox: Sandbox, database: psycopg.Connection
) -> None:
    job = launched(15, slice_rows=5)
    set_back(job, database)
    job.send()
    config.install(replace(config.settings(), listing_s=0))
    [unasked] = restored().unasked
    assert unasked.endswith("(too_slow)")
    job.make_due()
    job.send()
    assert set(received(sandbox).values()) == {1}
    config.install(replace(config.settings(), listing_s=900))
    assert restored().attempts == 5


def test_row_numbers_go_on_beyond_all_that_were_seen(launched: Launched, database: psycopg.Connection) -> None:
    job = launched(5)
    before = Backup(database)
    job.send()
    before.restore()
    restored()
    tenant_id = factories.tenant()
    made = factories.people(tenant_id, factories.campaign(tenant_id), 1)
    assert made[0].id > max(person.id for person in job.people) + 1_000


def test_an_account_that_cannot_be_asked_leaves_its_campaigns_to_a_manager(
    launched: Launched, sandbox: Sandbox, database: psycopg.Connection
) -> None:
    job = launched(15, slice_rows=5)
    set_back(job, database)
    job.send()
    sandbox.faults(error_before={"value": True, "on": "karaden.list"})
    said: list[str] = []
    done = restored(say=said.append)
    sandbox.faults()
    assert (done.accounts, done.held_campaigns, done.held_people) == (0, 1, 10)
    assert "SMS account 1 of 1: 空電プッシュ" in said
    steps = " ".join(after.next_steps(done))
    assert "空電プッシュ (http_500)" in steps
    assert "run after-restore again" in steps
    assert "1 campaigns stay held" in steps
    assert why() == ""
    job.make_due()
    job.send()
    assert len(sandbox.messages()) == 10
    manager = factories.user(job.tenant_id, "manager")
    with tenancy.tenant(job.tenant_id):
        assert missed_recipients.release(job.campaign_id, user_id=manager, reason="履歴を確かめた")
        assert not missed_recipients.release(job.campaign_id, user_id=1, reason="履歴を確かめた")
    job.make_due()
    job.send()
    assert len(sandbox.messages()) > 10


def test_people_whom_the_database_does_not_know_are_not_sent_to_again(
    launched: Launched, sandbox: Sandbox, database: psycopg.Connection
) -> None:
    job = launched(5)
    before = Backup(database)
    job.send()
    phones = [person.phone for person in job.people]
    before.restore()
    database.execute("DELETE FROM slice WHERE campaign_id = %s", [job.campaign_id])
    database.execute("DELETE FROM recipient WHERE campaign_id = %s", [job.campaign_id])
    job.send()
    assert restored().strangers == 5
    # the list is uploaded again, with one more person
    campaign_id = factories.campaign(job.tenant_id, sms_account_id=job.account_id)
    people = factories.people(job.tenant_id, campaign_id, 6, phones=[*phones, "+819099990001"])
    with tenancy.tenant(job.tenant_id):
        found = preflight.run(campaign_id)
        assert any("5人の番号には" in warning for warning in found.warnings)
    slices = factories.launch(job.tenant_id, campaign_id)
    again = Job(job.tenant_id, job.account_id, campaign_id, slices, people, database)
    again.send()
    assert again.states() == {"cancelled": 5, "accepted": 1}
    assert set(received(sandbox).values()) == {1}
    manager = factories.user(job.tenant_id, "manager")
    with tenancy.tenant(job.tenant_id):
        assert missed_recipients.release(campaign_id, user_id=manager, reason="履歴を確かめた")
    again.send()
    assert again.states() == {"accepted": 6}


def test_another_installations_folder_is_not_taken_over_by_mistake(
    launched: Launched, sandbox: Sandbox, redis: redis_package.Redis
) -> None:
    job = launched(3)
    redis.flushdb()
    beat.forget()
    redis.zadd("todoke:beat", {"ffff 1 77 1 3": 5, "at": 1})
    job.send()
    assert (why(), sandbox.messages()) == ("installation", [])
    with pytest.raises(NotLifted, match="--take-over ffff"):
        restored()
    assert why() == "installation"
    restored(take_over="ffff", nothing_left=True)
    assert why() == ""
    beat.forget()
    job.make_due()
    job.send()
    assert len(sandbox.messages()) == 3


def test_while_the_folder_cannot_be_read_nothing_is_lifted(launched: Launched, tuned: Tuned, tmp_path: Path) -> None:
    launched(1)
    with tenancy.platform():
        doubt.hold(beat.NothingMayLeave("beat"))
    (tmp_path / "file").write_text("")
    tuned(outside_dir=str(tmp_path / "file"))
    beat.forget()
    with pytest.raises(NotLifted, match="OUTSIDE_DIR"):
        restored()
    assert why() == "beat"


def test_an_empty_list_that_lacks_what_the_backup_knows_is_no_answer(
    launched: Launched, sandbox: Sandbox, database: psycopg.Connection
) -> None:
    job = launched(15, slice_rows=5)
    set_back(job, database)
    job.send()
    sandbox.faults(list_empty=True)
    done = restored()
    sandbox.faults()
    assert (done.accounts, done.attempts, done.held_campaigns) == (0, 0, 1)
    assert "incomplete" in done.unasked[0]
    job.make_due()
    job.send()
    assert set(received(sandbox).values()) == {1}
    assert len(sandbox.messages()) == 10


def test_a_carriers_clock_that_is_hours_off_hides_nothing(
    launched: Launched, sandbox: Sandbox, database: psycopg.Connection
) -> None:
    sandbox.faults(clock_behind_s=9 * 3600)
    job = launched(15, slice_rows=5)
    set_back(job, database)
    job.send()
    assert (restored().attempts, why()) == (5, "")
    job.make_due()
    job.send()
    job.send()
    assert set(received(sandbox).values()) == {1}
    assert len(sandbox.messages()) == 15


def test_whoever_got_an_sms_counts_as_sent_to(launched: Launched) -> None:
    """Where the outcome came by asking, an SMS goes on to delivered and nobody told when it was accepted."""
    job = launched(3)
    steps.reach(SMS, SmsState.DELIVERED, job.ids(), straight=True)
    with tenancy.tenant(job.tenant_id):
        assert figures(db.session.get_one(Campaign, job.campaign_id)).funnel[:2] == (("送信", 3), ("到達", 3))
