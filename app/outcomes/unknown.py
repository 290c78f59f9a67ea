"""Messages whose fate is unknown: asked about by our reference, never guessed, never sent again blind.

Found at the provider: the message goes on from there. Not found, where the service refuses a reference that it had
before: it is sent again under the same one (`app.outcomes.repeats`). Provably absent (`app.outcomes.absence`), from
the list of its time too (`app.outcomes.listing_check`): it waits to be sent again, once for a person and a message.
Neither: it stays unknown, is asked about again, ever less often, and a manager decides (`app.outcomes.manual_review`).
An account's questions stand still while it is to be left alone.
"""

import random
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Row, text
from sqlalchemy.orm import aliased

from app import queues, tenancy
from app.accounts import Unusable
from app.campaigns import bulk_operations
from app.db import in_text
from app.delivery import leases, retry_due, send_context, send_log, shutdown
from app.delivery.leases import Range
from app.delivery.send_log import AttemptReport
from app.models import Recipient, SendLog
from app.outcomes import absence, apply_reports, question_round, repeats, witness
from app.outcomes.listing_check import Listing
from app.outcomes.question_round import Looked, Open
from app.providers.sms import PROVIDERS
from app.states import locks, reached, result_codes
from app.states.transitions import Step, move, move_campaign, note
from app.states.vocabulary import SMS, CampaignState, SmsState
from app.vault import CannotOpen
from app.work_budget import SHIFT_S, WorkBudget

_FIRST = 16
_CHUNK = 500
_QUICK_S = 0.1
# how much rarer than its age a message is asked about again
_RARER = 8
_LONGEST_WAIT = timedelta(hours=1)
_SOON = timedelta(seconds=1)

_PERSON, _ATTEMPT = aliased(Recipient, name="r"), aliased(SendLog, name="l")
_SENT_AGAIN = in_text(send_log.sent_again, _ATTEMPT, _PERSON)
_ARRIVED_BEFORE = in_text(send_log.arrived_before, _ATTEMPT, _PERSON)
# earlier attempts that may have arrived after all
_EARLIER = f"""
    FROM send_log e WHERE {in_text(send_log.is_earlier, aliased(SendLog, name="e"), _ATTEMPT, _PERSON)}
    AND e.state IN ('unknown', 'cancelled') AND e.code <> :not_sent ORDER BY e.attempt
"""

_log = structlog.get_logger()


def reconcile(*, shift_s: float = SHIFT_S) -> None:
    """Look after the tenant's slices that want it: take over from dead workers, ask about what is unknown."""
    budget = WorkBudget(shift_s)  # others wait on the same queue, of other companies too
    retry_due.wake()
    _revive_stalled()
    while not shutdown.is_asked() and (part := leases.to_check()):
        _check(part, budget)
        if budget.is_spent:
            queues.enqueue("jobs.outcomes.reconcile", part.tenant_id, once=True)
            return


def next_question(item: Open) -> datetime:
    """Return when to ask about a message again: the second look-up of an absent one comes soon."""
    asked_at = item.asked_at
    if asked_at is None:
        return item.since
    if (again_at := repeats.next_at(item)) is not None:
        return again_at
    if item.absent_at is not None:
        return max(item.absent_at, asked_at) + absence.gap()
    wait = min(max((asked_at - item.since) / _RARER, absence.gap()), _LONGEST_WAIT)
    settled_at = item.settled_at
    return max(settled_at, asked_at + absence.gap()) if asked_at < settled_at else asked_at + wait


def _check(part: Range, budget: WorkBudget) -> None:
    """Ask about every unknown message of a slice that is due, then say when to look at the slice again.

    Once `budget` is spent nobody else is asked about: other slices, of other accounts, go first.
    """
    with tenancy.transaction() as connection:
        _spare_reached(connection, part)
        waiting, now = _unknown(connection, part)
    requeued = 0
    rests_until: dict[int, datetime] = {}
    for account_id, mine in waiting.items():
        due = [item for item in mine if next_question(item) <= now]
        again, wait_s = _ask(part, account_id, due, now, budget)
        requeued += again
        rests_until[account_id] = now + timedelta(seconds=wait_s)
    with tenancy.transaction() as connection:
        if _lock(connection, part) == CampaignState.CANCELLED:
            # people whom a worker let wait again after the cancelling, and died before it gave the slice back
            leases.let_go(connection, part, result_codes.CALLED_OFF)
        left, now = _unknown(connection, part)
        times = [
            max(next_question(item), rests_until.get(account_id, now), now + _SOON)
            for account_id, mine in left.items()
            for item in mine
        ]
        connection.execute(
            # while the slice is leased its worker may die: then it is looked at again ("least" passes over nulls)
            text("UPDATE slice SET check_at = least(CAST(:at AS timestamptz), leased_until) WHERE id = :id"),
            {"at": min(times, default=None), "id": part.slice_id},
        )
    if requeued:
        queues.enqueue("jobs.delivery.send", once=True)
    if not left:
        leases.complete(part.campaign_id)


def _spare_reached(connection: Connection, part: Range) -> None:
    """Settle whoever used the link of an SMS of unknown fate: it arrived."""
    _lock(connection, part)
    among = "campaign_id = :campaign_id AND id BETWEEN :first_id AND :last_id AND sms_state = 'unknown'"
    values = {"campaign_id": part.campaign_id, "first_id": part.first_id, "last_id": part.last_id}
    reached.spare(connection, among, values, at=datetime.now(UTC))


def _ask(part: Range, account_id: int, due: list[Open], at: datetime, budget: WorkBudget) -> tuple[int, float]:
    """Ask about one account's messages that are due `at` a time of the database's clock.

    Return how many will be sent again, and how long the account is left alone, seconds.

    A few go first, others each time: where nothing is told of them, the account has no answers at the moment. The rest
    goes in the order of their age, so that one witness serves many.
    """
    if not due:
        return 0, 0.0
    try:
        account = send_context.account_with_contract(account_id)
    except (Unusable, CannotOpen) as fault:
        _log.error("unknown messages not queried", sms_account_id=account_id, reason=str(fault))
        return 0, 0.0
    listing = Listing(account, part.tenant_id, [item for item in due if question_round.is_second(item, at)])
    random.shuffle(due)
    chunk, rest = due[:_FIRST], sorted(due[_FIRST:], key=lambda item: item.settled_at)
    requeued, unproven = 0, list[Open]()
    while chunk:
        began = time.monotonic()
        asked, now = _claim(chunk)
        looked = question_round.look_up(account, asked, now)
        listing.weigh(looked, now)
        looked.spare(repeats.send(part, account, [item for item in asked if item in looked.empty], budget))
        requeued += _settle(part, asked, looked, now)
        unproven += looked.unproven
        if looked.wait_s or (asked and not looked.found and not looked.empty) or budget.is_spent:
            return requeued, looked.wait_s
        # as many as are answered by then, at this pace
        many = int(len(chunk) * budget.left_s / max(time.monotonic() - began, _QUICK_S))
        size = max(_FIRST, min(_CHUNK, many))
        chunk, rest = rest[:size], rest[size:]
    witness.serve(part.campaign_id, account_id, unproven)
    return requeued, 0.0


def _claim(chunk: Sequence[Open]) -> tuple[list[Open], datetime]:
    """Take the messages nobody else asked about since they were read; return them, and the database's time.

    A message that somebody writes about at this moment is left for another time: their order of locks isn't this one.
    """
    with tenancy.transaction() as connection:
        rows = connection.execute(
            text("""
                WITH mine AS MATERIALIZED (
                    SELECT l.id FROM send_log l JOIN unnest(
                        CAST(:ids AS bigint[]), CAST(:attempts AS integer[]), CAST(:asked_at AS timestamptz[])
                    ) AS u(id, attempt, asked_at)
                    ON l.recipient_id = u.id AND l.attempt = u.attempt AND l.asked_at IS NOT DISTINCT FROM u.asked_at
                    FOR NO KEY UPDATE OF l SKIP LOCKED
                )
                UPDATE send_log l SET asked_at = now() FROM mine WHERE l.id = mine.id RETURNING l.recipient_id
            """),
            {
                "ids": [item.recipient_id for item in chunk],
                "attempts": [item.attempt for item in chunk],
                "asked_at": [item.asked_at for item in chunk],
            },
        )
        ours = set(rows.scalars())
        now = connection.execute(text("SELECT now()")).scalar_one()
    return [item for item in chunk if item.recipient_id in ours], now


def _unknown(connection: Connection, part: Range) -> tuple[dict[int, list[Open]], datetime]:
    """Return the slice's unknown messages by account, and the database's time: it is that of `since` too."""
    rows = connection.execute(
        text(f"""
            SELECT r.id, l.attempt, l.sms_account_id, coalesce(l.answered_at, l.started_at) AS since, l.code,
                l.sms_contract_id, k.identity, l.asked_at, l.absent_at, {absence.REFERENCE},
                r.sms_code = :listed OR {_SENT_AGAIN} OR {_ARRIVED_BEFORE} AS for_a_person,
                l.started_at, r.phone_index,
                (SELECT a.provider FROM sms_account a WHERE a.id = l.sms_account_id) AS provider,
                {repeats.OPEN} AND NOT {_ARRIVED_BEFORE} AS repeatable, {repeats.COUNT} AS repeats, l.repeated_at,
                ARRAY(SELECT e.attempt {_EARLIER}) AS earlier,
                ARRAY(SELECT e.reference {_EARLIER}) AS earlier_references,
                ARRAY(SELECT e.started_at {_EARLIER}) AS earlier_started,
                ARRAY(SELECT coalesce(e.answered_at, e.started_at) {_EARLIER}) AS earlier_answered,
                ARRAY(SELECT e.code {_EARLIER}) AS earlier_codes
            FROM recipient r
            JOIN campaign c ON c.id = r.campaign_id
            JOIN send_log l ON l.recipient_id = r.id AND l.attempt = r.sms_attempt
            LEFT JOIN sms_contract k ON k.id = l.sms_contract_id
            WHERE r.campaign_id = :campaign_id AND r.id BETWEEN :first_id AND :last_id AND r.sms_state = 'unknown'
            AND r.sms_code <> :no_receipt
            ORDER BY r.id
        """),  # noqa: S608 - our own words
        {
            "campaign_id": part.campaign_id,
            "first_id": part.first_id,
            "last_id": part.last_id,
            # those were accepted: `app.outcomes.missing_receipts` asks about them
            "no_receipt": result_codes.NO_RECEIPT,
            "not_sent": result_codes.NOT_SENT,
            "listed": result_codes.LISTED,
        },
    )
    found: dict[int, list[Open]] = defaultdict(list)
    for row in rows:
        found[row.sms_account_id].append(_open_of(row))
    return found, connection.execute(text("SELECT now()")).scalar_one()


def _open_of(row: Row[Any]) -> Open:
    able = PROVIDERS[row.provider].capabilities
    settled_at = row.since + absence.settle_time(row.code, able)
    return Open(
        recipient_id=row.id,
        attempt=row.attempt,
        references=question_round.references_of(row),
        since=row.since,
        settled_at=settled_at,
        contract_id=row.sms_contract_id,
        identity=row.identity,
        asked_at=row.asked_at,
        absent_at=row.absent_at,
        for_a_person=row.for_a_person,
        spans=question_round.spans_of(row, settled_at, able),
        phone_index=row.phone_index,
        may_repeat=able.refuses_duplicates and row.repeatable and row.repeats < repeats.MOST,
        repeats=row.repeats,
        repeated_at=row.repeated_at,
    )


def _settle(part: Range, asked: Sequence[Open], looked: Looked, now: datetime) -> int:
    """Record the answers for attempts that are still the ones asked about.

    Returns how many will be sent again.

    `now` is when they were asked about, or before, by the database's clock.
    """
    if not asked:
        return 0
    with tenancy.transaction() as connection:
        state = _lock(connection, part)
        rows = connection.execute(
            text("""
                SELECT r.id FROM recipient r
                JOIN unnest(CAST(:ids AS bigint[]), CAST(:attempts AS integer[])) AS u(id, attempt) ON u.id = r.id
                WHERE r.sms_state = 'unknown' AND r.sms_attempt = u.attempt
                ORDER BY r.id FOR NO KEY UPDATE OF r
            """),
            {"ids": [item.recipient_id for item in asked], "attempts": [item.attempt for item in asked]},
        )
        ids = set(rows.scalars())
        # while one asked, somebody may have used the link
        ids -= reached.spare(connection, "id = ANY(:ids)", {"ids": sorted(ids)}, at=datetime.now(UTC))
        told = [
            AttemptReport(item.recipient_id, attempt, report, min(report.at or now, now))
            for (item, attempt), report in looked.found.items()
            if item.recipient_id in ids
        ]
        apply_reports.apply(connection, told)
        of_own = {item for item, attempt in looked.found if attempt == item.attempt}
        still = [item for item in asked if item.recipient_id in ids and item not in of_own]
        return _weigh(connection, part, still, looked, now=now, state=state)


def _weigh(
    connection: Connection, part: Range, still: Sequence[Open], looked: Looked, *, now: datetime, state: str
) -> int:
    """Keep what a look-up proved of those still unknown; let those wait again of whom it is the second proof."""
    if looked.flaps:
        _mark(connection, still, None)
        return 0
    absent = [item for item in still if item in looked.absent]
    _mark(connection, [item for item in absent if item.absent_at is None], now)
    # it begins anew: a list by time is long, and is asked for ever less often
    _mark(connection, [item for item in still if item in looked.unlisted or item in looked.near], None)
    _leave_to_manager(connection, part, [item for item in still if item in looked.near], now)
    proven = [item for item in absent if question_round.is_second(item, now)]
    return _send_again(connection, part, proven, now, state)


def _mark(connection: Connection, items: Sequence[Open], at: datetime | None) -> None:
    """Write down when these were first seen absent; None where that can't be trusted."""
    if items:
        connection.execute(
            text("""
                UPDATE send_log l SET absent_at = :at
                FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS integer[])) AS u(id, attempt)
                WHERE l.recipient_id = u.id AND l.attempt = u.attempt
            """),
            {"at": at, "ids": [item.recipient_id for item in items], "attempts": [item.attempt for item in items]},
        )


def _leave_to_manager(connection: Connection, part: Range, near: Sequence[Open], now: datetime) -> None:
    """Never send these again by themselves: the carrier lists an SMS to their number that may be the message."""
    connection.execute(
        text("UPDATE recipient SET sms_code = :code WHERE id = ANY(:ids) AND sms_state = 'unknown'"),
        {"code": result_codes.LISTED, "ids": [item.recipient_id for item in near]},
    )
    for item in near:
        note(
            connection,
            SMS.name,
            result_codes.LISTED,
            tenant_id=part.tenant_id,
            campaign_id=part.campaign_id,
            recipient_id=item.recipient_id,
            at=now,
            actor="system",
            detail={"attempt": item.attempt, "code": result_codes.LISTED},
        )


def _send_again(connection: Connection, part: Range, proven: Sequence[Open], now: datetime, state: str) -> int:
    """Let wait again who provably was not written to: once, for a second unknown outcome is a manager's."""
    if not proven:
        return 0
    code = result_codes.ABSENT
    steps = [
        Step(item.recipient_id, now, {"attempt": item.attempt, "code": code}, {"sms_code": code}) for item in proven
    ]
    move(connection, SMS, SmsState.QUEUED, steps, actor="system", sources=[SmsState.UNKNOWN])
    send_log.end(
        connection, [send_log.Ended(item.recipient_id, item.attempt, SmsState.CANCELLED, code, now) for item in proven]
    )
    if state == CampaignState.CANCELLED:
        leases.let_go(connection, part, result_codes.CALLED_OFF)
        return 0
    connection.execute(text("UPDATE slice SET due_at = now() WHERE id = :id"), {"id": part.slice_id})
    return len(proven)


def _lock(connection: Connection, part: Range) -> str:
    """Lock the slice's row; return its campaign's state."""
    locks.lock_slice(connection, part.slice_id)
    state = connection.execute(text("SELECT state FROM campaign WHERE id = :id"), {"id": part.campaign_id})
    return str(state.scalar_one())


def _revive_stalled() -> None:
    """Complete campaigns that are done; where one is not, though no slice is due, have all its slices looked at.

    A campaign that was completed while people of it were made to wait again goes on.
    """
    with tenancy.transaction() as connection:
        early = connection.scalars(
            text("""
                SELECT id FROM campaign c WHERE state = 'completed'
                AND EXISTS (SELECT FROM slice WHERE campaign_id = c.id AND due_at IS NOT NULL) ORDER BY id
            """)
        ).all()
    for campaign_id in early:
        with tenancy.transaction() as connection:  # one at a time: whoever locks two campaigns waits in a ring
            move_campaign(connection, campaign_id, CampaignState.SENDING, at=datetime.now(UTC), actor="system")
    if early:
        queues.enqueue("jobs.delivery.send", once=True)
    with tenancy.transaction() as connection:
        stalled = connection.scalars(text(f"SELECT c.id {bulk_operations.STALLED}")).all()
    for campaign_id in stalled:
        with tenancy.transaction() as connection:
            if bulk_operations.complete_if_done(connection, campaign_id):
                continue
            _log.error("stalled campaign restarted", campaign_id=campaign_id)
            slices = locks.lock_slices(connection, campaign_id)
            connection.execute(
                text("UPDATE slice SET due_at = now(), check_at = now() WHERE id = ANY(:ids)"), {"ids": slices}
            )
