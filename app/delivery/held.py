"""Messages whose fate the provider can't tell: held until a person decides whether they count as sent.

Nothing is guessed and nothing sent again by itself. A message is held when a day of look-ups gave no clear answer, once
it has settled where the provider has no look-up, and when it was accepted but never told of again
(`app.delivery.silence`). The machine goes on asking meanwhile, and a receipt still settles it.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from app import audit, queues
from app.accounts import Unusable, for_sms
from app.config import settings
from app.delivery import log, slices
from app.extensions import db
from app.models import Campaign, Recipient
from app.sms import PROVIDERS
from app.tracking import codes
from app.tracking.moves import Step, move
from app.tracking.reached import REACHED_R
from app.tracking.states import SMS, CampaignState, SmsState
from app.vault import CannotOpen

_ASKED_FOR = timedelta(hours=24)


_HELD = f"""
    FROM recipient r JOIN send_log l ON l.recipient_id = r.id AND l.attempt = r.sms_attempt
    WHERE r.tenant_id = :tenant_id AND r.unknown_at IS NOT NULL
    AND r.campaign_id = :campaign_id AND r.sms_state = 'unknown'
    AND coalesce(l.answered_at, l.started_at) <= :asked_since AND NOT {REACHED_R}
"""


def count(campaign: Campaign) -> int:
    """Count the campaign's people about whom somebody has to decide."""
    values = {**_of(campaign), "asked_since": _asked_since(campaign)}
    return int(db.session.execute(text(f"SELECT count(*) {_HELD}"), values).scalar_one())


def unknown(campaign: Campaign) -> int:
    """Count the campaign's people whose SMS has no known outcome, held ones too; through an index, at any time."""
    statement = """
        SELECT count(*) FROM recipient WHERE tenant_id = :tenant_id AND unknown_at IS NOT NULL
        AND campaign_id = :campaign_id AND sms_state = 'unknown'
    """
    return int(db.session.execute(text(statement), _of(campaign)).scalar_one())


def _of(campaign: Campaign) -> dict[str, object]:
    return {"tenant_id": campaign.tenant_id, "campaign_id": campaign.id}


def is_held(person: Recipient) -> bool:
    """Say whether somebody has to decide about this person."""
    if person.sms_state != SmsState.UNKNOWN:
        return False
    values = {**_of(person.campaign), "asked_since": _asked_since(person.campaign), "id": person.id}
    return db.session.execute(text(f"SELECT 1 {_HELD} AND r.id = :id"), values).first() is not None


def settle_unknown(recipient_id: int, *, as_sent: bool, user_id: int) -> bool:
    """Take a person's word for a held message: it counts as sent, or it is sent again, whatever that may double.

    Says whether it was: it may have been settled meanwhile, and nobody of a cancelled campaign is written to. Commits.
    """
    person = db.session.get_one(Recipient, recipient_id, populate_existing=True)
    campaign_id, asked_since = person.campaign_id, _asked_since(person.campaign)
    values = {**_of(person.campaign), "asked_since": asked_since, "id": recipient_id}
    # campaign, slice, people: the order in which all are locked
    state = db.session.execute(
        text("SELECT state FROM campaign WHERE id = :campaign_id FOR NO KEY UPDATE"), values
    ).scalar_one()
    slice_id = slices.lock_of(db.session, campaign_id, recipient_id)
    attempt = db.session.execute(
        text(f"SELECT r.sms_attempt {_HELD} AND r.id = :id FOR NO KEY UPDATE OF r"),
        values,
    ).scalar()
    # who was never sent to stands in no slice and is not held either
    if attempt is None or (state == CampaignState.CANCELLED and not as_sent):
        db.session.rollback()
        return False
    now = datetime.now(UTC)
    actor = f"user:{user_id}"
    to, code = (SmsState.ACCEPTED, codes.AS_SENT) if as_sent else (SmsState.QUEUED, codes.AGAIN)
    step = Step(recipient_id, now, {"attempt": attempt, "code": code}, {"sms_code": code})
    move(db.session, SMS, to, [step], actor=actor, sources=[SmsState.UNKNOWN])
    connection = db.session.connection()
    if as_sent:
        log.end(connection, [log.Ended(recipient_id, attempt, SmsState.ACCEPTED, code, now)])
    else:
        # what became of the earlier attempt stays unknown: that is the truth
        slices.go_on(db.session, slice_id, campaign_id, actor=actor)
    audit.record(
        db.session,
        actor=actor,
        act="settle_as_sent" if as_sent else "settle_again",
        target=f"recipient:{recipient_id}",
        detail={"attempt": attempt},
    )
    db.session.commit()
    if as_sent:
        slices.complete(campaign_id)
    else:
        queues.enqueue("jobs.delivery.send", once=True)
    return True


def _asked_since(campaign: Campaign) -> datetime:
    """Say since when a message must be unknown to be held: nobody waits for a look-up the provider doesn't have."""
    asked_for = _ASKED_FOR
    account = campaign.sms_account
    try:
        if account is not None and PROVIDERS[account.provider].lookup(for_sms(account), "") is None:
            asked_for = timedelta(seconds=settings().unknown_settle_s)
    except (Unusable, CannotOpen):
        pass  # it may be usable again before the day is over
    return datetime.now(UTC) - asked_for
