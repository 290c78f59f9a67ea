"""Of several schedulers one leads; another follows when it dies."""

import signal
import time
from collections.abc import Callable

import psycopg
import redis as redis_package

from app import queues
from dev.process import signal_tree
from jobs import scheduler
from tests.jobs.conftest import Program
from tests.launched import Job
from tests.waiting import until

Start = Callable[..., Program]
Launched = Callable[..., Job]


def leads(program: Program) -> bool:
    return "scheduler leads" in program.told()


def test_one_leads_and_another_follows_when_it_is_killed(launched: Launched, start: Start) -> None:
    launched(10)
    programs = [start("scheduler") for _ in range(3)]
    until(lambda: any(map(leads, programs)))
    until(lambda: queues.queue(queues.DELIVERY).count == 1)
    assert sum(map(leads, programs)) == 1
    leader, *others = sorted(programs, key=leads, reverse=True)
    until(lambda: all("scheduler stands by" in other.told() for other in others))
    leader.kill()
    until(lambda: any(map(leads, others)))
    assert sum(map(leads, others)) == 1
    for program in sorted(others, key=leads):  # first the one that waits
        assert program.end() == 0


def test_it_schedules_again_after_losing_its_session_or_redis(
    launched: Launched, start: Start, database: psycopg.Connection, redis: redis_package.Redis
) -> None:
    launched(10)
    program = start("scheduler")
    until(lambda: queues.queue(queues.DELIVERY).count == 1)
    redis.flushall()
    until(lambda: queues.queue(queues.DELIVERY).count == 1)
    ended = database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ).fetchall()
    assert ended
    redis.flushall()
    until(lambda: queues.queue(queues.DELIVERY).count == 1)
    assert program.told().count("scheduler leads") == 1, "its lease is its own through it all"
    assert program.end() == 0


def test_a_frozen_one_gives_way_and_does_nothing_more_when_it_wakes(
    launched: Launched, start: Start, redis: redis_package.Redis
) -> None:
    """kill -STOP, a machine's snapshot, a network that is gone: a session's lock once kept the reserve waiting."""
    launched(10)
    first = start("scheduler")
    until(lambda: leads(first))
    second = start("scheduler")
    until(lambda: "scheduler stands by" in second.told())
    signal_tree(first.process, signal.SIGSTOP)
    redis.flushall()
    frozen = time.monotonic()
    until(lambda: leads(second))
    assert time.monotonic() - frozen < scheduler.LEASE_S + 5
    until(lambda: queues.queue(queues.DELIVERY).count == 1)
    signal_tree(first.process, signal.SIGCONT)
    until(lambda: "scheduler lead lost" in first.told())
    assert '"put_back"' not in first.told().partition("scheduler lead lost")[2]
    assert first.told().count("scheduler leads") == 1
    assert (first.end(), second.end()) == (0, 0)
