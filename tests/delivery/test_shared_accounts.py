"""Companies that send by one shared account: each has its part of the rate, and all know what one learns of it."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import text

from app import tenancy
from app.accounts.shared import SharedRate
from app.delivery import circuit_breaker, dispatch, failover, send_context
from app.delivery.circuit_breaker import Breaker
from app.delivery.rate_limit import Pace
from app.extensions import db, redis_client
from app.models import SmsAccount
from app.outcomes import provider_queries
from app.providers.sms.base import Outcome, OutcomeKind
from app.tenants import allotments
from sandbox.harness import Sandbox
from tests import factories, steps
from tests.launched import Job, received
from tests.sharing import Share, part, settings_of, switch

FULL = Outcome(OutcomeKind.LATER, "http_429")
REFUSED = Outcome(OutcomeKind.LATER, "http_403", account_fault=True)


def warm(shared_account_id: int, *accounts: int) -> None:
    """Let accounts have been counted for long."""
    for key in (f"shared:{shared_account_id}", *accounts):
        redis_client.connection.set(f"todoke:pace:{key}:since", 0)


def run(seconds: float, *paces: Pace) -> list[list[float]]:
    """Let every message leave that each may, all of them at once; return when."""
    left: list[list[float]] = [[] for _ in paces]
    ends = time.monotonic() + seconds

    def send(pace: Pace, times: list[float]) -> None:
        while time.monotonic() < ends:
            permit = pace.take()
            if permit is not None and pace.leaves(permit):
                times.append(time.monotonic())
            else:
                time.sleep(0.005)
        pace.close()

    threads = [threading.Thread(target=send, args=one) for one in zip(paces, left, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return left


def most_in_a_second(times: list[float]) -> int:
    ordered = sorted(times)
    return max(sum(at <= one < at + 1 for one in ordered) for at in ordered)


def test_companies_that_send_at_once_have_equal_parts_of_the_rate(app: Flask) -> None:
    together = SharedRate(7, 20)
    warm(7, 1, 2)
    one, other = run(5, Pace(1, 100, together), Pace(2, 100, together))
    assert most_in_a_second([*one, *other]) <= 20
    assert len(one) + len(other) >= 60, "slower than it may be, but not by much"
    assert min(len(one), len(other)) >= 0.75 * max(len(one), len(other))


def test_a_part_that_one_leaves_goes_to_the_others(app: Flask) -> None:
    together = SharedRate(7, 20)
    warm(7, 1, 2)
    slow, quick = run(5, Pace(1, 4, together), Pace(2, 100, together))
    assert most_in_a_second(slow) <= 4
    assert most_in_a_second([*slow, *quick]) <= 20
    assert len(slow) >= 10
    assert len(quick) >= 45


def test_who_sends_alone_has_all_of_it(app: Flask) -> None:
    together = SharedRate(7, 20)
    warm(7, 1, 2)
    run(0.5, Pace(1, 100, together))
    time.sleep(2.5)
    (alone,) = run(3, Pace(2, 100, together))
    assert len(alone) >= 40


def test_with_more_companies_than_messages_a_second_each_has_its_turn(app: Flask) -> None:
    together = SharedRate(7, 2)
    warm(7, 1, 2, 3, 4)
    left = run(9, *(Pace(account_id, 10, together) for account_id in (1, 2, 3, 4)))
    assert most_in_a_second([at for times in left for at in times]) <= 2
    assert min(map(len, left)) >= 1


def test_a_new_part_does_not_outrun_its_account(app: Flask) -> None:
    """Redis knows of the part and not of the account, or was emptied: one window is awaited first."""
    warm(8, 1)
    assert Pace(1, 100, SharedRate(7, 20)).take() is None


def test_both_companies_send_and_each_sees_its_own(share: Share, sandbox: Sandbox) -> None:
    account = factories.shared_account(rate_per_s=200)
    one, other = share(account, 6, company="みどり信販"), share(account, 6, company="あおば保険")
    deadline = time.monotonic() + 20
    while one.states() != {"accepted": 6} or other.states() != {"accepted": 6}:
        assert time.monotonic() < deadline
        dispatch.take()
    assert len(received(sandbox)) == 12
    assert max(received(sandbox).values()) == 1
    for job in (one, other):
        with tenancy.tenant(job.tenant_id):
            route = send_context.route(job.campaign_id)
            assert route.account.rate_per_s == 100
            assert route.account.shared == SharedRate(account, 200)


def test_a_parts_rate_is_never_more_than_the_accounts(share: Share) -> None:
    account = factories.shared_account(rate_per_s=50)
    job = share(account, 1, rate_per_s=50)
    job.change("UPDATE shared_sms_account SET rate_per_s = 10 WHERE id = %s", account)
    with tenancy.tenant(job.tenant_id):
        assert send_context.route(job.campaign_id).account.rate_per_s == 10


def fail(job: Job, times: int = 20, outcome: Outcome = FULL) -> None:
    with tenancy.tenant(job.tenant_id):
        breaker = Breaker(job.account_id)
        for _ in range(times):
            breaker.note_outcome(outcome)
        breaker.save()


def test_what_one_company_learns_of_the_account_all_know(share: Share, launched: Callable[..., Job]) -> None:
    account = factories.shared_account()
    one, other, stranger = share(account, 1), share(account, 1), launched(1)
    fail(one, 12)
    fail(other, 8)
    assert (part(one)["trips"], part(other)["trips"]) == (1, 1), "their failures are of one row"
    assert part(other)["resting_until"] == part(one)["resting_until"] > datetime.now(UTC)
    assert part(stranger)["failures"] == 0
    dispatch.take()
    assert (one.states(), other.states()) == ({"queued": 1}, {"queued": 1})
    for job in (one, other):
        with tenancy.tenant(job.tenant_id):
            provider_queries.leave_alone(job.account_id, 90, wished=True)
    assert part(one)["ask_after"] == part(other)["ask_after"] > datetime.now(UTC)
    # a company that is new to it knows it too
    assert part(share(account, 1))["trips"] == 1


def test_telling_the_others_opens_no_other_scope(share: Share) -> None:
    account = factories.shared_account()
    one, other = share(account, 1), share(account, 1)
    with tenancy.tenant(one.tenant_id), tenancy.transaction() as connection:
        connection.execute(text("UPDATE sms_account SET failures = 3"))
        assert connection.scalars(text("SELECT id FROM sms_account")).all() == [one.account_id]
        assert connection.execute(text("SELECT * FROM shared_sms_account")).all() == []
    assert part(other)["failures"] == 3


def test_companies_that_learn_at_once_do_not_hold_each_other_up(share: Share, app: Flask) -> None:
    account = factories.shared_account()
    jobs = [share(account, 1) for _ in range(4)]
    faults: list[BaseException] = []

    def learn(job: Job) -> None:
        with app.app_context(), tenancy.tenant(job.tenant_id):
            try:
                for _ in range(15):
                    breaker = Breaker(job.account_id)
                    breaker.note_outcome(FULL)
                    breaker.save()
            except BaseException as fault:  # noqa: BLE001 - told below
                faults.append(fault)

    threads = [threading.Thread(target=learn, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert {part(job)["failures"] for job in jobs} == {60}


def test_an_operator_who_mended_the_account_lets_all_send(share: Share) -> None:
    account = factories.shared_account()
    one, other = share(account, 1), share(account, 1)
    fail(one)
    with tenancy.platform():
        for row in allotments.of(account):
            circuit_breaker.close(row)
        db.session.commit()
    assert [part(job)["trips"] for job in (one, other)] == [0, 0]
    assert [part(job)["resting_until"] for job in (one, other)] == [None, None]


def test_one_companys_refused_message_does_not_stop_the_others(share: Share, sandbox: Sandbox) -> None:
    """Its only message is refused as if for the account's sake: another company's message shows that it isn't."""
    account = factories.shared_account()
    odd, other = share(account, 1, phones=["+819012345678"]), share(account, 3)
    sandbox.faults(poison={"value": 403, "ids": ["9012345678"]})
    with tenancy.tenant(odd.tenant_id):
        assert circuit_breaker.others_wait(db.session.connection(), odd.account_id)
        db.session.rollback()
    deadline = time.monotonic() + 20
    while other.states() != {"accepted": 3}:
        assert time.monotonic() < deadline, (odd.states(), other.states(), part(odd))
        dispatch.take()
    assert part(other)["trips"] == 0


@pytest.mark.parametrize(
    "hindrance",
    [
        "",  # its contract is suspended
        "UPDATE sms_account SET active = false WHERE id = %(account)s",
        "UPDATE campaign SET restore_hold = 'sms:1:x' WHERE id = %(campaign)s",
        "UPDATE slice SET due_at = now() + interval '1 hour' WHERE campaign_id = %(campaign)s",
    ],
)
def test_nobody_waits_for_a_company_that_cannot_send(share: Share, hindrance: str) -> None:
    account = factories.shared_account()
    odd, other = share(account, 1), share(account, 1)
    if hindrance:
        odd.database.execute(hindrance, {"account": other.account_id, "campaign": other.campaign_id})
    else:
        steps.suspend(other.tenant_id)
    odd.change("UPDATE slice SET due_at = now() + interval '1 hour' WHERE campaign_id = %s", odd.campaign_id)
    with tenancy.tenant(odd.tenant_id):
        assert not circuit_breaker.others_wait(db.session.connection(), odd.account_id)
        db.session.rollback()


def test_a_part_stands_in_for_a_companys_own_contract(
    launched: Callable[..., Job], share: Share, sandbox: Sandbox
) -> None:
    account = factories.shared_account()
    neighbour = share(account, 1)
    job = launched(5)
    spare = factories.allotment(account, job.tenant_id)
    job.change("UPDATE sms_account SET takeover_order = 1 WHERE id = %s", spare)
    job.change("UPDATE campaign SET may_switch = true WHERE id = %s", job.campaign_id)
    fail(job)
    job.change("UPDATE sms_account SET tripped_at = now() - interval '30 s' WHERE id = %s", job.account_id)
    with tenancy.platform():
        assert failover.review() == 1
    job.change("UPDATE sms_account SET probed_at = now() WHERE id = %s", job.account_id)
    neighbour.change("UPDATE slice SET due_at = NULL WHERE campaign_id = %s", neighbour.campaign_id)
    deadline = time.monotonic() + 20
    while job.states() != {"accepted": 5}:
        assert time.monotonic() < deadline, job.states()
        dispatch.take()
    went_by = job.rows("SELECT DISTINCT sms_account_id AS id FROM send_log WHERE campaign_id = %s")
    assert went_by == [{"id": spare}]
    assert {m["tenant_id"] for m in sandbox.messages() if "tenant_id" in m} <= {settings_of(account)["tenant_id"]}


def test_a_part_taken_back_sends_nothing_and_loses_nobody(share: Share, sandbox: Sandbox) -> None:
    account = factories.shared_account()
    job, other = share(account, 4), share(account, 2)
    switch(job, active=False)
    for _ in range(6):
        dispatch.take()
    assert other.states() == {"accepted": 2}
    assert job.states() == {"queued": 4}
    assert job.state() == "sending"
    assert len(received(sandbox)) == 2
    switch(job, active=True)
    job.change("UPDATE slice SET due_at = now() WHERE campaign_id = %s", job.campaign_id)
    deadline = time.monotonic() + 20
    while job.states() != {"accepted": 4}:
        assert time.monotonic() < deadline, job.states()
        dispatch.take()
    assert max(received(sandbox).values()) == 1
    with tenancy.platform():
        assert db.session.get_one(SmsAccount, job.account_id).active
