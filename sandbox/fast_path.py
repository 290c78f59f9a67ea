"""The fast lane: sends (`POST …/messages`) read off the wire by hand, for benches push tens of thousands a second.

In: a connection's bytes. Out: the answer of `Karaden.create` and a row in the ledger, exactly as through aiohttp. A
connection that brings anything but plain sends, or that comes while a switch may break a request, is handed over to
aiohttp for good.
"""

import asyncio
import re
import time
from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple, cast

from sandbox.karaden import Karaden
from sandbox.ledger import Row
from sandbox.middleware import Gate, Reply, of_contract

_REQUEST = re.compile(rb"POST (/karaden/api/([^/?# ]+)/messages) HTTP/1\.1", re.ASCII)
_LONGEST_BODY = 1 << 16
_ODD = {b"transfer-encoding", b"expect", b"upgrade"}
_HEAD_END = b"\r\n\r\n"


class Head(NamedTuple):
    """The head of a send request."""

    target: str
    tenant: str
    length: int
    authorization: str
    version: str | None


class Lane(asyncio.Protocol):
    """One connection. `hand_over` makes aiohttp's protocol for it."""

    def __init__(
        self, karaden: Karaden, gate: Gate, hand_over: Callable[[], asyncio.Protocol], open_: set[asyncio.Transport]
    ) -> None:
        self._karaden = karaden
        self._gate = gate
        self._hand_over = hand_over
        self._open = open_
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class: no subclass of asyncio's
        self._open.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        del exc
        if self._transport is not None:
            self._open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """Answer a send that is there in whole, or hand the connection over."""
        data = self._buffer + data if self._buffer else data
        end = data.find(_HEAD_END)
        head = read_head(data[:end]) if end >= 0 else None
        if head is None or not self._gate.switches.calm:
            self._leave(data)
            return
        start = end + len(_HEAD_END)
        missing = head.length - (len(data) - start)
        if missing == 0:
            self._buffer = b""
            self._answer(head, data[start:])
        elif missing > 0:
            self._buffer = data
        else:
            self._leave(data)  # pipelined: one after the other is aiohttp's work

    def _answer(self, head: Head, body: bytes) -> None:
        reply = self._karaden.create(head.authorization, head.version, head.tenant, body)
        row = Row(time.time(), "karaden", "create", "POST", head.target, body, reply.status, "answered", reply.accepted)
        self._gate.ledger.add(row)
        wait_s = self._gate.switches.wait_s(of_contract("karaden.create", head.tenant))
        if wait_s:
            asyncio.get_running_loop().call_later(wait_s, self._write, reply)
        else:
            self._write(reply)

    def _write(self, reply: Reply) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_head_of(reply.status, int(time.time())) % len(reply.body) + reply.body)

    def _leave(self, data: bytes) -> None:
        transport = self._transport
        if transport is not None:
            self._open.discard(transport)
            protocol = self._hand_over()
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
            protocol.data_received(data)


@lru_cache(4096)  # a client's heads differ in Content-Length alone
def read_head(raw: bytes) -> Head | None:
    """Read a request's head; None for all that the fast lane leaves to aiohttp."""
    first, *lines = raw.split(b"\r\n")
    request = _REQUEST.fullmatch(first)
    fields = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or name.lower() in fields:
            return None
        fields[name.lower()] = value.strip()
    length = fields.get(b"content-length", b"")
    odd = fields.keys() & _ODD or fields.get(b"connection", b"").lower() == b"close"
    if request is None or odd or not length.isdigit() or int(length) > _LONGEST_BODY:
        return None
    version = fields.get(b"karaden-version")
    return Head(
        request[1].decode(),
        request[2].decode(),
        int(length),
        fields.get(b"authorization", b"").decode("latin-1"),
        None if version is None else version.decode("latin-1"),
    )


@lru_cache(64)
def _head_of(status: int, second: int) -> bytes:
    date = formatdate(second, usegmt=True).encode()
    line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()
    return line + b"\r\nContent-Type: application/json\r\nDate: " + date + b"\r\nContent-Length: %d\r\n\r\n"
