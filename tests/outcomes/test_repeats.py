"""An unknown SMS is sent again at once where its service refuses what it had before: nobody waits, nobody gets two."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from psycopg.types.json import Jsonb

from app import tenancy
from app.campaigns import lifecycle
from app.campaigns.send_windows import DAYS
from app.outcomes import repeats
from app.suppression import numbers
from app.suppression.numbers import Terms
from app.values.japan_time import TOKYO
from app.values.suppression_reasons import SuppressionReason
from jobs import outcomes
from sandbox.harness import Sandbox
from tests import factories, steps
from tests.launched import Job, received
from tests.outcomes.proving_absence import make_due

Launched = Callable[..., Job]
Tuned = Callable[..., None]

CREATE, LIST = "zettai_reach.create", "zettai_reach.list"
LOST = {"value": True, "on": CREATE}
HIDDEN = {"value": True, "on": LIST}


def creates(sandbox: Sandbox) -> list[str]:
    """Return the reference of each message that was asked for, in order."""
    return [row["form"].get("clientTag", [""])[0] for row in sandbox.ledger("zettai_reach") if row["call"] == "create"]


def bodies_read(sandbox: Sandbox) -> int:
    """Count what reached the service, whatever it made of it."""
    return sum(row["call"] == "create" for row in sandbox.ledger("zettai_reach"))


def reach(launched: Launched, count: int = 5, **columns: object) -> Job:
    return launched(count, provider="zettai_reach", **columns)


def pass_by(job: Job, wait: timedelta) -> None:
    """Let so much time pass for the messages without an outcome."""
    job.change(
        """
        UPDATE send_log SET started_at = started_at - %s, answered_at = answered_at - %s, asked_at = asked_at - %s,
            repeated_at = repeated_at - %s WHERE state = 'unknown'
        """,
        *[wait] * 4,
    )
    make_due(job)


def test_what_never_got_in_is_sent_again_at_once_under_its_own_reference(launched: Launched, sandbox: Sandbox) -> None:
    job = reach(launched)
    sandbox.faults(error_before={"next": 5, "on": CREATE})
    job.send()
    assert job.states() == {"unknown": 5}
    outcomes.reconcile(job.tenant_id)
    assert set(job.states()) <= {"accepted", "delivered"}
    assert sorted(creates(sandbox)) == sorted(job.references() * 2)
    assert set(received(sandbox).values()) == {1}
    rows = job.rows("SELECT attempt, repeats, state FROM send_log WHERE campaign_id = %s")
    assert {(row["attempt"], row["repeats"], row["state"]) for row in rows} == {(1, 1, "accepted")}
    assert job.state() == "completed"
    assert "repeated" in job.events(job.ids()[0])


def test_what_got_in_is_refused_as_known_and_counts_as_accepted(launched: Launched, sandbox: Sandbox) -> None:
    job = reach(launched)
    sandbox.faults(reset_after_body={"next": 5, "on": CREATE}, list_empty=HIDDEN)
    job.send()
    assert job.states() == {"unknown": 5}
    outcomes.reconcile(job.tenant_id)
    assert job.states() == {"accepted": 5}
    assert job.attempts() == {("accepted", "duplicate_refused"): 5}
    assert set(received(sandbox).values()) == {1}
    assert sandbox.summary()["duplicate_tags"] == {}


def test_whatever_a_look_up_finds_is_not_sent_again(launched: Launched, sandbox: Sandbox) -> None:
    job = reach(launched)
    sandbox.faults(reset_after_body={"next": 5, "on": CREATE})
    job.send()
    outcomes.reconcile(job.tenant_id)
    assert set(job.states()) <= {"accepted", "delivered"}
    assert bodies_read(sandbox) == 5


def test_without_a_clear_look_up_nothing_is_sent_again(launched: Launched, sandbox: Sandbox) -> None:
    job = reach(launched)
    sandbox.faults(error_before={"value": True})
    job.send()
    outcomes.reconcile(job.tenant_id)
    assert job.states() == {"unknown": 5}
    assert bodies_read(sandbox) == 5


def test_no_message_is_sent_again_more_than_five_times(launched: Launched, sandbox: Sandbox) -> None:
    job = reach(launched, 2)
    sandbox.faults(reset_after_body=LOST, list_empty=HIDDEN)
    job.send()
    for wait in (0, 10, 60, 600, 1_500, 600, 600):
        pass_by(job, timedelta(seconds=wait))
        outcomes.reconcile(job.tenant_id)
    assert job.states() == {"unknown": 2}
    assert {creates(sandbox).count(reference) for reference in job.references()} == {1 + repeats.MOST}
    assert set(received(sandbox).values()) == {1}


def test_each_repetition_waits_longer_than_the_one_before(launched: Launched, sandbox: Sandbox) -> None:
    job = reach(launched, 1)
    sandbox.faults(reset_after_body=LOST, list_empty=HIDDEN)
    job.send()
    outcomes.reconcile(job.tenant_id)
    assert bodies_read(sandbox) == 2
    for wait in (10, 60, 600):
        before = bodies_read(sandbox)
        due_in = job.slice()["check_at"] - datetime.now(UTC)
        assert timedelta(seconds=wait - 5) < due_in <= timedelta(seconds=wait)
        pass_by(job, timedelta(seconds=wait - 4))
        outcomes.reconcile(job.tenant_id)
        assert bodies_read(sandbox) == before
        pass_by(job, timedelta(seconds=5))
        outcomes.reconcile(job.tenant_id)
        assert bodies_read(sandbox) == before + 1


def test_after_an_hour_nothing_is_sent_again_by_itself(launched: Launched, sandbox: Sandbox) -> None:
    job = reach(launched)
    sandbox.faults(error_before={"next": 5, "on": CREATE})
    job.send()
    pass_by(job, timedelta(hours=1))
    outcomes.reconcile(job.tenant_id)
    assert job.states() == {"unknown": 5}
    assert bodies_read(sandbox) == 5


@pytest.mark.parametrize("answer", ["poison", "too_many_requests", "error_before"])
def test_another_answer_says_nothing_of_the_one_before(launched: Launched, sandbox: Sandbox, answer: str) -> None:
    job = reach(launched, 1)
    sandbox.faults(error_before={"next": 1, "on": CREATE})
    job.send()
    faults = {
        "poison": {"poison": {"value": 422, "ids": [job.people[0].phone[-4:]], "on": CREATE}},
        "too_many_requests": {"too_many_requests": {"value": True, "on": CREATE}},
        "error_before": {"error_before": {"value": True, "on": CREATE}},
    }
    sandbox.faults(list_empty=HIDDEN, **faults[answer])
    outcomes.reconcile(job.tenant_id)
    assert job.states() == {"unknown": 1}
    assert bodies_read(sandbox) == 2
    sandbox.faults(list_empty=HIDDEN)
    job.change("UPDATE sms_account SET ask_after = NULL")
    pass_by(job, timedelta(seconds=61))
    outcomes.reconcile(job.tenant_id)
    assert job.states() == {"accepted": 1}


def test_a_service_that_takes_a_reference_twice_is_sent_nothing_again(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(5)
    sandbox.faults(error_before={"next": 5, "on": "karaden.create"})
    job.send()
    outcomes.reconcile(job.tenant_id)
    assert job.states() == {"unknown": 5}
    assert sum(row["call"] == "create" for row in sandbox.ledger("karaden")) == 5


def _pause(job: Job) -> None:
    user_id = factories.user(job.tenant_id)
    with tenancy.tenant(job.tenant_id):
        lifecycle.pause(job.campaign_id, user_id=user_id)


def _cancel(job: Job) -> None:
    user_id = factories.user(job.tenant_id)
    with tenancy.tenant(job.tenant_id):
        lifecycle.cancel(job.campaign_id, user_id=user_id)


def _open(job: Job) -> None:
    steps.open_page(*job.ids())


def _revoke(job: Job) -> None:
    job.change("UPDATE recipient SET link_generation = link_generation + 1 WHERE campaign_id = %s", job.campaign_id)


def _rest(job: Job) -> None:
    job.change("UPDATE sms_account SET resting_until = now() + interval '1 hour' WHERE id = %s", job.account_id)


def _other_account(job: Job) -> None:
    other = factories.sms_account(job.tenant_id, provider="zettai_reach")
    job.change("UPDATE campaign SET sms_account_id = %s WHERE id = %s", other, job.campaign_id)


def _other_contract(job: Job) -> None:
    job.change(
        """UPDATE sms_account SET settings = settings || '{"client_id": "777777"}' WHERE id = %s""", job.account_id
    )


def _short_link(job: Job) -> None:
    job.change(
        "UPDATE recipient SET link_expires_at = now() + interval '10 minutes' WHERE campaign_id = %s", job.campaign_id
    )


def _suppress(job: Job) -> None:
    """Put the numbers on the company's list of those that get nothing."""
    with tenancy.tenant(job.tenant_id):
        for person in job.people:
            numbers.add(person.phone, Terms(SuppressionReason.WISH), actor="user:1")


def _close(job: Job) -> None:
    """Let the company's hours be those of another day."""
    other = DAYS[(datetime.now(TOKYO).weekday() + 3) % 7]
    hours = Jsonb({"days": {other: ["09:00", "20:00"]}, "holidays": True})
    job.change("UPDATE tenant SET send_window = %s WHERE id = %s", hours, job.tenant_id)


def _end_soon(job: Job) -> None:
    """Let the hours end while carriers may go on trying."""
    now = datetime.now(TOKYO)
    ends = (now + timedelta(minutes=15)).strftime("%H:%M")
    hours = Jsonb({"days": {day: ["00:00", ends] for day in DAYS}, "holidays": True})
    job.change("UPDATE tenant SET send_window = %s WHERE id = %s", hours, job.tenant_id)


@pytest.mark.parametrize(
    "change",
    [
        _pause,
        _cancel,
        _open,
        _revoke,
        _rest,
        _other_account,
        _other_contract,
        _short_link,
        _suppress,
        _close,
        _end_soon,
    ],
)
def test_what_may_not_leave_now_is_not_sent_again(
    launched: Launched, sandbox: Sandbox, change: Callable[[Job], None]
) -> None:
    job = reach(launched)
    sandbox.faults(error_before={"next": 5, "on": CREATE})
    job.send()
    make_due(job)
    change(job)
    job.change("UPDATE slice SET check_at = now() WHERE campaign_id = %s", job.campaign_id)
    outcomes.reconcile(job.tenant_id)
    assert bodies_read(sandbox) == 5
    assert job.rows("SELECT sum(repeats) AS n FROM send_log WHERE campaign_id = %s")[0]["n"] == 0


def test_repetitions_keep_to_the_accounts_rate(launched: Launched, sandbox: Sandbox) -> None:
    job = reach(launched, 12)
    sandbox.faults(error_before={"next": 12, "on": CREATE})
    job.send()
    job.change("UPDATE sms_account SET rate_per_s = 4, failures = 0 WHERE id = %s", job.account_id)
    outcomes.reconcile(job.tenant_id)
    times = [datetime.fromisoformat(row["at"]) for row in sandbox.ledger("zettai_reach") if row["call"] == "create"][
        12:
    ]
    assert len(times) == 12
    assert max(times) - min(times) > timedelta(seconds=1.5)


def fall_silent(job: Job) -> None:
    """Have the account rest for an hour as if its service had answered nothing; the slice waits with it."""
    job.change(
        """
        UPDATE sms_account SET failures = 20, trips = 3, tripped_at = now(), resting_code = 'timeout',
            resting_until = now() + interval '1 hour' WHERE id = %s
        """,
        job.account_id,
    )
    job.change(
        "UPDATE slice SET due_at = now() + interval '1 hour', check_at = now() WHERE campaign_id = %s", job.campaign_id
    )


def account(job: Job) -> dict[str, object]:
    return job.rows(
        f"SELECT trips, resting_until, probed_at FROM sms_account WHERE id = {job.account_id} AND %s > 0"  # noqa: S608
    )[0]


def test_one_that_could_not_be_sent_again_waits_for_no_settle_time(
    launched: Launched, sandbox: Sandbox, tuned: Tuned
) -> None:
    tuned(unknown_settle_s=300, gateway_settle_s=300)
    job = reach(launched)
    sandbox.faults(error_before={"next": 5, "on": CREATE})
    job.send()
    fall_silent(job)
    job.change("UPDATE sms_account SET probed_at = now() WHERE id = %s", job.account_id)
    outcomes.reconcile(job.tenant_id)
    assert bodies_read(sandbox) == 5
    assert timedelta(seconds=5) < job.slice()["check_at"] - datetime.now(UTC) <= timedelta(seconds=10)
    job.change("UPDATE sms_account SET failures = 0, trips = 0, resting_until = NULL WHERE id = %s", job.account_id)
    pass_by(job, timedelta(seconds=10))
    outcomes.reconcile(job.tenant_id)
    assert set(job.states()) <= {"accepted", "delivered"}
    assert set(received(sandbox).values()) == {1}


def test_one_message_tries_an_account_that_rests_and_its_answer_ends_the_rest(
    launched: Launched, sandbox: Sandbox
) -> None:
    job = reach(launched)
    sandbox.faults(reset_after_body={"next": 5, "on": CREATE}, list_empty=HIDDEN)
    job.send()
    fall_silent(job)
    outcomes.reconcile(job.tenant_id)
    assert bodies_read(sandbox) == 6
    assert job.states() == {"accepted": 1, "unknown": 4}
    assert (account(job)["trips"], account(job)["resting_until"]) == (0, None)
    pass_by(job, timedelta(seconds=10))
    outcomes.reconcile(job.tenant_id)
    assert job.states() == {"accepted": 5}
    assert set(received(sandbox).values()) == {1}


def test_whoever_waits_goes_as_soon_as_the_rest_is_over(launched: Launched, sandbox: Sandbox) -> None:
    job = reach(launched, 2)
    sandbox.faults(error_before={"next": 2, "on": CREATE}, list_empty=HIDDEN)
    job.send()
    fall_silent(job)
    assert job.slice()["due_at"] > datetime.now(UTC)
    outcomes.reconcile(job.tenant_id)
    assert job.slice()["due_at"] <= datetime.now(UTC)


def test_an_account_that_stays_silent_is_tried_by_one_message_every_ten_seconds(
    launched: Launched, sandbox: Sandbox
) -> None:
    job = reach(launched)
    sandbox.faults(reset_after_body=LOST, list_empty=HIDDEN)
    job.send()
    for waited_s, tries in ((0, 1), (5, 1), (10, 2)):
        pass_by(job, timedelta(seconds=waited_s))
        shift = f"{waited_s} seconds"
        job.change("UPDATE sms_account SET probed_at = probed_at - %s::interval WHERE id = %s", shift, job.account_id)
        fall_silent(job)
        outcomes.reconcile(job.tenant_id)
        assert bodies_read(sandbox) == 5 + tries
        assert account(job)["resting_until"] is not None
    assert job.states() == {"unknown": 5}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE sms_account SET send_wish_until = now() + interval '1 hour' WHERE id = %s",
        "UPDATE sms_account SET doubted_at = now() WHERE id = %s",
    ],
)
def test_an_account_that_is_to_be_left_alone_is_not_tried(launched: Launched, sandbox: Sandbox, change: str) -> None:
    job = reach(launched)
    sandbox.faults(error_before={"next": 5, "on": CREATE})
    job.send()
    fall_silent(job)
    job.change(change, job.account_id)
    outcomes.reconcile(job.tenant_id)
    assert bodies_read(sandbox) == 5


def test_a_job_that_dies_meanwhile_leaves_it_unknown_and_counted(
    launched: Launched, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = reach(launched, 1)
    sandbox.faults(error_before={"next": 1, "on": CREATE})
    job.send()

    def die(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(repeats, "note", die)
    with pytest.raises(RuntimeError):
        outcomes.reconcile(job.tenant_id)
    monkeypatch.undo()
    assert job.states() == {"unknown": 1}
    assert [row["repeats"] for row in job.rows("SELECT repeats FROM send_log WHERE campaign_id = %s")] == [1]
    pass_by(job, timedelta(seconds=61))
    outcomes.reconcile(job.tenant_id)
    assert set(job.states()) <= {"accepted", "delivered"}
    assert set(received(sandbox).values()) == {1}
