"""Asking about many attempts at once: a provider that gives no answer at all is not asked on and on."""

import time

from app.delivery.asking import ask
from app.outbound import Request, Response
from tests.outbound.rawserver import Peer, RawServer

MANY = 60


def hang(peer: Peer) -> None:
    peer.read()
    peer.read()  # until the client gives up


def requests(server: RawServer, timeout_s: float) -> dict[int, Request]:
    return {number: Request("GET", f"{server.url}/{number}", timeout_s=timeout_s) for number in range(MANY)}


def read(_number: int, response: Response) -> bytes:
    return response.body


def test_everybody_is_asked_where_answers_come() -> None:
    with RawServer() as server:
        asked = ask(requests(server, 5), read)
    assert asked.found == dict.fromkeys(range(MANY), b"ok")
    assert not asked.silent


def test_a_provider_that_hangs_holds_nobody_up_for_long() -> None:
    began = time.monotonic()
    with RawServer(*[hang] * MANY) as server:
        asked = ask(requests(server, 0.5), read)
        assert asked == ({}, True)
        assert len(server.requests) < 2 * 16
    assert time.monotonic() - began < 5


def test_one_answer_among_many_that_fail_keeps_it_asking() -> None:
    def now_and_then(peer: Peer) -> None:
        if peer.read():
            peer.reset()

    with RawServer(*[now_and_then] * 10) as server:
        asked = ask(requests(server, 5), read)
    assert len(asked.found) == MANY - 10
    assert not asked.silent
