"""People who wait for a payment provider that hangs are few, and wait shortly."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from app import config
from app.payments import bulkhead
from app.payments.bulkhead import SILENT, Bulkhead, person_waits
from app.payments.checkout import Outcome
from app.providers.http import Failure, Request, Response
from sandbox.harness import Sandbox
from tests.payments.shop import Buyer
from tests.providers.rawserver import Peer, RawServer
from tests.waiting import until


class Clock:
    """The clock by which it is decided who waits: runs on, and is put ahead."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead_s

    def ahead(self, seconds: float) -> None:
        self._ahead_s += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def places(clock: Clock) -> Bulkhead:
    """Let an answer be waited for shortly, and a provider's rest be long: it is over when the clock is put ahead."""
    return Bulkhead(answer_within_s=1.5, slow_s=60, rest_s=600, clock=clock.monotonic)


@pytest.fixture
def hanging() -> Iterator[RawServer]:
    with RawServer(*[hang] * 20) as server:
        yield server


def hang(peer: Peer) -> None:
    while peer.read():
        pass


def answer(peer: Peer) -> None:
    peer.answer(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")


def slowly(peer: Peer) -> None:
    time.sleep(0.3)
    answer(peer)


def told(places: Bulkhead, url: str) -> str:
    """Ask as somebody at a screen does; return what came of it."""
    with person_waits():
        got = places.ask(Request("GET", url))
    return "answered" if isinstance(got, Response) else got.reason


def one_by_one(places: Bulkhead, server: RawServer, clock: Clock, count: int) -> list[str]:
    """Let so many ask, each half a minute after the one before, while nobody has an answer yet."""
    found: list[str] = []

    def ask() -> None:
        found.append(told(places, server.url))

    def begin(thread: threading.Thread) -> None:
        before = len(server.requests)
        thread.start()
        until(lambda: not thread.is_alive() or len(server.requests) > before)

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        begin(thread)
        clock.ahead(31)
    for thread in threads:
        thread.join()
    return found


def test_a_hanging_site_keeps_few_waiting_and_then_nobody(places: Bulkhead, hanging: RawServer, clock: Clock) -> None:
    found = one_by_one(places, hanging, clock, 6)
    assert sorted(set(found)) == [SILENT, "timeout"]
    assert found.count("timeout") <= 3
    asked = len(hanging.requests)
    assert told(places, hanging.url) == SILENT
    assert len(hanging.requests) == asked


def test_after_a_rest_one_alone_tries(places: Bulkhead, hanging: RawServer, clock: Clock) -> None:
    assert [told(places, hanging.url) for _ in range(3)] == ["timeout", "timeout", SILENT]
    clock.ahead(601)
    assert sorted(one_by_one(places, hanging, clock, 3)) == [SILENT, SILENT, "timeout"]


def test_one_answer_and_all_is_well(places: Bulkhead, clock: Clock) -> None:
    with RawServer(hang, hang, answer, answer, answer) as server:
        assert [told(places, server.url), told(places, server.url)] == ["timeout", "timeout"]
        clock.ahead(601)
        assert [told(places, server.url) for _ in range(3)] == ["answered"] * 3


def test_another_site_is_none_of_it(places: Bulkhead, hanging: RawServer) -> None:
    assert [told(places, hanging.url) for _ in range(3)] == ["timeout", "timeout", SILENT]
    with RawServer(answer) as other:
        assert told(places, other.url) == "answered"


def test_four_who_press_in_one_second_leave_a_thread_for_pages(hanging: RawServer) -> None:
    """A web process has four threads: the fourth is told within about a second, while the others still wait."""
    places = Bulkhead(answer_within_s=5)
    found: list[str] = []

    def press() -> None:
        found.append(told(places, hanging.url))

    threads = [threading.Thread(target=press) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [SILENT, "timeout", "timeout", "timeout"]
    assert len(hanging.requests) == 3


def test_who_comes_fourth_gets_the_place_of_one_that_was_answered() -> None:
    places = Bulkhead()
    with RawServer(*[slowly] * 4) as server:
        found: list[str] = []
        threads = [threading.Thread(target=lambda: found.append(told(places, server.url))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == ["answered"] * 4


def test_a_job_has_time(places: Bulkhead, hanging: RawServer) -> None:
    assert [told(places, hanging.url) for _ in range(3)] == ["timeout", "timeout", SILENT]
    got = places.ask(Request("GET", hanging.url, timeout_s=1))
    assert isinstance(got, Failure)
    assert got.reason == "timeout"


def test_who_presses_pay_is_told_at_once(new_buyer: Callable[[], Buyer], site: Sandbox) -> None:
    usual = config.settings()
    config.install(replace(usual, send_timeout_s=1))
    buyers = [new_buyer() for _ in range(3)]
    site.faults(hang={"on": "stripe.session_create"})
    assert [buyer.press() for buyer in buyers[:2]] == [Outcome.UNAVAILABLE] * 2
    asked = len(site.ledger("stripe"))
    assert buyers[2].press() is Outcome.UNAVAILABLE
    assert len(site.ledger("stripe")) == asked
    # nothing was lost by it: once the provider answers, each has a page
    site.faults()
    config.install(usual)
    bulkhead.forget()  # its rest is over
    assert [buyer.press() for buyer in buyers] == [Outcome.READY] * 3
    assert all(buyer.states() == ["started"] for buyer in buyers)
