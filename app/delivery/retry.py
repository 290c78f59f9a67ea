"""When a message that provably did not get in is tried again, and when a slice had better stop trying for a while."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.sms.base import Outcome, OutcomeKind

# A message is given up only after this many tries and this long: "later" is never the message's own fault, and a
# provider's bad quarter of an hour must not cost anybody the SMS.
MAX_TRIES = 5
GIVE_UP_AFTER = timedelta(hours=1)

_FIRST_PAUSE_S = 30.0
_LONGEST_PAUSE_S = 900.0
_LONGEST_WISH_S = 3600.0  # a provider that asks for more has made a mistake
_ACCOUNT_PAUSE_S = 300.0  # a person has to mend it first
_IN_A_ROW = 20  # so many without a clear yes or no between them: the provider takes nothing at the moment


def give_up(tries: int, first_at: datetime, now: datetime) -> bool:
    """Say whether a message that was tried `tries` times since `first_at` is tried no more."""
    return tries >= MAX_TRIES and now - first_at >= GIVE_UP_AFTER


def pause_s(tries: int, retry_after_s: float | None = None) -> float:
    """Say how long to wait after the `tries`th try (1 or more), seconds: full jitter, no less than was asked for."""
    limit = min(_FIRST_PAUSE_S * 2 ** min(tries - 1, 10), _LONGEST_PAUSE_S)
    jitter = random.uniform(0, limit)  # noqa: S311 - spreads load, keeps no secret
    return max(jitter, min(retry_after_s or 0.0, _LONGEST_WISH_S))


@dataclass(slots=True)
class Breaker:
    """Watches the answers of one slice; `open` once going on would only collect refusals and unknowns.

    `pause_s` says for how long, seconds.
    """

    open: bool = False
    account_fault: bool = False
    pause_s: float = 0.0
    _in_a_row: int = 0

    def saw(self, outcome: Outcome) -> None:
        """Take note of one outcome."""
        if outcome.kind in {OutcomeKind.ACCEPTED, OutcomeKind.REFUSED}:
            self._in_a_row = 0
            return
        self._in_a_row += 1
        if outcome.account_fault:
            self.open = self.account_fault = True
            self.pause_s = _ACCOUNT_PAUSE_S
        elif self._in_a_row >= _IN_A_ROW:
            self.open = True
            self.pause_s = max(self.pause_s, pause_s(1, outcome.retry_after_s))
