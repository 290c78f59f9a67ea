"""Reads across companies: they can't write, share no connection, and outlive a restart of the database."""

import threading

import psycopg
import pytest
from flask import Flask

from app.extensions import db
from app.tenancy import lookup, platform, transaction
from tests import factories

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
    gate = threading.Barrier(4)

    def read() -> None:
        gate.wait()
        lookup.first("SELECT pg_sleep(0.05)")

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ended = database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query = 'SELECT pg_sleep(0.05)'"
    ).fetchall()
    assert len(ended) == 4
    assert lookup.first(COUNT) == (0,)
    with app.app_context(), platform(), transaction() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
