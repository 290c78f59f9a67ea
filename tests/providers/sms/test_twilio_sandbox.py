"""The adapter and the engine against the sandbox: what the network did to a message, and what the list says of it."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.providers.curl import perform
from app.providers.http import Response
from app.providers.sms.base import (
    Outcome,
    OutcomeKind,
    Pushed,
    Report,
    ReportState,
    SmsAccess,
    SmsMessage,
    Sought,
    UnclearAnswer,
)
from app.providers.sms.twilio import twilio
from sandbox.harness import Sandbox, running_sandbox
from tests.providers.rawserver import Peer, RawServer
from tests.providers.sms import faulty
from tests.providers.sms.faulty import Fault

TO = "+819012345678"


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
    settings = {"account_sid": "AC" + "1f" * 16, "sender": "+815012345678"}
    return SmsAccess(sandbox.twilio_base, settings, {"auth_token": "token"})


def text(name: str) -> str:
    return f"お届け物です https://todoke.example/{name}"


def send(account: SmsAccess, name: str, to: str = TO) -> Outcome:
    return twilio.outcome(perform(twilio.send(account, SmsMessage(to, text(name), f"mark.1.{name}"))))


def look_up(account: SmsAccess, name: str, to: str = TO) -> Report | None:
    sought = Sought(f"mark.1.{name}", datetime.now(UTC) - timedelta(seconds=5), to, text(name))
    request = twilio.lookup(account, sought)
    assert request is not None
    response = perform(request)
    assert isinstance(response, Response)
    return twilio.parse_lookup(response, sought)


def wait_for_end(account: SmsAccess, provider_id: str) -> Report:
    for _ in range(500):
        response = perform(twilio.detail(account, provider_id))
        assert isinstance(response, Response)
        report = twilio.report(response)
        if report.state is not ReportState.PROCESSING:
            return report
        time.sleep(0.02)
    pytest.fail("the message never came to an end")


@pytest.mark.parametrize(
    ("to", "state", "code"),
    [
        ("+819012345678", ReportState.DELIVERED, "received"),
        ("+819012340000", ReportState.UNDELIVERED, "vacant:30005"),
        ("+819012340001", ReportState.UNDELIVERED, "unconnected:30003"),
    ],
)
def test_a_message_goes_its_way(sandbox: Sandbox, account: SmsAccess, to: str, state: ReportState, code: str) -> None:
    outcome = send(account, "1", to)
    assert outcome.kind is OutcomeKind.ACCEPTED
    assert outcome.provider_id is not None
    report = wait_for_end(account, outcome.provider_id)
    assert (report.state, report.code) == (state, code)
    assert look_up(account, "1", to) == replace(report, references=("mark.1.1",))
    assert look_up(account, "2", to) is None
    (message,) = sandbox.messages()
    assert (message["to"], message["body"]) == ("0" + to[3:], text("1"))


@pytest.mark.parametrize(
    "fault",
    [
        Fault("reset_before_body", OutcomeKind.UNKNOWN, "reset", got_in=False),
        Fault("too_many_requests", OutcomeKind.LATER, "http_429", got_in=False),
        Fault("forbidden", OutcomeKind.LATER, "unauthentication:403", got_in=False),
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
        return [message["body"] for message in sandbox.messages()].count(text(name))

    faulty.meets(fault, sandbox, account, "twilio", send=send, look_up=look_up, copies=copies)


@pytest.mark.parametrize(("switch", "code"), [("list_unfiltered", "unfiltered"), ("clock_behind_s", "mismatch")])
def test_a_list_that_may_hide_ours_proves_nothing(sandbox: Sandbox, account: SmsAccess, switch: str, code: str) -> None:
    sandbox.faults(**{switch: True if switch == "list_unfiltered" else 3600})
    assert send(account, "1", TO if switch == "clock_behind_s" else "+819012349999").kind is OutcomeKind.ACCEPTED
    with pytest.raises(UnclearAnswer, match=code):
        look_up(account, "1")


@pytest.mark.parametrize("switch", ["list_empty", "list_stale_s"])
def test_a_list_that_lags_shows_nothing_yet(sandbox: Sandbox, account: SmsAccess, switch: str) -> None:
    assert send(account, "1").kind is OutcomeKind.ACCEPTED
    sandbox.faults(**{switch: True if switch == "list_empty" else 3600})
    assert look_up(account, "1") is None


def test_a_wrong_token_is_the_accounts_fault(sandbox: Sandbox, account: SmsAccess) -> None:
    nobody = replace(account, credentials={"auth_token": ""})
    assert send(nobody, "1") == Outcome(OutcomeKind.LATER, "unauthentication:20003", account_fault=True)
    wrong = replace(account, settings={**account.settings, "sender": "no sender of ours"})
    assert send(wrong, "1") == Outcome(OutcomeKind.LATER, "validation_error:21212", account_fault=True)


def test_a_message_too_long_is_refused(account: SmsAccess) -> None:
    request = twilio.send(account, SmsMessage(TO, "あ" * 1601, "mark.1.1"))
    assert twilio.outcome(perform(request)) == Outcome(OutcomeKind.REFUSED, "validation_error:body")


def serve(peer: Peer) -> None:
    peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def received(raw: bytes) -> Pushed:
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (header.split(": ", 1) for header in lines)}
    return Pushed(body, headers, line.split(" ")[1].partition("?")[2])


@pytest.mark.parametrize(
    ("switches", "states"),
    [
        ({}, [ReportState.PROCESSING, ReportState.DELIVERED]),
        ({"receipts_reversed": True}, [ReportState.DELIVERED, ReportState.PROCESSING]),
        ({"receipts_doubled": True}, [ReportState.PROCESSING, ReportState.DELIVERED, ReportState.DELIVERED]),
    ],
)
def test_callbacks_are_signed_and_name_our_reference_in_whatever_order(
    sandbox: Sandbox, account: SmsAccess, switches: dict[str, bool], states: list[ReportState]
) -> None:
    with RawServer(*[serve] * 4) as receiver:
        told = replace(account, receipt_url=f"{receiver.url}/callbacks/sms/7/key")
        sandbox.faults(**switches)
        outcome = send(told, "1")
        for _ in range(500):
            if len(receiver.requests) == len(states):
                break
            time.sleep(0.02)
        pushes = [received(raw) for raw in receiver.requests]
    assert all(twilio.is_authentic(told, pushed) for pushed in pushes)
    another = replace(told, credentials={"auth_token": "another"})
    assert not any(twilio.is_authentic(another, pushed) for pushed in pushes)
    reports = [report for pushed in pushes for report in twilio.receipt(pushed)]
    assert [report.state for report in reports] == states
    assert {(report.provider_id, report.references) for report in reports} == {(outcome.provider_id, ("mark.1.1",))}
