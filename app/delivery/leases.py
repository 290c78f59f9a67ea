"""Lease slices to workers: turns in a fair order, leases with a fence, by the database's clock.

A worker holds a slice for `lease_s` seconds and renews that with everything it writes. Each lease raises the slice's
fence; a write under an older fence changes nothing. Whoever leases a slice after a worker that died moves that worker's
open messages to unknown: they may have left.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, text
from sqlalchemy.orm import aliased

from app import queues, tenancy
from app.campaigns import bulk_operations
from app.config import settings
from app.db import Executor, in_text
from app.delivery import send_log
from app.delivery.circuit_breaker import rests, suspect_until
from app.delivery.failover import GOES_BY
from app.models import Recipient, SmsAccount
from app.states import release, result_codes
from app.states.transitions import Only, Step, move, move_campaign
from app.states.vocabulary import SMS, CampaignState, SmsState

# A slice made due by a launch on another machine's clock is due here too, seconds. Not one that waits for a time, such
# as 8:00: it would be leased and given back again and again until then.
_CLOCK_SKEW_S = 2
# how long a provider may take to tell what became of what it accepted before it is asked; seconds
_RECEIPTS_S = 72 * 3600
# how long after a lease to look for links that ended: what it claims gets new ones (`app.delivery.link_expiry`);
# seconds
LINKS_S = 300

_SUSPECT_UNTIL = in_text(suspect_until, Recipient)

# nobody gets a link whose page takes no answers at the moment (`app.identity.guard`)
_MAY_SEND = f"""
    c.state = 'sending' AND c.restore_hold = '' AND c.checks_stopped_at IS NULL AND t.state IN ('trial', 'active')
    AND NOT {in_text(rests, aliased(SmsAccount, name="a"))}
"""

_DUE = f"""
    FROM slice s JOIN campaign c ON c.id = s.campaign_id JOIN tenant t ON t.id = s.tenant_id
    LEFT JOIN sms_account a ON a.id = {GOES_BY}
    WHERE NOT EXISTS (SELECT FROM installation WHERE held_why <> '')
    AND s.due_at <= now() + make_interval(secs => :skew_s) AND (s.due_at <= now() OR s.fence = 0)
    AND (s.leased_until IS NULL OR s.leased_until < now())
    AND {_MAY_SEND}
"""

_LEASE = text(f"""
    UPDATE slice
    SET fence = fence + 1, leased_until = now() + make_interval(secs => :lease_s),
        check_at = now() + make_interval(secs => :lease_s),
        receipts_due_at = coalesce(receipts_due_at, now() + make_interval(secs => :receipts_s)),
        links_end_at = least(links_end_at, now() + make_interval(secs => :links_s))
    WHERE id = (
        SELECT s.id {_DUE}
        AND NOT coalesce({GOES_BY} = ANY(:full), false)
        ORDER BY t.served_at NULLS FIRST, t.id, c.served_at NULLS FIRST, c.id, s.due_at, s.id
        LIMIT 1 FOR UPDATE OF s SKIP LOCKED
    )
    RETURNING id AS slice_id, tenant_id, campaign_id, first_id, last_id, fence
""")  # noqa: S608 - our own words

# asked for one campaign: a join may read all of them, where statistics don't know of the newest yet
_SLICE_MAY_SEND = f"""(
    SELECT {_MAY_SEND} FROM tenant t, campaign c
    LEFT JOIN sms_account a ON a.id = {GOES_BY}
    WHERE c.id = s.campaign_id AND t.id = s.tenant_id
) AS may_send"""  # noqa: S608 - our own words
_RENEW = text(f"""
    UPDATE slice s SET leased_until = now() + make_interval(secs => :lease_s)
    WHERE s.id = :id AND s.fence = :fence RETURNING s.last_id, {_SLICE_MAY_SEND}
""")  # noqa: S608 - our own words
# keeps out whoever takes the slice over, and nobody else: a slice's key never changes
_SHARE = text(f"SELECT {_SLICE_MAY_SEND} FROM slice s WHERE s.id = :id AND s.fence = :fence FOR KEY SHARE OF s")  # noqa: S608 - our own words

# Also runs while the machine sleeps, as the database's clock does; elsewhere than on Linux there is none.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class LeaseLost(Exception):  # noqa: N818 - it says what happened
    """Another worker has the slice now: nothing more may be written for it."""


@dataclass(slots=True)
class Range:
    """A slice's people: those of the campaign from `first_id` to `last_id`. `fence` is that of whoever holds it."""

    slice_id: int
    tenant_id: int
    campaign_id: int
    first_id: int
    last_id: int
    fence: int


@dataclass(slots=True)
class SliceLease(Range):
    """A slice that this process holds.

    `call_until` is the end of the time in which a request may start: its answer then comes while the lease still holds.
    `renewed` is when it was renewed last (both by `clock()`). `may_send` turns false when the campaign was paused or
    given up, or its account rests.
    """

    call_until: float
    renewed: float = 0.0
    may_send: bool = True


def clock() -> float:
    """Return the seconds by which a lease is measured in this process."""
    return time.clock_gettime(_CLOCK)


def take_next(full: Sequence[int] = ()) -> SliceLease | None:
    """Take the slice whose turn it is: of the company, then of the campaign, that no worker served for longest.

    Those of the accounts in `full` are left. None: nothing else is due that isn't held. The platform's scope must be
    open.
    """
    started = clock()
    with tenancy.transaction() as connection:
        values = {
            "lease_s": settings().lease_s,
            "skew_s": _CLOCK_SKEW_S,
            "receipts_s": _RECEIPTS_S,
            "links_s": LINKS_S,
            "full": list(full),
        }
        row = connection.execute(_LEASE, values).mappings().first()
        if row is None:
            return None
        taken = SliceLease(**row, call_until=_call_until(started), renewed=started)
        _take_over_people(connection, taken)
    # for themselves: whoever cancels locks the campaign first, then its slices
    for table, row_id in (("tenant", taken.tenant_id), ("campaign", taken.campaign_id)):
        with tenancy.transaction() as connection:
            statement = f"UPDATE {table} SET served_at = clock_timestamp() WHERE id = :id"  # noqa: S608 - our own words
            connection.execute(text(statement), {"id": row_id})
    return taken


def due(connection: Connection) -> bool:
    """Return whether a slice waits for a worker. The platform's scope must be open."""
    found = connection.scalar(text(f"SELECT EXISTS (SELECT {_DUE})"), {"skew_s": _CLOCK_SKEW_S})
    return bool(found)


@contextmanager
def holding(lease: SliceLease) -> Iterator[Connection]:
    """Open a transaction that renews the lease, and commit it. Raises LeaseLost and then writes nothing."""
    started = clock()
    with tenancy.transaction() as connection:
        values = {"id": lease.slice_id, "fence": lease.fence, "lease_s": settings().lease_s}
        row = connection.execute(_RENEW, values).first()
        if row is None:
            raise LeaseLost
        lease.may_send, lease.last_id = row.may_send, row.last_id
        yield connection
    lease.renewed = started
    lease.call_until = _call_until(started)


@contextmanager
def sharing(lease: SliceLease) -> Iterator[Connection]:
    """Open a transaction that leaves the lease as it is, beside one that renews it, and commit it. Raises LeaseLost."""
    with tenancy.transaction() as connection:
        row = connection.execute(_SHARE, {"id": lease.slice_id, "fence": lease.fence}).first()
        if row is None:
            raise LeaseLost
        lease.may_send = row.may_send
        yield connection


def finish(lease: SliceLease, *, pause_s: float = 0.0, not_before: datetime | None = None) -> None:
    """Hand the lease back. Whoever still waits is due in `pause_s` seconds, who is unknown is asked about at once.

    `not_before` is when the next SMS of the campaign may leave, where that isn't now.
    """
    with holding(lease) as connection:
        # the slice's row is locked: what is read from here on includes all that was ever queued or cancelled before it
        if _state(connection, lease.campaign_id) == CampaignState.CANCELLED:
            let_go(connection, lease, result_codes.CALLED_OFF)
        left = connection.execute(
            text(f"""
                SELECT coalesce(bool_or(sms_state = 'queued'), false) AS waiting,
                    min(CASE WHEN sms_state = 'queued' THEN greatest(now(), {_SUSPECT_UNTIL}) END) AS waits_from,
                    coalesce(
                        bool_or(sms_state = 'sending' OR (sms_state = 'unknown' AND sms_code <> :no_receipt)), false
                    ) AS unclear
                FROM recipient WHERE campaign_id = :campaign_id AND id BETWEEN :first_id AND :last_id
            """),  # noqa: S608 - our own words
            {
                "campaign_id": lease.campaign_id,
                "first_id": lease.first_id,
                "last_id": lease.last_id,
                "no_receipt": result_codes.NO_RECEIPT,
            },
        ).one()
        connection.execute(
            text("""
                UPDATE slice SET leased_until = NULL,
                    due_at = CASE WHEN :waiting
                        THEN greatest(
                            now() + make_interval(secs => :pause_s),
                            CAST(:not_before AS timestamptz), CAST(:waits_from AS timestamptz)
                        ) END,
                    check_at = CASE WHEN :unclear THEN now() END
                WHERE id = :id
            """),
            {
                "id": lease.slice_id,
                "waiting": left.waiting,
                "waits_from": left.waits_from,
                "unclear": left.unclear,
                "pause_s": pause_s,
                "not_before": not_before,
            },
        )
    complete(lease.campaign_id)
    if left.unclear:
        queues.enqueue("jobs.outcomes.reconcile", lease.tenant_id, once=True)
    if left.waiting and lease.may_send and not pause_s and not_before is None:
        queues.enqueue("jobs.delivery.send", once=True)


def put_off(campaign_id: int, *, pause_s: float = 0.0, not_before: datetime | None = None) -> None:
    """Put off all of a campaign's slices that nobody holds, in one statement: none of them may be sent earlier either.

    A slice that somebody is changing right now keeps its time and is put off by its own turn.
    """
    with tenancy.transaction() as connection:
        connection.execute(
            text("""
                UPDATE slice SET due_at = later.at
                FROM (SELECT greatest(now() + make_interval(secs => :pause_s), CAST(:not_before AS timestamptz)) AS at)
                    AS later
                WHERE id IN (
                    SELECT id FROM slice WHERE campaign_id = :id AND due_at IS NOT NULL AND leased_until IS NULL
                    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
                ) AND due_at < later.at
            """),
            {"id": campaign_id, "pause_s": pause_s, "not_before": not_before},
        )


def complete(campaign_id: int) -> None:
    """Complete the campaign if nothing of it is left to do: in a transaction of its own, which holds no slice."""
    with tenancy.transaction() as connection:
        bulk_operations.complete_if_done(connection, campaign_id)


def to_check() -> Range | None:
    """Take a slice of the tenant's that is due to be looked at; None when there is none.

    Nobody else gets it for as long as a lease lasts. Messages left open by a worker whose lease is over become unknown.
    """
    with tenancy.transaction() as connection:
        row = connection.execute(
            text("""
                UPDATE slice SET check_at = now() + make_interval(secs => :lease_s),
                    fence = fence + CASE WHEN leased_until >= now() THEN 0 ELSE 1 END,
                    leased_until = CASE WHEN leased_until >= now() THEN leased_until END
                WHERE id = (
                    SELECT id FROM slice WHERE check_at <= now() ORDER BY check_at LIMIT 1 FOR UPDATE SKIP LOCKED
                )
                RETURNING id, tenant_id, campaign_id, first_id, last_id, fence, leased_until IS NULL
            """),
            {"lease_s": settings().lease_s},
        ).first()
        if row is None:
            return None
        *columns, free = row
        taken = Range(*columns)
        if free:
            _take_over_people(connection, taken)
    return taken


def go_on(executor: Executor, slice_ids: Sequence[int], campaign_id: int, *, actor: str) -> None:
    """Have locked slices sent in which people wait again; a completed campaign goes on with it."""
    executor.execute(
        text("UPDATE slice SET due_at = least(due_at, now()) WHERE id = ANY(:ids)"), {"ids": list(slice_ids)}
    )
    move_campaign(
        executor,
        campaign_id,
        CampaignState.SENDING,
        at=datetime.now(UTC),
        actor=actor,
        source=CampaignState.COMPLETED,
    )


def let_go(connection: Connection, part: Range, code: str, to: SmsState = SmsState.CANCELLED) -> None:
    """Let a slice's people wait no more (`app.states.release`)."""
    release.let_go(
        connection,
        code,
        campaign_id=part.campaign_id,
        at=datetime.now(UTC),
        actor="system",
        only=Only("id BETWEEN :first_id AND :last_id", {"first_id": part.first_id, "last_id": part.last_id}),
        to=to,
    )


def _take_over_people(connection: Connection, taken: Range) -> None:
    """Move what an earlier worker left open to unknown, under the new fence."""
    now = datetime.now(UTC)
    rows = connection.execute(
        text("""
            SELECT id, sms_attempt FROM recipient
            WHERE campaign_id = :campaign_id AND id BETWEEN :first_id AND :last_id AND sms_state = 'sending'
            ORDER BY id FOR NO KEY UPDATE
        """),
        {"campaign_id": taken.campaign_id, "first_id": taken.first_id, "last_id": taken.last_id},
    ).all()
    steps = [
        Step(
            row.id,
            now,
            {"code": result_codes.WORKER_LOST},
            {"fence": taken.fence, "sms_code": result_codes.WORKER_LOST},
        )
        for row in rows
    ]
    move(connection, SMS, SmsState.UNKNOWN, steps, actor="system", sources=[SmsState.SENDING])
    send_log.end(
        connection,
        [send_log.Ended(row.id, row.sms_attempt, SmsState.UNKNOWN, result_codes.WORKER_LOST, now) for row in rows],
    )


def _state(connection: Connection, campaign_id: int) -> str:
    return str(connection.execute(text("SELECT state FROM campaign WHERE id = :id"), {"id": campaign_id}).scalar_one())


def _call_until(started: float) -> float:
    return started + settings().lease_s - settings().send_timeout_s
