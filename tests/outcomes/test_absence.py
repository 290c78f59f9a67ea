"""A message counts as absent only where the carrier's list can be believed; twice is worse than late."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from app import config, tenancy
from app.accounts import seal_credentials
from app.extensions import db
from app.models import SmsAccount
from app.outcomes import absence
from app.outcomes.absence import ASKED, Sight, Witness, sight
from app.providers.sms import PROVIDERS
from app.providers.sms.base import Report, ReportState
from jobs import outcomes
from sandbox.harness import Sandbox
from tests import steps
from tests.addresses import bases
from tests.launched import Job, give_witness_phone, received, to_own_number
from tests.outcomes.proving_absence import make_due, proven_absent, settled, witnessed
from tests.raw_states import force

Launched = Callable[..., Job]
Tuned = Callable[..., None]

NOON = datetime(2026, 11, 24, 3, tzinfo=UTC)


@pytest.fixture
def untold(launched: Launched, sandbox: Sandbox) -> Job:
    """Five people whose SMS the carrier took, answering 500."""
    job = launched(5)
    sandbox.faults(error_after=True)
    job.send()
    sandbox.faults()
    assert job.states() == {"unknown": 5}
    return job


@pytest.fixture
def lost(launched: Launched, sandbox: Sandbox) -> Job:
    """Five people whose SMS never reached the carrier."""
    job = launched(5)
    sandbox.faults(error_before=True)
    job.send()
    sandbox.faults()
    assert job.states() == {"unknown": 5}
    return job


def change_account(job: Job, **changes: object) -> None:
    with tenancy.tenant(job.tenant_id):
        row = db.session.get_one(SmsAccount, job.account_id)
        if token := changes.pop("token", None):
            seal_credentials(row, {"token": str(token)})
        if changes:
            row.settings = {**row.settings, **changes}
        db.session.commit()


def rounds(job: Job, count: int = 3) -> None:
    for _ in range(count):
        settled(job)
        outcomes.reconcile(job.tenant_id)
        make_due(job)
        job.send()


# -- the list ---------------------------------------------------------------------------------------------------------


def test_a_list_that_lags_proves_nothing(untold: Job, sandbox: Sandbox) -> None:
    sandbox.faults(list_stale_s=3600)
    witnessed(untold)
    rounds(untold)
    assert untold.states() == {"unknown": 5}
    assert set(received(sandbox).values()) == {1}


def test_a_list_that_flaps_proves_nothing(untold: Job, sandbox: Sandbox) -> None:
    witnessed(untold)
    sandbox.faults(list_empty={"rate": 0.3}, seed=11)
    rounds(untold, 5)
    assert set(received(sandbox).values()) == {1}


def test_a_list_that_is_not_filtered_proves_nothing(lost: Job, sandbox: Sandbox) -> None:
    witnessed(lost)
    sandbox.faults(list_unfiltered=True)
    rounds(lost)
    assert lost.states() == {"unknown": 5}


def test_a_reference_in_upper_case_is_found(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(5)
    sandbox.faults(error_after={"next": 3}, tags_upper=True)
    job.send()
    assert job.states() == {"unknown": 3, "accepted": 2}, "an answer names ours in upper case"
    sandbox.faults()
    rounds(job)
    assert set(job.states()) <= {"accepted", "delivered"}
    assert set(received(sandbox).values()) == {1}


def test_a_gateways_message_that_is_taken_late_is_not_sent_twice(
    launched: Launched, sandbox: Sandbox, tuned: Tuned
) -> None:
    tuned(gateway_settle_s=600)
    job = launched(2)
    sandbox.faults(gateway_timeout=True, taken_late_s=2.5)
    job.send()
    sandbox.faults()
    assert job.attempts() == {("unknown", "http_504"): 2}
    job.change("UPDATE send_log SET answered_at = answered_at - interval '5 minutes'")
    for _ in range(2):
        witnessed(job)
        outcomes.reconcile(job.tenant_id)
        job.change("UPDATE send_log SET asked_at = asked_at - interval '1 hour'")
        make_due(job)
    assert job.states() == {"unknown": 2}


@pytest.mark.parametrize(
    ("code", "gateway"),
    [
        ("http_500", False),
        ("http_418", False),
        ("unreadable", False),
        ("mismatch", False),
        ("http_502", True),
        ("http_503", True),
        ("http_504", True),
        ("http_524", True),
        ("timeout", True),
        ("reset", True),
        ("empty", True),
        ("worker_lost", True),
        ("interrupted", True),
        ("", True),
    ],
)
def test_the_settle_time_is_that_of_the_outcomes_kind(tuned: Tuned, code: str, *, gateway: bool) -> None:
    tuned(unknown_settle_s=40, gateway_settle_s=300)
    assert absence.settle_time(code, PROVIDERS["karaden"].capabilities) == timedelta(seconds=300 if gateway else 40)


def test_one_look_up_is_not_enough(lost: Job) -> None:
    witnessed(lost)
    settled(lost)
    outcomes.reconcile(lost.tenant_id)
    lost.change("UPDATE slice SET check_at = now() WHERE check_at IS NOT NULL")
    outcomes.reconcile(lost.tenant_id)
    assert lost.states() == {"unknown": 5}
    settled(lost)
    outcomes.reconcile(lost.tenant_id)
    assert lost.states() == {"queued": 5}


def test_an_earlier_attempt_that_got_in_is_the_message(launched: Launched, sandbox: Sandbox) -> None:
    """A manager had it sent again; the first attempt turns up at the carrier, the second is nowhere."""
    job = launched(1)
    sandbox.faults(error_after=True)
    job.send()
    force(job.database, "send_log", state="cancelled", code="http_429")
    steps.queue(*job.ids())
    job.change("UPDATE slice SET due_at = now()")
    sandbox.faults(error_before={"on": "karaden.create"})
    job.make_due()
    job.send()
    sandbox.faults()
    assert job.attempts() == {("cancelled", "http_429"): 1, ("unknown", "http_500"): 1}
    proven_absent(job)
    rounds(job)
    assert received(sandbox)["0" + job.people[0].phone[3:]] == 1


def test_who_opened_the_link_is_not_sent_to_again(lost: Job, sandbox: Sandbox) -> None:
    steps.view(lost.people[0].id)
    proven_absent(lost)
    assert lost.states() == {"delivered": 1, "queued": 4}


# -- the witness ------------------------------------------------------------------------------------------------------


def test_without_a_later_message_the_own_number_is_the_witness(lost: Job, sandbox: Sandbox) -> None:
    give_witness_phone(lost)
    rounds(lost, 5)
    assert set(lost.states()) <= {"accepted", "delivered"}
    assert len(to_own_number(sandbox)) == 1
    assert "自動送信" in str(to_own_number(sandbox)[0]["body"])
    assert set(received(sandbox).values()) == {1}
    assert lost.state() == "completed"


def test_without_an_own_number_they_stay_unknown(lost: Job, sandbox: Sandbox) -> None:
    rounds(lost, 5)
    assert lost.states() == {"unknown": 5}
    assert received(sandbox).total() == 0


def test_a_witness_whose_own_fate_is_unknown_is_asked_for_too(lost: Job, sandbox: Sandbox) -> None:
    give_witness_phone(lost)
    sandbox.faults(error_after={"on": "karaden.create"})
    settled(lost)
    outcomes.reconcile(lost.tenant_id)
    assert lost.rows("SELECT state FROM witness_message WHERE %s > 0") == [{"state": "unknown"}]
    sandbox.faults()
    rounds(lost, 4)
    assert len(to_own_number(sandbox)) == 1
    assert set(lost.states()) <= {"accepted", "delivered"}


def test_a_witness_that_never_got_in_proves_nothing(lost: Job, sandbox: Sandbox) -> None:
    give_witness_phone(lost)
    sandbox.faults(error_before={"on": "karaden.create"})
    settled(lost)
    outcomes.reconcile(lost.tenant_id)
    sandbox.faults()
    rounds(lost, 3)
    assert lost.states() == {"unknown": 5}


@pytest.mark.usefixtures("one_day")
@pytest.mark.parametrize(
    "change",
    [
        lambda job: steps.pause(job.campaign_id),
        lambda job: steps.suspend(job.tenant_id),
        """
        UPDATE tenant SET daily_cap = 1;
        INSERT INTO sending_day (tenant_id, day, messages)
        SELECT id, (now() AT TIME ZONE 'Asia/Tokyo')::date, 1 FROM tenant
        """,
        """UPDATE tenant SET send_window = '{"days": {}, "holidays": true}'""",
        "UPDATE sms_account SET resting_until = now() + interval '1 hour', trips = 1",
        "UPDATE sms_account SET active = false",
        "UPDATE slice SET due_at = now() + interval '1 millisecond'",
    ],
)
def test_a_witness_keeps_to_what_every_sms_keeps_to(
    lost: Job, sandbox: Sandbox, change: str | Callable[[Job], None]
) -> None:
    give_witness_phone(lost)
    settled(lost)
    if isinstance(change, str):
        lost.change(change)
    else:
        change(lost)
    outcomes.reconcile(lost.tenant_id)
    assert to_own_number(sandbox) == []


def test_a_message_sent_by_a_clock_that_is_ahead_is_no_witness(lost: Job, sandbox: Sandbox) -> None:
    """It left before: the own number is asked for one that left later."""
    give_witness_phone(lost)
    other = witnessed(lost)
    other.change("UPDATE send_log SET started_at = now() + interval '1 hour' WHERE campaign_id = %s", other.campaign_id)
    rounds(lost, 5)
    assert len(to_own_number(sandbox)) == 1
    assert set(lost.states()) <= {"accepted", "delivered"}


# -- the contract -----------------------------------------------------------------------------------------------------


def test_an_account_edited_while_messages_are_unknown_sends_nothing_twice(untold: Job, sandbox: Sandbox) -> None:
    change_account(untold, service_id="2")
    proven_absent(untold)
    rounds(untold)
    assert untold.states() == {"unknown": 5}
    assert set(received(sandbox).values()) == {1}


def test_another_address_of_the_service_is_another_contract(lost: Job, sandbox: Sandbox, tuned: Tuned) -> None:
    tuned(api_bases=bases(config.settings(), karaden=f"{sandbox.karaden_base}/"))
    proven_absent(lost)
    assert lost.states() == {"unknown": 5}


def test_with_a_renewed_token_a_message_from_before_must_show(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(6)
    sandbox.faults(error_before={"next": 3})
    job.send()
    sandbox.faults()
    assert job.states() == {"accepted": 3, "unknown": 3}
    change_account(job, token="renewed")
    proven_absent(job)
    assert job.states() == {"accepted": 3, "queued": 3}


def test_with_a_renewed_token_that_shows_nothing_from_before_absence_proves_nothing(lost: Job) -> None:
    change_account(lost, token="renewed")
    proven_absent(lost)
    assert lost.states() == {"unknown": 5}


def test_attempts_from_before_contracts_were_kept_are_not_sent_again(lost: Job) -> None:
    lost.change("UPDATE send_log SET sms_contract_id = NULL")
    proven_absent(lost)
    assert lost.states() == {"unknown": 5}


# -- the judge --------------------------------------------------------------------------------------------------------


def seen(*times: datetime | None) -> Sequence[Report | None]:
    return [Report("id", ReportState.DELIVERED, accepted_at=at) for at in times]


EARLY, LATE = Witness("a", NOON), Witness("b", NOON + timedelta(minutes=5))
ALL = seen(*[NOON + timedelta(hours=1)] * 2 * ASKED)
NONE: Sequence[Report | None] = [None] * ASKED


@pytest.mark.parametrize(
    ("early", "late", "expected"),
    [
        (ALL, ALL, Sight(LATE.at)),
        (ALL, NONE, Sight(EARLY.at)),
        (NONE, ALL, Sight(None)),
        (ALL[:ASKED], ALL, Sight(None)),
        ([*ALL[:-1], None], ALL, Sight(flaps=True)),
        (ALL, [*ALL, None], Sight(flaps=True)),
        (seen(*[NOON - timedelta(minutes=1)] * 2 * ASKED), NONE, Sight(NOON - timedelta(minutes=1))),
        (seen(*[None] * 2 * ASKED), NONE, Sight(None)),
    ],
)
def test_the_list_is_whole_up_to_the_last_witness_always_seen(
    early: Sequence[Report | None], late: Sequence[Report | None], expected: Sight
) -> None:
    assert sight([EARLY, LATE], {EARLY: early, LATE: late}) == expected
