"""Staff's acts on a payment: money back, an end to what is under way, a problem closed."""

import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from app import tenancy
from app.payments import asking, gateway, operations
from app.payments.gateway import NoAnswer
from app.payments.operations import RefundResult
from app.problems import Refused
from app.providers.http import Request, Response
from app.providers.payments.base import ChargeStatus, PaymentAccess
from app.states.vocabulary import PaymentAttemptState
from tests.payments.shop import Buyer, act, audited


def newest(buyer: Buyer) -> int:
    return int(buyer.payments()[-1]["id"])


def paid(buyer: Buyer) -> int:
    buyer.press()
    buyer.choose("card")
    buyer.confirm()
    return newest(buyer)


def refunds(buyer: Buyer) -> list[int]:
    return [made.amount for made in buyer.stripe().v1.refunds.list().data]


# --- refund ---


def test_all_is_given_back_once_however_often_it_is_pressed(buyer: Buyer) -> None:
    payment_id = paid(buyer)
    assert act(buyer, operations.refund, payment_id) is RefundResult.DONE
    assert (buyer.state(), buyer.states(), refunds(buyer)) == ("refunded", ["refunded"], [12_000])
    with pytest.raises(Refused, match="refund_not_paid"):
        act(buyer, operations.refund, payment_id)
    assert refunds(buyer) == [12_000]
    assert audited(buyer) == [("refund_payment", f"recipient:{buyer.person.id}")]
    assert buyer.events()[-1] == ("refunded", "provider")


def test_two_managers_at_once_give_it_back_once(buyer: Buyer) -> None:
    payment_id = paid(buyer)

    def press() -> None:
        with suppress(Refused):
            act(buyer, operations.refund, payment_id)

    threads = [threading.Thread(target=press) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (buyer.state(), refunds(buyer)) == ("refunded", [12_000])


def test_a_lost_answer_is_found_out_by_the_poll(buyer: Buyer) -> None:
    payment_id = paid(buyer)
    buyer.site.faults(reset_after_body={"next": 1, "on": "stripe.refund_create"})
    act(buyer, operations.refund, payment_id)
    buyer.site.faults()
    buyer.database.execute("UPDATE payment SET ask_at = now(), refund_asked_at = now() - interval '1 hour'")
    with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
        asking.ask_due(buyer.tenant_id)
    assert (buyer.state(), refunds(buyer)) == ("refunded", [12_000])


def test_a_site_that_is_away_gives_nothing_back(buyer: Buyer) -> None:
    payment_id = paid(buyer)
    buyer.site.faults(error_before={"value": True, "on": "stripe"})
    with pytest.raises(Refused, match="payment_site_away"):
        act(buyer, operations.refund, payment_id)
    buyer.site.faults()
    assert (buyer.state(), refunds(buyer)) == ("paid", [])
    assert buyer.payments()[0]["refund_asked_at"] is None


def test_a_part_given_back_elsewhere_is_left_to_a_person(buyer: Buyer) -> None:
    payment_id = paid(buyer)
    buyer.stripe().v1.refunds.create({"payment_intent": str(buyer.sessions()[0].payment_intent), "amount": 1_000})
    with pytest.raises(Refused, match="refund_amount_differs"):
        act(buyer, operations.refund, payment_id)
    assert (buyer.state(), refunds(buyer)) == ("paid", [1_000])


def test_a_refund_under_way_is_not_forgotten_because_another_is_refused(buyer: Buyer) -> None:
    """A konbini's takes weeks; Stripe keeps our key for a day and refuses a second one."""
    buyer.press()
    buyer.choose("konbini")
    buyer.choose("paid", slip=True)
    buyer.confirm()
    assert act(buyer, operations.refund, newest(buyer)) is RefundResult.PENDING
    buyer.database.execute("UPDATE payment SET refund_attempt = 2")  # another key, as if the first were forgotten
    with pytest.raises(Refused, match="refund_asked_before"):
        act(buyer, operations.refund, newest(buyer))
    assert buyer.payments()[0]["refund_asked_at"] is not None
    assert refunds(buyer) == [12_000]


def test_a_refund_that_never_gets_done_is_looked_at(buyer: Buyer) -> None:
    paid(buyer)
    buyer.database.execute("UPDATE payment SET refund_asked_at = now() - interval '11 days'")
    buyer.confirm()
    assert buyer.payments()[0]["problem"] == "refund not done"
    assert (buyer.state(), buyer.events()[-1]) == ("paid", ("needs_review", "provider"))


def test_a_press_that_fails_takes_no_other_press_back(buyer: Buyer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two managers: the first one's question is lost while the second one's refund is taken on and waits."""
    payment_id = paid(buyer)
    asking, going_on = threading.Event(), threading.Event()
    ask, exchange = gateway.ask, gateway.exchange

    def take_refunds_on(account: PaymentAccess, request: Request) -> Response:
        if request.method == "POST" and request.url.endswith("/refunds"):
            return Response(200, {}, b'{"object": "refund", "id": "re_1", "amount": 12000, "status": "pending"}')
        return exchange(account, request)

    def lose_the_first(*args: Any) -> Any:
        if threading.current_thread() is first:
            asking.set()
            assert going_on.wait(30)
            raise NoAnswer("timeout")
        return ask(*args)

    def press() -> None:
        with suppress(Refused):
            act(buyer, operations.refund, payment_id)

    monkeypatch.setattr(gateway, "ask", lose_the_first)
    monkeypatch.setattr(gateway, "exchange", take_refunds_on)
    first = threading.Thread(target=press)
    first.start()
    assert asking.wait(30)
    assert act(buyer, operations.refund, payment_id) is RefundResult.PENDING
    going_on.set()
    first.join()
    payment = buyer.payments()[0]
    assert (payment["refund_asked_at"] is not None, payment["refund_attempt"]) == (True, 1)


# --- cancel ---


def test_a_page_under_way_is_cancelled_at_the_provider(buyer: Buyer) -> None:
    buyer.press()
    assert act(buyer, operations.cancel, newest(buyer)) is PaymentAttemptState.EXPIRED
    assert (buyer.state(), buyer.sessions()[0].status) == ("expired", "expired")
    assert audited(buyer) == [("cancel_payment", f"recipient:{buyer.person.id}")]


def test_money_that_came_first_is_not_cancelled(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("card")
    assert act(buyer, operations.cancel, newest(buyer)) is PaymentAttemptState.PAID
    with pytest.raises(Refused, match="payment_not_open"):
        act(buyer, operations.cancel, newest(buyer))


def test_a_slip_that_the_provider_keeps_is_told(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("konbini")
    buyer.confirm()
    with pytest.raises(Refused, match="payment_not_cancellable"):
        act(buyer, operations.cancel, newest(buyer))
    assert buyer.state() == "pending"


# --- what was to be looked at ---


def test_an_attempt_looked_at_is_over_and_the_person_may_pay_anew(buyer: Buyer) -> None:
    buyer.press()
    buyer.database.execute("UPDATE payment SET problem = 'mismatch: amount'")
    assert str(buyer.press()) == "closed"
    act(buyer, operations.looked_at, newest(buyer))
    assert (buyer.state(), buyer.states(), buyer.payments()[0]["problem"]) == ("cancelled", ["cancelled"], "")
    assert buyer.sessions()[0].status == "expired"
    assert audited(buyer) == [("close_problem", f"recipient:{buyer.person.id}")]
    assert str(buyer.press()) == "ready"
    with pytest.raises(Refused, match="payment_nothing_to_review"):
        act(buyer, operations.looked_at, newest(buyer))


def test_money_that_came_meanwhile_is_taken_when_the_problem_is_closed(buyer: Buyer) -> None:
    """Else the page would ask them to pay again."""
    buyer.press()
    buyer.choose("konbini")
    buyer.confirm()
    buyer.database.execute("UPDATE payment SET problem = 'pending beside another attempt'")
    buyer.choose("paid", slip=True)
    buyer.confirm()
    assert buyer.states() == ["pending"]
    act(buyer, operations.looked_at, newest(buyer))
    assert (buyer.state(), buyer.states(), buyer.payments()[0]["problem"]) == ("paid", ["paid"], "")


def test_money_that_does_not_fit_and_comes_during_a_cancel_is_named(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("card")
    buyer.database.execute("UPDATE payment SET amount_yen = 11000")
    with pytest.raises(Refused, match="payment_needs_review"):
        act(buyer, operations.cancel, newest(buyer))
    assert (buyer.states(), buyer.payments()[0]["problem"]) == (["started"], "mismatch: amount")


def test_money_that_does_not_fit_an_attempt_that_had_ended_invites_nobody_to_pay_again(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("card")
    buyer.tell(ChargeStatus.EXPIRED)
    buyer.database.execute("UPDATE payment SET amount_yen = 11000")
    buyer.confirm()
    with pytest.raises(Refused, match="12,000円"):
        act(buyer, operations.looked_at, newest(buyer))
    assert str(buyer.press()) == "closed"


def test_money_stays_when_its_problem_is_closed(buyer: Buyer) -> None:
    payment_id = paid(buyer)
    buyer.database.execute("UPDATE payment SET problem = 'paid twice', refund_asked_at = %s", [datetime.now(UTC)])
    act(buyer, operations.looked_at, payment_id)
    assert (buyer.state(), buyer.states(), buyer.payments()[0]["problem"]) == ("paid", ["paid"], "")
