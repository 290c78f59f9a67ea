"""When a message that provably did not get in is tried again, and when it is given up."""

import random
from datetime import datetime, timedelta

# A message is given up only after this many tries and this long: "later" is never the message's own fault, and a
# provider's bad quarter of an hour must not cost anybody the SMS.
MAX_TRIES = 5
GIVE_UP_AFTER = timedelta(hours=1)

_FIRST_PAUSE_S = 30.0
# A provider that is back is used again within a minute: the breaker tries it with one message, which is no load.
_LONGEST_PAUSE_S = 60.0
_LONGEST_WISH_S = 3600.0  # a provider that asks for more has made a mistake


def give_up(tries: int, first_at: datetime, now: datetime) -> bool:
    """Return whether a message that was tried `tries` times since `first_at` is tried no more."""
    return tries >= MAX_TRIES and now - first_at >= GIVE_UP_AFTER


def wish_s(retry_after_s: float | None) -> float:
    """Return for how long a provider wishes for no more messages, seconds; no longer than makes sense."""
    return min(retry_after_s or 0.0, _LONGEST_WISH_S)


def pause_s(tries: int, retry_after_s: float | None = None) -> float:
    """Return how long to wait after the `tries`th try (1 or more), seconds: full jitter, no less than was asked for."""
    limit = min(_FIRST_PAUSE_S * 2 ** min(tries - 1, 10), _LONGEST_PAUSE_S)
    jitter = random.uniform(0, limit)  # noqa: S311 - spreads load, keeps no secret
    return max(jitter, wish_s(retry_after_s))
