"""Connections that say nothing, half a head or half a body keep nobody waiting, and end: on the real server."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.public.conftest import ANSWERS, Sent
from tests.public.served import Visitor
from tests.waiting import until

_HEAD = b"POST /p/answers HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
_HALF_BODY = _HEAD + b"Content-Length: 100\r\n\r\nq1=1"
# the request, and how the answer to it begins once the deadline is over
_SLOW = {
    "nothing": (b"", b""),
    "half a head": (_HEAD, b""),
    "half a body": (_HALF_BODY, b"HTTP/1.1 408"),
    "half a chunked body": (_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nq1=11\r\n", b"HTTP/1.1 408"),
}
_OF_EACH = 60  # `make probe` opens 200


def opened(port: int, said: bytes, source: str = "127.0.0.1") -> socket.socket:
    one = socket.create_connection(("127.0.0.1", port), source_address=(source, 0))
    one.sendall(said)
    return one


@contextmanager
def half_bodies(port: int, number: int, sources: list[str]) -> Iterator[None]:
    """Keep so many half bodies on their way from these addresses: for each that is ended another comes."""
    over = threading.Event()

    def keep(source: str, mine: int) -> None:
        kept = [opened(port, _HALF_BODY, source) for _ in range(mine)]
        while not over.wait(0.2):
            for one in list(kept):
                one.settimeout(0)
                try:
                    one.recv(1000)
                except BlockingIOError:
                    continue
                except OSError:
                    pass
                kept.remove(one)
                one.close()
                kept.append(opened(port, _HALF_BODY, source))
        for one in kept:
            one.close()

    keepers = [threading.Thread(target=keep, args=[source, number // len(sources)]) for source in sources]
    for keeper in keepers:
        keeper.start()
    try:
        yield
    finally:
        over.set()
        for keeper in keepers:
            keeper.join()


@contextmanager
def health_asked(port: int) -> Iterator[list[float]]:
    """Ask for /healthz all the while; return how long each answer took."""
    took: list[float] = []
    over = threading.Event()

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while not over.wait(0.01):
            began = time.monotonic()
            connection.request("GET", "/healthz")
            assert connection.getresponse().read()
            took.append(time.monotonic() - began)
        connection.close()

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        yield took
    finally:
        over.set()
        asker.join()


def test_slow_connections_keep_nobody_waiting(port: int, visit: Callable[[], Visitor]) -> None:
    visitor = visit()

    def took_s() -> float:
        """Return how long two answers take, as a rule."""
        took = []
        for _ in range(20):
            asked = time.monotonic()
            assert visitor.ask("GET", "/healthz").status == 200
            assert visitor.ask("POST", "/abcdefghijkmnpqr", {"a": "1"}).status == 404
            took.append(time.monotonic() - asked)
        return sorted(took)[10]

    busy = took_s()
    held = [(opened(port, said), ended) for said, ended in _SLOW.values() for _ in range(_OF_EACH)]
    began = time.monotonic()
    try:
        assert took_s() < 1 + 10 * busy
        for one, ended in held:
            one.settimeout(20)
            assert one.recv(12) == ended
        assert time.monotonic() - began < 20
        assert visitor.ask("GET", "/healthz").status == 200
    finally:
        for one, _ in held:
            one.close()


def test_somebody_answers_while_three_hundred_bodies_do_not_come(
    port: int, sent: Sent, visit: Callable[[], Visitor], state: Callable[[Sent], tuple[str, int]]
) -> None:
    """A handful of addresses fill all room for bodies, and more: the late ones give way to whoever sends."""
    with health_asked(port) as usual:
        until(lambda: len(usual) >= 20)
    # `make probe` measures the 99th percentile: machines of tests are shared, and this one may be busy
    busy = sorted(usual)[len(usual) // 2]
    with half_bodies(port, 300, ["127.0.0.11", "127.0.0.12", "127.0.0.13"]), health_asked(port) as took:
        time.sleep(1)  # the room is full
        visitor = visit()
        visitor.ask("GET", sent.link)
        del took[:]
        statuses, longest = [], 0.0
        for path, values in ((sent.link, {}), ("/p/answers", ANSWERS)):
            typed = values | (visitor.form() if values else {})
            asked = time.monotonic()
            statuses.append(visitor.ask("POST", path, typed).status)
            longest = max(longest, time.monotonic() - asked)
        for _ in range(20):
            asked = time.monotonic()
            assert visitor.ask("POST", "/abcdefghijkmnpqr", {"a": "1"}).status == 404
            longest = max(longest, time.monotonic() - asked)
            time.sleep(0.05)
    assert statuses == [303, 303]
    assert state(sent) == ("verified", 0)
    assert longest < 1 + 20 * busy
    assert sorted(took)[len(took) // 2] < 0.1 + 5 * busy, took
