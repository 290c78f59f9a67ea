"""Asking about many attempts at once: a provider that gives no answer, or wishes for fewer questions, gets few."""

import time

import pytest
from flask import Flask

from app import tenancy
from app.outcomes.provider_queries import ask, ask_account, rest_s
from app.providers.http import Request, Response
from app.providers.sms.base import UnclearAnswer
from tests import factories
from tests.providers.rawserver import Peer, RawServer, answering

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
    assert (asked.silent, asked.wait_s) == (False, 0)


def test_a_provider_that_hangs_holds_nobody_up_for_long() -> None:
    began = time.monotonic()
    with RawServer(*[hang] * MANY) as server:
        asked = ask(requests(server, 0.5), read)
        assert (asked.found, asked.silent, asked.wait_s > 0) == ({}, True, True)
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


def ok_only(_number: int, response: Response) -> bytes:
    if response.status != 200:
        raise UnclearAnswer("refused")
    return response.body


@pytest.mark.parametrize(
    ("status", "lines", "wait_s"),
    [
        (b"429 Too Many Requests", [b"Retry-After: 7"], 7),
        (b"429 Too Many Requests", [], 30),
        (b"429 Too Many Requests", [b"Retry-After: 0"], 1),
        (b"503 Service Unavailable", [b"Retry-After: 9"], 9),
        (b"429 Too Many Requests", [b"Retry-After: 999999999"], 600),
        (
            b"429 Too Many Requests",
            [b"Date: Mon, 30 Nov 2026 10:00:00 GMT", b"Retry-After: Mon, 30 Nov 2026 10:00:20 GMT"],
            20,
        ),
    ],
)
def test_a_provider_that_wishes_for_fewer_questions_gets_no_more_of_them(
    status: bytes, lines: list[bytes], wait_s: float
) -> None:
    with RawServer(*[answering(status, *lines)] * MANY) as server:
        asked = ask(requests(server, 5), ok_only)
        assert (asked.found, asked.silent, asked.wait_s) == ({}, False, wait_s)
        assert len(asked.skipped) == MANY, "of those that it put off nothing is known either"
        assert len(server.requests) <= 16, "those that were under way"


def test_an_account_that_is_refused_is_not_asked_on_and_on() -> None:
    with RawServer(*[answering(b"401 Unauthorized")] * MANY) as server:
        asked = ask(requests(server, 5), ok_only)
        assert (asked.found, asked.wait_s > 0) == ({}, True)
        assert len(server.requests) < 2 * 16


def test_a_message_that_cannot_be_told_of_stops_no_other() -> None:
    with RawServer(*[answering(b"404 Not Found")] * 16) as server:
        asked = ask(requests(server, 5), ok_only)
        assert len(server.requests) == MANY
    assert (asked.silent, asked.wait_s) == (False, 0)


def test_what_one_worker_was_told_holds_for_all(app: Flask) -> None:
    with app.app_context():
        tenant_id = factories.tenant()
        account_id, other_id = factories.sms_account(tenant_id), factories.sms_account(tenant_id)
    busy = answering(b"429 Too Many Requests", b"Retry-After: 600")
    with app.app_context(), tenancy.tenant(tenant_id), RawServer(*[busy] * 16) as server:
        assert ask_account(account_id, requests(server, 5), ok_only, what="detail").wait_s == 600
        before = len(server.requests)
        again = ask_account(account_id, requests(server, 5), ok_only, what="detail")
        assert (again.found, 590 < again.wait_s <= 600) == ({}, True)
        assert len(server.requests) == before
        assert rest_s(other_id) == 0
        assert len(ask_account(other_id, requests(server, 5), ok_only, what="detail").found) == MANY
