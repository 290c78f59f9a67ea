"""A worker: one process on exactly one queue.

On one queue RQ moves a job to its own list in the same step in which it takes it (LMOVE), so a crash in between loses
nothing. Jobs run in the worker's own process: a fork and its imports for each would cost more than most jobs do, and a
killed worker leaves no orphan behind that goes on sending. All that RQ could still lose, the sweep puts back.

When an SMS may leave is read off this machine's clock, so a worker whose clock is wrong begins no job.
"""

import gc
import os
import time
from contextlib import suppress
from pathlib import Path

import structlog
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app import queues, tenancy
from app.config import settings
from app.delivery import shutdown
from app.extensions import redis_client
from app.queues import NamedJob
from jobs import slow_queries

# how often a worker shows that it lives, and how often RQ looks for jobs of those that don't; seconds
_WORKER_TTL_S = 30
_MAINTENANCE_S = 30
# how long it waits between tries to reach Redis; seconds
_RECONNECT_S = 2.0
_LONGEST_WAIT_S = 5.0
# how much this machine's clock and the database's may differ, and how often a wrong one is looked at again; seconds.
# By so much an SMS may leave after the hours have ended.
_CLOCKS_DIFFER_S = 5.0
_CLOCK_WAIT_S = 5.0
# how many objects more than before there must be for a look for cycles among them
_COLLECT_EVERY = 20_000
_AUTOGROUP = Path("/proc/self/autogroup")

_log = structlog.get_logger()


class Worker(SimpleWorker):
    """RQ's worker with our way to stop, and with the job's id on each log line."""

    max_connection_wait_time = _LONGEST_WAIT_S

    def handle_warm_shutdown_request(self) -> None:
        """Let the job in progress leave off at its next message, instead of running to its end."""
        shutdown.ask()

    def perform_job(self, job: Job, queue: Queue, execution: Execution) -> bool:
        """Run one job of ours, once this machine's clock is right.

        One that is not the product's fails, and nothing of it is imported.
        """
        if (fault := _fault(job)) is not None:
            _log.error("foreign job refused", queue=queue.name, reason=fault)
            return super().perform_job(job, queue, execution)
        while _clock_is_wrong() and not shutdown.wait(_CLOCK_WAIT_S):
            pass
        if shutdown.is_asked():
            self._put_back(job, queue, execution)
            return False
        with structlog.contextvars.bound_contextvars(job=job.func_name, job_id=job.id):
            return super().perform_job(job, queue, execution)

    def _put_back(self, job: Job, queue: Queue, execution: Execution) -> None:
        """Leave a job that was taken and not begun to the next worker."""
        with self.connection.pipeline() as pipeline:
            self.cleanup_execution(job, pipeline, execution)
            pipeline.lrem(queue.intermediate_queue_key, 1, job.id)
            queue.push_job_id(job.id, pipeline=pipeline, at_front=True)
            pipeline.execute()


def _fault(job: Job) -> str | None:
    return job.fault() if isinstance(job, NamedJob) else "class"


def _clock_is_wrong() -> bool:
    """Hold this machine's clock against the database's."""
    try:
        with tenancy.platform(), tenancy.transaction() as connection:
            off_s = time.time() - float(connection.execute(text("SELECT extract(epoch FROM now())")).scalar_one())
    except SQLAlchemyError:
        return False  # the job itself will say that the database is away
    if abs(off_s) <= _CLOCKS_DIFFER_S:
        return False
    _log.error("worker stopped: clock differs from database", seconds=round(off_s))
    return True


def yield_processor(queue_name: str) -> None:
    """Let pages and receipts have the processor first, where this process takes lists in, makes files or sends.

    Linux weighs whole sessions where it groups them (sched(7), "The autogroup feature"): there a process's own niceness
    says nothing beside other programs, and the session's is set, if this process leads it.
    """
    by = settings().worker_nice
    if queue_name == queues.TRACKING or not by:
        return
    os.nice(by)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):
            _AUTOGROUP.write_text(str(by), encoding="ascii")


def run(queue_name: str) -> None:
    """Work on a queue until SIGTERM or SIGINT, through any absence of Redis.

    An application context must be pushed.
    """
    # objects that stand now stand until the end, and messages make no cycles: to look for some took a tenth of the time
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY, *gc.get_threshold()[1:])
    shutdown.forget()
    while not shutdown.is_asked():
        try:
            worker = Worker(
                [queues.queue(queue_name)],
                connection=redis_client.connection,
                serializer=JSONSerializer,
                job_class=NamedJob,
                worker_ttl=_WORKER_TTL_S,
                maintenance_interval=_MAINTENANCE_S,
                log_job_description=False,
            )
            worker.work(logging_level="WARNING")
        except RedisError as error:
            _log.warning("redis unavailable", error=type(error).__name__)
        if not shutdown.is_asked():
            time.sleep(_RECONNECT_S)
    slow_queries.finish()
