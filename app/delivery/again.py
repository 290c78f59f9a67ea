"""Writing to people of a launched campaign once more: to those it did not reach, and reminders.

Who gets what is decided in one transaction, under the lock of the campaign and all of its slices: nobody who is being
written to at that moment is chosen, and of two presses the second finds nobody or is told that there was a first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text

from app import audit, queues
from app.campaigns import lifecycle, rehearsal, timing
from app.campaigns.lifecycle import NotReady
from app.delivery import log
from app.extensions import db
from app.models import Campaign, Reminder
from app.sms import PROVIDERS
from app.tracking.moves import Only, move_all, move_campaign
from app.tracking.states import CampaignState, SmsState

WHICH: Mapping[str, str] = {"unopened": "まだ開いていない人", "unpaid": "まだ支払っていない人"}

_REACHED = (SmsState.ACCEPTED, SmsState.DELIVERED)
_RECENTLY = timedelta(hours=24)

# Who can still use the link. Who is at the payment site, or holds a slip for the convenience store, is left in peace.
_LINK_LIVES = "page_state NOT IN ('locked', 'revoked', 'expired') AND link_expires_at > :now"
_CONDITIONS = {
    "unopened": f"page_state = 'unopened' AND {_LINK_LIVES}",
    "unpaid": f"payment_state IN ('unpaid', 'failed', 'expired', 'cancelled') AND {_LINK_LIVES}",
}


@dataclass(frozen=True, slots=True)
class Count:
    """How many would be written to: `people`, of whom `recently` got an SMS within the last 24 hours."""

    people: int
    recently: int


def problems(campaign: Campaign) -> list[str]:
    """Say in Japanese what keeps a launched campaign's people from being written to again."""
    if campaign.state == CampaignState.PAUSED:
        return ["送信を一時停止しています。先に送信を再開してください。"]
    if campaign.state not in {CampaignState.SENDING, CampaignState.COMPLETED}:
        return ["この配信は送信を始めていないか、取り消されているため、送り直せません。"]
    now = datetime.now(UTC)
    return lifecycle.missing_contract(campaign) + lifecycle.missing_to_send(campaign) + timing.problems(campaign, now)


def to_resend(campaign: Campaign) -> Count:
    """Count whom `resend` would write to."""
    return _count(campaign, [SmsState.UNDELIVERED], _may_pass(campaign))


def to_remind(campaign: Campaign, which: str) -> Count:
    """Count whom `remind` would write to."""
    return _count(campaign, _REACHED, _to_remind(which, datetime.now(UTC)))


def next_number(campaign_id: int) -> int:
    """Give the number the next reminder of a campaign will have: whoever presses says which one is meant."""
    last = db.session.scalar(select(func.max(Reminder.number)).where(Reminder.campaign_id == campaign_id))
    return (last or 0) + 1


def resend(campaign_id: int, *, user_id: int) -> int:
    """Let those wait again whom no SMS reached, but for those the provider refused for good; give their number.

    Raises NotReady. Commits.
    """
    campaign = _locked(campaign_id)
    only = replace(_may_pass(campaign), detail={"again": "undelivered"})
    return _send(campaign, [SmsState.UNDELIVERED], only, act="resend", user_id=user_id)


def remind(campaign_id: int, which: str, *, user_id: int, number: int, sms_text: str = "") -> int:
    """Send everybody of `which` (a key of WHICH) another SMS with the same link; give their number.

    `number` is what `next_number` said when this was offered: a second press, or another clerk's, is refused.
    `sms_text` is this reminder's own text, the campaign's where it is empty. Raises NotReady. Commits.
    """
    campaign = _locked(campaign_id)
    if number != next_number(campaign_id):
        _refuse(["ほかの人がリマインドを送ったか、ボタンが2回押されました。いまの状況を確かめてください。"])
    words = sms_text.strip() or campaign.sms_text
    if words != campaign.sms_text:
        _refuse(rehearsal.reminder_problems(campaign, words))
    now = datetime.now(UTC)
    reminder = Reminder(
        tenant_id=campaign.tenant_id,
        campaign_id=campaign_id,
        number=number,
        which=which,
        sms_text=words,
        people=0,
        created_by=user_id,
        created_at=now,
    )
    db.session.add(reminder)
    db.session.flush()
    detail = {"again": which, "reminder": number}
    only = replace(_to_remind(which, now), detail=detail, reminder_id=reminder.id)
    return _send(campaign, _REACHED, only, act="remind", user_id=user_id, reminder=reminder)


def _locked(campaign_id: int) -> Campaign:
    """Give the campaign, locked with all of its slices: the order of locks is campaign, slices, people."""
    campaign = lifecycle.locked(campaign_id)
    _refuse(problems(campaign))
    db.session.execute(
        text("SELECT id FROM slice WHERE campaign_id = :id ORDER BY id FOR NO KEY UPDATE"), {"id": campaign_id}
    )
    return campaign


def _send(
    campaign: Campaign,
    sources: Sequence[SmsState],
    only: Only,
    *,
    act: str,
    user_id: int,
    reminder: Reminder | None = None,
) -> int:
    now = datetime.now(UTC)
    actor = f"user:{user_id}"
    campaign_id = campaign.id
    count = move_all(
        db.session, SmsState.QUEUED, campaign_id=campaign_id, sources=sources, at=now, actor=actor, only=only
    )
    if not count:
        _refuse(["いま送り直す相手はいません。"])
    if reminder is not None:
        reminder.people = count
    db.session.execute(
        text("""
            UPDATE slice s SET due_at = least(due_at, now())
            WHERE campaign_id = :id AND EXISTS (
                SELECT FROM recipient r
                WHERE r.campaign_id = s.campaign_id AND r.id BETWEEN s.first_id AND s.last_id
                AND r.sms_state = 'queued'
            )
        """),
        {"id": campaign_id},
    )
    detail = {**(only.detail or {}), "people": count}
    move_campaign(db.session, campaign_id, CampaignState.SENDING, at=now, actor=actor, detail=detail)
    audit.record(db.session, actor=actor, act=act, target=f"campaign:{campaign_id}", detail=detail)
    db.session.commit()
    queues.enqueue("jobs.delivery.send", once=True)
    return count


def _may_pass(campaign: Campaign) -> Only:
    """Choose those undelivered whom another SMS may reach: nobody whose number was refused for good."""
    account = campaign.sms_account
    passing = PROVIDERS[account.provider].passing if account else frozenset[str]()
    return Only(
        "(sms_code = ANY(:passing) OR starts_with(sms_code, :gave_up)) AND page_state <> 'revoked'",
        {"passing": sorted(passing), "gave_up": log.GAVE_UP},
    )


def _to_remind(which: str, now: datetime) -> Only:
    return Only(_CONDITIONS[which], {"now": now})


def _count(campaign: Campaign, sources: Sequence[SmsState], only: Only) -> Count:
    values: dict[str, Any] = {
        **only.values,
        "campaign_id": campaign.id,
        "sources": [str(source) for source in sources],
        "recent": datetime.now(UTC) - _RECENTLY,
    }
    row = db.session.execute(
        text(f"""
            SELECT count(*) AS people, count(*) FILTER (WHERE sent_at > :recent) AS recently FROM recipient
            WHERE campaign_id = :campaign_id AND sms_state = ANY(:sources) AND ({only.condition})
        """),  # noqa: S608 - our own words
        values,
    ).one()
    return Count(row.people, row.recently)


def _refuse(found: list[str]) -> None:
    if found:
        db.session.rollback()
        raise NotReady(found)
