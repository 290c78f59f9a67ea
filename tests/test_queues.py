"""Queues while Redis is away, or says nothing."""

import socket
import time

import pytest
from flask import Flask

from app import queues
from app.extensions import redis_client


def test_a_redis_that_is_silent_counts_as_away(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A carrier's receipt is kept in the database and answered: it doesn't wait for the job's queue."""
    del app
    monkeypatch.setattr(type(redis_client), "silent_s", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        redis_client.bind(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        began = time.monotonic()
        assert not queues.enqueue("jobs.tracking.apply_receipts", 1, once=True)
        assert not queues.enqueue("jobs.delivery.send")
        assert time.monotonic() - began < 3
