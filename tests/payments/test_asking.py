"""Questions about payments, one by one: nobody's payment waits because another one's can't be asked about."""

import threading
import time
from collections.abc import Callable

import psycopg
import pytest
from flask import Flask

from app import config, tenancy
from app.config import Settings
from app.payments import asking, provider_events
from app.payments.confirm import confirm, confirm_for_page
from app.payments.gateway import NoAnswer
from app.providers.payments.base import Charge, WebhookEvent
from sandbox.harness import Sandbox
from tests.addresses import at
from tests.payments.shop import Buyer, make_buyer


def ask(buyer: Buyer) -> bool:
    with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
        return asking.ask_due(buyer.tenant_id)


def tell(buyer: Buyer) -> None:
    """Have the provider tell of a buyer's payment."""
    payment = buyer.payments()[-1]
    event = WebhookEvent(
        f"evt_{payment['id']}_{time.monotonic_ns()}", "checkout.session.completed", payment["provider_id"]
    )
    with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
        assert provider_events.store(buyer.tenant_id, buyer.account_id, event)


@pytest.fixture
def payers(site: Sandbox, app: Flask, database: psycopg.Connection) -> Callable[[int], list[Buyer]]:
    """Make so many people of one company and contract who have paid, of which the provider has told."""

    def make(count: int) -> list[Buyer]:
        first = make_buyer(app, database, site)
        buyers = [
            first,
            *(make_buyer(app, database, site, first.tenant_id, first.account_id) for _ in range(count - 1)),
        ]
        for buyer in buyers:
            buyer.press()
            buyer.choose("card")
            tell(buyer)
        return buyers

    return make


def unanswerable(monkeypatch: pytest.MonkeyPatch, buyers: list[Buyer], hang_s: float, asked: list[int]) -> None:
    """Let questions about these buyers hang, then get no answer."""
    theirs = {buyer.payments()[-1]["id"] for buyer in buyers}

    def hanging(payment_id: int, *, timeout_s: float | None = None) -> Charge | None:
        asked.append(payment_id)
        if payment_id in theirs:
            time.sleep(hang_s)
            raise NoAnswer("timeout")
        return confirm(payment_id, timeout_s=timeout_s)

    monkeypatch.setattr(asking, "confirm", hanging)


def test_two_that_cannot_be_asked_about_delay_no_other_of_their_account(
    payers: Callable[[int], list[Buyer]], monkeypatch: pytest.MonkeyPatch
) -> None:
    buyers = payers(10)
    asked: list[int] = []
    unanswerable(monkeypatch, buyers[:2], 1.5, asked)
    began = time.monotonic()
    ask(buyers[0])
    assert time.monotonic() - began < 6
    assert [buyer.state() for buyer in buyers] == ["started"] * 2 + ["paid"] * 8
    # their own wait, while a new payer of the account is served at once
    late = make_buyer(buyers[0].app, buyers[0].database, buyers[0].site, buyers[0].tenant_id, buyers[0].account_id)
    late.press()
    late.choose("card")
    tell(late)
    asked.clear()
    ask(late)
    assert (late.state(), asked) == ("paid", [late.payments()[0]["id"]])
    rows = (
        buyers[0]
        .database.execute(
            "SELECT unanswered, unanswered_since IS NOT NULL, ask_at > now() FROM payment WHERE unanswered > 0"
        )
        .fetchall()
    )
    assert rows == [(1, True, True)] * 2
    # once they can be asked about, all is well
    monkeypatch.undo()
    buyers[0].database.execute("UPDATE payment SET ask_at = now() WHERE unanswered > 0")
    ask(late)
    assert {buyer.state() for buyer in buyers} == {"paid"}
    assert buyers[0].database.execute("SELECT count(*) FROM payment WHERE unanswered > 0").fetchone() == (0,)


def test_what_gets_no_answer_is_asked_about_ever_more_rarely(buyer: Buyer) -> None:
    buyer.press()
    buyer.site.faults(error_before={"value": True, "on": "stripe"})
    waits = []
    for _ in range(7):
        buyer.database.execute("UPDATE payment SET ask_at = now()")
        ask(buyer)
        row = buyer.database.execute("SELECT round(extract(epoch FROM ask_at - now())) FROM payment").fetchone()
        assert row is not None
        waits.append(int(row[0]))
    assert waits == [15, 30, 60, 120, 240, 300, 300]


def test_two_workers_ask_once(payers: Callable[[int], list[Buyer]], monkeypatch: pytest.MonkeyPatch) -> None:
    buyers = payers(8)
    asked: list[int] = []
    unanswerable(monkeypatch, buyers[:1], 1.0, asked)
    workers = [threading.Thread(target=ask, args=(buyers[0],)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(asked) == len(set(asked)) == 8
    assert [buyer.state() for buyer in buyers] == ["started"] + ["paid"] * 7


def test_what_a_dead_worker_asked_about_is_asked_about_anew(payers: Callable[[int], list[Buyer]]) -> None:
    (buyer,) = payers(1)
    buyer.database.execute("UPDATE payment SET asking_until = now() + interval '1 minute'")
    ask(buyer)
    assert buyer.state() == "started"
    buyer.database.execute("UPDATE payment SET asking_until = now()")
    ask(buyer)
    assert buyer.state() == "paid"


def test_an_event_that_comes_during_the_question_brings_another(
    payers: Callable[[int], list[Buyer]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (buyer,) = payers(1)
    asked = []

    def told_meanwhile(payment_id: int, *, timeout_s: float | None = None) -> Charge | None:
        asked.append(payment_id)
        found = confirm(payment_id, timeout_s=timeout_s)
        if len(asked) == 1:
            tell(buyer)
        return found

    monkeypatch.setattr(asking, "confirm", told_meanwhile)
    ask(buyer)
    assert len(asked) == 2
    assert buyer.database.execute("SELECT count(*) FROM payment_notice WHERE applied_at IS NULL").fetchone() == (0,)


def test_a_provider_that_asks_to_be_left_alone_is_asked_nothing_by_anybody(
    payers: Callable[[int], list[Buyer]],
) -> None:
    """429 holds for the account, in each process: the wish stands in the database."""
    buyers = payers(6)
    site = buyers[0].site
    site.faults(too_many_requests={"value": True, "on": "stripe"}, retry_after_s={"value": 60})
    before = len(site.ledger("stripe"))
    assert not ask(buyers[0])
    first = len(site.ledger("stripe")) - before
    assert 1 <= first <= asking._AT_ONCE
    site.faults()
    ask(buyers[0])
    buyers[0].database.execute("UPDATE payment SET checked_at = NULL")
    with pytest.raises(NoAnswer, match="left alone"):
        buyers[0].confirm()
    assert len(site.ledger("stripe")) - before == first
    # people not asked about are next; those that drew the wish come after them, and the account is at no fault
    drew = buyers[0].database.execute("SELECT count(*), min(ask_at) > now() FROM payment WHERE unanswered = 1")
    assert drew.fetchone() == (first, True)
    assert buyers[0].database.execute("SELECT unanswered FROM payment_account").fetchone() == (0,)
    buyers[0].database.execute("UPDATE payment_account SET ask_after = now()")
    ask(buyers[0])
    assert sorted(buyer.state() for buyer in buyers) == ["paid"] * (6 - first) + ["started"] * first
    buyers[0].database.execute("UPDATE payment SET ask_at = now() WHERE unanswered > 0")
    ask(buyers[0])
    assert {buyer.state() for buyer in buyers} == {"paid"}


@pytest.mark.parametrize("wait_s", [1, 2])
def test_two_that_draw_429_delay_no_other_of_their_account(payers: Callable[[int], list[Buyer]], wait_s: int) -> None:
    """Stripe answers 429 lock_timeout about one object: it comes back after the others, whoever asks about it."""
    buyers = payers(11)
    site = buyers[0].site
    busy = [buyer.payments()[-1]["provider_id"] for buyer in buyers[:2]]
    site.faults(
        too_many_requests={"value": True, "on": "stripe.session_retrieve", "ids": busy}, retry_after_s={"value": wait_s}
    )
    began = time.monotonic()
    while time.monotonic() - began < 4 * wait_s + 2:
        # their own pages ask about them too
        for buyer in buyers[:2]:
            with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
                confirm_for_page(buyer.payments()[-1]["id"])
        ask(buyers[2])
        if {buyer.state() for buyer in buyers[2:]} == {"paid"}:
            break
        time.sleep(0.2)
    assert [buyer.state() for buyer in buyers] == ["started"] * 2 + ["paid"] * 9
    site.faults()
    buyers[0].database.execute("UPDATE payment SET ask_at = now() WHERE unanswered > 0")
    buyers[0].database.execute("UPDATE payment_account SET ask_after = now()")
    ask(buyers[0])
    assert {buyer.state() for buyer in buyers} == {"paid"}


def test_an_account_that_answers_nothing_rests_and_the_first_answer_wakes_it(
    payers: Callable[[int], list[Buyer]], monkeypatch: pytest.MonkeyPatch
) -> None:
    buyers = payers(16)
    asked: list[int] = []
    unanswerable(monkeypatch, buyers, 0, asked)
    ask(buyers[0])
    first = len(asked)
    assert asking._SILENT <= first < asking._SILENT + asking._AT_ONCE
    assert not ask(buyers[0])
    assert len(asked) == first
    monkeypatch.undo()
    # somebody comes back from the provider's page: their question is asked all the same
    buyers[-1].confirm()
    row = buyers[0].database.execute("SELECT unanswered, rests_until FROM payment_account").fetchone()
    assert row == (0, None)
    buyers[0].database.execute("UPDATE payment SET ask_at = now()")
    ask(buyers[0])
    assert {buyer.state() for buyer in buyers} == {"paid"}


def test_an_account_without_credentials_stops_no_other(
    payers: Callable[[int], list[Buyer]], app: Flask, database: psycopg.Connection, site: Sandbox
) -> None:
    buyers = payers(3)
    other = make_buyer(app, database, site, buyers[0].tenant_id)
    other.press()
    other.choose("card")
    tell(other)
    database.execute("UPDATE payment_account SET credentials_sealed = NULL WHERE id = %s", [buyers[0].account_id])
    ask(other)
    assert ([buyer.state() for buyer in buyers], other.state()) == (["started"] * 3, "paid")


def test_one_payments_fault_is_no_others(payers: Callable[[int], list[Buyer]], monkeypatch: pytest.MonkeyPatch) -> None:
    buyers = payers(4)
    broken = buyers[0].payments()[-1]["id"]

    def failing(payment_id: int, *, timeout_s: float | None = None) -> Charge | None:
        if payment_id == broken:
            raise RuntimeError("a bug")
        return confirm(payment_id, timeout_s=timeout_s)

    monkeypatch.setattr(asking, "confirm", failing)
    ask(buyers[0])
    assert [buyer.state() for buyer in buyers] == ["started"] + ["paid"] * 3
    row = (
        buyers[0]
        .database.execute("SELECT unanswered, asking_until, ask_at > now() FROM payment WHERE id = %s", [broken])
        .fetchone()
    )
    assert row == (1, None, True)


def test_2000_events_about_another_system_delay_no_payer(
    payers: Callable[[int], list[Buyer]], settings: Settings
) -> None:
    """They are settled as they come: nothing is asked about them, and nobody of ours waits."""
    (buyer,) = payers(1)
    config.install(at(settings, stripe=buyer.site.stripe_base))
    before = len(buyer.site.ledger("stripe"))
    with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
        for number in range(100):
            event = WebhookEvent(
                f"evt_x{number}", "charge.refunded", None, f"other-{number}", payment_id=f"pi_{number}"
            )
            assert not provider_events.store(buyer.tenant_id, buyer.account_id, event)
    # the others came before, and stand as these do
    buyer.database.execute("""
        INSERT INTO payment_notice (
            tenant_id, payment_account_id, event_id, kind, provider_id, received_at, applied_at, outcome
        )
        SELECT tenant_id, payment_account_id, event_id || '.' || n, kind, provider_id, received_at, applied_at, outcome
        FROM payment_notice CROSS JOIN generate_series(2, 20) AS n WHERE kind = 'charge.refunded'
    """)
    began = time.monotonic()
    ask(buyer)
    assert (buyer.state(), time.monotonic() - began < 20) == ("paid", True)
    assert len(buyer.site.ledger("stripe")) == before + 1
    found = buyer.database.execute(
        "SELECT outcome, count(*) FROM payment_notice WHERE applied_at IS NOT NULL GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert found == [("confirmed", 1), ("none of our payments", 2000)]


def test_a_shift_ends_and_says_that_more_is_due(payers: Callable[[int], list[Buyer]]) -> None:
    buyers = payers(3)
    left = iter([False, True])
    with buyers[0].app.app_context(), tenancy.tenant(buyers[0].tenant_id):
        assert asking.ask_due(buyers[0].tenant_id, stopping=lambda: next(left), at_once=1)
    assert [buyer.state() for buyer in buyers].count("paid") == 1
    assert not ask(buyers[0])
    assert {buyer.state() for buyer in buyers} == {"paid"}
