"""A real program of the product that something befalls at one point of its way.

`python -m bench.fault_injection ACT POINT PASSES worker delivery` runs `flask --app wsgi worker delivery`, and at the
so many-th pass of the point kills its own process with -9 (`kill`), freezes it (`freeze`, SIGSTOP), or puts its clock
an hour ahead (`jump+1h`) or back (`jump-1h`) and goes on. The points are seen from outside the product, by what it
tells PostgreSQL and by the moment before a request's first byte: no line of the product knows of them.

| point | where |
|---|---|
| `leased` | the slice is leased, nobody is claimed |
| `claiming` | people are claimed, not committed |
| `claimed` | the claim is committed, no request has left |
| `sending` | requests have left, their answers are not recorded |
| `recording` | answers are recorded, not committed |
| `recorded` | the record is committed, the lease not given back |
| `telling` | a company's server took webhooks, their record is not committed |
| `told` | that record is committed |
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg
import time_machine
from flask.cli import main

from app.providers.curl import Engine

# the kind of a transaction, by a statement of it
_LEASE = "SET fence = fence + 1"
_CLAIM = "INSERT INTO send_log"
_RECORD = "UPDATE send_log"
_TELL = "INSERT INTO webhook_delivery"

JUMPED = "the clock has jumped"  # what a worker's log says of it
POINTS = ("leased", "claiming", "claimed", "sending", "recording", "recorded")
WEBHOOK_POINTS = ("telling", "told")

_statements: dict[int, set[str]] = {}  # of each connection's open transaction
_lock = threading.Lock()


class _Fate:
    """The fault, at which pass of which point."""

    def __init__(self, act: Callable[[], None], point: str, passes: int) -> None:
        self._act = act
        self._point = point
        self._left = passes

    def passes(self, point: str) -> None:
        """Count a pass."""
        if point != self._point:
            return
        with _lock:
            self._left -= 1
            now = self._left == 0
        if now:
            self._act()


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _freeze() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _jump(hours: int) -> None:
    """Put this process's wall clock wrong; what runs evenly (time.monotonic) goes on as it did."""
    time_machine.travel(datetime.now(UTC) + timedelta(hours=hours), tick=True).start()
    print(JUMPED, flush=True)


_ACTS: dict[str, Callable[[], None]] = {
    "kill": _kill,
    "freeze": _freeze,
    "jump+1h": partial(_jump, 1),
    "jump-1h": partial(_jump, -1),
}


def _watch_database(fate: _Fate) -> None:
    """Inform `fate` of what PostgreSQL is told."""
    execute, commit = psycopg.Cursor.execute, psycopg.Connection.commit

    def executing(cursor: Any, query: Any, *args: Any, **more: Any) -> Any:  # noqa: ANN401 - psycopg's own
        done = execute(cursor, query, *args, **more)
        for word in (_LEASE, _CLAIM, _RECORD, _TELL):
            if word in str(query):
                _statements.setdefault(id(cursor.connection), set()).add(word)
                fate.passes({_CLAIM: "claiming", _RECORD: "recording", _TELL: "telling"}.get(word, ""))
        return done

    def committing(connection: Any) -> None:  # noqa: ANN401 - psycopg's own
        commit(connection)
        for word in _statements.pop(id(connection), ()):
            fate.passes({_LEASE: "leased", _CLAIM: "claimed", _RECORD: "recorded", _TELL: "told"}[word])

    _replace(psycopg.Cursor, "execute", executing)
    _replace(psycopg.Connection, "commit", committing)


def _watch_requests(fate: _Fate) -> None:
    """Inform `fate` of each request, just before its first byte leaves."""
    run = Engine.run

    def running(engine: Any, source: Any, on_answer: Any, *, may_send: Any, **more: Any) -> None:  # noqa: ANN401
        def leaving(key: Any) -> bool:  # noqa: ANN401 - the engine's caller's
            may: bool = may_send(key)
            if may:
                fate.passes("sending")
            return may

        run(engine, source, on_answer, may_send=leaving, **more)

    _replace(Engine, "run", running)


def _replace(owner: type, name: str, function: object) -> None:
    setattr(owner, name, function)


if __name__ == "__main__":
    act, point, passes, *arguments = sys.argv[1:]
    if act not in _ACTS or point not in {*POINTS, *WEBHOOK_POINTS}:
        sys.exit(f"acts: {', '.join(_ACTS)}; points: {', '.join((*POINTS, *WEBHOOK_POINTS))}")
    its_fate = _Fate(_ACTS[act], point, int(passes))
    _watch_database(its_fate)
    _watch_requests(its_fate)
    sys.argv = ["flask", "--app", "wsgi", *arguments]
    main()
