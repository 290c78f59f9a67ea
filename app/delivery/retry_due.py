"""Put recipients back into their slice once their next try is due (`app.delivery.retry_schedule` planned it)."""

from datetime import UTC, datetime

from sqlalchemy import text

from app import queues, tenancy
from app.accounts import Unusable
from app.campaigns.bulk_operations import unwanted
from app.db import in_text
from app.delivery import send_context
from app.delivery.leases import Range
from app.models import Recipient
from app.states import locks, reached
from app.states.transitions import Step, move, move_campaign
from app.states.vocabulary import SMS, CampaignState, SmsState
from app.vault import CannotOpen

_UNWANTED = in_text(unwanted, Recipient)


def wake() -> None:
    """Let the tenant's people wait again whose next try has come. Commits."""
    with tenancy.transaction() as connection:
        rows = connection.execute(
            text("""
                SELECT DISTINCT s.id, s.tenant_id, s.campaign_id, s.first_id, s.last_id, s.fence
                FROM recipient r JOIN slice s ON s.campaign_id = r.campaign_id AND r.id BETWEEN s.first_id AND s.last_id
                WHERE r.retry_at <= now() ORDER BY s.id
            """)
        )
        parts = [Range(*row) for row in rows]
    if sum(_wake(part) for part in parts):
        queues.enqueue("jobs.delivery.send", once=True)


def _wake(part: Range) -> int:
    """Wake the people of one slice, but not those who were reached, paid, or need their reminder no more.

    Returns how many wait.
    """
    try:
        may_leave = send_context.opens_at(send_context.route(part.campaign_id), datetime.now(UTC)) is not None
    except (Unusable, CannotOpen):
        may_leave = True  # whoever waits for an account waits
    with tenancy.transaction() as connection:
        values = {"campaign_id": part.campaign_id, "first_id": part.first_id, "last_id": part.last_id}
        state = locks.lock_campaign(connection, part.campaign_id)
        locks.lock_slice(connection, part.slice_id)
        rows = connection.execute(
            text(f"""
                SELECT id, sms_attempt, {_UNWANTED} AS unwanted
                FROM recipient
                WHERE campaign_id = :campaign_id AND id BETWEEN :first_id AND :last_id AND retry_at <= now()
                ORDER BY id FOR NO KEY UPDATE
            """),  # noqa: S608 - our own words
            values,
        ).all()
        ids = [row.id for row in rows]
        now = datetime.now(UTC)
        had = reached.spare(connection, "id = ANY(:ids)", {"ids": ids}, at=now)
        connection.execute(text("UPDATE recipient SET retry_at = NULL WHERE id = ANY(:ids)"), {"ids": ids})
        if not may_leave or state == CampaignState.CANCELLED:
            return 0
        again = [row for row in rows if not row.unwanted and row.id not in had]
        steps = [Step(row.id, now, {"attempt": row.sms_attempt, "again": "retry"}) for row in again]
        moved = move(connection, SMS, SmsState.QUEUED, steps, actor="system", sources=[SmsState.UNDELIVERED])
        if moved:
            connection.execute(
                text("UPDATE slice SET due_at = coalesce(due_at, now()) WHERE id = :id"), {"id": part.slice_id}
            )
            if state == CampaignState.COMPLETED:
                move_campaign(connection, part.campaign_id, CampaignState.SENDING, at=now, actor="system")
        return len(moved)
