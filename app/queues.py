"""The RQ queues: what they are called, what runs on them, and how a job gets there.

A job carries ids and nothing else; the database is the truth. Losing a job, or all of Redis, loses time: the sweep
puts back whatever the database says is due, and a job that comes twice finds nothing left to do. Jobs are named by
text, so that the domain imports no door.
"""

import threading
import time
from typing import Any

import structlog
from redis.exceptions import RedisError
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from app.extensions import redis_client
from app.process_state import process_state

INTAKE = "intake"
DELIVERY = "delivery"
TRACKING = "tracking"
WEBHOOKS = "webhooks"
NAMES = (INTAKE, DELIVERY, TRACKING, WEBHOOKS)

# job -> (queue, limit in seconds)
JOBS: dict[str, tuple[str, int]] = {
    "jobs.intake.run_import": (INTAKE, 4 * 3600),
    "jobs.intake.look_through": (INTAKE, 4 * 3600),
    "jobs.campaigns.preflight": (INTAKE, 3600),
    "jobs.intake.replace_rows": (INTAKE, 3600),
    # not beside receipts: a long file must not hold those up
    "jobs.exports.make_export": (INTAKE, 3600),
    "jobs.exports.order_daily": (INTAKE, 600),
    "jobs.campaigns.start": (TRACKING, 3600),
    "jobs.campaigns.run_bulk_operation": (TRACKING, 600),
    "jobs.delivery.send": (DELIVERY, 600),
    "jobs.outcomes.reconcile": (TRACKING, 3600),
    "jobs.outcomes.poll": (TRACKING, 600),
    "jobs.setback.look": (TRACKING, 3600),
    "jobs.restore.ask_account": (INTAKE, 3600),  # it waits between two readings: not beside receipts
    "jobs.outcomes.apply_receipts": (TRACKING, 3600),
    "jobs.delivery.expire_links": (TRACKING, 600),
    "jobs.payments.ask": (TRACKING, 600),
    # beside imports, not beside receipts: a large contract's night asks for long
    "jobs.payments.reconcile_day": (INTAKE, 3600),
    # a million people take seconds: not beside receipts
    "jobs.reports.recount": (INTAKE, 3600),
    # one job serves all endpoints for a while; receivers that don't answer delay no receipt
    "jobs.webhooks.deliver": (WEBHOOKS, 1800),
    "jobs.webhooks.forget": (INTAKE, 3600),
}


class JobRefused(Exception):  # noqa: N818 - it says what was done
    """A job in Redis that is not one of the product's, in one word for logs."""


class NamedJob(Job):
    """A job as `enqueue` writes it: one of `JOBS`, with whole numbers, and nothing else that Redis may say of it.

    Whoever can write to Redis could else have any function called by its name, a callback's too, or any address asked.
    """

    def restore(self, raw_data: Any) -> Any:  # noqa: ANN401 - RQ's own
        """Read it; what would lead elsewhere is left where it is."""
        restored = super().restore(raw_data)
        self._success_callback_name = self._failure_callback_name = self._stopped_callback_name = None
        self.webhooks = []
        return restored

    @property
    def func(self) -> Any:  # noqa: ANN401 - RQ's own
        """Return the function. Raises JobRefused, before anything is imported."""
        if (fault := self.fault()) is not None:
            raise JobRefused(fault)
        return super().func

    def fault(self) -> str | None:
        """Return what is not as `enqueue` writes it, None where all is."""
        try:
            name, instance, args, kwargs = self.func_name, self.instance, self.args, self.kwargs
        except Exception:  # noqa: BLE001 - whatever it is, it is no job of ours
            return "unreadable"
        if not isinstance(name, str) or name not in JOBS or JOBS[name][0] != self.origin:
            return "name"
        plain = isinstance(args, list | tuple) and all(type(value) is int for value in args)  # type: ignore[redundant-expr]
        if instance is not None or kwargs or not plain:
            return "arguments"
        self.timeout = JOBS[name][1]
        return None


# how long a promise "this job is waiting" holds if the job is lost, seconds
_PROMISE_S = 15

# how often at most a process offers the same job, seconds
OFFER_S = 0.2

_log = structlog.get_logger()


class _Offers:
    """Jobs that a thread puts on their queues soon, each once however often it was asked for meanwhile."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: set[tuple[str, tuple[int, ...]]] = set()
        self._at_work: threading.Thread | None = None

    def add(self, job: str, ids: tuple[int, ...]) -> None:
        with self._lock:
            self._wanted.add((job, ids))
            if self._at_work is not None:
                return
            # a daemon: what it still has at the process's end is the sweep's
            self._at_work = threading.Thread(target=self._work, daemon=True, name="offers")
            self._at_work.start()

    def finish(self) -> None:
        """Wait until everything that was asked for is on its queue."""
        with self._lock:
            at_work = self._at_work
        if at_work is not None:
            at_work.join()

    def _work(self) -> None:
        while wanted := self._take():
            for job, ids in sorted(wanted):
                try:
                    enqueue(job, *ids, once=True)
                except Exception:  # noqa: BLE001 - the others' jobs and the next ones must not wait for it
                    _log.exception("job not enqueued", job=job)
            time.sleep(OFFER_S)

    def _take(self) -> set[tuple[str, tuple[int, ...]]]:
        with self._lock:
            wanted, self._wanted = self._wanted, set()
            if not wanted:
                self._at_work = None
            return wanted


def queue(name: str) -> Queue:
    """Return a queue."""
    return Queue(name, connection=redis_client.connection, serializer=JSONSerializer, job_class=NamedJob)


def enqueue(job: str, *ids: int, once: bool = False) -> bool:
    """Put a job on its queue, after the commit that makes it due.

    Returns whether it was put there.

    With `once`, nothing is put there while the same job waits: the job calls `begun` before it looks for work. With
    Redis away it is only logged: the sweep puts the job back when Redis returns.
    """
    name, limit = JOBS[job]
    try:
        if once and not redis_client.connection.set(_promise(job, ids), "1", nx=True, ex=_PROMISE_S):
            return False
        queue(name).enqueue(job, args=ids, job_timeout=limit, result_ttl=0, failure_ttl=86400)
    except RedisError as error:
        _log.warning("job not enqueued", job=job, error=type(error).__name__)
        return False
    return True


def offer(job: str, *ids: int) -> None:
    """Have a job put on its queue `once` in a moment, after the commit that makes it due; nobody waits for Redis."""
    process_state.of(_Offers).add(job, ids)


def finish_offers() -> None:
    """Wait until every job that was offered is on its queue, or is left to the sweep."""
    process_state.of(_Offers).finish()


def begun(job: str, *ids: int) -> None:
    """Mark that a job put there `once` runs now: what is committed from here on needs another."""
    redis_client.connection.delete(_promise(job, ids))


def waiting(job: str) -> set[tuple[int, ...]]:
    """Return the arguments of the jobs of this name that wait on their queue, so that a sweep doubles none."""
    target = queue(JOBS[job][0])
    found = NamedJob.fetch_many(target.get_job_ids(), connection=target.connection, serializer=JSONSerializer)
    ours = (item for item in found if isinstance(item, NamedJob) and item.fault() is None)
    return {tuple(item.args) for item in ours if item.func_name == job}


def _promise(job: str, ids: tuple[int, ...]) -> str:
    return f"todoke:waiting:{job}:{','.join(map(str, ids))}"
