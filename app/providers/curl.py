"""The one place where HTTP leaves this house: libcurl, one request at a time (`perform`) or many at once (`Engine`).

In: `Request`s. Out: exactly one `Answer` for each that left. Can't happen here: a request sent twice, a redirect
followed, a certificate unchecked, an answer of more than `BODY_LIMIT` bytes kept.

Left to itself libcurl repeats a request, POST too, when a kept-alive connection dies before the first byte of an answer
(Curl_retry_request in its lib/transfer.c): for an SMS that is a second SMS. It asks CURLOPT_PREREQFUNCTION each time a
connection stands and the request is about to be written, for a repetition as well (multistate_do in lib/multi.c). That
callback is the gate here: it opens once per request. It also draws the only honest line between "never left" and
"unknown": before the gate no byte was written, after it the other side may have acted, whatever the error says.
"""

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

import certifi
import pycurl

from app.process_state import process_state
from app.providers.http import Answer, Failure, Reach, Request, Response

BODY_LIMIT: Final = 1024 * 1024  # bytes of an answer; a provider's is a few KiB
CONNECT_TIMEOUT_S: Final = 10.0  # nothing has left yet: give up early, another try is safe
# Servers commonly drop an idle connection after 5 s or more; to send on one that is just being dropped ends as unknown.
IDLE_LIMIT_S: Final = 4
MAX_CONNECTIONS: Final = 900  # select(2) sees file numbers up to 1023; the rest is for databases, logs and the like
CA_FILE = certifi.where()

# how old the word that a request may leave can be as its first byte does; seconds
_WORD_HOLDS_S: Final = 1.0
# also runs while the machine sleeps; elsewhere than on Linux there is none
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_PAUSE_S: Final = 0.01  # how soon a source that had nothing is asked again
_WAIT_S: Final = 0.5  # the longest sleep while answers are awaited; signals and time limits are seen in between
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")

# libcurl's errors in our words, on either side of the gate. Only the side decides about `Reach`.
_BEFORE: Final = {
    pycurl.E_COULDNT_RESOLVE_HOST: "dns",
    pycurl.E_COULDNT_CONNECT: "refused",
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    pycurl.E_SSL_CONNECT_ERROR: "tls",
    pycurl.E_SSL_CACERT: "tls",
    pycurl.E_SSL_CACERT_BADFILE: "tls",
    pycurl.E_URL_MALFORMAT: "malformed",
    pycurl.E_UNSUPPORTED_PROTOCOL: "malformed",
}
_AFTER: Final = {
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    pycurl.E_GOT_NOTHING: "empty",
    pycurl.E_PARTIAL_FILE: "truncated",
    pycurl.E_FILESIZE_EXCEEDED: "too_large",
    pycurl.E_UNSUPPORTED_PROTOCOL: "garbage",
    pycurl.E_FTP_WEIRD_SERVER_REPLY: "garbage",  # the same number is HTTP's "weird server reply"
    pycurl.E_SEND_ERROR: "reset",
    pycurl.E_RECV_ERROR: "reset",
    pycurl.E_ABORTED_BY_CALLBACK: "reset",  # a kept-alive connection died and the gate stayed shut
    pycurl.E_COULDNT_CONNECT: "reset",  # the same, and the new connection failed before it came to the gate
}

K = TypeVar("K")


class _Malformed(Exception):  # noqa: N818 - never leaves this module
    """A request that can't be written as HTTP/1.1, such as a pasted credential with a line break."""


class _Exchange:
    """A libcurl handle, used for one request after the other, and what became of the present one."""

    def __init__(self, may_reach: Callable[[str], bool] | None = None) -> None:
        self.may_send: Callable[[], bool] | None = None
        self.left = False
        self.held = False
        self._may_reach = may_reach
        self._refused = False
        self._opened: socket.socket | None = None
        self.raised: BaseException | None = None
        self._options: object = None
        self._timeout_ms = 0
        self._head: list[bytes] = []
        self._body: list[bytes] = []
        curl = self.curl = pycurl.Curl()
        curl.setopt(pycurl.PREREQFUNCTION, self._gate)
        curl.setopt(pycurl.HEADERFUNCTION, self._head.append)
        curl.setopt(pycurl.WRITEFUNCTION, self._body.append)
        curl.setopt(pycurl.MAXFILESIZE, BODY_LIMIT)
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.FOLLOWLOCATION, 0)
        curl.setopt(pycurl.PROXY, "")  # none, whatever the environment says
        curl.setopt(pycurl.CAINFO, CA_FILE)
        curl.setopt(pycurl.SSL_VERIFYPEER, 1)
        curl.setopt(pycurl.SSL_VERIFYHOST, 2)
        curl.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.MAXAGE_CONN, IDLE_LIMIT_S)
        curl.setopt(pycurl.USERAGENT, "todoke")
        curl.setopt(pycurl.SOCKOPTFUNCTION, self._connecting)
        if may_reach is not None:
            curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open)

    def _open(self, _purpose: int, address: Any) -> socket.socket | int:  # noqa: ANN401 - pycurl's own
        """Open the socket to an address that libcurl resolved, unless it may not be reached: no look-up comes after."""
        try:
            if self._may_reach is not None and self._may_reach(address.addr[0]):
                self._opened = socket.socket(address.family, address.socktype, address.protocol)
                return self._opened
            self._refused = True
        except Exception as error:  # noqa: BLE001 - raised again by the loop, as soon as libcurl has let go
            self.raised = error
        return pycurl.SOCKET_BAD

    def _connecting(self, number: int, _purpose: int) -> int:
        """Let the kernel give up what the other side doesn't acknowledge in time.

        Of a process that died it would otherwise go on delivering what was written, minutes later (retransmission).
        """
        if self._opened is not None:  # pycurl has made itself a copy
            self._opened.close()
            self._opened = None
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            with socket.socket(fileno=os.dup(number)) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self._timeout_ms)
        return pycurl.SOCKOPT_OK

    def _gate(self, *_connection: object) -> int:
        """Return whether the request may be written now.

        No exception may end in pycurl, which would swallow it.
        """
        if self.left:
            return pycurl.PREREQFUNC_ABORT
        asked = time.clock_gettime(_CLOCK)
        try:
            self.held = self.may_send is not None and not self.may_send()
            # frozen since it was asked (SIGSTOP, a suspended machine), its word is old: ask anew, with a request anew
            self.held = self.held or time.clock_gettime(_CLOCK) - asked > _WORD_HOLDS_S
        except BaseException as error:  # noqa: BLE001 - raised again by the loop, as soon as libcurl has let go
            self.raised = error
            return pycurl.PREREQFUNC_ABORT
        if self.held:
            return pycurl.PREREQFUNC_ABORT
        self.left = True
        return pycurl.PREREQFUNC_OK

    def load(self, request: Request) -> None:
        """Set the handle to `request`. Raises _Malformed."""
        self.left = self.held = self._refused = False
        self.raised = None
        self._head.clear()
        self._body.clear()
        options = (request.method, request.url, request.headers, request.timeout_s)
        if options != self._options:  # the messages of a slice differ in their bodies only
            self._options = None
            self._set_options(request)
            self._options = options
        if request.method == "POST":
            self.curl.setopt(pycurl.POSTFIELDS, request.body)

    def _set_options(self, request: Request) -> None:
        if request.method not in {"GET", "POST"}:
            raise _Malformed
        try:
            url = request.url.encode()
            lines = [f"{name}: {value}".encode() for name, value in request.headers.items()]
        except UnicodeEncodeError:  # a lone surrogate; the error would show the value
            raise _Malformed from None
        if any(_CONTROL.search(line) for line in (url, *lines)):
            raise _Malformed
        curl = self.curl
        curl.setopt(pycurl.URL, url)
        curl.setopt(pycurl.HTTPHEADER, [*lines, b"Expect:"])
        self._timeout_ms = max(1, round(request.timeout_s * 1000))
        curl.setopt(pycurl.TIMEOUT_MS, self._timeout_ms)
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, round(min(request.timeout_s, CONNECT_TIMEOUT_S) * 1000)))
        if request.method == "GET":
            curl.setopt(pycurl.HTTPGET, 1)

    def answer(self, error: int) -> Answer:
        """Read what came; `error` is libcurl's, 0 for none."""
        if self.held:
            return Failure(Reach.NEVER_LEFT, "held")
        if error:
            if self._refused and not self.left:
                return Failure(Reach.NEVER_LEFT, "address")
            words, reach = (_AFTER, Reach.UNKNOWN) if self.left else (_BEFORE, Reach.NEVER_LEFT)
            return Failure(reach, words.get(error, f"curl_{error}"))
        headers = _headers(self._head)
        if headers is None:
            return Failure(Reach.UNKNOWN, "truncated")
        return Response(self.curl.getinfo(pycurl.RESPONSE_CODE), headers, b"".join(self._body))


def _headers(lines: list[bytes]) -> dict[str, str] | None:
    """Read header lines as libcurl gives them: an interim answer's (1xx) come first and don't count.

    None where the blank line at the end is missing: libcurl takes a head that broke off for a whole one.
    """
    headers: dict[str, str] = {}
    whole = False
    for line in lines:
        if line.startswith(b"HTTP/"):
            headers.clear()
            whole = False
            continue
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            name = name.strip().lower()
            headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
        elif not line.strip():
            whole = True
    return headers if whole else None


class _OfThread(threading.local):
    """A thread's handles, by the process that it made them in."""

    def __init__(self) -> None:
        self.by_process: dict[int, _Exchange] = {}


def perform(request: Request, may_send: Callable[[], bool] | None = None) -> Answer:
    """Do one request and wait for its answer. Connections are kept alive per thread.

    `may_send` is asked at the last moment before the first byte leaves; where it says no, nothing does: `held`.
    """
    exchange = _exchange_of_this_thread()
    exchange.may_send = may_send
    try:
        exchange.load(request)
    except _Malformed:
        return Failure(Reach.NEVER_LEFT, "malformed")
    code = 0
    try:
        exchange.curl.perform()
    except pycurl.error as error:
        code = int(error.args[0])
    if exchange.raised is not None:
        raise exchange.raised
    return exchange.answer(code)


def _exchange_of_this_thread() -> _Exchange:
    """Return this thread's handle; a forked child gets its own, and leaves the parent's connections untouched."""
    by_process = process_state.of(_OfThread).by_process
    pid = os.getpid()
    if pid not in by_process:
        by_process[pid] = _Exchange()
    return by_process[pid]


class Engine(Generic[K]):
    """Many requests at once over kept-alive connections.

    Made, used and closed by one thread of one process.

    `connections` is how many requests are under way at once, 1 to `MAX_CONNECTIONS`: HTTP/1.1 carries one at a time.
    `may_reach` is asked for each connection about the very address that it is opened to; without one all may be.
    """

    def __init__(self, connections: int, *, may_reach: Callable[[str], bool] | None = None) -> None:
        if not 1 <= connections <= MAX_CONNECTIONS:
            raise ValueError(f"connections must be 1 to {MAX_CONNECTIONS}, not {connections}")
        self._connections = connections
        self._may_reach = may_reach
        self._pid = os.getpid()
        self._idle: list[_Exchange] = []
        self._under_way: dict[pycurl.Curl, tuple[K, _Exchange]] = {}
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, connections)
        self._multi.setopt(pycurl.M_MAXCONNECTS, connections)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection. Requests under way end without an answer."""
        self._drop_all()
        for exchange in self._idle:
            exchange.curl.close()
        self._idle.clear()
        self._multi.close()

    def run(
        self,
        source: Iterator[tuple[K, Request] | None],
        on_answer: Callable[[K, Answer], None],
        *,
        may_connect: Callable[[K], bool],
        may_send: Callable[[K], bool],
        on_skipped: Callable[[K], None],
    ) -> None:
        """Send what `source` gives until it ends and every answer is in.

        `source` is asked only when a connection is free, so memory does not grow with the campaign; it gives None for
        "nothing at the moment" (pacing, a slice still being read) and is asked again 10 ms later. `may_connect` is
        asked before a request takes a connection, `may_send` at the last moment before its first byte leaves, once
        each: the lease and the send window hold there. Where one says no, nothing leaves and `on_skipped` is called;
        for every other request `on_answer` is, exactly once. The callbacks run between reads: keep them short.

        An exception of a callback, or a signal handler's, ends the run and is raised; requests then under way are
        dropped without an answer, so whoever committed them before must count them as unknown.
        """
        if os.getpid() != self._pid:
            raise RuntimeError("an Engine belongs to the process that made it: its connections are not shared")
        more = True
        try:
            while more or self._under_way:
                pause = False
                while more and not pause and len(self._under_way) < self._connections:
                    item = next(source, _END)
                    if isinstance(item, _End):
                        more = False
                    elif item is None:
                        pause = True
                    elif may_connect(item[0]):
                        self._send(*item, on_answer, may_send)
                    else:
                        on_skipped(item[0])
                self._multi.perform()
                self._collect(on_answer, on_skipped)
                if pause:
                    self._wait(_PAUSE_S)
                elif self._under_way and (not more or len(self._under_way) == self._connections):
                    self._wait(_WAIT_S)
        finally:
            self._drop_all()

    def _send(
        self, key: K, request: Request, on_answer: Callable[[K, Answer], None], may_send: Callable[[K], bool]
    ) -> None:
        exchange = self._idle.pop() if self._idle else _Exchange(self._may_reach)
        try:
            exchange.load(request)
        except _Malformed:
            self._idle.append(exchange)
            on_answer(key, Failure(Reach.NEVER_LEFT, "malformed"))
            return
        exchange.may_send = lambda: may_send(key)
        self._under_way[exchange.curl] = (key, exchange)
        self._multi.add_handle(exchange.curl)

    def _collect(self, on_answer: Callable[[K, Answer], None], on_skipped: Callable[[K], None]) -> None:
        """Hand over every answer that is complete."""
        queued = 1
        while queued:
            queued, answered, failed = self._multi.info_read()
            ended = [(curl, 0) for curl in answered] + [(curl, error) for curl, error, _text in failed]
            for curl, error in ended:
                self._multi.remove_handle(curl)
                key, exchange = self._under_way.pop(curl)
                self._idle.append(exchange)
                if exchange.raised is not None:
                    raise exchange.raised
                if exchange.held:
                    on_skipped(key)
                else:
                    on_answer(key, exchange.answer(error))

    def _wait(self, limit_s: float) -> None:
        """Sleep until a socket is ready, libcurl's own clock rings, or `limit_s` is over."""
        if not self._under_way:
            time.sleep(limit_s)
            return
        clock_ms = self._multi.timeout()
        wait_s = limit_s if clock_ms < 0 else min(limit_s, clock_ms / 1000)
        if wait_s and not self._multi.select(wait_s):
            time.sleep(0.001)  # select returns at once where libcurl has no socket yet, while it resolves a name

    def _drop_all(self) -> None:
        while self._under_way:
            curl, (_key, exchange) = self._under_way.popitem()
            self._multi.remove_handle(curl)
            self._idle.append(exchange)


class _End:
    """The value that `next` gives when a source is over; None means something else there."""


_END: Final = _End()
