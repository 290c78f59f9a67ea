"""The adapter over real HTTP, against the stand-in that speaks 絶対リーチ!SMS's API."""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs

import pytest

from app.providers.curl import perform
from app.providers.http import Response
from app.providers.sms.base import Outcome, OutcomeKind, Pushed, Report, ReportState, SmsAccess, SmsMessage, Sought
from app.providers.sms.zettai_reach import zettai_reach
from sandbox.harness import Sandbox, running_sandbox
from tests.providers.rawserver import Peer, RawServer
from tests.providers.sms.samples_zettai_reach import SAMPLE
from tests.waiting import until


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with running_sandbox(receipt_delay_ms=0) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.reset()
    running.addresses(sms_accounts={"zettai_reach": {}})
    return running


@pytest.fixture
def account(sandbox: Sandbox) -> SmsAccess:
    return replace(SAMPLE.account, base_url=sandbox.zettai_reach_base, timeout_s=5)


def send(account: SmsAccess, reference: str, to: str = "+819012345678") -> Outcome:
    return zettai_reach.outcome(perform(zettai_reach.send(account, SmsMessage(to, "秘密の本文", reference))))


def look_up(account: SmsAccess, reference: str) -> Report | None:
    response = perform(zettai_reach.lookup(account, Sought(reference)))
    assert isinstance(response, Response)
    return zettai_reach.parse_lookup(response, Sought(reference))


def ended(account: SmsAccess, reference: str) -> Report:
    def over() -> Report | None:
        report = look_up(account, reference)
        return None if report is None or report.state is ReportState.PROCESSING else report

    found = until(over)
    assert found is not None
    return found


def test_a_message_is_sent_once_and_found(sandbox: Sandbox, account: SmsAccess) -> None:
    assert send(account, "ref.1.1") == Outcome(OutcomeKind.ACCEPTED, "waiting")
    report = ended(account, "ref.1.1")
    assert (report.state, report.carrier, report.units) == (ReportState.DELIVERED, "au", 1)
    assert look_up(account, "ref.2.1") is None
    assert [one["body"] for one in sandbox.messages()] == ["秘密の本文"]


@pytest.mark.parametrize(
    ("number", "code"), [("+819012340000", "vacant:11732"), ("+819012340001", "unconnected:11823")]
)
def test_a_failure_tells_its_cause(account: SmsAccess, number: str, code: str) -> None:
    send(account, "ref.1.1", number)
    assert (ended(account, "ref.1.1").state, ended(account, "ref.1.1").code) == (ReportState.UNDELIVERED, code)


def test_what_was_lost_on_the_way_is_sent_again_under_its_name_and_never_twice(
    sandbox: Sandbox, account: SmsAccess
) -> None:
    sandbox.faults(reset_after_body={"next": 1, "on": "zettai_reach.create"})
    assert send(account, "ref.1.1").kind is OutcomeKind.UNKNOWN
    assert send(account, "ref.1.1") == Outcome(OutcomeKind.ACCEPTED, "duplicate_refused")
    sandbox.faults(error_before={"next": 1, "on": "zettai_reach.create"})
    assert send(account, "ref.2.1") == Outcome(OutcomeKind.UNKNOWN, "code_500")
    assert send(account, "ref.2.1") == Outcome(OutcomeKind.ACCEPTED, "waiting")
    assert len(sandbox.messages()) == 2
    assert sandbox.summary()["duplicate_tags"] == {}


def test_a_wrong_token_is_the_accounts_fault(sandbox: Sandbox, account: SmsAccess) -> None:
    sandbox.addresses(sms_accounts={"zettai_reach": {"12345": {"secret": "a" * 32}}})
    assert send(account, "ref.1.1") == Outcome(OutcomeKind.LATER, "unauthentication:token", account_fault=True)


def test_a_bundle_of_receipts_tells_what_the_look_ups_tell(sandbox: Sandbox, account: SmsAccess) -> None:
    def take(peer: Peer) -> None:
        while peer.read():
            peer.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with RawServer(take) as receiver:
        sandbox.addresses(sms_accounts={"zettai_reach": {"*": {"url": receiver.url, "secret": "any"}}})
        sandbox.faults(receipt_delay_ms=500)
        for number in range(5):
            send(account, f"ref.{number}.1")

        def bodies() -> list[bytes]:
            return [request.partition(b"\r\n\r\n")[2] for request in receiver.requests]

        def told() -> list[Report]:
            return [report for body in bodies() for report in zettai_reach.receipt(Pushed(body))]

        until(lambda: len(told()) == 5)
        assert len(receiver.requests) < 5
        assert all(list(parse_qs(body.decode())) == ["json"] for body in bodies())
    assert {report.provider_id for report in told()} == {f"ref.{number}.1" for number in range(5)}
    for report in told():
        shown = ended(account, report.provider_id)
        assert (report.state, report.carrier, report.units) == (shown.state, shown.carrier, shown.units)
