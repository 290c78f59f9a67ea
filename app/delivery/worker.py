"""Send turn after turn: one thread talks to the provider, two to the database, and none waits for another.

One reads ahead: it claims the next batch and writes its requests while the present one is under way. One keeps the
books: it records outcomes in bulk, renews the leases, and leases the next turn before the last answers of this one are
in, so that the provider always has something to do. While one account's turn stands still (its provider is slow, or its
rate low) turns of other accounts begin beside it. No transaction is open while an answer is awaited, connections are
kept alive from turn to turn, and memory holds a few batches however long a campaign is.

A fault in one turn is that turn's alone: where PostgreSQL ended its transaction (a deadlock, a limit of time) it is
done once more, and after that the slice is given back and the others go on.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from datetime import UTC, datetime
from functools import partial

import structlog
from sqlalchemy.exc import DBAPIError

from app import tenancy
from app.accounts import Unusable
from app.config import settings
from app.delivery import failover, leases, send_context, shutdown
from app.delivery.account_lanes import MOST_TURNS, Lane, Lanes, Patience
from app.delivery.claims import Claim
from app.delivery.leases import LeaseLost, SliceLease
from app.delivery.slice_run import FAULT_PAUSE_S, RECORD_S, SliceRun, give_back
from app.extensions import in_own_session
from app.providers.curl import Engine
from app.providers.http import Answer, Request
from app.tenancy import time_limits
from app.vault import CannotOpen
from app.work_budget import WorkBudget

# How soon it is asked again whether another turn is due, while answers are awaited, seconds.
_ASK_AGAIN_S = 1.0
# For so long after its end a shift still serves other accounts than those whose last answers are awaited, seconds.
_OVERTIME_S = 60.0

_LOST = "slice lease lost"

_log = structlog.get_logger()

_Call = tuple[Lane, Claim]
# asked with the accounts that may begin no other turn now
NextLease = Callable[[Sequence[int]], SliceLease | None]


def serve(next_lease: NextLease, budget: WorkBudget | None = None) -> None:
    """Serve the slices that `next_lease` gives, until it gives none and each person is recorded. No scope may be open.

    `next_lease` is called in another thread, with this one's context. Once `budget` is spent no account begins
    another turn while one of its own is awaited, and the shift is over with the last of those. Raises whatever went
    wrong in either thread or in a turn, after everything that can be recorded is.
    """
    with time_limits.limited_to(time_limits.SENDING):
        _Shift(next_lease, budget or WorkBudget()).run()


class _Shift:
    """A worker's turns, over one set of connections."""

    def __init__(self, next_lease: NextLease, budget: WorkBudget) -> None:
        self._next_lease = next_lease
        self._budget = budget
        self._lanes = Lanes(settings().send_connections)
        self._ask_at = 0.0
        self._began = False
        self._wake = threading.Event()
        self._hungry = threading.Event()
        self._done = threading.Event()
        self._ending = threading.Event()
        self._fault: BaseException | None = None
        self._turn_fault: Exception | None = None
        self._books = threading.Thread(target=copy_context().run, args=(self._keep_books,), name="books")
        self._reader = threading.Thread(target=in_own_session(self._read_ahead), name="reader")

    def run(self) -> None:
        """Send, record, give every lease back."""
        self._books.start()
        self._reader.start()
        try:
            with Engine[_Call](self._lanes.connections) as engine:
                engine.run(
                    self._calls(),
                    self._answered,
                    may_connect=self._may_connect,
                    may_send=self._may_send,
                    on_skipped=self._skipped,
                )
        finally:
            self._ending.set()
            self._wake.set()
            self._hungry.set()
            self._books.join()
            self._reader.join()
            self._close_all()
        if fault := self._fault or self._turn_fault:
            raise fault

    def _close_all(self) -> None:
        """Record and give back what is still held: what one slice can't write any more is no other's loss."""
        for lane in self._lanes:
            for _ in range(2):
                if self._let(
                    lane, lane.writing, partial(lane.turn.close, failed=lane.turn.failed or self._fault is not None)
                ):
                    break

    def _halted(self) -> bool:
        return shutdown.is_asked() or self._ending.is_set() or self._fault is not None

    # --- the provider's thread ---

    def _calls(self) -> Iterator[tuple[_Call, Request] | None]:
        """Yield the messages one by one; None while none may leave."""
        while True:
            found = self._lanes.next()
            if found is None:
                if self._done.is_set() or not self._books.is_alive():
                    return
                yield None
                continue
            lane, claim, request = found
            if lane.hungry and not self._hungry.is_set():
                self._hungry.set()
            yield (lane, claim), request

    def _may_connect(self, call: _Call) -> bool:
        return call[0].turn.may_connect()

    def _may_send(self, call: _Call) -> bool:
        lane, claim = call
        return lane.turn.may_send(claim)

    def _answered(self, call: _Call, answer: Answer) -> None:
        lane, claim = call
        self._lanes.ended(lane)
        lane.turn.answered(claim, answer)
        if lane.turn.is_full or lane.turn.is_over:
            self._wake.set()

    def _skipped(self, call: _Call) -> None:
        lane, claim = call
        self._lanes.ended(lane)
        lane.turn.skipped(claim)

    # --- the thread that reads ahead ---

    def _read_ahead(self) -> None:
        """Claim people for whichever turn is short of them."""
        try:
            while not self._ending.is_set():
                self._hungry.clear()
                hungry = [lane for lane in self._lanes if lane.hungry and not lane.reading.rests]
                for lane in hungry:
                    with lane.turn.reading_ahead():
                        self._let(lane, lane.reading, lane.turn.read)
                        lane.put(lane.turn.requests())
                    self._wake.set()
                if not hungry:
                    self._hungry.wait(RECORD_S)
        except BaseException as fault:  # noqa: BLE001 - raised again by `run`
            self._fault = fault

    # --- the thread that keeps the books ---

    def _keep_books(self) -> None:
        """Record, renew and begin turns until the last is closed."""
        try:
            while not self._ending.is_set():
                self._wake.clear()
                for lane in self._lanes:
                    self._look_after(lane)
                if self._may_begin() and self._begin():
                    continue
                if not self._lanes:
                    self._done.set()
                    return
                self._wake.wait(RECORD_S)
        except BaseException as fault:  # noqa: BLE001 - raised again by `run`
            self._fault = fault

    def _look_after(self, lane: Lane) -> None:
        """Record what came of a turn, close it when it is over."""
        if lane.writing.rests:
            return
        turn = lane.turn
        if turn.is_over:
            if self._let(lane, lane.writing, partial(turn.close, failed=turn.failed)):
                self._lanes.remove(lane)
                self._ask_at = 0.0  # its account may begin another
        elif turn.to_record:
            self._let(lane, lane.writing, turn.record)

    def _may_begin(self) -> bool:
        """Return whether to look for another turn: none gets on with its sending, and there is room and time."""
        if time.monotonic() < self._ask_at or len(self._lanes) >= MOST_TURNS or any(lane.flows for lane in self._lanes):
            return False
        if not self._budget.is_spent or not self._began:
            return True
        return bool(self._lanes) and self._budget.left_s > -_OVERTIME_S

    def _begin(self) -> bool:
        """Lease the next slice and begin its turn, if it has one now.

        Returns whether there was a slice.
        """
        full = {lane.account_id for lane in self._lanes} if self._budget.is_spent else self._lanes.full_accounts()
        try:
            lease = self._next_lease(sorted(full))
            self._began = True
            if lease is not None:
                self._begin_turn(lease)
        except DBAPIError as fault:
            if not tenancy.gave_way(fault) or fault.connection_invalidated:
                raise
            _log.warning("lease transaction ended by database", error=type(fault.orig).__name__)
            lease = None
        if lease is None:
            self._ask_at = time.monotonic() + _ASK_AGAIN_S
        return lease is not None

    def _begin_turn(self, lease: SliceLease) -> None:
        """Begin the turn of a leased slice, or give it back where none of its campaign may be sent now."""
        with tenancy.tenant(lease.tenant_id):
            try:
                route = send_context.route(lease.campaign_id)
                if route.stands_in and failover.may_probe(lease.campaign_id):
                    route = send_context.route(lease.campaign_id, probes=True)
                closes_at = send_context.closes_at(route, datetime.now(UTC))
                if closes_at is None:
                    give_back(lease, route)
                    return
            except (Unusable, CannotOpen) as fault:
                _log.error("slice put off: account or send window unusable", slice_id=lease.slice_id, reason=str(fault))
                leases.finish(lease, pause_s=FAULT_PAUSE_S)
                leases.put_off(lease.campaign_id, pause_s=FAULT_PAUSE_S)
                return
            except LeaseLost:
                _log.warning(_LOST, slice_id=lease.slice_id)
                return
            self._lanes.add(Lane(SliceRun(lease, route, closes_at, self._halted), route.account.id))
            self._hungry.set()

    # --- both of these ---

    def _let(self, lane: Lane, patience: Patience, act: Callable[[], object]) -> bool:
        """Let a turn read or write, unless another worker has its slice.

        Returns whether that is done with.

        Where PostgreSQL ended the transaction it is done once more at once, then again after a rest: its results are
        kept, and other turns are served meanwhile.
        """
        turn = lane.turn
        for again in (True, False):
            if turn.lost:
                return True
            try:
                with tenancy.tenant(turn.lease.tenant_id):
                    act()
            except LeaseLost:
                turn.lose()
                _log.warning(_LOST, slice_id=turn.lease.slice_id)
            except Exception as fault:  # noqa: BLE001 - raised by `run`; it is no other turn's fault
                if tenancy.gave_way(fault):
                    if again:
                        continue
                    if patience.rest():
                        return False
                self._failed(lane, fault)
                return turn.lost
            else:
                patience.recovered()
            return True
        return True

    def _failed(self, lane: Lane, fault: Exception) -> None:
        """Let a turn send no more; the second time it is left to whoever takes over after its lease."""
        turn = lane.turn
        _log.error("slice failed", slice_id=turn.lease.slice_id, error=type(getattr(fault, "orig", fault)).__name__)
        if turn.failed:
            turn.lose()
        turn.fail()
        self._turn_fault = self._turn_fault or fault
