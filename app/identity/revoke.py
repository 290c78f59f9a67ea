"""To end one person's link, which went to a stranger perhaps: an act of staff, on record, for good."""

from datetime import datetime

from app import audit
from app.extensions import db
from app.models import Recipient
from app.states import release, result_codes
from app.states.transitions import Only, Step, move
from app.states.vocabulary import PAGE, PageState


def revoke(recipient_id: int, *, actor: str, at: datetime) -> bool:
    """End a link, and what still waits to be sent with it.

    Commits. Returns whether the link had not been ended before.
    """
    if not move(db.session, PAGE, PageState.REVOKED, [Step(recipient_id, at)], actor=actor):
        db.session.rollback()
        return False
    campaign_id = db.session.get_one(Recipient, recipient_id).campaign_id
    one = Only("id = :id", {"id": recipient_id})
    release.let_go(db.session, result_codes.REVOKED, campaign_id=campaign_id, at=at, actor=actor, only=one)
    audit.record(db.session, actor=actor, act="revoke_link", target=f"recipient:{recipient_id}")
    db.session.commit()
    return True
