"""One worker serves all endpoints: a dead receiver delays nobody, a killed worker loses nothing, memory has a bound."""

import signal
import socket
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import time_machine

from app import queues, tenancy
from app.delivery import shutdown
from app.extensions import in_own_session
from app.restore import after
from app.setback import doubt
from app.setback.beat import NothingMayLeave
from app.setback.known import Why
from app.webhooks import dispatch, endpoints, turn
from jobs import due, sweep
from jobs import webhooks as jobs
from tests import steps
from tests.jobs.conftest import Program
from tests.providers.rawserver import Peer, RawServer
from tests.raw_states import force
from tests.waiting import until
from tests.webhooks.company import Company


@pytest.fixture
def serving(company: Company) -> Iterator[Callable[[], None]]:
    """A worker's job in a thread of its own, which ends with the test."""
    threads: list[threading.Thread] = []

    def begin() -> None:
        threads.append(threading.Thread(target=in_own_session(dispatch.serve)))
        threads[-1].start()

    yield begin
    shutdown.ask()
    for thread in threads:
        thread.join(40)
        assert not thread.is_alive()
    shutdown.forget()


def serve_once(company: Company, endpoint: int) -> None:
    """Take a turn, in another thread."""
    company.serve(endpoint)


def test_a_receiver_that_never_answers_delays_no_other(company: Company, serving: Callable[[], None]) -> None:
    company.sandbox.receives("hangs", then="hang")
    company.sandbox.receives("slow", then="slow", delay_ms=3000)
    for name in ("hangs", "slow", "main"):
        company.endpoint(name, types=["sms.delivered"])
    serving()
    steps.deliver(*[person.id for person in company.people])
    began = time.monotonic()
    until(lambda: len(company.taken()) == 3, "the others' deliveries")
    assert time.monotonic() - began < 5
    until(lambda: len(company.sandbox.received("hangs")) == 3, "the one that hangs was tried")


def test_a_job_ends_with_what_is_under_way_recorded(company: Company, serving: Callable[[], None]) -> None:
    company.sandbox.receives("main", then="slow", delay_ms=1000)
    endpoint = company.endpoint("main", types=["sms.delivered"])
    serving()
    steps.deliver(*[person.id for person in company.people])
    until(lambda: len(company.sandbox.received("main")) == 3, "the requests")
    shutdown.ask()
    until(lambda: len(company.deliveries(endpoint)) == 3, "their records")
    assert all(row["delivered"] for row in company.deliveries(endpoint))


def test_a_worker_killed_between_delivery_and_record_sends_again(
    company: Company, start: Callable[..., Program]
) -> None:
    endpoint = company.endpoint("main", types=["sms.delivered"])
    steps.deliver(*[person.id for person in company.people])
    worker = start("worker", "webhooks", WEBHOOK_LOCAL_ADDRESSES="127.0.0.1", dies="telling")
    queues.enqueue(endpoints.DELIVER)
    worker.process.wait(60)
    assert worker.process.returncode == -signal.SIGKILL
    assert Counter(company.steps()) == {(person.reference, "sms.delivered"): 1 for person in company.people}
    assert company.deliveries(endpoint) == [], "killed before it was recorded"
    # its lease ends by itself
    company.change("UPDATE lease SET held_until = now()")
    company.serve(endpoint)
    assert Counter(company.steps()) == {(person.reference, "sms.delivered"): 2 for person in company.people}
    assert len({one["headers"]["webhook-id"] for one in company.sandbox.received("main")}) == 3
    assert [row["delivered"] for row in company.deliveries(endpoint)] == [True] * 3


def test_two_workers_share_endpoints_and_no_delivery_is_made_twice(company: Company) -> None:
    endpoint = company.endpoint("main", types=["sms.delivered"])
    company.sandbox.receives("main", then="slow", delay_ms=500)
    steps.deliver(*[person.id for person in company.people])
    thread = threading.Thread(target=in_own_session(lambda: serve_once(company, endpoint)))
    thread.start()
    until(lambda: company.sandbox.received("main"), "the first request")
    assert company.serve(endpoint) == turn.ELSEWHERE_S
    thread.join()
    assert len(company.sandbox.received("main")) == 3


def test_a_worker_that_lost_its_lease_records_nothing(company: Company) -> None:
    endpoint = company.endpoint("main", types=["sms.delivered"])
    company.sandbox.receives("main", then="slow", delay_ms=700)
    steps.deliver(company.people[0].id)
    thread = threading.Thread(target=in_own_session(lambda: serve_once(company, endpoint)))
    thread.start()
    until(lambda: company.sandbox.received("main"), "the first request")
    company.change("UPDATE lease SET holder = 'another' WHERE name LIKE 'webhook:%%'")
    thread.join()
    assert company.deliveries(endpoint) == []
    company.change("DELETE FROM lease")
    company.serve(endpoint)
    assert len(company.deliveries(endpoint)) == 1


def test_a_backlog_takes_no_more_memory_than_a_batch(company: Company) -> None:
    endpoint = company.endpoint("main", types=["sms.delivered"])
    peaks = []
    for events in (500, 500, 3_000):
        company.change(
            "INSERT INTO event (tenant_id, campaign_id, recipient_id, track, state, at, actor)"
            " SELECT %s, %s, id, 'sms', 'delivered', now(), 'system' FROM generate_series(1000000, 999999 + %s) id",
            company.tenant, company.campaign, events,
        )  # fmt: skip
        tracemalloc.start()
        while company.serve(endpoint, turn_s=5.0) == 0:
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.5 * peaks[1], "six times the backlog"
    assert company.rows("SELECT count(*) AS n FROM webhook_delivery WHERE delivered")[0]["n"] == 4_000


def half_an_answer(peer: Peer) -> None:
    """Break off in the middle of an answer."""
    peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")


def no_tls(peer: Peer) -> None:
    """Answer a handshake in plain."""
    peer.sock.recv(64)
    peer.sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_down_wrong_tls_and_cut_in_the_middle_are_told_apart_and_lose_nothing(
    company: Company, clock: time_machine.Traveller
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        down = f"http://127.0.0.1:{gone.getsockname()[1]}/"
    with RawServer(half_an_answer) as half, RawServer(no_tls) as plain:
        targets = {"refused": down, "truncated": half.url, "tls": plain.url.replace("http://", "https://")}
        made = {fault: company.endpoint(f"e-{fault}", url, types=["page.opened"]) for fault, url in targets.items()}
        steps.open_page(company.people[0].id)
        for fault, endpoint in made.items():
            company.serve(endpoint)
            (row,) = company.deliveries(endpoint)
            assert (row["fault"], row["delivered"], row["tries"]) == (fault, False, 1)
            assert row["due_at"] is not None
    clock.shift(10)
    for endpoint in made.values():
        company.change("UPDATE webhook_endpoint SET url = %s WHERE id = %s", company.sandbox.receiver("main"), endpoint)
        company.serve(endpoint)
    assert len(company.taken()) == 3


def test_nothing_leaves_while_the_installation_is_held_or_the_company_suspended(
    company: Company, serving: Callable[[], None]
) -> None:
    company.endpoint("main", types=["page.opened"])
    steps.open_page(company.people[0].id)
    steps.suspend(company.tenant)
    serving()
    time.sleep(2)
    assert company.sandbox.received("main") == []
    force(company.database, "tenant", [company.tenant], state="active")
    dispatch.serve(shift_s=3)
    assert len(company.sandbox.received("main")) == 1


def test_the_sweep_keeps_one_job_going_while_there_are_endpoints(company: Company) -> None:
    def waiting() -> set[tuple[int, ...]]:
        return queues.waiting(endpoints.DELIVER)

    sweep.watch()
    assert waiting() == set()
    endpoint = company.endpoint("main")
    queues.finish_offers()
    assert waiting() == {()}
    sweep.watch()
    sweep.watch()
    assert queues.queue(queues.WEBHOOKS).count == 1
    queues.queue(queues.WEBHOOKS).empty()
    with tenancy.tenant(company.tenant):
        endpoints.rest(endpoint, actor="user:1")
    queues.finish_offers()
    queues.queue(queues.WEBHOOKS).empty()
    sweep.watch()
    assert waiting() == set()


def test_after_a_restore_events_come_again_rather_than_never(company: Company) -> None:
    endpoint = company.endpoint("main", types=["page.opened"])
    steps.open_page(company.people[0].id)
    with tenancy.platform():
        doubt.hold(NothingMayLeave(Why.TIMELINE))
    company.serve(endpoint)
    assert company.sandbox.received("main") == [], "held"
    after.restore(sleep=lambda _seconds: None)
    steps.open_page(company.people[1].id)
    company.serve(endpoint)
    assert company.steps() == [(person.reference, "page.opened") for person in company.people[:2]]
    first, second = company.sandbox.received("main")
    assert first["headers"]["webhook-id"] != second["headers"]["webhook-id"]


def test_an_endpoint_whose_keys_are_gone_hinders_no_other(company: Company, serving: Callable[[], None]) -> None:
    broken = company.endpoint("broken", types=["page.opened"])
    company.endpoint("main", types=["page.opened"])
    company.change("UPDATE webhook_endpoint SET secret_sealed = 'x', cursor = 'x' WHERE id = %s", broken)
    serving()
    steps.open_page(company.people[0].id)
    until(company.taken, "the other one's delivery")
    assert company.sandbox.received("broken") == []


def test_deliveries_are_forgotten_after_thirty_days_but_none_that_waits(company: Company) -> None:
    endpoint = company.endpoint("main", types=["sms.delivered"])
    steps.deliver(*[person.id for person in company.people])
    company.serve(endpoint)
    first, second, third = (row["id"] for row in company.deliveries(endpoint))
    older = "UPDATE webhook_delivery SET created_at = now() - interval '31 days' WHERE id IN (%s, %s)"
    company.change(older, first, second)
    company.change("UPDATE webhook_delivery SET due_at = now() WHERE id = %s", second)
    company.change("UPDATE webhook_endpoint SET forgot_on = current_date - 2")
    with tenancy.platform():
        assert dict(due.work())["jobs.webhooks.forget"] == [(company.tenant,)]
    jobs.forget(company.tenant)
    assert [row["id"] for row in company.deliveries(endpoint)] == [second, third]
    with tenancy.platform():
        assert dict(due.work())["jobs.webhooks.forget"] == []
