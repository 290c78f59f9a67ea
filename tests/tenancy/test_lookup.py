"""Reads across companies: they can't write, share no connection, and outlive a restart of the database."""

import threading

import psycopg
import pytest
from flask import Flask

from app.extensions import db
from app.tenancy import lookup, platform, transaction
from tests import factories
from tests.waiting import until

COUNT = "SELECT count(*) FROM tenant"


@pytest.fixture(autouse=True)
def afresh(app: Flask):
    lookup.close()
    yield
    lookup.close()


def test_it_sees_every_company_without_a_scope(app: Flask) -> None:
    with app.app_context():
        ids = [factories.tenant(), factories.tenant()]
    assert lookup.first(COUNT) == (2,)
    assert lookup.first("SELECT name FROM tenant WHERE id = %s AND state = %s", ids[0], "active") == ("みどり信販",)
    assert lookup.first("SELECT name FROM tenant WHERE id = 0") is None


@pytest.mark.parametrize(
    "statement",
    ["UPDATE tenant SET name = 'x'", "DELETE FROM event", "INSERT INTO tenant (code, name) VALUES ('x', 'x')"],
)
def test_it_cannot_write(app: Flask, statement: str) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        lookup.first(statement)


def test_its_scope_is_its_own(app: Flask) -> None:
    with app.app_context():
        factories.tenant()
        assert lookup.first(COUNT) == (1,)
        # a connection of the pool, before anything told it a scope
        raw = db.engine.raw_connection()
        try:
            seen = raw.cursor().execute(COUNT).fetchone()
        finally:
            raw.close()
    assert seen == (0,)


def test_it_outlives_a_restart_of_the_database(app: Flask, database: psycopg.Connection) -> None:
    waits = "SELECT pg_advisory_lock_shared(1)"
    theirs = "FROM pg_stat_activity WHERE datname = current_database() AND query = %s"
    threads = [threading.Thread(target=lookup.first, args=(waits,)) for _ in range(4)]
    database.execute("SELECT pg_advisory_lock(1)")
    for thread in threads:
        thread.start()
    reading = f"SELECT {theirs} AND wait_event = 'advisory'"
    until(lambda: len(database.execute(reading, [waits]).fetchall()) == len(threads))
    database.execute("SELECT pg_advisory_unlock(1)")
    for thread in threads:
        thread.join()
    ended = database.execute(f"SELECT pg_terminate_backend(pid) {theirs}", [waits]).fetchall()
    assert len(ended) == len(threads)
    assert lookup.first(COUNT) == (0,)
    with app.app_context(), platform(), transaction() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
