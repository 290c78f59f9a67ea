"""When a delivery that failed is tried again, when it is given up, and how an endpoint that fails is looked at."""

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

# After each try that failed, the pause before the next one, seconds; after the last the delivery is given up. With the
# first try that is at 0, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h.
PAUSES_S: Final[Sequence[float]] = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
MOST_TRIES: Final = len(PAUSES_S) + 1

# An endpoint that failed so often in a row, with no delivery between, gets one delivery at a time until one arrives.
FAILING_AFTER: Final = 5
_PROBE_FIRST_S: Final = 5.0
_PROBE_LONGEST_S: Final = 300.0
# one that failed for so long rests until a manager says so
RESTS_AFTER: Final = timedelta(days=5)

# a receiver that asks for more has made a mistake
_LONGEST_WISH_S: Final = 3600.0
_JITTER: Final = 0.2


def pause_s(tries: int) -> float | None:
    """Return how long a delivery waits after its `tries`th try, seconds; None where it is given up."""
    return None if tries >= MOST_TRIES else _jittered(PAUSES_S[tries - 1])


def probe_pause_s(failures: int) -> float:
    """Return how long an endpoint is left alone after so many failures in a row, seconds."""
    return _jittered(min(_PROBE_FIRST_S * 2 ** min(failures - FAILING_AFTER, 10), _PROBE_LONGEST_S))


def wish_s(retry_after_s: float | None) -> float:
    """Return for how long a receiver wishes to be left alone, seconds; no longer than makes sense."""
    return min(retry_after_s or 0.0, _LONGEST_WISH_S)


def _jittered(seconds: float) -> float:
    """Return up to a fifth more, never less: receivers that came back are not asked by all at once."""
    return seconds * (1 + random.uniform(0, _JITTER))  # noqa: S311 - spreads load, keeps no secret
