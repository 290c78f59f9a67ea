"""Counts that many ask for and that take long: counted once for all, kept twenty times as long as it took.

So counting takes a twentieth of one processor at most, however many ask, and what is cheap is fresh. One at a time
counts; the others get the count before. Without Redis everybody counts.
"""

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

import redis
import structlog

from app.extensions import redis_client

_log = structlog.get_logger()

LASTS = 20  # times as long as it took to count
_KEPT_S = 86_400
_COUNTING_S = 60  # a count that takes longer is no longer waited for

T = TypeVar("T")


def shared(key: str, count: Callable[[], T], write: Callable[[T], Any], read: Callable[[Any], T]) -> T:
    """Return the latest count; a new one where that is too old.

    `write` makes plain values for JSON of it, `read` takes them back; what it can't read (KeyError, TypeError,
    ValueError), as another version may have written it, is counted anew. `key` names the tenant.
    """
    try:
        return _shared(f"todoke:count:{key}", count, write, read)
    except redis.RedisError:
        _log.warning("count cache unavailable", key=key)
        return count()


def _shared(key: str, count: Callable[[], T], write: Callable[[T], Any], read: Callable[[Any], T]) -> T:
    connection = redis_client.connection
    before = _read(cast("bytes | None", connection.get(key)), read)
    if before is not None and before[1] > time.time():
        return before[0]
    counting = f"{key}:counting"
    mine = bool(connection.set(counting, "1", nx=True, ex=_COUNTING_S))
    if not mine and before is not None:
        return before[0]
    began = time.monotonic()
    try:
        found = count()
        until = time.time() + (time.monotonic() - began) * LASTS
        connection.set(key, json.dumps({"until": until, "told": write(found)}), ex=_KEPT_S)
    finally:
        if mine:
            connection.delete(counting)
    return found


def _read(stored: bytes | None, read: Callable[[Any], T]) -> tuple[T, float] | None:
    try:
        kept = json.loads(stored or "")
        return read(kept["told"]), float(kept["until"])
    except (KeyError, TypeError, ValueError):
        return None
