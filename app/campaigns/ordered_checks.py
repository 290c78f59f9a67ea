"""Checks that begin by themselves: ordered where a list changed, done by a worker.

In: a campaign's id. Out: its check, stored. The order stands with the campaign (`check_due_at`), in the transaction
that changed the list: a lost job is put back by the sweep. Can't happen here: two workers at the same check for long
(whoever begins moves the time on, and a newer order stops the older work).
"""

from datetime import datetime

from sqlalchemy import Select, func, select, text

from app import queues, tenancy
from app.campaigns import preflight
from app.db import Executor
from app.models import Campaign
from app.states.vocabulary import CampaignState

# A check gives a sign of life with every few thousand rows: whoever is silent for so long is dead, seconds.
_SILENT_S = 120


class _Superseded(Exception):  # noqa: N818 - it says what happened
    """Somebody else checks, or has checked: a newer order, or a press of the button."""


def due() -> Select[int, int]:
    """Return the statement that finds tenant and campaign of each check to be done, for the sweep."""
    return (
        select(Campaign.tenant_id, Campaign.id)
        .where(Campaign.check_due_at <= func.now(), Campaign.state == CampaignState.DRAFT)
        .order_by(Campaign.check_due_at, Campaign.id)
    )


def order(executor: Executor, campaign_id: int) -> None:
    """Have a draft's list checked, once the caller's transaction has committed; `enqueue` comes after it."""
    executor.execute(
        text("""
            UPDATE campaign SET check_due_at = now() WHERE id = :id AND state = 'draft'
            AND EXISTS (SELECT FROM recipient WHERE campaign_id = :id)
        """),
        {"id": campaign_id},
    )


def enqueue(tenant_id: int, campaign_id: int) -> None:
    """Put an ordered check on its queue, after the commit."""
    queues.enqueue("jobs.campaigns.preflight", tenant_id, campaign_id)


def run(campaign_id: int, *, page_rows: int = preflight.PAGE_ROWS) -> None:
    """Do a check that is due; nothing where none is. Commits."""
    until = _move_on(campaign_id, "check_due_at <= now()")
    if until is None:
        return

    def go_on() -> None:
        nonlocal until
        until = _move_on(campaign_id, "check_due_at = :until", until)
        if until is None:
            raise _Superseded

    try:
        preflight.run(campaign_id, go_on, page_rows=page_rows)
    except _Superseded:
        return
    _due_again(campaign_id, until)


def _move_on(campaign_id: int, condition: str, until: datetime | None = None) -> datetime | None:
    """Return until when this worker may be silent; None where the check isn't, or no longer, its own."""
    with tenancy.transaction() as connection:
        moved: datetime | None = connection.execute(
            text(
                "UPDATE campaign SET check_due_at = clock_timestamp() + make_interval(secs => :silent_s)"  # noqa: S608 - above
                f" WHERE id = :id AND state = 'draft' AND {condition} RETURNING check_due_at"
            ),
            {"id": campaign_id, "silent_s": _SILENT_S, "until": until},
        ).scalar_one_or_none()
    return moved


def _due_again(campaign_id: int, until: datetime | None) -> None:
    """Have it done once more where nothing was stored, for the words changed meanwhile."""
    with tenancy.transaction() as connection:
        again = connection.execute(
            text(
                "UPDATE campaign SET check_due_at = now() WHERE id = :id AND check_due_at = :until RETURNING tenant_id"
            ),
            {"id": campaign_id, "until": until},
        ).scalar_one_or_none()
    if again is not None:
        enqueue(again, campaign_id)
