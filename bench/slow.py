"""Hundreds of connections that say nothing, half a head or half a body, and somebody who presses beside them."""

import http.client
import socket
import statistics
import time
from dataclasses import dataclass

_SLOW_S = 8.0
_PAUSE_S = 0.05
_REFUSED_FROM = 400
_HALF_HEAD = b"POST /p/answers HTTP/1.1\r\nHost: localhost\r\n"
_HALF_BODY = _HALF_HEAD + b"Content-Type: text/plain\r\nContent-Length: 100\r\n\r\na=1"
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def percentile(took: list[float]) -> float:
    """Return the 99th percentile; of a few, nearly the slowest."""
    return statistics.quantiles(took, n=100, method="inclusive")[98] if len(took) > 1 else took[0]


@dataclass(frozen=True, slots=True)
class Slow:
    """Connections that say `first` and no more, shared out among so many addresses."""

    first: bytes
    connections: int = 200
    addresses: int = 200

    def press(self, port: int, path: str) -> float:
        """Open them; return the 99th percentile of somebody's press on a link meanwhile, in seconds."""
        opened = []
        try:
            for number in range(self.connections):
                source = (f"127.0.9.{number % self.addresses + 2}", 0)
                opened.append(socket.create_connection(("127.0.0.1", port), source_address=source))
                opened[-1].sendall(self.first)
            took: list[float] = []
            until = time.monotonic() + _SLOW_S
            while time.monotonic() < until:
                took.append(_press(port, path, f"127.0.8.{len(took) % 250 + 2}"))
                time.sleep(_PAUSE_S)
            return percentile(took)
        finally:
            for one in opened:
                one.close()


SLOW = {
    "200 silent": Slow(b""),
    "200 half a head": Slow(_HALF_HEAD + b"X-A: "),
    "200 half a body": Slow(_HALF_BODY),
    "300 half a body, three addresses": Slow(_HALF_BODY, 300, 3),
}


def _press(port: int, path: str, source: str) -> float:
    """Press; a refusal takes for ever."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60, source_address=(source, 0))
    try:
        began = time.monotonic()
        connection.request("POST", path, b"a=1", _FORM)
        answer = connection.getresponse()
        answer.read()
        return time.monotonic() - began if answer.status < _REFUSED_FROM else float("inf")
    finally:
        connection.close()
