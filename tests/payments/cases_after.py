"""Cases for every payment provider after the first press: staff's acts, nights, pages out of time, two phones."""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app import tenancy
from app.payments import confirm, manual_payments, operations, reconciliation
from app.payments.checkout import Outcome
from app.payments.manual_payments import Money
from app.payments.operations import RefundResult
from app.problems import Refused
from app.providers.payments.base import ChargeStatus
from tests import steps
from tests.payments.shop import choose
from tests.payments.stand import Stand

AMOUNT = 12_000
MANAGER = "user:1"


def act(stand: Stand, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    with stand.app.app_context(), tenancy.tenant(stand.tenant_id):
        return function(*args, actor=MANAGER, **named)


def night(stand: Stand, days: int = 1) -> None:
    """Compare as the job does so many nights after today."""
    with stand.app.app_context(), tenancy.tenant(stand.tenant_id):
        reconciliation.compare(stand.tenant_id, datetime.now(UTC) + timedelta(days=days))


def differences(stand: Stand) -> list[tuple[Any, ...]]:
    return stand.database.execute("SELECT kind, ours_yen, theirs_yen FROM payment_difference ORDER BY id").fetchall()


def pay(stand: Stand) -> int:
    stand.press()
    stand.choose(stand.traits.at_once)
    stand.confirm()
    return int(stand.payment()["id"])


def refund_call(stand: Stand) -> str:
    """Name the sandbox's call that gives money back."""
    return f"{stand.name}.{stand.traits.refund_call}"


def money_back(stand: Stand) -> list[int]:
    return [one["refunded"] for one in stand.at_provider()]


def two_phones(stand: Stand) -> None:
    """One page and one charge, from however many phones; whoever comes second is told so."""
    outcomes: list[Outcome] = []
    threads = [threading.Thread(target=lambda: outcomes.append(stand.press())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [Outcome.READY] * 4
    stand.choose(stand.traits.at_once)
    # the other phone, a moment later: no page is open any more, and nobody is led to another
    assert stand.press() is Outcome.CLOSED
    assert (stand.state(), stand.steps()) == ("paid", ["started", "paid"])
    assert [one["state"] for one in stand.at_provider()] == ["paid"]


def out_of_time(stand: Stand) -> None:
    """A page whose time is over gives way to a new one, whether the provider says that it is over or not."""
    stand.press()
    first = stand.url()
    stand.database.execute("UPDATE payment SET expires_at = now() - interval '1 minute'")
    assert stand.press() is Outcome.READY
    states = stand.database.execute("SELECT state FROM payment ORDER BY attempt").fetchall()
    assert states in [[(ended,), ("started",)] for ended in ("cancelled", "expired")]
    assert stand.url() != first


def refunded_by_staff(stand: Stand) -> None:
    """All of it goes back once, however many press at once and again."""
    payment_id = pay(stand)

    def press() -> None:
        with suppress(Refused):
            act(stand, operations.refund, payment_id)

    threads = [threading.Thread(target=press) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (stand.state(), money_back(stand)) == ("refunded", [AMOUNT])
    with pytest.raises(Refused, match="refund_not_paid"):
        act(stand, operations.refund, payment_id)
    assert stand.steps() == ["started", "paid", "refunded"]


def refund_unanswered(stand: Stand) -> None:
    """The provider gives the money back and its answer is lost, twice: asked again, it goes back once."""
    payment_id = pay(stand)
    stand.sandbox.faults(reset_after_body={"next": 2, "on": refund_call(stand)})
    assert act(stand, operations.refund, payment_id) is RefundResult.DONE
    assert (stand.state(), money_back(stand)) == ("refunded", [AMOUNT])


def refund_provider_away(stand: Stand) -> None:
    """Nothing was asked of the provider: nothing is changed, and the next press does it."""
    payment_id = pay(stand)
    stand.sandbox.faults(error_before={"value": True, "on": f"{stand.name}."})
    with pytest.raises(Refused, match="payment_site_away"):
        act(stand, operations.refund, payment_id)
    assert (stand.state(), stand.payment()["refund_asked_at"], money_back(stand)) == ("paid", None, [0])
    stand.sandbox.faults(error_before={"value": True, "on": refund_call(stand)})
    assert act(stand, operations.refund, payment_id) is RefundResult.UNKNOWN
    assert (stand.state(), money_back(stand)) == ("paid", [0])
    stand.sandbox.faults()
    assert act(stand, operations.refund, payment_id) is RefundResult.DONE
    assert (stand.state(), money_back(stand)) == ("refunded", [AMOUNT])


def refund_of_a_slip(stand: Stand) -> None:
    if stand.traits.later is None:
        pytest.skip("no means of payment that is paid later")
    stand.press()
    stand.choose(stand.traits.later)
    stand.settle("paid")
    stand.confirm()
    payment_id = stand.payment()["id"]
    if not stand.traits.takes_slips_back:  # by a form of the provider's own alone
        with pytest.raises(Refused, match="refund_method_unable"):
            act(stand, operations.refund, payment_id)
        assert (stand.state(), stand.payment()["refund_asked_at"]) == ("paid", None)
        return
    # the person has to name a bank account first: until then nobody is told that the money is back
    assert [act(stand, operations.refund, payment_id) for _ in range(2)] == [RefundResult.PENDING] * 2
    assert (stand.state(), money_back(stand)) == ("paid", [AMOUNT])
    stand.settle("refund_taken")
    stand.poll()
    assert (stand.state(), money_back(stand)) == ("refunded", [AMOUNT])


def cancelled_by_staff(stand: Stand) -> None:
    stand.press()
    payment_id = stand.payment()["id"]
    if not stand.traits.ends_pages:  # it ends by itself, within minutes
        with pytest.raises(Refused, match="payment_not_cancellable"):
            act(stand, operations.cancel, payment_id)
        assert stand.state() == "started"
        return
    assert act(stand, operations.cancel, payment_id) in {"cancelled", "expired"}
    assert stand.at_provider()[0]["state"] in {"cancelled", "expired"}
    assert stand.press() is Outcome.READY


def paid_before_the_cancel(stand: Stand) -> None:
    stand.press()
    stand.choose(stand.traits.at_once)
    assert act(stand, operations.cancel, stand.payment()["id"]) == "paid"
    assert (stand.state(), stand.steps()) == ("paid", ["started", "paid"])


def by_hand_and_back(stand: Stand) -> None:
    """Money that came another way ends the page where the provider can; taken back, the person pays there."""
    stand.press()
    money = Money("cash", AMOUNT, "窓口で受領")
    # where the page stays open, whoever records the money is told so
    still_open = act(stand, manual_payments.settle, stand.person.id, money, despite_open=True)
    assert still_open is not stand.traits.ends_pages
    assert stand.press() is Outcome.CLOSED
    row = stand.database.execute("SELECT id FROM payment WHERE payment_account_id IS NULL").fetchone()
    assert row is not None
    left = act(stand, manual_payments.take_back, row[0], "別の契約だった")
    assert left == ("unpaid" if stand.traits.ends_pages else "started")
    assert stand.press() is Outcome.READY
    stand.choose(stand.traits.at_once)
    assert stand.press() is Outcome.CLOSED
    found = stand.database.execute("SELECT payment_state FROM recipient").fetchone()
    assert found == ("paid",)
    assert [one["state"] for one in stand.at_provider()].count("paid") == 1


def by_hand_provider_away(stand: Stand) -> None:
    """The page under way can't be ended: whoever records the money is told that it can still be paid."""
    stand.press()
    stand.sandbox.faults(error_before={"value": True, "on": f"{stand.name}."})
    assert (
        act(stand, manual_payments.settle, stand.person.id, Money("cash", AMOUNT, "窓口で受領"), despite_open=True)
        is True
    )


def lost_for_a_day(stand: Stand) -> None:
    """No webhook, nobody came back, no poll: the night finds the money, and nothing else."""
    stand.sandbox.faults(webhooks_off=True)
    stand.press()
    stand.choose(stand.traits.at_once)
    assert stand.state() == "started"
    night(stand)
    assert (stand.state(), stand.steps(), differences(stand)) == ("paid", ["started", "paid"], [])
    night(stand, 2)
    assert (stand.steps(), differences(stand)) == (["started", "paid"], [])


def paid_after_its_end(stand: Stand) -> None:
    """The clock said that the page was over, and the money came all the same, without a word: the night finds it."""
    stand.sandbox.faults(webhooks_off=True)
    stand.press()
    url = stand.url()
    stand.database.execute("UPDATE payment SET expires_at = now() - interval '1 minute'")
    if stand.provider.tells_end:  # what it would have been told
        stand.tell(ChargeStatus.EXPIRED)
    else:
        stand.confirm()
    assert stand.state() == "expired"
    choose(url, stand.traits.at_once)
    night(stand)
    assert (stand.state(), differences(stand)) == ("paid", [])


def given_back_at_the_desk(stand: Stand) -> None:
    """A refund that the provider's own desk made, without a word to us."""
    stand.sandbox.faults(webhooks_off=True)
    pay(stand)
    request = stand.provider.refund(stand.account(), stand.charge(), AMOUNT, "desk-1")
    assert request is not None
    stand.send(request)
    night(stand)
    assert (stand.state(), stand.steps(), differences(stand)) == ("refunded", ["started", "paid", "refunded"], [])


def part_given_back_at_the_desk(stand: Stand) -> None:
    """A part that the provider's own desk gave back: 要確認, at once where an event tells of it, else by the night."""
    payment_id = pay(stand)
    heard = len(stand.webhooks(stand.traits.events))
    stand.sandbox.act(stand.at_provider()[0]["id"], "refund", amount=500)
    if stand.traits.tells_refunds:
        assert set(stand.deliver(*stand.webhooks(heard + 1)[heard:])) == {200}
        stand.apply()
    else:
        night(stand)
    assert (stand.state(), stand.payment()["problem"], differences(stand)) == ("paid", "part refunded", [])
    with pytest.raises(Refused, match="refund_amount_differs"):
        act(stand, operations.refund, payment_id)
    assert money_back(stand) == [500]
    # looked into, it is told no more, until more goes back
    act(stand, operations.looked_at, payment_id)
    stand.confirm()
    night(stand, 2)
    assert (stand.state(), stand.payment()["problem"]) == ("paid", "")
    if stand.name != "paypay":  # it takes one refund for a payment
        stand.sandbox.act(stand.at_provider()[0]["id"], "refund", amount=700)
        stand.confirm()
        assert stand.payment()["problem"] == "part refunded"
    assert stand.steps().count("needs_review") == (1 if stand.name == "paypay" else 2)


def disputed_then_won(stand: Stand) -> None:
    """A bank contests the payment (チャージバック): 要確認 at once, until it is over."""
    if not stand.traits.tells_disputes:
        pytest.skip("no dispute is told of before the money is gone")
    payment_id = pay(stand)
    heard = len(stand.webhooks(stand.traits.events))
    stand.sandbox.act(stand.at_provider()[0]["id"], "dispute")
    assert stand.deliver(*stand.webhooks(heard + 1)[heard:]) == [200]
    stand.apply()
    assert (stand.state(), stand.payment()["problem"], stand.payment()["dispute"]) == ("paid", "disputed", "open")
    with pytest.raises(Refused, match="refund_disputed"):
        act(stand, operations.refund, payment_id)
    assert money_back(stand) == [0]
    stand.sandbox.act(stand.at_provider()[0]["id"], "dispute_won")
    assert stand.deliver(*stand.webhooks(heard + 2)[heard + 1 :]) == [200]
    stand.apply()
    assert (stand.state(), stand.payment()["problem"], stand.payment()["dispute"]) == ("paid", "", "won")
    assert stand.steps()[-2:] == ["needs_review", "dispute_won"]


def disputed_and_lost(stand: Stand) -> None:
    if stand.name == "paypay":
        pytest.skip("no disputes: it settles them with its users itself")
    payment_id = pay(stand)
    heard = len(stand.webhooks(stand.traits.events))
    if stand.traits.tells_disputes:
        stand.sandbox.act(stand.at_provider()[0]["id"], "dispute")
        stand.confirm()
        act(stand, operations.looked_at, payment_id)
        heard += 1
    stand.sandbox.act(stand.at_provider()[0]["id"], "dispute_lost")
    assert set(stand.deliver(*stand.webhooks(heard + 1)[heard:])) == {200}
    stand.apply()
    # where the provider books it as a refund, the person has their money back
    assert (stand.state(), stand.payment()["problem"]) == (
        "paid" if stand.traits.tells_disputes else "refunded",
        "dispute lost",
    )
    act(stand, operations.looked_at, payment_id)
    stand.confirm()
    assert stand.payment()["problem"] == ""


def disputed_without_a_word(stand: Stand) -> None:
    """No event came: the night finds it."""
    if stand.name == "paypay":
        pytest.skip("no disputes: it settles them with its users itself")
    stand.sandbox.faults(webhooks_off=True)
    pay(stand)
    stand.sandbox.act(stand.at_provider()[0]["id"], "dispute" if stand.traits.tells_disputes else "dispute_lost")
    night(stand)
    assert stand.payment()["problem"] == ("disputed" if stand.traits.tells_disputes else "dispute lost")
    assert differences(stand) == []


def refund_that_came_back(stand: Stand) -> None:
    """A refund that was told as done, and that the person's bank sent back: told at once, or by the night."""
    if not stand.traits.tells_failed_refunds:
        pytest.skip("no refund is told to have failed")
    payment_id = pay(stand)
    assert act(stand, operations.refund, payment_id) is RefundResult.DONE
    heard = len(stand.webhooks(stand.traits.events + 1))
    stand.sandbox.act(stand.at_provider()[0]["id"], "refund_fails")
    assert stand.deliver(*stand.webhooks(heard + 1)[heard:]) == [200]
    stand.apply()
    # the company has the money: nobody is told that it went back, neither now nor once somebody has looked into it
    assert (stand.state(), stand.payment()["problem"]) == ("paid", "refund failed")
    paid_at = stand.database.execute("SELECT r.paid_at = p.paid_at FROM recipient r, payment p").fetchone()
    assert paid_at == (True,)
    act(stand, operations.looked_at, payment_id)
    stand.confirm()
    night(stand)
    assert (stand.state(), stand.payment()["problem"], differences(stand)) == ("paid", "", [])
    assert stand.press() is Outcome.CLOSED
    # it is given back by another refund
    assert act(stand, operations.refund, payment_id) is RefundResult.DONE
    assert (stand.state(), stand.payment()["problem"]) == ("refunded", "")


def refund_that_came_back_by_night(stand: Stand) -> None:
    if not stand.traits.tells_failed_refunds:
        pytest.skip("no refund is told to have failed")
    payment_id = pay(stand)
    assert act(stand, operations.refund, payment_id) is RefundResult.DONE
    stand.sandbox.act(stand.at_provider()[0]["id"], "refund_fails")
    assert stand.state() == "refunded"
    night(stand)
    assert (stand.state(), stand.payment()["problem"]) == ("paid", "refund failed")


def refund_that_came_back_beside_another(stand: Stand) -> None:
    """The person paid again meanwhile: now the company has the money twice."""
    if not stand.traits.tells_failed_refunds:
        pytest.skip("no refund is told to have failed")
    payment_id = pay(stand)
    assert act(stand, operations.refund, payment_id) is RefundResult.DONE
    stand.database.execute(
        "INSERT INTO payment (tenant_id, campaign_id, recipient_id, attempt, reference, state, amount_yen, method,"
        " paid_at) SELECT tenant_id, campaign_id, recipient_id, 2, 'by-hand', 'paid', amount_yen, 'cash', now()"
        " FROM payment"
    )
    with stand.app.app_context():
        steps.pay(stand.person.id)
    stand.sandbox.act(stand.at_provider()[0]["id"], "refund_fails")
    with stand.app.app_context(), tenancy.tenant(stand.tenant_id):
        confirm.confirm(payment_id)
    found = stand.database.execute("SELECT state, problem FROM payment ORDER BY attempt").fetchall()
    assert found == [("paid", "refund failed; paid twice"), ("paid", "")]


def time_of_payment(stand: Stand) -> None:
    """A provider's time in the future, or before the attempt, is not the time at which the person paid."""
    stand.press()
    stand.choose(stand.traits.at_once)
    for switch, off_s in (("paid_ahead_s", 86_400), ("paid_behind_s", 86_400)):
        stand.begin_anew()
        stand.sandbox.faults(**{switch: {"value": off_s, "on": stand.name}})
        told = stand.charge().paid_at
        assert told is not None
        assert abs(abs((told - datetime.now(UTC)).total_seconds()) - off_s) < 60
        stand.confirm()
        payment = stand.payment()
        assert payment["created_at"].replace(microsecond=0) <= payment["paid_at"] <= datetime.now(UTC)
        assert stand.database.execute("SELECT paid_at FROM recipient").fetchone() == (payment["paid_at"],)
        assert stand.payment()["problem"] == ""


def money_without_a_payment(stand: Stand) -> None:
    if stand.provider.day_request(stand.account(), datetime.now(UTC).date()) is None:
        pytest.skip("no list of a day's payments")
    pay(stand)
    # as a restored database would have it: the provider has a payment of ours that we don't
    stand.database.execute("UPDATE payment SET reference = 'restored.1.p1'")
    night(stand)
    assert ("unknown", None, AMOUNT) in differences(stand)


def payment_without_money(stand: Stand) -> None:
    """The provider knows nothing of what counts as paid here: told, and not undone."""
    pay(stand)
    stand.sandbox.reset()
    key, secret = stand.traits.keys(stand.account_id)
    stand.sandbox.addresses(**{f"{stand.name}_webhooks": {key: {"url": stand.listener.url, "secret": secret}}})
    night(stand)
    assert (stand.state(), differences(stand)) == ("paid", [("missing", AMOUNT, None)])


def _pay_a_misfit(stand: Stand) -> int:
    """Have the provider take more than was ordered."""
    stand.press()
    stand.choose(stand.traits.at_once)
    stand.database.execute("UPDATE payment SET amount_yen = amount_yen - 1")
    stand.confirm()
    payment = stand.payment()
    assert (payment["state"], payment["problem"]) == ("started", "mismatch: amount")
    return int(payment["id"])


def misfit_given_back(stand: Stand) -> None:
    """Nobody is led to a second payment while the provider has their money; once it went back they may pay anew."""
    payment_id = _pay_a_misfit(stand)
    with pytest.raises(Refused, match="12,000円"):
        act(stand, operations.looked_at, payment_id)
    stand.sandbox.faults(error_before={"value": True, "on": f"{stand.name}."})
    with pytest.raises(Refused, match="payment_site_away"):
        act(stand, operations.looked_at, payment_id)
    stand.sandbox.faults()
    assert (stand.state(), stand.payment()["problem"], stand.press()) == (
        "started",
        "mismatch: amount",
        Outcome.CLOSED,
    )
    stand.sandbox.act(stand.at_provider()[0]["id"], "refund", amount=AMOUNT)
    act(stand, operations.looked_at, payment_id)
    assert (stand.state(), stand.payment()["problem"], stand.press()) == ("cancelled", "", Outcome.READY)


def misfit_taken(stand: Stand) -> None:
    """Money that doesn't fit is taken by hand: the problem can be closed then, and nobody pays again."""
    payment_id = _pay_a_misfit(stand)
    money = Money("misfit", AMOUNT, "差額は返した")
    act(stand, manual_payments.settle, stand.person.id, money, despite_open=True)
    act(stand, operations.looked_at, payment_id)
    found = stand.database.execute("SELECT state, problem FROM payment ORDER BY attempt").fetchall()
    assert found == [("cancelled", ""), ("paid", "")]
    assert stand.database.execute("SELECT payment_state FROM recipient").fetchone() == ("paid",)
    assert stand.press() is Outcome.CLOSED


def paid_here_alone(stand: Stand) -> None:
    """One answer said paid, later ones say that nobody has: told by the night, and closed once it agrees."""
    stand.press()
    url = stand.url()
    stand.tell(ChargeStatus.PAID)
    night(stand)
    assert (stand.state(), differences(stand)) == ("paid", [("missing", AMOUNT, None)])
    choose(url, stand.traits.at_once)
    night(stand, 2)
    assert stand.database.execute("SELECT settled_by FROM payment_difference").fetchall() == [("system",)]
    assert stand.state() == "paid"


AFTER: dict[str, Callable[[Stand], None]] = {
    "two phones at once": two_phones,
    "page out of time": out_of_time,
    "refunded by staff": refunded_by_staff,
    "refund unanswered": refund_unanswered,
    "refund, provider away": refund_provider_away,
    "refund of a slip": refund_of_a_slip,
    "cancelled by staff": cancelled_by_staff,
    "paid before the cancel": paid_before_the_cancel,
    "by hand, taken back": by_hand_and_back,
    "by hand, provider away": by_hand_provider_away,
    "webhook lost for a day": lost_for_a_day,
    "paid after its end": paid_after_its_end,
    "given back at the provider": given_back_at_the_desk,
    "part given back at the provider": part_given_back_at_the_desk,
    "misfit given back": misfit_given_back,
    "misfit taken": misfit_taken,
    "disputed, then won": disputed_then_won,
    "disputed and lost": disputed_and_lost,
    "disputed without a word": disputed_without_a_word,
    "refund that came back": refund_that_came_back,
    "refund that came back by night": refund_that_came_back_by_night,
    "refund that came back beside another": refund_that_came_back_beside_another,
    "time of payment": time_of_payment,
    "money without a payment": money_without_a_payment,
    "payment without money": payment_without_money,
    "paid here alone": paid_here_alone,
}
