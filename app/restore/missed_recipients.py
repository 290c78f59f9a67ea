"""People to whom an SMS left that a restored database forgot: held until a manager says otherwise.

In: a campaign and who releases it. Out: its people wait again, on record. Can't happen here: a release that nobody
answers for.
"""

from datetime import UTC, datetime

from sqlalchemy import text

from app import audit, queues
from app.extensions import db
from app.models import Campaign
from app.setback.missed_numbers import count
from app.states import locks, result_codes
from app.states.transitions import Only, move_all, move_campaign
from app.states.vocabulary import CampaignState, SmsState


def release(campaign_id: int, *, user_id: int, reason: str) -> bool:
    """Let a campaign be sent that waits after a restore, and its people whose numbers are held. Commits.

    Returns whether anything was held. One that isn't launched yet may get another list: it is held at its launch.
    """
    campaign = locks.locked_campaign(campaign_id)
    if campaign.state == CampaignState.CANCELLED:
        db.session.rollback()
        return False
    now, actor = datetime.now(UTC), f"user:{user_id}"
    people = count(campaign)
    held = campaign.restore_hold if campaign.launched_at is not None else ""
    if not people and not held:
        db.session.rollback()
        return False
    if held:
        campaign.restore_hold = ""
    db.session.flush()
    _release_numbers(campaign, now, actor)
    waiting = _let_wait_again(campaign_id, now, actor)
    audit.record(
        db.session,
        actor=actor,
        act="release_restored",
        target=f"campaign:{campaign_id}",
        detail={"people": people, "waiting": waiting, "hold": held, "reason": reason},
    )
    db.session.commit()
    queues.enqueue("jobs.delivery.send", once=True)
    return True


def _release_numbers(campaign: Campaign, now: datetime, actor: str) -> None:
    db.session.execute(
        text("""
            UPDATE missed_message SET released_at = :now, released_by = :actor
            WHERE id IN (
                SELECT m.id FROM missed_message m WHERE m.released_at IS NULL AND m.tenant_id = :tenant_id
                AND EXISTS (SELECT FROM recipient r WHERE r.campaign_id = :id AND r.phone_index = m.phone_index)
                ORDER BY m.id FOR NO KEY UPDATE
            )
        """),
        {"now": now, "actor": actor, "tenant_id": campaign.tenant_id, "id": campaign.id},
    )


def _let_wait_again(campaign_id: int, now: datetime, actor: str) -> int:
    """Queue the campaign's people of whom the restored database knew nothing.

    Returns how many.
    """
    locks.lock_slices(db.session, campaign_id)
    only = Only("sms_code = :code", {"code": result_codes.RESTORED})
    waiting = move_all(
        db.session,
        SmsState.QUEUED,
        campaign_id=campaign_id,
        sources=[SmsState.CANCELLED],
        at=now,
        actor=actor,
        only=only,
    )
    if waiting:
        db.session.execute(text("UPDATE slice SET due_at = now() WHERE campaign_id = :id"), {"id": campaign_id})
        move_campaign(
            db.session, campaign_id, CampaignState.SENDING, at=now, actor=actor, source=CampaignState.COMPLETED
        )
    return waiting
