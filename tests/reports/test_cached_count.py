"""A count that is dear is made once for all who ask, and as seldom as it is dear."""

import json
import threading
import time
from collections.abc import Callable

import pytest
import redis as redis_package
from flask import Flask

from app.extensions import redis_client
from app.reports.cached_count import LASTS, shared
from tests.waiting import until


class Count:
    """A count that takes `takes_s` and waits for `free`; it tells how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0
        self.takes_s = 0.0
        self.free = threading.Event()
        self.free.set()

    def __call__(self) -> int:
        self.calls += 1
        time.sleep(self.takes_s)
        assert self.free.wait(30)
        return self.calls

    def ask(self) -> int:
        return shared("held:1:2", self, lambda found: {"n": found}, lambda told: int(told["n"]))


@pytest.fixture
def count(app: Flask) -> Count:
    del app
    return Count()


@pytest.fixture
def kept(redis: redis_package.Redis) -> Callable[..., float]:
    """Return until when the count is kept; call it with a time to change that."""
    key = "todoke:count:held:1:2"

    def until(changed: float | None = None) -> float:
        stored = json.loads(redis.get(key) or "")
        if changed is not None:
            redis.set(key, json.dumps({**stored, "until": changed}))
        return float(stored["until"])

    return until


def test_a_count_lasts_as_many_times_as_long_as_it_took(count: Count, kept: Callable[..., float]) -> None:
    count.takes_s = 0.2
    began = time.time()
    assert count.ask() == 1
    took = time.time() - began
    assert count.ask() == 1
    assert began + count.takes_s * LASTS < kept() < began + took * (1 + LASTS)
    kept(time.time())
    assert count.ask() == 2


def test_one_counts_while_the_others_get_the_count_before(count: Count, kept: Callable[..., float]) -> None:
    assert count.ask() == 1
    kept(0)
    count.free.clear()
    waits = [threading.Thread(target=count.ask) for _ in range(6)]
    for thread in waits:
        thread.start()
    until(lambda: count.calls == 2)
    assert count.ask() == 1
    until(lambda: sum(thread.is_alive() for thread in waits) == 1)
    count.free.set()
    for thread in waits:
        thread.join()
    assert count.calls == 2


def test_without_redis_everybody_counts(count: Count) -> None:
    redis_client.bind("redis://127.0.0.1:9/0")
    assert [count.ask(), count.ask()] == [1, 2]


@pytest.mark.parametrize("stored", ["", "x", "{}", '{"n": 1}', "[]", '{"until": 9e9, "told": {"people": 1}}'])
def test_what_another_version_wrote_is_counted_anew(count: Count, redis: redis_package.Redis, stored: str) -> None:
    redis.set("todoke:count:held:1:2", stored)
    assert count.ask() == 1
