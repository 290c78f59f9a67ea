"""One request when the network misbehaves: sent once or not at all, and told as it is."""

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import pycurl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.process_state import process_state
from app.providers import curl
from app.providers.curl import BODY_LIMIT, Engine, perform
from app.providers.http import Answer, Failure, Reach, Request, Response
from tests.providers.rawserver import OK, Peer, RawServer, read_and_reset

Send = Callable[[Request], Answer]


def send_all(engine: Engine[int], requests: Iterable[Request], answers: list[Answer]) -> None:
    """Send each request, all of which may leave."""
    engine.run(
        iter(enumerate(requests)),
        lambda _key, answer: answers.append(answer),
        may_connect=lambda _key: True,
        may_send=lambda _key: True,
        on_skipped=unexpected,
    )


@pytest.fixture(params=["perform", "engine"])
def send(request: pytest.FixtureRequest) -> Iterator[Send]:
    """One way to send and the other; both keep their connection between requests."""
    if request.param == "perform":
        process_state.forget(curl._OfThread)
        yield perform
        return
    with Engine[int](1) as engine:

        def send_one(one: Request) -> Answer:
            answers: list[Answer] = []
            send_all(engine, [one], answers)
            (answer,) = answers
            return answer

        yield send_one


def post(server: RawServer, body: bytes = b"to=1&body=2", timeout_s: float = 5.0) -> Request:
    return Request("POST", server.url, {"Content-Type": "application/x-www-form-urlencoded"}, body, timeout_s)


def unexpected(key: int) -> None:
    pytest.fail(f"skipped: {key}")


def unknown(reason: str) -> Failure:
    return Failure(Reach.UNKNOWN, reason)


def never_left(reason: str) -> Failure:
    return Failure(Reach.NEVER_LEFT, reason)


def settle() -> None:
    """Allow a repetition the time to arrive."""
    time.sleep(0.2)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has no such limit")
def test_the_kernel_gives_up_with_us_what_nobody_acknowledges() -> None:
    process_state.forget(curl._OfThread)
    with RawServer() as server:
        perform(post(server, timeout_s=3))
        number = curl._exchange_of_this_thread().curl.getinfo(pycurl.ACTIVESOCKET)
        with socket.socket(fileno=os.dup(number)) as connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 3000


# -- a kept-alive connection that dies --------------------------------------------------------------------------------


def ok_then_read_and_close(peer: Peer) -> None:
    peer.answer()
    peer.read()


def ok_then_read_and_reset(peer: Peer) -> None:
    peer.answer()
    peer.read()
    peer.reset()


DEATHS = [ok_then_read_and_close, ok_then_read_and_reset]


@pytest.mark.parametrize("death", DEATHS)
def test_libcurl_alone_would_send_twice(death: Callable[[Peer], object]) -> None:
    """The danger is real: without the gate the server gets the second POST again, on a new connection."""
    with RawServer(death) as server:
        handle = pycurl.Curl()
        handle.setopt(pycurl.URL, server.url)
        handle.setopt(pycurl.WRITEFUNCTION, lambda _data: None)
        for body in (b"first", b"second"):
            handle.setopt(pycurl.POSTFIELDS, body)
            handle.perform()
        handle.close()
        assert [request.rpartition(b"\r\n")[2] for request in server.requests] == [b"first", b"second", b"second"]


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("body", [b"second", b""], ids=["body", "no body"])
def test_a_request_on_a_dying_connection_is_sent_once(send: Send, death: Callable[[Peer], object], body: bytes) -> None:
    with RawServer(death) as server:
        assert send(post(server, b"first")) == Response(200, {"content-length": "2"}, b"ok")
        assert send(post(server, body)) == unknown("reset")
        settle()
        assert [request.rpartition(b"\r\n")[2] for request in server.requests] == [b"first", body]
        assert isinstance(send(post(server, b"third")), Response)  # and the line is usable again
        assert len(server.requests) == 3


def test_a_lookup_on_a_dying_connection_is_unknown_too(send: Send) -> None:
    with RawServer(ok_then_read_and_close) as server:
        for expected in (Response(200, {"content-length": "2"}, b"ok"), unknown("reset")):
            assert send(Request("GET", server.url)) == expected
        settle()
        assert len(server.requests) == 2


def test_a_connection_closed_while_idle_never_doubles(send: Send) -> None:
    """Whether libcurl sees the close in time or not, the server reads the second request at most once."""
    with RawServer(Peer.answer) as server:
        assert isinstance(send(post(server, b"first")), Response)
        time.sleep(0.05)
        answer = send(post(server, b"second"))
        settle()
        seen = [request.rpartition(b"\r\n")[2] for request in server.requests]
        assert (seen, answer) in [
            ([b"first"], unknown("reset")),
            ([b"first", b"second"], Response(200, {"content-length": "2"}, b"ok")),
        ]


def test_a_server_that_dies_whole_after_reading_is_unknown(send: Send) -> None:
    """The new connection that libcurl tries is refused, yet the request did leave."""
    with RawServer(ok_then_read_and_close) as server:
        assert isinstance(send(post(server)), Response)
        server.refuse()
        assert send(post(server)) == unknown("reset")


def test_connections_are_kept_alive(send: Send) -> None:
    with RawServer() as server:
        for _ in range(5):
            assert isinstance(send(post(server)), Response)
        assert server.connections == 1


# -- never left -------------------------------------------------------------------------------------------------------


def test_a_refused_port_never_left(send: Send) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert send(Request("POST", f"http://127.0.0.1:{port}/", body=b"x")) == never_left("refused")


def test_an_unknown_name_never_left(send: Send) -> None:
    assert send(Request("POST", "http://nowhere.invalid/", body=b"x")) == never_left("dns")


def test_a_connection_that_never_stands_never_left(send: Send) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]  # fill the backlog: further SYNs go unanswered
        for sock in waiting:
            sock.settimeout(0)
            sock.connect_ex(listener.getsockname())
        port = listener.getsockname()[1]
        assert send(Request("POST", f"http://127.0.0.1:{port}/", body=b"x", timeout_s=0.3)) == never_left("timeout")
        for sock in waiting:
            sock.close()


def test_a_tls_handshake_that_hangs_never_left(send: Send) -> None:
    over = threading.Event()
    with RawServer(lambda _peer: bool(over.wait(5))) as server:
        url = server.url.replace("http:", "https:")
        assert send(Request("POST", url, body=b"x", timeout_s=0.3)) == never_left("timeout")
        over.set()


def test_a_plain_server_behind_https_never_left(send: Send) -> None:
    with RawServer(lambda peer: peer.sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        assert send(Request("POST", server.url.replace("http:", "https:"), body=b"x")) == never_left("tls")


def test_an_untrusted_certificate_never_left(send: Send, tls_server: ssl.SSLContext) -> None:
    with RawServer(tls=tls_server) as server:
        assert send(post(server)) == never_left("tls")
        assert server.requests == []


@pytest.mark.parametrize(
    "bad",
    [
        Request("POST", "http://127.0.0.1:1/", {"Authorization": "Bearer a\r\nX-Other: b"}),
        Request("POST", "http://127.0.0.1:1/", {"Authorization": "Bearer a\ud800"}),
        Request("POST", "http://127.0.0.1:1/a\r\nb"),
        Request("PATCH", "http://127.0.0.1:1/"),
        Request("POST", "file:///etc/hostname"),
        Request("POST", "http://"),
    ],
)
def test_what_is_no_http_request_never_left(send: Send, bad: Request) -> None:
    assert send(bad) == never_left("malformed")


# -- left, and nobody knows -------------------------------------------------------------------------------------------


def read_and_hang(peer: Peer) -> None:
    peer.read()
    peer.read()  # ends when the client gives up


def read_head_and_reset(peer: Peer) -> None:
    peer.sock.recv(20)
    peer.reset()


def answering(data: bytes) -> Callable[[Peer], object]:
    return lambda peer: peer.answer(data)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (read_and_hang, "timeout"),
        (read_head_and_reset, "reset"),
        (read_and_reset, "reset"),
        (Peer.read, "empty"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"), "truncated"),
        (answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"), "truncated"),
        (answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "reset"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Le"), "truncated"),
        (answering(b"HTTP/1.1 429 Too Many Requests\r\n"), "truncated"),
        (answering(b"HTTP/1.1 103 Early Hints\r\n\r\n"), "empty"),
        (answering(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), "empty"),
        (answering(b"\x16\x03\x01 what is this\r\n\r\n"), "garbage"),
        (answering(b"HTTP/1.1 099 Odd\r\n\r\n"), "garbage"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"), "too_large"),
        (answering(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (BODY_LIMIT + 1)), "too_large"),
    ],
)
def test_what_left_without_an_answer_is_unknown(send: Send, behaviour: Callable[[Peer], object], reason: str) -> None:
    with RawServer(behaviour) as server:
        assert send(post(server, timeout_s=0.5 if reason == "timeout" else 10)) == unknown(reason)
        assert server.connections == 1


@settings(max_examples=60)
@given(st.binary(max_size=80), st.booleans())
def test_any_bytes_for_an_answer_are_an_answer_or_unknown(data: bytes, has_status: bool) -> None:  # noqa: FBT001
    data = b"HTTP/1.1 200 OK\r\n" * has_status + data
    with RawServer(answering(data)) as server, Engine[int](1) as engine:
        answers: list[Answer] = []
        send_all(engine, [post(server)], answers)
        (answer,) = answers
        assert isinstance(answer, Response) or answer.reach is Reach.UNKNOWN
        assert len(server.requests) == 1


# -- what is sent, what is read ---------------------------------------------------------------------------------------


def test_the_request_is_written_as_given_and_no_more(send: Send) -> None:
    with RawServer() as server:
        send(Request("POST", server.url, {"Authorization": "Bearer x"}, b"a=%E5%B1%8A"))
        send(Request("GET", server.url + "?tag=%20"))
        send(Request("POST", server.url, {}, b""))
        head = b"Host: 127.0.0.1:%d\r\nUser-Agent: todoke\r\nAccept: */*\r\n" % server.port
        form = b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        assert server.requests == [
            b"POST /messages HTTP/1.1\r\n" + head + b"Authorization: Bearer x\r\nContent-Length: 11\r\n" + form
            + b"a=%E5%B1%8A",
            b"GET /messages?tag=%20 HTTP/1.1\r\n" + head + b"\r\n",
            b"POST /messages HTTP/1.1\r\n" + head + b"Content-Length: 0\r\n" + form,
        ]  # fmt: skip


def test_a_large_body_does_not_wait_for_permission(send: Send) -> None:
    with RawServer() as server:
        assert isinstance(send(post(server, b"x" * 2_000_000)), Response)
        assert b"expect" not in server.requests[0][:500].lower()


def test_headers_come_in_lower_case_and_interim_ones_do_not_count(send: Send) -> None:
    data = b"HTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\n\r\n"
    data += b"HTTP/1.1 429 Slow\r\nX-A: 1\r\nX-a: 2\r\nContent-Length: 0\r\n\r\n"
    with RawServer(answering(data)) as server:
        assert send(post(server)) == Response(429, {"x-a": "1, 2", "content-length": "0"}, b"")


def test_a_redirect_is_an_answer_not_an_order(send: Send) -> None:
    with RawServer() as elsewhere:
        data = b"HTTP/1.1 307 Go\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % elsewhere.url.encode()
        with RawServer(answering(data)) as server:
            answer = send(post(server))
            assert isinstance(answer, Response)
            assert answer.status == 307
        assert elsewhere.connections == 0


def test_cookies_are_not_kept(send: Send) -> None:
    cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"

    def twice(peer: Peer) -> None:
        peer.answer(cookie)
        peer.answer(cookie)

    with RawServer(twice) as server:
        send(post(server))
        send(post(server))
        assert b"cookie" not in server.requests[1].lower()


def test_a_proxy_of_the_environment_is_not_used(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer() as proxy, RawServer() as server:
        for name in ("http_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert isinstance(send(post(server)), Response)
        assert (proxy.connections, server.connections) == (0, 1)


def test_over_tls_a_request_is_sent_once(send: Send, tls_server: ssl.SSLContext, trusted: None) -> None:
    with RawServer(ok_then_read_and_close, tls=tls_server) as server:
        assert send(post(server, b"first")) == Response(200, {"content-length": "2"}, b"ok")
        assert send(post(server, b"second")) == unknown("reset")
        settle()
        assert len(server.requests) == 2


def test_a_certificate_for_another_name_never_left(send: Send, tls_server: ssl.SSLContext, trusted: None) -> None:
    with RawServer(tls=tls_server) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        assert send(Request("POST", url, body=b"x")) == never_left("tls")


def test_each_thread_and_each_process_has_connections_of_its_own() -> None:
    process_state.forget(curl._OfThread)
    with RawServer() as server:
        perform(post(server))
        thread = threading.Thread(target=perform, args=(post(server),))
        thread.start()
        thread.join()
        assert server.connections == 2
        child = os.fork()
        if child == 0:
            os._exit(0 if isinstance(perform(post(server)), Response) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert server.connections == 3
        assert isinstance(perform(post(server)), Response)  # on the parent's own, still good
        assert server.connections == 3


def test_ok_is_what_the_raw_server_says() -> None:
    with RawServer() as server, socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert sock.recv(1000) == OK


def test_what_may_not_leave_at_the_last_moment_does_not() -> None:
    with RawServer() as server:
        request = Request("POST", server.url, body=b"x")
        assert perform(request, lambda: False) == Failure(Reach.NEVER_LEFT, "held")
        assert server.requests == []
        with pytest.raises(ZeroDivisionError):
            perform(request, lambda: bool(1 / 0))
        assert server.requests == []
        answer = perform(request)
        assert isinstance(answer, Response)
