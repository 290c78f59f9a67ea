"""Move a campaign's people by the hundred thousand: launch, resend, reminders, cancellation.

In: one act, put down as a wave in the transaction that decides it. Out: its people moved, step by step, each step a
transaction of its own under the campaign's lock, by a job; a few people at once, where the act is decided. Can't happen
here: someone moved twice or passed over when a job dies (a step is whole or not at all, the wave says where to go on,
the sweep brings the job back), two waves of one campaign at once, a lock held for longer than a step.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, func, not_, or_, select, text, true, tuple_
from sqlalchemy.orm import aliased

from app import queues, tenancy
from app.campaigns.standing_line import goes_on
from app.config import settings
from app.db import Executor, Of, in_text
from app.extensions import db
from app.models import Campaign, Recipient, Reminder, SendLog, SmsAccount, Wave
from app.problems import Kind, Problem
from app.providers.sms import PROVIDERS
from app.states import locks, release, result_codes
from app.states.reached import reached
from app.states.transitions import Only, move_all, move_campaign
from app.states.vocabulary import CampaignState, PageState, PaymentState, SmsState
from app.suppression.condition import suppressed
from app.work_budget import WorkBudget

_UNDER_WAY = Kind(
    "bulk_operation_running",
    "前の操作で送信の準備を進めているところです。終わってから、もう一度お試しください。",
)

# people who still have to pay; somebody at the payment provider, or with a slip for the store, is left in peace
_OWING = (PaymentState.UNPAID, PaymentState.FAILED, PaymentState.EXPIRED, PaymentState.CANCELLED)
_ENDED = (PageState.LOCKED, PageState.REVOKED)
SOURCES = {
    "launch": (SmsState.DRAFT,),
    "resend": (SmsState.UNDELIVERED,),
    "remind": (SmsState.ACCEPTED, SmsState.DELIVERED),
}


def unwanted(person: Of[Recipient]) -> ColumnElement[bool]:
    """Return the condition that nothing more is to be sent to somebody who waits.

    It is needless (`needless`), or their number is one that the company sends nothing to.
    """
    return or_(needless(person), suppressed(person))


def needless(person: Of[Recipient]) -> ColumnElement[bool]:
    """Return the condition that somebody who waits needs no SMS any more.

    They paid, by any way; their link was ended; or they no longer need the reminder that they wait for.
    """
    over = or_(*(and_(Reminder.which == which, not_(needs)) for which, needs in _reminded(person).items()))
    waits_for_it = exists().where(Reminder.id == person.reminder_id, over).correlate(person)
    return or_(_is_settled(person), waits_for_it)


def to_resend(person: Of[Recipient]) -> ColumnElement[bool]:
    """Return the condition that another SMS may reach somebody whom none has reached.

    The code is that of the service by which the last attempt went, of the campaign's where no attempt tells. A number
    that is refused for good is not tried again, but one refused alone is: a firewall may be mended. Nor is one
    that the company sends nothing to.
    """
    passing = sorted((name, code) for name, provider in PROVIDERS.items() for code in provider.passing)
    went_by = (
        select(SmsAccount.provider)
        .join(SendLog, SendLog.sms_account_id == SmsAccount.id)
        .where(SendLog.recipient_id == person.id, SendLog.attempt == person.sms_attempt)
        .correlate(person)
        .scalar_subquery()
    )
    chosen = (
        select(SmsAccount.provider)
        .join(Campaign, Campaign.sms_account_id == SmsAccount.id)
        .where(Campaign.id == person.campaign_id)
        .correlate(person)
        .scalar_subquery()
    )
    return and_(
        or_(
            and_(
                person.sms_code.in_(sorted({code for _, code in passing})),
                tuple_(func.coalesce(went_by, chosen), person.sms_code).in_(passing),
            ),
            func.starts_with(person.sms_code, result_codes.GAVE_UP),
            func.starts_with(person.sms_code, result_codes.MESSAGE),
        ),
        not_(_is_settled(person)),
        not_(reached(person)),
        not_(suppressed(person)),
    )


def to_remind(person: Of[Recipient], which: str) -> ColumnElement[bool]:
    """Return the condition that somebody can still use their link, and has a reason to: `which` reminder is for them.

    An expired page excludes somebody here, but not in `unwanted`: whoever waits already gets a link that lives.
    """
    return and_(
        _reminded(person)[which],
        not_(_is_settled(person)),
        not_(suppressed(person)),
        person.link_expires_at > func.now(),
    )


def _reminded(person: Of[Recipient]) -> dict[str, ColumnElement[bool]]:
    """Return the people each kind of reminder is for, when it is ordered and when it leaves."""
    return {
        "unopened": or_(
            person.page_state == PageState.UNOPENED,
            and_(person.page_state == PageState.EXPIRED, person.opened_at.is_(None)),
        ),
        "unpaid": and_(person.payment_state.in_(_OWING), person.page_state.not_in(_ENDED)),
    }


def _is_settled(person: Of[Recipient]) -> ColumnElement[bool]:
    return or_(person.payment_state == PaymentState.PAID, person.page_state == PageState.REVOKED)


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
    detail: dict[str, Any] | None = None,
    reminder_id: int | None = None,
) -> None:
    """Put a wave down in the session's transaction, under the campaign's lock; `go` after its commit.

    `which` is the reminder's. Giving up ends whatever is under way.
    """
    if kind == "cancel":
        ended = text("UPDATE wave SET finished_at = now() WHERE campaign_id = :id AND finished_at IS NULL")
        db.session.execute(ended, {"id": campaign.id})
    wave = Wave(
        tenant_id=campaign.tenant_id,
        campaign_id=campaign.id,
        kind=kind,
        which=which or kind,
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


def run(campaign_id: int, *, shift_s: float = math.inf) -> bool:
    """Take steps until the campaign's wave is done, or `shift_s` seconds.

    Returns whether it is done. Safe to run twice.
    """
    budget = WorkBudget(shift_s)
    while _step(campaign_id):
        if budget.is_spent:
            return False
    with tenancy.transaction() as connection:
        complete_if_done(connection, campaign_id)
    return True


_GOES_ON = in_text(goes_on, aliased(Campaign, name="c"))

# Campaigns that stand as sending though no slice of theirs is due or to be looked at. A standing one does so whenever
# nobody new comes; there it is one whose newest slice holds somebody who waits.
STALLED = f"""
    FROM campaign c WHERE c.state = 'sending' AND EXISTS (SELECT FROM slice s WHERE s.campaign_id = c.id)
    AND NOT EXISTS (
        SELECT FROM slice s WHERE s.campaign_id = c.id AND (s.due_at IS NOT NULL OR s.check_at IS NOT NULL)
    )
    AND (NOT {_GOES_ON} OR EXISTS (
        SELECT FROM recipient r WHERE r.campaign_id = c.id AND r.sms_state = 'queued'
        AND r.id >= (SELECT max(s.first_id) FROM slice s WHERE s.campaign_id = c.id)
    ))
"""  # noqa: S608 - our own words

# a standing campaign's people are not looked at: there may be a million, and it is asked after each that is sent to
_DONE = text(f"""
    SELECT CASE WHEN {_GOES_ON} THEN false ELSE
        NOT EXISTS (SELECT FROM wave WHERE campaign_id = :id AND finished_at IS NULL)
        AND NOT EXISTS (SELECT FROM slice WHERE campaign_id = :id AND due_at IS NOT NULL)
        AND NOT EXISTS (
            SELECT FROM recipient WHERE campaign_id = :id
            AND sms_state IN ('queued', 'sending', 'unknown') AND NOT (sms_state = 'unknown' AND sms_code = :silent)
        )
    END FROM campaign c WHERE c.id = :id
""")  # noqa: S608 - our own words


def complete_if_done(executor: Executor, campaign_id: int) -> bool:
    """Complete a campaign that has nothing left to send and nothing to ask about; never a standing one that goes on.

    Returns whether it was completed.

    Its row is locked before one looks: whoever lets people wait again at that moment is waited for and seen.
    """
    locks.lock_campaign(executor, campaign_id)
    done = executor.execute(_DONE, {"id": campaign_id, "silent": result_codes.NO_RECEIPT}).scalar_one()
    return bool(done) and move_campaign(
        executor, campaign_id, CampaignState.COMPLETED, at=datetime.now(UTC), actor="system"
    )


def _step(campaign_id: int) -> bool:
    """Move the next few thousand people; return whether there may be more."""
    with tenancy.transaction() as connection:
        locks.lock_campaign(connection, campaign_id)
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
            f"id BETWEEN :first AND :last AND {in_text(_chosen(wave), Recipient)}",
            span,
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


def _chosen(wave: Row[Any]) -> Callable[[Of[Recipient]], ColumnElement[bool]]:
    """Return the condition that a wave is for somebody who stands where it takes people from."""
    if wave.kind == "resend":
        return to_resend
    return partial(to_remind, which=wave.which) if wave.kind == "remind" else lambda _: true()


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
