"""The adapter and the engine against the sandbox: what the network did to a message, and what the ledger says of it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from app.providers.curl import Engine, perform
from app.providers.http import Answer, Response
from app.providers.sms.base import Outcome, OutcomeKind, Pushed, Report, ReportState, SmsAccess, SmsMessage, Sought
from app.providers.sms.karaden import karaden
from sandbox.harness import Sandbox, running_sandbox
from tests.providers.rawserver import Peer, RawServer
from tests.providers.sms import faulty
from tests.providers.sms.faulty import Fault
from tests.waiting import until

SETTINGS = {"tenant_id": "159bfd33-b9b7-f424-4755-c119b324591d", "service_id": "12"}


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with running_sandbox(receipt_delay_ms=0) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.reset()
    return running


@pytest.fixture
def account(sandbox: Sandbox) -> SmsAccess:
    return SmsAccess(sandbox.karaden_base, SETTINGS, {"token": "token"})


def send(account: SmsAccess, reference: str, to: str = "+819012345678") -> Outcome:
    return karaden.outcome(
        perform(karaden.send(account, SmsMessage(to, "お届け物です https://todoke.example/a", reference)))
    )


def look_up(account: SmsAccess, reference: str) -> Report | None:
    response = perform(karaden.lookup(account, Sought(reference)))
    assert isinstance(response, Response)
    return karaden.parse_lookup(response, Sought(reference))


def wait_for_end(account: SmsAccess, provider_id: str) -> Report:
    def ended() -> Report | None:
        response = perform(karaden.detail(account, provider_id))
        assert isinstance(response, Response)
        report = karaden.report(response)
        return None if report.state is ReportState.PROCESSING else report

    report = until(ended)
    assert report is not None
    return report


@pytest.mark.parametrize(
    ("to", "state", "code", "units"),
    [
        ("+819012345678", ReportState.DELIVERED, "received", 1),
        ("+819012340000", ReportState.UNDELIVERED, "error", 0),
        ("+819012340001", ReportState.UNDELIVERED, "unconnected", 0),
    ],
)
def test_a_message_goes_its_way(
    sandbox: Sandbox, account: SmsAccess, to: str, state: ReportState, code: str, units: int
) -> None:
    outcome = send(account, "ref-1", to)
    assert outcome.kind is OutcomeKind.ACCEPTED
    assert outcome.provider_id is not None
    assert outcome.references == ("ref-1",)
    report = wait_for_end(account, outcome.provider_id)
    assert (report.state, report.code, report.units) == (state, code, units)
    assert look_up(account, "ref-1") == report
    assert look_up(account, "ref-2") is None
    (message,) = sandbox.messages()
    assert (message["to"], message["body"], message["tags"]) == (
        "0" + to[3:],
        "お届け物です https://todoke.example/a",
        ["ref-1"],
    )


@pytest.mark.parametrize(
    "fault",
    [
        Fault("reset_before_body", OutcomeKind.UNKNOWN, "reset", got_in=False),
        Fault("too_many_requests", OutcomeKind.LATER, "http_429", got_in=False),
        Fault("error_before", OutcomeKind.UNKNOWN, "http_500", got_in=False),
        Fault("error_after", OutcomeKind.UNKNOWN, "http_500", got_in=True),
        Fault("reset_after_body", OutcomeKind.UNKNOWN, "reset", got_in=True),
        Fault("hang", OutcomeKind.UNKNOWN, "timeout", got_in=True),
    ],
    ids=lambda fault: fault.switch,
)
def test_a_fault_is_told_as_it_is_and_the_look_up_finds_the_truth(
    sandbox: Sandbox, account: SmsAccess, fault: Fault
) -> None:
    def copies(name: str) -> int:
        return sum(message["tags"].count(name) for message in sandbox.messages())

    faulty.meets(fault, sandbox, account, "karaden", send=send, look_up=look_up, copies=copies)


def test_a_wrong_token_is_the_accounts_fault(sandbox: Sandbox) -> None:
    account = SmsAccess(sandbox.karaden_base, SETTINGS, {"token": ""})
    outcome = send(account, "ref-1")
    assert (outcome.kind, outcome.code, outcome.account_fault) == (OutcomeKind.LATER, "unauthentication", True)
    nobody = SmsAccess(sandbox.karaden_base, SETTINGS | {"tenant_id": "x"}, {"token": "token"})
    outcome = send(nobody, "ref-1")
    assert (outcome.kind, outcome.code, outcome.account_fault) == (OutcomeKind.LATER, "invalid_tenant", True)


def test_a_message_too_long_is_refused(account: SmsAccess) -> None:
    request = karaden.send(account, SmsMessage("+819012345678", "あ" * 661, "ref-1"))
    assert karaden.outcome(perform(request)) == Outcome(OutcomeKind.REFUSED, "validation_error:body")


def test_a_receipt_tells_what_the_detail_tells(sandbox: Sandbox, account: SmsAccess) -> None:
    with RawServer(*[serve_receipt] * 4) as receiver:
        sandbox.addresses(karaden_receipts={"12": receiver.url})
        outcome = send(account, "ref-1")
        assert outcome.provider_id is not None
        until(lambda: receiver.requests)
        (report,) = karaden.receipt(Pushed(receiver.requests[0].partition(b"\r\n\r\n")[2]))
    assert report == wait_for_end(account, outcome.provider_id)
    assert report.references == ("ref-1",)


def serve_receipt(peer: Peer) -> None:
    peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def test_a_crowd_in_bad_weather_is_sent_once_each(sandbox: Sandbox, account: SmsAccess) -> None:
    """Every fault at once, 600 messages, 32 connections: what we believe is what the ledger says."""
    sandbox.faults(
        seed=1,
        reset_before_body={"rate": 0.05, "on": "karaden.create"},
        reset_after_body={"rate": 0.05, "on": "karaden.create"},
        error_after={"rate": 0.05, "on": "karaden.create"},
        too_many_requests={"rate": 0.05, "on": "karaden.create"},
        hang={"next": 5, "on": "karaden.create"},
    )
    outcomes: dict[str, Outcome] = {}

    def on_answer(reference: str, answer: Answer) -> None:
        outcomes[reference] = karaden.outcome(answer)

    messages = [SmsMessage(f"+8190{number:08}", "本文", f"ref-{number}") for number in range(10_000_000, 10_000_600)]
    hasty = replace(account, timeout_s=2)
    source: Iterator[Any] = ((message.reference, karaden.send(hasty, message)) for message in messages)
    with Engine[str](32) as engine:
        engine.run(
            source,
            on_answer,
            may_connect=lambda _reference: True,
            may_send=lambda _reference: True,
            on_skipped=pytest.fail,
        )
    taken = Counter(tag for message in sandbox.messages() for tag in message["tags"])
    assert max(taken.values()) == 1
    for reference, outcome in outcomes.items():
        if outcome.kind is OutcomeKind.ACCEPTED:
            assert taken[reference] == 1
        elif outcome.kind is OutcomeKind.LATER:
            assert taken[reference] == 0
        else:
            assert outcome.kind is OutcomeKind.UNKNOWN
    assert len(outcomes) == 600
    assert {kind for kind, count in Counter(o.kind for o in outcomes.values()).items() if count > 10} == {
        OutcomeKind.ACCEPTED,
        OutcomeKind.LATER,
        OutcomeKind.UNKNOWN,
    }
    unknown = [reference for reference, outcome in outcomes.items() if outcome.kind is OutcomeKind.UNKNOWN]
    assert {reference for reference in unknown if look_up(account, reference) is None} == {
        reference for reference in unknown if not taken[reference]
    }
