"""Send a turn of a slice: one thread talks to the provider, one to the database, and neither waits for the other.

The database's thread claims the next batch while the present one is under way, records outcomes in bulk and renews the
lease; no transaction is open while it waits for answers, and memory holds two batches however long the slice is.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextvars import copy_context
from datetime import UTC, datetime
from queue import Empty, Queue

import structlog

from app.accounts import Unusable
from app.config import settings
from app.delivery import books, caps, retry, routes, slices, stopping
from app.delivery.books import Claim, Result
from app.delivery.pacing import Pace, Permit
from app.delivery.routes import Route, Unsendable
from app.delivery.slices import Lease, LeaseLost
from app.outbound import Answer, Request
from app.outbound.curl import Engine
from app.sms.base import Outcome, OutcomeKind
from app.vault import CannotOpen

# how long an outcome may wait for others to be recorded with it; the lease is renewed at least as often, seconds
_RECORD_S = 0.2
# How long a turn claims people, seconds: those are all sent, then whoever else waits comes first.
_TURN_S = 2.0
# how much longer what is claimed may wait for the account's rate before it goes back, seconds
_PATIENCE_S = 6.0
# how long a slice rests whose account or people can't be opened, or whose worker failed, seconds
_FAULT_PAUSE_S = 60.0

_log = structlog.get_logger()


def serve(held: Lease) -> None:
    """Send whoever waits in the slice for one turn; returns when each of them is recorded and the lease given back."""
    try:
        way = routes.route(held.campaign_id)
        closes_at = way.policy.closes_at(datetime.now(UTC))
        if closes_at is None or routes.opens_at(way, datetime.now(UTC)) is None:
            _give_back(held, way)
        else:
            _Turn(held, way, closes_at).run()
    except (Unusable, CannotOpen) as fault:
        _log.error("slice not sent: its account or its window can't be used", slice_id=held.slice_id, reason=str(fault))
        slices.finish(held, pause_s=_FAULT_PAUSE_S)
    except LeaseLost:
        _log.warning("slice lost to another worker", slice_id=held.slice_id)


def _give_back(held: Lease, way: Route, *, pause_s: float = 0.0, after: datetime | None = None) -> None:
    """Give the lease back: until the next opening, `after` or later; whom none awaits any more has expired."""
    now = datetime.now(UTC)
    opens_at = routes.opens_at(way, max(now, after or now))
    if opens_at is None:
        with slices.holding(held) as connection:
            books.expire(connection, held)
    slices.finish(held, pause_s=pause_s, not_before=opens_at if opens_at and opens_at > now else None)


class _Turn:
    """One turn of a slice. No SMS leaves at `closes_at` or later."""

    def __init__(self, held: Lease, way: Route, closes_at: datetime) -> None:
        self._held = held
        self._way = way
        self._closes_at = closes_at
        self._claims_until = time.monotonic() + _TURN_S
        rate = way.account.rate_per_s
        self._pace = Pace(way.account.id, rate) if rate else None
        # what is claimed at the turn's end has to be sent at the account's rate yet
        self._claim_rows = min(settings().batch_rows, max(1, rate // 4)) if rate else settings().batch_rows
        self._permits: dict[int, Permit] = {}
        self._after: datetime | None = None  # no more today: the company's daily cap is reached
        self._breaker = retry.Breaker()
        self._ahead: Queue[list[Claim] | None] = Queue(maxsize=1)
        self._cursor = held.first_id - 1
        self._open: dict[int, Claim] = {}  # claimed, without a result
        self._connecting: set[int] = set()  # of these, whose request waits for its connection
        self._left: set[int] = set()  # of these, whose request may have left
        self._results: deque[Result] = deque()
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._fault: BaseException | None = None
        self._rest_s = 0.0
        self._closed_people = False  # some can't be opened
        self._books = threading.Thread(target=copy_context().run, args=(self._keep_books,), name="books")

    def run(self) -> None:
        """Send, record, give the lease back. Raises LeaseLost, and whatever went wrong in either thread."""
        self._books.start()
        try:
            with Engine[Claim](settings().send_connections) as engine:
                engine.run(self._calls(), self._answered, self._may_call, self._skipped)
                if self._pace is not None:
                    self._pace.close()
        finally:
            self._ending.set()
            self._wake.set()
            self._books.join()
            self._close()
        if self._fault is not None:
            raise self._fault

    def _close(self) -> None:
        """Record the last outcomes. What has none, because something broke, left or it did not."""
        now = datetime.now(UTC)
        for recipient_id, claim in self._open.items():
            lost = Outcome(OutcomeKind.UNKNOWN, "interrupted") if recipient_id in self._left else None
            self._results.append(Result(recipient_id, claim.attempt, lost, now))
        self._record()
        if self._breaker.open:
            say = _log.error if self._breaker.account_fault else _log.warning
            say(
                "slice stopped: the provider takes nothing",
                slice_id=self._held.slice_id,
                sms_account_id=self._way.account.id,
                account_fault=self._breaker.account_fault,
            )
        pause_s = max(
            self._rest_s, self._breaker.pause_s, _FAULT_PAUSE_S if self._fault or self._closed_people else 0.0
        )
        _give_back(self._held, self._way, pause_s=pause_s, after=self._after)

    # --- the provider's thread ---

    def _calls(self) -> Iterator[tuple[Claim, Request] | None]:
        """Give the messages batch by batch; None while the next one isn't there yet."""
        while True:
            try:
                batch = self._ahead.get_nowait()
            except Empty:
                if not self._books.is_alive():
                    return
                yield None
                continue
            if batch is None:
                return
            self._wake.set()
            for claim in batch:
                request = self._request(claim)
                if request is None:
                    continue
                if self._pace is not None:
                    yield from self._await_permit(claim, self._pace)
                yield claim, request

    def _request(self, claim: Claim) -> Request | None:
        try:
            return routes.request(self._way, claim)
        except Unsendable as fault:
            outcome = Outcome(OutcomeKind.REFUSED, str(fault))
        except CannotOpen as fault:
            # a key that is missing here is no reason to call somebody unreachable: left waiting, and said
            _log.error("recipient can't be opened", recipient_id=claim.recipient_id, reason=str(fault))
            outcome = None
            self._closed_people = True
        self._came_to(claim, outcome)
        return None

    def _await_permit(self, claim: Claim, pace: Pace) -> Iterator[None]:
        """Wait until the account's rate lets this message leave, or the turn is over."""
        while self._may_go_on():
            permit = pace.take()
            if permit is not None:
                self._permits[claim.recipient_id] = permit
                return
            yield None

    def _may_call(self, claim: Claim) -> bool:
        """Say whether this message may take a connection, then, at the last moment, whether it may leave."""
        if not self._may_go_on() or time.monotonic() >= self._held.call_until:
            return False
        if claim.recipient_id not in self._connecting:
            self._connecting.add(claim.recipient_id)
            return True
        if self._pace is not None and not self._pace.leaves(self._permits.pop(claim.recipient_id)):
            return False
        self._left.add(claim.recipient_id)
        return True

    def _may_go_on(self) -> bool:
        return (
            self._held.may_send
            and not self._breaker.open
            and self._fault is None
            and not stopping.asked.is_set()
            and not self._ending.is_set()
            and datetime.now(UTC) < self._closes_at
            and (self._pace is None or time.monotonic() < self._claims_until + _PATIENCE_S)
        )

    def _answered(self, claim: Claim, answer: Answer) -> None:
        outcome = self._way.account.provider.outcome(answer)
        reference = routes.reference(self._way.key, claim.recipient_id, claim.attempt)
        if outcome.references and reference not in outcome.references:
            # an answer to another request: whether this one got in is not known
            _log.error("an answer names another message", recipient_id=claim.recipient_id)
            outcome = Outcome(OutcomeKind.UNKNOWN, "mismatch")
        self._breaker.saw(outcome)
        self._came_to(claim, outcome)

    def _skipped(self, claim: Claim) -> None:
        permit = self._permits.pop(claim.recipient_id, None)
        if permit is not None and self._pace is not None:
            self._pace.give_back(permit)
        self._came_to(claim, None)

    def _came_to(self, claim: Claim, outcome: Outcome | None) -> None:
        self._connecting.discard(claim.recipient_id)
        self._left.discard(claim.recipient_id)
        self._results.append(Result(claim.recipient_id, claim.attempt, outcome, datetime.now(UTC)))
        del self._open[claim.recipient_id]
        if len(self._results) >= settings().batch_rows:
            self._wake.set()

    # --- the database's thread ---

    def _keep_books(self) -> None:
        """Read ahead, record and renew until the other thread is done."""
        recorded = time.monotonic()
        reading = True
        try:
            while not self._ending.is_set():
                if reading and self._ahead.empty():  # this thread alone puts, so there is room
                    batch = self._read_ahead()
                    self._ahead.put(batch)
                    reading = batch is not None
                if len(self._results) >= settings().batch_rows or time.monotonic() - recorded >= _RECORD_S:
                    self._record()
                    recorded = time.monotonic()
                self._wake.wait(_RECORD_S)
                self._wake.clear()
        except BaseException as fault:  # noqa: BLE001 - raised again by `run`
            self._fault = fault

    def _read_ahead(self) -> list[Claim] | None:
        """Claim the next batch; None when there is no more, or nothing more may be sent."""
        claims = self._claim() if self._may_go_on() and time.monotonic() < self._claims_until else []
        if not claims:
            return None
        self._cursor = claims[-1].recipient_id
        self._open.update((claim.recipient_id, claim) for claim in claims)
        return claims

    def _claim(self) -> list[Claim]:
        with slices.holding(self._held) as connection:
            if not self._held.may_send:
                return []
            limit = self._claim_rows
            if self._way.daily_cap is not None:
                limit = min(limit, caps.left(connection, self._held.tenant_id, self._way.daily_cap))
                if not limit:
                    self._after = caps.tomorrow(datetime.now(UTC))
                    _log.warning("daily cap reached: the rest waits for tomorrow", daily_cap=self._way.daily_cap)
                    return []
            claims = books.claim(
                connection,
                self._held,
                account_id=self._way.account.id,
                validity=self._way.validity,
                after_id=self._cursor,
                limit=limit,
            )
            caps.add(connection, self._held.tenant_id, len(claims))
            return claims

    def _record(self) -> None:
        """Write the outcomes that are there, and renew the lease."""
        results = [self._results.popleft() for _ in range(len(self._results))]
        try:
            with slices.holding(self._held) as connection:
                if results:
                    self._rest_s = max(self._rest_s, books.record(connection, self._held, results))
        except BaseException:
            self._results.extendleft(reversed(results))  # `_close` tries once more
            raise
