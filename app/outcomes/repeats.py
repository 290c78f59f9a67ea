"""Messages without a known outcome, sent again at once under the same reference.

In: messages of which a look-up shows nothing, of an account whose service refuses a reference that it had before
(`Capabilities.refuses_duplicates`). Out: those that it has now: it took them, or refused them as known. Can't happen
here: another reference, account or contract; a sixth within an hour for one message; a request outside the hours, or of
a campaign that stands still, or to somebody who used the link or is to get nothing; a conclusion from any other answer:
that this request was refused says nothing of the one before. No transaction is open while it is under way.

While an account rests for want of answers, one of them tries it every few seconds, and its clear answer ends the rest:
it may have got in already, so that a try costs nobody more than another person's message would.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Row, not_, select, text, true
from sqlalchemy.orm import aliased

from app import references, tenancy
from app.accounts import Unusable, abilities
from app.campaigns.bulk_operations import unwanted
from app.db import in_text
from app.delivery import circuit_breaker, send_context, send_log, shutdown
from app.delivery.circuit_breaker import Breaker, rests
from app.delivery.claims import Claim
from app.delivery.leases import Range
from app.delivery.rate_limit import Pace, Permit
from app.delivery.send_context import Account, Route, Unsendable
from app.models import Campaign, Recipient, SmsAccount, Tenant
from app.outcomes import provider_queries
from app.outcomes.question_round import Open
from app.providers.curl import Engine
from app.providers.http import Answer, Failure, Reach, Request
from app.providers.sms.base import Outcome, OutcomeKind
from app.setback import beat, doubt
from app.setback.beat import NothingMayLeave
from app.setback.outside import OutsideAway
from app.states import locks, result_codes
from app.states.reached import reached
from app.states.transitions import Step, move, note
from app.states.vocabulary import SMS, SmsState
from app.vault import CannotOpen
from app.work_budget import WorkBudget

MOST = 5
WITHIN = timedelta(hours=1)
# how long after the first, the second, … the next may leave: the first leaves as soon as it is asked about
_PAUSES = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 600, 1_500))
# how soon one is asked about again that could not be sent again, and how much rarer than its age: no settle time counts
_SOON = timedelta(seconds=10)
_RARER = 8

_AT_ONCE = 16
# one job sends for so long at an account's rate, seconds
_RATE_FOR_S = 5
_MOST_PEOPLE = 500

_PERSON = aliased(Recipient, name="r")
_UNWANTED, _REACHED = in_text(unwanted, _PERSON), in_text(reached, _PERSON)

_LATE = f"now() - interval '{WITHIN.total_seconds():.0f} seconds'"
# how often the messages of `r` were sent again of late
COUNT = f"""
    (SELECT coalesce(sum(e.repeats), 0) FROM send_log e WHERE e.recipient_id = r.id AND e.started_at > {_LATE})
"""  # noqa: S608 - our own words
# whether the attempt `l` at a message of `r` may be sent again at all: not where an SMS stands listed that may be it
OPEN = f"(l.reference IS NOT NULL AND l.started_at > {_LATE} AND r.sms_code <> '{result_codes.LISTED}')"

_log = structlog.get_logger()


def next_at(item: Open) -> datetime | None:
    """Return when a message that was asked about is to be sent again, None where an ordinary question comes first."""
    if not item.may_repeat or item.asked_at is None or item.absent_at is not None:
        return None
    if item.repeated_at is None or item.asked_at > item.repeated_at:
        # nothing could leave when it was asked about
        return item.asked_at + max((item.asked_at - item.since) / _RARER, _SOON)
    return None if item.repeats > len(_PAUSES) else item.repeated_at + _PAUSES[item.repeats - 1]


def send(part: Range, account: Account, items: Sequence[Open], budget: WorkBudget) -> set[Open]:
    """Send those of a slice's messages again that may be; record what the service has now. Return which left."""
    items = [item for item in items if item.may_repeat]
    if not items or not account.provider.capabilities.refuses_duplicates or budget.is_spent:
        return set()
    try:
        route = send_context.route(part.campaign_id)
    except (Unusable, CannotOpen) as fault:
        _log.error("unknown messages not repeated", sms_account_id=account.id, reason=str(fault))
        return set()
    closes_at = send_context.closes_at(route, datetime.now(UTC))
    if closes_at is None or route.account.id != account.id:
        return set()
    tries = _rests(account.id)
    if tries and not circuit_breaker.may_try(account.id):
        return set()
    breaker = Breaker(account.id, probes=tries)
    # of an account that rested, or is in doubt, one message alone goes
    most = 1 if breaker.trying or breaker.doubted else _RATE_FOR_S * (account.rate_per_s or _MOST_PEOPLE)
    claims = _write_down(part, route, items[: min(most, _MOST_PEOPLE)], tries=tries)
    if not claims:
        return set()
    sending = _Sending(route, claims, breaker, budget)
    sending.run(closes_at)
    _record(part, sending.outcomes)
    breaker.save()
    if breaker.woke:
        circuit_breaker.wake(account.id)
    if sending.wait_s:
        provider_queries.leave_alone(account.id, sending.wait_s, wished=True)
    left = {claim.recipient_id for claim, outcome in sending.outcomes.items() if outcome is not None}
    return {item for item in items if item.recipient_id in left}


def _rests(account_id: int) -> bool:
    with tenancy.transaction() as connection:
        return bool(connection.scalar(select(rests(SmsAccount)).where(SmsAccount.id == account_id)))


def _write_down(part: Range, route: Route, items: Sequence[Open], *, tries: bool) -> list[Claim]:
    """Count the repetitions before they leave; none where the database was set back, or nothing may leave now.

    One that `tries` its account leaves though this rests.
    """
    try:
        with beat.rising(tenancy.transaction()) as connection:
            locks.lock_slice(connection, part.slice_id)
            may = _may(connection, part, route, tries=tries)
            return _write_down_in(connection, route, items) if may else []
    except NothingMayLeave as stopped:
        doubt.hold_or_ask(stopped)
    except OutsideAway as fault:
        _log.error("outside folder unusable", held="repeats", error=str(fault))
    return []


def _may(connection: Connection, part: Range, route: Route, *, tries: bool) -> bool:
    """Return whether the campaign is being sent, and its account not resting, unless it is to be tried."""
    found = connection.scalar(
        select(true() if tries else not_(rests(SmsAccount)))
        .select_from(SmsAccount)
        .join(Tenant, Tenant.id == SmsAccount.tenant_id)
        .join(Campaign, Campaign.id == part.campaign_id)
        .where(
            SmsAccount.id == route.account.id,
            SmsAccount.active,
            Campaign.state == "sending",
            Campaign.checks_stopped_at.is_(None),
            Tenant.state.in_(("trial", "active")),
        )
    )
    return bool(found)


def _write_down_in(connection: Connection, route: Route, items: Sequence[Open]) -> list[Claim]:
    assert route.account.contract is not None  # noqa: S101 - a route has it
    rows = connection.execute(
        text(f"""
            SELECT r.id, r.link_secret, r.phone_sealed, r.fields_sealed, r.link_expires_at,
                (SELECT sms_text FROM reminder WHERE id = r.reminder_id) AS sms_text,
                l.attempt, l.generation, l.reference
            FROM recipient r
            JOIN unnest(CAST(:ids AS bigint[]), CAST(:attempts AS integer[])) AS u(id, attempt) ON u.id = r.id
            JOIN send_log l ON l.recipient_id = r.id AND l.attempt = r.sms_attempt AND l.attempt = u.attempt
            JOIN sms_contract k ON k.id = l.sms_contract_id
            WHERE r.sms_state = 'unknown' AND l.state = 'unknown'
            AND l.sms_account_id = :account_id AND k.identity = CAST(:identity AS bytea)
            AND l.generation = r.link_generation AND r.page_state NOT IN ('revoked', 'expired')
            AND r.link_expires_at > now() + :lead AND NOT {_UNWANTED} AND NOT {_REACHED}
            AND {OPEN} AND {COUNT} < :most
            ORDER BY r.id FOR NO KEY UPDATE OF r SKIP LOCKED
        """),  # noqa: S608 - our own words
        {
            "ids": [item.recipient_id for item in items],
            "attempts": [item.attempt for item in items],
            "account_id": route.account.id,
            "identity": route.account.contract.identity,
            "lead": abilities.lead_time(route.account.provider.capabilities),
            "most": MOST,
        },
    ).all()
    _count(connection, [(row.id, row.attempt) for row in rows], 1)
    return [_claim_of(row) for row in rows]


def _count(connection: Connection, attempts: Sequence[tuple[int, int]], by: int) -> None:
    """Count a repetition of each attempt, or take one back that never left.

    No absence seen before counts now.
    """
    if attempts:
        connection.execute(
            text("""
                UPDATE send_log l SET repeats = l.repeats + :by, absent_at = NULL,
                    repeated_at = CASE WHEN :by > 0 THEN now() ELSE l.repeated_at END
                FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS integer[])) AS u(id, attempt)
                WHERE l.recipient_id = u.id AND l.attempt = u.attempt
            """),
            {"ids": [one[0] for one in attempts], "attempts": [one[1] for one in attempts], "by": by},
        )


def _claim_of(row: Row[Any]) -> Claim:
    return Claim(
        recipient_id=row.id,
        attempt=row.attempt,
        generation=row.generation,
        secret=row.link_secret,
        reference=row.reference,
        phone_sealed=row.phone_sealed,
        fields_sealed=row.fields_sealed,
        sms_text=row.sms_text,
        link_expires_at=row.link_expires_at,
    )


class _Sending:
    """Messages on their way, at the account's rate.

    `outcomes` has one for each that left; None for those that provably didn't. `wait_s` is the service's wish.
    """

    def __init__(self, route: Route, claims: Sequence[Claim], breaker: Breaker, budget: WorkBudget) -> None:
        account = route.account
        self.outcomes: dict[Claim, Outcome | None] = dict.fromkeys(claims)
        self.wait_s = 0.0
        self._route = route
        self._breaker = breaker
        self._budget = budget
        self._pace = Pace(account.id, account.rate_per_s, account.shared) if account.rate_per_s else None
        self._permits: dict[Claim, Permit] = {}
        self._left: dict[Claim, float] = {}

    def run(self, closes_at: datetime) -> None:
        """Send all that may leave, and await the answers."""
        with Engine[Claim](min(_AT_ONCE, len(self.outcomes))) as engine:
            engine.run(
                self._calls(closes_at),
                self._answered,
                may_connect=lambda _: self._may_go_on(),
                may_send=self._may_send,
                on_skipped=self._skipped,
            )
        if self._pace is not None:
            self._pace.close()

    def _calls(self, closes_at: datetime) -> Iterator[tuple[Claim, Request] | None]:
        for claim in self.outcomes:
            try:
                request = send_context.request(self._route, claim, closes_at)
            except (Unsendable, CannotOpen) as fault:
                _log.error("unknown message not repeated", recipient_id=claim.recipient_id, reason=str(fault))
                continue
            while not self._permitted(claim):
                yield None
            yield claim, request

    def _permitted(self, claim: Claim) -> bool:
        """Return whether there is nothing to wait for: the rate lets it leave, or nothing leaves any more."""
        if self._pace is None or not self._may_go_on():
            return True
        permit = self._pace.take()
        if permit is not None:
            self._permits[claim] = permit
        return permit is not None

    def _may_go_on(self) -> bool:
        if shutdown.is_asked() or self._breaker.open or self._budget.is_spent or self.wait_s:
            return False
        return send_context.closes_at(self._route, datetime.now(UTC)) is not None

    def _may_send(self, claim: Claim) -> bool:
        if not self._may_go_on():
            return False
        permit = self._permits.pop(claim, None)
        if self._pace is not None and (permit is None or not self._pace.leaves(permit)):
            return False
        self._left[claim] = time.monotonic()
        return True

    def _answered(self, claim: Claim, answer: Answer) -> None:
        outcome = self._route.account.provider.outcome(answer)
        if references.mismatch(claim.reference, outcome.references):
            outcome = Outcome(OutcomeKind.UNKNOWN, "mismatch")
        self._breaker.note_outcome(outcome, self._left.get(claim))
        self.wait_s = max(self.wait_s, outcome.retry_after_s or 0.0)
        if not (isinstance(answer, Failure) and answer.reach is Reach.NEVER_LEFT):
            self.outcomes[claim] = outcome

    def _skipped(self, claim: Claim) -> None:
        permit = self._permits.pop(claim, None)
        if self._pace is not None and permit is not None:
            self._pace.give_back(permit)


def _record(part: Range, sent: Mapping[Claim, Outcome | None]) -> None:
    """Record what is known now.

    Another answer than yes leaves the message as it was; silence begins anew.
    """
    outcomes: Mapping[Claim, Outcome] = {claim: one for claim, one in sent.items() if one is not None}
    now = datetime.now(UTC)
    with tenancy.transaction() as connection:
        locks.lock_slice(connection, part.slice_id)
        _count(connection, [(one.recipient_id, one.attempt) for one in sent.keys() - outcomes.keys()], -1)
        rows = connection.execute(
            text("""
                SELECT r.id, r.sms_attempt FROM recipient r WHERE r.id = ANY(:ids) AND r.sms_state = 'unknown'
                ORDER BY r.id FOR NO KEY UPDATE OF r
            """),
            {"ids": [claim.recipient_id for claim in outcomes]},
        )
        for claim, one in outcomes.items():
            note(
                connection,
                SMS.name,
                result_codes.REPEATED,
                tenant_id=part.tenant_id,
                campaign_id=part.campaign_id,
                recipient_id=claim.recipient_id,
                at=now,
                actor="system",
                detail={"attempt": claim.attempt, "code": one.code},
            )
        open_yet = {(row.id, row.sms_attempt) for row in rows}
        known = {claim: one for claim, one in outcomes.items() if (claim.recipient_id, claim.attempt) in open_yet}
        taken = {claim: one for claim, one in known.items() if one.kind is OutcomeKind.ACCEPTED}
        silent = {claim: one for claim, one in known.items() if one.kind is OutcomeKind.UNKNOWN}
        steps = [
            Step(claim.recipient_id, now, {"attempt": claim.attempt, "code": one.code}, {"sms_code": one.code})
            for claim, one in sorted(taken.items())
        ]
        move(connection, SMS, SmsState.ACCEPTED, steps, actor="provider", sources=[SmsState.UNKNOWN])
        send_log.end(connection, [_ended(claim, one, SmsState.ACCEPTED, now) for claim, one in taken.items()])
        send_log.end(connection, [_ended(claim, one, SmsState.UNKNOWN, now) for claim, one in silent.items()])


def _ended(claim: Claim, outcome: Outcome, state: SmsState, at: datetime) -> send_log.Ended:
    return send_log.Ended(claim.recipient_id, claim.attempt, state, outcome.code, at, outcome.provider_id)
