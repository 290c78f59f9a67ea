"""One site asked one thing: a charge may take several questions, and none goes on for ever."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import pytest

from app import config
from app.config import Settings
from app.payments.gateway import NoAnswer, ask, trusted
from app.providers.http import Request, Response
from app.providers.payments.base import Charge, ChargeStatus, PaymentAccess, PaymentProvider, UnclearCharge
from app.providers.payments.komoju import komoju
from app.providers.payments.payjp import payjp
from app.providers.payments.paypay import paypay
from app.providers.payments.stripe import stripe_checkout
from tests.providers.rawserver import Peer, RawServer, read_and_reset

ACCOUNT = PaymentAccess("http://127.0.0.1", {}, {})


@dataclass(frozen=True, slots=True)
class Curious:
    """Asks so many questions before it knows."""

    wants: int

    def charge(self, asked: Request, answers: Sequence[Response]) -> Charge | Request:
        if len(answers) < self.wants:
            return Request("GET", f"{asked.url}/{len(answers)}")
        if answers[-1].status != 200:
            raise UnclearCharge("no_such_charge", final=True)
        told = [json.loads(answer.body)["at"] for answer in answers]
        return Charge(str(told), None, ChargeStatus.OPEN, None, None)


def provider(wants: int) -> PaymentProvider:
    return cast("PaymentProvider", Curious(wants))


def tell(peer: Peer) -> None:
    while request := peer.read():
        body = json.dumps({"at": request.split(b" ")[1].decode()}).encode()
        peer.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def tell_and_go(peer: Peer) -> None:
    peer.answer(b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\n{"at": 1}')


def test_each_question_follows_the_answers_so_far() -> None:
    with RawServer(*[tell] * 5) as server:
        assert ask(provider(3), ACCOUNT, Request("GET", server.url)).provider_id == str(
            ["/messages", "/messages/1", "/messages/2"]
        )


def test_an_endless_curiosity_is_no_answer() -> None:
    with RawServer(*[tell] * 20) as server, pytest.raises(NoAnswer, match="endless") as caught:
        ask(provider(100), ACCOUNT, Request("GET", server.url))
    assert not caught.value.final
    assert len(server.requests) == 5


def test_a_question_without_an_answer_is_no_answer() -> None:
    with RawServer(tell_and_go, read_and_reset) as server, pytest.raises(NoAnswer, match=r"^reset$"):
        ask(provider(2), ACCOUNT, Request("GET", server.url))
    with RawServer(lambda peer: peer.answer(b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n{}")) as server:
        with pytest.raises(NoAnswer, match="no_such_charge") as caught:
            ask(provider(1), ACCOUNT, Request("GET", server.url))
        assert caught.value.final


@pytest.mark.parametrize(
    ("provider", "url", "led"),
    [
        (stripe_checkout, "https://checkout.stripe.com/c/pay/cs_1#fid", True),
        (stripe_checkout, "https://payments.stripe.com/konbini/voucher/1", True),
        (payjp, "https://checkout.pay.jp/cs_1", True),
        (komoju, "https://komoju.com/sessions/1", True),
        (paypay, "https://qr-stg.sandbox.paypay.ne.jp/1", True),
        (payjp, "https://pay.shop.example/1", True),  # a name that a setting adds
        (stripe_checkout, "https://shop.example/1", False),
        (stripe_checkout, "https://komoju.com/sessions/1", False),
        (stripe_checkout, "http://checkout.stripe.com/1", False),
        (stripe_checkout, "https://checkout.stripe.com.evil.example/1", False),
        (stripe_checkout, "https://evilstripe.com/1", False),
        (stripe_checkout, "https://stripe.com@evil.example/1", False),
        (stripe_checkout, "https://evil.example\\@stripe.com/1", False),
        (stripe_checkout, "https://evil.example\\.stripe.com/1", False),
        (stripe_checkout, "https://stripe.com:8443/1", False),
        (stripe_checkout, "https://stripe.com/\r\nX: 1", False),
        (stripe_checkout, "https://stripe.com\t.evil.example/", False),
        (stripe_checkout, "//checkout.stripe.com/1", False),
        (stripe_checkout, "javascript:alert(1)", False),
        (stripe_checkout, "https://[::1/1", False),
        (stripe_checkout, "", False),
    ],
)
def test_a_person_is_led_to_the_providers_own_pages_alone(
    settings: Settings,
    provider: PaymentProvider,
    url: str,
    led: bool,  # noqa: FBT001 - a case's outcome
) -> None:
    config.install(replace(settings, payment_page_hosts=("pay.shop.example",)))
    try:
        account = PaymentAccess("https://api.example", {}, {})
        assert trusted(url, provider, account) is led
        beside = PaymentAccess("http://127.0.0.1:8001/stripe", {}, {})
        assert trusted("http://127.0.0.1:8001/stripe/till/1", provider, beside)
        assert not trusted("http://127.0.0.1:8002/stripe/till/1", provider, beside)
    finally:
        config.install(settings)
