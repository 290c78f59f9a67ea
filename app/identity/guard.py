"""Breaks a campaign's checks off when far more answers are wrong than people mistype.

In: a campaign in which answers were wrong. Out: nothing, or a campaign that takes no answers, sends nothing more and
says so to its company, until staff resume it. Can't happen here: guessing that goes on over many links unseen (a stolen
list of links), a whole list locked out because its answers stand in the wrong column.
"""

from datetime import UTC, datetime

import structlog
from sqlalchemy import Connection, text

from app import audit, tenancy
from app.campaigns import lifecycle
from app.config import settings
from app.extensions import db
from app.states.transitions import note

# events that are judged: the latest of the last hour's openings, wrong answers and locks; enough to tell, and soon
# counted
_SAMPLE = 2000
# so many of a hundred people may end locked before many locks are too many
_LOCKED_PERCENT = 10

# an answer that was right since has set failed_attempts to 0
_COUNT = text("""
    SELECT count(DISTINCT e.recipient_id) AS people,
           count(DISTINCT e.recipient_id) FILTER (WHERE r.failed_attempts > 0) AS failing,
           count(DISTINCT e.recipient_id) FILTER (WHERE e.state = 'locked' AND r.page_state = 'locked') AS locked
    FROM (
        SELECT e.recipient_id, e.state
        FROM event e JOIN campaign c ON c.id = e.campaign_id
        WHERE e.campaign_id = :id AND e.track = 'page' AND e.state IN ('opened', 'wrong_answer', 'locked')
        AND e.at > greatest(CAST(:now AS timestamptz) - interval '1 hour', c.checks_watched_from)
        ORDER BY e.at DESC LIMIT :sample
    ) e JOIN recipient r ON r.id = e.recipient_id
""")

_log = structlog.get_logger()


def watch(tenant_id: int, campaign_id: int) -> bool:
    """Break the campaign off if too many fail; return whether this call did.

    Commits. The tenant's scope must be open.
    """
    now = datetime.now(UTC)
    with tenancy.transaction() as connection:
        count = connection.execute(_COUNT, {"id": campaign_id, "now": now, "sample": _SAMPLE}).one()
        if not _far_above(count.people, count.failing, count.locked):
            return False
        detail = {"people": count.people, "failing": count.failing, "locked": count.locked}
        if not _stop(connection, tenant_id, campaign_id, now, detail):
            return False
    _log.error("identity checks stopped", tenant_id=tenant_id, campaign_id=campaign_id, **detail)
    return True


def _far_above(people: int, failing: int, locked: int) -> bool:
    many_locked = locked >= settings().guard_locked and locked * 100 >= people * _LOCKED_PERCENT
    many_failing = people >= settings().guard_people and failing * 100 >= people * settings().guard_failing_percent
    return many_locked or many_failing


def _stop(connection: Connection, tenant_id: int, campaign_id: int, now: datetime, detail: dict[str, int]) -> bool:
    stopped = connection.execute(
        text("UPDATE campaign SET checks_stopped_at = :now WHERE id = :id AND checks_stopped_at IS NULL RETURNING id"),
        {"id": campaign_id, "now": now},
    ).first()
    if stopped is None:
        return False
    note(
        connection,
        "campaign",
        "checks_stopped",
        tenant_id=tenant_id,
        campaign_id=campaign_id,
        recipient_id=None,
        at=now,
        actor="system",
        detail=detail,
    )
    lifecycle.hold_back(connection, campaign_id, at=now, actor="system", detail=detail)
    return True


def resume(tenant_id: int, campaign_id: int, *, user_id: int) -> bool:
    """Take answers again, and judge from now on.

    Returns whether they were stopped. Commits. Sending stays paused.
    """
    now, actor = datetime.now(UTC), f"user:{user_id}"
    resumed = db.session.execute(
        text("""
            UPDATE campaign SET checks_stopped_at = NULL, checks_watched_from = :now
            WHERE id = :id AND checks_stopped_at IS NOT NULL RETURNING id
        """),
        {"id": campaign_id, "now": now},
    ).first()
    if resumed is None:
        db.session.rollback()
        return False
    note(
        db.session.connection(),
        "campaign",
        "checks_resumed",
        tenant_id=tenant_id,
        campaign_id=campaign_id,
        recipient_id=None,
        at=now,
        actor=actor,
    )
    audit.record(db.session, actor=actor, act="resume_checks", target=f"campaign:{campaign_id}")
    db.session.commit()
    return True
