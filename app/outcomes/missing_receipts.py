"""Ask about SMS that were accepted and never reported again: after 72 hours, then a manager decides.

A slice says when to look at it (`receipts_due_at`), how far it was asked about (`asked_to`), and which SMS an outage
made due early (`ask_before`). An SMS that was accepted once is never sent again for being absent at the provider. Why:
docs/adr/0005-missing-receipts.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Row, text
from sqlalchemy.orm import aliased

from app import queues, references, tenancy
from app.accounts import Unusable
from app.db import in_text
from app.delivery import send_context, shutdown
from app.delivery.send_log import AttemptReport
from app.models import Recipient
from app.outcomes import apply_reports, sent_texts
from app.outcomes.provider_queries import ask_account
from app.providers.http import Request, Response
from app.providers.sms.base import Report, ReportState, Sought, UnclearAnswer
from app.states import locks, result_codes
from app.states.reached import reached
from app.states.transitions import Step, move
from app.states.vocabulary import SMS, SmsState
from app.vault import CannotOpen
from app.work_budget import SHIFT_S, WorkBudget

AFTER = timedelta(hours=72)

# how much longer a provider that gives no answer is asked before its silence is told to a person
_PATIENCE = timedelta(hours=24)
_ASKED_AGAIN = timedelta(hours=1)
_DAILY = timedelta(hours=24)
_ASKED_FOR = timedelta(days=17)
# people of a slice who are asked about before other slices have their turn
_BATCH_ROWS = 500
# how long an account may be asked in one go, and longer than that takes: how long a slice is held; seconds
_ASKING_S = 20.0
_LEASE_S = 120

_REACHED = in_text(reached, aliased(Recipient, name="r"))
_SILENT = f"""
    FROM recipient r JOIN send_log l ON l.recipient_id = r.id AND l.attempt = r.sms_attempt
    WHERE r.campaign_id = :campaign_id AND r.id BETWEEN :first_id AND :last_id
    AND (
        (r.sms_state = 'accepted' AND r.sms_code <> :as_sent AND (NOT {_REACHED} OR r.accepted_at > :asked_since))
        OR (r.sms_state = 'unknown' AND r.sms_code = :no_receipt AND r.accepted_at > :asked_since)
    )
"""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _PolledSlice:
    """A slice that was taken.

    `asked_to` is the last person who was asked about, `ask_before` as on the slice.
    """

    slice_id: int
    campaign_id: int
    first_id: int
    last_id: int
    asked_to: int | None
    ask_before: datetime | None


@dataclass(frozen=True, slots=True)
class _Silent:
    recipient_id: int
    attempt: int
    account_id: int
    provider_id: str | None
    reference: str
    accepted_at: datetime


@dataclass(slots=True)
class _Answers:
    """The provider's answers: a report, None for "I have no such message"; unclear ones are missing.

    `unasked` are those about whom nobody was asked, for their account is to be left alone, for `wait_s` seconds.
    """

    found: dict[_Silent, Report | None] = field(default_factory=dict)
    unasked: set[_Silent] = field(default_factory=set)
    wait_s: float = 0.0


def poll(tenant_id: int, *, batch_rows: int = _BATCH_ROWS, shift_s: float = SHIFT_S) -> None:
    """Ask about the tenant's people who were accepted 72 hours ago and of whom nothing was heard since."""
    budget = WorkBudget(shift_s)  # others' receipts wait on the same queue
    while not shutdown.is_asked():
        if budget.is_spent:
            queues.enqueue("jobs.outcomes.poll", tenant_id, once=True)
            return
        part = _take()
        if part is None:
            return
        batch = _next(part, batch_rows)
        if batch:
            answers = _ask(batch)
            _settle(batch, answers)
            _go_on(part, batch, answers)
        else:
            _rearm(part)


def _take() -> _PolledSlice | None:
    """Take the slice that waits for longest; nobody else gets it meanwhile."""
    with tenancy.transaction() as connection:
        row = connection.execute(
            text("""
                UPDATE slice SET receipts_due_at = now() + make_interval(secs => :lease_s)
                WHERE id = (
                    SELECT id FROM slice WHERE receipts_due_at <= now()
                    ORDER BY receipts_due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
                )
                RETURNING id, campaign_id, first_id, last_id, asked_to, ask_before
            """),
            {"lease_s": _LEASE_S},
        ).first()
        return None if row is None else _PolledSlice(*row)


def _go_on(part: _PolledSlice, batch: Sequence[_Silent], answers: _Answers) -> None:
    """Remember how far the slice was asked about; others have their turn before it goes on.

    It stops before the first about whom nobody could be asked, until their account may be.
    """
    now = datetime.now(UTC)
    left = [item for item in batch if item in answers.unasked and not _given_up(item, now)]
    with tenancy.transaction() as connection:
        connection.execute(
            text("""
                UPDATE slice SET asked_to = :asked_to, receipts_due_at = now() + make_interval(secs => :wait_s)
                WHERE id = :id AND ask_before IS NOT DISTINCT FROM CAST(:ask_before AS timestamptz)
            """),
            {
                "id": part.slice_id,
                "asked_to": left[0].recipient_id - 1 if left else batch[-1].recipient_id,
                "wait_s": max(answers.wait_s, 1.0) if left else 0.0,
                "ask_before": part.ask_before,
            },
        )


def _values(part: _PolledSlice, now: datetime) -> dict[str, object]:
    return {
        "campaign_id": part.campaign_id,
        "first_id": part.first_id,
        "last_id": part.last_id,
        "as_sent": result_codes.AS_SENT,
        "no_receipt": result_codes.NO_RECEIPT,
        "asked_since": now - _ASKED_FOR,
    }


def _next(part: _PolledSlice, limit: int) -> Sequence[_Silent]:
    now = datetime.now(UTC)
    before = now - AFTER if part.ask_before is None else max(now - AFTER, part.ask_before)
    with tenancy.transaction() as connection:
        rows = connection.execute(
            text(f"""
                SELECT r.id, l.attempt, l.sms_account_id, l.provider_id, l.reference, r.accepted_at,
                    (SELECT key FROM campaign WHERE id = :campaign_id) AS key {_SILENT}
                AND r.id > :after_id AND r.accepted_at <= :before ORDER BY r.id LIMIT :limit
            """),  # noqa: S608 - our own words
            {
                **_values(part, now),
                "after_id": part.first_id - 1 if part.asked_to is None else part.asked_to,
                "before": before,
                "limit": limit,
            },
        )
        return [_silent(row) for row in rows]


def _silent(row: Row[Any]) -> _Silent:
    reference = references.of_attempt(row.reference, row.key, row.id, row.attempt)
    return _Silent(row.id, row.attempt, row.sms_account_id, row.provider_id, reference, row.accepted_at)


def _ask(batch: Sequence[_Silent]) -> _Answers:
    answers = _Answers()
    for account_id in sorted({item.account_id for item in batch}):
        mine = [item for item in batch if item.account_id == account_id]
        try:
            account = send_context.account(account_id)
        except (Unusable, CannotOpen) as fault:
            _log.error("missing receipts not queried", sms_account_id=account_id, reason=str(fault))
            answers.unasked.update(mine)
            answers.wait_s = max(answers.wait_s, _ASKED_AGAIN.total_seconds())
            continue
        sought = sent_texts.sought(account, {item.reference for item in mine if item.provider_id is None})
        requests = {item: _question(item, account, sought) for item in mine}

        def read(
            item: _Silent,
            response: Response,
            account: send_context.Account = account,
            sought: Mapping[str, Sought] = sought,
        ) -> Report | None:
            if item.provider_id is None:
                return account.provider.parse_lookup(response, sought[item.reference])
            report = account.provider.report(response)
            if report.provider_id != item.provider_id:
                raise UnclearAnswer("mismatch")
            return report

        wanted = {item: request for item, request in requests.items() if request is not None}
        asked = ask_account(account_id, wanted, read, what="detail", budget=WorkBudget(_ASKING_S))
        answers.found |= asked.found
        answers.unasked |= asked.skipped
        answers.wait_s = max(answers.wait_s, asked.wait_s)
    return answers


def _question(item: _Silent, account: send_context.Account, sought: Mapping[str, Sought]) -> Request | None:
    """Ask by the provider's id where it gave one, else for the attempt where it can be asked so."""
    if item.provider_id is not None:
        return account.provider.detail(account.opened, item.provider_id)
    return account.provider.lookup(account.opened, sought[item.reference])


def _given_up(item: _Silent, now: datetime) -> bool:
    """Return whether a provider without an answer has had its time."""
    return item.accepted_at <= now - AFTER - _PATIENCE


def _settle(batch: Sequence[_Silent], answers: _Answers) -> None:
    """Record what was learnt of people who still stand where they stood when they were asked about."""
    now = datetime.now(UTC)
    with tenancy.transaction() as connection:
        rows = connection.execute(
            text(f"""
                SELECT r.id, {_REACHED} AS opened FROM recipient r
                JOIN unnest(CAST(:ids AS bigint[]), CAST(:attempts AS integer[])) AS u(id, attempt) ON u.id = r.id
                WHERE r.sms_attempt = u.attempt ORDER BY r.id FOR NO KEY UPDATE OF r
            """),  # noqa: S608 - our own words
            {"ids": [item.recipient_id for item in batch], "attempts": [item.attempt for item in batch]},
        )
        opened = {row.id: row.opened for row in rows}
        told, silent = [], []
        for item in batch:
            if item.recipient_id not in opened:
                continue
            report = answers.found.get(item)
            if report is not None and report.state is not ReportState.PROCESSING:
                told.append(AttemptReport(item.recipient_id, item.attempt, report, min(report.at or now, now)))
            elif opened[item.recipient_id] or item.accepted_at > now - AFTER:
                continue
            elif item in answers.found or _given_up(item, now):
                silent.append(item)
        apply_reports.apply(connection, told)
        code = result_codes.NO_RECEIPT
        steps = [
            Step(item.recipient_id, now, {"attempt": item.attempt, "code": code}, {"sms_code": code}) for item in silent
        ]
        move(connection, SMS, SmsState.UNKNOWN, steps, actor="system", sources=[SmsState.ACCEPTED])


def _rearm(part: _PolledSlice) -> None:
    """Schedule the next look at the slice: never, once nobody of it is to be asked about or sent to."""
    now = datetime.now(UTC)
    with tenancy.transaction() as connection:
        locks.lock_slice(connection, part.slice_id)
        at = _next_time(connection, part, now)
        connection.execute(
            text("""
                UPDATE slice SET receipts_due_at = :at, asked_to = NULL, ask_before = NULL
                WHERE id = :id AND ask_before IS NOT DISTINCT FROM CAST(:ask_before AS timestamptz)
            """),
            {"at": at, "id": part.slice_id, "ask_before": part.ask_before},
        )


def _next_time(connection: Connection, part: _PolledSlice, now: datetime) -> datetime | None:
    rows = connection.execute(
        text(f"""
            SELECT r.sms_state = 'unknown' OR {_REACHED} AS told, min(r.accepted_at) AS first_at
            {_SILENT} GROUP BY 1
        """),
        _values(part, now),
    ).all()
    times = [max(row.first_at + AFTER, now + (_DAILY if row.told else _ASKED_AGAIN)) for row in rows]
    unsettled = connection.scalar(
        text("""
            SELECT EXISTS (
                SELECT FROM recipient WHERE campaign_id = :campaign_id AND id BETWEEN :first_id AND :last_id
                AND (sms_state IN ('queued', 'sending') OR (sms_state = 'unknown' AND sms_code <> :no_receipt))
            )
        """),
        _values(part, now),
    )
    if unsettled:
        times.append(now + AFTER)
    return min(times, default=None)
