"""Write for a worker: messages claimed before their requests leave, outcomes after their answers came, in bulk."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, text

from app import links, references
from app.campaigns.bulk_operations import needless
from app.db import in_text
from app.delivery import backoff, daily_cap, leases, number_limits, retry_schedule, send_log
from app.delivery.circuit_breaker import suspect_since, suspect_until
from app.delivery.leases import SliceLease
from app.models import Recipient
from app.providers.sms.base import Outcome, OutcomeKind
from app.setback.missed_numbers import missed
from app.states import locks, reached, release, result_codes
from app.states.reached import waits_in_vain
from app.states.transitions import Only, Step, move
from app.states.vocabulary import PAGE, SMS, PageState, SmsState
from app.suppression import proposals
from app.suppression.condition import has_any, reason_of

_STATES = {
    OutcomeKind.ACCEPTED: SmsState.ACCEPTED,
    OutcomeKind.REFUSED: SmsState.UNDELIVERED,
    OutcomeKind.UNKNOWN: SmsState.UNKNOWN,
}

_NEEDLESS = in_text(needless, Recipient)
_SUPPRESSED = in_text(reason_of, Recipient)
_LISTED = text(f"SELECT id FROM recipient WHERE id = ANY(:ids) AND {_SUPPRESSED} IS NOT NULL")  # noqa: S608 - our own words
_WAITS_IN_VAIN = in_text(waits_in_vain, Recipient)
_MISSED = in_text(missed, Recipient)
_SUSPECT_SINCE = in_text(suspect_since, Recipient)
_SUSPECT_UNTIL = in_text(suspect_until, Recipient)


class Claim(NamedTuple):
    """A message that is ours to send, committed as sending.

    Phone and fields are still sealed.

    `reference` is the provider's name for it, `secret` the link's. `sms_text` is its reminder's, None for the
    campaign's own; `link_expires_at` is when the link it carries ends. `suspect_since` is when its last attempt was
    refused as if for the account's sake, with `suspect_code`.
    """

    recipient_id: int
    attempt: int
    generation: int
    secret: bytes | None
    reference: str
    phone_sealed: bytes
    fields_sealed: bytes
    sms_text: str | None = None
    link_expires_at: datetime | None = None
    suspect_since: datetime | None = None
    suspect_code: str = ""


class Result(NamedTuple):
    """The result of a claim.

    `outcome` is None when its request never left: a suspect is one still (`Claim`).
    """

    recipient_id: int
    attempt: int
    outcome: Outcome | None
    at: datetime
    suspect_code: str = ""


def claim(  # noqa: PLR0913 - whom, by which account, and on which terms
    connection: Connection,
    lease: SliceLease,
    *,
    account_id: int,
    contract_id: int | None,
    validity: Mapping[str, object],
    after_id: int,
    limit: int,
    trial: bool = False,
    suspects: bool = True,
) -> list[Claim]:
    """Claim the next people of the slice who wait, in the order of their ids; none when the range is read to its end.

    `validity` holds the campaign's `link_until` and `link_minutes`. People somebody else is changing right now are left
    for the slice's next lease. People who paid while they waited, or need no reminder any more, are let go, and so are
    those whose number the company sends nothing to. A page that had expired is unopened again: its link lives anew.

    A `trial` takes whoever was not refused as if for the account's sake first, then whoever was so longest ago; without
    `suspects` nobody who was.
    """
    now = datetime.now(UTC)
    rows = _next_people(connection, lease, (after_id, limit), now, trial=trial, suspects=suspects)
    if not rows:
        return []
    expires_at = links.expiry(validity, now)
    steps = [
        Step(
            row.id,
            now,
            _detail(row.attempt, ""),
            {"fence": lease.fence, "sms_attempt": row.attempt, "link_expires_at": expires_at},
        )
        for row in rows
    ]
    moved = move(connection, SMS, SmsState.SENDING, steps, actor="system", sources=[SmsState.QUEUED])
    lapsed = [Step(row.id, now) for row in rows if row.lapsed and row.id in moved]
    move(connection, PAGE, PageState.UNOPENED, lapsed, actor="system", sources=[PageState.EXPIRED])
    claims = [_claim_of(row, expires_at) for row in rows if row.id in moved]
    send_log.begin(
        connection,
        [send_log.Begun(item.recipient_id, item.attempt, item.generation, item.reference) for item in claims],
        tenant_id=lease.tenant_id,
        campaign_id=lease.campaign_id,
        account_id=account_id,
        contract_id=contract_id,
        fence=lease.fence,
        at=now,
    )
    return claims


def _next_people(
    connection: Connection,
    lease: SliceLease,
    place: tuple[int, int],
    now: datetime,
    *,
    trial: bool,
    suspects: bool,
) -> Sequence[Row[Any]]:
    """Return the next who wait and want their SMS still; the others are let go, or held, on the way.

    `place` is the id after which they stand, and how many to take.
    """
    after_id, limit = place
    rows: Sequence[Row[Any]] = []
    while not rows:
        waiting = _waiting(connection, lease, after_id, limit, trial=trial, suspects=suspects)
        if not waiting:
            return []
        after_id = after_id if trial else waiting[-1].id
        had = _spare_reached(connection, waiting, now)
        had |= _suppress(connection, lease.campaign_id, [row for row in waiting if row.id not in had], now)
        had |= _hold_missed(
            connection, lease.campaign_id, [row.id for row in waiting if row.missed and row.id not in had]
        )
        _spare(connection, lease.campaign_id, [row for row in waiting if row.needless and row.id not in had], now)
        rows = [row for row in waiting if not row.needless and row.id not in had]
        crowded = [row for row in rows if row.crowded]
        over = number_limits.hold(connection, lease.tenant_id, lease.campaign_id, crowded, now)
        rows = [row for row in rows if row.id not in over]
        if over and not rows:
            return []  # thousands of one number are held in several turns, not in one long transaction
    return rows


def _claim_of(row: Row[Any], link_expires_at: datetime) -> Claim:
    mark = references.mark(row.link_secret, row.key)
    return Claim(
        recipient_id=row.id,
        attempt=row.attempt,
        generation=row.link_generation,
        secret=row.link_secret,
        reference=references.sms(mark, row.id, row.attempt),
        phone_sealed=row.phone_sealed,
        fields_sealed=row.fields_sealed,
        sms_text=row.sms_text,
        link_expires_at=link_expires_at,
        suspect_since=row.suspect_since,
        suspect_code=row.sms_code if row.suspect_since else "",
    )


def _waiting(
    connection: Connection, lease: SliceLease, after_id: int, limit: int, *, trial: bool, suspects: bool
) -> Sequence[Row[Any]]:
    """Lock the next people who wait, with what to know of them."""
    first = "suspect_since NULLS FIRST," if trial else ""
    unsuspected = "" if suspects else "AND NOT starts_with(sms_code, :account)"
    return connection.execute(
        text(f"""
            SELECT id, sms_attempt + 1 AS attempt, link_generation, link_secret, phone_sealed, fields_sealed,
                CASE WHEN link_secret IS NULL THEN (SELECT key FROM campaign WHERE id = :campaign_id) END AS key,
                (SELECT sms_text FROM reminder WHERE id = recipient.reminder_id) AS sms_text,
                {_NEEDLESS} AS needless, {_SUPPRESSED} AS suppressed, {_WAITS_IN_VAIN} AS reached,
                {_MISSED} AS missed, page_state = 'revoked' AS revoked, page_state = 'expired' AS lapsed,
                sms_code, {_SUSPECT_SINCE} AS suspect_since, phone_index, {number_limits.CROWDED} AS crowded
            FROM recipient
            WHERE campaign_id = :campaign_id AND id > :after_id AND id <= :last_id AND sms_state = 'queued'
            AND coalesce({_SUSPECT_UNTIL} <= now(), true) {unsuspected}
            ORDER BY {first} id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
        """),  # noqa: S608 - our own words
        {
            "campaign_id": lease.campaign_id,
            "after_id": after_id,
            "last_id": lease.last_id,
            "limit": limit,
            **number_limits.values(lease.tenant_id),
            **({} if suspects else {"account": result_codes.ACCOUNT}),
        },
    ).all()


def _spare_reached(connection: Connection, rows: Sequence[Row[Any]], now: datetime) -> set[int]:
    """Let those go who used the link while they waited to get the same message once more; return their ids."""
    ids = [row.id for row in rows if row.reached]
    return reached.spare(connection, "id = ANY(:ids)", {"ids": ids}, at=now) if ids else set()


def _suppress(connection: Connection, campaign_id: int, rows: Sequence[Row[Any]], now: datetime) -> set[int]:
    """Let those go whose number is on the company's list, with the reason that stands there; return their ids."""
    by_reason: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        if row.suppressed:
            by_reason[result_codes.SUPPRESSED + row.suppressed].append(row.id)
    for code, ids in by_reason.items():
        _let_go(connection, campaign_id, code, ids, now)
    return {recipient_id for ids in by_reason.values() for recipient_id in ids}


def _let_go(connection: Connection, campaign_id: int, code: str, ids: Sequence[int], now: datetime) -> None:
    """Let people wait no more; those who are cancelled by it bear the code from now on."""
    values = {"ids": list(ids)}
    only = Only("id = ANY(:ids)", values)
    release.let_go(connection, code, campaign_id=campaign_id, at=now, actor="system", only=only)
    connection.execute(
        text("UPDATE recipient SET sms_code = :code WHERE id = ANY(:ids) AND sms_state = 'cancelled'"),
        {**values, "code": code},
    )


def called_off(connection: Connection, tenant_id: int, recipient_ids: Sequence[int]) -> set[int]:
    """Return the claimed people whose number came onto the company's list since; their requests must not leave."""
    if not recipient_ids or not has_any(connection, tenant_id):
        return set()
    found = connection.execute(_LISTED, {"ids": list(recipient_ids)})
    return set(found.scalars())


def _hold_missed(connection: Connection, campaign_id: int, ids: Sequence[int]) -> set[int]:
    """Hold those to whose numbers an SMS left that a restored database forgot, for a manager; return their ids."""
    if ids:
        _let_go(connection, campaign_id, result_codes.RESTORED, ids, datetime.now(UTC))
    return set(ids)


def _spare(connection: Connection, campaign_id: int, rows: Sequence[Row[Any]], now: datetime) -> None:
    """Let those go who paid or opened while they waited, at night perhaps, or whose link was ended."""
    for code, revoked in ((result_codes.REVOKED, True), (result_codes.NEEDLESS, False)):
        ids = [row.id for row in rows if row.revoked is revoked]
        if ids:
            only = Only("id = ANY(:ids)", {"ids": ids})
            release.let_go(connection, code, campaign_id=campaign_id, at=now, actor="system", only=only)


def expire(connection: Connection, lease: SliceLease) -> None:
    """End whoever still waits in the slice: their links would be dead on arrival."""
    leases.let_go(connection, lease, result_codes.TOO_LATE, SmsState.EXPIRED)


def record(connection: Connection, lease: SliceLease, results: Sequence[Result]) -> float:
    """Record what became of claims.

    Returns how long the slice should rest for the sake of those to be tried again, s.
    """
    later = [item.recipient_id for item in results if item.outcome and item.outcome.kind is OutcomeKind.LATER]
    tries = send_log.tries(connection, later) if later else {}
    steps: dict[SmsState, list[Step]] = defaultdict(list)
    ended = []
    rest_s = 0.0
    for item in sorted(results, key=lambda result: result.recipient_id):
        before = tries.get(item.recipient_id)
        to, attempt_state, code = _verdict(item, before)
        if item.outcome and item.outcome.kind is OutcomeKind.LATER:
            count = before.count + 1 if before else 1
            rest_s = max(rest_s, backoff.pause_s(count, item.outcome.retry_after_s))
        # that a provider took it at the first attempt goes without saying
        detail = _detail(item.attempt, "" if to is SmsState.ACCEPTED else code)
        stands = item.suspect_code if item.outcome is None and item.suspect_code else code
        steps[to].append(Step(item.recipient_id, item.at, detail, {"sms_code": stands}))
        provider_id = item.outcome.provider_id if item.outcome else None
        ended.append(send_log.Ended(item.recipient_id, item.attempt, attempt_state, code, item.at, provider_id))
    if len(steps) > 1:
        # a receipt that comes now locks them by id too; the groups below would be another order
        locks.lock_people(connection, [item.recipient_id for item in results])
    for to, group in steps.items():
        move(connection, SMS, to, group, actor="system", fence=lease.fence, sources=[SmsState.SENDING])
    send_log.end(connection, ended)
    never_left = [(item.recipient_id, item.attempt) for item in ended if item.state is SmsState.CANCELLED]
    daily_cap.give_back(connection, lease.tenant_id, never_left)
    failed = [step.recipient_id for step in steps[SmsState.UNDELIVERED]]
    retry_schedule.plan(connection, failed)
    proposals.propose_vacant(connection, failed)
    return rest_s


def _detail(attempt: int, code: str) -> dict[str, object] | None:
    """Return an event's detail, none where there is nothing to tell: most of the many events are of this kind."""
    return {"attempt": attempt, "code": code} if attempt > 1 or code else None


def _verdict(item: Result, before: send_log.Tries | None) -> tuple[SmsState, SmsState, str]:
    """Return the person's next state, the attempt's state, and the code of both."""
    outcome = item.outcome
    if outcome is None:
        return SmsState.QUEUED, SmsState.CANCELLED, result_codes.NOT_SENT
    if outcome.kind is not OutcomeKind.LATER:
        state = _STATES[outcome.kind]
        return state, state, outcome.code
    if outcome.account_fault:
        return SmsState.QUEUED, SmsState.CANCELLED, result_codes.ACCOUNT + outcome.code
    if before and backoff.give_up(before.count + 1, before.first_at, item.at):
        return SmsState.UNDELIVERED, SmsState.UNDELIVERED, result_codes.GAVE_UP + outcome.code
    return SmsState.QUEUED, SmsState.CANCELLED, outcome.code
