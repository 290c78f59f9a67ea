"""One person at a time: checked, measured, taken in once, sent to within seconds; never at night, never twice."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from flask import Flask

from app import tenancy
from app.campaigns import lifecycle, standing
from app.campaigns.send_windows import Window
from app.delivery import leases
from app.problems import Problem, Refused
from app.standing.adding import Added
from app.suppression import numbers
from app.suppression.numbers import Terms
from app.values.japan_time import TOKYO
from app.values.suppression_reasons import SuppressionReason
from jobs import due
from sandbox.harness import Sandbox
from tests import factories
from tests.launched import received
from tests.standing.conftest import Line, somebody

Opened = Callable[..., Line]


def test_whoever_comes_is_sent_to_and_the_campaign_goes_on(line: Line, sandbox: Sandbox) -> None:
    added = line.added()
    assert added.sends_at is not None
    assert abs((added.sends_at - datetime.now(UTC)).total_seconds()) < 60
    line.send()
    assert received(sandbox) == {"09012341001": 1}
    assert line.state() == "sending"
    line.added(somebody(2))
    line.send()
    assert line.states() == {"accepted": 2}
    (queued,) = line.one(
        "SELECT count(*) FROM event WHERE recipient_id = %s AND track = 'sms' AND state = 'queued' AND actor = %s",
        added.recipient_id,
        f"user:{line.user_id}",
    )
    assert queued == 1


def test_the_same_press_adds_nobody_twice(line: Line, sandbox: Sandbox) -> None:
    nameless = somebody(管理番号="")
    first = line.added(nameless, once="press-1")
    assert line.added(nameless, once="press-1").recipient_id == first.recipient_id
    assert line.added(nameless, once="press-1").again
    assert line.added(somebody(2), once="press-2").recipient_id == line.added(somebody(2), once="press-2").recipient_id
    line.send()
    assert received(sandbox) == {"09012341001": 1, "09012341002": 1}


def test_two_presses_at_the_same_moment_are_one(line: Line, app: Flask) -> None:
    found: list[Added | list[Problem]] = []
    start = threading.Barrier(4)

    def press() -> None:
        with app.app_context():
            start.wait()
            found.append(line.add(somebody(管理番号=""), once="press"))

    threads = [threading.Thread(target=press) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(threads)
    assert len({item.recipient_id for item in found if isinstance(item, Added)}) == 1
    assert line.states() == {"queued": 1}


def test_another_press_with_the_same_reference_is_refused(line: Line) -> None:
    line.added()
    assert line.refused() == [("standing_reference_taken", "管理番号")]
    assert line.states() == {"queued": 1}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"電話番号": "03-1234-5678"}, "電話番号"),
        ({"電話番号": ""}, "電話番号"),
        ({"氏名": "  "}, "氏名"),
        ({"生年月日": "あした"}, "生年月日"),
        ({"氏名": "鈴" * 71}, "氏名"),
        ({"氏名": "4111 1111 1111 1111"}, "氏名"),
        ({"しらない": "x"}, "しらない"),
    ],
)
def test_a_bad_row_is_refused_by_its_column_and_nothing_is_written(
    line: Line, changes: dict[str, str], told: str
) -> None:
    problems = line.add(somebody(1, **changes))
    assert isinstance(problems, list)
    assert {problem.facts.get("field") for problem in problems} == {told}
    assert all(value not in problem.message_ja for problem in problems for value in changes.values() if len(value) > 3)
    assert line.states() == {}


def test_a_missing_column_is_named(line: Line) -> None:
    row = somebody()
    del row["氏名"]
    assert line.refused(row) == [("standing_field_missing", "氏名")]


def test_names_of_columns_meet_in_any_width(line: Line) -> None:
    row = somebody()
    row["契約番号下４桁"] = row.pop("契約番号下4桁")
    line.added(row)


def test_a_number_that_gets_nothing_is_refused(line: Line) -> None:
    with tenancy.tenant(line.tenant_id):
        numbers.add("090-1234-1001", Terms(SuppressionReason.LAWYER), actor="user:1")
    assert line.refused() == [("standing_number_suppressed", "電話番号")]


def test_a_number_of_a_day_is_asked_about_where_a_clerk_adds(line: Line) -> None:
    line.added()
    assert line.refused(somebody(管理番号="K2"), ask_if_recent=True) == [("standing_number_recent", "電話番号")]
    line.added(somebody(管理番号="K2"))


def test_a_customer_of_years_is_sent_to_often_and_three_times_a_day_at_most(line: Line, sandbox: Sandbox) -> None:
    for number in range(3):
        line.added(somebody(管理番号=f"A{number}"))
    line.send()
    line.change("UPDATE send_log SET started_at = started_at - interval '2 days'")
    for number in range(4):
        line.added(somebody(管理番号=f"B{number}"))
        line.send()
    assert received(sandbox) == {"09012341001": 6}
    assert line.states() == {"accepted": 6, "cancelled": 1}


def test_a_day_is_full_at_the_limit_that_was_approved(opened: Opened) -> None:
    line = opened(day_limit=2)
    line.added(somebody(1))
    line.added(somebody(2))
    assert line.refused(somebody(3)) == [("standing_day_limit_reached", None)]
    line.change("UPDATE standing_day SET day = day - 1")
    line.added(somebody(3))


def test_nothing_leaves_outside_the_hours_and_the_answer_says_when(opened: Opened, sandbox: Sandbox) -> None:
    now = datetime.now(TOKYO)
    tomorrow = (now.weekday() + 1) % 7
    line = opened(send_window=Window(tuple((540, 1200) if day == tomorrow else None for day in range(7))).to_json())
    added = line.added()
    assert added.sends_at is not None
    assert added.sends_at.astimezone(TOKYO).strftime("%H:%M") == "09:00"
    assert added.sends_at.astimezone(TOKYO).weekday() == tomorrow
    line.send()
    assert received(sandbox) == {}
    assert line.states() == {"queued": 1}
    line.added(somebody(2))
    (slices, early) = line.one("SELECT count(*), count(*) FILTER (WHERE due_at <= now()) FROM slice")
    assert (slices, early) == (1, 0)


def test_the_companys_cap_for_a_day_holds_and_the_answer_says_when(line: Line, sandbox: Sandbox) -> None:
    line.company(daily_cap=1)
    assert line.added(somebody(1)).sends_at is not None
    second = line.added(somebody(2)).sends_at
    assert second is not None
    assert second.astimezone(TOKYO).date() > datetime.now(TOKYO).date()
    line.send()
    assert sum(received(sandbox).values()) == 1
    assert line.states() == {"accepted": 1, "queued": 1}


def test_another_company_finds_nothing(line: Line) -> None:
    other = factories.tenant()
    stranger = Line(other, line.user_id, line.account_id, line.campaign_id, line.database)
    assert stranger.refused() == [("standing_not_found", None)]
    with tenancy.tenant(other), pytest.raises(Refused):
        standing.end(line.campaign_id, user_id=line.user_id)
    with tenancy.tenant(other), pytest.raises(Refused):
        standing.new_version(line.campaign_id, user_id=line.user_id)
    with tenancy.tenant(other), pytest.raises(Refused):
        standing.list_draft(line.campaign_id, user_id=line.user_id)
    assert line.state() == "sending"


def test_paused_it_takes_nobody_resumed_it_does(line: Line) -> None:
    with tenancy.tenant(line.tenant_id):
        assert lifecycle.pause(line.campaign_id, user_id=line.user_id)
    assert line.refused() == [("standing_paused", None)]
    with tenancy.tenant(line.tenant_id):
        assert lifecycle.resume(line.campaign_id, user_id=line.user_id)
    line.added()
    assert line.state() == "sending"


def test_ended_it_takes_nobody_and_whoever_waits_is_sent_to(line: Line, sandbox: Sandbox) -> None:
    line.added()
    with tenancy.tenant(line.tenant_id):
        standing.end(line.campaign_id, user_id=line.user_id)
        assert line.state() == "sending"
        with pytest.raises(Refused):
            standing.end(line.campaign_id, user_id=line.user_id)
    assert line.refused(somebody(2)) == [("standing_ended", None)]
    line.send()
    assert received(sandbox) == {"09012341001": 1}
    assert line.state() == "completed"


def test_cancelled_nobody_is_sent_to(line: Line, sandbox: Sandbox) -> None:
    line.added()
    with tenancy.tenant(line.tenant_id):
        assert lifecycle.cancel(line.campaign_id, user_id=line.user_id)
    line.send()
    assert received(sandbox) == {}
    assert line.states() == {"cancelled": 1}
    assert line.refused(somebody(2)) == [("standing_cancelled", None)]


def test_whoever_comes_while_a_worker_holds_the_slice_is_not_forgotten(line: Line, sandbox: Sandbox) -> None:
    line.added()
    with tenancy.platform():
        lease = leases.take_next()
    assert lease is not None
    line.added(somebody(2))
    with tenancy.tenant(line.tenant_id):
        leases.finish(lease)
    line.send()
    assert received(sandbox) == {"09012341001": 1, "09012341002": 1}


def test_a_full_slice_is_closed_and_its_worker_keeps_to_it(line: Line, sandbox: Sandbox) -> None:
    first = line.added()
    with tenancy.platform():
        lease = leases.take_next()
    assert lease is not None
    # as whoever comes when it is full does
    line.change("UPDATE slice SET last_id = %s", first.recipient_id)
    line.added(somebody(2))
    with tenancy.tenant(line.tenant_id):
        with leases.holding(lease):
            assert lease.last_id == first.recipient_id
        leases.finish(lease)
    line.send()
    assert received(sandbox) == {"09012341001": 1, "09012341002": 1}
    assert line.one("SELECT count(*) FROM slice") == (2,)


def test_a_quiet_standing_campaign_is_nobodys_work(line: Line) -> None:
    line.added()
    line.send()
    line.change("UPDATE slice SET check_at = NULL, receipts_due_at = NULL, links_end_at = NULL")
    with tenancy.platform():
        assert [job for job, rows in due.work() if rows and job != "jobs.reports.recount"] == []
    line.change("UPDATE slice SET due_at = NULL")
    added = line.added(somebody(2))
    line.change("UPDATE slice SET due_at = NULL")
    with tenancy.platform():
        assert "jobs.outcomes.reconcile" in [job for job, rows in due.work() if rows], added
