"""To let a person who gave too many wrong answers try again: an act of staff, on record."""

from datetime import datetime

from sqlalchemy import text

from app import audit
from app.extensions import db
from app.states.transitions import Step, move
from app.states.vocabulary import PAGE, PageState


def unlock(recipient_id: int, *, actor: str, at: datetime) -> bool:
    """Ask a locked person the questions again, with no failure counted.

    Commits. Returns whether it was locked.
    """
    watch_end(recipient_id)
    moved = move(
        db.session,
        PAGE,
        PageState.OPENED,
        [Step(recipient_id, at, columns={"failed_attempts": 0})],
        actor=actor,
        sources=[PageState.LOCKED],
    )
    if not moved:
        db.session.rollback()
        return False
    audit.record(db.session, actor=actor, act="unlock", target=f"recipient:{recipient_id}")
    db.session.commit()
    return True


def watch_end(recipient_id: int) -> None:
    """Have somebody look for the end of a link that is opened again, in the session's transaction.

    Nobody does while it is locked or ended (`app.delivery.link_expiry`). The slice is locked before its people, as
    elsewhere.
    """
    db.session.execute(
        text("""
            UPDATE slice s SET links_end_at = least(s.links_end_at, r.link_expires_at) FROM recipient r
            WHERE r.id = :id AND s.campaign_id = r.campaign_id AND r.id BETWEEN s.first_id AND s.last_id
        """),
        {"id": recipient_id},
    )
