"""To let a person who gave too many wrong answers try again: an act of staff, on record."""

from datetime import datetime

from app import audit
from app.extensions import db
from app.tracking.moves import Step, move
from app.tracking.states import PAGE, PageState


def unlock(recipient_id: int, *, actor: str, at: datetime) -> bool:
    """Ask a locked person the questions again, with no failure counted. Commits. Says whether it was locked."""
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
