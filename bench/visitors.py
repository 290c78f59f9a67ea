"""Recipients who open their links and look at their page, again and again; how long each answer took.

Each has a phone of their own (`bench.recipient_client`) and rests between two visits. An answer that is neither a page
nor a redirect, and none at all, is an error; nothing is tried again, so that nothing hides.
"""

import http.client
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.recipient_client import Phone
from dev.stack import LINK_BASE_URL
from sandbox.harness import Sandbox

_GOOD = {200, 303}
_LINK = re.compile(re.escape(LINK_BASE_URL) + r"/([A-Za-z0-9_-]+)")


@dataclass(slots=True)
class Seen:
    """The visitors' view: the seconds of each answer, and how many were no page."""

    seconds: list[float] = field(default_factory=list)
    errors: int = 0

    @property
    def requests(self) -> int:
        """How often anything was asked."""
        return len(self.seconds)

    def p99_ms(self) -> float:
        """Return the milliseconds within which 99 of 100 answers came."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1000 if ordered else 0.0


def tokens(sandbox: Sandbox, count: int) -> list[str]:
    """Return the links' tokens that the first SMS at the carrier hold."""
    found = (_LINK.search(message["body"]) for message in sandbox.messages()[:count])
    return [link[1] for link in found if link is not None]


@contextmanager
def visiting(url: str, links: Sequence[str], rest_s: float) -> Iterator[Seen]:
    """Let one visitor for each link come and go until the block ends; `Seen` is whole from then on."""
    seen, over = Seen(), threading.Event()

    def visit(number: int, token: str) -> None:
        phone = Phone(url, number)
        # not all at once
        over.wait(rest_s * number / max(1, len(links)))
        while not over.is_set():
            for method, path, form in (("POST", f"/{token}", {}), ("GET", "/p", None)):
                ask(phone, method, path, form, seen)
                over.wait(rest_s / 2)

    visitors = [threading.Thread(target=visit, args=(number, link)) for number, link in enumerate(links)]
    for visitor in visitors:
        visitor.start()
    try:
        yield seen
    finally:
        over.set()
        for visitor in visitors:
            visitor.join()


def ask(phone: Phone, method: str, path: str, form: dict[str, str] | None, seen: Seen) -> None:
    """Ask once, and note how long it took."""
    began = time.perf_counter()
    try:
        good = phone.once(method, path, form) in _GOOD
    except (OSError, http.client.HTTPException):
        good = False
    seen.seconds.append(time.perf_counter() - began)
    if not good:
        seen.errors += 1
