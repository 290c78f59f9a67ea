"""How long a job goes on before others have their turn.

In: seconds. Out: whether they are over, by this machine's steady clock. Can't happen here: a job that keeps a
worker for as long as there is work. It ends at the next step once its budget is spent, and whoever begins the next one
(the job itself, or the sweep) puts it behind all that waits.
"""

import math
import time

# RQ counts jobs, not what is done in one, as signs of life of a worker
SHIFT_S = 30.0
# for jobs on queues on which somebody waits for an answer
SHORT_SHIFT_S = 10.0


class WorkBudget:
    """So many seconds from now on; without a number as many as it takes."""

    __slots__ = ("_ends_at",)

    def __init__(self, seconds: float = math.inf) -> None:
        self._ends_at = time.monotonic() + seconds

    @property
    def is_spent(self) -> bool:
        """Whether its time is over."""
        return time.monotonic() >= self._ends_at

    @property
    def left_s(self) -> float:
        """The seconds that are left of it; below 0 once it is spent: by how much."""
        return self._ends_at - time.monotonic()
