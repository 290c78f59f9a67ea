"""Guard the product against slow and long requests: lengths, bodies that come in time, turns.

In: a WSGI request whose head the server has read. Out: the product's answer, or a refusal in words: 413, 414, 431 for
what is too long, 408 for a body that doesn't come, 503 while too many come at once. Can't happen here: a body read on
one of the product's turns, so that a connection that says nothing keeps nobody waiting; a body that takes the room of a
quicker one, as the latest gives way when room is short; a body that is parsed before its length is known.

A request whose body doesn't come is answered, but returns only once its connection is closed. Why:
docs/adr/0008-requests-before-the-product.md.
"""

from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

import structlog

from app import limits
from app.web import bare_pages, bare_problems
from app.web.request_bodies import BODY_S, READ_ALL_THE_SAME, Body, Readers, Room, Slots

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# requests that one process works on at a time: Python runs one of them, the others wait for the database
TURNS = 5
# Of those so many for the back office and for what other systems push, and of these so many for what is pushed: it
# comes in bursts, and no recipient waits behind staff or a burst, no clerk behind a burst.
_BUSY = (("/admin", "/callbacks/", limits.API), 4)
_PUSHED = (("/callbacks/",), 3)
# and so many for companies' systems, which come in bursts too
_SYSTEMS = ((limits.API,), 3)
# threads of the server: all turns, all bodies on their way or being ended, and room for pages beside them
SERVER_THREADS = 448

_BODY_KEY, _LATE_KEY = "todoke.body", "todoke.late_body"

_log = structlog.get_logger()


class _BodyReading(NamedTuple):
    """The way of a body into the product."""

    readers: Readers
    slots: Slots
    body_s: float


class _Farewell:
    """A refusal whose request ends once its body is read no more: the server closes the connection meanwhile."""

    def __init__(self, page: list[bytes], late: Body) -> None:
        self._pieces = iter(page)
        self._late = late

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except StopIteration:
            self._late.await_end()
            raise

    def close(self) -> None:
        """Be closed, as WSGI asks."""


def wrap(
    application: "WSGIApplication",
    upload_max_bytes: int,
    signed_in: "Callable[[WSGIEnvironment], bool]",
    host: str,
    *,
    body_s: float = BODY_S,
    room: Room = Room(),  # noqa: B008 - it never changes
) -> "WSGIApplication":
    """Return `application` behind this guard.

    `signed_in` tells whether a request carries a session of staff, or a key that opens the API. `host` is one that is
    ours: /healthz is asked for by whatever name or address.
    """
    reading = _BodyReading(Readers(), Slots(room), body_s)
    gates = [(prefixes, _tokens(most)) for prefixes, most in (_PUSHED, _SYSTEMS, _BUSY, (("",), TURNS))]

    def guarded(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        refusal = _too_long(environ) or _take_body(environ, upload_max_bytes, signed_in, reading)
        if refusal:
            page = _refused(refusal, environ, start_response)
            late: Body | None = environ.get(_LATE_KEY)
            return page if late is None else _Farewell(page, late)
        if environ["PATH_INFO"] == "/healthz":
            environ["HTTP_HOST"] = host
            # also while all turns wait for somebody else
            return application(environ, start_response)
        passed = [tokens for prefixes, tokens in gates if environ["PATH_INFO"].startswith(prefixes)]
        for tokens in passed:
            tokens.get()
        try:
            return application(environ, start_response)
        finally:
            for tokens in passed:
                tokens.put(None)
            if (body := environ.get(_BODY_KEY)) is not None:
                body.close()

    return guarded


def _tokens(count: int) -> SimpleQueue[None]:
    """Return a queue of tokens: the quickest semaphore there is."""
    tokens: SimpleQueue[None] = SimpleQueue()
    for _ in range(count):
        tokens.put(None)
    return tokens


def _too_long(environ: "WSGIEnvironment") -> str:
    """Return the status that refuses this request's head, or nothing."""
    if len(environ["PATH_INFO"]) > limits.PATH:
        return "414 URI Too Long"
    query = environ.get("QUERY_STRING", "")
    if query and (len(query) > limits.QUERY or query.count("&") >= limits.QUERY_FIELDS):
        return "414 URI Too Long"
    for name, most in _HEADERS:
        if name in environ and len(environ[name]) > most:
            return _TOO_LARGE
    if environ["PATH_INFO"].startswith(limits.PUSHED) and any(
        name.startswith("HTTP_") and len(value) > limits.PUSHED_HEADER for name, value in environ.items()
    ):
        return _TOO_LARGE
    return ""


_TOO_LARGE = "431 Request Header Fields Too Large"


_HEADERS = tuple(limits.HEADERS.items())


def _take_body(
    environ: "WSGIEnvironment",
    upload_max_bytes: int,
    signed_in: "Callable[[WSGIEnvironment], bool]",
    reading: _BodyReading,
) -> str:
    """Read the body before the product does; return the status that refuses it, or nothing."""
    told = environ.get("CONTENT_LENGTH", "")
    length = int(told) if told.isascii() and told.isdigit() else None
    # where the server doesn't end the stream, nobody knows how much would come
    untold = "HTTP_TRANSFER_ENCODING" in environ and environ.get("wsgi.input_terminated")
    if not length and not untold:
        return "411 Length Required" if told and length is None else ""
    allowed = limits.body_of(environ["PATH_INFO"], upload_max_bytes)
    if not allowed.raw and not environ.get("CONTENT_TYPE", "").lower().startswith("multipart/form-data"):
        # a form without a file is parsed whole, in memory: an upload's size is not its own
        allowed = allowed._replace(most=min(allowed.most, limits.LARGEST_FORM))
    # nobody's upload is not kept: the product, which sees nothing of it, leads its sender to the sign-in
    unasked = allowed.staff and not signed_in(environ)
    most = 0 if unasked else allowed.most
    refusal = "413 Content Too Large"
    if length is None or length <= most + READ_ALL_THE_SAME:
        body = Body(environ["wsgi.input"], length, most)
        refusal = _read(body, environ, reading)
        if not refusal and _too_many_fields(environ, body, allowed.fields):
            refusal = "413 Content Too Large"
        if not refusal:
            environ["wsgi.input"] = environ[_BODY_KEY] = body.kept
        elif _LATE_KEY not in environ:
            body.kept.close()
    if unasked and refusal.startswith("413"):
        environ["wsgi.input"], environ["CONTENT_LENGTH"], refusal = BytesIO(), "0", ""
    return refusal


def _read(body: Body, environ: "WSGIEnvironment", reading: _BodyReading) -> str:
    """Have a body read; return the status that refuses it, or nothing once it is here whole."""
    if not reading.slots.take(body, environ.get("REMOTE_ADDR", "")):
        return "503 Service Unavailable"

    def read() -> None:
        try:
            body.read()
        finally:
            reading.slots.give_back(body)

    reading.readers.run(read)
    if not body.wait(reading.body_s):
        environ[_LATE_KEY] = body
        return "408 Request Timeout"
    return "413 Content Too Large" if body.too_large else ""


def _too_many_fields(environ: "WSGIEnvironment", body: Body, most: int) -> bool:
    """Return whether a form has too many fields. Those of a form with files are counted as it is parsed."""
    form = environ.get("CONTENT_TYPE", "").lower().startswith("application/x-www-form-urlencoded")
    return form and isinstance(body.kept, BytesIO) and body.kept.getbuffer().tobytes().count(b"&") >= most


def _refused(status: str, environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
    _log.info("request refused", status=status, method=environ["REQUEST_METHOD"])
    media_type = "text/html; charset=utf-8"
    if environ["PATH_INFO"].startswith(limits.API):
        page = bare_problems.body(int(status[:3]), environ.get("HTTP_ACCEPT_LANGUAGE", ""))
        media_type = bare_problems.MEDIA_TYPE
    else:
        page = bare_pages.page(int(status[:3]), environ["PATH_INFO"])
    headers = [("Content-Type", media_type), ("Content-Length", str(len(page)))]
    if status.startswith("503"):
        headers.append(("Retry-After", "60"))
    if status.startswith("408"):
        headers.append(("Connection", "close"))
    start_response(status, headers)
    return [page] if environ["REQUEST_METHOD"] != "HEAD" else []
