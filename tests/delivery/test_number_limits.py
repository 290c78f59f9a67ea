"""One number gets so many first SMS in a campaign and on a day, whoever sends them; the others are held and said."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask

from app import tenancy
from app.campaigns import duplicates
from app.delivery import dispatch, number_limits
from app.delivery.held_selection import Chosen
from app.extensions import db
from app.models import AuditEntry, Campaign, Recipient
from app.outcomes import manual_decisions
from app.outcomes.manual_decisions import Verdict
from app.states import result_codes
from sandbox.harness import Sandbox
from tests import decided, factories, steps
from tests.launched import Job, received

Launched = Callable[..., Job]

PHONE = "+819012345678"
NATIONAL = "0" + PHONE[3:]


def drain() -> None:
    for _ in range(500):
        if not dispatch.take():
            return
    pytest.fail("a hot loop: something is always due")


def another(job: Job, count: int, *, slice_rows: int = 5000, phone: str = PHONE, **columns: Any) -> Job:
    """Launch one more campaign of the same company."""
    campaign_id = factories.campaign(job.tenant_id, sms_account_id=job.account_id, **columns)
    people = factories.people(job.tenant_id, campaign_id, count, phones=[phone] * count)
    slices = factories.launch(job.tenant_id, campaign_id, slice_rows=slice_rows)
    return Job(job.tenant_id, job.account_id, campaign_id, slices, people, job.database)


def held(job: Job) -> int:
    with tenancy.tenant(job.tenant_id):
        return number_limits.count(db.session.get_one(Campaign, job.campaign_id))


def decide(job: Job, place: int, *, send: bool) -> bool:
    user_id = factories.user(job.tenant_id, "manager")
    with tenancy.tenant(job.tenant_id):
        return decided.decide(job.people[place].id, Verdict.SEND if send else Verdict.SKIP, user_id=user_id)


def test_three_of_a_campaign_leave_and_the_others_are_held(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(8, phones=[PHONE] * 6 + ["+819012345679", "+819012345680"])
    drain()
    assert received(sandbox)[NATIONAL] == 3
    assert len(sandbox.messages()) == 5
    assert job.states() == {"accepted": 5, "cancelled": 3}
    assert job.state() == "completed"
    assert held(job) == 3
    person = job.person(job.people[5].id)
    assert (person["sms_code"], person["sms_attempt"]) == (result_codes.NUMBER_CAMPAIGN, 0)
    assert "保留" in result_codes.words(person["sms_code"])
    assert job.events(job.people[5].id) == ["queued", "cancelled"]


def test_thousands_of_one_number_come_to_three(
    launched: Launched, sandbox: Sandbox, tuned: Callable[..., None]
) -> None:
    tuned(batch_rows=500, lease_s=30)
    job = launched(2_000, phones=[PHONE] * 2_000, slice_rows=500)
    drain()
    assert received(sandbox) == {NATIONAL: 3}
    assert job.states() == {"accepted": 3, "cancelled": 1_997}
    assert held(job) == 1_997
    assert job.state() == "completed"


@pytest.mark.usefixtures("one_day")
def test_ten_of_a_company_leave_on_a_day(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(3, phones=[PHONE] * 3)
    others = [another(job, 3) for _ in range(4)]
    drain()
    assert received(sandbox)[NATIONAL] == 10
    assert sum(held(one) for one in others) + held(job) == 5
    found = {person["sms_code"] for one in [job, *others] for person in people(one) if person["capped_at"]}
    assert found == {result_codes.NUMBER_DAY}
    # the next day is another day
    job.change("UPDATE send_log SET started_at = started_at - interval '1 day'")
    another(job, 3)
    drain()
    assert received(sandbox)[NATIONAL] == 13


def people(job: Job) -> list[dict[str, Any]]:
    return job.rows("SELECT * FROM recipient WHERE campaign_id = %s ORDER BY id")


def test_another_company_has_limits_of_its_own(launched: Launched, sandbox: Sandbox) -> None:
    for _ in range(4):
        launched(3, phones=[PHONE] * 3)
    drain()
    assert received(sandbox)[NATIONAL] == 12


def test_several_workers_and_campaigns_at_once_keep_the_limits(
    app: Flask, launched: Launched, sandbox: Sandbox
) -> None:
    job = launched(8, phones=[PHONE] * 8, slice_rows=2)
    jobs = [job, *(another(job, 8, slice_rows=2) for _ in range(4))]

    def work() -> None:
        with app.app_context():
            drain()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work) for _ in range(4)]:
            done.result()
    drain()
    assert received(sandbox)[NATIONAL] == 10
    for one in jobs:
        assert one.states().get("accepted", 0) <= 3
        assert one.states().get("queued", 0) == 0


def test_a_retry_and_a_reminder_do_not_count(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(3, phones=[PHONE] * 3)
    drain()
    for _ in range(4):
        steps.fail(*job.ids())
        steps.queue(*job.ids())
        steps.resume(job.campaign_id)
        job.change("UPDATE slice SET due_at = now()")
        drain()
    assert received(sandbox)[NATIONAL] == 15
    another(job, 3)
    drain()
    assert received(sandbox)[NATIONAL] == 18


def test_a_manager_lets_a_held_person_be_sent_to(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(5, phones=[PHONE] * 5)
    drain()
    assert decide(job, 4, send=True)
    assert not decide(job, 4, send=True)
    assert job.state() == "sending"
    drain()
    assert received(sandbox)[NATIONAL] == 4
    assert job.states() == {"accepted": 4, "cancelled": 1}
    assert (job.state(), held(job)) == ("completed", 1)


def test_a_manager_ends_the_holding(launched: Launched, sandbox: Sandbox) -> None:
    job = launched(6, phones=[PHONE] * 6)
    drain()
    assert decide(job, 3, send=False)
    assert not decide(job, 3, send=True)
    assert held(job) == 2
    user_id = factories.user(job.tenant_id, "manager")
    with tenancy.tenant(job.tenant_id):
        everybody = Chosen(datetime.now(UTC), reason=result_codes.NUMBER_CAMPAIGN)
        assert manual_decisions.decide(job.campaign_id, Verdict.SKIP, everybody, user_id=user_id).people == 2
        acts = [(row.act, row.target) for row in db.session.query(AuditEntry).order_by(AuditEntry.id)]
    assert acts == [("number_skip", f"recipient:{job.people[place].id}") for place in (3, 4, 5)]
    assert held(job) == 0
    assert {job.person(person.id)["sms_code"] for person in job.people[3:]} == {result_codes.NOT_WANTED}
    drain()
    assert received(sandbox)[NATIONAL] == 3


def test_of_a_cancelled_campaign_nobody_is_held(launched: Launched) -> None:
    job = launched(5, phones=[PHONE] * 5)
    drain()
    steps.cancel(job.campaign_id)
    assert held(job) == 0
    assert not decide(job, 4, send=True)
    with tenancy.tenant(job.tenant_id):
        assert not number_limits.is_held(db.session.get_one(Recipient, job.people[4].id))


def test_the_check_says_how_many_will_be_held(launched: Launched) -> None:
    job = launched(8, phones=[PHONE] * 6 + ["+819012345679", "+819012345680"])
    with tenancy.tenant(job.tenant_id):
        said = duplicates.warnings(db.session.get_one(Campaign, job.campaign_id), 5)
    assert any("3通まで" in words and "3件は送らずに保留" in words for words in said)
    assert not any("1日に10通" in words for words in said)
    another(job, 5)
    with tenancy.tenant(job.tenant_id):
        said = duplicates.warnings(db.session.get_one(Campaign, job.campaign_id), 5)
    assert any("1日に10通を超えるかもしれない電話番号が1件" in words for words in said)
