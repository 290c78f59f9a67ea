"""The Infobip adapter: the request to the letter, each documented answer, and what a list can't prove."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from app.providers.http import Response
from app.providers.sms.base import Outcome, OutcomeKind, Pushed, Report, ReportState, SmsMessage, Sought, UnclearAnswer
from app.providers.sms.infobip import infobip
from app.states import result_codes
from tests.providers.sms.sample import Shown, answer
from tests.providers.sms.samples_infobip import (
    DELIVERED,
    NO_ERROR,
    PENDING,
    SAMPLE,
    error,
    listing,
    message,
    notice,
    pushed,
    rejected,
)

ACCOUNT = SAMPLE.account
OURS, NUMBER = "k3mzq7x2abcd.41.1", "+819012345678"
AT = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
SHOWN = Shown(OURS, NUMBER, "秘密の本文", AT)
SMS = SmsMessage(NUMBER, "お届け物です", OURS)


def status(group: str, name: str) -> dict[str, object]:
    return {"groupId": 9, "groupName": group, "id": 9, "name": name, "description": "…", "action": "…"}


def network(name: str, *, permanent: object) -> dict[str, object]:
    return {**NO_ERROR, "groupName": "HANDSET_ERRORS", "name": name, "permanent": permanent}


def told(**changes: object) -> Report:
    """Return what a receipt comes to that differs so from one that arrived."""
    (report,) = infobip.receipt(pushed([{**notice(replace(SHOWN, arrived=True)), **changes}]))
    return report


# -- the request -----------------------------------------------------------------------------------------------------


def test_a_message_goes_out_under_our_own_id() -> None:
    request = infobip.send(ACCOUNT, SMS)
    assert (request.method, request.url) == ("POST", "https://abcde.api.example.com/sms/3/messages")
    assert request.headers == {
        "Authorization": f"App {ACCOUNT.credentials['api_key']}",
        "Content-Type": "application/json",
        "Accept": "application/json",
    }
    assert json.loads(request.body) == {
        "messages": [
            {
                "destinations": [{"to": "819012345678", "messageId": OURS}],
                "content": {"text": "お届け物です"},
            }
        ]
    }


def test_sender_and_receipts_address_are_told_with_each_message() -> None:
    account = replace(ACCOUNT, receipt_url="https://todoke.example/callbacks/sms/1/secret")
    (sent,) = json.loads(infobip.send(account, replace(SMS, sender="+815012345678")).body)["messages"]
    assert sent["sender"] == "815012345678"
    assert sent["webhooks"] == {
        "delivery": {"url": "https://todoke.example/callbacks/sms/1/secret", "intermediateReport": False},
        "contentType": "application/json",
    }


@pytest.mark.parametrize(
    ("left", "least", "most"),
    [
        (timedelta(hours=2), 7170, 7180),  # the 20 s that the request may take are taken off
        (timedelta(days=9), 172_800, 172_800),
        (timedelta(seconds=15), 1, 1),
        (-timedelta(hours=1), 1, 1),  # never none: the service would try for its own 48 hours, at night too
    ],
)
def test_no_message_arrives_after_its_end(left: timedelta, least: int, most: int) -> None:
    (sent,) = json.loads(infobip.send(ACCOUNT, replace(SMS, valid_until=datetime.now(UTC) + left)).body)["messages"]
    period = sent["options"]["validityPeriod"]
    assert period["timeUnit"] == "SECONDS"
    assert least <= period["amount"] <= most


def test_reports_that_are_given_once_are_never_asked_for() -> None:
    asked = [
        infobip.lookup(ACCOUNT, Sought(OURS)),
        infobip.detail(ACCOUNT, OURS),
        infobip.sent_between(ACCOUNT, AT, AT + timedelta(minutes=1), 1),
    ]
    assert {urlsplit(request.url).path for request in asked} == {"/sms/3/logs"}
    assert parse_qs(urlsplit(asked[0].url).query)["messageId"] == [OURS]
    assert parse_qs(urlsplit(asked[2].url).query) == {
        "sentSince": ["2026-11-23T00:59:59.999+0000"],
        "sentUntil": ["2026-11-23T01:01:00.001+0000"],
        "limit": ["1000"],
    }
    assert urlsplit(infobip.detail(ACCOUNT, "a&b=../c").url).query.startswith("messageId=a%26b%3D..%2Fc&")


# -- the answer to a send --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "code", "fault"),
    [
        ("REJECTED_DND", OutcomeKind.REFUSED, "validation_error:to", False),
        ("REJECTED_INVALID_DESTINATION", OutcomeKind.REFUSED, "validation_error:to", False),
        ("REJECTED_MESSAGE_TOO_LONG", OutcomeKind.REFUSED, "rejected:REJECTED_MESSAGE_TOO_LONG", False),
        ("REJECTED_NETWORK", OutcomeKind.REFUSED, "rejected:REJECTED_NETWORK", False),
        ("REJECTED_SOURCE", OutcomeKind.LATER, "sender_refused:REJECTED_SOURCE", True),
        ("REJECTED_PREPAID_PACKAGE_EXPIRED", OutcomeKind.LATER, "quota:REJECTED_PREPAID_PACKAGE_EXPIRED", True),
        ("REJECTED_FLOODING_FILTER", OutcomeKind.LATER, "rejected:REJECTED_FLOODING_FILTER", False),
        # it has a message under this id, accepted or not: the look-up tells
        ("REJECTED_DUPLICATE_MESSAGE_ID", OutcomeKind.UNKNOWN, "unknown:REJECTED_DUPLICATE_MESSAGE_ID", False),
        ("", OutcomeKind.UNKNOWN, "unknown:", False),
    ],
)
def test_a_refusal_is_whose_fault_it_is(name: str, kind: OutcomeKind, code: str, *, fault: bool) -> None:
    outcome = infobip.outcome(rejected(name))
    assert (outcome.kind, outcome.code, outcome.account_fault) == (kind, code, fault)
    assert (outcome.provider_id, outcome.references) == (None, (OURS,))
    assert not result_codes.words(outcome.code).isascii()


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        (error("E400", 400, "messages[0].destinations[0].to"), Outcome(OutcomeKind.REFUSED, "validation_error:to")),
        (error("E400", 400, "messages[0].content.text"), Outcome(OutcomeKind.REFUSED, "validation_error:body")),
        (error("E400", 400), Outcome(OutcomeKind.REFUSED, "validation_error")),
        (error("E400", 400, "a person's words"), Outcome(OutcomeKind.REFUSED, "validation_error")),
        (
            error("E400", 400, "messages[0].sender"),
            Outcome(OutcomeKind.LATER, "sender_refused", account_fault=True),
        ),
        (
            error("E400", 400, "messages[0].options.validityPeriod.amount"),
            Outcome(OutcomeKind.LATER, "validation_error:validityPeriod"),
        ),
        # not the document's form of an error: a gateway's, which proves nothing
        (answer({"requestError": {}}, 400), Outcome(OutcomeKind.UNKNOWN, "http_400")),
        (answer({"errorCode": 400, "violations": []}, 400), Outcome(OutcomeKind.UNKNOWN, "http_400")),
        (error("E404", 404), Outcome(OutcomeKind.UNKNOWN, "http_404")),
    ],
)
def test_a_refused_request_is_told_by_its_field(refused: Response, expected: Outcome) -> None:
    assert infobip.outcome(refused) == expected


@pytest.mark.parametrize(
    "content",
    [
        {"messages": []},
        {"messages": [{"messageId": OURS, "status": PENDING}] * 2},
        {"messages": [{"messageId": OURS}]},
        {"messages": [{"status": PENDING}]},
        {"messages": [{"messageId": "090 1234 5678", "status": PENDING}]},
        {"messages": [{"messageId": OURS, "status": status("SOMETHING_NEW", "SOMETHING_NEW")}]},
        {"messages": [{"messageId": OURS, "status": status("EXPIRED", "EXPIRED_DLR_UNKNOWN")}]},
    ],
)
def test_an_answer_that_is_not_understood_leaves_the_outcome_open(content: object) -> None:
    assert infobip.outcome(answer(content)).kind is OutcomeKind.UNKNOWN


# -- reports ---------------------------------------------------------------------------------------------------------


def test_a_log_and_a_receipt_tell_all_there_is() -> None:
    arrived = replace(SHOWN, arrived=True)
    expected = Report(
        provider_id=OURS,
        state=ReportState.DELIVERED,
        references=(OURS,),
        code="received:DELIVERED_TO_HANDSET",
        carrier="docomo",
        accepted_at=AT,
        at=AT + timedelta(seconds=3),
        units=1,
    )
    assert infobip.report(listing([message(arrived)])) == expected
    assert infobip.receipt(pushed([notice(arrived)])) == (expected,)


@pytest.mark.parametrize(
    ("changes", "state", "code", "passes"),
    [
        ({"status": status("PENDING", "PENDING_ENROUTE")}, "processing", "processing:PENDING_ENROUTE", False),
        # with the carrier, not with the person
        (
            {"status": status("DELIVERED", "DELIVERED_TO_OPERATOR")},
            "processing",
            "processing:DELIVERED_TO_OPERATOR",
            False,
        ),
        ({"status": status("DELIVERED", "")}, "processing", "processing:DELIVERED", False),
        ({"status": status("SOMETHING_NEW", "NEW")}, "processing", "processing:NEW", False),
        # sent, and no carrier ever told: it may have arrived
        ({"status": status("EXPIRED", "EXPIRED_DLR_UNKNOWN")}, "processing", "unknown:EXPIRED_DLR_UNKNOWN", False),
        ({"status": status("EXPIRED", "EXPIRED_EXPIRED")}, "undelivered", "failed:EXPIRED_EXPIRED", False),
        (
            {
                "status": status("EXPIRED", "EXPIRED_EXPIRED"),
                "error": network("EC_ABSENT_SUBSCRIBER", permanent=False),
            },
            "undelivered",
            "unconnected:EC_ABSENT_SUBSCRIBER",
            True,
        ),
        (
            {
                "status": status("UNDELIVERABLE", "UNDELIVERABLE_NOT_DELIVERED"),
                "error": network("EC_SM_DF_memoryCapacityExceeded", permanent=False),
            },
            "undelivered",
            "congested:EC_SM_DF_memoryCapacityExceeded",
            True,
        ),
        # "permanent" has the last word
        (
            {
                "status": status("UNDELIVERABLE", "UNDELIVERABLE_NOT_DELIVERED"),
                "error": network("EC_ABSENT_SUBSCRIBER", permanent=True),
            },
            "undelivered",
            "failed:EC_ABSENT_SUBSCRIBER",
            False,
        ),
        (
            {
                "status": status("UNDELIVERABLE", "UNDELIVERABLE_NOT_DELIVERED"),
                "error": network("EC_UNKNOWN_SUBSCRIBER", permanent=True),
            },
            "undelivered",
            "vacant:EC_UNKNOWN_SUBSCRIBER",
            False,
        ),
        (
            {
                "status": status("UNDELIVERABLE", "UNDELIVERABLE_REJECTED_OPERATOR"),
                "error": network("EC_SOMETHING_NEW", permanent=False),
            },
            "undelivered",
            "failed:EC_SOMETHING_NEW",
            False,
        ),
        ({"status": status("REJECTED", "REJECTED_NETWORK")}, "undelivered", "failed:REJECTED_NETWORK", False),
    ],
)
def test_an_end_is_told_as_it_is(changes: dict[str, object], state: str, code: str, *, passes: bool) -> None:
    report = told(**changes)
    assert (report.state, report.code) == (state, code)
    assert (report.code in infobip.passing) is passes
    assert not result_codes.words(report.code).isascii()


@pytest.mark.parametrize(
    ("network_code", "carrier"),
    [
        ("44010", "docomo"),
        ("44020", "softbank"),
        ("44050", "au"),
        ("44011", "rakuten"),
        ("310260", None),
        ("null", None),
        (44010, None),
        (None, None),
    ],
)
def test_the_network_is_the_carrier(network_code: object, carrier: str | None) -> None:
    assert told(mccMnc=network_code).carrier == carrier


@pytest.mark.parametrize("units", [-1, 100, True, "1", None, 1.5])
def test_a_strange_figure_is_not_believed(units: object) -> None:
    assert told(messageCount=units).units is None


def test_a_time_without_its_zone_is_not_believed() -> None:
    report = told(sentAt="2026-11-23T01:00:00.000", doneAt="soon")
    assert (report.accepted_at, report.at) == (None, None)


def test_another_systems_message_whose_id_may_be_a_number_is_passed_over() -> None:
    theirs = {**notice(SHOWN), "messageId": "tel:090-1234-5678 氏名"}
    (report,) = infobip.receipt(pushed([theirs, notice(SHOWN)]))
    assert report.references == (OURS,)
    assert infobip.receipt(pushed([theirs])) == ()


@pytest.mark.parametrize(
    "broken", [{"messageId": None}, {"status": None}, {"status": {}}, {"status": status("x y", "a")}]
)
def test_a_receipt_that_is_none_is_unclear(broken: dict[str, object]) -> None:
    with pytest.raises(UnclearAnswer):
        infobip.receipt(pushed([{**notice(SHOWN), **broken}]))


# -- the logs --------------------------------------------------------------------------------------------------------


def test_a_message_that_the_logs_lack_is_no_report() -> None:
    for shown in ([], [message(SHOWN), message(replace(SHOWN, reference="zzzzzzzzzzzz.42.1"))]):
        with pytest.raises(UnclearAnswer):
            infobip.report(listing(shown))


def test_an_id_is_found_however_the_service_writes_it() -> None:
    found = infobip.parse_lookup(listing([{**message(SHOWN), "messageId": OURS.upper()}]), Sought(OURS))
    assert found is not None
    assert found.provider_id == OURS.upper()


def span() -> tuple[datetime, datetime]:
    return AT - timedelta(minutes=1), AT + timedelta(minutes=1)


def test_a_list_that_may_lack_messages_is_no_list() -> None:
    one = message(SHOWN)
    assert len(infobip.parse_list(listing([one]), *span()).messages) == 1
    days_later, undated = listing([one], "Wed, 25 Nov 2026 02:00:00 GMT"), replace(listing([one]), headers={})
    for unclear in (listing([one] * 1000), days_later, undated, listing([one], "soon")):
        with pytest.raises(UnclearAnswer, match="incomplete"):
            infobip.parse_list(unclear, *span())
    with pytest.raises(UnclearAnswer, match="unfiltered"):
        infobip.parse_list(listing([{**one, "sentAt": None}]), *span())


def test_a_number_that_is_none_is_none() -> None:
    shown = [{**message(SHOWN), "destination": to} for to in ("819012345678", "+819012345678", "9012345678", None, 81)]
    told = infobip.parse_list(listing(shown), *span()).messages
    assert [one.to for one in told] == [NUMBER, NUMBER, None, None, None]


def test_nobody_stands_in_what_is_told() -> None:
    """A hundred known people: neither their numbers nor their texts come out of an answer unasked."""
    people = [Shown(f"k3mzq7x2abcd.{n}.1", f"+8190{n:08}", f"秘密{n}", AT) for n in range(41_000_000, 41_000_100)]
    for person in people:
        digits = person.to[3:]
        spoken = repr(
            (
                infobip.outcome(SAMPLE.accepted(person)),
                infobip.outcome(error("E400", 400, person.to, person.body)),
                infobip.report(listing([message(person)])),
                infobip.receipt(pushed([notice(person)])),
                infobip.parse_list(listing([message(person)]), *span()),
                infobip.send(ACCOUNT, SmsMessage(person.to, person.body, person.reference)),
            )
        )
        assert digits not in spoken
        assert person.body not in spoken
    assert DELIVERED["groupName"] == "DELIVERED"
    assert infobip.is_authentic(ACCOUNT, Pushed(b"{}")) is False
