"""Twilio's words, read for what they prove: no SMS twice, none lost, whatever order its callbacks come in."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import time_machine

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

AT = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
NUMBER, BODY = "+819012345678", "【みどり信販】山田様 ご案内です。https://todoke.example/Abc123Def456"
URL = "https://todoke.example/callbacks/sms/7/0123456789abcdef"
SID = "SM" + "0a" * 16
OTHER = "SM" + "0b" * 16
TOKEN, SHARED = "auth-token", "shared-key"
ACCOUNT = SmsAccess(
    "https://sms.example",
    {"account_sid": "AC" + "1" * 32, "sender": "+815012345678"},
    {"auth_token": TOKEN, "shared_key": SHARED},
    receipt_url=URL,
)
REFERENCE = "k3mzq7x2abcd.41.1"
SOUGHT = Sought(REFERENCE, AT, NUMBER, BODY)
FORM = {"content-type": "application/x-www-form-urlencoded; charset=UTF-8"}


def shown(sid: str = SID, at: datetime = AT, **changes: object) -> dict[str, object]:
    return {
        "sid": sid,
        "to": NUMBER,
        "body": BODY,
        "status": "queued",
        "error_code": None,
        "date_created": format_datetime(at),
        "date_updated": format_datetime(at),
        **changes,
    }


def answer(content: object, status: int = 200) -> Response:
    return Response(status, {}, json.dumps(content).encode())


def listed(*messages: object, more: str | None = None) -> Response:
    return answer({"messages": list(messages), "next_page_uri": more})


def look_up(*messages: object, sought: Sought = SOUGHT, more: str | None = None) -> Report | None:
    return twilio.parse_lookup(listed(*messages, more=more), sought)


def error(code: int, status: int = 400) -> Response:
    return answer({"code": code, "message": f"The 'To' number {NUMBER} is not valid", "status": status}, status)


# -- sending ----------------------------------------------------------------------------------------------------------


def sent(message: SmsMessage, account: SmsAccess = ACCOUNT) -> dict[str, str]:
    form = parse_qs(twilio.send(account, message).body.decode(), strict_parsing=True)
    assert all(len(values) == 1 for values in form.values())
    return {name: values[0] for name, values in form.items()}


@time_machine.travel(AT, tick=False)
def test_the_form_says_whom_what_until_when_and_where_to_tell() -> None:
    message = SmsMessage(NUMBER, BODY + " +&=%", REFERENCE, AT + timedelta(minutes=90))
    assert sent(message) == {
        "To": NUMBER,
        "From": "+815012345678",
        "Body": BODY + " +&=%",
        "SmartEncoded": "false",
        "StatusCallback": f"{URL}?reference={REFERENCE}",
        "ValidityPeriod": "5400",
    }
    request = twilio.send(ACCOUNT, message)
    assert request.url == f"https://sms.example/2010-04-01/Accounts/AC{'1' * 32}/Messages.json"
    pair = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
    assert pair == f"AC{'1' * 32}:{TOKEN}"


@pytest.mark.parametrize(("left_s", "told"), [(0.4, "1"), (-60, "1"), (36_000.5, "36000"), (90_000, "36000")])
@time_machine.travel(AT, tick=False)
def test_the_end_stays_within_what_the_service_takes(left_s: float, told: str) -> None:
    message = SmsMessage(NUMBER, BODY, REFERENCE, AT + timedelta(seconds=left_s))
    assert sent(message)["ValidityPeriod"] == told


def test_a_messaging_service_is_named_as_one_and_an_approved_sender_goes_before_both() -> None:
    service = "MG" + "2" * 32
    account = replace(ACCOUNT, settings={**ACCOUNT.settings, "sender": service}, receipt_url="")
    form = sent(SmsMessage(NUMBER, BODY, REFERENCE), account)
    assert form["MessagingServiceSid"] == service
    assert not form.keys() & {"From", "StatusCallback", "ValidityPeriod"}
    assert sent(SmsMessage(NUMBER, BODY, REFERENCE, sender="MGCORP"), account)["From"] == "MGCORP"


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (answer(shown(), 201), Outcome(OutcomeKind.ACCEPTED, "waiting", SID)),
        (answer(shown(status="accepted"), 201), Outcome(OutcomeKind.ACCEPTED, "waiting", SID)),
        (answer(shown(status="failed", error_code=30006), 201), Outcome(OutcomeKind.REFUSED, "vacant:30006", SID)),
        (answer({"status": "queued"}, 201), Outcome(OutcomeKind.UNKNOWN, "no_id")),
        (error(21211), Outcome(OutcomeKind.REFUSED, "validation_error:to")),
        (error(21614), Outcome(OutcomeKind.REFUSED, "validation_error:to")),
        (error(21617), Outcome(OutcomeKind.REFUSED, "validation_error:body")),
        (error(21610), Outcome(OutcomeKind.REFUSED, "handset_refused:21610")),
        (error(21611), Outcome(OutcomeKind.LATER, "congested:21611", retry_after_s=60)),
        (error(21606), Outcome(OutcomeKind.LATER, "validation_error:21606", account_fault=True)),
        (error(20404, 404), Outcome(OutcomeKind.LATER, "validation_error:20404", account_fault=True)),
        (error(20003, 401), Outcome(OutcomeKind.LATER, "unauthentication:20003", account_fault=True)),
        (error(63038, 429), Outcome(OutcomeKind.LATER, "quota:63038", account_fault=True)),
        (error(20429, 429), Outcome(OutcomeKind.LATER, "http_429")),
        (error(20500, 500), Outcome(OutcomeKind.UNKNOWN, "http_500")),
        # an error in another's form proves nothing
        (answer({"code": 21211}, 400), Outcome(OutcomeKind.UNKNOWN, "http_400")),
        (answer({"code": 21211, "status": 500}, 400), Outcome(OutcomeKind.UNKNOWN, "http_400")),
        (answer({"code": True, "status": 400}, 400), Outcome(OutcomeKind.UNKNOWN, "http_400")),
    ],
)
def test_each_answer_is_taken_for_what_it_proves(response: Response, expected: Outcome) -> None:
    assert twilio.outcome(response) == expected


# -- looking up -------------------------------------------------------------------------------------------------------


def test_a_look_up_asks_for_the_number_and_hides_no_queued_message_behind_a_time() -> None:
    request = twilio.lookup(ACCOUNT, SOUGHT)
    assert request is not None
    assert parse_qs(urlsplit(request.url).query) == {"To": [NUMBER], "PageSize": ["400"]}


@pytest.mark.parametrize("lacks", [{"to": ""}, {"body": ""}, {"sent_at": None}])
def test_what_cannot_be_named_is_not_asked_for(lacks: dict[str, Any]) -> None:
    assert twilio.lookup(ACCOUNT, replace(SOUGHT, **lacks)) is None


def test_ours_is_found_by_its_link_whatever_became_of_the_words() -> None:
    renamed = shown(body="【さくら信販】山田様 https://new.example/Abc123Def456")
    for message in (shown(), renamed, shown(at=AT + timedelta(hours=5)), shown(at=AT - timedelta(seconds=4))):
        found = look_up(shown(OTHER, body="別件 https://todoke.example/Zzz999Yyy888"), message)
        assert found is not None
        assert (found.provider_id, found.references, found.copies) == (SID, (REFERENCE,), 1)


def test_a_text_that_shares_a_common_link_alone_is_not_ours() -> None:
    ours = replace(SOUGHT, body=BODY + " https://midori.example/faq")
    assert look_up(shown(body="別件 https://midori.example/faq"), sought=ours) is None


def test_a_text_without_a_link_is_found_to_the_word_and_by_its_time() -> None:
    sought = replace(SOUGHT, body="送信状況の確認です。")
    assert look_up(shown(body="送信状況の 確認です。"), sought=sought) is None
    assert look_up(shown(body="送信状況の確認です。", at=AT - timedelta(days=1)), sought=sought) is None
    assert look_up(shown(body="送信状況の確認です。 "), sought=sought) is not None


def test_two_attempts_of_one_text_are_told_apart_by_time() -> None:
    first = replace(SOUGHT, until=AT + timedelta(minutes=10))
    second = Sought("k3mzq7x2abcd.41.2", AT + timedelta(minutes=10), NUMBER, BODY)
    early, late = shown(SID, AT), shown(OTHER, AT + timedelta(minutes=10))
    assert look_up(late, early, sought=first) == replace(report_of(early), references=(REFERENCE,))
    found = look_up(late, early, sought=replace(second, known=frozenset({SID})))
    assert found is not None
    assert found.provider_id == OTHER
    assert look_up(late, sought=first) is None, "the second's look-up finds it"


def report_of(message: dict[str, object]) -> Report:
    return twilio.report(answer(message))


def test_the_same_text_twice_in_one_attempts_time_is_told_as_twice() -> None:
    found = look_up(shown(OTHER, AT + timedelta(minutes=1)), shown())
    assert found is not None
    assert (found.provider_id, found.code, found.copies) == (SID, "duplicate", 2)


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (listed(shown(OTHER, body="別件です"), more="/2010-04-01/…?Page=1"), "incomplete"),
        (listed(shown(at=AT - timedelta(hours=1))), "mismatch"),  # its clock, or ours, is wrong
        (listed(shown(body="")), "incomplete"),  # the contract withholds texts
        (listed(shown(body=None)), "incomplete"),
        (listed(shown(date_created=None)), "incomplete"),
        (listed(shown(date_created="yesterday", body=BODY)), "incomplete"),
        (listed(shown(to="+81901234XXXX")), "unfiltered"),
        (listed(shown(to="+819099999999", body="別件です")), "unfiltered"),
        (listed({"status": "queued"}), "no_id"),
        (listed("x"), "unreadable"),
        (answer({"messages": []}), "unreadable"),
        (answer({"messages": [], "next_page_uri": ""}), "unreadable"),
        (answer({"next_page_uri": None}), "unreadable"),
        (answer([]), "unreadable"),
        (answer({"code": 20003, "status": 401}, 401), "http_401"),
    ],
)
def test_what_might_be_ours_proves_no_absence(response: Response, code: str) -> None:
    with pytest.raises(UnclearAnswer) as caught:
        twilio.parse_lookup(response, SOUGHT)
    assert str(caught.value) == code


def test_a_message_known_by_another_attempt_is_no_doubt() -> None:
    before = shown(at=AT - timedelta(days=1), status="delivered")
    assert look_up(before, sought=replace(SOUGHT, known=frozenset({SID}))) is None


def test_ours_is_found_though_the_rest_of_the_list_is_doubtful() -> None:
    assert look_up(shown(OTHER, body=""), shown(), more="/next") is not None


@pytest.mark.parametrize(
    ("status", "error_code", "state", "code"),
    [
        ("queued", None, ReportState.PROCESSING, "waiting"),
        ("scheduled", None, ReportState.PROCESSING, "waiting"),
        ("sending", None, ReportState.PROCESSING, "processing"),
        ("sent", 30007, ReportState.PROCESSING, "processing"),
        ("delivered", None, ReportState.DELIVERED, "received"),
        ("read", None, ReportState.DELIVERED, "received"),
        ("undelivered", 30003, ReportState.UNDELIVERED, "unconnected:30003"),
        ("undelivered", 30005, ReportState.UNDELIVERED, "vacant:30005"),
        ("undelivered", 30008, ReportState.UNDELIVERED, "failed:30008"),
        ("failed", 30001, ReportState.UNDELIVERED, "congested:30001"),
        ("failed", None, ReportState.UNDELIVERED, "failed"),
        ("canceled", None, ReportState.CANCELLED, "canceled"),
        ("partially_delivered", None, ReportState.PROCESSING, "unknown"),
        ("a word of next year", None, ReportState.PROCESSING, "unknown"),
    ],
)
def test_each_status_says_where_a_message_stands(
    status: str, error_code: int | None, state: ReportState, code: str
) -> None:
    report = report_of(shown(status=status, error_code=error_code))
    assert (report.state, report.code, report.accepted_at) == (state, code, AT)


def test_only_what_passes_is_sent_again() -> None:
    codes = [report_of(shown(status="undelivered", error_code=code)).code for code in range(30001, 30040)]
    assert [code for code in codes if code in twilio.passing] == [
        "congested:30001",
        "unconnected:30003",
        "failed:30036",
    ]


# -- what is pushed ---------------------------------------------------------------------------------------------------

FIELDS = {"MessageSid": SID, "MessageStatus": "delivered", "To": NUMBER, "Note": ""}


def signed(covered: str, key: str = TOKEN, algorithm: Any = hashlib.sha1) -> str:
    return base64.b64encode(hmac.digest(key.encode(), covered.encode(), algorithm)).decode()


def pushed(
    fields: dict[str, str] = FIELDS,
    query: str = f"reference={REFERENCE}",
    url: str = URL,
    **more: Any,
) -> Pushed:
    covered = f"{url}?{query}" + "".join(name + value for name, value in sorted(fields.items()))
    headers = {**FORM, "x-twilio-signature": signed(covered, **more)}
    return Pushed(urlencode(fields).encode(), headers, query)


def test_a_callback_names_our_reference_by_its_address() -> None:
    (report,) = twilio.receipt(pushed())
    assert (report.provider_id, report.state, report.references) == (SID, ReportState.DELIVERED, (REFERENCE,))
    (report,) = twilio.receipt(pushed({**FIELDS, "MessageStatus": "undelivered", "ErrorCode": "30003"}))
    assert report.code == "unconnected:30003"
    (report,) = twilio.receipt(pushed(query=""))
    assert report.references == ()


@pytest.mark.parametrize("fields", [{}, {"MessageSid": SID}, {"MessageSid": "x", "MessageStatus": "sent"}])
def test_a_callback_that_lacks_its_fields_is_unclear(fields: dict[str, str]) -> None:
    with pytest.raises(UnclearAnswer):
        twilio.receipt(pushed(fields))


def test_each_form_of_a_right_signature_is_taken() -> None:
    settings = {"x-twilio-webhooks-signature-settings": "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"}
    by_key = pushed(key=SHARED, algorithm=hashlib.sha256)
    digest = hashlib.sha256(b'{"MessageSid": 1}').hexdigest()
    query = f"reference={REFERENCE}&bodySHA256={digest}"
    as_json = Pushed(
        b'{"MessageSid": 1}',
        {"content-type": "application/json", "x-twilio-signature": signed(f"{URL}?{query}")},
        query,
    )
    with_port = pushed(url=URL.replace("todoke.example", "todoke.example:443"))
    for right in (pushed(), replace(by_key, headers={**by_key.headers, **settings}), as_json, with_port):
        assert twilio.is_authentic(ACCOUNT, right)
    odd = replace(ACCOUNT, receipt_url=URL.replace("todoke.example", "todoke.example:8443"))
    assert twilio.is_authentic(odd, pushed()), "Twilio may leave a port out"


def test_no_other_signature_is_taken() -> None:
    right = pushed()
    settings = {"x-twilio-webhooks-signature-settings": "key=1,algorithm=HMAC_SHA256"}
    by_key = pushed(key=SHARED, algorithm=hashlib.sha256)
    wrong = [
        replace(right, headers=FORM),
        replace(right, headers={**right.headers, "x-twilio-signature": ""}),
        replace(right, headers={**right.headers, "x-twilio-signature": "署名"}),
        replace(right, query="reference=k3mzq7x2abcd.41.2"),
        replace(right, query=""),
        replace(right, body=right.body.replace(b"delivered", b"failed")),
        replace(right, body=right.body + b"&Extra=1"),
        replace(right, body=b""),
        # another body than a form is covered by nothing unless its digest is in the address
        replace(right, headers={**right.headers, "content-type": "application/json"}),
        Pushed(b"{}", {"x-twilio-signature": signed(URL)}),
        Pushed(b"{}", {"x-twilio-signature": signed(f"{URL}?bodySHA256=00")}, "bodySHA256=00"),
        pushed(key="another"),
        pushed(key=""),
        by_key,
        replace(right, headers={**right.headers, **settings}),
        replace(right, headers={**right.headers, "x-twilio-webhooks-signature-settings": "algorithm=HMAC_MD5"}),
        replace(right, headers={**right.headers, "x-twilio-webhooks-signature-settings": "key=1"}),
        pushed(url=URL.replace("sms/7", "sms/8")),
    ]
    assert [item for item in wrong if twilio.is_authentic(ACCOUNT, item)] == []


def test_without_a_shared_key_no_signature_by_one_is_taken() -> None:
    settings = {"x-twilio-webhooks-signature-settings": "algorithm=HMAC_SHA256"}
    forged = pushed(key="", algorithm=hashlib.sha256)
    without = replace(ACCOUNT, credentials={"auth_token": TOKEN})
    assert not twilio.is_authentic(without, replace(forged, headers={**forged.headers, **settings}))
