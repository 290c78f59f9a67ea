"""A load balancer hears within seconds that the database is silent."""

import threading
import time

import pytest
from flask.testing import FlaskClient

from app.web.health import Check
from tests.waiting import until


def test_a_database_that_answers_is_well(client: FlaskClient) -> None:
    assert client.get("/healthz").get_json() == {"status": "ok"}


def test_a_silent_database_is_told_in_time_and_asked_by_one_thread_alone() -> None:
    thaw, asked = threading.Event(), []

    def ask() -> str:
        asked.append(1)
        thaw.wait(10)
        return "well"

    check = Check(ask, limit_s=0.1)
    began = time.monotonic()
    assert [check.answer() for _ in range(3)] == [None, None, None]
    assert time.monotonic() - began < 2
    assert len(asked) == 1
    thaw.set()
    until(lambda: check.answer() == "well")


def test_a_fault_is_told() -> None:
    def ask() -> str:
        raise ConnectionError("away")

    with pytest.raises(ConnectionError):
        Check(ask).answer()
