"""Whose turn it is: a worker serves one slice for a bounded turn, then whoever waited longest, as long as any is due.

So a campaign of ten people waits for one turn of a campaign of a million, not for its end. One job wakes one worker;
a worker that finds more than it can do wakes another.
"""

import time

from app import queues, tenancy
from app.delivery import sending, slices, stopping

# A job ends after so long, seconds, and another goes on: RQ counts jobs, not turns, as signs of life.
_SHIFT_S = 30.0


def serve() -> None:
    """Serve one turn after the other until nothing is due, the shift is over, or the process is asked to end."""
    ends = time.monotonic() + _SHIFT_S
    while not stopping.asked.is_set() and take():
        if time.monotonic() >= ends:
            queues.enqueue("jobs.delivery.send", once=True)
            return


def take() -> bool:
    """Serve the slice whose turn it is; say whether there was one. No scope may be open."""
    with tenancy.platform():
        held = slices.lease()
        if held is None:
            return False
        with tenancy.transaction() as connection:
            more = slices.due(connection)
    if more:
        queues.enqueue("jobs.delivery.send", once=True)
    with tenancy.tenant(held.tenant_id):
        sending.serve(held)
    return True
