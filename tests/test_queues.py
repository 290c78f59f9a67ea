"""Queues and limits while Redis is away, or says nothing."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import psycopg
import pytest
import redis as redis_package
from flask import Flask

from app import create_app, queues, redis_silence
from app.config import Settings
from app.extensions import RedisClient, db, limiter, redis_client
from app.tenancy import lookup
from tests import factories


class Frozen:
    """A server that takes connections and never says a word, as one that is stopped (SIGSTOP) does."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._socket.getsockname()[1]}/0"
        self.calls = 0
        self._taken: list[socket.socket] = []
        self._thread = threading.Thread(target=self._take)
        self._thread.start()

    def _take(self) -> None:
        while True:
            try:
                taken, _ = self._socket.accept()
            except OSError:
                return
            self.calls += 1
            self._taken.append(taken)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        for taken in self._taken:
            taken.close()


@pytest.fixture
def frozen() -> Iterator[Frozen]:
    server = Frozen()
    yield server
    server.close()


@contextmanager
def bound(url: str) -> Iterator[redis_package.Redis]:
    """The product's client, bound to another server and hurried, as the web server's is."""
    before = redis_client.connection
    redis_client.bind(url)
    redis_client.hurry()
    try:
        yield redis_client.connection
    finally:
        redis_client.connection.close()
        redis_client.connection = before


def test_a_redis_that_is_silent_counts_as_away_and_is_not_waited_for_again(app: Flask, frozen: Frozen) -> None:
    """A carrier's receipt is kept in the database and answered: it doesn't wait for the job's queue."""
    del app
    with bound(frozen.url):
        began = time.monotonic()
        for _ in range(50):
            assert not queues.enqueue("jobs.outcomes.apply_receipts", 1, once=True)
            assert not queues.enqueue("jobs.delivery.send")
        assert time.monotonic() - began < 2
    assert frozen.calls == 1


def test_threads_that_find_redis_silent_do_not_wait_one_after_the_other(app: Flask, frozen: Frozen) -> None:
    with bound(frozen.url):
        queues.enqueue("jobs.delivery.send")

        def work() -> None:
            with app.app_context():
                queues.enqueue("jobs.delivery.send")

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert frozen.calls == 1


def test_a_silent_redis_is_tried_again_by_one_and_used_once_it_answers(
    app: Flask, settings: Settings, frozen: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    del app
    silence = redis_silence.Silence()
    assert silence.may_try()
    silence.failed()
    assert not silence.may_try()
    later = time.monotonic() + redis_silence.REST_S + 1
    monkeypatch.setattr(redis_silence, "time", SimpleNamespace(monotonic=lambda: later))
    assert [silence.may_try(), silence.may_try()] == [True, False], "one tries, the others don't wait for it"
    silence.answered()
    assert silence.may_try()
    monkeypatch.undo()
    with bound(settings.redis_url) as connection:
        pool = connection.connection_pool
        pool.silence.failed()  # type: ignore[attr-defined]
        with pytest.raises(redis_package.ConnectionError):
            connection.ping()
        later = time.monotonic() + redis_silence.REST_S + 1
        monkeypatch.setattr(redis_silence, "time", SimpleNamespace(monotonic=lambda: later))
        assert connection.ping()
        assert pool.silence.may_try()  # type: ignore[attr-defined]


def test_a_redis_that_refuses_costs_no_time_and_is_used_as_soon_as_it_is_back(app: Flask) -> None:
    del app
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"redis://127.0.0.1:{gone.getsockname()[1]}/0"
    with bound(url) as connection:
        assert not queues.enqueue("jobs.delivery.send")
        assert connection.connection_pool.silence.may_try()  # type: ignore[attr-defined]


@pytest.fixture
def silenced(
    settings: Settings, app: Flask, database: psycopg.Connection, frozen: Frozen, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Flask]:
    """The web server's application, whose Redis is frozen."""
    del app, database
    # given back at the end: other tests' limits are counted there
    monkeypatch.setattr(limiter, "_storage", limiter._storage)
    monkeypatch.setattr(limiter, "_limiter", limiter._limiter)
    made = create_app(replace(settings, redis_url=frozen.url))
    redis_client.hurry()
    made.testing = True
    yield made
    lookup.close()
    with made.app_context():
        db.engine.dispose()
    redis_client.bind(settings.redis_url)


def test_pages_and_receipts_do_not_wait_for_redis_and_limits_count_on(silenced: Flask, frozen: Frozen) -> None:
    """Somebody who guesses passwords meets the limit all the same; a receipt is kept, its job is the sweep's."""
    with silenced.app_context():
        address = factories.receipt_path(factories.sms_account(factories.tenant()))
    client = silenced.test_client()
    assert RedisClient.hurried_s <= 0.15, "of the 200 ms that it may cost"
    began = time.monotonic()
    assert [client.post(address, data=str(n).encode()).status_code for n in range(5)] == [200] * 5
    assert client.get("/abcdefghijkmnpqr").status_code in {200, 404}
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/admin/login").get_data(as_text=True))
    assert found
    guesses = [client.post("/admin/login", data={"csrf_token": found[1]}).status_code for _ in range(21)]
    assert guesses == [200] * 20 + [429]
    # one try at first, then one each time that the server was left alone for long enough
    assert frozen.calls <= (time.monotonic() - began) / redis_silence.REST_S + 1
