"""A TCP server that misbehaves on request: what each of its connections does is a plain function of the socket."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from tests.waiting import LONGEST_WAIT_S

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """One connection as the server sees it."""

    def __init__(self, sock: socket.socket, requests: list[bytes]) -> None:
        self.sock = sock
        self._requests = requests

    def read(self) -> bytes:
        """Read one whole request and keep it in the server's list; b"" when the client has gone."""
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = self.sock.recv(65536)
            if not chunk:
                return b""
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += self.sock.recv(65536)
        self._requests.append(head + b"\r\n\r\n" + body)
        return self._requests[-1]

    def answer(self, data: bytes = OK) -> None:
        self.read()
        self.sock.sendall(data)

    def reset(self) -> None:
        """Close with a TCP RST instead of a FIN.

        Read something first: a connection that is reset before its request left was refused or reset, as the race goes.
        """
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def read_and_reset(peer: Peer) -> None:
    """Take a request, and reset its connection instead of answering."""
    peer.read()
    peer.reset()


def serve_ok(peer: Peer) -> None:
    while peer.read():
        peer.sock.sendall(OK)


class RawServer:
    """The n-th connection gets the n-th behaviour, later ones `serve_ok`; a connection closes when it returns."""

    def __init__(self, *behaviours: Callable[[Peer], object], tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self._taken = 0
        self._own: dict[Any, threading.Event] = {}
        self._behaviours = behaviours
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/messages"
        self._threads: list[threading.Thread] = []
        self._socks: list[socket.socket] = []

    @property
    def connections(self) -> int:
        """How many connections stand or stood: also one that a client has and our thread didn't see yet.

        They are accepted in their order, so that all before a connection of our own have been seen when that one is.
        """
        with socket.socket() as own:
            own.bind(("127.0.0.1", 0))
            seen = self._own[own.getsockname()] = threading.Event()
            own.connect(("127.0.0.1", self.port))
            assert seen.wait(LONGEST_WAIT_S)
        return self._taken

    def _accept(self) -> None:
        while True:
            try:
                sock, peer = self._listener.accept()
            except OSError:
                return
            if seen := self._own.pop(peer, None):
                sock.close()
                seen.set()
                continue
            sock.settimeout(10)
            self._socks.append(sock)
            number = self._taken
            self._taken += 1
            behaviour = self._behaviours[number] if number < len(self._behaviours) else serve_ok
            self._start(self._serve, sock, behaviour)

    def _serve(self, sock: socket.socket, behaviour: Callable[[Peer], object]) -> None:
        with suppress(OSError):  # the client went away, or the test is over
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
                self._socks.append(sock)
            behaviour(Peer(sock, self.requests))
        sock.close()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def refuse(self) -> None:
        """Take no further connection."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        self._threads[0].join(5)
        for sock in self._socks:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for sock in self._socks:
            sock.close()


def answering(status: bytes, *lines: bytes) -> Callable[[Peer], None]:
    answer = b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"Content-Length: 0", b"", b""])

    def serve(peer: Peer) -> None:
        while peer.read():
            peer.sock.sendall(answer)

    return serve
