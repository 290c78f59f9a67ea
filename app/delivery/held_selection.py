"""Which held people a manager's word is about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Chosen:
    """Held people as a manager saw them: `ids`, or all of a reason, who were held by `at`."""

    at: datetime
    reason: str | None = None
    ids: Sequence[int] | None = None
