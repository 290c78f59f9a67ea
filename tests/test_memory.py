"""Freed memory goes back to the machine, whatever was sent: on the real server with its many threads."""

import os
import re
import threading
from collections.abc import Callable, Iterator

import psutil
import pytest
from flask import Flask

from tests.public.served import Visitor, web

_AT_ONCE = 24


@pytest.fixture(scope="module")
def port(product: Flask, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A web server of its own: what others asked of it would show in its memory."""
    del product  # the database is migrated
    with web(environment, tmp_path_factory.mktemp("web")) as chosen:
        yield chosen


def held_mb(port: int) -> int:
    """Return how much the process holds that listens there."""
    ours = psutil.Process(os.getpid()).children(recursive=True)
    served = [one for one in ours if str(port) in one.cmdline() or any("granian" in word for word in one.cmdline())]
    return max(one.memory_info().rss for one in served) >> 20


def at_once(act: Callable[[int], None]) -> None:
    """Do something on many threads of the server."""
    gate = threading.Barrier(_AT_ONCE)

    def run(number: int) -> None:
        gate.wait()
        act(number)

    threads = [threading.Thread(target=run, args=[number]) for number in range(_AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_wrong_passwords_leave_no_memory_behind(port: int) -> None:
    """A password's check takes 19 MiB: kept for each thread that ever made one, they were 500 MB."""

    def sign_in(number: int) -> None:
        visitor = Visitor(port, source=f"127.0.0.{number + 2}")
        page = visitor.ask("GET", "/admin/login")
        hidden = dict(re.findall(r'type="hidden" [^>]*name="(\w+)"[^>]* value="([^"]*)"', page.text))
        typed = {"tenant_code": "midori", "email": f"{number}@example.jp", "password": "wrong wrong wrong"}
        assert visitor.ask("POST", "/admin/login", hidden | typed).status == 200
        visitor.close()

    for _ in range(2):
        at_once(sign_in)
    assert held_mb(port) < 250
