"""Send turn after turn: one thread talks to the provider, one to the database, and neither waits for the other.

The database's thread claims the next batch while the present one is under way, and leases the next turn before the
last answers of this one are in, so that the provider always has something to do. It records outcomes in bulk and renews
the leases. No transaction is open while an answer is awaited, connections are kept alive from turn to turn, and memory
holds a few batches however long a campaign is.
"""

import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from datetime import UTC, datetime
from functools import partial
from queue import Empty, Queue

import structlog

from app import tenancy
from app.accounts import Unusable
from app.config import settings
from app.delivery import routes, slices, stopping
from app.delivery.books import Claim
from app.delivery.slices import Lease, LeaseLost
from app.delivery.turn import FAULT_PAUSE_S, RECORD_S, Turn, give_back
from app.outbound import Answer, Request
from app.outbound.curl import Engine
from app.vault import CannotOpen

# Turns whose last answers are awaited while another one sends. With more, a provider that hangs would hold slices that
# nobody sends.
_MOST_TURNS = 3

_LOST = "slice lost to another worker"

_log = structlog.get_logger()

_Call = tuple[Turn, Claim]


def serve(next_lease: Callable[[], Lease | None]) -> None:
    """Serve the slices that `next_lease` gives, until it gives none and each person is recorded. No scope may be open.

    `next_lease` is called in another thread, with this one's context. Raises whatever went wrong in either thread,
    after everything that can be recorded is.
    """
    _Shift(next_lease).run()


class _Shift:
    """A worker's turns, one after the other, over one set of connections."""

    def __init__(self, next_lease: Callable[[], Lease | None]) -> None:
        self._next_lease = next_lease
        self._ahead: Queue[tuple[Turn, list[Claim]] | None] = Queue(maxsize=1)
        self._reading: Turn | None = None  # whose people are being claimed
        self._turns: list[Turn] = []  # all whose lease is held
        self._leases_out = False
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._fault: BaseException | None = None
        self._books = threading.Thread(target=copy_context().run, args=(self._keep_books,), name="books")

    def run(self) -> None:
        """Send, record, give every lease back."""
        self._books.start()
        try:
            with Engine[_Call](settings().send_connections) as engine:
                engine.run(self._calls(), self._answered, self._may_call, self._skipped)
        finally:
            self._ending.set()
            self._wake.set()
            self._books.join()
            self._close_all()
        if self._fault is not None:
            raise self._fault

    def _close_all(self) -> None:
        """Record and give back what is still held: what one slice can't write any more is no other's loss."""
        for turn in self._turns:
            try:
                self._let(turn, partial(turn.close, failed=self._fault is not None))
            except Exception as fault:  # noqa: BLE001 - raised by `run`, unless another came before it
                self._fault = self._fault or fault

    def _halted(self) -> bool:
        return stopping.asked.is_set() or self._ending.is_set() or self._fault is not None

    # --- the provider's thread ---

    def _calls(self) -> Iterator[tuple[_Call, Request] | None]:
        """Give the messages batch by batch; None while the next one isn't there yet."""
        while True:
            try:
                ahead = self._ahead.get_nowait()
            except Empty:
                if not self._books.is_alive():
                    return
                yield None
                continue
            if ahead is None:
                return
            self._wake.set()
            turn, batch = ahead
            for claim in batch:
                request = turn.request(claim)
                if request is None:
                    continue
                while not turn.permitted(claim):
                    yield None
                yield (turn, claim), request

    def _may_call(self, call: _Call) -> bool:
        turn, claim = call
        return turn.may_call(claim)

    def _answered(self, call: _Call, answer: Answer) -> None:
        turn, claim = call
        turn.answered(claim, answer)
        if turn.full or turn.over:
            self._wake.set()

    def _skipped(self, call: _Call) -> None:
        turn, claim = call
        turn.skipped(claim)

    # --- the database's thread ---

    def _keep_books(self) -> None:
        """Read ahead, record and renew until the other thread is done."""
        try:
            while not self._ending.is_set():
                if self._ahead.empty():  # this thread alone puts, so there is room
                    self._read_ahead()
                for turn in list(self._turns):
                    if turn.over:
                        self._let(turn, turn.close)
                        self._turns.remove(turn)
                    elif turn.to_record:
                        self._let(turn, turn.record)
                self._wake.wait(RECORD_S)
                self._wake.clear()
        except BaseException as fault:  # noqa: BLE001 - raised again by `run`
            self._fault = fault

    def _read_ahead(self) -> None:
        """Put the next batch, or None when no more will come; nothing while others have to be answered first."""
        while not self._leases_out:
            if self._reading is None:
                if len(self._turns) >= _MOST_TURNS:
                    return
                self._begin()
                continue
            turn = self._reading
            self._let(turn, turn.read)
            if turn.batch:
                self._ahead.put((turn, turn.batch))
                return
            self._reading = None
        self._ahead.put(None)

    def _begin(self) -> None:
        """Lease the next slice and begin its turn, if it has one now."""
        held = self._next_lease()
        if held is None:
            self._leases_out = True
            return
        with tenancy.tenant(held.tenant_id):
            try:
                way = routes.route(held.campaign_id)
                closes_at = routes.closes_at(way, datetime.now(UTC))
                if closes_at is None:
                    give_back(held, way)
                    return
            except (Unusable, CannotOpen) as fault:
                _log.error(
                    "slice not sent: its account or its window can't be used", slice_id=held.slice_id, reason=str(fault)
                )
                slices.finish(held, pause_s=FAULT_PAUSE_S)
                return
            except LeaseLost:
                _log.warning(_LOST, slice_id=held.slice_id)
                return
            self._reading = Turn(held, way, closes_at, self._halted)
            self._turns.append(self._reading)

    def _let(self, turn: Turn, act: Callable[[], object]) -> None:
        """Let a turn read or write, unless another worker has its slice."""
        if turn.lost:
            return
        try:
            with tenancy.tenant(turn.held.tenant_id):
                act()
        except LeaseLost:
            turn.lose()
            _log.warning(_LOST, slice_id=turn.held.slice_id)
