"""Timers: one heap and one timer, so that a million waiting messages cost a million small tuples."""

import asyncio
import heapq
import itertools
from collections.abc import Callable

_SLICE = 500  # acts at once before other work gets its turn


class Agenda:
    """Calls functions when they are due, on the running loop."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def after(self, delay_s: float, act: Callable[[], None]) -> None:
        """Call `act` once, `delay_s` seconds from now; acts due together keep their order."""
        due = asyncio.get_running_loop().time() + max(delay_s, 0.0)
        heapq.heappush(self._heap, (due, next(self._order), act))
        if self._heap[0][0] == due:
            self._arm()

    def clear(self) -> None:
        """Forget everything."""
        self._heap.clear()
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(self._heap[0][0], self._run) if self._heap else None

    def _run(self) -> None:
        now = asyncio.get_running_loop().time()
        for _ in range(_SLICE):
            if not self._heap or self._heap[0][0] > now:
                break
            heapq.heappop(self._heap)[2]()
        self._arm()
