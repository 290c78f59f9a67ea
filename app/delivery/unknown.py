"""Messages whose fate is unknown: asked about by our reference, never guessed, never sent again blind.

Found at the provider: the message goes on from there. Provably absent after the settle time: it waits to be sent again.
Neither: it stays unknown and is asked about again, ever less often; without a look-up at the provider a person decides.
"""

import random
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import Connection, text

from app import queues, references, tenancy
from app.accounts import Unusable
from app.campaigns import waves
from app.config import settings
from app.delivery import log, reports, retry, routes, slices, stopping, waking
from app.delivery.asking import ask_account, chunks
from app.delivery.log import Told
from app.delivery.slices import Range
from app.outbound import Response
from app.sms.base import Report
from app.tracking import codes, reached
from app.tracking.moves import Step, move, move_campaign, note
from app.tracking.states import SMS, CampaignState, SmsState
from app.vault import CannotOpen

_FIRST = 16
_CHUNK = 500
# A job ends after so long, seconds, and another goes on: others wait on the same queue, of other companies too.
_SHIFT_S = 30.0
# how much rarer than its age a message is asked about again
_RARER = 60
_SHORTEST_WAIT = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(hours=1)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Open:
    """An attempt without a known fate; `since` is when nobody was sending it any more, by the database's clock."""

    recipient_id: int
    attempt: int
    account_id: int
    reference: str
    since: datetime


def reconcile() -> None:
    """Look after the tenant's slices that want it: take over from dead workers, ask about what is unknown."""
    ends = time.monotonic() + _SHIFT_S
    waking.wake()
    _revive_stalled()
    while not stopping.asked.is_set() and (part := slices.to_check()):
        _check(part)
        if time.monotonic() >= ends:
            queues.enqueue("jobs.delivery.reconcile", part.tenant_id, once=True)
            return


def next_check(since: datetime, now: datetime, settle: timedelta) -> datetime:
    """Say when to ask again about a message unknown `since` then."""
    if now < since + settle:
        return since + settle
    return now + min(max((now - since) / _RARER, _SHORTEST_WAIT), _LONGEST_WAIT)


def _check(part: Range) -> None:
    """Ask about every unknown message of a slice, then say when to look at the slice again."""
    with tenancy.transaction() as connection:
        _spare_reached(connection, part)
        waiting, now = _unknown(connection, part)
    requeued = sum(_ask(part, account_id, mine, now) for account_id, mine in waiting.items())
    with tenancy.transaction() as connection:
        if _lock(connection, part) == CampaignState.CANCELLED:
            # whom a worker let wait again after the cancelling, and died before it gave the slice back
            slices.let_go(connection, part, codes.CALLED_OFF)
        left, now = _unknown(connection, part)
        settle = timedelta(seconds=settings().unknown_settle_s)
        at = min((next_check(item.since, now, settle) for mine in left.values() for item in mine), default=None)
        connection.execute(
            # while the slice is leased its worker may die: then it is looked at again ("least" passes over nulls)
            text("UPDATE slice SET check_at = least(CAST(:at AS timestamptz), leased_until) WHERE id = :id"),
            {"at": at, "id": part.slice_id},
        )
    if requeued:
        queues.enqueue("jobs.delivery.send", once=True)
    if not left:
        slices.complete(part.campaign_id)


def _spare_reached(connection: Connection, part: Range) -> None:
    """Settle whoever used the link of an SMS of unknown fate: it arrived."""
    _lock(connection, part)
    among = "campaign_id = :campaign_id AND id BETWEEN :first_id AND :last_id AND sms_state = 'unknown'"
    values = {"campaign_id": part.campaign_id, "first_id": part.first_id, "last_id": part.last_id}
    reached.spare(connection, among, values, at=datetime.now(UTC))


def _ask(part: Range, account_id: int, waiting: list[_Open], now: datetime) -> int:
    """Ask about one account's messages, at `now`; give how many will be sent again.

    A few go first, others each time: where nothing is told of them, the account has no answers at the moment.
    """
    random.shuffle(waiting)
    requeued = 0
    for chunk in (waiting[:_FIRST], *chunks(waiting[_FIRST:], _CHUNK)):
        found, absent = _look_up(account_id, chunk)
        if not found and not absent:
            break
        requeued += _settle(part, chunk, found, absent, now)
    return requeued


def _unknown(connection: Connection, part: Range) -> tuple[dict[int, list[_Open]], datetime]:
    """Give the slice's unknown messages by account, and the database's time: it is that of `since` too."""
    rows = connection.execute(
        text("""
            SELECT r.id, l.attempt, l.sms_account_id, l.reference, c.key, coalesce(l.answered_at, l.started_at) AS since
            FROM recipient r
            JOIN campaign c ON c.id = r.campaign_id
            JOIN send_log l ON l.recipient_id = r.id AND l.attempt = r.sms_attempt
            WHERE r.campaign_id = :campaign_id AND r.id BETWEEN :first_id AND :last_id AND r.sms_state = 'unknown'
            AND r.sms_code <> :no_receipt
            ORDER BY r.id
        """),
        {
            "campaign_id": part.campaign_id,
            "first_id": part.first_id,
            "last_id": part.last_id,
            "no_receipt": codes.NO_RECEIPT,  # those were accepted: `app.delivery.silence` asks about them
        },
    )
    found: dict[int, list[_Open]] = defaultdict(list)
    for row in rows:
        reference = references.of_attempt(row.reference, row.key, row.id, row.attempt)
        found[row.sms_account_id].append(_Open(row.id, row.attempt, row.sms_account_id, reference, row.since))
    return found, connection.execute(text("SELECT now()")).scalar_one()


def _look_up(account_id: int, chunk: Sequence[_Open]) -> tuple[dict[_Open, Report], list[_Open]]:
    """Give what was found, and what the provider provably does not have. The rest got no clear answer."""
    try:
        account = routes.account(account_id)
    except (Unusable, CannotOpen) as fault:
        _log.error("unknown messages not asked about", sms_account_id=account_id, reason=str(fault))
        return {}, []
    requests = {item: account.provider.lookup(account.opened, item.reference) for item in chunk}

    def read(item: _Open, response: Response) -> Report | None:
        return account.provider.found(response, item.reference)

    wanted = {item: request for item, request in requests.items() if request is not None}
    answers = ask_account(account_id, wanted, read).found
    found = {item: report for item, report in answers.items() if report is not None}
    return found, [item for item in answers if item not in found]


def _settle(
    part: Range, asked: Sequence[_Open], found: dict[_Open, Report], absent: Sequence[_Open], now: datetime
) -> int:
    """Record the answers for attempts that are still the ones asked about; give how many will be sent again.

    `now` is when they were asked about, or before, by the database's clock.
    """
    settle = timedelta(seconds=settings().unknown_settle_s)
    with tenancy.transaction() as connection:
        state = _lock(connection, part)
        same = connection.execute(
            text("""
                SELECT r.id FROM recipient r
                JOIN unnest(CAST(:ids AS bigint[]), CAST(:attempts AS integer[])) AS u(id, attempt) ON u.id = r.id
                WHERE r.sms_state = 'unknown' AND r.sms_attempt = u.attempt
                ORDER BY r.id FOR NO KEY UPDATE OF r
            """),
            {"ids": [item.recipient_id for item in asked], "attempts": [item.attempt for item in asked]},
        )
        ids = set(same.scalars())
        # while one asked, somebody may have used the link
        ids -= reached.spare(connection, "id = ANY(:ids)", {"ids": sorted(ids)}, at=datetime.now(UTC))
        told = [
            Told(item.recipient_id, item.attempt, report, min(report.at or now, now)) for item, report in found.items()
        ]
        told = [item for item in told if item.recipient_id in ids]
        reports.apply(connection, told)
        for item in told:
            if item.report.code == "duplicate":
                _tell_duplicate(connection, part, item)
        proven = [item for item in absent if item.recipient_id in ids and now >= item.since + settle]
        return _send_again(connection, part, proven, now, state)


def _tell_duplicate(connection: Connection, part: Range, item: Told) -> None:
    """Leave a trace of what must not happen: the provider knows one attempt as several messages."""
    _log.error("the provider has one reference more than once", recipient_id=item.recipient_id)
    note(
        connection,
        SMS.name,
        item.report.code,
        tenant_id=part.tenant_id,
        campaign_id=part.campaign_id,
        recipient_id=item.recipient_id,
        at=item.at,
        actor="provider",
        detail={"attempt": item.attempt},
    )


def _send_again(connection: Connection, part: Range, proven: Sequence[_Open], now: datetime, state: str) -> int:
    """Let wait again who provably was not written to, or give them up."""
    if not proven:
        return 0
    tries = log.tries(connection, [item.recipient_id for item in proven])
    groups: dict[SmsState, list[_Open]] = {SmsState.QUEUED: [], SmsState.UNDELIVERED: []}
    for item in proven:
        before = tries.get(item.recipient_id)
        done = before is not None and retry.give_up(before.count + 1, before.first_at, now)
        groups[SmsState.UNDELIVERED if done else SmsState.QUEUED].append(item)
    for to, items in groups.items():
        gave_up = to is SmsState.UNDELIVERED
        code = codes.GAVE_UP + codes.ABSENT if gave_up else codes.ABSENT
        steps = [
            Step(item.recipient_id, now, {"attempt": item.attempt, "code": code}, {"sms_code": code}) for item in items
        ]
        move(connection, SMS, to, steps, actor="system", sources=[SmsState.UNKNOWN])
        ended = SmsState.UNDELIVERED if gave_up else SmsState.CANCELLED
        log.end(connection, [log.Ended(item.recipient_id, item.attempt, ended, code, now) for item in items])
    if state == CampaignState.CANCELLED:
        slices.let_go(connection, part, codes.CALLED_OFF)
        return 0
    if groups[SmsState.QUEUED]:
        connection.execute(text("UPDATE slice SET due_at = now() WHERE id = :id"), {"id": part.slice_id})
    return len(groups[SmsState.QUEUED])


def _lock(connection: Connection, part: Range) -> str:
    """Lock the slice's row; give its campaign's state."""
    connection.execute(text("SELECT id FROM slice WHERE id = :id FOR NO KEY UPDATE"), {"id": part.slice_id})
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
                AND EXISTS (SELECT FROM slice WHERE campaign_id = c.id AND due_at IS NOT NULL)
            """)
        ).all()
        for campaign_id in early:
            move_campaign(connection, campaign_id, CampaignState.SENDING, at=datetime.now(UTC), actor="system")
    if early:
        queues.enqueue("jobs.delivery.send", once=True)
    with tenancy.transaction() as connection:
        stalled = connection.scalars(
            text("""
                SELECT id FROM campaign c
                WHERE state = 'sending' AND EXISTS (SELECT FROM slice WHERE campaign_id = c.id)
                AND NOT EXISTS (
                    SELECT FROM slice WHERE campaign_id = c.id AND (due_at IS NOT NULL OR check_at IS NOT NULL)
                )
            """)
        ).all()
    for campaign_id in stalled:
        with tenancy.transaction() as connection:
            if waves.complete_if_done(connection, campaign_id):
                continue
            _log.error("campaign had people to send to and no slice due", campaign_id=campaign_id)
            connection.execute(
                text("UPDATE slice SET due_at = now(), check_at = now() WHERE campaign_id = :id"), {"id": campaign_id}
            )
