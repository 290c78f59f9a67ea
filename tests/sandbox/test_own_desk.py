"""Acts on payments at the providers' own desks, and faults that meet single payments alone."""

import pytest

from sandbox.harness import Sandbox, SandboxError
from tests.payments.sdks import paypay_client
from tests.providers.rawserver import Peer, RawServer
from tests.waiting import until

KEY = "key_desk"


def take(peer: Peer) -> None:
    peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def order(sandbox: Sandbox, reference: str) -> None:
    sandbox.addresses(paypay_webhooks={KEY: {"url": "http://127.0.0.1:9", "secret": "secret"}})
    with paypay_client(sandbox.paypay_base, KEY, "secret", "merchant-1") as client:
        client.Code.create_qr_code(
            {
                "merchantPaymentId": reference,
                "codeType": "ORDER_QR",
                "amount": {"amount": 500, "currency": "JPY"},
                "requestedAt": 1,
            }
        )


def test_what_a_provider_does_not_know_is_refused(sandbox: Sandbox) -> None:
    order(sandbox, "ref-1")
    (payment,) = sandbox.payments()
    for act in ("dispute", "dispute_lost", "refund_fails", "refund"):  # nothing is paid yet
        with pytest.raises(SandboxError, match="not at this provider"):
            sandbox.act(payment["id"], act)
    with pytest.raises(SandboxError, match="no such payment or act"):
        sandbox.act(payment["id"], "steal")
    with pytest.raises(SandboxError, match="no such payment or act"):
        sandbox.act("nobody", "refund")


def test_a_fault_may_meet_one_payment_alone(sandbox: Sandbox) -> None:
    order(sandbox, "ref-1")
    order(sandbox, "ref-2")
    sandbox.faults(error_before={"value": True, "on": "paypay.payment_details", "ids": ["ref-1"]})
    with paypay_client(sandbox.paypay_base, KEY, "secret", "merchant-1") as client:
        told = [client.Code.get_payment_details(reference)["resultInfo"]["code"] for reference in ("ref-1", "ref-2")]
    assert told == ["INTERNAL_SERVER_ERROR", "SUCCESS"]


@pytest.mark.parametrize("site", ["stripe", "payjp", "komoju", "paypay"])
def test_another_systems_payments_are_told_of_and_stand_in_no_books(sandbox: Sandbox, site: str) -> None:
    count = 6 if site == "payjp" else 3  # it tells of a payment twice: of the flow, and of the session
    with RawServer(*[take] * 6) as listener:
        sandbox.addresses(**{f"{site}_webhooks": {"sk_test_desk": {"url": listener.url, "secret": "secret"}}})
        sandbox.foreign(site, "sk_test_desk", 3, merchant="merchant-1")
        until(lambda: len(listener.requests) >= count)
        assert len(listener.requests) == count
    assert sandbox.payments() == []
    with pytest.raises(SandboxError, match="give site, key and count"):
        sandbox.foreign("nowhere", "sk_test_desk", 1)
