"""One company's sending must not cost another: its slow carrier, its closed hours, its locks in the database."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest
from flask import Flask

from app.config import Settings
from app.delivery import dispatch
from app.delivery.account_lanes import Lane, Lanes
from app.delivery.slice_run import Message, SliceRun
from app.values.japan_time import TOKYO
from sandbox.harness import Sandbox
from tests import factories
from tests.launched import Job, received
from tests.waiting import until

Launched = Callable[..., Job]
Tuned = Callable[..., None]


@contextmanager
def worker(app: Flask) -> Iterator[None]:
    """Serve turns in a thread until nothing is due; raises what went wrong there."""
    faults: list[BaseException] = []

    def work() -> None:
        try:
            with app.app_context():
                dispatch.serve()
        except BaseException as fault:  # noqa: BLE001 - raised below
            faults.append(fault)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join(60)
    if faults:
        raise faults[0]
    assert not thread.is_alive()


def latency(job: Job, ms: int) -> dict[str, object]:
    """The switch by which the carrier is slow for one company's contract alone."""
    return {"value": ms, "on": f"karaden.create@{uuid.UUID(int=job.tenant_id)}"}


# whether a session waits for a lock, of whichever campaign
WAITS = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND %s > 0"


def waited_s(job: Job) -> float:
    rows = job.rows("SELECT max(accepted_at) - min(queued_at) AS wait FROM recipient WHERE campaign_id = %s")
    return float(rows[0]["wait"].total_seconds())


def closed_hours() -> dict[str, Any]:
    """Hours of another time of this day."""
    now = datetime.now(TOKYO)
    opens = now + timedelta(hours=2) if (now + timedelta(hours=3)).date() == now.date() else now - timedelta(hours=3)
    hours = [f"{opens:%H}:00", f"{opens + timedelta(hours=1):%H}:00"]
    return {"days": dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), hours), "holidays": True}


# --- connections ---


def test_ten_people_are_not_kept_waiting_by_another_companys_slow_carrier(
    launched: Launched, sandbox: Sandbox, tuned: Tuned, app: Flask
) -> None:
    """One worker; the slow company has more to send than there are connections, and the ten come when it has them."""
    tuned(send_connections=20, send_timeout_s=10, lease_s=20, unknown_settle_s=20)
    slow = launched(40, slice_rows=20)
    sandbox.faults(latency_ms=latency(slow, 4_000))
    with worker(app):
        until(lambda: len(sandbox.messages()) >= 20)
        quick = launched(10)
    assert quick.states() == {"accepted": 10}
    assert waited_s(quick) < 3
    assert slow.states() == {"accepted": 40}
    assert set(received(sandbox).values()) == {1}


def test_two_slow_carriers_leave_room_for_a_third_company(
    launched: Launched, sandbox: Sandbox, tuned: Tuned, app: Flask
) -> None:
    tuned(send_connections=8, send_timeout_s=10, lease_s=20, unknown_settle_s=20)
    slow = [launched(10), launched(10)]
    switch = latency(slow[0], 2_500)
    sandbox.faults(latency_ms=switch | {"on": "karaden.create@"})
    with worker(app):
        until(lambda: all(job.attempts() for job in slow))
        time.sleep(1)
        quick = launched(3)
        until(lambda: sum(quick.attempts().values()) == 3)
    assert waited_s(quick) < 2.5 + 2
    for job in slow:
        assert job.states() == {"accepted": 10}


def lane(lanes: Lanes, account_id: int, people: int) -> Lane:
    turn = SimpleNamespace(reading=False, permitted=lambda _claim: True)
    made = Lane(cast("SliceRun", turn), account_id)
    made.put(cast("list[Message]", [(number, number) for number in range(1, people + 1)]))
    lanes.add(made)
    return made


def taken(lanes: Lanes) -> Counter[int]:
    """Let everything leave that may, without any answer; count by account."""
    counts: Counter[int] = Counter()
    while (found := lanes.next()) is not None:
        counts[found[0].account_id] += 1
    return counts


def test_an_account_alone_has_all_its_connections():
    lanes = Lanes(100)
    lane(lanes, 1, 500)
    assert taken(lanes) == {1: 100}


def test_however_many_accounts_hang_another_one_still_finds_connections():
    lanes = Lanes(100)
    for account_id in range(1, 7):
        lane(lanes, account_id, 500)
        assert taken(lanes)[account_id] >= 3


def test_accounts_that_all_have_much_to_send_come_to_equal_shares():
    lanes = Lanes(100)
    waiting = {account_id: lane(lanes, account_id, 5_000) for account_id in (1, 2, 3)}
    under_way = taken(lanes)
    for _ in range(200):  # one answer of each comes, and whoever has fewest goes on
        for account_id, its in waiting.items():
            lanes.ended(its)
            under_way[account_id] -= 1
        under_way += taken(lanes)
    assert max(under_way.values()) - min(under_way.values()) <= 2
    assert sum(under_way.values()) < lanes.connections, "some are left for whoever comes next"


def test_two_lanes_of_one_account_share_its_connections():
    lanes = Lanes(100)
    lane(lanes, 1, 90)
    lane(lanes, 1, 90)
    assert taken(lanes) == {1: 100}


# --- hours, accounts ---


@pytest.mark.parametrize("why", ["closed", "no account"])
def test_a_campaign_that_may_not_be_sent_is_put_off_as_one(
    launched: Launched, database: psycopg.Connection, why: str
) -> None:
    """A large list launched at night: its slices were leased and given back one by one, before everybody else's."""
    job = launched(50)
    tenant_id = factories.tenant()
    window: dict[str, Any] = {"send_window": closed_hours()} if why == "closed" else {}
    account_id = factories.sms_account(tenant_id, active=why == "closed")
    campaign_id = factories.campaign(tenant_id, sms_account_id=account_id, **window)
    factories.people(tenant_id, campaign_id, 500)
    factories.launch(tenant_id, campaign_id, slice_rows=2)
    dispatch.serve()
    row = database.execute(
        "SELECT count(*), count(*) FILTER (WHERE due_at > now()), sum(fence), count(leased_until) FROM slice"
        " WHERE campaign_id = %s",
        [campaign_id],
    ).fetchone()
    assert row == (250, 250, 1, 0)
    assert job.states() == {"accepted": 50}
    assert job.slice()["fence"] == 1


# --- locks ---


def test_a_deadlock_in_one_companys_slice_costs_another_company_nothing(
    launched: Launched, sandbox: Sandbox, tuned: Tuned, app: Flask, settings: Settings
) -> None:
    """A real one: somebody locks people in the wrong order while the worker records them."""
    tuned(send_connections=50, send_timeout_s=10, lease_s=20, unknown_settle_s=20)
    one, other = launched(50), launched(50)
    sandbox.faults(latency_ms=1_500)
    url = settings.database_url.replace("+psycopg", "", 1)
    first, last = one.people[0].id, one.people[-1].id
    lock = "SELECT id FROM recipient WHERE id = %s FOR NO KEY UPDATE"
    with psycopg.connect(url) as wrong:
        wrong.execute("SELECT set_config('app.platform', 'on', true)")
        with worker(app):
            until(lambda: sum(one.attempts().values()) == 50)
            wrong.execute(lock, [last])
            until(lambda: one.rows(WAITS))
            wrong.execute(lock, [first])  # which it has: PostgreSQL ends the worker's transaction, that waits longer
            wrong.rollback()
    assert one.states() == other.states() == {"accepted": 50}
    assert sum(other.attempts().values()) == 50, "each was sent once"


def test_somebody_who_holds_one_companys_people_holds_up_no_other(
    launched: Launched, sandbox: Sandbox, tuned: Tuned, app: Flask, settings: Settings
) -> None:
    """A machine that vanished: nobody hears of it, and its locks stay until PostgreSQL ends it."""
    tuned(send_connections=50, send_timeout_s=5, lease_s=20, unknown_settle_s=10)
    one, other = launched(20), launched(20)
    sandbox.faults(latency_ms=500)
    url = settings.database_url.replace("+psycopg", "", 1)
    gone = psycopg.connect(url)
    gone.execute("SELECT set_config('app.platform', 'on', true)")
    with worker(app):
        until(lambda: sum(one.attempts().values()) == 20)
        gone.execute("SELECT id FROM recipient WHERE campaign_id = %s FOR NO KEY UPDATE", [one.campaign_id])
        until(lambda: other.states() == {"accepted": 20})
        assert one.states() == {"sending": 20}
        gone.execute("SELECT set_config('idle_in_transaction_session_timeout', '2s', true)")
    gone.close()
    assert one.states() == {"accepted": 20}, "its outcomes were kept until they could be written"
    assert waited_s(other) < 5
