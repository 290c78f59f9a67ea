"""How long, and how many, people wait for a payment provider that gives no answer.

In: a request to a provider. Out: its answer, or a failure: `SILENT` where nobody was asked. Can't happen here: a
provider that hangs keeping all of the web server's few threads, and with them every company's pages.

Only who waits at a screen (`person_waits`) is hurried; jobs have the account's own time limit. Knowledge of a provider
stays in this process: another one finds out as soon.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from app.process_state import process_state
from app.providers.curl import perform
from app.providers.http import Answer, Failure, Reach, Request

# a person waits for one answer so long, seconds; the providers' own take one or two
_ANSWER_WITHIN_S = 8.0
# while somebody has waited so long, so many may wait at once: half of a web process's threads
_SLOW_S = 2.0
_MOST = 2
# never do more than this wait at once: one thread of a web process is left for pages; who comes then waits so long for
# a place, seconds
_PLACES = 3
_PLACE_S = 1.0
# a provider that let so many wait in vain, one after the other, is asked nothing for so long, and then by one alone
_IN_VAIN = 2
_REST_S = 15.0

SILENT = "silent"  # the reason of a failure where nobody was asked

_hurried: ContextVar[bool] = ContextVar("todoke_person_waits", default=False)


@dataclass(slots=True)
class _Line:
    """The people who wait for one provider: since when, by the bulkhead's clock."""

    slow_s: float
    waiting: list[float] = field(default_factory=list)
    in_vain: int = 0
    rests_until: float = 0.0

    def is_full(self, now: float) -> bool:
        """Return whether nobody else may wait now."""
        if now < self.rests_until:
            return True
        if self.in_vain >= _IN_VAIN:
            return bool(self.waiting)
        return len(self.waiting) >= _MOST and now - self.waiting[0] > self.slow_s

    def is_place_free(self) -> bool:
        """Return whether one more may wait."""
        return len(self.waiting) < _PLACES


@contextmanager
def person_waits() -> Iterator[None]:
    """Mark that somebody waits at a screen for whatever is asked within."""
    token = _hurried.set(True)
    try:
        yield
    finally:
        _hurried.reset(token)


class Bulkhead:
    """The places of one process's threads, provider by provider. Times are seconds."""

    def __init__(
        self,
        *,
        answer_within_s: float = _ANSWER_WITHIN_S,
        slow_s: float = _SLOW_S,
        rest_s: float = _REST_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Know nothing of any provider yet."""
        self._answer_within_s = answer_within_s
        self._slow_s = slow_s
        self._rest_s = rest_s
        self._clock = clock
        self._lock = threading.Condition()
        self._lines: dict[str, _Line] = {}

    def ask(self, request: Request) -> Answer:
        """Do one request to a payment provider, unless a person waits for it and others wait in vain already."""
        if not _hurried.get():
            return perform(request)
        since = self._clock()
        with self._lock:
            line = self._lines.setdefault(urlsplit(request.url).netloc, _Line(self._slow_s))
            if (
                line.is_full(since)
                or not self._lock.wait_for(line.is_place_free, _PLACE_S)
                or line.is_full(self._clock())
            ):
                return Failure(Reach.NEVER_LEFT, SILENT)
            since = self._clock()
            line.waiting.append(since)
        in_vain = False
        try:
            answer = perform(replace(request, timeout_s=min(request.timeout_s, self._answer_within_s)))
            in_vain = isinstance(answer, Failure) and answer.reason == "timeout"
            return answer
        finally:
            with self._lock:
                line.waiting.remove(since)
                self._lock.notify_all()
                line.in_vain = line.in_vain + 1 if in_vain else 0
                if line.in_vain >= _IN_VAIN:
                    line.rests_until = self._clock() + self._rest_s


def ask(request: Request) -> Answer:
    """Do one request to a payment provider from a place of this process; see `Bulkhead.ask`."""
    return process_state.of(Bulkhead).ask(request)


def forget() -> None:
    """Have this process know nothing of any provider any more."""
    process_state.forget(Bulkhead)
