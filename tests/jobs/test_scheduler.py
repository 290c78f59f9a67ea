"""Of several schedulers one leads; another follows when it dies."""

from collections.abc import Callable

import psycopg
import redis as redis_package

from app import queues
from tests.jobs.conftest import Program
from tests.launched import Job

Start = Callable[..., Program]
Until = Callable[..., None]
Launched = Callable[..., Job]


def leads(program: Program) -> bool:
    return "scheduler leads" in program.told()


def test_one_leads_and_another_follows_when_it_is_killed(launched: Launched, start: Start, until: Until) -> None:
    launched(10)
    programs = [start("scheduler") for _ in range(3)]
    until(lambda: any(map(leads, programs)))
    until(lambda: queues.queue(queues.DELIVERY).count == 1)
    assert sum(map(leads, programs)) == 1
    leader, *others = sorted(programs, key=leads, reverse=True)
    until(lambda: all("scheduler waits" in other.told() for other in others))
    leader.kill()
    until(lambda: any(map(leads, others)))
    assert sum(map(leads, others)) == 1
    for program in sorted(others, key=leads):  # first the one that waits
        assert program.end() == 0


def test_it_schedules_again_after_losing_its_session_or_redis(
    launched: Launched, start: Start, until: Until, database: psycopg.Connection, redis: redis_package.Redis
) -> None:
    launched(10)
    program = start("scheduler")
    until(lambda: queues.queue(queues.DELIVERY).count == 1)
    redis.flushall()
    until(lambda: queues.queue(queues.DELIVERY).count == 1)
    ended = database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7230002 AND granted"
    ).fetchall()
    assert ended == [(True,)]
    until(lambda: program.told().count("scheduler leads") == 2)
    redis.flushall()
    until(lambda: queues.queue(queues.DELIVERY).count == 1)
    assert program.end() == 0
