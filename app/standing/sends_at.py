"""From when on the SMS of somebody who comes now may leave: hours, holidays, the company's cap for a day."""

from datetime import UTC, datetime

from sqlalchemy import text

from app.accounts import abilities
from app.campaigns import schedule
from app.campaigns.send_windows import Policy, policy_of
from app.delivery import daily_cap
from app.extensions import db
from app.models import Campaign


def of_waiting(campaign: Campaign) -> datetime | None:
    """Return when the SMS of whoever came last may leave; None where a person has to decide first."""
    now = datetime.now(UTC)
    if _is_held(campaign):
        return None
    policy = policy_of(campaign, campaign.tenant)
    cap = campaign.tenant.daily_cap
    if cap is not None and daily_cap.spent(db.session, campaign.tenant_id) + _waiting(campaign) > cap:
        tomorrow = schedule.leaves_at(campaign, daily_cap.tomorrow(now), now)
        return None if tomorrow is None else _with_time_to_arrive(campaign, policy, tomorrow)
    at = schedule.leaves_at(campaign, now, now)
    return None if at is None else _with_time_to_arrive(campaign, policy, at)


def _with_time_to_arrive(campaign: Campaign, policy: Policy, opening: datetime) -> datetime | None:
    """Return the first moment from `opening` on at which an SMS can still arrive before the hours end."""
    if campaign.sms_account is None:
        return None
    lead = abilities.lead_time(abilities.of(campaign.sms_account))
    at: datetime | None = opening
    while at is not None and (ends := policy.ends_at(at)) is not None and at + lead >= ends:
        at = policy.next_opening(ends)
    return at


def _is_held(campaign: Campaign) -> bool:
    if campaign.restore_hold or campaign.checks_stopped_at is not None:
        return True
    return bool(db.session.execute(text("SELECT EXISTS (SELECT FROM installation WHERE held_why <> '')")).scalar_one())


def _waiting(campaign: Campaign) -> int:
    """Count those of the newest slice who wait."""
    found: int = db.session.execute(
        text("""
            SELECT count(*) FROM recipient WHERE campaign_id = :id AND sms_state = 'queued'
            AND id >= (SELECT max(first_id) FROM slice WHERE campaign_id = :id)
        """),
        {"id": campaign.id},
    ).scalar_one()
    return found
