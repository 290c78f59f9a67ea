"""The sweep: whatever the database says is due and no queue holds is put back on its queue."""

import structlog

from app import queues, tenancy
from app.delivery import due

_log = structlog.get_logger()


def sweep() -> None:
    """Rebuild the queues: after lost jobs, killed workers, an emptied Redis. Twice is harmless."""
    with tenancy.platform():
        for job, wanted in due.work():
            missing = sorted(set(wanted) - queues.waiting(job))
            for ids in missing:
                queues.enqueue(job, *ids)
            if missing:
                _log.info("sweep", job=job, put_back=len(missing))
