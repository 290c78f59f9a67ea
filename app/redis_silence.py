"""Redis with little patience: a server that says nothing is left alone for a while by the whole process.

In: an address. Out: connections that give up after `wait_s`. Can't happen here: request after request that waits for a
Redis that is frozen or cut off. The first one waits, the others are told at once that it is away (a RedisError), and
every `REST_S` seconds one tries again. One that refuses costs nobody any time and is always asked. The caller decides
what to do without Redis: jobs are found by the sweep, limits are counted in the process's memory.
"""

import threading
import time
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import Connection, ConnectionPool
from redis.retry import Retry

# how long a silent server is left alone after each try, seconds
REST_S = 5.0


class Silence:
    """Whether a server said nothing when it was asked last; shared by all connections of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._silent = False
        self._try_at = 0.0

    def may_try(self) -> bool:
        """Return whether to ask: of a silent server one asks now and then, and the others don't wait for it."""
        if not self._silent:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self._try_at:
                return False
            self._try_at = now + REST_S
            return True

    def failed(self) -> None:
        """Note that no answer came."""
        with self._lock:
            self._silent = True
            self._try_at = time.monotonic() + REST_S

    def answered(self) -> None:
        """Note an answer."""
        self._silent = False


class _Watched:
    """The notes of a connection, of any kind, on its server."""

    silence: Silence

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc]
        except redis.TimeoutError:
            self.silence.failed()
            raise

    def read_response(self, *arguments: Any, **more: Any) -> Any:  # noqa: ANN401 - redis-py's own
        try:
            answer = super().read_response(*arguments, **more)  # type: ignore[misc]
        except redis.TimeoutError:
            self.silence.failed()
            raise
        self.silence.answered()
        return answer


class _Pool(ConnectionPool):
    """Asks before it hands out a connection, a kept one too."""

    silence: Silence

    def get_connection(self, *arguments: Any, **more: Any) -> Connection:  # noqa: ANN401 - redis-py's own
        if not self.silence.may_try():
            raise redis.ConnectionError("Redis said nothing a moment ago")
        return super().get_connection(*arguments, **more)


def pool(url: str, wait_s: float, silence: Silence, **more: Any) -> ConnectionPool:  # noqa: ANN401 - redis-py's own
    """Make a pool of connections that wait for `wait_s` at most, and try again at once where one had been dropped.

    `silence` is shared by all pools of the same server.
    """
    again = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
    made = _Pool.from_url(url, socket_connect_timeout=wait_s, socket_timeout=wait_s, retry=again, **more)
    made.silence = silence
    kind = made.connection_class
    made.connection_class = type(f"Watched{kind.__name__}", (_Watched, kind), {"silence": made.silence})
    return made
