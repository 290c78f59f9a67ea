"""One site asked one thing: a charge may take several questions, and none goes on for ever."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import pytest

from app.outbound import Request, Response
from app.payments.base import Charge, ChargeStatus, PaymentAccount, PaymentProvider, UnclearCharge
from app.payments.site import NoAnswer, ask
from tests.outbound.rawserver import Peer, RawServer

ACCOUNT = PaymentAccount("http://127.0.0.1", {}, {})


@dataclass(frozen=True, slots=True)
class Curious:
    """Asks so many questions before it knows."""

    wants: int

    def charge(self, asked: Request, answers: Sequence[Response]) -> Charge | Request:
        if len(answers) < self.wants:
            return Request("GET", f"{asked.url}/{len(answers)}")
        if answers[-1].status != 200:
            raise UnclearCharge("refused", final=True)
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
    with RawServer(tell_and_go, Peer.reset) as server, pytest.raises(NoAnswer, match="reset"):
        ask(provider(2), ACCOUNT, Request("GET", server.url))
    with RawServer(lambda peer: peer.answer(b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n{}")) as server:
        with pytest.raises(NoAnswer, match="refused") as caught:
            ask(provider(1), ACCOUNT, Request("GET", server.url))
        assert caught.value.final
