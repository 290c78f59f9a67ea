"""Writing to people of a launched campaign once more: to those it did not reach, reminders, and a link that lives anew.

Whether is decided under the campaign's lock, who under that of the slice (`app.campaigns.bulk_operations`): nobody who
is being written to at that moment is chosen, and of two presses the second finds nobody or is told that there was a
first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, not_, or_, select

from app import audit, queues
from app.campaigns import bulk_operations, lifecycle, preflight, readiness, schedule
from app.db import Of
from app.delivery import leases
from app.extensions import db
from app.models import Campaign, Recipient, Reminder
from app.problems import Kind, Problem, Refused
from app.states import locks
from app.states.transitions import Step, move, move_campaign
from app.states.vocabulary import SMS, CampaignState, PageState, SmsState

WHICH: Mapping[str, str] = {"unopened": "まだ開いていない人", "unpaid": "まだ支払っていない人"}

_NOBODY = Kind("resend_nobody", "いま送り直す相手はいません。")
_PAUSED = Kind("resend_paused", "送信を一時停止しています。先に送信を再開してください。")
_NOT_LAUNCHED = Kind("resend_not_launched", "この配信は送信を始めていないか、取り消されているため、送り直せません。")
_CHECKS_STOPPED = Kind(
    "resend_checks_stopped",
    "質問への回答の受け付けが止まっています。名簿の正解などを確かめ、先に受け付けを再開してください。",
)
_REMINDED = Kind(
    "reminder_already_sent",
    "ほかの人がリマインドを送ったか、ボタンが2回押されました。いまの状況を確かめてください。",
)
_NOT_RENEWED = Kind(
    "link_not_renewed",
    "この方には送り直せません。すでに送信待ちか、リンクを開いたか、支払いが済んだか、「送信しない番号」に登録されています。"
    "いまの状態を確かめてください。",
)
_NEEDS_MANAGER = Kind(
    "reminder_needs_manager",
    "{above:,}件を超えるリマインドは、管理者が送ります。自社の管理者に依頼してください。",
)
_RECENTLY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Count:
    """How many would be written to: `people`, of whom `recently` got an SMS within the last 24 hours."""

    people: int
    recently: int


def problems(campaign: Campaign) -> list[Problem]:
    """Return what keeps a launched campaign's people from being written to again."""
    if campaign.state == CampaignState.PAUSED:
        return [_PAUSED()]
    if campaign.state not in {CampaignState.SENDING, CampaignState.COMPLETED}:
        return [_NOT_LAUNCHED()]
    if campaign.checks_stopped_at is not None:
        return [_CHECKS_STOPPED()]
    now = datetime.now(UTC)
    return (
        bulk_operations.problems(campaign.id)
        + readiness.missing_contract(campaign)
        + readiness.missing_to_send(campaign)
        + schedule.problems(campaign, now)
    )


def to_resend(campaign: Campaign) -> Count:
    """Count whom `resend` would write to."""
    return _count(campaign, "resend", bulk_operations.to_resend(Recipient))


def may_resend(person: Recipient) -> bool:
    """Return whether `resend` would write to this person: the failure is one that passes."""
    if person.campaign.state == CampaignState.CANCELLED:
        return False
    condition = bulk_operations.to_resend(Recipient)
    return bool(db.session.scalar(select(condition).where(Recipient.id == person.id)))


def to_remind(campaign: Campaign, which: str) -> Count:
    """Count whom `remind` would write to."""
    return _count(campaign, "remind", bulk_operations.to_remind(Recipient, which))


def next_number(campaign_id: int) -> int:
    """Return the number the next reminder of a campaign will have: whoever presses says which one is meant."""
    last = db.session.scalar(select(func.max(Reminder.number)).where(Reminder.campaign_id == campaign_id))
    return (last or 0) + 1


def resend(campaign_id: int, *, user_id: int) -> int:
    """Let those wait again whom no SMS reached, but for those the provider refused for good; return their number.

    Raises Refused. Commits.
    """
    campaign = _locked(campaign_id)
    count = to_resend(campaign).people
    return _send(campaign, "resend", count, detail={"again": "undelivered"}, user_id=user_id)


def remind(
    campaign_id: int, which: str, *, user_id: int, number: int, sms_text: str = "", manager: bool = False
) -> int:
    """Send everybody of `which` (a key of WHICH) another SMS with the same link.

    Returns their number.

    `number` is what `next_number` said when this was offered: a second press, or another clerk's, is refused.
    `sms_text` is this reminder's own text, the campaign's where it is empty. To more people than the company lets go
    without approval only a `manager` sends one. Raises Refused. Commits.
    """
    campaign = _locked(campaign_id)
    if number != next_number(campaign_id):
        _refuse([_REMINDED()])
    count = to_remind(campaign, which).people
    if not manager and lifecycle.is_above_approval(campaign, count):
        _refuse([_NEEDS_MANAGER(above=campaign.tenant.approval_above or 0)])
    words = sms_text.strip() or campaign.sms_text
    if words != campaign.sms_text:
        _refuse(preflight.reminder_problems(campaign, words))
    _refuse([] if count else [_NOBODY()])
    reminder = Reminder(
        tenant_id=campaign.tenant_id,
        campaign_id=campaign_id,
        number=number,
        which=which,
        sms_text=words,
        people=count,
        created_by=user_id,
    )
    db.session.add(reminder)
    db.session.flush()
    detail = {"again": which, "reminder": number}
    return _send(campaign, "remind", count, which=which, detail=detail, user_id=user_id, reminder_id=reminder.id)


def to_renew(person: Of[Recipient]) -> ColumnElement[bool]:
    """Return the condition that a link ended before its person used it, and that another SMS may make it live anew.

    Whoever used their link never gets the same message again.
    """
    return and_(
        person.link_expires_at <= func.now(),
        person.page_state.in_((PageState.UNOPENED, PageState.EXPIRED)),
        person.opened_at.is_(None),
        person.pay_started_at.is_(None),
        person.retry_at.is_(None),
        or_(
            person.sms_state.in_((SmsState.ACCEPTED, SmsState.DELIVERED)),
            and_(person.sms_state == SmsState.UNDELIVERED, bulk_operations.to_resend(person)),
        ),
        not_(bulk_operations.unwanted(person)),
    )


def may_renew(person: Recipient) -> bool:
    """Return whether this person's link ended unused, in a campaign that may still send."""
    if person.campaign.state == CampaignState.CANCELLED:
        return False
    return bool(db.session.scalar(select(to_renew(Recipient)).where(Recipient.id == person.id)))


def renew_problems(person: Recipient) -> list[Problem]:
    """Return what keeps one person from being sent to again by `renew`."""
    return problems(person.campaign) or ([] if may_renew(person) else [_NOT_RENEWED()])


def renew(recipient_id: int, *, user_id: int) -> None:
    """Send one person the same SMS again, whose link ended unused: it brings the link a new end.

    It keeps to the hours, caps and rates as every SMS does. Raises Refused. Commits.
    """
    campaign = _locked(db.session.get_one(Recipient, recipient_id).campaign_id)
    parts = locks.lock_slices_of(db.session, campaign.id, [recipient_id])
    fits = db.session.scalar(
        select(to_renew(Recipient)).where(Recipient.id == recipient_id).with_for_update(key_share=True)
    )
    actor, steps = f"user:{user_id}", [Step(recipient_id, datetime.now(UTC), {"again": "renewed"})] if fits else []
    if not move(db.session, SMS, SmsState.QUEUED, steps, actor=actor):
        _refuse([_NOT_RENEWED()])
    leases.go_on(db.session, parts, campaign.id, actor=actor)
    audit.record(db.session, actor=actor, act="renew_link", target=f"recipient:{recipient_id}")
    db.session.commit()
    queues.enqueue("jobs.delivery.send", once=True)


def unpaid_after_all(recipient_id: int, *, actor: str) -> bool:
    """Let someone wait again who got no SMS because they counted as paid, which was taken back (消込の取消).

    Says whether they do. Commits.
    """
    campaign = locks.locked_campaign(db.session.get_one(Recipient, recipient_id).campaign_id)
    parts = locks.lock_slices_of(db.session, campaign.id, [recipient_id])
    never_sent = db.session.scalar(
        select(and_(Recipient.sms_attempt == 0, not_(bulk_operations.unwanted(Recipient))))
        .where(Recipient.id == recipient_id)
        .with_for_update(key_share=True)
    )
    steps = [Step(recipient_id, datetime.now(UTC))] if never_sent and campaign.state != CampaignState.CANCELLED else []
    if not move(db.session, SMS, SmsState.QUEUED, steps, actor=actor, sources=[SmsState.CANCELLED]):
        db.session.rollback()
        return False
    leases.go_on(db.session, parts, campaign.id, actor=actor)
    db.session.commit()
    queues.enqueue("jobs.delivery.send", once=True)
    return True


def _locked(campaign_id: int) -> Campaign:
    campaign = locks.locked_campaign(campaign_id)
    _refuse(problems(campaign))
    return campaign


def _send(
    campaign: Campaign,
    act: str,
    count: int,
    *,
    detail: dict[str, Any],
    user_id: int,
    which: str = "",
    reminder_id: int | None = None,
) -> int:
    _refuse([] if count else [_NOBODY()])
    actor = f"user:{user_id}"
    tenant_id, campaign_id = campaign.tenant_id, campaign.id
    bulk_operations.begin(campaign, act, total=count, actor=actor, which=which, detail=detail, reminder_id=reminder_id)
    told = {**detail, "people": count}
    move_campaign(db.session, campaign_id, CampaignState.SENDING, at=datetime.now(UTC), actor=actor, detail=told)
    audit.record(db.session, actor=actor, act=act, target=f"campaign:{campaign_id}", detail=told)
    db.session.commit()
    bulk_operations.go(tenant_id, campaign_id, count)
    return count


def _count(campaign: Campaign, kind: str, condition: ColumnElement[bool]) -> Count:
    recently = func.count().filter(Recipient.sent_at > datetime.now(UTC) - _RECENTLY)
    row = db.session.execute(
        select(func.count(), recently)
        .select_from(Recipient)
        .where(
            Recipient.campaign_id == campaign.id,
            Recipient.sms_state.in_(bulk_operations.SOURCES[kind]),
            condition,
        )
    ).one()
    return Count(*row)


def _refuse(found: list[Problem]) -> None:
    if found:
        db.session.rollback()
        raise Refused(*found)
