"""To end one person's link, which went to a stranger perhaps: an act of staff, on record, for good."""

from datetime import datetime

from app import audit
from app.extensions import db
from app.tracking.moves import Step, move
from app.tracking.states import PAGE, SMS, PageState, SmsState

CODE = "revoked"


def revoke(recipient_id: int, *, actor: str, at: datetime) -> bool:
    """End a link, and what still waits to be sent with it. Commits. Says whether the link had not been ended before."""
    if not move(db.session, PAGE, PageState.REVOKED, [Step(recipient_id, at)], actor=actor):
        db.session.rollback()
        return False
    waits = [Step(recipient_id, at, {"code": CODE})]
    move(db.session, SMS, SmsState.CANCELLED, waits, actor=actor, sources=[SmsState.DRAFT, SmsState.QUEUED])
    audit.record(db.session, actor=actor, act="revoke_link", target=f"recipient:{recipient_id}")
    db.session.commit()
    return True
