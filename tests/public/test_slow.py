"""Connections that say nothing, half a head or half a body keep nobody waiting, and end: on the real server."""

import socket
import time
from collections.abc import Callable

import pytest

from tests.public.served import Visitor
from tests.public.test_served import port, visit

__all__ = ["port", "visit"]

_MANY = 60  # of 320 threads and 4 turns; `make probe` opens 200
_HEAD = b"POST /p/answers HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"


@pytest.mark.parametrize(
    ("said", "ended"),
    [
        (b"", b""),
        (_HEAD, b""),
        (_HEAD + b"Content-Length: 100\r\n\r\nq1=1", b"HTTP/1.1 408"),
        (_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nq1=11\r\n", b"HTTP/1.1 408"),
    ],
    ids=["nothing", "half a head", "half a body", "half a chunked body"],
)
def test_slow_connections_keep_nobody_waiting(
    port: int, visit: Callable[[], Visitor], said: bytes, ended: bytes
) -> None:
    opened = [socket.create_connection(("127.0.0.1", port)) for _ in range(_MANY)]
    try:
        for one in opened:
            one.sendall(said)
        visitor = visit()
        took = []
        for _ in range(20):
            began = time.monotonic()
            assert visitor.ask("GET", "/healthz").status == 200
            assert visitor.ask("POST", "/abcdefghijkmnpqr", {"a": "1"}).status == 404
            took.append(time.monotonic() - began)
        assert sorted(took)[10] < 1, took
        began = time.monotonic()
        for one in opened:
            one.settimeout(20)
            assert one.recv(12) == ended
        assert time.monotonic() - began < 20
        assert visitor.ask("GET", "/healthz").status == 200
    finally:
        for one in opened:
            one.close()
