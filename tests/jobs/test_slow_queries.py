"""Aside: a company whose service is slow holds up nobody else's jobs, and what is asked for meanwhile is done."""

import threading
import time

import pytest
from flask import Flask

from app import queues
from jobs import slow_queries

A, B = 1, 2
JOB = "jobs.outcomes.reconcile"


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let what waits for it go on; the worker's patience is short."""
    monkeypatch.setattr(slow_queries, "LONGEST_WAIT_S", 0.2)
    return threading.Event()


def test_who_is_slow_holds_up_nobody_else_and_is_asked_once_at_a_time(app: Flask, on: threading.Event) -> None:
    did: list[int] = []

    def slow(tenant_id: int) -> None:
        did.append(tenant_id)
        assert on.wait(10)

    with app.app_context():
        began = time.monotonic()
        slow_queries.run(JOB, A, slow)
        slow_queries.run(JOB, A, slow)
        slow_queries.run(JOB, B, did.append)
        assert time.monotonic() - began < 2
        assert did == [A, B]
        assert queues.queue(queues.TRACKING).count == 0
        on.set()
        slow_queries.finish()
        # asked for while it went on: it is on its queue again
        assert [job.args for job in queues.queue(queues.TRACKING).jobs] == [[A]]


def test_many_that_are_slow_are_waited_for(app: Flask, on: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_queries, "MOST", 2)
    ended: list[int] = []

    def slow(tenant_id: int) -> None:
        assert on.wait(10)
        ended.append(tenant_id)

    with app.app_context():
        for tenant_id in (1, 2):
            slow_queries.run(JOB, tenant_id, slow)
        threading.Timer(0.5, on.set).start()
        slow_queries.run(JOB, 3, slow)
        assert 3 in ended
        slow_queries.finish()


def test_a_fault_is_the_jobs_own_or_is_logged(
    app: Flask, on: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    def late(_tenant_id: int) -> None:
        assert on.wait(10)
        raise ValueError

    def at_once(_tenant_id: int) -> None:
        raise ValueError

    with app.app_context():
        with pytest.raises(ValueError):  # noqa: PT011 - our own
            slow_queries.run(JOB, A, at_once)
        slow_queries.run(JOB, A, late)
        on.set()
        slow_queries.finish()
    assert "slow query job failed" in caplog.text
