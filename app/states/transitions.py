"""The one way in which a state changes: the state, the time of the step and its event in one statement.

Attempts to pay, imports, exports and sender numbers have no events of their own: theirs are a person's, or entries of
the audit.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb
from sqlalchemy import text

from app.db import Executor
from app.states import bulk_values
from app.states.vocabulary import (
    CAMPAIGN,
    EXPORT,
    IMPORT,
    PAYMENT_ATTEMPT,
    PAYMENT_BY_HAND,
    SENDER,
    SMS,
    CampaignState,
    ExportState,
    ImportState,
    PageState,
    PaymentAttemptState,
    PaymentState,
    SenderState,
    SmsState,
    Track,
)

# The column that keeps a step's time. The page and payment tracks keep the first time, SMS the latest.
STEP_TIMES: Mapping[tuple[str, str], str] = {
    ("sms", SmsState.QUEUED): "queued_at",
    ("sms", SmsState.SENDING): "sent_at",
    ("sms", SmsState.ACCEPTED): "accepted_at",
    ("sms", SmsState.DELIVERED): "delivered_at",
    ("sms", SmsState.UNDELIVERED): "undelivered_at",
    ("sms", SmsState.UNKNOWN): "unknown_at",
    ("page", PageState.OPENED): "opened_at",
    ("page", PageState.VERIFIED): "verified_at",
    ("page", PageState.VIEWED): "viewed_at",
    ("page", PageState.LOCKED): "locked_at",
    ("payment", PaymentState.STARTED): "pay_started_at",
    ("payment", PaymentState.PENDING): "pay_pending_at",
    ("payment", PaymentState.PAID): "paid_at",
}
_LATEST = {"sms"}
# The same of imports and exports: the latest beginning, the first end; of sender numbers: the latest of each step.
_FINISHED = "finished_at = coalesce(finished_at, :at)"
_ROW_TIMES: Mapping[str, str] = {
    "running": "started_at = :at",
    "done": _FINISHED,
    "failed": _FINISHED,
    "cancelled": _FINISHED,
    **{str(state): f"{state}_at = :at" for state in SenderState},
}

# Other columns of a recipient that may be set with a move, with their types.
_COLUMNS = {
    "fence": "bigint",
    "sms_attempt": "integer",
    "sms_code": "text",
    "carrier": "text",
    "link_expires_at": "timestamptz",
    "failed_attempts": "integer",
    "link_generation": "integer",
    "paid_at": "timestamptz",
    "capped_at": "timestamptz",
}


class Step(NamedTuple):
    """One recipient's step.

    `detail` goes into the event: codes and ids, never a personal detail.

    `columns` are other columns of the recipient set with it; all steps of one call name the same ones.
    """

    recipient_id: int
    at: datetime
    detail: Mapping[str, Any] | None = None
    columns: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Only:
    """Narrows `move_all` by a condition on the recipient's columns; `detail` goes into each event.

    With `reminder_id`, those who move belong to that reminder from now on.
    """

    condition: str = "true"
    values: Mapping[str, Any] = field(default_factory=dict)
    detail: Mapping[str, Any] | None = None
    reminder_id: int | None = None


def move(
    executor: Executor,
    track: Track,
    to: StrEnum,
    steps: Sequence[Step],
    *,
    actor: str,
    fence: int | None = None,
    sources: Sequence[StrEnum] | None = None,
    timed: bool = True,
) -> set[int]:
    """Move recipients to `to` where the vocabulary allows it.

    Returns the ids of those that moved.

    The others stand as they were: somebody was faster, or the move is not allowed. With `fence`, only rows that still
    carry it. `sources` narrows the states to leave from further than the vocabulary does. Without `timed` the step's
    own time stands as it was: somebody goes back to where they stood before.
    """
    if not steps:
        return set()
    names = list(steps[0].columns)
    sets = [*_sets(track, to, timed=timed), *(f"{name} = u.{name}" for name in names)]
    columns: dict[str, tuple[str, Sequence[Any]]] = {
        "id": ("bigint", [step.recipient_id for step in steps]),
        "at": ("timestamptz", [step.at for step in steps]),
        "detail": ("jsonb", [step.detail for step in steps]),
        **{name: (_COLUMNS[name], [step.columns[name] for step in steps]) for name in names},
    }
    table, values = bulk_values.table(columns)
    fenced = "AND r.fence = :fence" if fence is not None else ""
    # The CASE keeps the planner from guessing by states that change faster than it learns.
    # the names in this statement come from the tables above, never from outside
    statement = f"""
        WITH moved AS (
            UPDATE recipient r SET {", ".join(sets)} FROM {table} AS u
            WHERE r.id = u.id AND r.id BETWEEN :u_first AND :u_last
            AND CASE WHEN r.{track.name}_state = ANY(:sources) {fenced} THEN true ELSE false END
            RETURNING r.id, r.tenant_id, r.campaign_id, u.at, u.detail
        )
        INSERT INTO event (tenant_id, campaign_id, recipient_id, track, state, at, actor, detail)
        SELECT tenant_id, campaign_id, id, :track, :to, at, :actor, detail FROM moved
        RETURNING recipient_id
    """  # noqa: S608
    values |= {"sources": _allowed(track, to, sources), "to": str(to), "track": track.name, "actor": actor}
    if fence is not None:
        values["fence"] = fence
    return set(executor.execute(text(statement), values).scalars())


def _sets(track: Track, to: StrEnum, *, timed: bool) -> Iterator[str]:
    """Name what a recipient's move sets by itself: the state, its time, the generation of an opened link."""
    yield f"{track.name}_state = :to"
    if timed and (time_column := STEP_TIMES.get((track.name, to))):
        kept = "u.at" if track.name in _LATEST else f"coalesce(r.{time_column}, u.at)"
        yield f"{time_column} = {kept}"
    if (track.name, to) == ("page", PageState.OPENED):
        yield "opened_generation = r.link_generation"


def move_campaign(
    executor: Executor,
    campaign_id: int,
    to: CampaignState,
    *,
    at: datetime,
    actor: str,
    detail: Mapping[str, Any] | None = None,
    source: CampaignState | None = None,
) -> bool:
    """Move a campaign to `to` with its event; return whether it moved.

    Launch and completion keep their times.

    `source` is the one state to leave from, where the vocabulary allows more.
    """
    times = {CampaignState.SENDING: "launched_at", CampaignState.COMPLETED: "completed_at"}
    kept = {CampaignState.SENDING: "coalesce(launched_at, :at)", CampaignState.COMPLETED: ":at"}
    more = f", {times[to]} = {kept[to]}" if to in times else ""
    statement = f"""
        WITH moved AS (
            UPDATE campaign SET state = :to{more} WHERE id = :id AND state = ANY(:sources) RETURNING id, tenant_id
        )
        INSERT INTO event (tenant_id, campaign_id, track, state, at, actor, detail)
        SELECT tenant_id, id, 'campaign', :to, :at, :actor, CAST(:detail AS jsonb) FROM moved RETURNING id
    """  # noqa: S608
    values = {
        "id": campaign_id,
        "to": str(to),
        "at": at,
        "actor": actor,
        "detail": Jsonb(detail) if detail is not None else None,
        "sources": _allowed(CAMPAIGN, to, None if source is None else [source]),
    }
    return executor.execute(text(statement), values).first() is not None


def note(  # noqa: PLR0913 - an event's columns
    executor: Executor,
    track: str,
    kind: str,
    *,
    tenant_id: int,
    campaign_id: int,
    recipient_id: int | None,
    at: datetime,
    actor: str,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write an event that changes no state: a wrong answer, a link fetched by a preview, an export."""
    executor.execute(
        text(
            "INSERT INTO event (tenant_id, campaign_id, recipient_id, track, state, at, actor, detail)"
            " VALUES (:tenant_id, :campaign_id, :recipient_id, :track, :state, :at, :actor, CAST(:detail AS jsonb))"
        ),
        {
            "tenant_id": tenant_id,
            "campaign_id": campaign_id,
            "recipient_id": recipient_id,
            "track": track,
            "state": kind,
            "at": at,
            "actor": actor,
            "detail": Jsonb(detail) if detail is not None else None,
        },
    )


def move_all(
    executor: Executor,
    to: SmsState,
    *,
    campaign_id: int,
    sources: Sequence[SmsState],
    at: datetime,
    actor: str,
    only: Only | None = None,
    timed: bool = True,
) -> int:
    """Move a campaign's recipients that stand in one of `sources` along the SMS track.

    Returns their number.

    Without `timed` the step's own time stands as it was, as in `move`.
    """
    column = STEP_TIMES.get(("sms", to)) if timed else None
    more = f", {column} = :at" if column else ""
    chosen = only or Only()
    if chosen.reminder_id is not None:
        more += ", reminder_id = :reminder_id"
    chosen_rows = f"campaign_id = :campaign_id AND sms_state = ANY(:sources) AND ({chosen.condition})"
    # Locked first, in the order of their ids, as receipts lock those to whom they come at this moment. A statement of
    # its own: where both are one, a planner without statistics may join each with each.
    lock = f"SELECT count(*) FROM (SELECT FROM recipient WHERE {chosen_rows} ORDER BY id FOR NO KEY UPDATE) AS locked"  # noqa: S608 - our own words
    statement = f"""
        WITH moved AS (
            UPDATE recipient SET sms_state = :to{more} WHERE {chosen_rows} RETURNING id, tenant_id, campaign_id
        ), told AS (
            INSERT INTO event (tenant_id, campaign_id, recipient_id, track, state, at, actor, detail)
            SELECT tenant_id, campaign_id, id, 'sms', :to, :at, :actor, CAST(:detail AS jsonb) FROM moved RETURNING 1
        )
        SELECT count(*) FROM told
    """  # noqa: S608 - the names come from the table above, the condition from our own code
    allowed = set(SMS.sources(to))
    values = {
        **chosen.values,
        "to": str(to),
        "at": at,
        "actor": actor,
        "campaign_id": campaign_id,
        "sources": [str(source) for source in sources if str(source) in allowed],
        "detail": Jsonb(chosen.detail) if chosen.detail is not None else None,
    }
    if chosen.reminder_id is not None:
        values["reminder_id"] = chosen.reminder_id
    executor.execute(text(lock), values)
    return int(executor.execute(text(statement), values).scalar_one())


def move_attempt(
    executor: Executor,
    payment_id: int,
    to: PaymentAttemptState,
    *,
    sources: Sequence[PaymentAttemptState] | None = None,
    only: str = "true",
    columns: Mapping[str, Any] = MappingProxyType({}),
) -> bool:
    """Move an attempt to pay, one that has an account, to `to`.

    Returns whether it moved.

    `sources` narrows the states to leave from, `only` (a condition on the payment, of our own words) the payments.
    `columns` are set with the state. Where its person stands is a track of theirs, moved by `move`.
    """
    which = f"payment_account_id IS NOT NULL AND {only}"
    return _move_row(executor, "payment", PAYMENT_ATTEMPT, payment_id, to, sources=sources, only=which, columns=columns)


def cancel_by_hand(executor: Executor, payment_id: int) -> bool:
    """Take back money that was recorded by hand; return whether it stood as paid."""
    cancelled = PaymentAttemptState.CANCELLED
    which = "payment_account_id IS NULL"
    return _move_row(executor, "payment", PAYMENT_BY_HAND, payment_id, cancelled, only=which)


def move_import(
    executor: Executor,
    import_id: int,
    to: ImportState,
    *,
    at: datetime,
    sources: Sequence[ImportState] | None = None,
    columns: Mapping[str, Any] = MappingProxyType({}),
) -> bool:
    """Move an import to `to`, with the time of its beginning or end.

    Returns whether it moved.

    `sources` narrows the states to leave from; `columns` are set with the state.
    """
    return _move_row(executor, "import", IMPORT, import_id, to, sources=sources, columns=columns, at=at)


def move_export(
    executor: Executor,
    export_id: int,
    to: ExportState,
    *,
    at: datetime,
    sources: Sequence[ExportState] | None = None,
    columns: Mapping[str, Any] = MappingProxyType({}),
) -> bool:
    """Move an export as `move_import` moves an import."""
    return _move_row(executor, "export", EXPORT, export_id, to, sources=sources, columns=columns, at=at)


def move_sender_number(
    executor: Executor,
    sender_number_id: int,
    to: SenderState,
    *,
    at: datetime,
    columns: Mapping[str, Any] = MappingProxyType({}),
) -> bool:
    """Move a sender number to `to`, with the time of the step.

    Returns whether it moved.
    """
    return _move_row(executor, "sender_number", SENDER, sender_number_id, to, columns=columns, at=at)


def _move_row(  # noqa: PLR0913 - what a move is
    executor: Executor,
    table: str,
    track: Track,
    row_id: int,
    to: StrEnum,
    *,
    sources: Sequence[StrEnum] | None = None,
    only: str = "true",
    columns: Mapping[str, Any] = MappingProxyType({}),
    at: datetime | None = None,
) -> bool:
    """Move one row of a table whose `state` is the track's, where the vocabulary allows it."""
    sets = ["state = :to", *(f"{name} = :set_{name}" for name in columns)]
    if at is not None and to in _ROW_TIMES:
        sets.append(_ROW_TIMES[to])
    # the names are our own words
    statement = f"""
        UPDATE {table} SET {", ".join(sets)} WHERE id = :id AND state = ANY(:sources) AND {only} RETURNING id
    """  # noqa: S608
    values = {f"set_{name}": value for name, value in columns.items()}
    values |= {"id": row_id, "to": str(to), "at": at, "sources": _allowed(track, to, sources)}
    return executor.execute(text(statement), values).first() is not None


def _allowed(track: Track, to: StrEnum, sources: Sequence[StrEnum] | None) -> list[str]:
    """Name the states to leave from: the vocabulary's, narrowed by `sources` and never widened."""
    allowed = track.sources(to)
    return allowed if sources is None else [state for state in allowed if state in {str(source) for source in sources}]
