"""The payment provider's word, compared with what was ordered, and what becomes of it."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app import tenancy
from app.payments import confirm, gateway
from app.payments.gateway import NoAnswer
from app.providers.payments.base import Charge, ChargeStatus
from tests.payments.shop import Buyer


def truth(buyer: Buyer, number: int = -1) -> Charge:
    """Ask the provider, as confirm does."""
    payment = buyer.payments()[number]
    with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
        provider, account = gateway.open_account(payment["payment_account_id"])
        return gateway.ask(provider, account, provider.fetch(account, payment["provider_id"]))


def record(buyer: Buyer, charge: Charge, number: int = -1, asked_at: datetime | None = None) -> None:
    payment_id = buyer.payments()[number]["id"]
    with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
        confirm.record(payment_id, charge, asked_at or datetime.now(UTC))


def test_nothing_has_happened_yet(buyer: Buyer) -> None:
    buyer.press()
    buyer.confirm()
    assert (buyer.state(), buyer.states()) == ("started", ["started"])
    assert buyer.payments()[0]["checked_at"] is not None


def test_a_card_pays(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("declined")
    buyer.confirm()
    assert buyer.state() == "started"
    buyer.choose("card")
    buyer.confirm()
    (payment,) = buyer.payments()
    assert (buyer.state(), payment["state"], payment["method"], payment["problem"]) == ("paid", "paid", "card", "")
    assert payment["paid_at"] == buyer.row()["paid_at"] == truth(buyer).paid_at
    assert buyer.events() == [("started", "person"), ("paid", "provider")]


def test_confirming_again_and_at_once_is_one_step(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("card")
    threads = [threading.Thread(target=buyer.confirm) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    buyer.confirm()
    assert buyer.events() == [("started", "person"), ("paid", "provider")]


def test_konbini_waits_until_the_money_comes(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("konbini")
    buyer.confirm()
    (payment,) = buyer.payments()
    assert (buyer.state(), payment["state"], payment["method"], payment["paid_at"]) == (
        "pending",
        "pending",
        "konbini",
        None,
    )
    assert timedelta(days=2) < payment["pay_by"] - datetime.now(UTC) < timedelta(days=4)
    buyer.confirm()
    buyer.choose("paid", slip=True)
    buyer.confirm()
    assert (buyer.state(), buyer.states()) == ("paid", ["paid"])
    assert buyer.events() == [("started", "person"), ("pending", "provider"), ("paid", "provider")]


@pytest.mark.parametrize("url", ["javascript:alert(1)", "ftp://slip.example/", "", None])
def test_a_slips_address_that_no_browser_should_open_is_not_kept(
    buyer: Buyer, url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    buyer.press()
    buyer.choose("konbini")
    told = replace(truth(buyer), url=url)
    monkeypatch.setattr(gateway, "ask", lambda *_args: told)
    buyer.confirm()
    assert (buyer.state(), buyer.payments()[0]["url_sealed"]) == ("pending", None)


def test_a_slip_that_lapses_may_be_tried_again(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("konbini")
    buyer.confirm()
    buyer.choose("lapsed", slip=True)
    buyer.confirm()
    assert (buyer.state(), buyer.states()) == ("expired", ["expired"])


def test_money_given_back(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("card")
    buyer.confirm()
    buyer.stripe().v1.refunds.create({"payment_intent": str(buyer.sessions()[0].payment_intent)})
    buyer.confirm()
    assert (buyer.state(), buyer.states()) == ("refunded", ["refunded"])


def test_money_given_back_before_we_heard_of_it_leaves_both_steps(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("card")
    buyer.stripe().v1.refunds.create({"payment_intent": str(buyer.sessions()[0].payment_intent)})
    buyer.confirm()
    assert buyer.events() == [("started", "person"), ("paid", "provider"), ("refunded", "provider")]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"amount": 11_999}, "mismatch: amount"),
        ({"amount": None}, "mismatch: amount"),
        ({"currency": "usd"}, "mismatch: currency"),
        ({"currency": None}, "mismatch: currency"),
        ({"reference": "another"}, "mismatch: order"),
        ({"reference": None}, "mismatch: order"),
        ({"provider_id": "cs_test_other"}, "mismatch: payment"),
        ({"amount": 1, "currency": "usd"}, "mismatch: amount, currency"),
    ],
)
@pytest.mark.parametrize("status", [ChargeStatus.PAID, ChargeStatus.PENDING, ChargeStatus.REFUNDED])
def test_what_was_not_ordered_is_never_taken_for_ours(
    buyer: Buyer, status: ChargeStatus, change: dict[str, object], problem: str
) -> None:
    buyer.press()
    charge = replace(truth(buyer), status=status, **change)  # type: ignore[arg-type]
    record(buyer, charge)
    record(buyer, charge)
    (payment,) = buyer.payments()
    assert (buyer.state(), payment["state"], payment["problem"]) == ("started", "started", problem)
    assert buyer.events() == [("started", "person"), ("needs_review", "provider")]
    assert buyer.url() is None
    # a person looks first: neither a later answer nor another press goes on
    record(buyer, replace(truth(buyer), status=ChargeStatus.PAID))
    assert (buyer.state(), str(buyer.press())) == ("started", "closed")


def test_an_end_that_tells_no_amount_is_an_end(buyer: Buyer) -> None:
    buyer.press()
    record(buyer, replace(truth(buyer), status=ChargeStatus.CANCELLED, amount=None, currency=None, reference=None))
    assert (buyer.state(), buyer.states()) == ("cancelled", ["cancelled"])


@pytest.mark.parametrize("late", [ChargeStatus.OPEN, ChargeStatus.PENDING, ChargeStatus.FAILED, ChargeStatus.EXPIRED])
def test_a_late_answer_undoes_no_money(buyer: Buyer, late: ChargeStatus) -> None:
    buyer.press()
    before = truth(buyer)
    buyer.choose("card")
    buyer.confirm()
    record(buyer, replace(before, status=late))
    assert (buyer.state(), buyer.states()) == ("paid", ["paid"])
    assert buyer.events() == [("started", "person"), ("paid", "provider")]


def test_the_end_of_an_older_attempt_does_not_end_the_present_one(buyer: Buyer) -> None:
    buyer.press()
    older = truth(buyer)
    buyer.stripe().v1.checkout.sessions.expire(older.provider_id)
    buyer.press()
    record(buyer, replace(older, status=ChargeStatus.CANCELLED), 0)
    assert (buyer.state(), buyer.states()) == ("started", ["cancelled", "started"])


def test_money_for_an_older_attempt_is_money(buyer: Buyer) -> None:
    buyer.press()
    older = truth(buyer)
    buyer.stripe().v1.checkout.sessions.expire(older.provider_id)
    buyer.press()
    record(buyer, replace(older, status=ChargeStatus.PAID), 0)
    assert (buyer.state(), buyer.states()) == ("paid", ["paid", "started"])


def test_a_slip_beside_another_attempt_is_looked_at(buyer: Buyer) -> None:
    buyer.press()
    older = truth(buyer)
    buyer.stripe().v1.checkout.sessions.expire(older.provider_id)
    buyer.press()
    record(buyer, replace(older, status=ChargeStatus.PENDING), 0)
    assert buyer.states() == ["expired", "started"]
    assert buyer.payments()[0]["problem"] == "pending beside another attempt"


def test_money_that_came_twice_is_told_and_one_given_back_leaves_the_other(buyer: Buyer) -> None:
    buyer.press()
    older = truth(buyer)
    buyer.stripe().v1.checkout.sessions.expire(older.provider_id)
    buyer.press()
    buyer.choose("card")
    buyer.confirm()
    record(buyer, replace(older, status=ChargeStatus.PAID), 0)
    assert (buyer.state(), buyer.states()) == ("paid", ["paid", "paid"])
    assert buyer.payments()[0]["problem"] == "paid twice"
    assert buyer.events()[-1] == ("needs_review", "provider")
    record(buyer, replace(older, status=ChargeStatus.REFUNDED), 0)
    assert (buyer.state(), buyer.states()) == ("paid", ["refunded", "paid"])


def test_without_an_answer_nothing_changes(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("card")
    buyer.site.faults(error_before={"value": True, "on": "stripe"})
    with pytest.raises(NoAnswer):
        buyer.confirm()
    assert (buyer.state(), buyer.states()) == ("started", ["started"])


def test_a_page_asks_the_site_once_in_a_while(buyer: Buyer) -> None:
    buyer.press()
    buyer.database.execute("UPDATE payment SET checked_at = NULL")
    payment_id = buyer.payments()[0]["id"]
    asked = len(buyer.site.ledger("stripe"))
    for _ in range(5):
        with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
            confirm.confirm_for_page(payment_id)
    assert len(buyer.site.ledger("stripe")) == asked + 1
    buyer.site.faults(error_before={"value": True, "on": "stripe"})
    buyer.database.execute("UPDATE payment SET checked_at = now() - interval '4 seconds'")
    with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
        confirm.confirm_for_page(payment_id)
    assert buyer.state() == "started"


def test_money_for_an_older_attempt_ends_the_present_page(buyer: Buyer) -> None:
    buyer.press()
    older = truth(buyer)
    buyer.stripe().v1.checkout.sessions.expire(older.provider_id)
    buyer.press()
    record(buyer, replace(older, status=ChargeStatus.PAID), 0)
    buyer.site.faults(error_before={"value": True, "on": "stripe.session_expire"})
    buyer.confirm()
    assert buyer.states() == ["paid", "started"]
    buyer.site.faults()
    buyer.confirm()
    assert (buyer.state(), buyer.states()) == ("paid", ["paid", "expired"])
    assert {session.status for session in buyer.sessions()} == {"expired"}
