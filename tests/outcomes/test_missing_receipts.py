"""An SMS accepted and never told of again is asked about after 72 hours, then a person is told; nobody is lost."""

import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import queues, tenancy
from app.delivery import resend
from app.delivery.send_log import AttemptReport
from app.extensions import db
from app.models import Recipient
from app.outcomes import apply_reports, manual_review, missing_receipts, receipts
from app.providers.sms.base import Report, ReportState
from jobs import outcomes, sweep
from sandbox.harness import Sandbox
from tests import decided, factories, steps
from tests.launched import Job

Launched = Callable[..., Job]
Quiet = Callable[..., Job]

# the carrier learns at once that the first arrived, the second is switched off, and never what became of the third
PHONES = ["+819012341234", "+819012340001", "+819012340002"]


@pytest.fixture
def quiet(launched: Launched, sandbox: Sandbox) -> Quiet:
    """A campaign that was sent; its receipts went nowhere."""

    def make(**columns: Any) -> Job:
        job = launched(3, phones=PHONES, retry_times=0, **columns)
        job.send()
        assert job.states() == {"accepted": 3}
        assert job.state() == "completed"
        return job

    return make


def hours_pass(job: Job, hours: int) -> None:
    for table, columns in {
        "recipient": ("accepted_at", "queued_at", "sent_at", "link_expires_at"),
        "send_log": ("started_at", "answered_at"),
        "slice": ("receipts_due_at", "check_at"),
    }.items():
        sets = ", ".join(f"{column} = {column} - interval '{hours} hours'" for column in columns)
        job.change(f"UPDATE {table} SET {sets}")  # noqa: S608


def poll(job: Job) -> None:
    sweep.sweep()
    for (tenant_id,) in queues.waiting("jobs.outcomes.poll"):
        outcomes.poll(tenant_id)
    queues.queue("tracking").empty()


def poll_for(job: Job, **limits: Any) -> None:
    """Do one poll within `limits`."""
    queues.begun("jobs.outcomes.poll", job.tenant_id)
    with tenancy.tenant(job.tenant_id):
        missing_receipts.poll(job.tenant_id, **limits)


def asked(sandbox: Sandbox) -> int:
    return sum(1 for row in sandbox.ledger("karaden") if row["call"] in {"detail", "list"})


def states(job: Job) -> list[str]:
    return [job.person(person.id)["sms_state"] for person in job.people]


def test_nobody_is_asked_about_before_72_hours(quiet: Quiet, sandbox: Sandbox) -> None:
    job = quiet()
    assert job.slice()["receipts_due_at"] - datetime.now(UTC) > timedelta(hours=71, minutes=59)
    hours_pass(job, 71)
    poll(job)
    assert asked(sandbox) == 0
    assert job.states() == {"accepted": 3}


def test_after_72_hours_the_carrier_is_asked_and_who_stays_silent_is_held(quiet: Quiet, sandbox: Sandbox) -> None:
    job = quiet()
    hours_pass(job, 72)
    poll(job)
    assert asked(sandbox) == 3
    assert states(job) == ["delivered", "undelivered", "unknown"]
    silent = job.people[2].id
    assert job.person(silent)["sms_code"] == "no_receipt"
    assert job.events(silent) == ["queued", "sending", "accepted", "unknown"]
    with tenancy.tenant(job.tenant_id):
        assert manual_review.is_held(db.session.get_one(Recipient, silent))
    assert job.state() == "completed"
    wait = job.slice()["receipts_due_at"] - datetime.now(UTC)
    assert timedelta(hours=23) < wait <= timedelta(hours=24)


def test_the_silent_are_never_sent_again_by_themselves(quiet: Quiet, sandbox: Sandbox) -> None:
    """Not even when the carrier has forgotten them: they were accepted once."""
    job = quiet()
    hours_pass(job, 72)
    poll(job)
    sandbox.reset()
    for _ in range(3):
        hours_pass(job, 24)
        poll(job)
        job.change("UPDATE slice SET check_at = now()")
        outcomes.reconcile(job.tenant_id)
        job.send()
    assert sandbox.messages() == []
    assert states(job) == ["delivered", "undelivered", "unknown"]
    assert job.slice()["check_at"] is None, "nothing of it is left to the look-up of the unknown"


def test_they_are_asked_about_for_two_weeks_more_and_no_longer(quiet: Quiet, sandbox: Sandbox) -> None:
    job = quiet()
    hours_pass(job, 72)
    poll(job)
    before = asked(sandbox)
    hours_pass(job, 24)
    poll(job)
    assert asked(sandbox) == before + 1
    hours_pass(job, 14 * 24)
    poll(job)
    assert asked(sandbox) == before + 1
    assert job.slice()["receipts_due_at"] is None


def test_a_late_receipt_still_settles_it_and_one_that_says_nothing_does_not(quiet: Quiet) -> None:
    job = quiet()
    hours_pass(job, 72)
    poll(job)
    for state, expected in ((ReportState.PROCESSING, "unknown"), (ReportState.DELIVERED, "delivered")):
        told = AttemptReport(job.people[2].id, 1, Report("id", state, code="received"), datetime.now(UTC))
        with tenancy.tenant(job.tenant_id), tenancy.transaction() as connection:
            apply_reports.apply(connection, [told])
        assert states(job)[2] == expected


@pytest.mark.parametrize(("as_sent", "state", "sent"), [(True, "accepted", 0), (False, "queued", 1)])
def test_a_person_decides(quiet: Quiet, sandbox: Sandbox, *, as_sent: bool, state: str, sent: int) -> None:
    job = quiet()
    hours_pass(job, 72)
    poll(job)
    user_id = factories.user(job.tenant_id, "manager")
    with tenancy.tenant(job.tenant_id):
        assert decided.settle(job.people[2].id, as_sent=as_sent, user_id=user_id)
    assert states(job)[2] == state
    before = len(sandbox.messages())
    job.send()
    assert len(sandbox.messages()) == before + sent
    assert job.state() == "completed"
    asked_before = asked(sandbox)
    hours_pass(job, 80)
    poll(job)
    assert states(job)[2] == ("accepted" if as_sent else "unknown"), "what a person said holds; a new SMS is looked at"
    assert asked(sandbox) == asked_before + sent


@pytest.mark.parametrize(
    ("page", "state"),
    [
        ((steps.view,), "accepted"),
        ((steps.open_page, steps.end_link), "accepted"),
        ((steps.end_link,), "unknown"),
    ],
)
def test_who_opened_the_link_got_the_sms(quiet: Quiet, page: tuple[Callable[..., None], ...], state: str) -> None:
    """Also where the link has ended since."""
    job = quiet()
    for step in page:
        step(job.people[2].id)
    hours_pass(job, 72)
    poll(job)
    assert states(job) == ["delivered", "undelivered", state]


def test_a_carrier_that_gives_no_answer_is_asked_for_a_day_before_a_person_is_told(
    quiet: Quiet, sandbox: Sandbox
) -> None:
    job = quiet()
    sandbox.faults(error_before={"on": "karaden.detail"})
    hours_pass(job, 72)
    poll(job)
    assert job.states() == {"accepted": 3}
    wait = job.slice()["receipts_due_at"] - datetime.now(UTC)
    assert timedelta(minutes=59) < wait <= timedelta(hours=1)
    hours_pass(job, 24)
    poll(job)
    assert job.states() == {"unknown": 3}
    sandbox.faults()
    hours_pass(job, 24)
    poll(job)
    assert states(job) == ["delivered", "undelivered", "unknown"]


def test_an_account_that_cannot_be_opened_loses_nobody(quiet: Quiet) -> None:
    job = quiet()
    job.change("UPDATE sms_account SET credentials_sealed = NULL WHERE id = %s", job.account_id)
    hours_pass(job, 72)
    poll(job)
    assert job.states() == {"accepted": 3}
    assert job.slice()["receipts_due_at"] > datetime.now(UTC)


def test_an_attempt_whose_answer_was_lost_is_asked_about_by_its_reference(quiet: Quiet, sandbox: Sandbox) -> None:
    job = quiet()
    job.change("UPDATE send_log SET provider_id = NULL")
    hours_pass(job, 72)
    poll(job)
    assert states(job) == ["delivered", "undelivered", "unknown"]
    assert {row["call"] for row in sandbox.ledger("karaden")} == {"create", "list"}
    assert not job.rows("SELECT 1 FROM send_log WHERE campaign_id = %s AND state = 'delivered' AND provider_id IS NULL")


def test_an_answer_about_another_message_counts_for_nobody(quiet: Quiet, sandbox: Sandbox) -> None:
    job = quiet()
    job.change("UPDATE send_log SET provider_id = %s", str(uuid.uuid4()))
    hours_pass(job, 72)
    poll(job)
    assert job.states() == {"accepted": 3}, "404 for an id says nothing clear"


def test_a_long_poll_lets_others_have_their_turn(quiet: Quiet) -> None:
    job = quiet()
    hours_pass(job, 72)
    sweep.sweep()
    queues.queue("tracking").empty()
    poll_for(job, shift_s=0)
    assert queues.waiting("jobs.outcomes.poll") == {(job.tenant_id,)}
    assert job.states() == {"accepted": 3}


def test_who_is_silent_does_not_keep_a_campaign_from_being_completed_again(quiet: Quiet) -> None:
    job = quiet()
    hours_pass(job, 72)
    poll(job)
    user_id = factories.user(job.tenant_id, "clerk")
    with tenancy.tenant(job.tenant_id):
        assert resend.resend(job.campaign_id, user_id=user_id) == 1
    assert job.state() == "sending"
    job.send()
    assert states(job) == ["delivered", "accepted", "unknown"]
    assert job.state() == "completed"


@pytest.fixture
def many(launched: Launched) -> Quiet:
    """Many people in slices of ten, of whom nothing was heard for 80 hours."""

    def make(count: int) -> Job:
        job = launched(count, slice_rows=10)
        job.send()
        job.change("UPDATE recipient SET accepted_at = now() - interval '80 hours'")
        job.change("UPDATE slice SET receipts_due_at = now() - interval '1 day'")
        return job

    return make


def test_a_slice_that_takes_longer_than_a_shift_is_asked_about_to_its_end(many: Quiet, sandbox: Sandbox) -> None:
    """Each shift goes on where the last one stopped, and each is asked about once."""
    job = many(20)
    sandbox.faults(latency_ms={"value": 100, "on": "karaden.detail"})
    for shift in range(1, 21):
        poll_for(job, batch_rows=2, shift_s=0.3)
        assert shift > 1 or 2 <= asked(sandbox) < 20, "one shift is not enough"
        if job.states() == {"delivered": 20}:
            break
    poll_for(job, batch_rows=2)
    assert (job.states(), asked(sandbox)) == ({"delivered": 20}, 20)
    assert job.rows("SELECT 1 FROM slice WHERE campaign_id = %s AND asked_to IS NOT NULL") == []


def test_a_slow_slice_gives_way_to_the_others(many: Quiet, sandbox: Sandbox) -> None:
    job = many(30)
    poll_for(job, batch_rows=2)
    slice_of = {
        row["provider_id"]: row["slice_id"]
        for row in job.rows("""
            SELECT l.provider_id, s.id AS slice_id FROM send_log l
            JOIN slice s ON l.recipient_id BETWEEN s.first_id AND s.last_id WHERE l.campaign_id = %s
        """)
    }
    asked_about = [row["target"].rpartition("/")[2] for row in sandbox.ledger("karaden") if row["call"] == "detail"]
    assert [slice_of[provider_id] for provider_id in asked_about[:12:2]] == job.slices * 2
    assert job.states() == {"delivered": 30}


def test_two_workers_never_ask_twice(many: Quiet, sandbox: Sandbox, app: Flask) -> None:
    job = many(40)
    sandbox.faults(latency_ms={"value": 30, "on": "karaden.detail"})
    together = threading.Barrier(3)

    def work() -> None:
        with app.app_context():
            together.wait(30)
            poll_for(job, batch_rows=3)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert (job.states(), asked(sandbox)) == ({"delivered": 40}, 40)


def test_a_carrier_that_wants_fewer_questions_is_gone_on_with_where_it_stopped(many: Quiet, sandbox: Sandbox) -> None:
    job = many(10)
    sandbox.faults(too_many_requests={"on": "karaden.detail"}, retry_after_s=120)
    outcomes.poll(job.tenant_id)
    first = asked(sandbox)
    assert job.states() == {"accepted": 10}
    wait = job.slice()["receipts_due_at"] - datetime.now(UTC)
    assert timedelta(seconds=100) < wait <= timedelta(seconds=120)
    sandbox.faults()
    job.change("UPDATE slice SET receipts_due_at = now()")
    outcomes.poll(job.tenant_id)
    assert (asked(sandbox), job.states()) == (first, {"accepted": 10}), "its wish holds, whoever asks"
    job.change("UPDATE slice SET receipts_due_at = now()")
    job.change("UPDATE sms_account SET ask_after = now()")
    outcomes.poll(job.tenant_id)
    assert job.states() == {"delivered": 10}


def beat(job: Job, *, spoil: str = "") -> None:
    """Let the scheduler look, after something happened to its last sign of life."""
    if spoil:
        job.change(f"UPDATE pulse SET {spoil}")  # noqa: S608
    sweep.watch()


@pytest.mark.parametrize(
    "spoil", ["beat_at = now() - interval '1 minute'", "server_started_at = server_started_at - interval '1 day'"]
)
def test_what_was_refused_while_postgresql_was_away_is_asked_about_within_minutes(
    quiet: Quiet, sandbox: Sandbox, spoil: str
) -> None:
    job = quiet()
    beat(job)
    beat(job)
    assert job.slice()["ask_before"] is None
    beat(job, spoil=spoil)
    assert job.slice()["receipts_due_at"] - datetime.now(UTC) <= timedelta(seconds=60)
    job.change("UPDATE slice SET receipts_due_at = now()")
    poll(job)
    assert asked(sandbox) == 3
    assert states(job) == ["delivered", "undelivered", "accepted"], "who has no end yet is not held for that"
    assert job.slice()["ask_before"] is None
    assert job.slice()["receipts_due_at"] - datetime.now(UTC) > timedelta(hours=71), "and then in their time again"
    beat(job)
    poll(job)
    assert asked(sandbox) == 3, "once"


def test_who_is_accepted_after_the_outage_is_not_asked_about(quiet: Quiet, sandbox: Sandbox) -> None:
    job = quiet()
    beat(job)
    beat(job, spoil="beat_at = now() - interval '1 minute'")
    job.change("UPDATE recipient SET accepted_at = now() + interval '1 second' WHERE id = %s", job.people[0].id)
    job.change("UPDATE slice SET receipts_due_at = now()")
    poll(job)
    assert asked(sandbox) == 2


def test_a_receipt_that_could_not_be_kept_is_asked_about_within_minutes(
    quiet: Quiet, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However short the fault was that kept the web server from keeping it."""
    job = quiet()
    beat(job)

    def fail(_account_id: int, _key: str, _body: bytes) -> bool:
        raise psycopg.OperationalError("the database system is shutting down")

    monkeypatch.setattr(receipts, "keep", fail)
    client.application.testing = False
    try:
        answer = client.post(factories.receipt_path(job.account_id), data=b"{}")
    finally:
        client.application.testing = True
    assert answer.status_code >= 500
    beat(job)
    assert job.slice()["receipts_due_at"] - datetime.now(UTC) <= timedelta(seconds=60)


def test_an_outage_in_the_middle_of_a_round_begins_it_anew(many: Quiet) -> None:
    job = many(10)
    beat(job)
    with tenancy.tenant(job.tenant_id):
        part = missing_receipts._take()
        assert part is not None
        batch = missing_receipts._next(part, 2)
        answers = missing_receipts._ask(batch)
        missing_receipts._settle(batch, answers)
    beat(job, spoil="beat_at = now() - interval '1 minute'")
    with tenancy.tenant(job.tenant_id):
        missing_receipts._go_on(part, batch, answers)
    assert job.slice()["asked_to"] is None
    assert job.slice()["ask_before"] is not None
