"""Spare people the same SMS again who used its link: they have got it.

In: recipients whose message may be sent once more (a retry, 送り直し, an unknown outcome, a manager's decision). Out:
one condition, `reached`, and the people it is true of moved to 到達 with a code that says why. Can't happen here:
somebody spared who used an older or newer link; a reminder judged by what its person did before it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, false, func, or_, select, text

from app.db import Executor, Of, in_text
from app.models import Recipient, SendLog
from app.states import result_codes
from app.states.transitions import Step, move
from app.states.vocabulary import SMS, PageState, SmsState

# an expired or ended page says nothing by itself: `opened_at` tells whether it was used before
_USED = (PageState.OPENED, PageState.VERIFIED, PageState.VIEWED, PageState.LOCKED)


def reached(person: Of[Recipient]) -> ColumnElement[bool]:
    """Return the condition that a person used the link which their last message carried.

    Used is: opened, verified, read, locked by wrong answers, or begun to pay by. A reminder is a message of its own,
    with conditions of its own (`app.campaigns.bulk_operations.unwanted`).
    """
    used = or_(
        person.opened_at.is_not(None),
        person.pay_started_at.is_not(None),
        person.page_state.in_([str(state) for state in _USED]),
    )
    # of whom it isn't written down which link they used: before there was more than one
    generation = func.coalesce(person.opened_generation, case((used, person.link_generation)))
    # never turned into a join: of a million people a few have used anything, and only theirs are looked up
    carried = (
        select(SendLog.generation)
        .where(SendLog.recipient_id == person.id, SendLog.attempt == person.sms_attempt)
        .correlate(person)
        .scalar_subquery()
    )
    return case((and_(person.reminder_id.is_(None), generation.is_not(None)), generation == carried), else_=false())


def waits_in_vain(person: Of[Recipient]) -> ColumnElement[bool]:
    """Return the condition that somebody who waits was reached by the very link that would leave: none is newer."""
    return and_(
        reached(person),
        func.coalesce(person.opened_generation, person.link_generation) == person.link_generation,
    )


_REACHED = in_text(reached, Recipient)
_SOURCES = (SmsState.QUEUED, SmsState.UNKNOWN, SmsState.UNDELIVERED)


def spare(
    executor: Executor, condition: str, values: Mapping[str, Any], *, at: datetime, actor: str = "system"
) -> set[int]:
    """Move to 到達 whoever of `condition` (on `recipient`) was reached and would be sent to again; return their ids.

    The provider's word on the attempt stays as it is; an attempt of unknown fate has arrived.
    """
    rows = executor.execute(
        text(f"""
            SELECT id, sms_attempt FROM recipient
            WHERE ({condition}) AND sms_state = ANY(:reached_from) AND {_REACHED}
            ORDER BY id FOR NO KEY UPDATE
        """),  # noqa: S608 - our own words
        {**values, "reached_from": [str(state) for state in _SOURCES]},
    ).all()
    if not rows:
        return set()
    steps = [
        Step(row.id, at, {"attempt": row.sms_attempt, "code": result_codes.OPENED}, {"sms_code": result_codes.OPENED})
        for row in rows
    ]
    moved = move(executor, SMS, SmsState.DELIVERED, steps, actor=actor, sources=_SOURCES)
    executor.execute(
        text("""
            UPDATE send_log l SET state = 'delivered', code = :code, settled_at = :at
            FROM recipient r
            WHERE r.id = ANY(:ids) AND l.recipient_id = r.id AND l.attempt = r.sms_attempt AND l.state = 'unknown'
        """),
        {"code": result_codes.OPENED, "at": at, "ids": sorted(moved)},
    )
    executor.execute(
        text("UPDATE recipient SET retry_at = NULL WHERE id = ANY(:ids) AND retry_at IS NOT NULL"),
        {"ids": sorted(moved)},
    )
    return moved
