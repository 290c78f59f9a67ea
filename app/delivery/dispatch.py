"""Take turns: a worker serves one slice for a bounded time, then the one that waited longest, while any is due.

So a campaign of ten people waits for one turn of a campaign of a million, not for its end. One job wakes one worker;
a worker that finds more than it can do wakes another.
"""

from collections.abc import Sequence

from app import queues, tenancy
from app.delivery import leases, shutdown, worker
from app.delivery.leases import SliceLease
from app.setback import doubt
from app.work_budget import SHIFT_S, WorkBudget


def serve(*, shift_s: float = SHIFT_S) -> None:
    """Serve one turn after the other until nothing is due, `shift_s` are over, or the process is asked to end."""
    budget = WorkBudget(shift_s)
    if not _clear():
        return

    def next_lease(full: Sequence[int]) -> SliceLease | None:
        return None if shutdown.is_asked() or doubt.has_arisen() else _lease(full)

    worker.serve(next_lease, budget)
    if budget.is_spent:
        queues.enqueue("jobs.delivery.send", once=True)


def take() -> bool:
    """Serve the slice whose turn it is; return whether there was one.

    No scope may be open.
    """
    taken: list[SliceLease | None] = []
    if not _clear():
        return False

    def next_lease(full: Sequence[int]) -> SliceLease | None:
        if taken:
            return None
        taken.append(_lease(full))
        return taken[0]

    worker.serve(next_lease)
    return taken[0] is not None


def _clear() -> bool:
    """Return whether the database is as the world outside knows it; each claim looks again."""
    with tenancy.platform():
        return doubt.may_send()


def _lease(full: Sequence[int]) -> SliceLease | None:
    """Lease the slice whose turn it is, of no account in `full`; where more is due, another worker is woken."""
    with tenancy.platform():
        lease = leases.take_next(full)
        if lease is None:
            return None
        with tenancy.transaction() as connection:
            more = leases.due(connection)
    if more:
        queues.enqueue("jobs.delivery.send", once=True)
    return lease
