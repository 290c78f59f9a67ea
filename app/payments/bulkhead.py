"""How long, and how many, people wait for a payment provider that gives no answer.

In: a request to a provider. Out: its answer, or a failure: `SILENT` where nobody was asked. Can't happen here: a
provider that hangs keeping all of the web server's few threads, and with them every company's pages.

Only who waits at a screen (`person_waits`) is hurried; jobs have the account's own time limit. Knowledge of a provider
stays in this process: another one finds out as soon.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from app.providers.curl import perform
from app.providers.http import Answer, Failure, Reach, Request

# a person waits for one answer so long, seconds; the providers' own take one or two
_LONGEST_S = 8.0
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
    """The people who wait for one provider: since when, by time.monotonic()."""

    waiting: list[float] = field(default_factory=list)
    in_vain: int = 0
    rests_until: float = 0.0

    def full(self, now: float) -> bool:
        """Return whether nobody else may wait now."""
        if now < self.rests_until:
            return True
        if self.in_vain >= _IN_VAIN:
            return bool(self.waiting)
        return len(self.waiting) >= _MOST and now - self.waiting[0] > _SLOW_S

    def is_place_free(self) -> bool:
        """Return whether one more may wait."""
        return len(self.waiting) < _PLACES


_lock = threading.Condition()
_lines: dict[str, _Line] = {}


@contextmanager
def person_waits() -> Iterator[None]:
    """Mark that somebody waits at a screen for whatever is asked within."""
    token = _hurried.set(True)
    try:
        yield
    finally:
        _hurried.reset(token)


def ask(request: Request) -> Answer:
    """Do one request to a payment provider, unless a person waits for it and others wait in vain already."""
    if not _hurried.get():
        return perform(request)
    since = time.monotonic()
    with _lock:
        line = _lines.setdefault(urlsplit(request.url).netloc, _Line())
        if line.full(since) or not _lock.wait_for(line.is_place_free, _PLACE_S) or line.full(time.monotonic()):
            return Failure(Reach.NEVER_LEFT, SILENT)
        since = time.monotonic()
        line.waiting.append(since)
    in_vain = False
    try:
        answer = perform(replace(request, timeout_s=min(request.timeout_s, _LONGEST_S)))
        in_vain = isinstance(answer, Failure) and answer.reason == "timeout"
        return answer
    finally:
        with _lock:
            line.waiting.remove(since)
            _lock.notify_all()
            line.in_vain = line.in_vain + 1 if in_vain else 0
            if line.in_vain >= _IN_VAIN:
                line.rests_until = time.monotonic() + _REST_S


def forget() -> None:
    """Know nothing of any provider any more."""
    with _lock:
        _lines.clear()
