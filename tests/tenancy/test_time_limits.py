"""Whoever falls silent, waits or computes for too long is ended by PostgreSQL; the others go on."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app import leases, tenancy
from app.config import Settings
from app.extensions import db, redis_client
from app.process_state import process_state
from app.tenancy import lookup, time_limits
from app.tenancy.time_limits import Limits
from tests import factories
from tests.public.browser import Browser
from tests.public.conftest import ANSWERS, Sent, browser, send, sent

__all__ = ["browser", "send", "sent"]

SHORT = Limits(idle_s=0.3, lock_s=0.3, statement_s=5)


@contextmanager
def vanished(settings: Settings, statement: str, *values: object, idle_ms: int = 0) -> Iterator[None]:
    """A machine that vanished in mid-transaction: nothing more is heard of it, and its locks stay."""
    gone = psycopg.connect(settings.database_url.replace("+psycopg", "", 1))
    gone.execute("SELECT set_config('app.platform', 'on', true)")
    gone.execute("SELECT set_config('idle_in_transaction_session_timeout', %s, true)", [str(idle_ms)])
    gone.execute(statement, values)
    try:
        yield
    finally:
        gone.close()


def code(statement: str, within: Limits, *, wait_s: float = 0) -> str:
    """Run a statement under short limits; return the SQLSTATE it ends with."""

    def work() -> None:
        with tenancy.platform(), time_limits.limited_to(within), tenancy.transaction() as connection:
            connection.execute(text(statement))
            time.sleep(wait_s)
            connection.execute(text("SELECT 1"))

    with pytest.raises(DBAPIError) as told:
        work()
    assert tenancy.gave_way(told.value)
    return str(told.value.orig.sqlstate)  # type: ignore[union-attr]


def test_a_transaction_that_falls_silent_is_ended(app: Flask) -> None:
    with app.app_context():
        assert code("SELECT 1", SHORT, wait_s=1) == time_limits.IDLE_IN_TRANSACTION


def test_a_statement_that_takes_too_long_is_ended(app: Flask) -> None:
    with app.app_context():
        assert code("SELECT pg_sleep(5)", Limits(idle_s=5, lock_s=5, statement_s=0.3)) == time_limits.QUERY_CANCELED


def test_a_lock_is_not_waited_for_for_long(app: Flask, settings: Settings) -> None:
    with app.app_context():
        factories.tenant()
        with vanished(settings, "SELECT id FROM tenant FOR UPDATE"):
            assert code("UPDATE tenant SET name = name", SHORT) == time_limits.LOCK_NOT_AVAILABLE


def test_a_limit_ends_with_its_transaction(app: Flask) -> None:
    """It is told by SET LOCAL: another part's work on the same connection of a pooler has its own."""
    with app.app_context(), tenancy.platform():
        with time_limits.limited_to(SHORT), tenancy.transaction() as connection:
            assert connection.scalar(text("SHOW lock_timeout")) == "300ms"
        raw = db.engine.raw_connection()
        try:
            row = raw.cursor().execute("SELECT current_setting('lock_timeout')").fetchone()
        finally:
            raw.close()
    assert row == ("0",)


def test_each_kind_of_work_has_limits_of_its_own(app: Flask) -> None:
    def shown() -> tuple[str, ...]:
        with tenancy.platform(), tenancy.transaction() as connection:
            names = ("idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout")
            return tuple(str(connection.scalar(text(f"SHOW {name}"))) for name in names)

    told = {}
    with app.app_context():
        told["step"] = shown()
        with time_limits.limited_to(time_limits.BULK):
            told["bulk"] = shown()
    for path in ("/healthz", "/admin/login"):
        with app.test_request_context(path):
            told[path] = shown()
    assert told == {
        "step": ("5s", "10s", "2min"),
        "bulk": ("1min", "20s", "30min"),
        "/healthz": ("5s", "700ms", "5s"),
        "/admin/login": ("5s", "8s", "30s"),
    }


def test_a_session_that_tells_no_limit_has_one_too(app: Flask, settings: Settings) -> None:
    del app
    with psycopg.connect(settings.database_url.replace("+psycopg", "", 1)) as raw:
        shown = raw.execute("SELECT current_setting('idle_in_transaction_session_timeout')").fetchone()
    assert shown == ("1min",)


def test_connections_notice_a_server_that_vanished(app: Flask) -> None:
    lookup.close()
    lookup.first("SELECT 1")
    with app.app_context(), tenancy.platform(), tenancy.transaction() as connection:
        raw: Any = connection.connection.driver_connection
        numbers = [raw.fileno()]
        numbers.append(process_state.of(lookup._Connections).reading.cursors[-1].connection.fileno())
        redis_client.connection.ping()
        taken: Any = redis_client.connection.connection_pool.get_connection()
        try:
            numbers.append(taken._sock.fileno())
            for number in numbers:
                with socket.socket(fileno=os.dup(number)) as one:
                    assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                    assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
                    assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 15_000
        finally:
            redis_client.connection.connection_pool.release(taken)


def test_a_persons_press_is_answered_though_a_worker_vanished(
    sent: Sent, browser: Browser, settings: Settings, app: Flask
) -> None:
    """The vanished worker holds the person's row: told within a second what to do, and nothing is lost."""
    with vanished(settings, "SELECT id FROM recipient WHERE id = %s FOR NO KEY UPDATE", sent.person.id):
        browser.open(sent.link)
        began = time.monotonic()
        answer = app.test_client().post(sent.link)
        assert time.monotonic() - began < 4, "0.7 s, and the machine is shared; any other limit is 5 s at least"
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
        assert "数秒待ってから" in answer.get_data(as_text=True)
    browser.press()
    browser.press(**ANSWERS)
    assert browser.title == "お支払いのご案内 | みどり信販"


def test_a_page_says_what_to_do_while_postgresql_is_away(
    sent: Sent, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise psycopg.OperationalError("connection timeout expired")

    monkeypatch.setattr(lookup, "first", away)
    answer = app.test_client().get(sent.link)
    assert answer.status_code == 503
    assert "数秒待ってから" in answer.get_data(as_text=True)


# --- leases ---


def test_work_is_one_holders_until_it_falls_silent(app: Flask, database: psycopg.Connection) -> None:
    with app.app_context(), tenancy.platform():
        first = leases.take("x", 5)
        assert first is not None
        assert leases.take("x", 5) is None
        database.execute("UPDATE lease SET held_until = now() - interval '1 second'")
        second = leases.take("x", 5)
        assert second is not None
        with pytest.raises(leases.Lost):
            leases.beat(first)
        leases.give_back(first)  # not its own any more
        assert leases.take("x", 5) is None
        leases.beat(second)
        leases.give_back(second)
        assert leases.take("x", 5) is not None


def test_what_is_written_under_a_lease_keeps_others_out_until_it_is_committed(app: Flask) -> None:
    taken = []

    def other() -> None:
        with app.app_context(), tenancy.platform():
            taken.append(leases.take("x", 5))

    with app.app_context(), tenancy.platform():
        first = leases.take("x", 1)
        assert first is not None
        thread = threading.Thread(target=other)
        with tenancy.transaction() as connection:
            leases.hold(connection, first)
            time.sleep(1.1)  # the lease would be over now
            thread.start()
            time.sleep(0.3)
            assert not taken
            leases.hold(connection, first)
        thread.join()
    assert taken == [None]
