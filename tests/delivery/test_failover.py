"""Another account takes over while a campaign's own one takes nothing; nobody gets two, and it is handed back."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from app import tenancy
from app.delivery import dispatch, failover
from app.delivery.circuit_breaker import Breaker
from app.extensions import db
from app.models import SmsAccount
from app.providers.sms.base import Outcome, OutcomeKind
from jobs import outcomes, sweep
from sandbox.harness import Sandbox
from tests import factories
from tests.launched import Job, give_witness_phone, received, to_own_number
from tests.waiting import until

Launched = Callable[..., Job]
PEOPLE = 12


@pytest.fixture
def job(launched: Launched) -> Job:
    """A campaign that allows another sender; its company has a second contract that may take over."""
    made = launched(PEOPLE, slice_rows=PEOPLE)
    second = factories.sms_account(made.tenant_id, service_id=2)
    made.change(
        "UPDATE sms_account SET takeover_order = 1, settings = jsonb_set(settings, '{tenant_id}', to_jsonb(%s::text))"
        " WHERE id = %s",
        str(uuid.uuid4()),
        second,
    )
    made.change("UPDATE campaign SET may_switch = true WHERE id = %s", made.campaign_id)
    return made


def second(job: Job) -> int:
    found = job.rows("SELECT id FROM sms_account WHERE tenant_id = (SELECT tenant_id FROM campaign WHERE id = %s)")
    return next(int(row["id"]) for row in found if row["id"] != job.account_id)


def contract(job: Job, account_id: int) -> str:
    return str(account(job, account_id)["settings"]["tenant_id"])


def went_by(job: Job) -> dict[tuple[int, str], int]:
    rows = job.rows(
        "SELECT sms_account_id AS id, state, count(*) AS n FROM send_log WHERE campaign_id = %s GROUP BY 1, 2"
    )
    return {(row["id"], row["state"]): row["n"] for row in rows}


def account(job: Job, account_id: int) -> dict[str, Any]:
    rows = job.rows("SELECT a.* FROM sms_account a, campaign c WHERE c.id = %s AND a.tenant_id = c.tenant_id")
    return next(row for row in rows if row["id"] == account_id)


def standby(job: Job) -> int | None:
    found: int | None = job.rows("SELECT standby_account_id FROM campaign WHERE id = %s")[0]["standby_account_id"]
    return found


def open_breaker(job: Job, account_id: int, *, ago_s: int = failover.AFTER_S) -> None:
    """Open an account's breaker as failures do, so long ago."""
    with tenancy.tenant(job.tenant_id):
        breaker = Breaker(account_id)
        for _ in range(20):
            breaker.note_outcome(Outcome(OutcomeKind.LATER, "http_429"))
        breaker.save()
    assert account(job, account_id)["tripped_at"] is not None
    job.change(
        "UPDATE sms_account SET tripped_at = tripped_at - make_interval(secs => %s) WHERE id = %s", ago_s, account_id
    )


def review() -> int:
    with tenancy.platform():
        return failover.review()


def changes(job: Job) -> list[str]:
    rows = job.rows(
        "SELECT state FROM event WHERE campaign_id = %s AND recipient_id IS NULL"
        " AND state IN ('taken_over', 'handed_back') ORDER BY id"
    )
    return [row["state"] for row in rows]


def serve(job: Job, turns: int = 3) -> None:
    for _ in range(turns):
        job.change("UPDATE slice SET due_at = now() WHERE campaign_id = %s AND due_at IS NOT NULL", job.campaign_id)
        dispatch.take()


def test_who_waits_goes_by_the_next_account(job: Job, sandbox: Sandbox) -> None:
    own = job.account_id
    sandbox.faults(too_many_requests={"value": True, "on": f"karaden.create@{contract(job, own)}"})
    for _ in range(3):
        serve(job)
    assert account(job, own)["trips"] > 0
    assert review() == 0, "not before the breaker has been open for a while"
    job.change("UPDATE sms_account SET tripped_at = now() - interval '20 seconds' WHERE id = %s", own)
    with tenancy.platform():
        sweep.watch()
    assert standby(job) == second(job)
    job.change("UPDATE sms_account SET probed_at = now() WHERE id = %s", own)
    serve(job)
    assert job.states() == {"accepted": PEOPLE}
    assert went_by(job)[second(job), "accepted"] == PEOPLE
    assert max(received(sandbox).values()) == 1
    assert changes(job) == ["taken_over"]


@pytest.mark.parametrize(
    "hindrance",
    [
        "UPDATE campaign SET may_switch = false WHERE id = %(campaign)s",
        "UPDATE sms_account SET takeover_order = NULL WHERE id = %(second)s",
        "UPDATE sms_account SET active = false WHERE id = %(second)s",
        "UPDATE sms_account SET credentials_sealed = NULL WHERE id = %(second)s",
        "UPDATE sms_account SET restore_hold = 'new' WHERE id = %(second)s",
        "UPDATE sms_account SET trips = 1 WHERE id = %(second)s",
        "UPDATE sms_account SET test_mode = true WHERE id = %(second)s",
        "UPDATE sms_account SET tripped_at = now() - interval '19 seconds' WHERE id = %(own)s",
    ],
)
def test_nobody_takes_over_who_may_not(job: Job, hindrance: str) -> None:
    open_breaker(job, job.account_id)
    values = {"campaign": job.campaign_id, "second": second(job), "own": job.account_id}
    job.database.execute(hindrance, values)
    job.database.commit()
    assert review() == 0
    assert standby(job) is None


def test_another_companys_account_never_takes_over(job: Job, launched: Launched) -> None:
    other = launched(1)
    job.change("UPDATE sms_account SET takeover_order = NULL WHERE id = %s", second(job))
    job.change("UPDATE sms_account SET takeover_order = 1 WHERE id = %s", other.account_id)
    open_breaker(job, job.account_id)
    assert review() == 0


def lose_one(job: Job, sandbox: Sandbox, fault: str) -> None:
    """Have the own account leave one message without an outcome, then the second take over, and send the others."""
    own = job.account_id
    sandbox.faults(**{fault: {"value": True, "next": 1, "on": f"karaden.create@{contract(job, own)}"}})
    job.change("UPDATE sms_account SET rate_per_s = 4 WHERE id = %s", own)
    serve(job, turns=1)
    sandbox.faults()
    assert job.states()["unknown"] == 1
    open_breaker(job, own)
    assert review() == 1
    job.change("UPDATE sms_account SET probed_at = now(), send_wish_until = NULL WHERE id = %s", own)
    serve(job)
    assert job.states() == {"accepted": PEOPLE - 1, "unknown": 1}


def test_an_unknown_message_stays_with_its_account(job: Job, sandbox: Sandbox) -> None:
    """The own account took it and never answered: whoever takes over carries the others, and not this one."""
    own = job.account_id
    lose_one(job, sandbox, "reset_after_body")
    job.change("UPDATE sms_account SET ask_after = NULL WHERE id = %s", own)
    job.change("UPDATE slice SET check_at = now() WHERE campaign_id = %s", job.campaign_id)
    outcomes.reconcile(job.tenant_id)
    assert job.states() == {"accepted": PEOPLE - 1, "delivered": 1}, "the own account was asked, and knew of it"
    assert max(received(sandbox).values()) == 1
    assert sum(received(sandbox).values()) == PEOPLE


def test_with_nobody_left_to_try_it_a_witness_does(job: Job, sandbox: Sandbox, tuned: Callable[..., None]) -> None:
    """All others went by the second: the message that the first never took is proven absent, and sent once."""
    own = job.account_id
    tuned(held_after_s=600)
    give_witness_phone(job)
    lose_one(job, sandbox, "reset_before_body")

    def settled() -> bool:
        job.change("UPDATE sms_account SET ask_after = NULL, resting_until = NULL WHERE id = %s", own)
        job.change("UPDATE slice SET check_at = now() WHERE campaign_id = %s", job.campaign_id)
        outcomes.reconcile(job.tenant_id)
        serve(job, turns=1)
        return "unknown" not in job.states()

    until(settled)
    assert to_own_number(sandbox)
    assert account(job, own)["well_since"] is not None, "its answer counts as a try's does"
    assert max(received(sandbox).values()) == 1
    assert sum(received(sandbox).values()) == PEOPLE


def test_one_message_a_minute_tries_the_account_and_its_answer_counts(job: Job, sandbox: Sandbox) -> None:
    own = job.account_id
    open_breaker(job, own)
    assert review() == 1
    job.change("UPDATE sms_account SET send_wish_until = NULL WHERE id = %s", own)
    serve(job, turns=1)
    assert went_by(job) == {(own, "accepted"): 1}, "a single one"
    assert account(job, own)["well_since"] is not None
    serve(job, turns=1)
    assert went_by(job) == {(own, "accepted"): 1, (second(job), "accepted"): PEOPLE - 1}
    assert sum(received(sandbox).values()) == PEOPLE


def test_an_account_that_refuses_the_try_is_left_alone_for_a_minute(job: Job, sandbox: Sandbox) -> None:
    own = job.account_id
    open_breaker(job, own)
    assert review() == 1
    job.change("UPDATE sms_account SET send_wish_until = NULL WHERE id = %s", own)
    sandbox.faults(error_before={"value": True, "on": f"karaden.create@{contract(job, own)}"})
    job.change("UPDATE sms_account SET rate_per_s = 4 WHERE id = %s", second(job))
    for _ in range(8):
        serve(job, turns=1)
    tried = [count for (account_id, _), count in went_by(job).items() if account_id == own]
    assert tried == [1]
    assert account(job, own)["trips"] > 0
    assert job.states() == {"accepted": PEOPLE - 1, "unknown": 1}


def test_a_service_that_wished_for_rest_is_not_tried(job: Job) -> None:
    open_breaker(job, job.account_id)
    assert review() == 1
    job.change("UPDATE sms_account SET send_wish_until = now() + interval '1 minute' WHERE id = %s", job.account_id)
    serve(job)
    assert went_by(job) == {(second(job), "accepted"): PEOPLE}


def test_it_is_handed_back_once_the_account_has_been_well_for_five_minutes(job: Job) -> None:
    own = job.account_id
    open_breaker(job, own)
    assert review() == 1
    with tenancy.tenant(job.tenant_id):
        breaker = Breaker(own, probes=True)
        breaker.note_outcome(Outcome(OutcomeKind.ACCEPTED))
        breaker.save()
    assert (account(job, own)["trips"], account(job, own)["tripped_at"]) == (0, None)
    assert review() == 0
    job.change("UPDATE sms_account SET well_since = now() - interval '5 minutes' WHERE id = %s", own)
    assert review() == 1
    assert (standby(job), changes(job)) == (None, ["taken_over", "handed_back"])
    serve(job)
    assert went_by(job) == {(own, "accepted"): PEOPLE}


def test_the_third_takes_over_where_the_second_fails_too(job: Job) -> None:
    third = factories.sms_account(job.tenant_id, service_id=3)
    job.change("UPDATE sms_account SET takeover_order = 2 WHERE id = %s", third)
    by = second(job) if second(job) != third else None
    open_breaker(job, job.account_id)
    assert review() == 1
    first = standby(job)
    assert first is not None
    assert by in {None, first}
    open_breaker(job, first)
    assert review() == 1
    assert standby(job) == third
    assert changes(job) == ["taken_over", "taken_over"]


def test_an_account_that_a_person_mended_gets_its_campaigns_back(job: Job) -> None:
    open_breaker(job, job.account_id)
    assert review() == 1
    job.change("UPDATE campaign SET may_switch = false WHERE id = %s", job.campaign_id)
    assert review() == 1, "nobody may stand in any more"
    assert standby(job) is None
    with tenancy.tenant(job.tenant_id):
        assert db.session.get_one(SmsAccount, job.account_id).tripped_at is not None
