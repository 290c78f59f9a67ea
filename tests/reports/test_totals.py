"""Totals are exactly what a count says, whatever moves, whoever folds, and are put right where they are not."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text
from structlog.testing import capture_logs

from app import queues, tenancy
from app.campaigns import bulk_operations, lifecycle
from app.delivery import dispatch, link_expiry, resend
from app.delivery.held_selection import Chosen
from app.extensions import db
from app.intake.lists import imports
from app.models import Campaign
from app.outcomes import manual_decisions
from app.outcomes.manual_decisions import Verdict
from app.providers.sms.base import ReportState
from app.reports import totals_upkeep
from app.reports.campaign_totals import Figures, figures
from app.reports.tenant_totals import day_and_month
from app.reports.totals import ALL, RECIPIENTS
from app.states.vocabulary import PAYMENT, PaymentState, SmsState
from jobs import reports, sweep
from sandbox.harness import Sandbox
from tests import factories, steps
from tests.counted import differences
from tests.delivery.retries import told
from tests.launched import Job
from tests.plans import explained, touched

Launched = Callable[..., Job]


def shown(job: Job) -> Figures:
    with tenancy.tenant(job.tenant_id):
        found = figures(db.session.get_one(Campaign, job.campaign_id))
        db.session.rollback()
    return found


def fold() -> int:
    with tenancy.platform():
        return totals_upkeep.fold()


def kept(database: psycopg.Connection) -> list[tuple[int, int]]:
    """Return for each table of totals how many rows and how many keys it holds."""
    return [
        database.execute(
            f"SELECT count(*), count(DISTINCT ({', '.join(totals.names)})) FROM {totals.table}"  # noqa: S608
        ).fetchone()
        or (0, 0)
        for totals in ALL
    ]


def decide(job: Job, verdict: Verdict, ids: list[int]) -> int:
    user_id = factories.user(job.tenant_id, "manager")
    with tenancy.tenant(job.tenant_id):
        return manual_decisions.decide(
            job.campaign_id, verdict, Chosen(datetime.now(UTC), ids=ids), user_id=user_id
        ).people


def unclear(job: Job, sandbox: Sandbox) -> None:
    """Send to whoever waits, and let nobody ever know what became of it."""
    sandbox.faults(reset_after_body=True)
    job.make_due()
    job.send()
    sandbox.faults()
    job.change("UPDATE send_log SET started_at = started_at - interval '1 day', answered_at = now() - interval '1 day'")


class Way:
    """A campaign on its way through every kind of move; after each the totals are compared with a count."""

    def __init__(self, job: Job, sandbox: Sandbox) -> None:
        self.job = job
        self.sandbox = sandbox
        self.seen: list[dict[str, int]] = []
        self.clerk = factories.user(job.tenant_id)
        self.manager = factories.user(job.tenant_id, "manager")

    def moved(self, what: str) -> None:
        """Compare; fold after every third move."""
        database = self.job.database
        assert differences(database) == [], what
        self.seen.append(self.job.states())
        if len(self.seen) % 3 == 0:
            fold()
            assert differences(database) == [], f"folded after: {what}"

    def sending(self) -> None:
        job, ids = self.job, self.job.ids()
        self.moved("launched")
        unclear(job, self.sandbox)
        self.moved("sent, with no known outcome")
        assert decide(job, Verdict.SENT, ids[:3]) == 3
        self.moved("decided: counts as sent")
        assert decide(job, Verdict.NEVER, ids[3:5]) == 2
        self.moved("decided: sent no more")
        assert decide(job, Verdict.AGAIN, ids[5:30]) == 25
        self.moved("decided: sent again")
        for _ in range(20):  # one by one at first: the account rested
            job.make_due()
            job.send()
        self.moved("sent again")
        told(job, "unconnected", attempt=2)
        self.moved("undelivered, with a retry planned")
        assert shown(job).planned == 25
        told(job, "", attempt=2, state=ReportState.DELIVERED)
        self.moved("delivered after all")
        steps.fail(ids[0])
        self.moved("undelivered")
        with tenancy.tenant(job.tenant_id):
            assert resend.resend(job.campaign_id, user_id=self.clerk) == 1
            bulk_operations.run(job.campaign_id)
        self.moved("resent")

    def pages(self) -> None:
        ids = self.job.ids()
        steps.open_page(*ids[5:12])
        self.moved("opened")
        steps.verify(*ids[5:10])
        steps.view(*ids[5:8])
        self.moved("verified and viewed")
        steps.lock(ids[11])
        self.moved("locked")
        steps.unlock(ids[11])
        self.moved("unlocked")
        steps.start_paying(*ids[5:8])
        self.moved("started to pay")
        steps.pay(*ids[5:8])
        self.moved("paid")
        steps.refund(ids[5])
        steps.reach(PAYMENT, PaymentState.UNPAID, [ids[6]], straight=True, paid_at=None)
        self.moved("refunded, taken back")
        steps.revoke(ids[12])
        self.moved("links ended")
        steps.renew_link(ids[13])
        self.moved("links renewed")

    def end(self) -> None:
        job, ids = self.job, self.job.ids()
        job.change("UPDATE recipient SET link_expires_at = now() - interval '1 minute' WHERE id = ANY(%s)", ids[14:20])
        job.change("UPDATE slice SET links_end_at = now() - interval '1 minute'")
        with tenancy.tenant(job.tenant_id):
            link_expiry.expire_links(job.tenant_id)
        assert shown(job).page["expired"] == 6
        self.moved("links expired")
        with tenancy.tenant(job.tenant_id):
            assert resend.remind(job.campaign_id, "unpaid", user_id=self.clerk, number=1, manager=True)
            bulk_operations.run(job.campaign_id)
        self.moved("reminded")
        with tenancy.tenant(job.tenant_id):
            assert lifecycle.cancel(job.campaign_id, user_id=self.manager)
            bulk_operations.run(job.campaign_id)
        self.moved("cancelled")
        job.change("DELETE FROM recipient WHERE id = %s", ids[1])
        self.moved("erased")
        assert shown(job).people == len(ids) - 1


def test_totals_are_what_a_count_says_through_every_kind_of_move(launched: Launched, sandbox: Sandbox) -> None:
    way = Way(launched(30, slice_rows=15, payment=True, retry_times=1, retry_after_minutes=30), sandbox)
    way.sending()
    way.pages()
    way.end()
    fold()
    assert differences(way.job.database) == []
    assert all(rows == keys for rows, keys in kept(way.job.database)), "one row for each key"


def test_an_import_taken_back_is_not_counted_any_more(launched: Launched, database: psycopg.Connection) -> None:
    job = launched(2)
    draft = factories.campaign(job.tenant_id, sms_account_id=job.account_id)
    factories.people(job.tenant_id, draft, 5)
    database.execute(
        "INSERT INTO import (tenant_id, campaign_id, filename, content_digest, state)"
        " VALUES (%s, %s, 'a', 'x', 'done')",
        [job.tenant_id, draft],
    )
    database.execute("UPDATE recipient SET import_id = (SELECT max(id) FROM import) WHERE campaign_id = %s", [draft])
    other = Job(job.tenant_id, job.account_id, draft, [], [], database)
    assert (shown(other).people, shown(other).sms[SmsState.DRAFT]) == (5, 5)
    number = database.execute("SELECT max(id) FROM import").fetchone()
    assert number is not None
    clerk = factories.user(job.tenant_id)
    with tenancy.tenant(job.tenant_id):
        assert imports.discard(number[0], user_id=clerk) == 5
    assert shown(other).people == 0
    assert (shown(job).people, differences(database)) == (2, [])


def test_two_that_fold_lose_and_double_nothing(launched: Launched, database: psycopg.Connection, app: Flask) -> None:
    job = launched(60, slice_rows=10)

    def folds() -> None:
        with app.app_context(), tenancy.platform():
            for _ in range(30):
                totals_upkeep.fold()

    def sends() -> None:
        with app.app_context():
            job.send()

    with ThreadPoolExecutor(4) as pool:
        for one in [pool.submit(folds), pool.submit(sends), pool.submit(folds), pool.submit(sends)]:
            one.result()
    job.send()
    assert differences(database) == []
    fold()
    assert differences(database) == []
    assert all(rows == keys for rows, keys in kept(database))
    assert fold() == 0, "what is folded is left alone"
    assert shown(job).sms[SmsState.ACCEPTED] == 60


def test_a_fold_reads_the_campaigns_that_changed_and_no_others(
    launched: Launched, database: psycopg.Connection
) -> None:
    job = launched(5)
    fold()
    columns = ", ".join(column for column in RECIPIENTS.names if column not in {"campaign_id", "opened_hour"})
    database.execute(f"""
        INSERT INTO recipient_total ({columns}, campaign_id, opened_hour, people, folded_at)
        SELECT {columns}, -n, hour, 1, now() FROM recipient_total, generate_series(1, 1000) n,
            generate_series(0, 19) hour
    """)  # noqa: S608 - the product's own columns
    job.send()
    database.execute("ANALYZE recipient_total")
    with tenancy.platform(), explained(instead=False) as plans:
        assert totals_upkeep.fold() == 0, "the plan's own run has folded"
    assert sum(map(touched, plans)) < 500, plans
    assert database.execute("SELECT count(*) FROM recipient_total WHERE folded_at IS NULL").fetchone() == (0,)
    database.execute("DELETE FROM recipient_total WHERE campaign_id < 0")


def test_a_fold_that_another_has_begun_is_left_to_it(
    launched: Launched, database: psycopg.Connection, environment: dict[str, str]
) -> None:
    launched(3)
    url = environment["DATABASE_OWNER_URL"].replace("+psycopg", "")
    with psycopg.connect(url) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended('fold', 0))")
        assert fold() == 0
    assert fold() > 0
    assert differences(database) == []


def test_no_worker_waits_for_another_ones_totals(launched: Launched, environment: dict[str, str]) -> None:
    """A change whose transaction stays open holds nobody up who changes others of the same campaign."""
    job = launched(10)
    url = environment["DATABASE_OWNER_URL"].replace("+psycopg", "")
    with psycopg.connect(url) as first, psycopg.connect(url) as second:
        for connection, person in ((first, job.people[0]), (second, job.people[1])):
            connection.execute("SELECT set_config('app.platform', 'on', true), set_config('lock_timeout', '2s', true)")
            connection.execute("UPDATE recipient SET retry_at = now() WHERE id = %s", [person.id])
        second.commit()
        first.rollback()
    assert shown(job).planned == 1


def test_a_difference_is_put_right_and_logged(launched: Launched, database: psycopg.Connection) -> None:
    job = launched(6)
    job.send()
    fold()
    right = shown(job)
    database.execute("DELETE FROM recipient_total WHERE sms_state = 'accepted'")
    database.execute("UPDATE send_log_total SET attempts = attempts + 2 WHERE state = 'accepted'")
    assert shown(job).people != right.people
    with capture_logs() as said, tenancy.tenant(job.tenant_id):
        assert totals_upkeep.recount(job.campaign_id) == 2
        assert totals_upkeep.recount(job.campaign_id) == 0
    assert (shown(job), differences(database)) == (right, [])
    assert said == [
        {
            "event": "totals differed from a count and were put right",
            "log_level": "error",
            "campaign_id": job.campaign_id,
            "recipient_total": 1,
            "send_log_total": 1,
            "payment_total": 0,
        }
    ]


def test_counts_beside_people_who_move_put_nothing_wrong(
    launched: Launched, database: psycopg.Connection, app: Flask
) -> None:
    job = launched(60, slice_rows=10)
    database.execute("DELETE FROM recipient_total")

    def counts() -> None:
        with app.app_context(), tenancy.tenant(job.tenant_id):
            for _ in range(10):
                totals_upkeep.recount(job.campaign_id)

    def sends() -> None:
        with app.app_context():
            job.send()

    with ThreadPoolExecutor(3) as pool:
        for one in [pool.submit(counts), pool.submit(sends), pool.submit(counts)]:
            one.result()
    assert differences(database) == []


def test_a_campaign_of_before_is_counted_as_it_is_read_until_a_job_has_counted_it(
    launched: Launched, database: psycopg.Connection
) -> None:
    job = launched(8, payment=True)
    job.send()
    steps.pay_elsewhere(job.people[0].id)
    now = datetime.now(UTC)
    with tenancy.tenant(job.tenant_id):
        right = shown(job), [asdict(one) for one in day_and_month(job.tenant_id, now)]
    # as it was before the migration
    for totals in ALL:
        database.execute(f"DELETE FROM {totals.table}")  # noqa: S608
    database.execute("UPDATE campaign SET counted_at = NULL")

    def told() -> object:
        with tenancy.tenant(job.tenant_id):
            return shown(job), [asdict(one) for one in day_and_month(job.tenant_id, now)]

    assert told() == right
    steps.open_page(job.people[1].id)
    sweep.sweep()
    reports.recount(job.tenant_id)
    assert differences(database) == []
    assert database.execute("SELECT count(*) FROM campaign WHERE counted_at IS NULL").fetchone() == (0,)
    assert dict(shown(job).funnel)["開封"] == 1
    assert told() == (shown(job), right[1])


@pytest.mark.parametrize("ago_days", [0, 1])
def test_each_night_the_campaigns_that_changed_are_counted(
    launched: Launched, database: psycopg.Connection, ago_days: int
) -> None:
    job, idle = launched(3), launched(3)
    fold()
    database.execute("UPDATE campaign SET counted_at = now() - interval '40 days'")
    database.execute(
        "UPDATE recipient_total SET folded_at = now() - interval '50 days' WHERE campaign_id = %s", [idle.campaign_id]
    )
    database.execute("UPDATE tenant SET recounted_on = recounted_on - %s", [ago_days])
    sweep.sweep()
    assert queues.waiting("jobs.reports.recount") == ({(job.tenant_id,), (idle.tenant_id,)} if ago_days else set())
    for one in (job, idle):
        reports.recount(one.tenant_id)
    rows = database.execute("SELECT id, counted_at > now() - interval '1 day' FROM campaign").fetchall()
    assert dict(rows) == {job.campaign_id: True, idle.campaign_id: False}
    sweep.sweep()
    assert database.execute("SELECT count(*) FROM tenant WHERE recounted_on >= current_date - 1").fetchone() == (2,)


def test_a_shift_that_is_over_leaves_the_rest_to_another_job(launched: Launched, database: psycopg.Connection) -> None:
    job = launched(3)
    database.execute("UPDATE campaign SET counted_at = NULL")
    with tenancy.tenant(job.tenant_id):
        assert not totals_upkeep.recount_due(job.tenant_id, datetime.now(UTC), shift_s=0)
        assert totals_upkeep.recount_due(job.tenant_id, datetime.now(UTC) + timedelta(seconds=1))


def test_the_command_counts_all_and_says_what_it_put_right(
    launched: Launched, database: psycopg.Connection, app: Flask
) -> None:
    job = launched(3)
    run = app.test_cli_runner().invoke(args=["recount-totals"])
    assert (run.exit_code, run.output) == (0, "1 campaigns counted, 0 put right\n")
    fold()
    database.execute("UPDATE recipient_total SET people = people + 1 WHERE people > 0")
    run = app.test_cli_runner().invoke(args=["recount-totals", "--campaign", str(job.campaign_id)])
    assert run.exit_code == 1
    assert f"campaign {job.campaign_id}: 1 totals put right" in run.output
    assert differences(database) == []
    run = app.test_cli_runner().invoke(args=["recount-totals", "--campaign", "999999"])
    assert run.exit_code == 1
    assert "there is no campaign 999999" in run.output


def test_a_company_sees_its_own_totals_alone(launched: Launched) -> None:
    mine, other = launched(2), launched(3)
    with tenancy.tenant(mine.tenant_id):
        assert db.session.execute(text("SELECT CAST(sum(people) AS bigint) FROM recipient_total")).scalar_one() == 2
        db.session.rollback()
    assert dispatch.take()
    assert (shown(mine).people, shown(other).people) == (2, 3)
