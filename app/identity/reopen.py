"""To open a link again that its person's own word ended (「心当たりがない」): an act of staff, on record."""

from datetime import datetime

from sqlalchemy import select

from app import audit
from app.extensions import db
from app.identity.unlock import watch_end
from app.models import Event, Recipient, SuppressionProposal
from app.states.transitions import Step, move
from app.states.vocabulary import PAGE, PageState
from app.suppression import proposals


def is_disowned(person: Recipient) -> bool:
    """Return whether a person's link was ended by 「心当たりがない」, and by nobody of the company."""
    if person.page_state != PageState.REVOKED:
        return False
    ended = (
        select(Event.actor)
        .where(Event.recipient_id == person.id, Event.track == PAGE.name, Event.state == PageState.REVOKED)
        .order_by(Event.id.desc())
        .limit(1)
    )
    return db.session.scalar(ended) == "person"


def reopen(recipient_id: int, *, actor: str, at: datetime) -> bool:
    """Let a disowned link be opened as before, and leave its number off the list where no clerk has decided yet.

    Commits. Returns whether it was disowned. An SMS that didn't leave for it doesn't leave now either.
    """
    watch_end(recipient_id)
    person = db.session.get_one(
        Recipient, recipient_id, with_for_update={"key_share": True, "of": Recipient}, populate_existing=True
    )
    steps = [Step(recipient_id, at)] if is_disowned(person) else []
    if not move(db.session, PAGE, PageState.UNOPENED, steps, actor=actor, sources=[PageState.REVOKED]):
        db.session.rollback()
        return False
    audit.record(db.session, actor=actor, act="reopen_link", target=f"recipient:{recipient_id}")
    proposed = db.session.scalar(
        select(SuppressionProposal.id)
        .where(
            SuppressionProposal.recipient_id == recipient_id,
            SuppressionProposal.source == proposals.PERSON,
            SuppressionProposal.settled_at.is_(None),
        )
        .with_for_update(key_share=True)
    )
    if proposed is not None:
        proposals.dismiss(proposed, actor=actor)
    db.session.commit()
    return True
