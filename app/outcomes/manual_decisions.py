"""Decide about held people, one or many at once: a manager's word, under the locks that a worker takes.

In: whom the manager saw held, and when. Out: each counted as sent, sent to or not, on record, a few hundred in one
transaction. Can't happen here: a word about an attempt, or about people, that the manager didn't see; a second SMS by a
second press or by another manager (who decides second finds nobody held).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import text

from app import audit, queues
from app.delivery import leases, number_limits, send_log
from app.delivery.held_selection import Chosen
from app.extensions import db
from app.models import Campaign
from app.outcomes import manual_review
from app.states import locks, result_codes
from app.states.transitions import Step, move
from app.states.vocabulary import SMS, CampaignState, SmsState

# so many are decided at one press, and in one transaction
MOST = 5_000
_CHUNK = 500


class Verdict(StrEnum):
    """A manager's decisions: the first three of an SMS of unknown fate, the others of a number at its limit."""

    SENT = "sent"  # it counts as sent
    AGAIN = "again"  # it is sent again, whatever that may double
    NEVER = "never"  # it is sent no more
    SEND = "send"  # it is sent beyond the limit
    SKIP = "skip"  # it is not sent


OF_UNKNOWN = (Verdict.SENT, Verdict.NEVER, Verdict.AGAIN)
OF_NUMBERS = (Verdict.SKIP, Verdict.SEND)
SENDING = (Verdict.AGAIN, Verdict.SEND)

_ACTS = {
    Verdict.SENT: "settle_as_sent",
    Verdict.AGAIN: "settle_again",
    Verdict.NEVER: "settle_call_off",
    Verdict.SEND: "number_send",
    Verdict.SKIP: "number_skip",
}
_CODES = {
    Verdict.SENT: result_codes.AS_SENT,
    Verdict.AGAIN: result_codes.AGAIN,
    Verdict.NEVER: result_codes.NOT_WANTED,
    Verdict.SEND: result_codes.ALLOWED,
    Verdict.SKIP: result_codes.NOT_WANTED,
}


@dataclass(frozen=True, slots=True)
class Decided:
    """How many the word was taken for, and how many are held yet: one press decides about MOST."""

    people: int
    left: int = 0


def decide(campaign_id: int, verdict: Verdict, chosen: Chosen, *, user_id: int) -> Decided:
    """Take a manager's word for held people of a campaign; those decided or settled meanwhile stand as they are.

    Nobody of a cancelled campaign is sent to. Commits.
    """
    done, after_id = 0, 0
    while done < MOST:
        ids = _seen(db.session.get_one(Campaign, campaign_id), verdict, chosen, after_id, min(_CHUNK, MOST - done))
        db.session.rollback()
        if not ids:
            return Decided(done)
        after_id = ids[-1]
        done += _decide(campaign_id, verdict, chosen, ids, f"user:{user_id}")
    left = _seen(db.session.get_one(Campaign, campaign_id), verdict, chosen, after_id, MOST)
    db.session.rollback()
    return Decided(done, len(left))


def _seen(campaign: Campaign, verdict: Verdict, chosen: Chosen, after_id: int, limit: int) -> list[int]:
    seen = manual_review.seen if verdict in OF_UNKNOWN else number_limits.seen
    return seen(campaign, chosen, after_id=after_id, limit=limit)


def _decide(campaign_id: int, verdict: Verdict, chosen: Chosen, ids: Sequence[int], actor: str) -> int:
    """Decide about a few, in one transaction; return how many."""
    campaign = locks.locked_campaign(campaign_id)
    if verdict in SENDING and campaign.state == CampaignState.CANCELLED:
        db.session.rollback()
        return 0
    parts = locks.lock_slices_of(db.session, campaign_id, ids)
    entries: list[tuple[str, dict[str, int] | None]]
    if verdict in OF_UNKNOWN:
        attempts = manual_review.lock(campaign, chosen, ids)
        _settle(verdict, attempts, actor)
        entries = [(f"recipient:{one}", {"attempt": attempt}) for one, attempt in attempts.items()]
    else:
        people = number_limits.lock(campaign, chosen, ids)
        _allow(verdict, people, actor)
        entries = [(f"recipient:{one}", None) for one in people]
    if not entries:
        db.session.rollback()
        return 0
    if verdict in SENDING:
        leases.go_on(db.session, parts, campaign_id, actor=actor)
    audit.record_all(db.session, actor=actor, act=_ACTS[verdict], entries=entries)
    db.session.commit()
    if verdict in SENDING:
        queues.enqueue("jobs.delivery.send", once=True)
    else:
        leases.complete(campaign_id)
    return len(entries)


def _settle(verdict: Verdict, attempts: dict[int, int], actor: str) -> None:
    """Move locked people whose SMS has no known fate.

    The attempt's own outcome stays unknown, unless it was sent.
    """
    now, code = datetime.now(UTC), _CODES[verdict]
    to = {Verdict.SENT: SmsState.ACCEPTED, Verdict.AGAIN: SmsState.QUEUED, Verdict.NEVER: SmsState.CANCELLED}[verdict]
    steps = [
        Step(one, now, {"attempt": attempt, "code": code}, {"sms_code": code}) for one, attempt in attempts.items()
    ]
    move(db.session, SMS, to, steps, actor=actor, sources=[SmsState.UNKNOWN])
    if verdict is Verdict.SENT:
        ended = [send_log.Ended(one, attempt, SmsState.ACCEPTED, code, now) for one, attempt in attempts.items()]
        send_log.end(db.session.connection(), ended)


def _allow(verdict: Verdict, people: Sequence[int], actor: str) -> None:
    """Let locked people beyond a limit be sent to, or end the holding."""
    code = _CODES[verdict]
    if verdict is Verdict.SEND:
        columns = {"sms_code": code, "capped_at": None}
        steps = [Step(one, datetime.now(UTC), {"code": code}, columns) for one in people]
        move(db.session, SMS, SmsState.QUEUED, steps, actor=actor, sources=[SmsState.CANCELLED])
    else:
        db.session.execute(
            text("UPDATE recipient SET capped_at = NULL, sms_code = :code WHERE id = ANY(:ids)"),
            {"code": code, "ids": list(people)},
        )
