"""An unknown SMS is asked about, and sent again only when the carrier provably does not have it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from app import queues, tenancy
from app.campaigns import lifecycle
from app.delivery import claims, leases, send_context
from app.delivery.claims import Result
from app.delivery.leases import LeaseLost
from app.outcomes import unknown
from app.outcomes.question_round import Looked, Open
from app.providers.curl import perform
from app.providers.sms import PROVIDERS
from app.providers.sms.base import Outcome, OutcomeKind
from app.states.vocabulary import CampaignState
from jobs import outcomes
from sandbox.harness import Sandbox
from tests import steps
from tests.launched import Job, received
from tests.outcomes.proving_absence import make_due, proven_absent, settled
from tests.raw_states import set_back

Launched = Callable[..., Job]
Tuned = Callable[..., None]

SETTLE = timedelta(seconds=120)
NOON = datetime(2026, 11, 24, 3, tzinfo=UTC)


def lookups(sandbox: Sandbox) -> int:
    return sum(1 for row in sandbox.ledger("karaden") if row["call"] == "list")


def claim(job: Job, limit: int = 10) -> tuple[leases.SliceLease, list[claims.Claim]]:
    """Do what a worker does up to the moment before its calls."""
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
                limit=limit,
            )
        return lease, taken


def die(job: Job) -> None:
    """Let the lease run out without a sign of life."""
    job.change("UPDATE slice SET leased_until = now() - interval '1 second', check_at = now()")


@pytest.mark.parametrize("fault", ["error_after", "reset_after_body", "hang"])
def test_found_at_the_carrier_goes_on_as_sent(launched: Launched, sandbox: Sandbox, tuned: Tuned, fault: str) -> None:
    tuned(send_timeout_s=5)
    job = launched(30)
    sandbox.faults(**{fault: {"next": 8}})
    job.send()
    sandbox.faults()
    outcomes.reconcile(job.tenant_id)
    assert set(job.states()) <= {"accepted", "delivered"}  # the sandbox delivers at once
    assert lookups(sandbox) == 8
    assert set(received(sandbox).values()) == {1}
    assert not job.rows("SELECT 1 FROM send_log WHERE campaign_id = %s AND provider_id IS NULL")
    assert job.state() == "completed"
    assert job.slice()["check_at"] is None


@pytest.mark.parametrize("fault", ["error_before", "reset_before_body"])
def test_absent_waits_for_the_settle_time_and_is_then_sent_again(
    launched: Launched, sandbox: Sandbox, tuned: Tuned, fault: str
) -> None:
    tuned(unknown_settle_s=600, gateway_settle_s=600)
    job = launched(30)
    sandbox.faults(**{fault: {"next": 8}})
    job.send()
    sandbox.faults()
    outcomes.reconcile(job.tenant_id)
    assert job.states() == {"accepted": 22, "unknown": 8}, "absent just now proves nothing"
    wait = job.slice()["check_at"] - datetime.now(UTC)
    assert timedelta(minutes=9) < wait <= timedelta(minutes=10)
    settled(job)
    outcomes.reconcile(job.tenant_id)
    assert job.states() == {"accepted": 22, "unknown": 8}, "nothing shows the list fresh"
    proven_absent(job)
    assert job.states() == {"accepted": 22, "queued": 8}
    assert job.attempts()["cancelled", "absent"] == 8
    job.send()
    assert job.states() == {"accepted": 30}
    assert len(received(sandbox)) == 30 + 3
    assert set(received(sandbox).values()) == {1}
    assert job.state() == "completed"


def test_a_worker_whose_clock_is_wrong_shortens_no_settle_time(
    launched: Launched, sandbox: Sandbox, tuned: Tuned
) -> None:
    tuned(unknown_settle_s=600)
    job = launched(10)
    sandbox.faults(reset_before_body=True)
    with time_machine.travel(datetime.now(UTC) - timedelta(hours=1)):
        job.send()
    outcomes.reconcile(job.tenant_id)
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1)):
        make_due(job)
        outcomes.reconcile(job.tenant_id)
    assert job.states() == {"unknown": 10}


def test_a_look_up_from_before_the_settle_time_was_over_proves_nothing(
    launched: Launched, sandbox: Sandbox, tuned: Tuned
) -> None:
    tuned(unknown_settle_s=2, send_timeout_s=4)
    job = launched(10)
    sandbox.faults(reset_before_body=True)
    job.send()
    sandbox.faults(latency_ms=2100)
    outcomes.reconcile(job.tenant_id)
    assert lookups(sandbox) == 10
    assert job.states() == {"unknown": 10}


def test_a_carrier_without_an_answer_is_asked_about_a_few_only(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(100)
    sandbox.faults(reset_after_body=True)
    job.send()
    left = job.states()["unknown"]
    assert left > 20
    sandbox.faults(error_before={"on": "karaden.list"})
    settled(job)
    outcomes.reconcile(job.tenant_id)
    assert lookups(sandbox) == 16
    sandbox.faults()
    settled(job)
    outcomes.reconcile(job.tenant_id)
    assert lookups(sandbox) == 16 + left


def test_a_slice_that_is_being_looked_at_is_nobody_elses(launched: Launched) -> None:
    job = launched(30)
    claim(job)
    die(job)
    with tenancy.tenant(job.tenant_id):
        assert leases.to_check() is not None
        assert leases.to_check() is None
    assert job.states() == {"unknown": 10, "queued": 20}


def test_no_clear_answer_leaves_it_unknown_and_is_asked_for_again(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(10)
    sandbox.faults(reset_after_body=True)
    job.send()
    sandbox.faults(error_before={"on": "karaden.list"})
    settled(job)
    outcomes.reconcile(job.tenant_id)
    assert job.states() == {"unknown": 10}
    assert timedelta(seconds=100) < job.slice()["check_at"] - datetime.now(UTC) < timedelta(seconds=160)
    assert job.state() == "sending"
    sandbox.faults()
    settled(job)
    outcomes.reconcile(job.tenant_id)
    assert set(job.states()) <= {"accepted", "delivered"}
    assert received(sandbox).total() == 10


def test_a_provider_without_look_up_leaves_it_to_a_person(
    launched: Launched, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(PROVIDERS["karaden"]), "lookup", lambda *_: None)
    job = launched(5)
    sandbox.faults(reset_before_body=True)
    job.send()
    settled(job)
    outcomes.reconcile(job.tenant_id)
    assert job.states() == {"unknown": 5}
    assert job.slice()["due_at"] is None
    assert job.slice()["check_at"] > datetime.now(UTC)
    assert lookups(sandbox) == 0


def test_after_one_resend_nobody_is_sent_to_again_by_itself(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(2)
    sandbox.faults(error_before={"on": "karaden.create"})
    job.send()
    sandbox.faults()
    proven_absent(job)
    assert job.states() == {"queued": 2}
    sandbox.faults(error_before={"on": "karaden.create"})
    make_due(job)
    job.send()
    sandbox.faults()
    for _ in range(3):
        proven_absent(job)
    assert job.states() == {"unknown": 2}
    assert job.attempts() == {("cancelled", "absent"): 2, ("unknown", "http_500"): 2}
    assert job.state() == "sending"


def test_absent_in_a_cancelled_campaign_is_not_sent_again(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(5)
    sandbox.faults(error_before=True)
    job.send()
    steps.cancel(job.campaign_id)
    sandbox.faults()
    proven_absent(job)
    assert job.states() == {"cancelled": 5}
    assert job.slice()["due_at"] is None


@pytest.mark.parametrize("state", [CampaignState.SENDING, CampaignState.PAUSED, CampaignState.CANCELLED])
def test_what_a_dead_worker_left_open_is_asked_about(
    launched: Launched, sandbox: Sandbox, state: CampaignState
) -> None:
    job = launched(30)
    claim(job)
    steps.reach_campaign(state, job.campaign_id)
    outcomes.reconcile(job.tenant_id)
    assert job.states() == {"sending": 10, "queued": 20}, "the lease still holds"
    die(job)
    outcomes.reconcile(job.tenant_id)
    assert job.states() == {"unknown": 10, ("cancelled" if state == "cancelled" else "queued"): 20}
    assert job.attempts() == {("unknown", "worker_lost"): 10}
    settled(job)
    # the campaign itself waits meanwhile: its messages would be witnesses too
    job.change("UPDATE slice SET due_at = NULL WHERE campaign_id = %s", job.campaign_id)
    proven_absent(job)
    assert job.states() == ({"cancelled": 30} if state == "cancelled" else {"queued": 30})
    if state == "sending":
        job.send()
        assert job.states() == {"accepted": 30}
        assert received(sandbox).total() == 33


def test_a_second_worker_takes_over_what_a_dead_one_left(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(30)
    claim(job)
    die(job)
    job.send()
    assert job.states() == {"accepted": 20, "unknown": 10}
    assert job.slice()["check_at"] is not None
    for _ in range(2):
        settled(job)  # the other 20 were accepted since: no other witness is needed
        outcomes.reconcile(job.tenant_id)
    job.send()
    assert job.states() == {"accepted": 30}
    assert set(received(sandbox).values()) == {1}


def test_a_late_worker_changes_nothing(launched: Launched) -> None:
    job = launched(30)
    lease, taken = claim(job)
    die(job)
    with tenancy.tenant(job.tenant_id):
        assert leases.to_check() is not None
    everything = """
        SELECT md5(string_agg(r::text || l::text || s::text, '' ORDER BY r.id)) AS digest, count(*) AS n
        FROM recipient r JOIN send_log l ON l.recipient_id = r.id
        JOIN slice s ON s.campaign_id = r.campaign_id WHERE r.campaign_id = %s
    """
    before = job.rows(everything)
    late = [
        Result(item.recipient_id, item.attempt, Outcome(OutcomeKind.ACCEPTED, "", "id"), datetime.now(UTC))
        for item in taken
    ]

    def write() -> None:
        with leases.holding(lease) as connection:
            claims.record(connection, lease, late)

    with tenancy.tenant(job.tenant_id):
        with pytest.raises(LeaseLost):
            write()
        with pytest.raises(LeaseLost):
            leases.finish(lease)
    assert job.rows(everything) == before
    assert before[0]["n"] == 10


def test_the_fence_alone_keeps_a_late_write_off_the_people(launched: Launched) -> None:
    """Even where the slice itself was not asked, as `record` always does first."""
    job = launched(5)
    lease, taken = claim(job)
    die(job)
    with tenancy.tenant(job.tenant_id):
        leases.to_check()
        set_back(job.database, "recipient", job.ids(), sms_state="sending")
        late = [
            Result(item.recipient_id, item.attempt, Outcome(OutcomeKind.ACCEPTED), datetime.now(UTC)) for item in taken
        ]
        with tenancy.transaction() as connection:
            claims.record(connection, lease, late)
    assert job.states() == {"sending": 5}


def test_an_answer_about_an_earlier_attempt_does_not_free_the_present_one(launched: Launched) -> None:
    job = launched(3)
    lease, taken = claim(job)
    ids = [item.recipient_id for item in taken]
    die(job)
    with tenancy.tenant(job.tenant_id):
        part = leases.to_check()
        assert part is not None
        long_ago = datetime.now(UTC) - timedelta(hours=1)
        asked = [
            Open(id_, 1, {1: "ref"}, long_ago, long_ago, None, None, long_ago, long_ago, for_a_person=False)
            for id_ in ids
        ]
        # meanwhile the second attempt of one of them went out, with an unknown end
        job.change("UPDATE recipient SET sms_attempt = 2, fence = fence + 1 WHERE id = %s", ids[0])
        looked = Looked(empty=set(asked), absent=set(asked))
        assert unknown._settle(part, asked, looked, datetime.now(UTC)) == 2
    assert lease.fence < part.fence
    assert job.person(ids[0])["sms_state"] == "unknown"
    assert job.states() == {"unknown": 1, "queued": 2}


def test_a_reference_that_the_carrier_has_twice_is_said_loudly(
    launched: Launched, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    job = launched(1)
    sandbox.faults(reset_after_body=True)
    job.send()
    sandbox.faults()
    with tenancy.tenant(job.tenant_id):
        route = send_context.route(job.campaign_id)
        row = job.person(job.people[0].id)
        reference = job.references()[0]
        sealed = row["phone_sealed"], row["fields_sealed"]
        claim = claims.Claim(row["id"], 1, 1, row["link_secret"], reference, *sealed)
        again = send_context.request(route, claim, datetime.now(UTC) + timedelta(hours=1))
    perform(again)
    outcomes.reconcile(job.tenant_id)
    assert "duplicate message at provider" in caplog.text
    assert "duplicate" in job.events(job.people[0].id)
    assert set(job.states()) <= {"accepted", "delivered"}


def test_a_campaign_with_people_but_no_slice_due_is_put_right(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(10)
    job.change("UPDATE slice SET due_at = NULL WHERE campaign_id = %s", job.campaign_id)
    outcomes.reconcile(job.tenant_id)
    job.send()
    assert job.states() == {"accepted": 10}
    assert received(sandbox).total() == 10
    steps.resume(job.campaign_id)
    outcomes.reconcile(job.tenant_id)
    assert job.state() == "completed"


@pytest.mark.parametrize(
    ("asked", "absent", "expected"),
    [
        (None, None, timedelta(0)),
        (timedelta(0), None, SETTLE),
        (timedelta(seconds=119), None, timedelta(seconds=179)),
        (timedelta(seconds=120), None, timedelta(seconds=180)),
        (timedelta(minutes=16), None, timedelta(minutes=18)),
        (timedelta(hours=20), None, timedelta(hours=21)),
        (timedelta(hours=20), timedelta(hours=20), timedelta(hours=20, minutes=1)),
    ],
)
def test_questions_become_rarer_but_for_the_second_proof(
    tuned: Tuned, asked: timedelta | None, absent: timedelta | None, expected: timedelta
) -> None:
    tuned(absence_gap_s=60)
    asked_at, absent_at = (None if after is None else NOON + after for after in (asked, absent))
    item = Open(1, 1, {1: "ref"}, NOON, NOON + SETTLE, None, None, asked_at, absent_at, for_a_person=False)
    assert unknown.next_question(item) == NOON + expected


def test_an_account_that_cannot_be_opened_leaves_them_unknown(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(4)
    sandbox.faults(error_before=True)
    job.send()
    job.change("UPDATE sms_account SET credentials_sealed = NULL WHERE id = %s", job.account_id)
    settled(job)
    outcomes.reconcile(job.tenant_id)
    assert job.states() == {"unknown": 4}


def test_a_job_leaves_what_is_left_to_the_next_one(launched: Launched, sandbox: Sandbox) -> None:
    """Others' receipts and payments wait on the same queue, behind a carrier that hangs perhaps."""
    job = launched(6, slice_rows=2)
    sandbox.faults(reset_after_body=True)
    job.send()
    sandbox.faults()
    make_due(job)
    queues.queue("tracking").empty()
    queues.begun("jobs.outcomes.reconcile", job.tenant_id)
    with tenancy.tenant(job.tenant_id):
        unknown.reconcile(shift_s=0)
    assert lookups(sandbox) == 2
    assert queues.waiting("jobs.outcomes.reconcile") == {(job.tenant_id,)}


def test_who_waits_again_as_the_campaign_is_given_up_and_its_worker_dies_is_cancelled(launched: Launched) -> None:
    job = launched(3)
    lease, taken = claim(job)
    with tenancy.tenant(job.tenant_id):
        assert lifecycle.cancel(job.campaign_id, user_id=1)
        with leases.holding(lease) as connection:
            now = datetime.now(UTC)
            claims.record(connection, lease, [Result(item.recipient_id, item.attempt, None, now) for item in taken])
    die(job)
    outcomes.reconcile(job.tenant_id)
    assert job.states() == {"cancelled": 3}
