"""State of this process that changes while it runs: one object holds all of it.

In: a class that a room declares for its own part. Out: this process's one instance of it, made when it is first asked
for. Can't happen here: a part of an earlier application that a later one in the same process goes on with.
`python -m dev.lint` names state that is kept anywhere else in a module.
"""

import threading
from typing import Any, TypeVar

T = TypeVar("T")


class ProcessState:
    """The parts, by their classes."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._parts: dict[type[Any], Any] = {}

    def of(self, kind: type[T]) -> T:
        """Return this process's part of a kind; its class is called without arguments, once."""
        part: T | None = self._parts.get(kind)
        if part is None:
            with self._lock:
                part = self._parts.get(kind)
                if part is None:
                    part = self._parts[kind] = kind()
        return part

    def forget(self, kind: type[Any]) -> None:
        """Drop a part: the next one to ask for it gets a new one."""
        with self._lock:
            self._parts.pop(kind, None)

    def begin_anew(self) -> None:
        """Drop all parts, and `close` those that keep something open; `create_app` does it before anything else."""
        with self._lock:
            parts, self._parts = self._parts, {}
        for part in parts.values():
            close = getattr(part, "close", None)
            if close is not None:
                close()


process_state = ProcessState()
