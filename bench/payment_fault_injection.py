"""The web server and the tracking worker, dying -9 again and again between what a payment provider did and our commit.

`granian bench.payment_fault_injection:app` serves the product, `python -m bench.payment_fault_injection worker
tracking` is the worker. Each life ends at its so many-th pass of the point: the provider opened a page, or said that
the money came; our record of it is written and not committed. The point is seen by what PostgreSQL is told: no line of
the product knows of it.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import psycopg
from flask.cli import main

# how many passes a life has
PASSES = int(os.environ.get("DRILL_PASSES", "60"))
_DEEDS = ("UPDATE payment SET provider_id = ", "UPDATE payment SET state = %(to)s")

_deeds: set[int] = set()  # connections with an uncommitted deed
_lock = threading.Lock()
_left = [PASSES]


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Serve the product until the end of this life."""
    answer: Iterable[bytes] = _product()(environ, start_response)
    return answer


@cache
def _product() -> Any:  # noqa: ANN401 - a WSGI application
    watch()
    from wsgi import app as product  # noqa: PLC0415 - after the watch begins

    return product


def watch() -> None:
    """Watch what PostgreSQL is told from now on."""
    execute, commit = psycopg.Cursor.execute, psycopg.Connection.commit

    def executing(cursor: Any, query: Any, *args: Any, **more: Any) -> Any:  # noqa: ANN401 - psycopg's own
        if str(query).lstrip().startswith(_DEEDS):
            _deeds.add(id(cursor.connection))
        return execute(cursor, query, *args, **more)

    def committing(connection: Any) -> None:  # noqa: ANN401 - psycopg's own
        if id(connection) in _deeds:
            _deeds.discard(id(connection))
            _pass()
        commit(connection)

    setattr(psycopg.Cursor, "execute", executing)  # noqa: B010 - a method replaced on purpose
    setattr(psycopg.Connection, "commit", committing)  # noqa: B010 - the same


def _pass() -> None:
    with _lock:
        _left[0] -= 1
        over = _left[0] == 0
    if over:
        # the parent first: nothing is left that could tidy up
        for process_id in {os.getsid(0), os.getpid()} - {os.getpid()}:
            os.kill(process_id, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    watch()
    sys.argv = ["flask", "--app", "wsgi", *sys.argv[1:]]
    main()
