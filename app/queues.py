"""The RQ queues: what they are called, what runs on them, and how a job gets there.

A job carries ids and nothing else; the database is the truth. Losing a job, or all of Redis, loses time: the sweep
puts back whatever the database says is due, and a job that comes twice finds nothing left to do. Jobs are named by
text, so that the domain imports no door.
"""

import structlog
from redis.exceptions import RedisError
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from app.extensions import redis_client

INTAKE = "intake"
DELIVERY = "delivery"
TRACKING = "tracking"
NAMES = (INTAKE, DELIVERY, TRACKING)

# job -> (queue, limit in seconds)
JOBS: dict[str, tuple[str, int]] = {
    "jobs.intake.run_import": (INTAKE, 4 * 3600),
    "jobs.intake.count_hidden_rows": (INTAKE, 4 * 3600),
    "jobs.intake.rehearse": (INTAKE, 3600),
    # not beside receipts: a long file must not hold those up
    "jobs.tracking.make_export": (INTAKE, 3600),
    "jobs.tracking.order_daily": (INTAKE, 600),
    "jobs.campaigns.start": (TRACKING, 3600),
    "jobs.campaigns.wave": (TRACKING, 600),
    "jobs.delivery.send": (DELIVERY, 600),
    "jobs.delivery.reconcile": (TRACKING, 3600),
    "jobs.delivery.poll": (TRACKING, 600),
    "jobs.tracking.apply_receipts": (TRACKING, 3600),
    "jobs.tracking.expire_links": (TRACKING, 600),
    "jobs.payments.ask": (TRACKING, 600),
    # beside imports, not beside receipts: a large contract's night asks for long
    "jobs.payments.reconcile_day": (INTAKE, 3600),
}

# how long a promise "this job is waiting" holds if the job is lost, seconds
_PROMISE_S = 15

_log = structlog.get_logger()


def queue(name: str) -> Queue:
    """Give a queue."""
    return Queue(name, connection=redis_client.connection, serializer=JSONSerializer)


def enqueue(job: str, *ids: int, once: bool = False) -> bool:
    """Put a job on its queue, after the commit that makes it due; say whether it was put there.

    With `once`, nothing is put there while the same job waits: the job calls `begun` before it looks for work. With
    Redis away it is only logged: the sweep puts the job back when Redis returns.
    """
    name, limit = JOBS[job]
    try:
        if once and not redis_client.connection.set(_promise(job, ids), "1", nx=True, ex=_PROMISE_S):
            return False
        queue(name).enqueue(job, args=ids, job_timeout=limit, result_ttl=0, failure_ttl=86400)
    except RedisError as error:
        _log.warning("job not enqueued, the sweep will", job=job, error=type(error).__name__)
        return False
    return True


def begun(job: str, *ids: int) -> None:
    """Say that a job put there `once` runs now: what is committed from here on needs another."""
    redis_client.connection.delete(_promise(job, ids))


def waiting(job: str) -> set[tuple[int, ...]]:
    """Give the arguments of the jobs of this name that wait on their queue, so that a sweep doubles none."""
    target = queue(JOBS[job][0])
    found = Job.fetch_many(target.get_job_ids(), connection=target.connection, serializer=JSONSerializer)
    return {tuple(item.args) for item in found if item is not None and item.func_name == job}


def _promise(job: str, ids: tuple[int, ...]) -> str:
    return f"todoke:waiting:{job}:{','.join(map(str, ids))}"
