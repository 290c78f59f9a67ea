"""Many requests at once: each answered once, none after the gate is shut, no more at a time than asked for."""

import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NoReturn

import pytest

from app.providers.curl import MAX_CONNECTIONS, Engine
from app.providers.http import Answer, Failure, Reach, Request, Response
from tests.providers.rawserver import Peer, RawServer


def always(_key: object) -> bool:
    return True


def unexpected(key: object) -> None:
    pytest.fail(f"unexpected: {key}")


def run(
    engine: Engine[int],
    source: Iterator[tuple[int, Request] | None],
    on_answer: Callable[[int, Answer], None],
    *,
    may_connect: Callable[[int], bool] = always,
    may_send: Callable[[int], bool] = always,
    on_skipped: Callable[[int], None] = unexpected,
) -> None:
    """Send what `source` gives; where nothing else is said all of it may leave."""
    engine.run(source, on_answer, may_connect=may_connect, may_send=may_send, on_skipped=on_skipped)


def posts(server: RawServer, count: int, first: int = 0) -> Iterator[tuple[int, Request]]:
    for number in range(first, first + count):
        yield number, Request("POST", server.url, {}, b"%d" % number)


def bodies(server: RawServer) -> list[bytes]:
    return [request.rpartition(b"\r\n")[2] for request in server.requests]


def test_every_request_is_sent_once_and_answered_once() -> None:
    answers: dict[int, Answer] = {}
    with RawServer() as server, Engine[int](8) as engine:
        for _run in range(2):
            answers.clear()
            server.requests.clear()
            run(engine, posts(server, 500), answers.__setitem__)
            assert sorted(bodies(server)) == sorted(b"%d" % number for number in range(500))
            assert len(answers) == 500
            assert all(isinstance(answer, Response) and answer.body == b"ok" for answer in answers.values())
        assert server.connections <= 8


def test_dying_connections_in_a_crowd_double_nothing() -> None:
    """Forty connections die after they have read a request on a kept-alive line."""
    died_with: list[bytes] = []

    def three_and_out(peer: Peer) -> None:
        for _ in range(3):
            peer.answer()
        read = peer.read()
        if read:
            died_with.append(read.rpartition(b"\r\n")[2])
            peer.reset()

    answers: dict[int, Answer] = {}
    with RawServer(*[three_and_out] * 40) as server, Engine[int](10) as engine:
        run(engine, posts(server, 300), answers.__setitem__)
        time.sleep(0.2)
        assert sorted(bodies(server)) == sorted(b"%d" % number for number in range(300))
    unknown = [b"%d" % key for key, answer in answers.items() if answer == Failure(Reach.UNKNOWN, "reset")]
    assert len(died_with) > 10
    assert sorted(unknown) == sorted(died_with)
    assert sum(isinstance(answer, Response) for answer in answers.values()) == 300 - len(died_with)


def test_a_failing_host_does_not_stop_the_others() -> None:
    def mixed(server: RawServer) -> Iterator[tuple[int, Request]]:
        for number in range(30):
            url = server.url if number % 3 else "http://nowhere.invalid/"
            yield number, Request("POST", url, {"X": "a\nb"} if number % 3 == 1 else {}, b"x")

    answers: dict[int, Answer] = {}
    with RawServer() as server, Engine[int](4) as engine:
        run(engine, mixed(server), answers.__setitem__)
    assert [answers[key] for key in (0, 1)] == [
        Failure(Reach.NEVER_LEFT, "dns"),
        Failure(Reach.NEVER_LEFT, "malformed"),
    ]
    assert sum(isinstance(answer, Response) for answer in answers.values()) == 10


def test_no_more_at_once_than_connections_and_none_drawn_ahead() -> None:
    drawn: list[int] = []
    answered: list[int] = []
    most = 0

    def counted(server: RawServer) -> Iterator[tuple[int, Request]]:
        nonlocal most
        for key, request in posts(server, 60):
            drawn.append(key)
            most = max(most, len(drawn) - len(answered))
            yield key, request

    def slow(peer: Peer) -> None:
        while peer.read():
            time.sleep(0.002)
            peer.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with RawServer(*[slow] * 5) as server, Engine[int](5) as engine:
        run(engine, counted(server), lambda key, _answer: answered.append(key))
        assert (most, server.connections) == (5, 5)


def test_a_closed_window_stops_what_has_not_left() -> None:
    open_for = 7
    answers: dict[int, Answer] = {}
    skipped: list[int] = []
    with RawServer() as server, Engine[int](3) as engine:
        run(
            engine,
            posts(server, 20),
            answers.__setitem__,
            may_connect=lambda key: key < open_for,
            on_skipped=skipped.append,
        )
        assert sorted(answers) == list(range(7))
        assert skipped == list(range(7, 20))
        assert len(server.requests) == 7


def test_the_window_is_asked_again_when_the_connection_stands() -> None:
    """It shut while the connection was being made: not a byte leaves."""
    asked: list[int] = []
    skipped: list[int] = []

    def shut(key: int) -> bool:
        asked.append(key)
        return False

    with RawServer() as server, Engine[int](1) as engine:
        run(engine, posts(server, 1), unexpected_answer, may_send=shut, on_skipped=skipped.append)
        assert (asked, skipped, server.requests) == ([0], [0], [])
        assert server.connections == 1
        answers: dict[int, Answer] = {}
        run(engine, posts(server, 1), answers.__setitem__)  # the handle is as good as new
        assert isinstance(answers[0], Response)


def test_a_connection_that_stands_is_counted_before_the_raw_servers_thread_ran() -> None:
    with RawServer() as server, ExitStack() as opened:
        for count in range(1, 21):
            opened.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            assert server.connections == count


def unexpected_answer(key: int, answer: Answer) -> None:
    pytest.fail(f"unexpected: {key} {answer}")


def test_a_source_with_nothing_yet_is_asked_again() -> None:
    answered = threading.Event()

    def paced(server: RawServer) -> Iterator[tuple[int, Request] | None]:
        yield from posts(server, 1)
        while not answered.is_set():  # only a loop that goes on reading answers gets past this
            yield None
        yield None
        yield 1, Request("POST", server.url, {}, b"1")

    keys: list[int] = []

    def on_answer(key: int, _answer: Answer) -> None:
        keys.append(key)
        answered.set()

    with RawServer() as server, Engine[int](2) as engine:
        run(engine, paced(server), on_answer)
    assert keys == [0, 1]


def test_waiting_costs_no_processor() -> None:
    def slow(peer: Peer) -> None:
        peer.read()
        time.sleep(1)
        peer.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with RawServer(slow) as server, Engine[int](2) as engine:
        began = time.thread_time()
        run(engine, posts(server, 1), lambda _key, _answer: None)
        assert time.thread_time() - began < 0.3


class BoomError(Exception):
    pass


def boom(*_args: object) -> NoReturn:
    raise BoomError


def ignore(*_args: object) -> None:
    pass


def failing_source(server: RawServer) -> Iterator[tuple[int, Request]]:
    yield from posts(server, 1)
    raise BoomError


@pytest.mark.parametrize("where", ["answer", "connect", "send", "skipped", "source"])
def test_an_exception_of_a_callback_ends_the_run_and_leaves_the_engine_whole(where: str) -> None:
    may_connect: dict[str, Callable[[int], bool]] = {"connect": boom, "skipped": lambda _key: False}
    may_send: dict[str, Callable[[int], bool]] = {"send": boom}
    with RawServer() as server, Engine[int](2) as engine:
        with pytest.raises(BoomError):
            run(
                engine,
                failing_source(server) if where == "source" else posts(server, 10),
                boom if where == "answer" else ignore,
                may_connect=may_connect.get(where, always),
                may_send=may_send.get(where, always),
                on_skipped=boom if where == "skipped" else ignore,
            )
        answers: dict[int, Answer] = {}
        run(engine, posts(server, 4, first=100), answers.__setitem__)
        assert sorted(answers) == [100, 101, 102, 103]
        assert max(Counter(bodies(server)).values()) == 1


def test_an_engine_stays_in_its_process() -> None:
    with RawServer() as server, Engine[int](1) as engine:
        child = os.fork()
        if child == 0:
            try:
                run(engine, posts(server, 1), lambda _key, _answer: None)
            except RuntimeError:
                os._exit(0)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert server.requests == []


@pytest.mark.parametrize("connections", [0, MAX_CONNECTIONS + 1])
def test_an_engine_has_a_sensible_size(connections: int) -> None:
    with pytest.raises(ValueError, match="connections must be 1 to"):
        Engine(connections)


def test_a_word_that_grew_old_while_the_process_was_frozen_lets_nothing_leave() -> None:
    """Frozen between its last look at the lease and the first byte: another worker may have the message by now."""
    skipped: list[int] = []

    def frozen_at_the_gate(key: int) -> bool:
        if key == 1:
            time.sleep(1.2)
        return True

    answers: dict[int, Answer] = {}
    with RawServer() as server, Engine[int](1) as engine:
        run(engine, posts(server, 3), answers.__setitem__, may_send=frozen_at_the_gate, on_skipped=skipped.append)
        assert skipped == [1]
        assert sorted(answers) == [0, 2]
        assert sorted(bodies(server)) == [b"0", b"2"]
