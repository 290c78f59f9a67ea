"""A database that was set back sends nothing twice: a restored backup, a failover without the last commits."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import redis as redis_package
from flask import Flask

from app import tenancy
from app.delivery import dispatch
from app.setback import beat, doubt, hold_reasons
from app.setback.known import OUTSIDE, SLOTS, Why
from app.setback.outside import Folder
from sandbox.harness import Sandbox
from tests.backups import Backup
from tests.launched import Job, received, requests

Launched = Callable[..., Job]
Tuned = Callable[..., None]


@pytest.fixture
def backup(database: psycopg.Connection) -> Callable[[], Backup]:
    return lambda: Backup(database)


@pytest.fixture(autouse=True)
def installed(tuned: Tuned) -> None:
    """An installation that runs: it has given a sign of life."""
    del tuned
    with tenancy.platform():
        doubt.watch(alive=True)


def keep(tuned: Tuned, folder: Path, **more: object) -> None:
    """Keep the beat in a folder too, as a process does that starts with it."""
    tuned(outside_dir=str(folder), **more)
    beat.forget()


def lists(sandbox: Sandbox) -> int:
    """Count how often the carrier was asked for a list."""
    return sum(count for name, count in sandbox.summary()["requests"].items() if name.startswith("karaden.list"))


def why() -> str:
    with tenancy.platform():
        return doubt.why_held()


@pytest.mark.parametrize("who", ["the process", "the folder", "Redis"])
def test_a_database_set_back_sends_nothing_twice(
    launched: Launched,
    sandbox: Sandbox,
    backup: Callable[[], Backup],
    tuned: Tuned,
    tmp_path: Path,
    redis: redis_package.Redis,
    who: str,
) -> None:
    """Whoever of the three still knows: the claims are gone, the SMS aren't."""
    keep(tuned, tmp_path)
    job = launched(5)
    before = backup()
    job.send()
    before.restore()
    if who != "the process":
        beat.forget()
    if who != "the folder":
        [file] = tmp_path.glob("*.beat")
        file.unlink()
    if who != "Redis":
        redis.flushdb()
    assert job.states() == {"queued": 5}
    job.send()
    assert set(received(sandbox).values()) == {1}
    assert why() == Why.BEAT
    asked = requests(sandbox)
    job.send()
    assert requests(sandbox) == asked


def test_a_failover_that_lost_another_workers_claims_is_seen_in_the_claim_itself(
    launched: Launched, sandbox: Sandbox, backup: Callable[[], Backup], tuned: Tuned, tmp_path: Path
) -> None:
    """The slice is leased already when the commits are lost: no start, no new connection, only the claim can tell."""
    keep(tuned, tmp_path, batch_rows=2)
    job = launched(5)
    before = backup()
    job.send()
    before.restore()
    with pytest.raises(beat.NothingMayLeave), tenancy.tenant(job.tenant_id), beat.rising(tenancy.transaction()):
        pytest.fail("the transaction began")
    assert set(received(sandbox).values()) == {1}


def test_another_timeline_holds_though_no_commit_is_lost(
    launched: Launched, sandbox: Sandbox, tuned: Tuned, tmp_path: Path
) -> None:
    keep(tuned, tmp_path)
    job = launched(3)
    job.change("UPDATE installation SET timeline = timeline + 1")
    job.send()
    assert sandbox.messages() == []
    assert why() == Why.TIMELINE


def test_another_installations_folder_holds(launched: Launched, sandbox: Sandbox, tuned: Tuned, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.beat").write_text("ffff 1 7713916722158330271 1 5 9 1700000000.000000\n")
    keep(tuned, tmp_path)
    job = launched(3)
    job.send()
    assert sandbox.messages() == []
    assert why() == Why.INSTALLATION


def test_an_emptied_redis_alone_holds_nothing(
    launched: Launched, sandbox: Sandbox, tuned: Tuned, tmp_path: Path, redis: redis_package.Redis
) -> None:
    keep(tuned, tmp_path, batch_rows=2)
    job = launched(5, slice_rows=3)
    dispatch.take()
    redis.flushdb()
    beat.forget()
    asked = lists(sandbox)
    job.send()
    assert set(received(sandbox).values()) == {1}
    assert len(sandbox.messages()) == 5
    assert (why(), lists(sandbox)) == ("", asked)


def test_a_folder_that_cannot_be_written_lets_nothing_leave(
    launched: Launched, sandbox: Sandbox, tuned: Tuned, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    keep(tuned, tmp_path / "file")
    job = launched(3)
    job.send()
    assert sandbox.messages() == []
    assert job.states() == {"queued": 3}
    assert why() == ""


@pytest.fixture
def full(tuned: Tuned, tmp_path: Path, sandbox: Sandbox) -> Path:
    """A folder to which nothing more can be written; not even root may, unlike with a read-only one."""
    del sandbox
    own = Folder(tmp_path)._own
    own.symlink_to("/dev/full")
    keep(tuned, tmp_path)
    return own


def test_a_folder_that_is_full_is_told_everywhere(app: Flask, full: Path, launched: Launched, sandbox: Sandbox) -> None:
    job = launched(3)
    job.send()
    assert sandbox.messages() == []
    assert app.test_client().get("/healthz").get_json() == {"status": "ok", "hold": OUTSIDE}
    run = app.test_cli_runner().invoke(args=["ready"])
    assert run.exit_code == 1
    assert "OUTSIDE_DIR can't be written" in run.output
    with tenancy.tenant(job.tenant_id):
        assert doubt.why_nothing_leaves() == OUTSIDE
        assert not doubt.may_charge()
    assert "書き込めません" in hold_reasons.why(OUTSIDE)
    assert hold_reasons.title(OUTSIDE) != hold_reasons.TITLE
    full.unlink()
    beat.forget()
    with tenancy.platform():
        assert doubt.why_nothing_leaves() == ""


def test_an_installation_that_never_sent_begins_without_a_question(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(3)
    job.send()
    assert len(sandbox.messages()) == 3
    assert lists(sandbox) == 0


def test_busy_writers_of_one_process_are_no_false_alarm(
    launched: Launched, app: Flask, tuned: Tuned, tmp_path: Path
) -> None:
    """A count that another thread told after the database was read is not one that the database lost."""
    keep(tuned, tmp_path)
    job = launched(1)

    def write() -> None:
        with app.app_context(), tenancy.tenant(job.tenant_id):
            for _ in range(40):
                with beat.rising(tenancy.transaction()):
                    pass

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(write) for _ in range(8)]:
            done.result()
    assert why() == ""
    assert job.database.execute("SELECT sum(count) FROM beat").fetchone() == (320,)


def test_more_writers_than_slots_wait_for_each_other_and_none_fails(
    launched: Launched, app: Flask, tuned: Tuned, tmp_path: Path
) -> None:
    keep(tuned, tmp_path)
    job = launched(1)
    writers = SLOTS + 3
    together = threading.Barrier(writers)

    def write() -> None:
        with app.app_context(), tenancy.tenant(job.tenant_id):
            together.wait(20)
            with beat.rising(tenancy.transaction()):
                time.sleep(0.3)

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(lambda _: write(), range(writers)))
    assert job.database.execute("SELECT sum(count) FROM beat").fetchone() == (writers,)


def without_copies(redis: redis_package.Redis) -> None:
    redis.flushdb()
    beat.forget()


def test_without_a_copy_the_services_are_asked_and_what_is_on_record_is_no_reason_to_hold(
    launched: Launched, sandbox: Sandbox, redis: redis_package.Redis
) -> None:
    job = launched(5, slice_rows=3)
    dispatch.take()
    without_copies(redis)
    job.send()
    assert len(sandbox.messages()) == 5
    assert lists(sandbox) == 1
    assert why() == ""


def test_without_a_copy_one_message_that_is_not_on_record_holds(
    launched: Launched, sandbox: Sandbox, redis: redis_package.Redis, backup: Callable[[], Backup]
) -> None:
    job = launched(5)
    before = backup()
    job.send()
    before.restore()
    # an installation that sent before: its youngest lies before what is lost
    job.change("UPDATE beat SET count = 1, at = now() - interval '1 minute' WHERE slot = 0")
    without_copies(redis)
    job.send()
    assert set(received(sandbox).values()) == {1}
    assert why() == Why.MISSED


def test_a_machine_set_back_whole_is_seen_by_its_standstill(
    launched: Launched, sandbox: Sandbox, redis: redis_package.Redis, backup: Callable[[], Backup], tuned: Tuned
) -> None:
    """Database, Redis and folder agree: only that all of them stood still for long tells."""
    job = launched(5)
    job.change("UPDATE beat SET count = 1, at = now() - interval '11 minutes' WHERE at IS NOT NULL")
    before = backup()
    job.send()  # asks, finds nothing, sends
    assert len(sandbox.messages()) == 5
    before.restore()
    without_copies(redis)
    job.send()
    assert set(received(sandbox).values()) == {1}
    assert why() == Why.MISSED


@pytest.mark.parametrize("switch", ["error_before", "reset_before_body"])
def test_an_account_that_gives_no_answer_holds(
    launched: Launched, sandbox: Sandbox, redis: redis_package.Redis, switch: str
) -> None:
    job = launched(5, slice_rows=3)
    dispatch.take()
    without_copies(redis)
    sandbox.faults(**{switch: {"value": True, "on": "karaden.list"}})
    job.send()
    assert len(sandbox.messages()) == 3
    assert why() == Why.UNASKED


@pytest.mark.parametrize("behind_s", [3_600, 9 * 3_600])
@pytest.mark.parametrize("turns_before", [0, 1])
def test_a_carriers_clock_that_is_hours_off_hides_nothing(
    launched: Launched,
    sandbox: Sandbox,
    redis: redis_package.Redis,
    backup: Callable[[], Backup],
    behind_s: int,
    turns_before: int,
) -> None:
    sandbox.faults(clock_behind_s=behind_s)
    job = launched(10, slice_rows=5)
    for _ in range(turns_before):
        dispatch.take()
    before = backup()
    job.send()
    before.restore()
    job.change("UPDATE beat SET count = 1, at = now() - interval '1 minute' WHERE slot = 0")
    without_copies(redis)
    job.send()
    assert set(received(sandbox).values()) == {1}
    assert why() == Why.MISSED


def test_a_carriers_clock_that_is_hours_off_holds_nothing_by_itself(
    launched: Launched, sandbox: Sandbox, redis: redis_package.Redis
) -> None:
    sandbox.faults(clock_behind_s=9 * 3_600)
    job = launched(5, slice_rows=3)
    dispatch.take()
    without_copies(redis)
    job.send()
    assert len(sandbox.messages()) == 5
    assert why() == ""


@pytest.mark.parametrize("hours_ago", [0, 30])
def test_an_empty_list_that_must_show_what_is_on_record_holds(
    launched: Launched, sandbox: Sandbox, redis: redis_package.Redis, tuned: Tuned, hours_ago: int
) -> None:
    tuned(unknown_settle_s=0, gateway_settle_s=0)
    job = launched(5, slice_rows=3)
    dispatch.take()
    job.change("UPDATE send_log SET started_at = started_at - make_interval(hours => %s)", hours_ago)
    without_copies(redis)
    sandbox.faults(list_empty=True)
    job.send()
    assert len(sandbox.messages()) == 3
    assert why() == Why.UNASKED


def test_a_list_that_lacks_what_left_just_now_is_asked_again(
    launched: Launched, sandbox: Sandbox, redis: redis_package.Redis, tuned: Tuned
) -> None:
    tuned(unknown_settle_s=300, gateway_settle_s=300)
    job = launched(5, slice_rows=3)
    dispatch.take()
    without_copies(redis)
    sandbox.faults(list_stale_s=60)
    job.send()
    assert (len(sandbox.messages()), why()) == (3, "")
    sandbox.faults()
    job.make_due()
    job.send()
    assert (len(sandbox.messages()), why()) == (5, "")
