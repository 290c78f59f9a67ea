"""Reports of an attempt, in whatever order, leave the one right state and one event per step."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from flask import Flask

from app import tenancy
from app.delivery import claims, leases, send_context, send_log
from app.delivery.claims import Result
from app.delivery.send_log import AttemptReport
from app.outcomes import apply_reports
from app.providers.sms.base import Outcome, OutcomeKind, Report, ReportState
from app.states.transitions import move
from tests.launched import Job
from tests.raw_states import force

Launched = Callable[..., Job]

NOW = datetime.now(UTC)
RANKED = [ReportState.PROCESSING, ReportState.UNDELIVERED, ReportState.DELIVERED]


def told(job: Job, report: Report, attempt: int = 1) -> None:
    with tenancy.tenant(job.tenant_id), tenancy.transaction() as connection:
        apply_reports.apply(connection, [AttemptReport(job.people[0].id, attempt, report, NOW)])


def test_an_own_answer_that_says_nothing_does_not_undo_a_receipt_that_came_before(launched: Launched) -> None:
    job = launched(1)
    ids = job.people[0].id, job.people[0].id
    lease = leases.SliceLease(job.slices[0], job.tenant_id, job.campaign_id, *ids, fence=0, call_until=0)
    with tenancy.tenant(job.tenant_id):
        route = send_context.route(job.campaign_id)
        with leases.holding(lease) as connection:
            [claim] = claims.claim(
                connection,
                lease,
                account_id=route.account.id,
                contract_id=route.account.contract_id,
                validity=route.validity,
                after_id=0,
                limit=10,
            )
        told(job, Report("id", ReportState.PROCESSING))
        with leases.holding(lease) as connection:
            late = Result(claim.recipient_id, 1, Outcome(OutcomeKind.UNKNOWN, "timeout"), NOW)
            claims.record(connection, lease, [late])
    assert job.states() == {"accepted": 1}
    assert job.rows("SELECT state, code FROM send_log WHERE campaign_id = %s") == [{"state": "accepted", "code": ""}]


@pytest.mark.parametrize("order", [order for n in (1, 2, 3) for order in permutations(RANKED, n)])
@pytest.mark.parametrize("start", ["sending", "accepted", "unknown"])
def test_the_highest_rank_wins_in_any_order(launched: Launched, start: str, order: tuple[ReportState, ...]) -> None:
    job = launched(1)
    job.send()
    force(job.database, "recipient", sms_state=start)
    force(job.database, "send_log", state=start)
    already = len(job.events(job.people[0].id))
    for _ in range(2):
        for state in order:
            told(job, Report("id", state, code=str(state), carrier="au", units=1))
    final = {"processing": "accepted"}.get(str(max(order, key=RANKED.index)), str(max(order, key=RANKED.index)))
    assert job.states() == {final: 1}
    assert job.rows("SELECT state FROM send_log WHERE campaign_id = %s") == [{"state": final}]
    steps = job.events(job.people[0].id)[already:]
    assert len(steps) == len(set(steps))


def test_several_reports_at_once_leave_the_highest(launched: Launched) -> None:
    job = launched(1)
    job.send()
    person = job.people[0].id
    [row] = job.rows("SELECT provider_id FROM send_log WHERE campaign_id = %s")
    found = [Report(row["provider_id"], state) for state in [*RANKED[::-1], *RANKED]]
    with tenancy.tenant(job.tenant_id), tenancy.transaction() as connection:
        apply_reports.apply(connection, [AttemptReport(person, 1, report, NOW) for report in found])
    assert job.states() == {"delivered": 1}
    assert job.events(person) == ["queued", "sending", "accepted", "undelivered", "delivered"]


@pytest.mark.parametrize(
    ("state", "person_state", "attempt_state"),
    [
        (ReportState.PROCESSING, "sending", "cancelled"),
        (ReportState.UNDELIVERED, "sending", "cancelled"),
        (ReportState.DELIVERED, "delivered", "delivered"),
    ],
)
def test_of_an_earlier_attempt_only_delivered_counts(
    launched: Launched, state: ReportState, person_state: str, attempt_state: str
) -> None:
    job = launched(1)
    job.send()
    person = job.people[0].id
    force(job.database, "send_log", state="cancelled")
    force(job.database, "recipient", sms_state="sending", sms_attempt=2)
    with tenancy.tenant(job.tenant_id), tenancy.transaction() as connection:
        send_log.begin(
            connection,
            [send_log.Begun(person, 2, 1, "mark.1.2")],
            tenant_id=job.tenant_id,
            campaign_id=job.campaign_id,
            account_id=job.account_id,
            contract_id=None,
            fence=2,
            at=NOW,
        )
    told(job, Report("id", state), attempt=1)
    assert job.person(person)["sms_state"] == person_state
    attempts = job.rows("SELECT state FROM send_log WHERE campaign_id = %s ORDER BY attempt")
    assert [row["state"] for row in attempts] == [attempt_state, "sending"]


def claimed(job: Job) -> tuple[leases.SliceLease, list[claims.Claim]]:
    """Claim all people of the job, as a worker does whose requests are about to leave."""
    with tenancy.platform():
        lease = leases.take_next()
    assert lease is not None
    with tenancy.tenant(job.tenant_id):
        route = send_context.route(job.campaign_id)
        with leases.holding(lease) as connection:
            taken = claims.claim(
                connection,
                lease,
                account_id=route.account.id,
                contract_id=route.account.contract_id,
                validity=route.validity,
                after_id=0,
                limit=10,
            )
    return lease, taken


@pytest.mark.parametrize("own", [OutcomeKind.ACCEPTED, OutcomeKind.UNKNOWN])
@pytest.mark.parametrize("late", [False, True])
def test_a_message_called_off_before_our_own_answer_stays_so_unless_it_arrives(
    launched: Launched, own: OutcomeKind, *, late: bool
) -> None:
    job = launched(1)
    lease, [claim] = claimed(job)
    told(job, Report("m", ReportState.CANCELLED, code="canceled"))
    with tenancy.tenant(job.tenant_id), leases.holding(lease) as connection:
        claims.record(connection, lease, [Result(claim.recipient_id, 1, Outcome(own, "", "m"), datetime.now(UTC))])
    assert job.states() == {"cancelled": 1}
    assert job.attempts() == {("cancelled", "canceled"): 1}
    if late:
        told(job, Report("m", ReportState.DELIVERED, code="received"))
        assert job.states() == {"delivered": 1}
        assert job.attempts() == {("delivered", "received"): 1}


@pytest.mark.parametrize("state", ["cancelled", "expired"])
def test_who_got_the_sms_after_all_is_not_told_of_as_without(launched: Launched, state: str) -> None:
    """People whom we gave up while their first SMS was on its way all the same."""
    job = launched(1)
    job.send()
    force(job.database, "recipient", sms_state=state)
    force(job.database, "send_log", state="cancelled")
    for report in (ReportState.PROCESSING, ReportState.UNDELIVERED):
        told(job, Report("id", report))
        assert job.states() == {state: 1}
    told(job, Report("id", ReportState.DELIVERED, code="received"))
    assert job.states() == {"delivered": 1}


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (timedelta(hours=1), timedelta(hours=1)),
        (timedelta(minutes=-2), timedelta()),
        (timedelta(minutes=-6), timedelta(hours=2)),
        (timedelta(days=-9000), timedelta(hours=2)),
        (timedelta(hours=3), timedelta(hours=2)),
    ],
)
def test_nothing_happens_before_its_attempt_or_in_the_future(at: timedelta, expected: timedelta) -> None:
    """An attempt that began two hours ago; `at` and `expected` count from its beginning."""
    started_at = NOW - timedelta(hours=2)
    assert apply_reports.believed(started_at + at, started_at, NOW) == started_at + expected


def test_a_worker_and_a_receipt_that_comes_early_do_not_deadlock(
    launched: Launched, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outcomes are written group by group; people are locked in the order of their ids, as receipts lock them."""
    job = launched(3)
    lease, taken = claimed(job)
    now = datetime.now(UTC)
    kinds = [OutcomeKind.ACCEPTED, OutcomeKind.UNKNOWN, OutcomeKind.ACCEPTED]
    results = [
        Result(claim.recipient_id, claim.attempt, Outcome(kind, "timeout", f"m{number}"), now)
        for number, (claim, kind) in enumerate(zip(taken, kinds, strict=True))
    ]
    first, go = threading.Event(), threading.Event()

    def slow(*arguments: Any, **more: Any) -> Any:
        done = move(*arguments, **more)
        if threading.current_thread().name == "record" and not first.is_set():
            first.set()
            go.wait(60)
        return done

    monkeypatch.setattr(claims, "move", slow)
    faults: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            with app.app_context(), tenancy.tenant(job.tenant_id):
                work()
        except BaseException as fault:  # noqa: BLE001 - told below
            faults.append(fault)

    def record() -> None:
        with leases.holding(lease) as connection:
            claims.record(connection, lease, results)

    def receipt() -> None:
        report = Report("x", ReportState.DELIVERED, code="received")
        with tenancy.transaction() as connection:
            apply_reports.apply(connection, [AttemptReport(claim.recipient_id, 1, report, now) for claim in taken[1:]])

    threads = [threading.Thread(target=run, args=(work,), name=work.__name__) for work in (record, receipt)]
    threads[0].start()
    assert first.wait(60)
    threads[1].start()
    threading.Event().wait(0.5)
    go.set()
    for thread in threads:
        thread.join(60)
    assert faults == []
    assert job.states() == {"accepted": 1, "delivered": 2}


@pytest.mark.parametrize(("told_at", "expected"), [("2999-01-01", "now"), ("1999-01-01", "now"), ("before", "start")])
def test_a_time_that_cannot_be_is_not_the_time_of_delivery(launched: Launched, told_at: str, expected: str) -> None:
    job = launched(1)
    job.send()
    job.change("UPDATE send_log SET started_at = now() - interval '1 hour'")
    started_at = job.rows("SELECT started_at FROM send_log WHERE campaign_id = %s")[0]["started_at"]
    at = started_at - timedelta(minutes=1)
    if told_at != "before":
        at = datetime.fromisoformat(told_at).replace(tzinfo=UTC)
    with tenancy.tenant(job.tenant_id), tenancy.transaction() as connection:
        report = Report("id", ReportState.DELIVERED, at=at)
        apply_reports.apply(connection, [AttemptReport(job.people[0].id, 1, report, at)])
    delivered_at = job.person(job.people[0].id)["delivered_at"]
    if expected == "start":
        assert delivered_at == started_at
    else:
        assert timedelta() <= datetime.now(UTC) - delivered_at < timedelta(seconds=30)
