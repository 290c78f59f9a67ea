"""Questions to a company's services, aside: where they take long, the worker goes on with other companies' jobs.

In: a job and its company. Out: what it does is done, or goes on in a thread of its own, one for a job and company and
few altogether. Can't happen here: a company whose service is slow that holds up another's receipts; work asked for
meanwhile that is forgotten (the job is put on its queue again at the end).
"""

import threading
from collections.abc import Callable

import structlog

from app import queues
from app.extensions import in_own_session
from app.process_state import process_state

# how long a worker waits for a job's end before it goes on with others, seconds
LONGEST_WAIT_S = 5.0
# so many go on aside at a time; the next one is waited for
MOST = 8

_Job = tuple[str, int]

_log = structlog.get_logger()


class _Aside:
    """The work that goes on aside in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: dict[_Job, threading.Thread] = {}
        self._again: set[_Job] = set()

    def run(self, job: str, tenant_id: int, act: Callable[[int], None]) -> None:
        """Do it, for at most LONGEST_WAIT_S in this thread's time.

        Raises what it raises until then.
        """
        key = (job, tenant_id)
        faults: list[Exception] = []
        left = threading.Event()

        def work() -> None:
            try:
                act(tenant_id)
            except Exception as fault:  # noqa: BLE001 - raised or logged below
                faults.append(fault)
                if left.is_set():
                    _log.error("slow query job failed", job=job, tenant_id=tenant_id, error=type(fault).__name__)
            finally:
                self._ended(key)

        with self._lock:
            if key in self._threads:
                self._again.add(key)
                return
            many = len(self._threads) >= MOST
            thread = self._threads[key] = threading.Thread(target=in_own_session(work), name=f"{job} aside")
            thread.start()
        thread.join(None if many else LONGEST_WAIT_S)
        left.set()
        if faults:
            raise faults[0]

    def _ended(self, key: _Job) -> None:
        with self._lock:
            del self._threads[key]
            again = key in self._again
            self._again.discard(key)
        if again:
            queues.enqueue(*key, once=True)

    def finish(self) -> None:
        """Wait for all of it: what asks looks up between two questions whether the process is to end."""
        with self._lock:
            threads = list(self._threads.values())
        for thread in threads:
            thread.join()


def run(job: str, tenant_id: int, act: Callable[[int], None]) -> None:
    """Do it, for at most LONGEST_WAIT_S in this thread's time.

    Raises what it raises until then.
    """
    process_state.of(_Aside).run(job, tenant_id, act)


def finish() -> None:
    """Wait for all that goes on aside."""
    process_state.of(_Aside).finish()
