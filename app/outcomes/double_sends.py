"""SMS that left twice, as their provider has them: nobody can take one back, so a manager is told.

In: what a provider says of attempts. Out: a row for each attempt that it has as several messages, an event on the
person, and once a manager has asked the provider and told the person, the end of it. Can't happen here: the same one
told of twice, or forgotten because a later report stands in its place.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import Connection, Row, text

from app import audit
from app.delivery.send_log import AttemptReport
from app.extensions import db
from app.models import DoubledMessage
from app.states.transitions import note
from app.states.vocabulary import SMS

CODE = "duplicate"
_TWICE = 2

_log = structlog.get_logger()


def keep(connection: Connection, told: Sequence[AttemptReport], attempts: Mapping[tuple[int, int], Row[Any]]) -> None:
    """Keep what is told of attempts under more than one of the provider's ids; `attempts` are their rows so far."""
    found: dict[tuple[int, int], list[AttemptReport]] = defaultdict(list)
    for item in told:
        found[item.recipient_id, item.attempt].append(item)
    for key in sorted(found.keys() & attempts.keys()):
        row, item = attempts[key], found[key][0]
        names = {one.report.provider_id for one in found[key]} | ({row.provider_id} - {None})
        copies = max(len(names), *(one.report.copies for one in found[key]))
        if copies < _TWICE:
            continue
        is_new = connection.scalar(
            text("""
                INSERT INTO doubled_message (tenant_id, campaign_id, recipient_id, attempt, copies)
                VALUES (:tenant_id, :campaign_id, :recipient_id, :attempt, :copies)
                ON CONFLICT (recipient_id, attempt) DO UPDATE
                SET copies = greatest(doubled_message.copies, excluded.copies)
                RETURNING xmax = 0
            """),
            {
                "tenant_id": row.tenant_id,
                "campaign_id": row.campaign_id,
                "recipient_id": item.recipient_id,
                "attempt": item.attempt,
                "copies": copies,
            },
        )
        if is_new:
            _log.error("duplicate message at provider", recipient_id=item.recipient_id)
            note(
                connection,
                SMS.name,
                CODE,
                tenant_id=row.tenant_id,
                campaign_id=row.campaign_id,
                recipient_id=item.recipient_id,
                at=item.at,
                actor="provider",
                detail={"attempt": item.attempt},
            )


def settle(recipient_id: int, *, user_id: int) -> bool:
    """Take a manager's word that a person who got an SMS twice was told.

    Commits. Returns whether there was any.
    """
    actor = f"user:{user_id}"
    changed = (
        db.session.query(DoubledMessage)
        .filter(DoubledMessage.recipient_id == recipient_id, DoubledMessage.settled_at.is_(None))
        .update({"settled_at": datetime.now(UTC), "settled_by": actor}, synchronize_session=False)
    )
    if changed:
        audit.record(db.session, actor=actor, act="settle_doubled", target=f"recipient:{recipient_id}")
    db.session.commit()
    return bool(changed)
