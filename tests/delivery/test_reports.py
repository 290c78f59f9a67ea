"""What is reported of an attempt, in whatever order, leaves the one right state and one event per step."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import permutations

import pytest

from app import tenancy
from app.delivery import books, log, reports, routes, slices
from app.delivery.books import Result
from app.delivery.log import Told
from app.sms.base import Outcome, OutcomeKind, Report, ReportState
from tests.launched import Job

Launched = Callable[..., Job]

NOW = datetime.now(UTC)
RANKED = [ReportState.PROCESSING, ReportState.UNDELIVERED, ReportState.DELIVERED]


def told(job: Job, report: Report, attempt: int = 1) -> None:
    with tenancy.tenant(job.tenant_id), tenancy.transaction() as connection:
        reports.apply(connection, [Told(job.people[0].id, attempt, report, NOW)])


def test_an_own_answer_that_says_nothing_does_not_undo_a_receipt_that_came_before(launched: Launched) -> None:
    job = launched(1)
    ids = job.people[0].id, job.people[0].id
    held = slices.Lease(job.slices[0], job.tenant_id, job.campaign_id, *ids, fence=0, call_until=0)
    with tenancy.tenant(job.tenant_id):
        way = routes.route(job.campaign_id)
        with slices.holding(held) as connection:
            [claim] = books.claim(
                connection, held, account_id=way.account.id, validity=way.validity, after_id=0, limit=10
            )
        told(job, Report("id", ReportState.PROCESSING))
        with slices.holding(held) as connection:
            late = Result(claim.recipient_id, 1, Outcome(OutcomeKind.UNKNOWN, "timeout"), NOW)
            books.record(connection, held, [late])
    assert job.states() == {"accepted": 1}
    assert job.rows("SELECT state, code FROM send_log WHERE campaign_id = %s") == [{"state": "accepted", "code": ""}]


@pytest.mark.parametrize("order", [order for n in (1, 2, 3) for order in permutations(RANKED, n)])
@pytest.mark.parametrize("start", ["sending", "accepted", "unknown"])
def test_the_highest_rank_wins_in_any_order(launched: Launched, start: str, order: tuple[ReportState, ...]) -> None:
    job = launched(1)
    job.send()
    job.change("UPDATE recipient SET sms_state = %s", start)
    job.change("UPDATE send_log SET state = %s", start)
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
    with tenancy.tenant(job.tenant_id), tenancy.transaction() as connection:
        reports.apply(connection, [Told(person, 1, Report("id", state), NOW) for state in [*RANKED[::-1], *RANKED]])
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
    job.change("UPDATE send_log SET state = 'cancelled'")
    job.change("UPDATE recipient SET sms_state = 'sending', sms_attempt = 2")
    with tenancy.tenant(job.tenant_id), tenancy.transaction() as connection:
        log.begin(
            connection,
            [(person, 2)],
            tenant_id=job.tenant_id,
            campaign_id=job.campaign_id,
            account_id=job.account_id,
            fence=2,
            at=NOW,
        )
    told(job, Report("id", state), attempt=1)
    assert job.person(person)["sms_state"] == person_state
    attempts = job.rows("SELECT state FROM send_log WHERE campaign_id = %s ORDER BY attempt")
    assert [row["state"] for row in attempts] == [attempt_state, "sending"]
