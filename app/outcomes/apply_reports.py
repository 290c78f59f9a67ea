"""Turn a provider's reports into states: by rank, under a lock, once.

"Delivered" outranks "undelivered" and "cancelled", and all outrank "accepted", whatever comes first, late or twice:
that order is the vocabulary's own (`app.states.vocabulary`), for `move` leaves a state only where it allows.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, text
from sqlalchemy.orm import aliased

from app.db import in_text
from app.delivery import retry_schedule, send_log
from app.delivery.send_log import AttemptReport
from app.models import Recipient
from app.outcomes import double_sends
from app.providers.sms.base import ReportState
from app.states import result_codes
from app.states.transitions import Step, move
from app.states.vocabulary import SMS, SmsState
from app.suppression import proposals

_BEFORE_REMINDER = in_text(send_log.before_reminder, aliased(Recipient, name="r"))

_STATES = {
    ReportState.PROCESSING: SmsState.ACCEPTED,
    ReportState.DELIVERED: SmsState.DELIVERED,
    ReportState.UNDELIVERED: SmsState.UNDELIVERED,
    ReportState.CANCELLED: SmsState.CANCELLED,
}
# a person who waits to be written to again gets that SMS, whatever becomes of the one before, unless it arrived after
# all
_LEFT = (SmsState.SENDING, SmsState.ACCEPTED, SmsState.UNKNOWN)
_FROM = {
    SmsState.ACCEPTED: _LEFT,
    SmsState.CANCELLED: _LEFT,
    SmsState.UNDELIVERED: _LEFT,
    SmsState.DELIVERED: (
        *_LEFT,
        SmsState.UNDELIVERED,
        SmsState.QUEUED,
        SmsState.CANCELLED,
        SmsState.EXPIRED,
    ),
}
# how much a provider's clock may be behind ours: so much earlier than the attempt it is still the time of its beginning
_CLOCKS_DIFFER = timedelta(minutes=5)


def apply(connection: Connection, told: Sequence[AttemptReport]) -> None:
    """Take the provider's word for attempts that exist.

    Of an earlier one only "delivered" counts for the person, and not at all if it came before a reminder: that what
    was sent first arrived says nothing of the reminder.
    """
    ids = sorted({item.recipient_id for item in told})
    rows = connection.execute(
        text(f"""
            SELECT id, sms_attempt, sms_code, carrier, {_BEFORE_REMINDER} AS before_reminder
            FROM recipient r WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE
        """),  # noqa: S608 - our own words
        {"ids": ids},
    )
    people = {row.id: row for row in rows}
    attempts = _attempts(connection, ids)
    told = _dated(told, attempts)
    double_sends.keep(connection, told, attempts)
    groups: dict[SmsState, dict[tuple[int, int], AttemptReport]] = defaultdict(dict)
    for item in told:
        if item.recipient_id in people:
            groups[_STATES[item.report.state]].setdefault((item.recipient_id, item.attempt), item)
    # lowest rank first, so that every step that really happened leaves its event
    for to in (SmsState.ACCEPTED, SmsState.CANCELLED, SmsState.UNDELIVERED, SmsState.DELIVERED):
        group = [groups[to][key] for key in sorted(groups[to])]
        steps = {
            item.recipient_id: _step(item, people[item.recipient_id].carrier)
            for item in group
            if item.attempt > people[item.recipient_id].before_reminder
            and (to is SmsState.DELIVERED or item.attempt == people[item.recipient_id].sms_attempt)
            # "still processing" is no news of what was accepted days ago
            and not (to is SmsState.ACCEPTED and people[item.recipient_id].sms_code == result_codes.NO_RECEIPT)
        }
        moved = move(connection, SMS, to, list(steps.values()), actor="provider", sources=_FROM[to])
        if to is SmsState.UNDELIVERED:
            retry_schedule.plan(connection, moved)
            proposals.propose_vacant(connection, moved)
        if group:
            send_log.record_reports(connection, to, group)


def believed(at: datetime, started_at: datetime, now: datetime) -> datetime:
    """Return when it happened, by what a provider says of an attempt that began at `started_at`.

    Nothing happens before its attempt or after now: a little too early is the beginning of the attempt, and any other
    time that can't be is no time at all, so it happened when we learnt of it.
    """
    if at > now or at < started_at - _CLOCKS_DIFFER:
        return now
    return max(at, started_at)


def _attempts(connection: Connection, recipient_ids: Sequence[int]) -> dict[tuple[int, int], Row[Any]]:
    """Return these people's attempts as they are on record, by person and attempt."""
    rows = connection.execute(
        text("""
            SELECT recipient_id, attempt, started_at, provider_id, tenant_id, campaign_id
            FROM send_log WHERE recipient_id = ANY(:ids)
        """),
        {"ids": list(recipient_ids)},
    )
    return {(row.recipient_id, row.attempt): row for row in rows}


def _dated(told: Sequence[AttemptReport], attempts: Mapping[tuple[int, int], Row[Any]]) -> list[AttemptReport]:
    """Put right the times that can't be (`believed`)."""
    now = datetime.now(UTC)
    dated = []
    for item in told:
        row = attempts.get((item.recipient_id, item.attempt))
        dated.append(replace(item, at=believed(item.at, item.at if row is None else row.started_at, now)))
    return dated


def _step(item: AttemptReport, carrier: str) -> Step:
    detail = {"attempt": item.attempt, "code": item.report.code}
    return Step(
        item.recipient_id, item.at, detail, {"sms_code": item.report.code, "carrier": item.report.carrier or carrier}
    )
