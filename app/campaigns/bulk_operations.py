"""Move a campaign's people by the hundred thousand: launch, resend, reminders, cancellation.

In: one act, put down as a wave in the transaction that decides it. Out: its people moved, step by step, each step a
transaction of its own under the campaign's lock, by a job; a few people at once, where the act is decided. Can't happen
here: someone moved twice or passed over when a job dies (a step is whole or not at all, the wave says where to go on,
the sweep brings the job back), two waves of one campaign at once, a lock held for longer than a step.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, select, text

from app import queues, tenancy
from app.config import settings
from app.db import Executor
from app.extensions import db
from app.models import Campaign, Wave
from app.problems import Kind, Problem
from app.states import release, result_codes
from app.states.reached import REACHED
from app.states.transitions import Only, move_all, move_campaign
from app.states.vocabulary import CampaignState, SmsState

_UNDER_WAY = Kind(
    "bulk_operation_running",
    "前の操作で送信の準備を進めているところです。終わってから、もう一度お試しください。",
)

# The people a reminder is for, when it is ordered and when it leaves. Somebody at the payment provider, or with a slip
# for the convenience store, is left in peace. An expired page is no reason: its person is chosen no more (CONDITIONS),
# and one who waits already gets a link that lives.
REMINDED = {
    "unopened": "(page_state = 'unopened' OR (page_state = 'expired' AND opened_at IS NULL))",
    "unpaid": """
        payment_state IN ('unpaid', 'failed', 'expired', 'cancelled')
        AND page_state NOT IN ('locked', 'revoked')
    """,
}
_NEEDLESS = " OR ".join(f"(m.which = '{which}' AND NOT ({condition}))" for which, condition in REMINDED.items())
# true of a recipient to whom nothing more is sent: who paid, by any way, and whose link was ended
_SETTLED = "(payment_state = 'paid' OR page_state = 'revoked')"
# of one who waits, also: who needs the reminder no more that they wait for
UNWANTED = f"""
    ({_SETTLED} OR EXISTS (SELECT FROM reminder m WHERE m.id = recipient.reminder_id AND ({_NEEDLESS})))
"""
CONDITIONS = {
    "launch": "true",
    # not whose number is refused for good, but one refused alone (a firewall may be mended); nobody who has the SMS
    "resend": f"""
        (
            sms_code = ANY(CAST(:passing AS text[])) OR starts_with(sms_code, :gave_up)
            OR starts_with(sms_code, '{result_codes.MESSAGE}')
        ) AND NOT {_SETTLED}
        AND NOT {REACHED}
    """,
    # who can still use the link, and has a reason to
    **{which: f"{condition} AND NOT {_SETTLED} AND link_expires_at > now()" for which, condition in REMINDED.items()},
}
SOURCES = {
    "launch": (SmsState.DRAFT,),
    "resend": (SmsState.UNDELIVERED,),
    "remind": (SmsState.ACCEPTED, SmsState.DELIVERED),
}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an act is: `people` moved of about `total`."""

    kind: str
    people: int
    total: int


def begin(
    campaign: Campaign,
    kind: str,
    *,
    total: int,
    actor: str,
    which: str = "",
    given: dict[str, Any] | None = None,
    detail: dict[str, Any] | None = None,
    reminder_id: int | None = None,
) -> None:
    """Put a wave down in the session's transaction, under the campaign's lock; `go` after its commit.

    `which` is a key of CONDITIONS where that isn't `kind`, `given` its values. Giving up ends whatever is under way.
    """
    if kind == "cancel":
        ended = text("UPDATE wave SET finished_at = now() WHERE campaign_id = :id AND finished_at IS NULL")
        db.session.execute(ended, {"id": campaign.id})
    wave = Wave(
        tenant_id=campaign.tenant_id,
        campaign_id=campaign.id,
        kind=kind,
        which=which or kind,
        given=given or {},
        detail=detail,
        reminder_id=reminder_id,
        actor=actor,
        total=total,
    )
    db.session.add(wave)
    db.session.flush()


def go(tenant_id: int, campaign_id: int, total: int) -> None:
    """Move a few people at once, more by a job."""
    if total <= settings().at_once_people:
        run(campaign_id)
    else:
        queues.enqueue("jobs.campaigns.run_bulk_operation", tenant_id, campaign_id)


def progress(campaign_id: int) -> Progress | None:
    """Return how far the act is that is under way; None where there is none."""
    wave = db.session.scalar(select(Wave).where(Wave.campaign_id == campaign_id, Wave.finished_at.is_(None)))
    return None if wave is None else Progress(wave.kind, wave.people, wave.total)


def problems(campaign_id: int) -> list[Problem]:
    """Return that another act is under way."""
    if progress(campaign_id) is None:
        return []
    return [_UNDER_WAY()]


def run(campaign_id: int, *, for_s: float | None = None) -> bool:
    """Take steps until the campaign's wave is done, or `for_s` seconds; say whether it is done. Safe to run twice."""
    until = None if for_s is None else time.monotonic() + for_s
    while _step(campaign_id):
        if until is not None and time.monotonic() > until:
            return False
    with tenancy.transaction() as connection:
        complete_if_done(connection, campaign_id)
    return True


def complete_if_done(executor: Executor, campaign_id: int) -> bool:
    """Complete a campaign that has nothing left to send and nothing to ask about; say whether it was completed.

    Its row is locked before one looks: whoever lets people wait again at that moment is waited for and seen.
    """
    executor.execute(text("SELECT id FROM campaign WHERE id = :id FOR NO KEY UPDATE"), {"id": campaign_id})
    done = executor.execute(
        text("""
            SELECT NOT EXISTS (SELECT FROM wave WHERE campaign_id = :id AND finished_at IS NULL)
            AND NOT EXISTS (SELECT FROM slice WHERE campaign_id = :id AND due_at IS NOT NULL)
            AND NOT EXISTS (
                SELECT FROM recipient WHERE campaign_id = :id
                AND sms_state IN ('queued', 'sending', 'unknown') AND NOT (sms_state = 'unknown' AND sms_code = :silent)
            )
        """),
        {"id": campaign_id, "silent": result_codes.NO_RECEIPT},
    ).scalar_one()
    return bool(done) and move_campaign(
        executor, campaign_id, CampaignState.COMPLETED, at=datetime.now(UTC), actor="system"
    )


def _step(campaign_id: int) -> bool:
    """Move the next few thousand people; say whether there may be more. Locks: campaign, slice, people."""
    with tenancy.transaction() as connection:
        connection.execute(text("SELECT id FROM campaign WHERE id = :id FOR NO KEY UPDATE"), {"id": campaign_id})
        wave = connection.execute(
            text("SELECT * FROM wave WHERE campaign_id = :id AND finished_at IS NULL"), {"id": campaign_id}
        ).first()
        if wave is None:
            return False
        part = (_next_slice if wave.kind in {"resend", "remind"} else _next_people)(connection, wave)
        if part is None:
            _finish(connection, wave)
            return False
        moved = _move(connection, wave, *part)
        connection.execute(
            text("UPDATE wave SET after_id = :last, people = people + :moved, stepped_at = now() WHERE id = :id"),
            {"last": part[1], "moved": moved, "id": wave.id},
        )
    if moved and wave.kind != "cancel":
        queues.enqueue("jobs.delivery.send", once=True)
    return True


def _next_people(connection: Connection, wave: Row[Any]) -> tuple[int, int] | None:
    """Return the first and last id of the people who are next, as many as a slice has; at a launch they are one."""
    values = {"campaign_id": wave.campaign_id, "after": wave.after_id, "rows": settings().slice_rows}
    first, last = connection.execute(
        text(f"""
            SELECT min(id), max(id) FROM (
                SELECT id FROM recipient WHERE campaign_id = :campaign_id AND id > :after
                AND (sms_state IN ('draft', 'queued') {"OR retry_at IS NOT NULL" if wave.kind == "cancel" else ""})
                ORDER BY id LIMIT :rows
            ) AS next
        """),  # noqa: S608 - our own words
        values,
    ).one()
    return None if first is None else (first, last)


def _next_slice(connection: Connection, wave: Row[Any]) -> tuple[int, int] | None:
    """Lock the slice that is next: nobody of it is being written to while its people are chosen."""
    found = connection.execute(
        text("""
            SELECT first_id, last_id FROM slice WHERE campaign_id = :campaign_id AND first_id > :after
            ORDER BY first_id LIMIT 1 FOR NO KEY UPDATE
        """),
        {"campaign_id": wave.campaign_id, "after": wave.after_id},
    ).first()
    return None if found is None else (found.first_id, found.last_id)


def _move(connection: Connection, wave: Row[Any], first: int, last: int) -> int:
    now = datetime.now(UTC)
    span = {"first": first, "last": last}
    if wave.kind == "launch":
        connection.execute(
            text("""
                INSERT INTO slice (tenant_id, campaign_id, first_id, last_id, due_at)
                VALUES (:tenant_id, :campaign_id, :first, :last, :now)
            """),
            {"tenant_id": wave.tenant_id, "campaign_id": wave.campaign_id, "now": now, **span},
        )
    if wave.kind == "cancel":
        only = Only("id BETWEEN :first AND :last", span)
        waiting = release.let_go(
            connection, result_codes.CALLED_OFF, campaign_id=wave.campaign_id, at=now, actor=wave.actor, only=only
        )
        return waiting + _call_off_retries(connection, wave, span)
    moved = move_all(
        connection,
        SmsState.QUEUED,
        campaign_id=wave.campaign_id,
        sources=SOURCES[wave.kind],
        at=now,
        actor=wave.actor,
        only=Only(
            f"id BETWEEN :first AND :last AND ({CONDITIONS[wave.which]})",
            {**span, **wave.given},
            wave.detail,
            wave.reminder_id,
        ),
    )
    if moved and wave.kind in {"resend", "remind"}:
        connection.execute(
            text("""
                UPDATE slice SET due_at = least(due_at, now())
                WHERE campaign_id = :campaign_id AND first_id = :first AND last_id = :last
            """),
            {"campaign_id": wave.campaign_id, **span},
        )
    return moved


def _call_off_retries(connection: Connection, wave: Row[Any], span: dict[str, int]) -> int:
    """Plan no more tries for the people of a step; return their number."""
    found = connection.execute(
        text("""
            WITH planned AS MATERIALIZED (
                SELECT id FROM recipient
                WHERE campaign_id = :campaign_id AND id BETWEEN :first AND :last AND retry_at IS NOT NULL
                ORDER BY id FOR NO KEY UPDATE
            )
            UPDATE recipient r SET retry_at = NULL FROM planned WHERE r.id = planned.id RETURNING r.id
        """),
        {"campaign_id": wave.campaign_id, **span},
    )
    return len(found.all())


def _finish(connection: Connection, wave: Row[Any]) -> None:
    connection.execute(text("UPDATE wave SET finished_at = now() WHERE id = :id"), {"id": wave.id})
    if wave.reminder_id is not None:
        connection.execute(
            text("UPDATE reminder SET people = :people WHERE id = :id"),
            {"people": wave.people, "id": wave.reminder_id},
        )
