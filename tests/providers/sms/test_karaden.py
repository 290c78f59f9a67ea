"""Requests to 空電プッシュ, and what each of its answers comes to."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.providers.http import Failure, Reach, Response
from app.providers.sms import PROVIDERS
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
from app.providers.sms.karaden import karaden

ACCOUNT = SmsAccess(
    base_url="https://prg.karaden.jp/api/",
    settings={"tenant_id": "159bfd33-b9b7-f424-4755-c119b324591d", "service_id": "12"},
    credentials={"token": "secret-token"},
)
MESSAGE = SmsMessage("+819012345678", "お届け物です https://todoke.example/a&b", "ref-1")
ID = "82bdf9de-a532-4bf5-86bc-c9a1366e5f4a"
AT = "2026-11-23T10:00:00+09:00"


def shown(**changes: object) -> dict[str, Any]:
    """A message as the provider shows it just after it was accepted."""
    return {
        "id": ID,
        "object": "message",
        "service_id": 12,
        "to": "09012345678",
        "body": "秘密の本文",
        "tags": ["ref-1"],
        "result": "processing",
        "status": "waiting",
        "sent_result": "none",
        "carrier": "checking",
        "charged_count_per_sent": 0,
        "created_at": AT,
        "updated_at": AT,
    } | changes


def answer(status: int, content: object, headers: dict[str, str] | None = None) -> Response:
    return Response(status, headers or {}, json.dumps(content).encode())


def error(status: int, code: str, errors: object = None) -> Response:
    return answer(status, {"object": "error", "code": code, "message": "だめです 09012345678", "errors": errors})


def listed(*messages: object, has_more: bool = False) -> Response:
    return answer(200, {"object": "list", "has_more": has_more, "data": messages})


# -- requests ---------------------------------------------------------------------------------------------------------


def test_a_message_is_sent_as_a_form() -> None:
    request = karaden.send(ACCOUNT, MESSAGE)
    assert (request.method, request.url) == (
        "POST",
        "https://prg.karaden.jp/api/159bfd33-b9b7-f424-4755-c119b324591d/messages",
    )
    assert request.headers == {
        "Authorization": "Bearer secret-token",
        "Karaden-Version": "2024-03-01",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    assert parse_qsl(request.body.decode(), strict_parsing=True) == [
        ("service_id", "12"),
        ("to", "09012345678"),
        ("body", "お届け物です https://todoke.example/a&b"),
        ("tags[]", "ref-1"),
        ("is_shorten", "false"),
    ]


@given(st.text(st.characters(codec="utf-8")))
def test_a_form_is_written_as_the_standard_library_writes_it(body: str) -> None:
    form = [("service_id", "12"), ("to", "09012345678"), ("body", body), ("tags[]", "a.1+2%"), ("is_shorten", "false")]
    assert karaden.send(ACCOUNT, SmsMessage("+819012345678", body, "a.1+2%")).body.decode() == urlencode(form)


@pytest.mark.parametrize(
    "valid_until",
    [
        datetime(2026, 12, 31, 15, 30, 59, 999_999, tzinfo=UTC),
        datetime(2026, 12, 31, 10, 30, 59, tzinfo=timezone(-timedelta(hours=5))),
    ],
)
def test_a_limit_is_told_in_japanese_time(valid_until: datetime) -> None:
    request = karaden.send(ACCOUNT, SmsMessage("+819012345678", "本文", "r", valid_until))
    assert parse_qs(request.body.decode())["limited_at"] == ["2027-01-01T00:30:59+09:00"]


@pytest.mark.parametrize(
    "to", ["+17035551234", "09012345678", "+81901234567", "+8109012345678", "+81901234567８", "+819012345678\n", ""]
)
def test_a_number_that_would_ring_a_stranger_is_refused_and_not_told(to: str) -> None:
    with pytest.raises(ValueError, match="not a Japanese mobile number") as caught:
        karaden.send(ACCOUNT, SmsMessage(to, "本文", "r"))
    assert not to or to.strip() not in str(caught.value)


def test_settings_and_ids_cannot_leave_their_place_in_the_url() -> None:
    account = SmsAccess("https://x/api", {"tenant_id": "../a?b#c", "service_id": "1&to=2"}, {})
    assert urlsplit(karaden.detail(account, "../../other").url).path == "/api/..%2Fa%3Fb%23c/messages/..%2F..%2Fother"
    assert parse_qs(urlsplit(karaden.lookup(account, Sought("a&b=c")).url).query) == {
        "service_id": ["1&to=2"],
        "tag": ["a&b=c"],
        "per_page": ["100"],
    }


def test_a_credential_shows_in_no_repr() -> None:
    assert "secret-token" not in repr(ACCOUNT)
    assert "お届け" not in repr(MESSAGE)
    assert "9012345678" not in repr(MESSAGE)


def test_it_is_known_by_its_name() -> None:
    assert PROVIDERS["karaden"] is karaden
    assert [field.name for field in karaden.fields if field.secret] == ["token"]


# -- outcomes ---------------------------------------------------------------------------------------------------------

ACCEPTED, REFUSED, LATER, UNKNOWN = OutcomeKind
OURS = ("ref-1",)


@pytest.mark.parametrize(
    ("got", "outcome"),
    [
        (Failure(Reach.NEVER_LEFT, "refused"), Outcome(LATER, "refused")),
        (Failure(Reach.UNKNOWN, "timeout"), Outcome(UNKNOWN, "timeout")),
        (answer(200, shown()), Outcome(ACCEPTED, "waiting", ID, references=OURS)),
        (answer(200, shown(status="done")), Outcome(ACCEPTED, "done", ID, references=OURS)),
        (answer(200, shown(status="sent_on_monday")), Outcome(ACCEPTED, "sent_on_monday", ID, references=OURS)),
        (
            answer(200, shown(status="done", result="done", sent_result="received")),
            Outcome(ACCEPTED, "received", ID, references=OURS),
        ),
        (answer(200, shown(status="error")), Outcome(REFUSED, "error", ID, references=OURS)),
        (answer(200, shown(status="processing_error")), Outcome(REFUSED, "processing_error", ID, references=OURS)),
        (
            answer(200, shown(status="error", error={"code": "blocked"})),
            Outcome(REFUSED, "blocked", ID, references=OURS),
        ),
        (answer(200, shown(id=None)), Outcome(UNKNOWN, "no_id")),
        (answer(200, shown(id="../x")), Outcome(UNKNOWN, "no_id")),
        (answer(200, shown(status=None)), Outcome(UNKNOWN, "unreadable")),
        (answer(200, {"object": "error", "code": "unknown"}), Outcome(UNKNOWN, "unreadable")),
        (answer(200, [shown()]), Outcome(UNKNOWN, "unreadable")),
        (Response(200, {}, b""), Outcome(UNKNOWN, "unreadable")),
        (Response(200, {}, b"<html>"), Outcome(UNKNOWN, "unreadable")),
        (Response(200, {}, b"\xff\xfe\xff"), Outcome(UNKNOWN, "unreadable")),
        (Response(200, {}, b"[" * 100_000), Outcome(UNKNOWN, "unreadable")),
        (answer(201, shown()), Outcome(UNKNOWN, "http_201")),
        (Response(302, {"location": "/"}, b""), Outcome(UNKNOWN, "http_302")),
        (error(401, "unauthentication"), Outcome(LATER, "unauthentication", account_fault=True)),
        (Response(401, {}, b"<html>"), Outcome(LATER, "http_401", account_fault=True)),
        (Response(403, {}, b""), Outcome(LATER, "http_403", account_fault=True)),
        (error(400, "invalid_tenant"), Outcome(LATER, "invalid_tenant", account_fault=True)),
        (error(400, "invalid_version"), Outcome(LATER, "invalid_version", account_fault=True)),
        (error(404, "model_not_found"), Outcome(LATER, "model_not_found", account_fault=True)),
        (error(400, "something_else"), Outcome(UNKNOWN, "http_400")),
        (Response(400, {}, b"<html>"), Outcome(UNKNOWN, "http_400")),
        (Response(404, {}, b"<html>"), Outcome(UNKNOWN, "http_404")),
        (error(422, "validation_error", {"to": ["x"]}), Outcome(REFUSED, "validation_error:to")),
        (error(422, "validation_error", {"to": [], "body": []}), Outcome(REFUSED, "validation_error:body,to")),
        (
            error(422, "validation_error", {"service_id": [], "to": []}),
            Outcome(REFUSED, "validation_error:service_id,to"),
        ),
        (
            error(422, "validation_error", {"service_id": ["x"]}),
            Outcome(LATER, "validation_error:service_id", account_fault=True),
        ),
        (error(422, "validation_error"), Outcome(REFUSED, "validation_error")),
        (error(422, "validation_error", {"番号 09012345678": []}), Outcome(REFUSED, "validation_error")),
        (Response(422, {}, b""), Outcome(UNKNOWN, "http_422")),
        (Response(408, {}, b""), Outcome(UNKNOWN, "http_408")),
        (Response(409, {}, b""), Outcome(UNKNOWN, "http_409")),
        (error(500, "unknown"), Outcome(UNKNOWN, "http_500")),
        (Response(502, {}, b""), Outcome(UNKNOWN, "http_502")),
        (Response(503, {"retry-after": "5"}, b""), Outcome(UNKNOWN, "http_503")),
        (Response(504, {}, b""), Outcome(UNKNOWN, "http_504")),
    ],
)
def test_an_answer_comes_to_an_outcome(got: Response | Failure, outcome: Outcome) -> None:
    assert karaden.outcome(got) == outcome


DATE = "Mon, 23 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "30"}, 30.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "Mon, 23 Nov 2026 10:02:30 GMT", "date": DATE}, 150.0),
        ({"retry-after": "Mon, 23 Nov 2026 09:00:00 GMT", "date": DATE}, 0.0),
        ({"retry-after": "Mon, 23 Nov 2026 10:02:30", "date": DATE}, None),
        ({"retry-after": "Mon, 23 Nov 2026 10:02:30 GMT"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "９"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "soon", "date": DATE}, None),
    ],
)
def test_too_many_requests_says_when_to_come_back(headers: dict[str, str], seconds: float | None) -> None:
    expected = Outcome(LATER, "http_429", retry_after_s=seconds)
    assert karaden.outcome(Response(429, headers, b"")) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
)
LIKELY = st.sampled_from([AT, "9999-12-31T23:59:59-23:59", ID, "done", "error"])
FIELDS = st.fixed_dictionaries(
    {"object": st.just("message") | JSON}, optional={name: JSON | LIKELY for name in shown() if name != "object"}
)
BODIES = st.binary() | st.builds(lambda value: json.dumps(value).encode(), JSON | FIELDS | st.lists(FIELDS, max_size=2))
HEADERS = st.dictionaries(st.sampled_from(["retry-after", "date"]), st.text() | st.just(DATE))


@given(st.integers(100, 999), HEADERS, BODIES)
def test_no_answer_is_too_strange(status: int, headers: dict[str, str], body: bytes) -> None:
    """Whatever comes, there is an outcome; only a readable message under our eyes counts as accepted."""
    outcome = karaden.outcome(Response(status, headers, body))
    assert (outcome.kind is ACCEPTED) <= (status == 200 and outcome.provider_id is not None)
    assert (outcome.kind is REFUSED) <= (status in {200, 422})
    assert (outcome.kind is LATER) <= (status in {400, 401, 403, 404, 422, 429})


@given(st.integers(100, 999) | st.just(200), BODIES)
def test_reports_are_reports_or_unclear(status: int, body: bytes) -> None:
    response = Response(status, {}, body)
    for read in (
        lambda: karaden.report(response),
        lambda: karaden.parse_lookup(response, Sought("ref-1")),
        lambda: karaden.receipt(Pushed(body)),
    ):
        with suppress(UnclearAnswer):
            read()


# -- reports ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "state", "code"),
    [
        ({}, ReportState.PROCESSING, "waiting"),
        ({"status": "done"}, ReportState.PROCESSING, "done"),
        ({"status": "done", "result": "done", "sent_result": "received"}, ReportState.DELIVERED, "received"),
        ({"status": "done", "result": "done", "sent_result": "unconnected"}, ReportState.UNDELIVERED, "unconnected"),
        ({"status": "done", "result": "done", "sent_result": "error"}, ReportState.UNDELIVERED, "error"),
        (
            {"status": "done", "result": "processing", "sent_result": "unconnected"},
            ReportState.PROCESSING,
            "unconnected",
        ),
        ({"status": "done", "result": "done", "sent_result": "unknown"}, ReportState.PROCESSING, "unknown"),
        ({"status": "done", "result": "done", "sent_result": "none"}, ReportState.PROCESSING, "done"),
        ({"status": "done", "result": "done", "sent_result": "lost"}, ReportState.PROCESSING, "lost"),
        ({"status": "error", "result": "done"}, ReportState.UNDELIVERED, "error"),
        ({"status": "processing_error", "result": "done"}, ReportState.UNDELIVERED, "processing_error"),
        ({"status": "canceled", "result": "done"}, ReportState.CANCELLED, "canceled"),
    ],
)
def test_a_message_stands_somewhere(changes: dict[str, str], state: ReportState, code: str) -> None:
    report = karaden.report(answer(200, shown(**changes)))
    assert (report.state, report.code) == (state, code)


def test_a_report_tells_all_there_is() -> None:
    message = shown(
        status="done",
        result="done",
        sent_result="received",
        carrier="docomo",
        charged_count_per_sent=1,
        received_at="2026-11-23T10:00:05+09:00",
        updated_at="2026-11-23T10:00:09+09:00",
    )
    expected = Report(
        provider_id=ID,
        state=ReportState.DELIVERED,
        references=("ref-1",),
        code="received",
        carrier="docomo",
        accepted_at=datetime(2026, 11, 23, 1, 0, 0, tzinfo=UTC),
        at=datetime(2026, 11, 23, 1, 0, 5, tzinfo=UTC),
        units=1,
    )
    assert karaden.report(answer(200, message)) == expected
    assert karaden.receipt(Pushed(json.dumps(message).encode())) == (expected,)


def test_a_time_without_zone_and_a_strange_figure_are_not_believed() -> None:
    report = karaden.report(answer(200, shown(created_at="2026-11-23T10:00:00", charged_count_per_sent=True)))
    assert (report.accepted_at, report.units) == (None, None)


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (error(404, "model_not_found"), "model_not_found"),
        (Response(500, {}, b""), "http_500"),
        (Response(200, {}, b"no"), "unreadable"),
        (listed(shown()), "unreadable"),
    ],
)
def test_a_detail_that_is_none_is_unclear(response: Response, code: str) -> None:
    with pytest.raises(UnclearAnswer, match=code):
        karaden.report(response)


# -- look-up ----------------------------------------------------------------------------------------------------------


def test_a_reference_is_found_or_provably_absent() -> None:
    found = karaden.parse_lookup(listed(shown()), Sought("ref-1"))
    assert found is not None
    assert (found.provider_id, found.code) == (ID, "waiting")
    assert karaden.parse_lookup(listed(), Sought("ref-1")) is None


def test_a_reference_is_found_however_the_carrier_writes_it() -> None:
    assert karaden.parse_lookup(listed(shown(tags=["REF-1"])), Sought("ref-1")) is not None
    among_others = listed(shown(tags=["ref-2"]), shown(), shown(tags=["ref-3"]), has_more=True)
    found = karaden.parse_lookup(among_others, Sought("ref-1"))
    assert found is not None
    assert found.code == "waiting"


def test_a_reference_found_twice_says_so_and_tells_of_the_first() -> None:
    second = shown(id="later", created_at="2026-11-23T10:00:01+09:00")
    assert karaden.parse_lookup(listed(second, shown()), Sought("ref-1")) == Report(
        copies=2,
        provider_id=ID,
        state=ReportState.PROCESSING,
        references=("ref-1",),
        code="duplicate",
        accepted_at=datetime(2026, 11, 23, 1, tzinfo=UTC),
        at=datetime(2026, 11, 23, 1, tzinfo=UTC),
        units=0,
    )


@pytest.mark.parametrize(
    "response",
    [
        listed(has_more=True),
        listed(shown(tags=["other"]), has_more=True),
        listed(shown(tags=["other"])),
        listed(shown(tags=["ref-10"])),
        listed(shown(tags=None)),
        listed(shown(), {"object": "message"}),
        answer(200, {"object": "list", "data": []}),
        answer(200, {"object": "list", "has_more": False}),
        answer(200, {"has_more": False, "data": []}),
        answer(200, []),
        Response(200, {}, b""),
        error(401, "unauthentication"),
        error(404, "model_not_found"),
        Response(429, {}, b""),
        Response(500, {}, b""),
    ],
)
def test_a_look_up_that_proves_nothing_is_unclear(response: Response) -> None:
    with pytest.raises(UnclearAnswer):
        karaden.parse_lookup(response, Sought("ref-1"))


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("09012345678", "+819012345678"),
        ("090-1234-5678", "+819012345678"),
        ("+81 90 1234 5678", "+819012345678"),
        ("819012345678", "+819012345678"),
        ("9012345678", None),
        ("00012345678", None),
        ("0901234567", None),
        (["09012345678"], None),
        ("0" * 10_000, None),
    ],
)
def test_a_listed_number_is_read_however_it_is_written(written: object, number: str | None) -> None:
    noon = datetime(2026, 11, 23, 1, tzinfo=UTC)
    page = karaden.parse_list(listed(shown(to=written)), noon, noon)
    assert [message.to for message in page.messages] == [number]
