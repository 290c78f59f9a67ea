"""The sweep: whatever the database says is due and no queue holds is put back on its queue."""

from collections.abc import Callable, Iterable

import structlog

from app import queues, tenancy
from app.api_access import upkeep
from app.delivery import failover
from app.event_feed import holders
from app.exports import export_jobs
from app.outcomes import refused_receipts
from app.reports import totals_upkeep
from app.setback import doubt
from jobs import due

_log = structlog.get_logger()


def sweep(go_on: Callable[[], object] = lambda: None) -> None:
    """Rebuild the queues: after lost jobs, killed workers, an emptied Redis.

    Twice is harmless.

    `go_on` is called before each step and raises where no further one may be done.
    """
    with tenancy.platform():
        go_on()
        doubt.watch(alive=True)
        failover.review()
        refused_receipts.watch()
        export_jobs.expire()
        upkeep.forget()
        holders.watch()
        _put_back(due.work(), go_on)
        go_on()
        totals_upkeep.fold()


def watch(go_on: Callable[[], object] = lambda: None) -> None:
    """Rebuild what can't wait for the next sweep, and fold totals together: it takes a few milliseconds."""
    with tenancy.platform():
        doubt.watch(alive=False)
        failover.review()
        refused_receipts.watch()
        _put_back(due.urgent(), go_on)
        go_on()
        totals_upkeep.fold()


def _put_back(work: Iterable[tuple[str, list[tuple[int, ...]]]], go_on: Callable[[], object]) -> None:
    for job, wanted in work:
        go_on()
        missing = sorted(set(wanted) - queues.waiting(job)) if wanted else []
        for ids in missing:
            queues.enqueue(job, *ids)
        if missing:
            _log.info("sweep put jobs back", job=job, put_back=len(missing))
