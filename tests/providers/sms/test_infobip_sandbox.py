"""The adapter and the engine against the sandbox, and against the service's SDK: what became of each message."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from infobip_api_client import SmsRequest, SmsResponse

from app.providers.curl import perform
from app.providers.http import Response
from app.providers.sms.base import Outcome, OutcomeKind, Pushed, Report, ReportState, SmsAccess, SmsMessage, Sought
from app.providers.sms.infobip import infobip
from sandbox.harness import Sandbox, running_sandbox
from tests.providers.rawserver import Peer, RawServer
from tests.providers.sms import faulty
from tests.providers.sms.faulty import Fault
from tests.providers.sms.sample import Shown
from tests.providers.sms.samples_infobip import SAMPLE
from tests.waiting import until


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
    return SmsAccess(sandbox.infobip_base, {}, {"api_key": "key"})


def send(account: SmsAccess, reference: str, to: str = "+819012345678", body: str = "お届け物です") -> Outcome:
    return infobip.outcome(perform(infobip.send(account, SmsMessage(to, body, reference))))


def look_up(account: SmsAccess, reference: str) -> Report | None:
    response = perform(infobip.lookup(account, Sought(reference)))
    assert isinstance(response, Response)
    return infobip.parse_lookup(response, Sought(reference))


def wait_for_end(account: SmsAccess, provider_id: str) -> Report:
    def ended() -> Report | None:
        response = perform(infobip.detail(account, provider_id))
        assert isinstance(response, Response)
        report = infobip.report(response)
        return None if report.state is ReportState.PROCESSING else report

    report = until(ended, "the message came to an end")
    assert report is not None
    return report


def test_the_request_is_one_of_the_sdks() -> None:
    """Whatever our request holds, the SDK's own model knows: nothing is dropped or spelled otherwise."""
    account = replace(SAMPLE.account, receipt_url="https://todoke.example/callbacks/sms/1/secret")
    end = datetime.now(UTC) + timedelta(hours=2)
    sent = infobip.send(account, SmsMessage("+819012345678", "本文", "ref-1", end, sender="+815012345678"))
    read = SmsRequest.from_json(sent.body.decode())
    assert read is not None
    assert read.to_dict() == json.loads(sent.body)


def test_the_answer_is_read_as_the_sdk_reads_it() -> None:
    shown = Shown("k3mzq7x2abcd.41.1", "+819012345678", "秘密の本文", datetime(2026, 11, 23, 1, 0, tzinfo=UTC))
    body = SAMPLE.accepted(shown).body
    read = SmsResponse.from_json(body.decode())
    assert read is not None
    assert infobip.outcome(Response(200, {}, body)).provider_id == read.messages[0].message_id


@pytest.mark.parametrize(
    ("to", "state", "code"),
    [
        ("+819012345678", ReportState.DELIVERED, "received:DELIVERED_TO_HANDSET"),
        ("+819012340000", ReportState.UNDELIVERED, "vacant:EC_UNKNOWN_SUBSCRIBER"),
        ("+819012340001", ReportState.UNDELIVERED, "unconnected:EC_ABSENT_SUBSCRIBER"),
    ],
)
def test_a_message_goes_its_way(sandbox: Sandbox, account: SmsAccess, to: str, state: ReportState, code: str) -> None:
    outcome = send(account, "ref-1", to)
    assert outcome == Outcome(
        OutcomeKind.ACCEPTED, "processing:PENDING_ACCEPTED", provider_id="ref-1", references=("ref-1",)
    )
    report = wait_for_end(account, "ref-1")
    assert (report.state, report.code, report.units, report.carrier) == (state, code, 1, "au")
    assert look_up(account, "ref-1") == report
    assert look_up(account, "ref-2") is None
    now = datetime.now(UTC)
    listed = perform(infobip.sent_between(account, now - timedelta(minutes=5), now, 1))
    assert isinstance(listed, Response)
    page = infobip.parse_list(listed, now - timedelta(minutes=5), now)
    assert [(one.report, one.to) for one in page.messages] == [(report, to)]
    (message,) = sandbox.messages()
    assert (message["to"], message["body"], message["tags"]) == ("0" + to[3:], "お届け物です", ["ref-1"])


@pytest.mark.parametrize(
    "fault",
    [
        Fault("reset_before_body", OutcomeKind.UNKNOWN, "reset", got_in=False),
        Fault("too_many_requests", OutcomeKind.LATER, "http_429", got_in=False),
        Fault("forbidden", OutcomeKind.LATER, "http_403", got_in=False),
        Fault("error_before", OutcomeKind.UNKNOWN, "http_500", got_in=False),
        Fault("error_after", OutcomeKind.UNKNOWN, "http_500", got_in=True),
        Fault("reset_after_body", OutcomeKind.UNKNOWN, "reset", got_in=True),
        Fault("gateway_timeout", OutcomeKind.UNKNOWN, "http_504", got_in=True),
        Fault("hang", OutcomeKind.UNKNOWN, "timeout", got_in=True),
    ],
    ids=lambda fault: fault.switch,
)
def test_a_fault_is_told_as_it_is_and_the_look_up_finds_the_truth(
    sandbox: Sandbox, account: SmsAccess, fault: Fault
) -> None:
    def copies(name: str) -> int:
        return sum(message["tags"].count(name) for message in sandbox.messages())

    faulty.meets(fault, sandbox, account, "infobip", send=send, look_up=look_up, copies=copies)


def test_a_message_is_told_until_when_it_may_arrive(sandbox: Sandbox, account: SmsAccess) -> None:
    end = datetime.now(UTC) + timedelta(hours=2)
    message = SmsMessage("+819012345678", "本文", "ref-1", end)
    assert infobip.outcome(perform(infobip.send(account, message))).kind is OutcomeKind.ACCEPTED
    told = datetime.fromisoformat(sandbox.messages()[0]["limited_at"])
    # not a second later, and earlier by no more than the request's own limit
    assert end - timedelta(seconds=account.timeout_s + 5) <= told <= end


def test_a_key_that_is_refused_is_the_accounts_fault(sandbox: Sandbox, account: SmsAccess) -> None:
    sandbox.addresses(sms_accounts={"infobip": {"ours": {"url": "http://127.0.0.1:9/", "secret": "other"}}})
    try:
        outcome = send(account, "ref-1")
    finally:
        sandbox.addresses(sms_accounts={"infobip": {}})
    assert (outcome.kind, outcome.code, outcome.account_fault) == (OutcomeKind.LATER, "http_401", True)


def test_a_message_too_long_is_refused(account: SmsAccess) -> None:
    outcome = send(account, "ref-1", body="あ" * 671)
    assert (outcome.kind, outcome.code) == (OutcomeKind.REFUSED, "rejected:REJECTED_MESSAGE_TOO_LONG")


def test_a_receipt_tells_what_the_logs_tell(sandbox: Sandbox, account: SmsAccess) -> None:
    with RawServer(*[_take] * 4) as receiver:
        assert send(replace(account, receipt_url=receiver.url), "ref-1").kind is OutcomeKind.ACCEPTED
        until(lambda: receiver.requests)
        (report,) = infobip.receipt(Pushed(receiver.requests[0].partition(b"\r\n\r\n")[2]))
    assert report == wait_for_end(account, "ref-1")


def _take(peer: Peer) -> None:
    peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
