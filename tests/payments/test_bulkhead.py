"""People who wait for a payment provider that hangs are few, and wait shortly."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from app.payments import bulkhead
from app.payments.bulkhead import SILENT, person_waits
from app.payments.checkout import Outcome
from app.providers.http import Failure, Request, Response
from sandbox.harness import Sandbox
from tests.payments.shop import Buyer
from tests.providers.rawserver import Peer, RawServer


class Clock:
    """The clock by which it is decided who waits: runs on, and is put ahead."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead_s

    def ahead(self, seconds: float) -> None:
        self._ahead_s += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let a site's answer be waited for shortly, and its rest be long: it is over when the clock is put ahead."""
    made = Clock()
    for name, value in (("_LONGEST_S", 0.8), ("_SLOW_S", 60.0), ("_REST_S", 600.0), ("time", made)):
        monkeypatch.setattr(bulkhead, name, value)
    bulkhead.forget()  # a port may be given out again
    return made


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


def told(url: str) -> str:
    """Ask as somebody at a screen does; give what came of it."""
    with person_waits():
        got = bulkhead.ask(Request("GET", url))
    return "answered" if isinstance(got, Response) else got.reason


def one_by_one(server: RawServer, clock: Clock, count: int) -> list[str]:
    """Let so many ask, each half a minute after the one before, while nobody has an answer yet."""
    found: list[str] = []

    def ask() -> None:
        found.append(told(server.url))

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        before = len(server.requests)
        thread.start()
        while thread.is_alive() and len(server.requests) == before:
            time.sleep(0.005)
        clock.ahead(31)
    for thread in threads:
        thread.join()
    return found


def test_a_hanging_site_keeps_few_waiting_and_then_nobody(hanging: RawServer, clock: Clock) -> None:
    found = one_by_one(hanging, clock, 6)
    assert sorted(set(found)) == [SILENT, "timeout"]
    assert found.count("timeout") <= 3
    asked = len(hanging.requests)
    assert told(hanging.url) == SILENT
    assert len(hanging.requests) == asked


def test_after_a_rest_one_alone_tries(hanging: RawServer, clock: Clock) -> None:
    assert [told(hanging.url), told(hanging.url), told(hanging.url)] == ["timeout", "timeout", SILENT]
    clock.ahead(601)
    assert sorted(one_by_one(hanging, clock, 3)) == [SILENT, SILENT, "timeout"]


def test_one_answer_and_all_is_well(clock: Clock) -> None:
    with RawServer(hang, hang, answer, answer, answer) as server:
        assert [told(server.url), told(server.url)] == ["timeout", "timeout"]
        clock.ahead(601)
        assert [told(server.url) for _ in range(3)] == ["answered"] * 3


def test_another_site_is_none_of_it(hanging: RawServer) -> None:
    assert [told(hanging.url) for _ in range(3)] == ["timeout", "timeout", SILENT]
    with RawServer(answer) as other:
        assert told(other.url) == "answered"


def test_four_who_press_in_one_second_leave_a_thread_for_pages(
    hanging: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A web process has four threads: the fourth is told within about a second, while the others still wait."""
    monkeypatch.setattr(bulkhead, "_LONGEST_S", 3.0)
    told_after: list[tuple[str, float]] = []

    def press() -> None:
        began = time.monotonic()
        told_after.append((told(hanging.url), time.monotonic() - began))

    threads = [threading.Thread(target=press) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcome for outcome, _ in told_after) == [SILENT, "timeout", "timeout", "timeout"]
    (silent_s,) = [seconds for outcome, seconds in told_after if outcome == SILENT]
    assert silent_s < 2
    assert len(hanging.requests) == 3


def test_who_comes_fourth_gets_the_place_of_one_that_was_answered() -> None:
    with RawServer(*[slowly] * 4) as server:
        found: list[str] = []
        threads = [threading.Thread(target=lambda: found.append(told(server.url))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == ["answered"] * 4


def test_a_job_has_time(hanging: RawServer) -> None:
    assert [told(hanging.url) for _ in range(3)] == ["timeout", "timeout", SILENT]
    got = bulkhead.ask(Request("GET", hanging.url, timeout_s=1))
    assert isinstance(got, Failure)
    assert got.reason == "timeout"


def test_who_presses_pay_is_told_at_once(new_buyer: Callable[[], Buyer], site: Sandbox, clock: Clock) -> None:
    buyers = [new_buyer() for _ in range(3)]
    site.faults(hang={"on": "stripe.session_create"})
    assert [buyer.press() for buyer in buyers[:2]] == [Outcome.UNAVAILABLE] * 2
    asked = len(site.ledger("stripe"))
    assert buyers[2].press() is Outcome.UNAVAILABLE
    assert len(site.ledger("stripe")) == asked
    # nothing was lost by it: once the site answers, each has a page
    site.faults()
    clock.ahead(601)
    assert [buyer.press() for buyer in buyers] == [Outcome.READY] * 3
    assert all(buyer.states() == ["started"] for buyer in buyers)
