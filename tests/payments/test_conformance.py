"""Cases for every payment provider, on the real database and against its stand-in.

`make contract` prints these as a table, provider by case. A provider that doesn't offer a case says so by skipping it.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import psycopg
import pytest
from flask import Flask

from app.payments.checkout import Outcome
from app.payments.gateway import NoAnswer, ask
from app.providers.http import Request
from app.providers.payments import PROVIDERS
from app.providers.payments.base import ChargeStatus, Order, RefundStatus, session_end
from dev.contract import KINDS
from sandbox.harness import Sandbox
from tests.payments.cases_after import AFTER
from tests.payments.sdks import paypay_client
from tests.payments.shop import BACK, RETURN
from tests.payments.stand import TRAITS, Stand, make_stand
from tests.providers.rawserver import RawServer

# payments of a day are listed, and nights are counted from today on
pytestmark = pytest.mark.usefixtures("one_day")

AMOUNT = 12_000
JAPAN = ZoneInfo("Asia/Tokyo")


def created(stand: Stand) -> None:
    assert stand.press() is Outcome.READY
    charge = stand.charge()
    assert charge.status is ChargeStatus.OPEN
    # a provider that tells what the page is for tells what was ordered
    assert charge.amount in {AMOUNT, None}
    assert charge.reference in {stand.payment()["reference"], None}
    assert urlsplit(stand.url()).scheme == "http"
    first = stand.url()
    assert (stand.press(), stand.url()) == (Outcome.READY, first)
    assert [(one["amount"], one["reference"]) for one in stand.at_provider()] == [
        (AMOUNT, stand.payment()["reference"])
    ]


def repeated(stand: Stand) -> None:
    """The same order again opens no second page: it gives the first one, or is refused for good."""
    now = datetime.now(UTC)
    end = session_end(stand.provider, now + timedelta(hours=1), now)
    order = Order("again.1.p1", AMOUNT, "お支払い", RETURN, BACK, end)
    first = ask(stand.provider, stand.account(), stand.provider.start(stand.account(), order))
    if stand.name == "paypay":
        with pytest.raises(NoAnswer, match="DUPLICATE_DYNAMIC_QR_REQUEST") as refused:
            ask(stand.provider, stand.account(), stand.provider.start(stand.account(), order))
        assert refused.value.final
    else:
        assert ask(stand.provider, stand.account(), stand.provider.start(stand.account(), order)) == first
    assert len(stand.at_provider()) == 1


def paid(stand: Stand) -> None:
    stand.press()
    stand.choose(stand.traits.at_once)
    stand.confirm()
    charge, payment = stand.charge(), stand.payment()
    assert (stand.state(), payment["problem"], stand.steps()) == ("paid", "", ["started", "paid"])
    assert (charge.status, charge.amount, (charge.currency or "").lower()) == (ChargeStatus.PAID, AMOUNT, "jpy")
    assert payment["method"] == stand.traits.at_once
    assert payment["method"] in stand.provider.methods
    assert abs(payment["paid_at"] - datetime.now(UTC)) < timedelta(minutes=1)
    assert charge.payment_id is not None
    assert [(one["state"], one["amount"]) for one in stand.at_provider()] == [("paid", AMOUNT)]
    # and once more changes nothing
    stand.confirm()
    assert stand.steps() == ["started", "paid"]


def declined(stand: Stand) -> None:
    stand.press()
    page = stand.url()
    stand.choose("declined")
    stand.confirm()
    assert (stand.state(), stand.url()) == ("started", page)
    stand.choose(stand.traits.at_once)
    stand.confirm()
    assert (stand.state(), stand.steps()) == ("paid", ["started", "paid"])


def order_slip(stand: Stand) -> None:
    if stand.traits.later is None:
        pytest.skip("no means of payment that is paid later")
    stand.press()
    stand.choose(stand.traits.later)
    stand.confirm()
    payment = stand.payment()
    assert (stand.state(), payment["method"], payment["paid_at"]) == ("pending", stand.traits.later, None)
    assert timedelta(days=2) < payment["pay_by"] - datetime.now(UTC) < timedelta(days=4)
    # an attempt that waits for its money starts no second payment
    assert stand.press() is Outcome.CLOSED


def pending_then_paid(stand: Stand) -> None:
    order_slip(stand)
    stand.settle("paid")
    stand.confirm()
    assert (stand.state(), stand.payment()["problem"]) == ("paid", "")
    assert stand.steps() == ["started", "pending", "paid"]
    assert stand.charge().amount == AMOUNT


def pending_then_expired(stand: Stand) -> None:
    order_slip(stand)
    stand.settle("lapsed")
    stand.confirm()
    assert (stand.state(), stand.steps()) == ("expired", ["started", "pending", "expired"])


def cancelled(stand: Stand) -> None:
    stand.press()
    page, account = stand.url(), stand.account()
    request = stand.provider.expire(account, stand.charge())
    if not stand.traits.ends_pages:
        assert request is None
        keys = stand.traits.keys(stand.account_id)
        with paypay_client(account.base_url, *keys, account.settings["merchant_id"]) as client:
            answer = client.Payment.cancel_payment(stand.payment()["provider_id"])
        assert answer["resultInfo"]["code"] == "REQUEST_ACCEPTED"
    else:
        assert request is not None
        assert stand.send(request).status == 200
    stand.confirm()
    assert stand.state() in {"cancelled", "expired"}
    assert stand.send(Request("GET", page)).status == 410
    # the way on: another attempt
    assert stand.press() is Outcome.READY
    assert [one["state"] for one in stand.at_provider()][1:] == ["open"]


def refunded(stand: Stand) -> None:
    stand.press()
    stand.choose(stand.traits.at_once)
    stand.confirm()
    paid_charge = stand.charge()
    request = stand.provider.refund(stand.account(), paid_charge, AMOUNT, "refund-1")
    assert request is not None
    refund = stand.provider.refunded(stand.send(request))
    assert (refund.status in {RefundStatus.DONE, RefundStatus.PENDING}, refund.amount) == (True, AMOUNT)
    # an answer that got lost: the same wish again gives nothing back twice
    again = stand.provider.refunded(stand.send(request))
    assert again.amount == AMOUNT
    assert [one["refunded"] for one in stand.at_provider()] == [AMOUNT]
    stand.confirm()
    assert (stand.state(), stand.steps()) == ("refunded", ["started", "paid", "refunded"])
    # money given back can't be given back again
    assert stand.charge().status is ChargeStatus.REFUNDED
    assert stand.provider.refund(stand.account(), stand.charge(), AMOUNT, "refund-2") is None


def refunded_in_part(stand: Stand) -> None:
    stand.press()
    stand.choose(stand.traits.at_once)
    stand.confirm()
    request = stand.provider.refund(stand.account(), stand.charge(), 500, "refund-1")
    assert request is not None
    assert stand.provider.refunded(stand.send(request)).amount == 500
    charge = stand.charge()
    assert (charge.status, charge.amount, charge.amount_refunded) == (ChargeStatus.PAID, AMOUNT, 500)


def wrong_amount(stand: Stand) -> None:
    stand.press()
    stand.choose(stand.traits.at_once)
    stand.sandbox.faults(amount_wrong={"value": 1, "on": stand.name})
    stand.confirm()
    assert (stand.state(), stand.payment()["problem"]) == ("started", "mismatch: amount")
    assert stand.steps() == ["started", "needs_review"]
    # put aside: a later right answer doesn't undo it, and no second payment starts
    stand.sandbox.faults()
    stand.confirm()
    assert (stand.state(), stand.press()) == ("started", Outcome.CLOSED)


def wrong_currency(stand: Stand) -> None:
    stand.press()
    stand.choose(stand.traits.at_once)
    stand.sandbox.faults(currency_wrong={"on": stand.name})
    stand.confirm()
    assert (stand.state(), stand.payment()["problem"]) == ("started", "mismatch: currency")
    assert stand.steps() == ["started", "needs_review"]


def bad_signature(stand: Stand) -> None:
    stand.press()
    stand.choose(stand.traits.at_once)
    genuine = stand.webhooks(1)[0]
    forged = stand.traits.forge(*genuine)
    assert stand.deliver(forged, ({}, genuine[1][:20]), ({}, b"")) == [400, 400, 400]
    assert (stand.kept(), stand.state()) == (0, "started")
    assert stand.deliver(genuine) == [200]


def replayed_event(stand: Stand) -> None:
    stand.sandbox.faults(webhooks_doubled=True)
    stand.press()
    stand.choose(stand.traits.at_once)
    different = stand.traits.events
    told = stand.webhooks(2 * different)
    assert set(stand.deliver(*told)) == {200}
    assert stand.kept() == different
    stand.apply()
    assert set(stand.deliver(*told, *told)) == {200}
    stand.apply()
    assert (stand.kept(), stand.state(), stand.steps()) == (different, "paid", ["started", "paid"])


def event_before_return(stand: Stand) -> None:
    stand.press()
    stand.choose(stand.traits.at_once)
    assert set(stand.deliver(*stand.webhooks(1))) == {200}
    stand.apply()
    assert stand.state() == "paid"
    stand.come_back()
    assert (stand.state(), stand.steps()) == ("paid", ["started", "paid"])


def no_event(stand: Stand) -> None:
    stand.sandbox.faults(webhooks_off=True)
    stand.press()
    stand.choose(stand.traits.at_once)
    stand.poll()
    assert (stand.state(), stand.steps(), stand.kept()) == ("paid", ["started", "paid"], 0)


def event_of_what_never_was(stand: Stand) -> None:
    """A webhook that announces money which didn't come: the provider is asked, and nothing changes."""
    stand.press()
    stand.choose(stand.traits.at_once)
    genuine = stand.webhooks(1)[0]
    stand.sandbox.reset()
    key, secret = stand.traits.keys(stand.account_id)
    stand.sandbox.addresses(**{f"{stand.name}_webhooks": {key: {"url": stand.listener.url, "secret": secret}}})
    assert stand.deliver(genuine) == [200]
    stand.apply()
    assert (stand.state(), stand.steps()) == ("started", ["started"])


def listed_by_day(stand: Stand) -> None:
    today = datetime.now(JAPAN).date()
    request = stand.provider.day_request(stand.account(), today)
    if request is None:
        pytest.skip("no list of a day's payments")
    stand.press()
    stand.choose(stand.traits.at_once)
    page = stand.provider.parse_list(today, stand.send(request))
    assert [(one.reference, one.status, one.amount) for one in page.charges] == [
        (stand.payment()["reference"], ChargeStatus.PAID, AMOUNT)
    ]
    assert page.cursor is None
    other = today - timedelta(days=1)
    before = stand.provider.day_request(stand.account(), other)
    assert before is not None
    assert not stand.provider.parse_list(other, stand.send(before)).charges


CASES: dict[str, Callable[[Stand], None]] = {
    "created": created,
    "same order again": repeated,
    "paid": paid,
    "declined": declined,
    "pending, then paid": pending_then_paid,
    "pending, then expired": pending_then_expired,
    "cancelled": cancelled,
    "refunded": refunded,
    "refunded in part": refunded_in_part,
    "wrong amount": wrong_amount,
    "wrong currency": wrong_currency,
    "bad signature": bad_signature,
    "replayed event": replayed_event,
    "event before return": event_before_return,
    "no event at all": no_event,
    "event of what never was": event_of_what_never_was,
    "listed by day": listed_by_day,
    **AFTER,
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_conformance(
    provider: str, case: str, app: Flask, database: psycopg.Connection, shops: Sandbox, listener: RawServer
) -> None:
    CASES[case](make_stand(provider, app, database, shops, listener))


def test_every_provider_has_a_stand() -> None:
    assert TRAITS.keys() == PROVIDERS.keys()


def test_the_table_in_docs_has_every_case() -> None:
    rows = [line.split(" | ")[0] for line in KINDS["payments"].table.read_text(encoding="utf-8").splitlines()]
    assert [f"| {case}" for case in CASES] == [row for row in rows if row.removeprefix("| ") in CASES]
