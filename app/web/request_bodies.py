"""Bodies of requests on their way: how many at once, how long each may take, and which gives way to which.

In: a stream of the server's, and how much of it is wanted. Out: the body, whole, in memory or in a file; or nothing, in
time. Can't happen here: a body that takes the room of a quicker one, as the one furthest behind gives way when room is
short; a thread of somebody else's that waits for a body.

A body is read by a thread of our own, as no read of the server's can be given up: it ends with the connection.
"""

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BytesIO
from queue import Empty, SimpleQueue
from typing import IO, BinaryIO

# how long a body may take: a form this long, an upload also a second for each so many bytes
BODY_S = 10.0
_UPLOAD_BYTES_A_S = 20_000
# a body that is so far behind gives way to any other; a phone's form is here within a tenth of that
_LATE_S = 1.0
_PIECE = 1 << 16
# held in memory; more goes to a file without a name
_IN_MEMORY = 1_000_000
# the part that is read of a body that is too large, so that its sender hears the refusal
READ_ALL_THE_SAME = 1_000_000


class Readers:
    """Threads that read bodies: as many as there are bodies on their way, each kept a while for the next."""

    _IDLE_S = 30.0

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0

    def run(self, task: Callable[[], None]) -> None:
        """Do the task soon, on a thread that is free or a new one."""
        with self._lock:
            free = self._idle > 0
            self._idle -= free
        self._work.put(task)
        if not free:
            # a daemon: one that waits for a body must not keep the process from ending
            threading.Thread(target=self._serve, daemon=True, name="body-reader").start()

    def _serve(self) -> None:
        task = self._work.get()
        while True:
            task()
            del task
            with self._lock:
                self._idle += 1
            try:
                task = self._work.get(timeout=self._IDLE_S)
            except Empty:
                with self._lock:
                    if self._idle:
                        self._idle -= 1
                        return
                task = self._work.get()  # somebody has counted on this thread since


@dataclass(frozen=True, slots=True)
class Room:
    """How many bodies may be on their way at once."""

    bodies: int = 256
    # of one address: a mobile network has thousands of phones behind one
    of_one: int = 128
    # told to go, and not ended by the server yet
    ending: int = 96


class Slots:
    """The bodies on their way.

    Where there is no room for another, one of them gives way.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._lock = threading.Lock()
        self._coming: dict[Body, str] = {}
        self._taken: Counter[str] = Counter()
        self._ending: set[Body] = set()

    def take(self, body: "Body", address: str) -> bool:
        """Let a body come; return whether it may."""
        with self._lock:
            if self._taken[address] >= self._room.of_one:
                in_the_way: Iterable[Body] = [one for one, owner in self._coming.items() if owner == address]
            else:
                in_the_way = self._coming if len(self._coming) >= self._room.bodies else ()
            if in_the_way:
                if len(self._ending) >= self._room.ending:
                    return False
                self._end_one(in_the_way)
            self._coming[body] = address
            self._taken[address] += 1
            return True

    def give_back(self, body: "Body") -> None:
        """Forget a body that nobody reads any more."""
        with self._lock:
            self._ending.discard(body)
            if body in self._coming:
                self._leave(body)

    def _end_one(self, among: "Iterable[Body]") -> None:
        """End the body that is furthest behind; if none is late, one of the address that has the most."""
        now = time.monotonic()

        def rank(body: "Body") -> tuple[float, int, float]:
            behind = body.behind_s(now)
            return (behind if behind > _LATE_S else 0.0, self._taken[self._coming[body]], behind)

        last = max(among, key=rank)
        self._leave(last)
        self._ending.add(last)
        last.give_up()

    def _leave(self, body: "Body") -> None:
        address = self._coming.pop(body)
        self._taken[address] -= 1
        if not self._taken[address]:
            del self._taken[address]


class Body:
    """One body on its way: read by one thread, waited for by another."""

    def __init__(self, stream: BinaryIO, length: int | None, most: int) -> None:
        self._stream = stream
        self._left = length
        self._most = most
        self._got = 0
        self._began = time.monotonic()
        # nobody reads it any more; there is nothing to wait for any more
        self._ended, self._settled = threading.Event(), threading.Event()
        self._given_up = False
        self.too_large = False
        # forms stay in memory, which is quicker; lists are sealed a moment later
        self.kept: IO[bytes] = (
            BytesIO() if most <= _IN_MEMORY else tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - the request's end closes it
        )

    def read(self) -> None:
        """Read to the end, or until nobody waits for it any more; what is beyond the limit is not kept."""
        try:
            while not self._given_up and (piece := self._piece()):
                self._got += len(piece)
                self.too_large = self.too_large or self._got > self._most
                if not self.too_large:
                    self.kept.write(piece)
                elif self._got > self._most + READ_ALL_THE_SAME:
                    break
        finally:
            self._ended.set()
            self._settled.set()

    def _piece(self) -> bytes:
        if self._left is None:
            return self._stream.read(_PIECE)
        piece = self._stream.read(min(_PIECE, self._left)) if self._left else b""
        self._left -= len(piece)
        return piece

    def wait(self, body_s: float) -> bool:
        """Wait for it as long as a body may take; return whether it is here whole."""
        while (left := self._began + body_s + self._extra_s() - time.monotonic()) > 0:
            if self._settled.wait(left):
                break
        if self._given_up or not self._ended.is_set():
            self._given_up = True
            return False
        self.kept.seek(0)
        return not self._left

    def give_up(self) -> None:
        """Wait for it no more."""
        self._given_up = True
        self._settled.set()

    def behind_s(self, now: float) -> float:
        """Return how long it takes already beyond what its bytes may take."""
        return now - self._began - self._got / _UPLOAD_BYTES_A_S

    def await_end(self) -> None:
        """Wait until nobody reads it any more."""
        self._ended.wait()
        self.kept.close()

    def _extra_s(self) -> float:
        return self._got / _UPLOAD_BYTES_A_S if self._most > _IN_MEMORY else 0.0
