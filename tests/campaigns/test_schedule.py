"""A campaign launched for later: nothing leaves before its time, and it can be taken back until then."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select, text

from app import queues, tenancy
from app.campaigns import lifecycle, preflight, preflight_result, schedule
from app.campaigns.send_windows import ALWAYS, DAYTIME, Window
from app.extensions import db
from app.models import AuditEntry, Campaign, Event, Recipient, Slice, SmsAccount, Tenant
from app.problems import Refused
from app.values.japan_time import TOKYO
from jobs import campaigns as jobs
from jobs import sweep
from tests import factories
from tests.raw_states import force

NOON = datetime(2026, 11, 25, 12, tzinfo=TOKYO).astimezone(UTC)
EVENING = datetime(2026, 11, 25, 22, tzinfo=TOKYO).astimezone(UTC)
MORNING = datetime(2026, 11, 26, 8, tzinfo=TOKYO).astimezone(UTC)


@pytest.fixture
def campaign(app: Flask) -> Iterator[Campaign]:
    with app.app_context():
        tenant_id = factories.tenant()
        user_id = factories.user(tenant_id)
        account_id = factories.sms_account(tenant_id)
        made = factories.campaign(
            tenant_id,
            sms_account_id=account_id,
            created_by=user_id,
            starts_at=datetime.now(UTC) + timedelta(hours=1),
        )
        factories.people(tenant_id, made, 5)
        with tenancy.tenant(tenant_id):
            preflight.run(made)
            yield db.session.get_one(Campaign, made)


def user_of(campaign: Campaign) -> int:
    assert campaign.created_by is not None
    return campaign.created_by


def book(campaign: Campaign) -> None:
    lifecycle.launch(campaign.id, user_id=user_of(campaign), digest=preflight_result.digest(campaign))
    db.session.expire_all()


def its_time_comes() -> None:
    db.session.execute(text("UPDATE campaign SET starts_at = now() - interval '1 second'"))
    db.session.commit()
    db.session.expire_all()


def states() -> list[str]:
    return sorted(db.session.scalars(select(Recipient.sms_state)))


def test_nothing_is_queued_before_its_time(campaign: Campaign) -> None:
    book(campaign)
    assert campaign.state == "scheduled"
    assert states() == ["draft"] * 5
    assert not lifecycle.start(campaign.id)
    assert states() == ["draft"] * 5
    assert db.session.scalars(select(Slice)).all() == []
    assert queues.waiting("jobs.delivery.send") == set()
    assert [row.act for row in db.session.scalars(select(AuditEntry))] == ["schedule"]


def test_the_sweep_finds_it_when_its_time_comes(app: Flask) -> None:
    with app.app_context():
        tenant_id = factories.tenant()
        made = factories.campaign(
            tenant_id,
            sms_account_id=factories.sms_account(tenant_id),
            created_by=factories.user(tenant_id),
            starts_at=datetime.now(UTC) + timedelta(hours=1),
        )
        factories.people(tenant_id, made, 5)
        with tenancy.tenant(tenant_id):
            preflight.run(made)
            book(db.session.get_one(Campaign, made))
        sweep.sweep()
        assert queues.waiting("jobs.campaigns.start") == set()
        with tenancy.tenant(tenant_id):
            its_time_comes()
        sweep.sweep()
        sweep.sweep()
        assert queues.waiting("jobs.campaigns.start") == {(tenant_id, made)}
        jobs.start(tenant_id, made)
        with tenancy.tenant(tenant_id):
            campaign = db.session.get_one(Campaign, made)
            assert campaign.state == "sending"
            assert campaign.launched_at is not None
            assert states() == ["queued"] * 5
        assert queues.waiting("jobs.delivery.send") == {()}


def test_it_starts_once(campaign: Campaign) -> None:
    book(campaign)
    its_time_comes()
    assert lifecycle.start(campaign.id)
    assert not lifecycle.start(campaign.id)
    assert len(db.session.scalars(select(Slice)).all()) == 1


def test_until_then_it_can_be_withdrawn_and_written_anew(campaign: Campaign) -> None:
    book(campaign)
    assert lifecycle.content_locked(campaign)
    assert lifecycle.withdraw(campaign.id, user_id=user_of(campaign))
    db.session.expire_all()
    assert campaign.state == "draft"
    assert not lifecycle.content_locked(campaign)
    its_time_comes()
    assert not lifecycle.start(campaign.id)
    assert not lifecycle.withdraw(campaign.id, user_id=user_of(campaign))
    assert states() == ["draft"] * 5
    book(campaign)
    assert campaign.state == "sending"


def test_a_started_one_cannot_be_withdrawn(campaign: Campaign) -> None:
    book(campaign)
    its_time_comes()
    lifecycle.start(campaign.id)
    assert not lifecycle.withdraw(campaign.id, user_id=user_of(campaign))
    assert states() == ["queued"] * 5


def test_neither_pause_nor_resume_touches_what_is_booked(campaign: Campaign) -> None:
    book(campaign)
    assert not lifecycle.pause(campaign.id, user_id=user_of(campaign))
    assert not lifecycle.resume(campaign.id, user_id=user_of(campaign))
    db.session.expire_all()
    assert campaign.state == "scheduled"


def test_resume_wakes_neither_a_draft_nor_what_is_over(campaign: Campaign, database: psycopg.Connection) -> None:
    for state in ("draft", "completed", "cancelled"):
        force(database, "campaign", [campaign.id], state=state)
        assert not lifecycle.resume(campaign.id, user_id=user_of(campaign))


def test_a_booked_one_can_be_cancelled(campaign: Campaign) -> None:
    book(campaign)
    assert lifecycle.cancel(campaign.id, user_id=user_of(campaign))
    assert states() == ["cancelled"] * 5


def test_what_is_no_longer_what_was_checked_goes_back_to_the_clerk(campaign: Campaign) -> None:
    book(campaign)
    db.session.get_one(Tenant, campaign.tenant_id).name = "みどりファイナンス"
    db.session.commit()
    its_time_comes()
    assert not lifecycle.start(campaign.id)
    db.session.expire_all()
    assert campaign.state == "draft"
    assert states() == ["draft"] * 5
    last = db.session.scalars(select(Event).order_by(Event.id.desc())).first()
    assert last is not None
    assert (last.state, last.detail) == ("draft", {"reason": "changed"})


def test_without_a_start_or_after_it_a_launch_begins_at_once(campaign: Campaign) -> None:
    its_time_comes()
    book(campaign)
    assert campaign.state == "sending"
    assert states() == ["queued"] * 5


@pytest.mark.parametrize(
    ("now", "starts", "begins"),
    [
        (NOON, None, NOON),
        (EVENING, None, MORNING),
        (NOON, EVENING, MORNING),
        (NOON, NOON + timedelta(hours=2), NOON + timedelta(hours=2)),
        (EVENING, NOON, MORNING),
    ],
)
def test_when_it_really_begins(campaign: Campaign, now: datetime, starts: datetime | None, begins: datetime) -> None:
    campaign.tenant.send_window = DAYTIME.to_json()
    campaign.starts_at = starts
    assert schedule.plan(campaign, 5, now).begins_at == begins


def test_rate_and_cap_tell_when_it_is_done(campaign: Campaign) -> None:
    campaign.starts_at = None
    tenant = db.session.get_one(Tenant, campaign.tenant_id)
    account = db.session.get_one(SmsAccount, campaign.sms_account_id)
    tenant.send_window = DAYTIME.to_json()
    account.rate_per_s = 2
    assert schedule.plan(campaign, 100, NOON).finishes_at == NOON + timedelta(seconds=50)
    tenant.daily_cap = 60
    assert schedule.plan(campaign, 100, NOON).finishes_at == MORNING + timedelta(seconds=20)
    campaign.deadline_at = EVENING
    assert schedule.plan(campaign, 100, NOON).finishes_at is None
    assert "締切までに全件を送り終えられない" in schedule.warnings(campaign, 100, NOON)[0]
    db.session.rollback()


@pytest.mark.parametrize(("window", "told"), [(DAYTIME, False), (ALWAYS, True)])
def test_an_sms_at_night_is_told_before_the_button(campaign: Campaign, window: Window, *, told: bool) -> None:
    """A company may send at any hour; whoever presses the button at half past ten is to know what it means."""
    campaign.starts_at = None
    campaign.tenant.send_window = window.to_json()
    assert any("夜間・早朝" in words for words in schedule.warnings(campaign, 100, EVENING)) is told
    assert not schedule.warnings(campaign, 100, NOON)
    db.session.rollback()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"deadline_at": NOON - timedelta(minutes=1)}, "締切が過ぎて"),
        ({"deadline_at": EVENING + timedelta(hours=1), "starts_at": EVENING}, "締切の.*時間帯がありません"),
        ({"send_window": {"days": {"mon": ["05:00", "06:00"]}, "holidays": True}}, "会社の送信時間帯と重なる"),
        ({"link_minutes": None, "link_until": NOON}, "有効期限が過ぎて"),
        ({"link_minutes": None, "link_until": EVENING, "starts_at": EVENING}, "には、リンクの有効期限が過ぎて"),
    ],
)
def test_what_would_never_be_sent_is_said_before_the_launch(
    campaign: Campaign, values: dict[str, object], said: str
) -> None:
    campaign.tenant.send_window = DAYTIME.to_json()
    campaign.starts_at = None
    for name, value in values.items():
        setattr(campaign, name, value)
    problems = schedule.problems(campaign, NOON)
    assert len(problems) == 1
    with pytest.raises(Refused, match=said):
        raise Refused(*problems)
    db.session.rollback()


def test_a_launch_that_could_never_be_sent_is_refused(campaign: Campaign) -> None:
    campaign.starts_at = None
    campaign.deadline_at = datetime.now(UTC) - timedelta(minutes=1)
    db.session.commit()
    with pytest.raises(Refused, match="deadline_over"):
        book(campaign)
    assert states() == ["draft"] * 5
