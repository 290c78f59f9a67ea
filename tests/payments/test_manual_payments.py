"""Money that came another way: recorded in full with a reason, and taken back when it was wrong."""

import threading
from collections.abc import Callable
from unittest.mock import patch

import pytest

from app import tenancy
from app.payments import asking, attempts, checkout, manual_payments, operations
from app.payments.manual_payments import Money
from app.problems import Refused
from app.states.vocabulary import PaymentAttemptState, PaymentState
from tests.payments.shop import MANAGER, Buyer, act, audited
from tests.waiting import until


def settle(
    buyer: Buyer,
    amount_yen: int = 12_000,
    method: str = "bank_transfer",
    reason: str = "口座で確認",
    *,
    despite_open: bool = False,
) -> None:
    money = Money(method, amount_yen, reason)
    act(buyer, manual_payments.settle, buyer.person.id, money, despite_open=despite_open)


def take_back(buyer: Buyer, number: int = -1) -> PaymentState:
    state: PaymentState = act(buyer, manual_payments.take_back, buyer.payments()[number]["id"], "別の契約の入金だった")
    return state


def test_money_that_came_another_way_is_paid(buyer: Buyer) -> None:
    settle(buyer)
    (payment,) = buyer.payments()
    assert (buyer.state(), payment["state"], payment["method"]) == ("paid", "paid", "bank_transfer")
    assert (payment["payment_account_id"], payment["provider_id"], payment["amount_yen"]) == (None, None, 12_000)
    assert buyer.events() == [("paid", MANAGER)]
    assert audited(buyer) == [("settle_payment", f"recipient:{buyer.person.id}")]
    assert str(buyer.press()) == "closed"
    with pytest.raises(Refused, match="settle_not_unpaid"):
        settle(buyer)
    with pytest.raises(Refused, match="refund_without_site"):
        act(buyer, operations.refund, payment["id"])


@pytest.mark.parametrize("amount_yen", [0, 1, 11_999, 12_001, -12_000])
def test_a_part_is_not_the_whole(buyer: Buyer, amount_yen: int) -> None:
    with pytest.raises(Refused, match="settle_amount_differs"):
        settle(buyer, amount_yen)
    assert (buyer.state(), buyer.payments()) == ("unpaid", [])


def test_a_way_of_paying_is_named(buyer: Buyer) -> None:
    with pytest.raises(Refused, match="settle_method_missing"):
        settle(buyer, method="")


def test_beside_an_attempt_under_way_it_wants_to_be_sure_and_ends_it(buyer: Buyer) -> None:
    buyer.press()
    with pytest.raises(Refused, match="settle_payment_under_way"):
        settle(buyer)
    assert buyer.states() == ["started"]
    settle(buyer, despite_open=True)
    assert (buyer.state(), buyer.states()) == ("paid", ["expired", "paid"])
    assert buyer.sessions()[0].status == "expired"


def test_money_of_the_attempt_under_way_is_found_first(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("card")
    with pytest.raises(Refused, match="settle_not_unpaid"):
        settle(buyer, despite_open=True)
    assert (buyer.state(), buyer.states()) == ("paid", ["paid"])


def test_a_site_that_is_away_keeps_no_money_from_being_recorded(buyer: Buyer) -> None:
    """The page left open is ended by the poll; money that comes there first is told as a second payment."""
    buyer.press()
    buyer.site.faults(error_before={"value": True, "on": "stripe"})
    settle(buyer, despite_open=True)
    buyer.site.faults()
    assert buyer.states() == ["started", "paid"]
    buyer.confirm(0)
    assert (buyer.state(), buyer.states()) == ("paid", ["expired", "paid"])


def test_a_slip_paid_beside_it_is_told_and_its_refund_puts_it_right(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("konbini")
    buyer.confirm()
    settle(buyer, despite_open=True)
    buyer.choose("paid", slip=True)
    buyer.confirm(0)
    assert (buyer.state(), buyer.payments()[0]["problem"]) == ("paid", "paid twice")
    act(buyer, operations.refund, buyer.payments()[0]["id"])
    buyer.choose("refund_taken", slip=True)
    buyer.database.execute("UPDATE payment SET ask_at = now(), created_at = created_at - interval '10 minutes'")
    with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
        asking.ask_due(buyer.tenant_id)
    assert (buyer.state(), buyer.states()) == ("paid", ["refunded", "paid"])
    assert [payment["problem"] for payment in buyer.payments()] == ["", ""]


def test_a_reason_is_given(buyer: Buyer) -> None:
    with pytest.raises(Refused, match="settle_reason_missing"):
        settle(buyer, reason="")
    settle(buyer)
    with pytest.raises(Refused, match="settle_reason_missing"):
        act(buyer, manual_payments.take_back, buyer.payments()[0]["id"], "")
    assert buyer.state() == "paid"


def test_who_presses_at_that_moment_is_not_overlooked(new_buyer: Callable[[], Buyer]) -> None:
    """An attempt begun while staff record money is seen under the lock: refused, or recorded beside it, never both."""
    for _ in range(6):
        buyer = new_buyer()
        faults: list[BaseException] = []

        def by_staff(buyer: Buyer = buyer, faults: list[BaseException] = faults) -> None:
            try:
                settle(buyer)
            except Refused:
                pass
            except BaseException as fault:  # noqa: BLE001 - told below
                faults.append(fault)

        threads = [threading.Thread(target=buyer.press), threading.Thread(target=by_staff)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert faults == []
        assert (buyer.state(), buyer.states()) in [("paid", ["paid"]), ("started", ["started"])]


# --- taken back ---


def test_a_wrong_one_is_taken_back_and_the_person_may_pay(buyer: Buyer) -> None:
    settle(buyer)
    assert take_back(buyer) is PaymentState.UNPAID
    assert (buyer.state(), buyer.states(), buyer.row()["paid_at"]) == ("unpaid", ["cancelled"], None)
    assert buyer.events() == [("paid", MANAGER), ("unpaid", MANAGER)]
    assert [kind for kind, _ in audited(buyer)] == ["settle_payment", "unsettle_payment"]
    reasons = buyer.database.execute("SELECT detail->>'reason' FROM audit_entry ORDER BY id").fetchall()
    assert [reason for (reason,) in reasons] == ["口座で確認", "別の契約の入金だった"]
    assert "別の契約の入金だった" in buyer.payments()[0]["reason"]
    with pytest.raises(Refused, match="unsettle_not_settled"):
        take_back(buyer)
    assert str(buyer.press()) == "ready"
    buyer.choose("card")
    buyer.confirm()
    assert (buyer.state(), buyer.states()) == ("paid", ["cancelled", "paid"])
    assert buyer.row()["paid_at"] == buyer.payments()[-1]["paid_at"]


def test_what_the_provider_told_is_never_taken_back(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("card")
    buyer.confirm()
    with pytest.raises(Refused, match="unsettle_not_settled"):
        take_back(buyer)
    assert buyer.state() == "paid"


def test_taken_back_beside_a_slip_the_person_waits_for_it_again(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("konbini")
    buyer.confirm()
    settle(buyer, despite_open=True)
    assert take_back(buyer) is PaymentState.PENDING
    assert (buyer.state(), buyer.states()) == ("pending", ["pending", "cancelled"])
    with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
        counts = attempts.that_counts(buyer.person.id)
    assert counts is not None
    assert (counts.attempt, counts.state, counts.pay_by is not None) == (1, PaymentAttemptState.PENDING, True)
    assert str(buyer.press()) == "closed"
    buyer.choose("lapsed", slip=True)
    buyer.confirm(0)
    assert (buyer.state(), buyer.states()) == ("expired", ["expired", "cancelled"])
    assert str(buyer.press()) == "ready"
    assert buyer.states() == ["expired", "cancelled", "started"]


def test_taken_back_beside_an_open_page_that_page_goes_on(buyer: Buyer) -> None:
    buyer.press()
    buyer.site.faults(error_before={"value": True, "on": "stripe"})
    settle(buyer, despite_open=True)
    buyer.site.faults()
    assert take_back(buyer) is PaymentState.STARTED
    assert str(buyer.press()) == "ready"
    assert buyer.states() == ["started", "cancelled"]
    buyer.choose("card")
    buyer.confirm(0)
    assert (buyer.state(), buyer.states()) == ("paid", ["paid", "cancelled"])


def test_the_wrong_one_of_two_is_taken_back_and_the_other_counts(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("konbini")
    buyer.confirm()
    settle(buyer, despite_open=True)
    buyer.choose("paid", slip=True)
    buyer.confirm(0)
    assert buyer.payments()[0]["problem"] == "paid twice"
    assert take_back(buyer) is PaymentState.PAID
    assert (buyer.state(), [payment["problem"] for payment in buyer.payments()]) == ("paid", ["", ""])
    assert buyer.row()["paid_at"] == buyer.payments()[0]["paid_at"]


def test_a_page_that_comes_after_the_money_is_nobodys(buyer: Buyer) -> None:
    """Recorded while the provider is asked for a page: nobody is led there, and it is ended."""
    buyer.site.faults(latency_ms={"value": 2_000, "on": "stripe.session_create"})
    outcomes: list[checkout.Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(buyer.press()))
    # the page that staff saw before had no attempt yet
    with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id), patch.object(manual_payments, "end"):
        thread.start()
        until(buyer.payments)
        manual_payments.settle(buyer.person.id, Money("cash", 12_000, "窓口で受領"), actor=MANAGER, despite_open=True)
    thread.join()
    assert (outcomes, buyer.url(), buyer.state()) == ([checkout.Outcome.CLOSED], None, "paid")
    assert [session.status for session in buyer.sessions()] == ["expired"]


def test_a_page_that_cannot_be_ended_beside_the_money_is_not_led_to(buyer: Buyer) -> None:
    buyer.press()
    assert buyer.url() is not None
    buyer.site.faults(error_before={"value": True, "on": "stripe"})
    settle(buyer, despite_open=True)
    assert (buyer.states(), buyer.url()) == (["started", "paid"], None)
