"""The fast lane: sends read off the wire by hand, for benches push tens of thousands a second.

In: a connection's bytes. Out: the answer of a door's `create` and a row in the ledger, exactly as through aiohttp. A
connection that brings anything but plain sends, or that comes while a switch may break a request, is handed over to
aiohttp for good.
"""

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple, cast

from multidict import CIMultiDict

from sandbox.middleware import Gate, Reply, of_contract

_REQUEST = re.compile(rb"POST (/[^?# ]+) HTTP/1\.1", re.ASCII)
_TENANT = "{tenant}"
_LONGEST_BODY = 1 << 16
_ODD = {"transfer-encoding", "expect", "upgrade"}
_HEAD_END = b"\r\n\r\n"

Create = Callable[[str, Mapping[str, str], bytes], Reply]


class Sends(NamedTuple):
    """A door's call that sends: its path, in which `{tenant}` stands for the contract's name, and what answers it."""

    gate: Gate
    path: str
    create: Create


class Head(NamedTuple):
    """The head of a send request; `door` is the place of its door among the lane's."""

    door: int
    target: str
    tenant: str
    length: int
    headers: Mapping[str, str]


class Doors:
    """The doors that a lane knows, and the heads that it has read: a client's differ in Content-Length alone."""

    def __init__(self, sends: Sequence[Sends]) -> None:
        self.sends = sends
        self._paths = [re.compile(re.escape(one.path).replace(re.escape(_TENANT), "([^/?# ]+)")) for one in sends]
        self.read = lru_cache(4096)(self._read)

    @property
    def calm(self) -> bool:
        """Whether no switch is set that changes more of a request than when it is answered."""
        return self.sends[0].gate.switches.calm

    def _read(self, raw: bytes) -> Head | None:
        """Read a request's head; None for all that the fast lane leaves to aiohttp."""
        first, *lines = raw.split(b"\r\n")
        request = _REQUEST.fullmatch(first)
        headers: CIMultiDict[str] = CIMultiDict()
        for line in lines:
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon or name in headers:
                return None
            headers[name] = value.strip()
        length = headers.get("Content-Length", "")
        odd = any(name in headers for name in _ODD) or headers.get("Connection", "").lower() == "close"
        if request is None or odd or not (length.isascii() and length.isdigit()) or int(length) > _LONGEST_BODY:
            return None
        target = request[1].decode("latin-1")
        for door, path in enumerate(self._paths):
            if found := path.fullmatch(target):
                return Head(door, target, found[1] if path.groups else "", int(length), headers)
        return None


class Lane(asyncio.Protocol):
    """One connection. `hand_over` makes aiohttp's protocol for it."""

    def __init__(self, doors: Doors, hand_over: Callable[[], asyncio.Protocol], open_: set[asyncio.Transport]) -> None:
        self._doors = doors
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
        head = self._doors.read(data[:end]) if end >= 0 else None
        if head is None or not self._doors.calm:
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
        gate, _, create = self._doors.sends[head.door]
        reply = create(head.tenant, head.headers, body)
        gate.note("create", "POST", head.target, body, reply.status, fate="answered", accepted=reply.accepted)
        wait_s = gate.switches.wait_s(of_contract(f"{gate.kind}.create", head.tenant))
        if wait_s:
            asyncio.get_running_loop().call_later(wait_s, self._write, reply)
        else:
            self._write(reply)

    def _write(self, reply: Reply) -> None:
        if self._transport is not None and not self._transport.is_closing():
            head = _head_of(reply.status, reply.headers["Content-Type"], int(time.time()))
            self._transport.write(head % len(reply.body) + reply.body)

    def _leave(self, data: bytes) -> None:
        transport = self._transport
        if transport is not None:
            self._open.discard(transport)
            protocol = self._hand_over()
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
            protocol.data_received(data)


@lru_cache(64)
def _head_of(status: int, kind: str, second: int) -> bytes:
    date = formatdate(second, usegmt=True)
    line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {kind}\r\nDate: {date}\r\n"
    return line.encode() + b"Content-Length: %d\r\n\r\n"
