"""Restore recipients who get no further SMS to the state of their last one; without any they are cancelled or late.

In: people who wait, for a first SMS, a retry or a reminder, and why none of it leaves any more. Out: their states with
that reason. Can't happen here: a person whose SMS arrived told of as cancelled.
"""

from dataclasses import replace
from datetime import datetime

from app.db import Executor
from app.states.transitions import Only, move_all
from app.states.vocabulary import SmsState

# Where an SMS left a person before they waited again; the times of earlier steps stay. NULL: none was ever taken.
_BEFORE = """
    CASE WHEN undelivered_at > coalesce(delivered_at, '-infinity') THEN 'undelivered'
        WHEN delivered_at IS NOT NULL THEN 'delivered'
        WHEN accepted_at IS NOT NULL THEN 'accepted' END
"""


def let_go(
    executor: Executor,
    code: str,
    *,
    campaign_id: int,
    at: datetime,
    actor: str,
    only: Only,
    to: SmsState = SmsState.CANCELLED,
) -> int:
    """Let a campaign's people wait no more, of `only`; return their number.

    `to` is for those who never got an SMS, CANCELLED or EXPIRED; `code` (`app.states.result_codes`) goes into the
    events.
    """
    said = replace(only, detail={**(only.detail or {}), "code": code})
    moved = 0
    for before in (SmsState.DELIVERED, SmsState.UNDELIVERED, SmsState.ACCEPTED):
        moved += move_all(
            executor,
            before,
            campaign_id=campaign_id,
            sources=[SmsState.QUEUED],
            at=at,
            actor=actor,
            only=replace(said, condition=f"({said.condition}) AND {_BEFORE} = '{before}'"),
            timed=False,
        )
    return moved + move_all(
        executor,
        to,
        campaign_id=campaign_id,
        sources=[SmsState.DRAFT, SmsState.QUEUED],
        at=at,
        actor=actor,
        only=said,
    )
