"""The world around delivery in the state machine: a carrier in this process, and workers that die or fall asleep.

The carrier speaks Karaden's API through the real adapter's requests and answers; it keeps the one ledger that counts.
`FakeEngine` takes the place of libcurl's, with the same gate: asked once before a connection, once before a message
leaves. A `Worker` runs a real function of the product in a thread of its own; at a chosen point of its way (a
transaction before or after its commit, a call before it leaves or after the carrier took it) it is dead, and whatever
it still tries fails without a trace, or asleep until it is woken.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from flask import Flask
from sqlalchemy import Connection

from app.providers.http import Answer, Failure, Reach, Request, Response
from tests.clock import TOKYO, Clock
from tests.waiting import until

# how a carrier may meet a request; see `Carrier.create`
BEHAVIOURS = (
    "ok", "late", "unseen", "slow", "early_receipt", "refused", "vacant", "429", "500", "reset", "500_accepted",
    "reset_accepted", "never_left", "account",
)  # fmt: skip


class Killed(BaseException):
    """A killed process: it does nothing more."""


@dataclass(frozen=True, slots=True)
class Fate:
    """Where a worker dies (`kills`) or falls asleep: at the `number`th time it comes to `point`."""

    point: str
    number: int
    kills: bool


# a process may die anywhere; asleep between gate and first byte it would send whenever it wakes, and nobody can tell
DEADLY = ("before_commit", "after_commit", "connected", "leaving", "answered")
SLEEPY = ("connected", "answered")


class Worker:
    """A function of the product in a thread of its own, until it is done, dead or asleep."""

    def __init__(self, app: Flask, work: Callable[[], object], fate: Fate | None) -> None:
        self.asleep = False
        self.dead = False
        self.fault: BaseException | None = None
        self._fate = fate
        self._met: dict[str, int] = {}
        self._open = 0  # transactions
        self._awake = threading.Event()
        self._changed = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=Context().run, args=(self._run, app, work))

    def go(self) -> None:
        """Run until the work is done, or the worker is dead or asleep. Raises what went wrong in it."""
        if self.asleep:
            self._changed.clear()
            self.asleep = False
            self._awake.set()
        else:
            self._thread.start()
        if not self._changed.wait(60):
            raise AssertionError("a worker hangs")
        if self.asleep:
            until(lambda: not self._open)  # what its other threads began is over before anything else happens
            return
        self._thread.join()
        if self.fault is not None:
            raise self.fault

    def _run(self, app: Flask, work: Callable[[], object]) -> None:
        WORKER.set(self)
        try:
            with app.app_context():
                work()
        except Killed:
            pass
        except BaseException as fault:  # noqa: BLE001 - raised by `go`
            self.fault = None if self.dead else fault
        finally:
            self._changed.set()

    def at(self, point: str) -> None:
        """Come to a point; raises Killed when this was the last one."""
        if point != "before_commit":  # who falls asleep holds no locks: its other thread ends what it began
            self.alive()
        with self._lock:
            if self.dead:
                raise Killed
            self._met[point] = self._met.get(point, 0) + 1
            if self._fate is None or (self._fate.point, self._fate.number) != (point, self._met[point]):
                return
            if self._fate.kills:
                self.dead = True
                raise Killed
            self.asleep = True
        self._changed.set()
        self.alive()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Open a transaction, once the worker is awake."""
        while True:
            self.alive()
            with self._lock:
                if not self.asleep:
                    self._open += 1
                    break
        try:
            yield
        finally:
            with self._lock:
                self._open -= 1

    def kill(self) -> None:
        """Kill a sleeper."""
        self.dead = True
        self.go()

    def alive(self) -> None:
        """Wait while the worker sleeps; raises Killed once it is dead."""
        if self.asleep:
            self._awake.wait()
        if self.dead:
            raise Killed


WORKER: ContextVar[Worker | None] = ContextVar("worker", default=None)


@contextmanager
def mortal_transaction(real: Callable[[], Any]) -> Iterator[Connection]:
    """Be `tenancy.transaction` for workers that may die before its commit or after it."""
    worker = WORKER.get()
    if worker is None:
        with real() as connection:
            yield connection
        return
    with worker.transaction(), real() as connection:
        yield connection
        worker.at("before_commit")
    worker.at("after_commit")


@dataclass(slots=True)
class Message:
    """One SMS in the carrier's ledger. `left_at` is when it left us; it can be looked up from `seen_from` on."""

    id: str
    tag: str
    to: str
    left_at: datetime
    at: datetime
    seen_from: datetime
    end: str = ""  # "", delivered, undelivered (for a cause that passes) or vacant

    def body(self) -> dict[str, Any]:
        words = {"": "none", "delivered": "received", "undelivered": "unconnected", "vacant": "error"}
        return {
            "object": "message",
            "id": self.id,
            "tags": [self.tag],
            "to": self.to,
            "result": "done" if self.end else "processing",
            "status": "done",
            "sent_result": words[self.end],
            "carrier": "au",
            "charged_count_per_sent": 1,
            "created_at": self.at.astimezone(TOKYO).isoformat(),
            "updated_at": self.at.astimezone(TOKYO).isoformat(),
        }


@dataclass
class Carrier:
    """The carrier, its ledger, and what it will do with the next requests."""

    clock: Clock
    app: Flask
    push: Callable[[bytes], None]
    settle_s: int
    timeout_s: int
    ledger: list[Message] = field(default_factory=list)  # with those to the company's own number
    under_way: list[Message] = field(default_factory=list)  # left us, not yet there
    behaviours: list[str] = field(default_factory=list)

    def answer(self, request: Request, left_at: datetime) -> Answer:
        """Answer a request as Karaden would, or not at all."""
        parts = urlsplit(request.url)
        path = parts.path.rstrip("/").split("/")
        if request.method == "POST":
            form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
            return self.create(form["tags[]"], form["to"], left_at)
        if path[-1] != "messages":
            found = [message for message in self._seen() if message.id == path[-1]]
            return _json(200, found[0].body()) if found else _json(404, {"object": "error", "code": "model_not_found"})
        wanted = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if "tag" in wanted:
            found = [message for message in self._seen() if message.tag == wanted["tag"]]
        else:
            start, end = (datetime.fromisoformat(wanted[name]) for name in ("start_at", "end_at"))
            found = [message for message in self._seen() if start <= message.at.replace(microsecond=0) <= end]
        data = [message.body() for message in found]
        return _json(200, {"object": "list", "has_more": False, "data": data})

    def create(self, tag: str, to: str, left_at: datetime) -> Answer:
        """Meet a send request as the next behaviour says."""
        how = self.behaviours.pop(0) if self.behaviours else "ok"
        if how in _NOT_TAKEN:
            return _NOT_TAKEN[how]
        now = self.clock.now
        message = Message(f"m-{len(self.ledger) + len(self.under_way)}", tag, to, left_at, now, now)
        if how in {"late", "unseen"}:
            # the longest that a request may be under way, or that an accepted message may be missing from look-ups
            message.seen_from = now + timedelta(seconds=self.timeout_s + self.settle_s - 1)
            if how == "late":
                message.at = message.seen_from
            (self.under_way if how == "late" else self.ledger).append(message)
            self.clock.ahead(seconds=self.timeout_s)
            return Failure(Reach.UNKNOWN, "timeout")
        self.ledger.append(message)
        if how == "slow":
            self.clock.ahead(seconds=3)
        if how == "vacant":
            message.end = "vacant"
        if how == "early_receipt":
            message.end = "delivered"
            Context().run(self.push, json.dumps(message.body()).encode())
        return _TAKEN.get(how) or _json(200, message.body())

    @property
    def to_people(self) -> list[Message]:
        """The messages that people of the list got."""
        return [message for message in self.ledger if not message.tag.endswith(".w")]

    def time_passed(self) -> None:
        """Let arrive what was under way until now."""
        arrived = [message for message in self.under_way if message.at <= self.clock.now]
        self.under_way = [message for message in self.under_way if message.at > self.clock.now]
        self.ledger += arrived

    def _seen(self) -> list[Message]:
        self.time_passed()
        return [message for message in self.ledger if message.seen_from <= self.clock.now]


def _json(status: int, value: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(status, headers or {}, json.dumps(value).encode())


# the carrier's words for what it does not take, and to what it takes without being able to say so
_NOT_TAKEN: dict[str, Answer] = {
    "never_left": Failure(Reach.NEVER_LEFT, "refused"),
    "429": _json(429, {}, {"retry-after": "7"}),
    "account": _json(401, {"object": "error", "code": "unauthentication"}),
    "refused": _json(422, {"object": "error", "code": "validation_error", "errors": {"to": ["?"]}}),
    "500": _json(500, {}),
    "reset": Failure(Reach.UNKNOWN, "reset"),
}
_TAKEN: dict[str, Answer] = {"500_accepted": _json(500, {}), "reset_accepted": Failure(Reach.UNKNOWN, "reset")}


class FakeEngine:
    """libcurl's `Engine`, one request after the other, to the carrier in this process."""

    carrier: Carrier

    def __init__(self, connections: int) -> None:
        del connections

    def __class_getitem__(cls, _key: object) -> type["FakeEngine"]:
        return cls

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def run(
        self,
        source: Iterator[tuple[Any, Request] | None],
        on_answer: Callable[[Any, Answer], None],
        *,
        may_connect: Callable[[Any], bool],
        may_send: Callable[[Any], bool],
        on_skipped: Callable[[Any], None],
    ) -> None:
        """Send what `source` gives."""
        worker = WORKER.get()
        for item in source:
            if item is None:
                time.sleep(0.001)
                continue
            key, request = item
            if not may_connect(key):
                on_skipped(key)
                continue
            if worker is not None:
                worker.at("connected")
            if not may_send(key):
                on_skipped(key)
                continue
            left_at = self.carrier.clock.now
            if worker is not None:
                worker.at("leaving")
            answer = self.carrier.answer(request, left_at)
            if worker is not None:
                worker.at("answered")
            on_answer(key, answer)


def fake_perform(request: Request, may_send: Callable[[], bool] | None = None) -> Answer:
    """Do one request, as `perform` does, to the carrier in this process."""
    got: list[Answer] = []
    with FakeEngine(1) as engine:
        engine.run(
            iter([(0, request)]),
            lambda _key, answer: got.append(answer),
            may_connect=lambda _key: True,
            may_send=lambda _key: may_send is None or may_send(),
            on_skipped=lambda _key: got.append(Failure(Reach.NEVER_LEFT, "held")),
        )
    return got[0]
