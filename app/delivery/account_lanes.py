"""Which message leaves next: requests under way are shared out by account.

In: turns, each with a lane of people it claimed. Out: one call after the other. Can't happen here: a slow account that
takes every connection. An account gets at most half of those that the others leave free, so that with any number of
slow ones each has the same share and one more account still finds some.
"""

import time
from collections import Counter, deque
from collections.abc import Iterator

from app.delivery.claims import Claim
from app.delivery.slice_run import Message, SliceRun
from app.providers.curl import MAX_CONNECTIONS
from app.providers.http import Request

# So many turns at once: their claims are all that a worker holds in memory.
MOST_TURNS = 16
# Turns of one account: while one sends, the last answers of two others may be awaited.
_MOST_OF_ACCOUNT = 3
# a turn from which nothing left for so long gives others the opportunity to begin, seconds
_STUCK_S = 0.25
# how long a turn whose transaction PostgreSQL ended waits for its next try, and for how long it goes on trying: whoever
# holds its rows may have vanished, and is ended sooner than that; seconds
_REST_S = 1.0
_PATIENCE_S = 20.0


class Patience:
    """How often and for how long a thread tries again what PostgreSQL ended."""

    def __init__(self) -> None:
        self._troubled: float | None = None
        self._rests_until = 0.0

    @property
    def rests(self) -> bool:
        """Whether the turn is left alone for a moment."""
        return time.monotonic() < self._rests_until

    def rest(self) -> bool:
        """Rest after PostgreSQL ended a transaction; return False once that went on for too long."""
        now = time.monotonic()
        self._troubled = self._troubled or now
        self._rests_until = now + _REST_S
        return now - self._troubled < _PATIENCE_S

    def recovered(self) -> None:
        """Take note that the database took what it was told."""
        self._troubled = None


class Lane:
    """A turn's people on their way to the provider: `put` on the database's side, taken on the provider's.

    `reading` and `writing` are the patience of those who claim its people and record its results.
    """

    def __init__(self, turn: SliceRun, account_id: int) -> None:
        self.turn = turn
        self.account_id = account_id
        self.waiting: deque[Message] = deque()
        self.reading = Patience()
        self.writing = Patience()
        self._moved = time.monotonic()
        self._batch = 0

    def put(self, batch: list[Message]) -> None:
        """Add a batch that was claimed."""
        self.waiting.extend(batch)
        self._batch = len(batch)

    def take(self) -> Message:
        """Take the next one."""
        self._moved = time.monotonic()
        return self.waiting.popleft()

    @property
    def hungry(self) -> bool:
        """Whether another batch should be claimed: the provider's side never waits for the database."""
        return self.turn.reading and len(self.waiting) <= self._batch

    @property
    def flows(self) -> bool:
        """Whether it has more to send and gets on with it: then nobody else begins."""
        return self.turn.reading and (not self.waiting or time.monotonic() - self._moved < _STUCK_S)


class Lanes:
    """All turns whose lease is held, and what is under way of each account.

    The database's side adds and removes lanes; the provider's side calls `next` and `ended`.
    """

    def __init__(self, per_account: int) -> None:
        """Let an account alone have `per_account` requests under way."""
        self.connections = min(2 * per_account, MAX_CONNECTIONS)
        self._per_account = per_account
        self._lanes: tuple[Lane, ...] = ()
        self._under_way: Counter[int] = Counter()
        self._total = 0

    def __iter__(self) -> Iterator[Lane]:
        """Go through the lanes as they are now."""
        return iter(self._lanes)

    def __len__(self) -> int:
        """Count them."""
        return len(self._lanes)

    def add(self, lane: Lane) -> None:
        """Begin a lane."""
        self._lanes = (*self._lanes, lane)

    def remove(self, lane: Lane) -> None:
        """End a lane."""
        self._lanes = tuple(one for one in self._lanes if one is not lane)

    def full_accounts(self) -> list[int]:
        """List the accounts that may begin no other turn now: one of theirs still claims, or too many are awaited."""
        count = Counter(lane.account_id for lane in self._lanes)
        sending = {lane.account_id for lane in self._lanes if lane.turn.reading}
        return [account_id for account_id in count if account_id in sending or count[account_id] >= _MOST_OF_ACCOUNT]

    def next(self) -> tuple[Lane, Claim, Request] | None:
        """Take the message that leaves next: of the account with the fewest under way.

        None: nothing may at present.
        """
        lanes = self._lanes
        if len(lanes) > 1:
            lanes = tuple(sorted(lanes, key=lambda lane: self._under_way[lane.account_id]))
        for lane in lanes:
            if not lane.waiting or not self._has_room(lane.account_id):
                continue
            if lane.turn.permitted(lane.waiting[0][0]):
                self._under_way[lane.account_id] += 1
                self._total += 1
                return lane, *lane.take()
        return None

    def ended(self, lane: Lane) -> None:
        """Take note that a request of this lane is over, or did not leave."""
        self._under_way[lane.account_id] -= 1
        self._total -= 1

    def _has_room(self, account_id: int) -> bool:
        own = self._under_way[account_id]
        share = max(1, (self.connections - (self._total - own)) // 2)
        return own < min(self._per_account, share)
