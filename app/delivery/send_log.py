"""The send log: a row for every attempt, written before its request leaves and completed by what is learnt of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, exists, func, select, text
from sqlalchemy.orm import aliased

from app.db import Of
from app.models import Recipient, Reminder, SendLog
from app.providers.sms.base import Report
from app.states import bulk_values, result_codes
from app.states.vocabulary import SMS, SmsState


def before_reminder(person: Of[Recipient]) -> ColumnElement[int]:
    """Return a person's last attempt before their reminder, 0 for none: the reminder is a message of its own."""
    before = aliased(SendLog)
    last = (
        select(func.max(before.attempt))
        .select_from(Reminder)
        .join(before, before.started_at < Reminder.created_at)
        .where(Reminder.id == person.reminder_id, before.recipient_id == person.id)
        .correlate(person)
        .scalar_subquery()
    )
    return func.coalesce(last, 0)


def is_earlier(earlier: Of[SendLog], attempt: Of[SendLog], person: Of[Recipient]) -> ColumnElement[bool]:
    """Return the condition that one attempt was made at a person's same message, before the other."""
    return and_(
        earlier.recipient_id == person.id,
        earlier.attempt < attempt.attempt,
        earlier.attempt > before_reminder(person),
    )


def sent_again(attempt: Of[SendLog], person: Of[Recipient]) -> ColumnElement[bool]:
    """Return the condition that the message of an attempt was sent again by itself before."""
    earlier = aliased(SendLog)
    return _any(earlier, attempt, person, earlier.code == result_codes.ABSENT)


def arrived_before(attempt: Of[SendLog], person: Of[Recipient]) -> ColumnElement[bool]:
    """Return the condition that an earlier attempt at the message of an attempt was accepted."""
    earlier = aliased(SendLog)
    return _any(earlier, attempt, person, earlier.state.in_(("accepted", "delivered")))


def _any(
    earlier: Of[SendLog], attempt: Of[SendLog], person: Of[Recipient], condition: ColumnElement[bool]
) -> ColumnElement[bool]:
    return exists().where(is_earlier(earlier, attempt, person), condition).correlate(attempt, person)


class Ended(NamedTuple):
    """The end of an attempt as far as we saw.

    `state` is the attempt's, CANCELLED when it provably never got in.
    """

    recipient_id: int
    attempt: int
    state: SmsState
    code: str
    at: datetime
    provider_id: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptReport:
    """The provider's word on an attempt.

    `at` is when it happened, aware and not in the future.
    """

    recipient_id: int
    attempt: int
    report: Report
    at: datetime


@dataclass(frozen=True, slots=True)
class Tries:
    """How often in a row a message provably did not get in, and since when."""

    count: int
    first_at: datetime


class Begun(NamedTuple):
    """An attempt that is about to be made: its link's generation, and the provider's name for it."""

    recipient_id: int
    attempt: int
    generation: int
    reference: str


def begin(
    connection: Connection,
    attempts: Sequence[Begun],
    *,
    tenant_id: int,
    campaign_id: int,
    account_id: int,
    contract_id: int | None,
    fence: int,
    at: datetime,
) -> None:
    """Write the rows of attempts that are about to be made."""
    table, values = bulk_values.table(
        {
            "id": ("bigint", [one.recipient_id for one in attempts]),
            "attempt": ("integer", [one.attempt for one in attempts]),
            "generation": ("integer", [one.generation for one in attempts]),
            "reference": ("text", [one.reference for one in attempts]),
        }
    )
    connection.execute(
        text(f"""
            INSERT INTO send_log (
                tenant_id, campaign_id, recipient_id, sms_account_id, sms_contract_id, attempt, generation, reference,
                fence, started_at
            )
            SELECT
                :tenant_id, :campaign_id, u.id, :account_id, :contract_id, u.attempt, u.generation, u.reference,
                :fence, :at
            FROM {table} AS u
        """),  # noqa: S608 - our own words
        values
        | {
            "tenant_id": tenant_id,
            "campaign_id": campaign_id,
            "account_id": account_id,
            "contract_id": contract_id,
            "fence": fence,
            "at": at,
        },
    )


def end(connection: Connection, rows: Sequence[Ended]) -> None:
    """Complete attempts by our own knowledge.

    An earlier report's word stays; only open columns are filled in.
    """
    if not rows:
        return
    table, values = bulk_values.table(
        {
            "id": ("bigint", [row.recipient_id for row in rows]),
            "attempt": ("integer", [row.attempt for row in rows]),
            "state": ("text", [str(row.state) for row in rows]),
            "code": ("text", [row.code for row in rows]),
            "provider_id": ("text", [row.provider_id for row in rows]),
            "at": ("timestamptz", [row.at for row in rows]),
        }
    )
    connection.execute(
        text(f"""
            UPDATE send_log l SET
                state = CASE WHEN l.state = ANY(:open) THEN u.state ELSE l.state END,
                code = CASE WHEN l.state = ANY(:open) THEN u.code ELSE l.code END,
                settled_at = CASE WHEN l.state = ANY(:open) AND u.state = ANY(:final) THEN u.at ELSE l.settled_at END,
                provider_id = coalesce(l.provider_id, u.provider_id),
                -- from here on a settle time counts, or a suspect's minute: by one clock, whichever machine asks
                answered_at = CASE WHEN u.state = :unknown OR starts_with(u.code, :account) THEN now() ELSE u.at END
            FROM {table} AS u
            WHERE l.recipient_id = u.id AND l.recipient_id BETWEEN :u_first AND :u_last AND l.attempt = u.attempt
        """),  # noqa: S608 - our own words
        values
        | {
            "open": [str(SmsState.SENDING), str(SmsState.UNKNOWN)],
            "unknown": str(SmsState.UNKNOWN),
            "account": result_codes.ACCOUNT,
            "final": [str(SmsState.UNDELIVERED), str(SmsState.CANCELLED)],
        },
    )


def record_reports(connection: Connection, to: SmsState, rows: Sequence[AttemptReport]) -> None:
    """Complete attempts by the provider's word, all of which say `to`; a report never lowers what a better one said.

    "Delivered" overrules everything, also our own belief that the attempt never got in.
    """
    sources = [str(state) for state in SmsState] if to is SmsState.DELIVERED else SMS.sources(to)
    table, values = bulk_values.table(
        {
            "id": ("bigint", [row.recipient_id for row in rows]),
            "attempt": ("integer", [row.attempt for row in rows]),
            "code": ("text", [row.report.code for row in rows]),
            "provider_id": ("text", [row.report.provider_id for row in rows]),
            "carrier": ("text", [row.report.carrier for row in rows]),
            "units": ("integer", [row.report.units for row in rows]),
            "at": ("timestamptz", [row.at for row in rows]),
        }
    )
    connection.execute(
        text(f"""
            UPDATE send_log l SET
                state = CASE WHEN l.state = ANY(:sources) THEN :to ELSE l.state END,
                code = CASE WHEN l.state = ANY(:sources) THEN u.code ELSE l.code END,
                settled_at = CASE WHEN l.state = ANY(:sources) AND :settles THEN u.at ELSE l.settled_at END,
                provider_id = coalesce(l.provider_id, u.provider_id),
                carrier = coalesce(u.carrier, l.carrier),
                units = coalesce(u.units, l.units)
            FROM {table} AS u
            WHERE l.recipient_id = u.id AND l.recipient_id BETWEEN :u_first AND :u_last AND l.attempt = u.attempt
        """),  # noqa: S608 - our own words
        values
        | {
            "to": str(to),
            "sources": [state for state in sources if state != str(to)],
            "settles": to is not SmsState.ACCEPTED,
        },
    )


def tries(connection: Connection, recipient_ids: Sequence[int]) -> dict[int, Tries]:
    """Count the attempts in a row, up to each person's last but the open one, that provably did not get in.

    Attempts that never left, and those refused for the account's sake, don't count.
    """
    rows = connection.execute(
        text("""
            SELECT l.recipient_id AS id, count(*) AS number, min(l.started_at) AS first_at
            FROM send_log l
            WHERE l.recipient_id = ANY(:ids) AND l.state = 'cancelled'
            AND l.code <> :not_sent AND NOT starts_with(l.code, :account)
            AND l.attempt > coalesce((
                SELECT max(p.attempt) FROM send_log p
                WHERE p.recipient_id = l.recipient_id AND p.state NOT IN ('cancelled', 'sending', 'unknown')
            ), 0)
            GROUP BY l.recipient_id
        """),
        {"ids": list(recipient_ids), "not_sent": result_codes.NOT_SENT, "account": result_codes.ACCOUNT},
    )
    return {row.id: Tries(row.number, row.first_at) for row in rows}
