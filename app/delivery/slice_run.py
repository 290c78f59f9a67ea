"""One turn of a slice: who was claimed, whose request left, what it came to, until the lease is given back.

Three threads share it. The provider's calls `permitted`, `may_connect`, `may_send`, `answered` and `skipped`. Within
the slice's tenant's scope, one reads ahead (`reading_ahead`, `read`, `requests`) and one keeps the books (`record`,
`close`). Between them stand `_open`, from which a claim goes once its result is there, and the results, which are
appended on one side and taken on the other.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import structlog
from sqlalchemy import Connection

from app import references
from app.accounts import abilities
from app.config import settings
from app.delivery import claims, daily_cap, leases, send_context
from app.delivery.circuit_breaker import Breaker, others_wait
from app.delivery.claims import Claim, Result
from app.delivery.leases import SliceLease
from app.delivery.rate_limit import Pace, Permit
from app.delivery.send_context import Route, Unsendable
from app.providers.http import Answer, Request
from app.providers.sms.base import Outcome, OutcomeKind
from app.setback import beat, doubt
from app.setback.beat import NothingMayLeave
from app.setback.outside import OutsideAway
from app.states import result_codes
from app.vault import CannotOpen

# how long an outcome may wait for others to be recorded with it; the lease is renewed at least as often, seconds
RECORD_S = 0.2
# How long a turn claims people, seconds: those are all sent, then whoever else waits comes first.
_TURN_S = 2.0
# how much longer what is claimed may wait for the account's rate before it goes back, seconds
_PATIENCE_S = 6.0
# how long a slice rests whose account or people can't be opened, or whose worker failed, seconds
FAULT_PAUSE_S = 60.0
# how long a slice leaves the account to others that are to show whose fault a refusal was, seconds
_DOUBT_S = 10.0

_log = structlog.get_logger()

# somebody who was claimed, and their request
Message = tuple[Claim, Request]


def give_back(lease: SliceLease, route: Route, *, pause_s: float = 0.0, after: datetime | None = None) -> None:
    """Hand the lease back: until the next opening, `after` or later; whom none awaits any more has expired."""
    now = datetime.now(UTC)
    opens_at = send_context.opens_at(route, max(now, after or now))
    if opens_at is None:
        with leases.holding(lease) as connection:
            claims.expire(connection, lease)
    not_before = opens_at if opens_at and opens_at > now else None
    leases.finish(lease, pause_s=pause_s, not_before=not_before)
    if not_before is not None:
        leases.put_off(lease.campaign_id, not_before=not_before)


class SliceRun:
    """One turn. No request starts whose answer could come at `closes_at` or later, nor once `halted` says so.

    `batch` are the people claimed last. `lost`: another worker has the slice, and nothing more may be written.
    `failed`: something went wrong with it; what is under way is awaited and recorded, and nothing more leaves.
    """

    def __init__(self, lease: SliceLease, route: Route, closes_at: datetime, halted: Callable[[], bool]) -> None:
        """Begin; the slice's tenant's scope must be open."""
        self.lease = lease
        self.batch: list[Claim] = []
        self.lost = False
        self.failed = False
        self._read_out = False
        self._reads = False  # people are being claimed
        self._route = route
        self._closes_at = closes_at
        # a day's cap is the day's own: where hours go on at midnight, a turn doesn't
        day_ends = route.policy.closes_at(datetime.now(UTC)) or closes_at
        lead = abilities.lead_time(route.account.provider.capabilities)
        self._starts_until = min(closes_at - lead, day_ends).timestamp()
        self._halted = halted
        self._claims_until = time.monotonic() + _TURN_S
        rate = route.account.rate_per_s
        self._pace = Pace(route.account.id, rate, route.account.shared) if rate else None
        # claims at the turn's end have to be sent at the account's rate yet
        self._claim_rows = min(settings().batch_rows, max(1, rate // 4)) if rate else settings().batch_rows
        self._permits: dict[int, Permit] = {}
        self._after: datetime | None = None  # no more today: the company's daily cap is reached
        self._breaker = Breaker(route.account.id, probes=route.probes)
        self._cursor = lease.first_id - 1
        self._open: dict[int, Claim] = {}  # claimed, without a result
        self._left: dict[int, float] = {}  # of these, whose request may have left, and when (`time.monotonic()`)
        self._results: deque[Result] = deque()
        self._called_off: set[int] = set()  # claimed, and their number came onto the company's list since
        self._recorded = time.monotonic()
        self._rest_s = 0.0
        self._closed_people = False  # some can't be opened
        self._held_back = False  # the database was set back, or whether it was is in doubt
        self._outside_away = False  # the beat can't be told outside

    @property
    def is_over(self) -> bool:
        """Whether everybody it sends to is claimed and each claim has its result."""
        return self._read_out and not self._reads and not self._open

    @property
    def reading(self) -> bool:
        """Whether more people may be claimed yet."""
        return not self._read_out

    @property
    def to_record(self) -> bool:
        """Whether a batch of results waits, or it is time for a sign of life."""
        return self.is_full or time.monotonic() - self._recorded >= RECORD_S

    @property
    def is_full(self) -> bool:
        """Whether a batch of results waits."""
        return len(self._results) >= settings().batch_rows

    def may_go_on(self) -> bool:
        """Return whether one more message may be claimed or leave."""
        return (
            self.lease.may_send
            and not self._held_back
            and not self.lost
            and not self.failed
            and not self._breaker.open
            and not self._halted()
            and time.time() < self._starts_until
            and (self._pace is None or time.monotonic() < self._claims_until + _PATIENCE_S)
        )

    # --- the provider's thread ---

    def permitted(self, claim: Claim) -> bool:
        """Return whether there is nothing to wait for: the account's rate lets it leave, or the turn is over."""
        if self._pace is None or not self.may_go_on():
            return True
        permit = self._pace.take()
        if permit is not None:
            self._permits[claim.recipient_id] = permit
        return permit is not None

    def may_connect(self) -> bool:
        """Return whether a message may take a connection: its answer would come while the lease still holds."""
        return self.may_go_on() and leases.clock() < self.lease.call_until

    def may_send(self, claim: Claim) -> bool:
        """Return whether a message may leave, asked once, at the last moment: from then on it may have left."""
        if not self.may_go_on() or leases.clock() >= self.lease.call_until:
            return False
        if claim.recipient_id in self._called_off:
            return False
        if self._pace is not None:
            # none, where the turn was over when it was asked for: a pause that was taken back since
            permit = self._permits.pop(claim.recipient_id, None)
            if permit is None or not self._pace.leaves(permit):
                return False
        self._left[claim.recipient_id] = time.monotonic()
        return True

    def answered(self, claim: Claim, answer: Answer) -> None:
        """Take the answer to a request that left, or failed to."""
        outcome = self._route.account.provider.outcome(answer)
        if references.mismatch(claim.reference, outcome.references):
            # an answer to another request: whether this one got in is not known
            _log.error("provider answered for another message", recipient_id=claim.recipient_id)
            outcome = Outcome(OutcomeKind.UNKNOWN, "mismatch")
        if self._breaker.is_own_fault(outcome, claim.suspect_since):
            outcome = Outcome(OutcomeKind.REFUSED, result_codes.MESSAGE + outcome.code)
        else:
            self._breaker.note_outcome(outcome, self._left.get(claim.recipient_id))
        self._came_to(claim, outcome)

    def skipped(self, claim: Claim) -> None:
        """Take note of a message that may not leave."""
        permit = self._permits.pop(claim.recipient_id, None)
        if permit is not None and self._pace is not None:
            self._pace.give_back(permit)
        self._came_to(claim, None)

    def _came_to(self, claim: Claim, outcome: Outcome | None) -> None:
        self._left.pop(claim.recipient_id, None)
        self._results.append(Result(claim.recipient_id, claim.attempt, outcome, datetime.now(UTC), claim.suspect_code))
        del self._open[claim.recipient_id]

    # --- the thread that reads ahead ---

    @contextmanager
    def reading_ahead(self) -> Iterator[None]:
        """Keep the turn from being over while people are claimed and handed on."""
        self._reads = True  # before `_read_out` is looked at: whoever sets that looks at this one afterwards
        try:
            yield
        finally:
            self._reads = False

    def read(self) -> None:
        """Claim the next batch; none when there is no more, or nothing more may be sent.

        Raises LeaseLost.
        """
        self.batch = []
        may_claim = not self._read_out and self.may_go_on() and time.monotonic() < self._claims_until
        self.batch = self._claim() if may_claim else []
        self._open.update((claim.recipient_id, claim) for claim in self.batch)
        if self.batch:
            self._cursor = self.batch[-1].recipient_id
        # of an account that rested one message goes alone: the slice's next turn sends the others if it is taken
        self._read_out = not self.batch or self._breaker.trying or self._route.probes

    def requests(self) -> list[Message]:
        """Write the requests of the people claimed last, so that each leaves as soon as a connection is free."""
        written = ((claim, self._request(claim)) for claim in self.batch)
        return [(claim, request) for claim, request in written if request is not None]

    def _request(self, claim: Claim) -> Request | None:
        """Write a claim's request; None when there is none, and why is its result."""
        try:
            return send_context.request(self._route, claim, self._closes_at)
        except Unsendable as fault:
            outcome = Outcome(OutcomeKind.REFUSED, str(fault))
        except CannotOpen as fault:
            # a key that is missing here is no reason to call somebody unreachable: left waiting, and said
            _log.error("recipient decryption failed", recipient_id=claim.recipient_id, reason=str(fault))
            outcome = None
            self._closed_people = True
        self._came_to(claim, outcome)
        return None

    # --- the thread that keeps the books ---

    def lose(self) -> None:
        """Leave the slice to the other worker that has it."""
        self.lost = self._read_out = True
        self.batch = []

    def fail(self) -> None:
        """Send nothing more: what is under way is awaited, then the slice is given back."""
        self.failed = self._read_out = True
        self.batch = []

    def record(self) -> None:
        """Write the results that are there, keep the lease, and hear who is not to be sent to. Raises LeaseLost."""
        results = [self._results.popleft() for _ in range(len(self._results))]
        try:
            # a claim renews the lease too, and is not waited for
            renewed = leases.clock() - self.lease.renewed < RECORD_S
            with leases.sharing(self.lease) if renewed else leases.holding(self.lease) as connection:
                if results:
                    self._rest_s = max(self._rest_s, claims.record(connection, self.lease, results))
                waiting = [recipient_id for recipient_id in list(self._open) if recipient_id not in self._left]
                self._called_off |= claims.called_off(connection, self.lease.tenant_id, waiting)
        except BaseException:
            self._results.extendleft(reversed(results))  # `close` tries once more
            raise
        self._breaker.save()
        self._recorded = time.monotonic()

    def close(self, *, failed: bool = False) -> None:
        """Record the last results and give the lease back. Raises LeaseLost.

        A message without a result, because something `failed`, may have left or not.
        """
        now = datetime.now(UTC)
        for recipient_id, claim in self._open.items():
            lost = Outcome(OutcomeKind.UNKNOWN, "interrupted") if recipient_id in self._left else None
            self._results.append(Result(recipient_id, claim.attempt, lost, now, claim.suspect_code))
        self._open.clear()
        if self._pace is not None:
            self._pace.close()
        self.record()
        self._breaker.settle_doubt()
        if self._breaker.open:
            say = _log.error if self._breaker.account_fault else _log.warning
            say(
                "slice paused: provider rejects all requests",
                slice_id=self.lease.slice_id,
                sms_account_id=self._route.account.id,
                account_fault=self._breaker.account_fault,
            )
        if self._after is not None and self._cap_left():
            self._after = None  # some of those that filled the cap never left
        fault_s = FAULT_PAUSE_S if failed or self._closed_people or self._outside_away else 0.0
        # the answer to a message that tried an account keeps nobody else waiting
        pause_s = fault_s if self._route.probes else max(self._rest_s, self._breaker.pause_s, fault_s)
        give_back(self.lease, self._route, pause_s=pause_s, after=self._after)

    def _cap_left(self) -> int:
        """Return how many more the company may send today; only where it has a cap."""
        with leases.holding(self.lease) as connection:
            return daily_cap.left(connection, self.lease.tenant_id, self._route.daily_cap or 0)

    def _claim(self) -> list[Claim]:
        """Claim people, unless the database was set back.

        Nothing leaves that can't be told outside.
        """
        taken: list[Claim] = []
        try:
            with beat.rising(leases.holding(self.lease)) as connection:
                taken = self._claim_in(connection)
        except NothingMayLeave as stopped:
            doubt.hold(stopped)
            self._held_back = True
            return []
        except OutsideAway as fault:
            _log.error("outside folder unusable", held="sending", error=str(fault))
            self._held_back = self._outside_away = True
            now = datetime.now(UTC)
            self._results.extend(Result(item.recipient_id, item.attempt, None, now) for item in taken)
            return []
        return taken

    def _claim_in(self, connection: Connection) -> list[Claim]:
        if not self.lease.may_send:
            return []
        limit = 1 if self._breaker.trying or self._route.probes else self._claim_rows
        if self._route.daily_cap is not None:
            limit = min(limit, daily_cap.left(connection, self.lease.tenant_id, self._route.daily_cap))
            if not limit:
                self._after = daily_cap.tomorrow(datetime.now(UTC))
                _log.warning("daily cap reached", daily_cap=self._route.daily_cap)
                return []
        # to show whose fault a refusal was, another message goes, of another campaign if need be
        others = self._breaker.doubted and others_wait(connection, self._route.account.id)
        taken = claims.claim(
            connection,
            self.lease,
            account_id=self._route.account.id,
            contract_id=self._route.account.contract_id,
            validity=self._route.validity,
            after_id=self._cursor,
            limit=limit,
            trial=self._breaker.trying,
            suspects=not others,
        )
        if others and not taken:
            self._rest_s = max(self._rest_s, _DOUBT_S)
        daily_cap.add(connection, self.lease.tenant_id, len(taken))
        return taken
