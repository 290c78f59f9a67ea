"""絶対リーチ!SMS: HTTP says 200 whatever became of a message, so its own codes decide, and nothing else."""

import json
from datetime import UTC, datetime
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from app.providers.http import Response
from app.providers.sms.base import Outcome, OutcomeKind, Pushed, Report, ReportState, SmsMessage, Sought, UnclearAnswer
from app.providers.sms.zettai_reach import zettai_reach
from tests.providers.sms.sample import answer
from tests.providers.sms.samples_zettai_reach import SAMPLE, coded, pushed

REF = "k3mzq7x2abcd.41.1"
ACCOUNT = SAMPLE.account
SHOWN = {"phoneNumber": "+819012345678", "smsMessage": "秘密の本文"}
TOKEN = ACCOUNT.credentials["token"]


def message(**fields: object) -> dict[str, object]:
    """Return a message of `status.json` that has arrived, with these fields instead."""
    whole = {
        "dateTime": "20261123 100001123",
        "phoneNumber": "+819012345678",
        "message": "秘密の本文",
        "smsCode": 12345,
        "carrierId": "103",
        "carrierName": "Docomo",
        "statusId": "2",
        "clientTag": REF,
        "detailedStatusId": "2",
        "separatedSuccessCount": 2,
    }
    return {**whole, **fields}


def listed(*messages: object) -> Response:
    return coded(0, "Success.", status=list(messages))


def test_the_form_is_the_documents_form() -> None:
    request = zettai_reach.send(ACCOUNT, SmsMessage("+819012345678", "100%+α\n😀&clientTag=x", REF))
    assert (request.method, request.url) == ("POST", "https://sms.example/p5/api/mt.json")
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qs(request.body.decode(), strict_parsing=True) == {
        "token": [TOKEN],
        "clientId": ["12345"],
        "smsCode": ["54321"],
        "phoneNumber": ["+819012345678"],
        "message": ["100%+α\n😀&clientTag=x"],
        "clientTag": [REF],
    }


@pytest.mark.parametrize("to", ["+818001234567", "+81312345678", "+818000345678", "+8190123456789", "+81901234567８"])
def test_a_number_that_the_document_knows_no_form_for_never_leaves(to: str) -> None:
    with pytest.raises(ValueError, match=r"^not a Japanese mobile number in E\.164 form$"):
        zettai_reach.send(ACCOUNT, SmsMessage(to, "本文", REF))


def test_settings_and_references_cannot_leave_their_place_in_the_address() -> None:
    request = zettai_reach.lookup(ACCOUNT, Sought("a&date=20261123#x"))
    assert (request.method, urlsplit(request.url).path) == ("GET", "/p5/api/status.json")
    query = parse_qs(urlsplit(request.url).query, strict_parsing=True)
    assert query == {"token": [TOKEN], "clientId": ["12345"], "clientTag": ["a&date=20261123#x"]}
    assert TOKEN not in repr(request)


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (coded(0, "Success.", **SHOWN), Outcome(OutcomeKind.ACCEPTED, "waiting")),
        (coded(" 0 ", "Success.", **SHOWN), Outcome(OutcomeKind.ACCEPTED, "waiting")),
        (coded("400", "Duplicate client tag."), Outcome(OutcomeKind.ACCEPTED, "duplicate_refused")),
        (coded(300, "Exceed sending count."), Outcome(OutcomeKind.LATER, "quota", account_fault=True)),
        (coded(110, "Invalid phoneNumber."), Outcome(OutcomeKind.REFUSED, "validation_error:to")),
        (coded(120, "message too long."), Outcome(OutcomeKind.REFUSED, "validation_error:body")),
        (coded(100, "Required message."), Outcome(OutcomeKind.REFUSED, "validation_error:body")),
        (coded(110, "Invalid token."), Outcome(OutcomeKind.LATER, "unauthentication:token", account_fault=True)),
        (coded(100, "Required smsCode"), Outcome(OutcomeKind.LATER, "unauthentication:smsCode", account_fault=True)),
        (coded(120, "clientTag too long."), Outcome(OutcomeKind.LATER, "validation_error", account_fault=True)),
        (coded(110, "phoneNumberは不正です"), Outcome(OutcomeKind.LATER, "validation_error", account_fault=True)),
        (coded(110, ""), Outcome(OutcomeKind.LATER, "validation_error", account_fault=True)),
        (coded(500, "System error."), Outcome(OutcomeKind.UNKNOWN, "code_500")),
        (coded(1, "?"), Outcome(OutcomeKind.UNKNOWN, "code_1")),
        (coded(0, "Success."), Outcome(OutcomeKind.UNKNOWN, "unreadable")),
        (coded({}, "Success.", **SHOWN), Outcome(OutcomeKind.UNKNOWN, "unreadable")),
        (coded(0.0, "Success.", **SHOWN), Outcome(OutcomeKind.UNKNOWN, "unreadable")),
        (coded("٠", "Success.", **SHOWN), Outcome(OutcomeKind.UNKNOWN, "unreadable")),
        (coded(-400, "Duplicate client tag."), Outcome(OutcomeKind.UNKNOWN, "unreadable")),
        (coded(None, "Success.", **SHOWN), Outcome(OutcomeKind.UNKNOWN, "unreadable")),
        (answer({"responseCode": False, **SHOWN}), Outcome(OutcomeKind.UNKNOWN, "unreadable")),
        (
            answer({"responseCode": 0, "responseMessage": "Success.", **SHOWN}, 201),
            Outcome(OutcomeKind.UNKNOWN, "http_201"),
        ),
    ],
)
def test_the_code_decides(response: Response, outcome: Outcome) -> None:
    assert zettai_reach.outcome(response) == outcome


def test_a_report_tells_all_there_is() -> None:
    at = datetime(2026, 11, 23, 1, 0, 1, 123_000, tzinfo=UTC)
    expected = Report(
        provider_id=REF,
        state=ReportState.DELIVERED,
        references=(REF,),
        code="received",
        carrier="docomo",
        at=at,
        units=2,
    )
    assert zettai_reach.report(listed(message())) == expected
    texts = message(carrierId=103, statusId=2, separatedSuccessCount="2", detailedStatusId=2)
    assert zettai_reach.report(listed(texts)) == expected
    event = message(type="DLR", dateTime="2026/11/23 10:00:01", messageId="a" * 32)
    assert zettai_reach.receipt(pushed([event])) == [
        Report(**{name: getattr(expected, name) for name in Report.__slots__} | {"at": at.replace(microsecond=0)})
    ]


@pytest.mark.parametrize(
    ("fields", "state", "code"),
    [
        ({"statusId": 0, "detailedStatusId": 31732}, ReportState.PROCESSING, "unknown"),
        ({"statusId": "1"}, ReportState.PROCESSING, "processing"),
        ({"statusId": 7}, ReportState.PROCESSING, "unknown"),
        ({"statusId": 3, "detailedStatusId": 31732}, ReportState.UNDELIVERED, "vacant:31732"),
        ({"statusId": 3, "detailedStatusId": "11823"}, ReportState.UNDELIVERED, "unconnected:11823"),
        ({"statusId": "3", "detailedStatusId": "52834"}, ReportState.UNDELIVERED, "handset_refused:52834"),
        ({"statusId": 3, "detailedStatusId": "61721"}, ReportState.UNDELIVERED, "congested:61721"),
        ({"statusId": 3, "detailedStatusId": 99999}, ReportState.UNDELIVERED, "failed:99999"),
        ({"statusId": 3, "detailedStatusId": "x"}, ReportState.UNDELIVERED, "failed"),
        ({"statusId": 3, "detailedStatusId": None}, ReportState.UNDELIVERED, "failed"),
    ],
)
def test_a_state_is_read_and_a_cause_keeps_its_figure(fields: dict[str, object], state: ReportState, code: str) -> None:
    report = zettai_reach.report(listed(message(**fields)))
    assert (report.state, report.code) == (state, code)
    if state is ReportState.PROCESSING:
        # the document calls the rest indefinite until then
        assert (report.carrier, report.units) == (None, None)


def test_only_causes_that_pass_are_tried_again() -> None:
    for cause in ("unconnected:31823", "unconnected:11824", "unconnected:62833", "congested:51721", "congested:14821"):
        assert cause in zettai_reach.passing
    # a vacant number, a handset that refuses, and whatever the service adds without notice, are final
    for cause in (
        "vacant:31732",
        "handset_refused:31834",
        "failed:31999",
        "failed",
        "unconnected:99823",
        "unconnected",
    ):
        assert cause not in zettai_reach.passing


@pytest.mark.parametrize(
    ("fields", "read"),
    [
        ({"carrierId": 999}, ("carrier", None)),
        ({"carrierId": None}, ("carrier", None)),
        ({"carrierId": "105"}, ("carrier", "softbank")),
        ({"separatedSuccessCount": 5_000}, ("units", None)),
        ({"separatedSuccessCount": True}, ("units", None)),
        ({"dateTime": "いつか"}, ("at", None)),
        ({"dateTime": "00010101 000000000"}, ("at", None)),
    ],
)
def test_a_strange_figure_is_not_believed(fields: dict[str, object], read: tuple[str, object]) -> None:
    assert getattr(zettai_reach.report(listed(message(**fields))), read[0]) == read[1]


def test_a_tag_is_ours_however_the_service_writes_it_and_only_whole() -> None:
    upper = zettai_reach.parse_lookup(listed(message(clientTag=f" {REF.upper()} ")), Sought(REF))
    assert upper is not None
    assert upper.provider_id == REF
    # a search by a beginning would show the tenth attempt for the first
    with pytest.raises(UnclearAnswer, match="incomplete"):
        zettai_reach.parse_lookup(listed(message(clientTag=REF + "0")), Sought(REF))
    among = zettai_reach.parse_lookup(listed(message(clientTag=REF + "0"), message()), Sought(REF))
    assert among is not None
    assert among.copies == 1


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (listed(), "absent"),
        (listed(message(), message(clientTag="other.1.1")), "incomplete"),
        (coded(110, "Invalid token."), "unauthentication:token"),
        (coded(500, "System error."), "code_500"),
        (coded(0, "Success."), "unreadable"),
        (listed("x"), "unreadable"),
        (listed(message(clientTag="")), "no_id"),
        (listed(message(clientTag="090 1234 5678")), "no_id"),
        (listed(message(clientTag=None)), "no_id"),
        (listed(message(statusId="2x")), "unreadable"),
        (Response(401, {}, b""), "http_401"),
    ],
)
def test_a_detail_that_is_none_is_unclear(response: Response, code: str) -> None:
    with pytest.raises(UnclearAnswer, match=f"^{code}$"):
        zettai_reach.report(response)


def test_a_bundle_tells_of_each_that_can_be_read() -> None:
    events = [message(clientTag=f"k3mzq7x2abcd.{n}.1") for n in range(100)]
    events[7] = {"type": "MO", "phoneNumber": "+819012345678"}
    events[9] = message(clientTag="田中さま")
    told = zettai_reach.receipt(pushed(events))
    assert len(told) == 98
    assert {one.state for one in told} == {ReportState.DELIVERED}
    with pytest.raises(UnclearAnswer):
        zettai_reach.receipt(pushed([events[7], events[9]]))


def test_a_bundle_is_read_as_form_and_as_json() -> None:
    content = json.dumps({"eventNotifications": [message(message="a+b c")]})
    for text in (content, "json=" + quote(content), "json=" + quote(content).replace("%20", "+")):
        assert [one.provider_id for one in zettai_reach.receipt(Pushed(text.encode()))] == [REF]
    for body in (
        b"xml=%3Cx%2F%3E",
        b"json=",
        b"json=%ff",
        b'{"eventNotifications": []}',
        b'{"eventNotifications": {}}',
    ):
        with pytest.raises(UnclearAnswer):
            zettai_reach.receipt(Pushed(body))
