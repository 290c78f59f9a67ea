"""The adapter against the sandbox: every way a payment can go, told by the fetch and announced by a webhook."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from stripe import StripeClient

from app.payments.gateway import NoAnswer, ask
from app.providers.curl import perform
from app.providers.http import Failure, Reach, Request, Response
from app.providers.payments.base import Charge, ChargeStatus, Order, PaymentAccess, WebhookEvent, session_end
from app.providers.payments.stripe import stripe_checkout
from sandbox.harness import Sandbox, running_sandbox
from tests.providers.rawserver import Peer, RawServer
from tests.waiting import until

KEY, SECRET = "sk_test_shop", "whsec_shop"


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def receiver() -> Iterator[RawServer]:
    with RawServer(*[serve_webhook] * 20) as server:
        yield server


def serve_webhook(peer: Peer) -> None:
    peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def sandbox(running: Sandbox, receiver: RawServer) -> Sandbox:
    running.reset()
    running.addresses(stripe_webhooks={KEY: {"url": receiver.url, "secret": SECRET}})
    return running


@pytest.fixture
def account(sandbox: Sandbox) -> PaymentAccess:
    credentials = {"secret_key": KEY, "webhook_secret": SECRET}
    return PaymentAccess(sandbox.stripe_base, {"methods": "card,konbini,paypay"}, credentials, timeout_s=20)


def order(reference: str = "ref-1", amount_yen: int = 12_300) -> Order:
    now = datetime.now(UTC)
    return Order(
        reference,
        amount_yen,
        "11月分のお支払い",
        "http://127.0.0.1:9/back?session={CHECKOUT_SESSION_ID}",
        "http://127.0.0.1:9/pay",
        session_end(stripe_checkout, now + timedelta(hours=1), now),
    )


def start(account: PaymentAccess, wanted: Order) -> Charge:
    return ask(stripe_checkout, account, stripe_checkout.start(account, wanted))


def fetch(account: PaymentAccess, provider_id: str) -> Charge:
    return ask(stripe_checkout, account, stripe_checkout.fetch(account, provider_id))


def choose(url: str, choice: str) -> None:
    """Press a button of the payment page; the way back leads to our own pages, which don't run here."""
    form = urlencode({"choice": choice}).encode()
    answer = perform(Request("POST", url, {"Content-Type": "application/x-www-form-urlencoded"}, form))
    assert isinstance(answer, Response)
    assert answer.status in {200, 303}


def events(account: PaymentAccess, receiver: RawServer, count: int) -> list[WebhookEvent]:
    """Wait for so many webhooks and read them."""
    until(lambda: len(receiver.requests) >= count)
    read = []
    for raw in receiver.requests:
        head, _, body = raw.partition(b"\r\n\r\n")
        lines = [line.split(": ", 1) for line in head.decode().split("\r\n")[1:]]
        headers = {name.lower(): value for name, value in lines}
        read.append(stripe_checkout.webhook(account, headers, body, datetime.now(UTC)))
    return read


def test_an_order_opens_one_page(sandbox: Sandbox, account: PaymentAccess) -> None:
    wanted = order()
    first, again = start(account, wanted), start(account, wanted)
    assert first == again == fetch(account, first.provider_id)
    assert (first.status, first.reference, first.amount, first.currency) == (ChargeStatus.OPEN, "ref-1", 12_300, "jpy")
    assert first.expires_at == wanted.expires_at
    assert first.url is not None


def references(sandbox: Sandbox) -> list[str | None]:
    listed = StripeClient(KEY, base_addresses={"api": sandbox.stripe_base}).v1.checkout.sessions.list()
    return [session.client_reference_id for session in listed.data]


def test_an_answer_that_was_lost_is_asked_for_again(sandbox: Sandbox, account: PaymentAccess) -> None:
    """The session was made and its answer never came: the same order gives the same session."""
    sandbox.faults(hang={"next": 1, "on": "stripe.session_create"})
    wanted = order()
    hasty = replace(account, timeout_s=0.5)
    assert perform(stripe_checkout.start(hasty, wanted)) == Failure(Reach.UNKNOWN, "timeout")
    assert start(account, wanted).status is ChargeStatus.OPEN
    assert references(sandbox) == ["ref-1"]


def test_an_order_that_stripe_failed_on_is_over(sandbox: Sandbox, account: PaymentAccess) -> None:
    """Stripe keeps even a 500 under the key; only another order gets a page."""
    sandbox.faults(error_after={"next": 1, "on": "stripe.session_create"})
    wanted = order()
    for final in (False, True):
        with pytest.raises(NoAnswer, match="api_error") as caught:
            start(account, wanted)
        assert caught.value.final is final
    assert start(account, order("ref-2")).status is ChargeStatus.OPEN


def test_another_order_under_the_same_reference_is_refused(account: PaymentAccess) -> None:
    start(account, order())
    with pytest.raises(NoAnswer, match="idempotency_error") as caught:
        start(account, order(amount_yen=1))
    assert caught.value.final


@pytest.mark.parametrize("method", ["card", "paypay"])
def test_a_payment_at_once(account: PaymentAccess, receiver: RawServer, method: str) -> None:
    opened = start(account, order())
    choose(str(opened.url), method)
    paid = fetch(account, opened.provider_id)
    assert (paid.status, paid.method, paid.amount, paid.url) == (ChargeStatus.PAID, method, 12_300, None)
    assert paid.paid_at is not None
    assert abs(paid.paid_at - datetime.now(UTC)) < timedelta(minutes=1)
    (event,) = events(account, receiver, 1)
    assert (event.kind, event.provider_id) == ("checkout.session.completed", opened.provider_id)


def test_a_declined_card_leaves_the_page_open(account: PaymentAccess) -> None:
    opened = start(account, order())
    choose(str(opened.url), "declined")
    assert fetch(account, opened.provider_id).status is ChargeStatus.OPEN
    choose(str(opened.url), "card")
    assert fetch(account, opened.provider_id).status is ChargeStatus.PAID


@pytest.mark.parametrize(
    ("end", "status", "kind"),
    [
        ("paid", ChargeStatus.PAID, "checkout.session.async_payment_succeeded"),
        ("lapsed", ChargeStatus.EXPIRED, "checkout.session.async_payment_failed"),
    ],
)
def test_a_konbini_slip_waits_and_ends(
    account: PaymentAccess, receiver: RawServer, end: str, status: ChargeStatus, kind: str
) -> None:
    opened = start(account, order())
    choose(str(opened.url), "konbini")
    waiting = fetch(account, opened.provider_id)
    assert (waiting.status, waiting.method, waiting.paid_at) == (ChargeStatus.PENDING, "konbini", None)
    assert waiting.pay_by is not None
    assert timedelta(days=2) < waiting.pay_by - datetime.now(UTC) < timedelta(days=4)
    choose(f"{opened.url}/slip", end)
    ended = fetch(account, opened.provider_id)
    assert (ended.status, ended.pay_by) == (status, None)
    assert {event.kind for event in events(account, receiver, 2)} == {"checkout.session.completed", kind}


def test_an_expired_page_and_money_given_back(sandbox: Sandbox, account: PaymentAccess, receiver: RawServer) -> None:
    client = StripeClient(KEY, base_addresses={"api": sandbox.stripe_base})
    left = start(account, order())
    client.v1.checkout.sessions.expire(left.provider_id)
    assert fetch(account, left.provider_id).status is ChargeStatus.EXPIRED
    paid = start(account, order("ref-2"))
    choose(str(paid.url), "card")
    payment = client.v1.checkout.sessions.retrieve(paid.provider_id).payment_intent
    client.v1.refunds.create({"payment_intent": str(payment)})
    assert fetch(account, paid.provider_id).status is ChargeStatus.REFUNDED
    told = {event.kind: event for event in events(account, receiver, 3)}
    assert told.keys() == {"checkout.session.expired", "checkout.session.completed", "charge.refunded"}
    assert (told["charge.refunded"].provider_id, told["charge.refunded"].reference) == (None, "ref-2")


def test_a_wrong_key_and_an_unknown_session_say_so(sandbox: Sandbox, account: PaymentAccess) -> None:
    with pytest.raises(NoAnswer, match="resource_missing") as caught:
        fetch(account, "cs_test_nobody")
    assert caught.value.final
    with pytest.raises(NoAnswer) as caught:
        start(PaymentAccess(sandbox.stripe_base, {}, {"secret_key": ""}), order())
    assert not caught.value.final
