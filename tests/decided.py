"""A manager's word about one held person, as the person's page takes it."""

from datetime import UTC, datetime

from app.delivery.held_selection import Chosen
from app.extensions import db
from app.models import Recipient
from app.outcomes import manual_decisions
from app.outcomes.manual_decisions import Verdict


def decide(person_id: int, verdict: Verdict, *, user_id: int) -> bool:
    """Return whether the word was taken."""
    campaign_id = db.session.get_one(Recipient, person_id).campaign_id
    chosen = Chosen(datetime.now(UTC), ids=[person_id])
    return manual_decisions.decide(campaign_id, verdict, chosen, user_id=user_id).people == 1


def settle(person_id: int, *, as_sent: bool, user_id: int) -> bool:
    """Return whether an SMS of unknown fate counts as sent now, or is sent again."""
    return decide(person_id, Verdict.SENT if as_sent else Verdict.AGAIN, user_id=user_id)
