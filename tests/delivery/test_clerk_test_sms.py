"""A test SMS: one, to the number typed, with nobody's details and nobody counted."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
import time_machine
from sqlalchemy import select

from app import links, references, tenancy
from app.campaigns import lifecycle, preflight, preflight_result
from app.campaigns.send_windows import DAYS
from app.delivery import clerk_test_sms, rate_limit
from app.delivery.rate_limit import Pace
from app.extensions import db
from app.models import AuditEntry, Campaign, SmsAccount, TrialMessage
from app.problems import Refused
from sandbox.harness import Sandbox
from tests import factories
from tests.waiting import until

Tuned = Callable[..., None]


@pytest.fixture
def draft(tuned: Tuned) -> tuple[int, int, int]:
    """A draft of three people that passed the check: ids of tenant, clerk, campaign."""
    tenant_id = factories.tenant()
    user_id = factories.user(tenant_id)
    account_id = factories.sms_account(tenant_id)
    campaign_id = factories.campaign(tenant_id, sms_account_id=account_id)
    factories.people(tenant_id, campaign_id, 3)
    with tenancy.tenant(tenant_id):
        preflight.run(campaign_id)
    return tenant_id, user_id, campaign_id


def send(draft: tuple[int, int, int], phone: str = "090-8888-1234", **limits: float) -> str:
    tenant_id, user_id, campaign_id = draft
    with tenancy.tenant(tenant_id):
        return clerk_test_sms.send_test_sms(campaign_id, phone, user_id=user_id, **limits)


def change(draft: tuple[int, int, int], **values: object) -> None:
    with tenancy.tenant(draft[0]):
        row = db.session.get_one(Campaign, draft[2])
        for name, value in values.items():
            setattr(row, name, value)
        db.session.commit()


def test_its_reference_is_nobody_elses_though_row_numbers_come_again(
    draft: tuple[int, int, int], sandbox: Sandbox, database: psycopg.Connection
) -> None:
    for _ in range(2):
        assert send(draft) == "accepted"
        database.execute(
            "SELECT setval(pg_get_serial_sequence('trial_message', 'id'), max(id), false) FROM trial_message"
        )
        database.execute("DELETE FROM trial_message")
    tags = [tag for message in sandbox.messages() for tag in message["tags"]]
    assert len(tags) == len(set(tags)) == 2
    assert len({tag.rpartition(".t")[2] for tag in tags}) == 1
    assert [references.parse_sms(tag) for tag in tags] == [None, None], "no receipt is matched to it"


def test_one_sms_without_details_goes_to_the_number_typed(draft: tuple[int, int, int], sandbox: Sandbox) -> None:
    assert send(draft, "０９０−８８８８−１２３４") == "accepted"
    [message] = sandbox.messages()
    assert message["to"] == "09088881234"
    assert message["body"].startswith("【みどり信販】○○ ○")
    assert "佐藤" not in message["body"]
    assert message["body"].endswith(f"https://todoke.example/trial-{'0' * 10}")
    assert len(links.trial_address()) == links.length()


def test_nobody_of_the_list_is_touched_and_the_number_is_sealed(draft: tuple[int, int, int]) -> None:
    send(draft)
    with tenancy.tenant(draft[0]):
        row = db.session.scalars(select(TrialMessage)).one()
        assert (row.state, row.created_by, row.campaign_id) == ("accepted", draft[1], draft[2])
        assert b"8888" not in row.phone_sealed
        entry = db.session.scalars(select(AuditEntry)).one()
        assert (entry.act, entry.detail) == ("trial", {"trial": row.id})
        campaign = db.session.get_one(Campaign, draft[2])
        assert campaign.state == "draft"
        assert preflight_result.current(campaign) is not None
        assert [(item.phone, item.state) for item in clerk_test_sms.latest(campaign)] == [("090-****-1234", "accepted")]
        assert lifecycle.people_count(draft[2]) == 3


@pytest.mark.parametrize(
    ("switch", "state"),
    [
        ("too_many_requests", "undelivered"),
        ("hang", "unknown"),
    ],
)
def test_what_it_came_to_is_told_and_never_tried_again(
    draft: tuple[int, int, int], sandbox: Sandbox, tuned: Tuned, switch: str, state: str
) -> None:
    tuned(send_timeout_s=2)
    sandbox.faults(**{switch: True})
    assert send(draft) == state
    assert len(sandbox.ledger("karaden")) == 1


@pytest.mark.parametrize("phone", ["", "03-1234-5678", "+1 212 555 0123", "090-1234"])
def test_a_number_no_sms_can_reach_is_refused(draft: tuple[int, int, int], sandbox: Sandbox, phone: str) -> None:
    with pytest.raises(Refused, match=r"電話番号|固定電話|海外"):
        send(draft, phone)
    assert sandbox.messages() == []


def test_at_night_not_even_a_test_sms_leaves(draft: tuple[int, int, int], sandbox: Sandbox) -> None:
    day = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[(datetime.now(UTC).weekday() + 3) % 7]
    change(draft, send_window={"days": {day: ["09:00", "18:00"]}, "holidays": True})
    with pytest.raises(Refused, match="送信できる時間帯ではありません"):
        send(draft)
    assert sandbox.messages() == []


def test_what_was_not_checked_is_not_tried(draft: tuple[int, int, int]) -> None:
    change(draft, page_text="変更しました")
    with pytest.raises(Refused, match="test_sms_before_check"):
        send(draft)


def test_a_launched_campaign_is_not_tried(draft: tuple[int, int, int]) -> None:
    change(draft, state="sending")
    with pytest.raises(Refused, match="test_sms_after_launch"):
        send(draft)


def test_few_are_allowed_a_day(draft: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clerk_test_sms, "MOST_A_DAY", 2)
    send(draft)
    send(draft)
    with pytest.raises(Refused, match="24時間に2通まで"):
        send(draft)


def test_a_test_sms_counts_toward_the_accounts_rate(draft: tuple[int, int, int], sandbox: Sandbox) -> None:
    with tenancy.tenant(draft[0]):
        account = db.session.scalars(select(SmsAccount)).one()
        account.rate_per_s = 1
        db.session.commit()
        account_id = account.id
    assert send(draft) == "accepted"
    taken = Pace(account_id, 1)
    permit = until(taken.take)
    assert permit is not None
    assert taken.leaves(permit)
    assert send(draft, wait_s=0.3) == clerk_test_sms.BUSY
    assert len(sandbox.messages()) == 1
    with tenancy.tenant(draft[0]):
        states = db.session.scalars(select(TrialMessage.state).order_by(TrialMessage.id)).all()
        assert states == ["accepted", "undelivered"]


def test_a_test_sms_that_waited_past_closing_time_does_not_leave(
    draft: tuple[int, int, int], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = {day: ["09:00", "18:00"] for day in DAYS}
    change(draft, send_window={"days": hours, "holidays": True})
    with time_machine.travel(datetime(2026, 11, 24, 8, 59, 55, tzinfo=UTC), tick=False) as clock:
        real = rate_limit.may_leave

        def waits(*arguments: Any, **more: Any) -> bool:
            clock.move_to(datetime(2026, 11, 24, 9, tzinfo=UTC))
            return real(*arguments, **more)

        monkeypatch.setattr(rate_limit, "may_leave", waits)
        assert send(draft) == clerk_test_sms.CLOSED
    assert sandbox.ledger("karaden") == []
    with tenancy.tenant(draft[0]):
        row = db.session.scalars(select(TrialMessage)).one()
        assert (row.state, row.code) == ("undelivered", "closed")


# --- the check's limits ---


@pytest.mark.parametrize(
    ("sms_text", "says"),
    [("{ない列}様 {リンク}", "差込項目 {ない列}"), ("あ" * 60 + "{氏名}様 {リンク}", "70文字を超える")],
)
def test_a_list_that_did_not_pass_is_sent_to_nobody(tuned: Tuned, sandbox: Sandbox, sms_text: str, says: str) -> None:
    """106 units went out as a test SMS: a message of two, at two messages' price."""
    del tuned
    tenant_id = factories.tenant()
    campaign_id = factories.campaign(tenant_id, sms_account_id=factories.sms_account(tenant_id), sms_text=sms_text)
    factories.people(tenant_id, campaign_id, 2)
    user_id = factories.user(tenant_id)
    with tenancy.tenant(tenant_id):
        assert preflight.run(campaign_id).problems
    with pytest.raises(Refused, match=says) as refused:
        send((tenant_id, user_id, campaign_id))
    assert refused.value.problems[0].code == "test_sms_check_failed"
    assert not sandbox.messages()


def test_one_too_long_for_one_sms_is_not_sent_whatever_the_check_said(
    draft: tuple[int, int, int], sandbox: Sandbox
) -> None:
    with tenancy.tenant(draft[0]):
        row = db.session.get_one(Campaign, draft[2])
        row.sms_text = "あ" * 60 + "{氏名}様 {リンク}"
        db.session.flush()
        row.preflight = {**(row.preflight or {}), "digest": preflight_result.digest(row)}
        db.session.commit()
    with pytest.raises(Refused, match="70文字を超える"):
        send(draft)
    assert not sandbox.messages()
