"""Eight writers that dawdle and roll back, long transactions, one reader: nothing missed, nothing twice, in order."""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
from flask import Flask

from app import tenancy
from app.event_feed import feed
from app.event_feed.feed import FeedEvent
from tests import factories

WRITERS = 8
EVENTS = 20_000
PEOPLE = 300
LONG_S = 3.0

# in the order of their ids, so that no two writers wait for each other
_LOCK = "SELECT id FROM recipient WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
# each event of a person bears how many there were, counted under their lock
_WRITE = """
    WITH moved AS (
        UPDATE recipient SET fence = coalesce(fence, 0) + 1 WHERE id = ANY(%s)
        RETURNING id, tenant_id, campaign_id, fence
    )
    INSERT INTO event (tenant_id, campaign_id, recipient_id, track, state, at, actor, detail)
    SELECT tenant_id, campaign_id, id, 'sms', 'x', now(), 'system', jsonb_build_object('code', fence) FROM moved
"""


@contextmanager
def connected(owner: psycopg.Connection) -> Iterator[psycopg.Connection]:
    with psycopg.connect(owner.info.dsn, password=owner.info.password) as connection:
        connection.execute("SELECT set_config('app.platform', 'on', false)")
        connection.commit()
        yield connection


def write(owner: psycopg.Connection, people: list[int], seed: int, events: int) -> None:
    """Write in transactions of two statements, so that many reach a person after a younger one has."""
    drawn = random.Random(seed)
    written = 0
    with connected(owner) as connection:
        while written < events:
            middle = drawn.randrange(1, len(people))
            first = drawn.sample(people[:middle], min(middle, drawn.randrange(1, 30)))
            second = drawn.sample(people[middle:], min(len(people) - middle, drawn.randrange(1, 30)))
            take(connection, first)
            time.sleep(drawn.random() * 0.004)
            take(connection, second)
            time.sleep(drawn.random() * 0.002)
            if drawn.random() < 0.15:
                connection.rollback()
            else:
                connection.commit()
                written += len(first) + len(second)


def take(connection: psycopg.Connection, people: list[int]) -> None:
    connection.execute(_LOCK, [people])
    connection.execute(_WRITE, [people])


def dawdle(owner: psycopg.Connection, person_id: int, *, commit: bool) -> None:
    """Hold a transaction that has written for long, and write in it once more."""
    with connected(owner) as connection:
        take(connection, [person_id])
        time.sleep(LONG_S)
        take(connection, [person_id])
        if not commit:
            connection.rollback()


def read_all(app: Flask, tenant_id: int, done: threading.Event) -> list[FeedEvent]:
    """Read until nothing comes any more once the writers are done."""
    told: list[FeedEvent] = []
    cursor = None
    with app.app_context(), tenancy.tenant(tenant_id):
        while True:
            last = done.is_set()
            page = feed.read(cursor, 700)
            told += page.events
            cursor = page.cursor
            if last and not page.events:
                return told


def test_nothing_is_missed_nothing_twice_and_each_persons_order_holds(app: Flask, owner: psycopg.Connection) -> None:
    with app.app_context():
        tenant_id = factories.tenant()
        campaign_id = factories.campaign(tenant_id)
        people = [person.id for person in factories.people(tenant_id, campaign_id, PEOPLE + 2)]
    *shared, slow, lost = people
    done = threading.Event()
    with ThreadPoolExecutor(WRITERS + 3) as pool:
        reading = pool.submit(read_all, app, tenant_id, done)
        writing = [pool.submit(write, owner, shared, seed, EVENTS // WRITERS) for seed in range(WRITERS)]
        writing += [pool.submit(dawdle, owner, slow, commit=True), pool.submit(dawdle, owner, lost, commit=False)]
        try:
            for one in writing:
                one.result()
        finally:
            done.set()
        told = reading.result()
    with connected(owner) as connection:
        written = connection.execute("SELECT id FROM event WHERE tenant_id = %s", [tenant_id]).fetchall()
    assert len(written) >= EVENTS
    assert sorted(event.id for event in told) == sorted(row[0] for row in written)
    orders = defaultdict(list)
    for event in told:
        orders[event.recipient_id].append(int(event.code))
    assert {who: numbers for who, numbers in orders.items() if numbers != [*range(1, len(numbers) + 1)]} == {}
    assert orders[slow] == [1, 2]
    assert lost not in orders
