"""Sending again to those it didn't reach, and reminders: each to the right people, once, with the right words."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text

from app import queues, tenancy
from app.campaigns import bulk_operations, preflight
from app.delivery import resend
from app.delivery.send_log import AttemptReport
from app.extensions import db
from app.models import AuditEntry, Campaign, Reminder
from app.outcomes import apply_reports
from app.problems import Refused
from app.providers.sms.base import Report, ReportState
from app.states import locks
from app.states.transitions import move_all
from app.states.vocabulary import PAYMENT, PaymentState, SmsState
from sandbox.harness import Sandbox
from tests import factories, steps
from tests.launched import Job, received
from tests.raw_states import force, set_back

Launched = Callable[..., Job]

OTHER_WORDS = "【{会社名}】{氏名}様 ご確認をお願いします {リンク}"


@pytest.fixture
def sent(launched: Launched, sandbox: Sandbox) -> Callable[..., Job]:
    """Make a campaign, send all of it and let every receipt come in."""

    def make(count: int, **columns: Any) -> Job:
        job = launched(count, **columns)
        sandbox.addresses(karaden_receipts={})
        send(job)
        settle(job)
        return job

    return make


def send(job: Job) -> None:
    job.change("UPDATE slice SET due_at = now() WHERE campaign_id = %s AND due_at IS NOT NULL", job.campaign_id)
    job.send()


def settle(job: Job) -> None:
    """Let every accepted SMS arrive."""
    steps.deliver(*steps.everybody(campaign_id=job.campaign_id, sms_state="accepted"))


def user(job: Job) -> int:
    return factories.user(job.tenant_id)


def texts(sandbox: Sandbox) -> Counter[str]:
    return Counter(message["body"].split("http")[0] for message in sandbox.messages())


def send_again(job: Job) -> int:
    user_id = user(job)
    with tenancy.tenant(job.tenant_id):
        return resend.resend(job.campaign_id, user_id=user_id)


def remind(job: Job, which: str = "unopened", number: int = 1, sms_text: str = "") -> int:
    user_id = user(job)
    with tenancy.tenant(job.tenant_id):
        return resend.remind(job.campaign_id, which, user_id=user_id, number=number, sms_text=sms_text)


def undelivered(job: Job, codes: list[str]) -> None:
    """Let the first people's SMS not have arrived after all, for these reasons, as if no receipt had said otherwise."""
    for person, code in zip(job.people, codes, strict=False):
        force(
            job.database,
            "recipient",
            [person.id],
            sms_state="undelivered",
            sms_code=code,
            undelivered_at=datetime.now(UTC),
        )


def test_only_those_it_may_still_reach_are_written_to_again(sent: Callable[..., Job], sandbox: Sandbox) -> None:
    job = sent(6)
    undelivered(job, ["unconnected", "error", "gave_up:http_429", "validation_error:to", ""])
    assert job.state() == "completed"
    with tenancy.tenant(job.tenant_id):
        assert resend.to_resend(db.session.get_one(Campaign, job.campaign_id)).people == 2
    assert send_again(job) == 2
    assert job.state() == "sending"
    assert queues.waiting("jobs.delivery.send") == {()}
    send(job)
    got = received(sandbox)
    assert [got["0" + person.phone[3:]] for person in job.people] == [2, 1, 2, 1, 1, 1]
    assert job.state() == "completed"
    assert job.states() == {"accepted": 2, "undelivered": 3, "delivered": 1}
    assert job.events(job.people[0].id)[-3:] == ["queued", "sending", "accepted"]


def test_a_second_press_finds_nobody(sent: Callable[..., Job]) -> None:
    job = sent(3)
    undelivered(job, ["unconnected"])
    assert send_again(job) == 1
    with pytest.raises(Refused, match="resend_nobody"):
        send_again(job)
    with tenancy.tenant(job.tenant_id):
        acts = db.session.scalars(select(AuditEntry)).all()
        assert [(row.act, row.detail) for row in acts] == [("resend", {"again": "undelivered", "people": 1})]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("paused", "一時停止"),
        ("cancelled", "取り消されている"),
        ("draft", "送信を始めていない"),
        ("UPDATE campaign SET deadline_at = now() - interval '1 minute'", "締切が過ぎて"),
        ("UPDATE campaign SET link_minutes = NULL, link_until = now() - interval '1 minute'", "有効期限が過ぎて"),
        ("suspended", "利用中ではない"),
        ("UPDATE campaign SET checks_stopped_at = now()", "回答の受け付けが止まって"),
        ("UPDATE sms_account SET active = false", "停止中"),
    ],
)
def test_what_stands_in_the_way_is_said(sent: Callable[..., Job], spoil: str, said: str) -> None:
    job = sent(2)
    undelivered(job, ["unconnected"])
    if spoil == "suspended":
        steps.suspend(job.tenant_id)
    elif spoil.startswith("UPDATE"):
        job.change(spoil)
    else:
        force(job.database, "campaign", [job.campaign_id], state=spoil)
    for act in (send_again, remind):
        with pytest.raises(Refused, match=said):
            act(job)
    assert job.states() == {"delivered": 1, "undelivered": 1}
    assert job.rows("SELECT 1 FROM reminder WHERE campaign_id = %s") == []


def test_those_who_have_not_opened_are_reminded_with_the_same_link(sent: Callable[..., Job], sandbox: Sandbox) -> None:
    job = sent(5)
    opened, locked, over, undelivered_one, waits = (person.id for person in job.people)
    steps.open_page(opened)
    steps.lock(locked)
    job.change("UPDATE recipient SET link_expires_at = now() WHERE id = %s", over)
    force(job.database, "recipient", [undelivered_one], sms_state="undelivered")
    before = job.person(waits)
    assert remind(job) == 1
    send(job)
    bodies = [message["body"] for message in sandbox.messages() if message["to"] == "0" + job.people[4].phone[3:]]
    assert len(bodies) == 2
    assert bodies[0] == bodies[1]
    assert len(sandbox.messages()) == 6
    after = job.person(waits)
    assert after["link_generation"] == before["link_generation"]
    assert after["token_digest"] == before["token_digest"]
    assert after["sms_attempt"] == 2


@pytest.mark.parametrize(
    ("state", "reminded"),
    [
        ("unpaid", True),
        ("failed", True),
        ("expired", True),
        ("cancelled", True),
        ("started", False),
        ("pending", False),
        ("paid", False),
        ("refunded", False),
        ("none", False),
    ],
)
def test_who_has_not_paid_is_reminded_of_that_even_after_opening(
    sent: Callable[..., Job], state: str, *, reminded: bool
) -> None:
    job = sent(1, payment=state != "none")
    steps.view(*job.ids())
    if state != "none":
        steps.reach(PAYMENT, PaymentState(state), job.ids())
    if reminded:
        assert remind(job, "unpaid") == 1
    else:
        with pytest.raises(Refused, match="resend_nobody"):
            remind(job, "unpaid")


def test_a_reminder_has_its_own_words_and_a_resend_after_it_keeps_them(
    sent: Callable[..., Job], sandbox: Sandbox
) -> None:
    job = sent(3)
    job.check()
    undelivered(job, ["unconnected"])
    assert remind(job, sms_text=OTHER_WORDS) == 2
    assert send_again(job) == 1
    send(job)
    first = {f"【みどり信販】{person.fields['氏名']}様 お手続きのご案内です。": 1 for person in job.people}
    first[f"【みどり信販】{job.people[0].fields['氏名']}様 お手続きのご案内です。"] = 2
    others = {f"【みどり信販】{person.fields['氏名']}様 ご確認をお願いします ": 1 for person in job.people[1:]}
    assert texts(sandbox) == first | others
    undelivered(job, ["", "unconnected"])
    assert send_again(job) == 1
    send(job)
    assert texts(sandbox)[f"【みどり信販】{job.people[1].fields['氏名']}様 ご確認をお願いします "] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("お忘れではありませんか", "リンク"),
        ("{氏名}様{担当者}より{リンク}", "担当者"),
        ("あ" * 60 + "{リンク}", "文字になります"),
        ("{氏名様}{リンク}{", "かっこ|組み合わせ"),
    ],
)
def test_words_that_do_not_fit_everybody_are_refused(sent: Callable[..., Job], words: str, said: str) -> None:
    job = sent(2)
    job.check()
    with pytest.raises(Refused, match=said):
        remind(job, sms_text=words)
    assert job.states() == {"delivered": 2}


def test_a_reminders_words_are_measured_with_everybodys_longest_cells(sent: Callable[..., Job]) -> None:
    job = sent(12)
    job.check()
    with tenancy.tenant(job.tenant_id):
        row = db.session.get_one(Campaign, job.campaign_id)
        longest = max(len(person.fields["氏名"]) for person in job.people)
        room = 70 - longest - len("https://todoke.example/") - 16
        assert preflight.reminder_problems(row, "あ" * room + "{氏名}{リンク}") == []
        assert "71文字" in preflight.reminder_problems(row, "あ" * (room + 1) + "{氏名}{リンク}")[0].message_ja


def test_a_second_press_reminds_nobody_twice(sent: Callable[..., Job], sandbox: Sandbox) -> None:
    job = sent(3)
    remind(job)
    send(job)  # so fast that all of them stand as accepted again
    assert job.states() == {"accepted": 3}
    with pytest.raises(Refused, match="reminder_already_sent"):
        remind(job)
    assert len(sandbox.messages()) == 6
    assert remind(job, number=2) == 3
    with tenancy.tenant(job.tenant_id):
        assert [(row.number, row.people) for row in db.session.scalars(select(Reminder).order_by(Reminder.id))] == [
            (1, 3),
            (2, 3),
        ]


def tell_delivered(job: Job, attempt: int) -> None:
    with tenancy.tenant(job.tenant_id), tenancy.transaction() as connection:
        told = AttemptReport(
            job.people[0].id, attempt, Report(f"message-{attempt}", ReportState.DELIVERED), datetime.now(UTC)
        )
        apply_reports.apply(connection, [told])


def test_a_late_receipt_of_the_first_sms_says_nothing_of_the_reminder(launched: Launched) -> None:
    job = launched(1)
    send(job)
    remind(job)
    send(job)
    tell_delivered(job, 1)
    assert job.states() == {"accepted": 1}
    tell_delivered(job, 2)
    assert job.states() == {"delivered": 1}
    assert job.attempts() == {("delivered", ""): 2}


def test_a_late_receipt_of_the_first_try_settles_the_second(sent: Callable[..., Job]) -> None:
    job = sent(1)
    undelivered(job, ["unconnected"])
    send_again(job)
    send(job)
    tell_delivered(job, 1)
    assert job.states() == {"delivered": 1}


def test_completion_waits_for_an_act_that_wakes_the_campaign(sent: Callable[..., Job]) -> None:
    job = sent(2)
    undelivered(job, ["unconnected"])
    send_again(job)
    with tenancy.tenant(job.tenant_id), tenancy.transaction() as connection:
        assert not bulk_operations.complete_if_done(connection, job.campaign_id)
    assert job.state() == "sending"


def test_two_presses_at_the_same_moment_remind_once(app: Flask, sent: Callable[..., Job], sandbox: Sandbox) -> None:
    job = sent(20)
    user_id = user(job)

    def press() -> int:
        with app.app_context(), tenancy.tenant(job.tenant_id):
            try:
                return resend.remind(job.campaign_id, "unopened", user_id=user_id, number=1)
            except Refused:
                return 0

    with ThreadPoolExecutor(3) as pool:
        counts = [pressed.result() for pressed in [pool.submit(press) for _ in range(3)]]
    assert sorted(counts) == [0, 0, 20]
    send(job)
    assert len(sandbox.messages()) == 40


def test_a_completion_under_way_does_not_overtake_who_is_to_be_written_to(app: Flask, sent: Callable[..., Job]) -> None:
    job = sent(2)
    undelivered(job, ["unconnected"])
    steps.resume(job.campaign_id)

    def complete() -> bool:
        with app.app_context(), tenancy.tenant(job.tenant_id), tenancy.transaction() as connection:
            return bulk_operations.complete_if_done(connection, job.campaign_id)

    with ThreadPoolExecutor(1) as pool, tenancy.tenant(job.tenant_id):
        # the steps of `resend`, held open in the middle
        locks.locked_campaign(job.campaign_id)
        move_all(
            db.session,
            SmsState.QUEUED,
            campaign_id=job.campaign_id,
            sources=[SmsState.UNDELIVERED],
            at=datetime.now(UTC),
            actor="user:1",
        )
        db.session.execute(text("UPDATE slice SET due_at = now()"))
        completion = pool.submit(complete)
        with pytest.raises(TimeoutError):
            completion.result(timeout=0.5)
        db.session.commit()
        assert completion.result(timeout=60) is False
    assert job.state() == "sending"


@pytest.mark.parametrize(
    ("which", "meanwhile"),
    [
        ("unpaid", steps.pay),
        ("unpaid", steps.lock),
        ("unopened", steps.open_page),
    ],
)
def test_who_paid_or_opened_while_they_waited_is_not_reminded(
    sent: Callable[..., Job], sandbox: Sandbox, which: str, meanwhile: Callable[..., None]
) -> None:
    job = sent(4, payment=True)
    before = {person.id: job.person(person.id)["delivered_at"] for person in job.people}
    unheard, arrived, *due = (person.id for person in job.people)
    set_back(job.database, "recipient", [unheard], sms_state="accepted", delivered_at=None)
    assert remind(job, which) == 4
    meanwhile(unheard, arrived)
    send(job)
    assert len(sandbox.messages()) == 4 + len(due)
    assert job.person(unheard)["sms_state"] == "accepted"
    assert (job.person(arrived)["sms_state"], job.person(arrived)["delivered_at"]) == ("delivered", before[arrived])
    assert job.events(arrived)[-2:] == ["queued", "delivered"]
    assert job.state() == "completed"


def test_where_nobody_needs_the_reminder_any_more_the_campaign_is_done(
    sent: Callable[..., Job], sandbox: Sandbox
) -> None:
    job = sent(3)
    assert remind(job) == 3
    steps.open_page(*job.ids())
    send(job)
    assert len(sandbox.messages()) == 3
    assert (job.state(), job.states()) == ("completed", {"delivered": 3})


@pytest.mark.parametrize("state", [ReportState.PROCESSING, ReportState.UNDELIVERED, ReportState.CANCELLED])
def test_what_a_late_receipt_says_keeps_nobody_from_being_written_to_again(
    sent: Callable[..., Job], sandbox: Sandbox, state: ReportState
) -> None:
    job = sent(1)
    [person] = job.people
    undelivered(job, ["unconnected"])
    assert send_again(job) == 1
    with tenancy.tenant(job.tenant_id), tenancy.transaction() as connection:
        apply_reports.apply(connection, [AttemptReport(person.id, 1, Report("x", state), datetime.now(UTC))])
    send(job)
    assert len(sandbox.messages()) == 2
