"""Wait for what happens by itself: in another thread, in another process, or because a time is over.

A test doesn't ask a thread before it has spoken, and doesn't sleep and hope: it waits for the condition.
"""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

# longer than anything takes on a machine that is busy with other things: only a test that fails waits for so long
LONGEST_WAIT_S = 120.0
_LOOKS_S = (0.005, 0.1)  # at first, and when it takes a while


def until(condition: Callable[[], Found], what: str = "it", limit_s: float = LONGEST_WAIT_S) -> Found:
    """Wait until `condition()` is true and return what it returned."""
    deadline = time.monotonic() + limit_s
    pause_s, longest_s = _LOOKS_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {limit_s:.0f} s: {what}"
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, longest_s)
    return found
