"""Plan a campaign from hours, start, deadline and rate: when it begins, when it is done, what stands in the way."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.accounts import abilities
from app.campaigns.send_windows import Policy, at_night, expected_finish, policy_of
from app.models import Campaign
from app.problems import Kind, Problem
from app.values.japan_time import japan_minutes

# SMS a second that are counted on where an account has no limit of its own
_USUAL_RATE = 200
# openings that are looked at for one that is long enough: a week's
_OPENINGS = 8

NIGHT = "夜間・早朝（21:00〜8:00）"

_LINK_ENDED = Kind("link_ended", "リンクの有効期限が過ぎています。新しい日時にしてください。")
_LINK_ENDS_BEFORE = Kind(
    "link_ends_before_sending",
    "送信が始まる{begins_at}には、リンクの有効期限が過ぎています。有効期限か開始日時を見直してください。",
)
_NO_HOURS = Kind(
    "send_window_empty", "送信できる時間帯がありません。会社の送信時間帯と重なるように、送信時間帯を変えてください。"
)
_HOURS_TOO_SHORT = Kind(
    "send_window_shorter_than_delivery",
    "この送信サービスではSMSに配信の期限を付けられず、携帯電話会社が最長{minutes}分、配信を試みます。送信時間帯がそれより"
    "短いため、送信できません。送信時間帯を広げるか、ほかのSMSアカウントを選んでください。",
)
_DEADLINE_OVER = Kind("deadline_over", "送信の締切が過ぎています。新しい日時にしてください。")
_NO_HOURS_BEFORE_DEADLINE = Kind(
    "deadline_before_send_window",
    "締切の{deadline_at}までに送信できる時間帯がありません。開始日時・締切・送信時間帯を見直してください。",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """When a campaign would be sent.

    `begins_at` and `finishes_at` are aware UTC; None: never, not all of it.
    """

    policy: Policy
    begins_at: datetime | None
    finishes_at: datetime | None


def plan(campaign: Campaign, people: int, now: datetime, *, rate: float | None = None) -> Plan:
    """Return when a campaign that is launched now begins, and when `people` SMS will have left if nothing fails.

    `rate` is SMS a second as seen; without it, what the account allows.
    """
    policy = policy_of(campaign, campaign.tenant)
    start = max(now, campaign.starts_at or now)
    account = campaign.sms_account
    rate = rate or (abilities.rate_of(account) if account else None) or _USUAL_RATE
    finish = expected_finish(policy, start, people, rate, campaign.tenant.daily_cap)
    return Plan(policy, policy.next_opening(start), finish)


def leaves_at(campaign: Campaign, due: datetime, now: datetime) -> datetime | None:
    """Return when an SMS leaves that is due by itself at `due`; None for never: hours, deadline or link are over."""
    opening = policy_of(campaign, campaign.tenant).next_opening(max(due, now))
    dead = opening is not None and campaign.link_until is not None and campaign.link_until <= opening
    return None if dead else opening


def leaves_at_night(campaign: Campaign, now: datetime) -> bool:
    """Return whether an SMS that is sent now would leave now, and at night."""
    return at_night(policy_of(campaign, campaign.tenant), now, now)


def problems(campaign: Campaign, now: datetime) -> list[Problem]:
    """Return what keeps a campaign launched now from ever being sent."""
    policy = policy_of(campaign, campaign.tenant)
    begins = policy.next_opening(max(now, campaign.starts_at or now))
    if campaign.link_until is not None and campaign.link_until <= now:
        return [_LINK_ENDED()]
    if campaign.link_until is not None and begins is not None and campaign.link_until <= begins:
        return [_LINK_ENDS_BEFORE(begins_at=japan_minutes(begins))]
    if begins is not None:
        return too_short(campaign, policy, begins)
    if campaign.deadline_at is None:
        return [_NO_HOURS()]
    if campaign.deadline_at <= now:
        return [_DEADLINE_OVER()]
    return [_NO_HOURS_BEFORE_DEADLINE(deadline_at=japan_minutes(campaign.deadline_at))]


def too_short(campaign: Campaign, policy: Policy, begins: datetime) -> list[Problem]:
    """Return the problem of hours that end before the carriers of a message without an end do."""
    if campaign.sms_account is None:
        return []
    lead = abilities.lead_time(abilities.of(campaign.sms_account))
    if _ever_open_for(policy, begins, lead):
        return []
    return [_HOURS_TOO_SHORT(minutes=math.ceil(lead.total_seconds() / 60))]


def _ever_open_for(policy: Policy, begins: datetime, lead: timedelta) -> bool:
    """Return whether some opening from `begins` on is longer than `lead`."""
    opening: datetime | None = begins
    for _ in range(_OPENINGS):
        ends = policy.ends_at(opening) if opening is not None else None
        if opening is None or ends is None:
            return False
        if opening + lead < ends:
            return True
        opening = policy.next_opening(ends)
    return False


def warnings(campaign: Campaign, people: int, now: datetime) -> list[str]:
    """Explain in Japanese what will go otherwise than one might think."""
    found = []
    planned = plan(campaign, people, now)
    if campaign.deadline_at is not None and planned.begins_at is not None and planned.finishes_at is None:
        found.append(
            "締切までに全件を送り終えられない見込みです。送り残した分は「期限切れ」になります。"
            "締切を延ばすか、件数を分けてください。"
        )
    until = campaign.link_until
    if until is not None and planned.finishes_at is not None and until <= planned.finishes_at:
        found.append("送り終わる前にリンクの有効期限が来る見込みです。間に合わない分は送信されません。")
    begins = planned.begins_at
    if begins is not None and at_night(planned.policy, begins, planned.finishes_at or campaign.deadline_at or begins):
        found.append(
            f"{NIGHT}にもSMSが届く見込みです。急がないときは、「送信を始める日時」か「送信時間帯」を変えてください。"
        )
    return found
