"""The carrier's door, held against the official SDK and the official specification."""

import json
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import karaden
import pytest
from karaden.exception.unknown_error_exception import UnknownErrorException
from karaden.param.message_cancel_params import MessageCancelParams
from karaden.param.message_create_params import MessageCreateParams
from karaden.param.message_detail_params import MessageDetailParams
from karaden.param.message_list_params import MessageListParams

from sandbox.harness import Sandbox
from tests.sandbox.conftest import TENANT, Listener
from tests.waiting import until

NUMBER = "09012345678"


def send(options: karaden.RequestOptions, to: str = NUMBER, body: str = "本文", **more) -> karaden.Message:
    return karaden.Message.create(MessageCreateParams(1, to, body, **more), options)


def detail(options: karaden.RequestOptions, message: karaden.Message) -> karaden.Message:
    return karaden.Message.detail(MessageDetailParams(message.id), options)


def listed(options: karaden.RequestOptions, **filters) -> karaden.Collection:
    return karaden.Message.list(MessageListParams(**filters), options)


def settled(options: karaden.RequestOptions, message: karaden.Message) -> karaden.Message:
    until(lambda: detail(options, message).status == "done")
    return detail(options, message)


def call(sandbox: Sandbox, path: str, form: dict[str, str] | None = None, **headers: str) -> tuple[int, dict]:
    data = None if form is None else urlencode(form).encode()
    request = urllib.request.Request(f"{sandbox.karaden_base}/{path}", data=data, headers=headers)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_a_message_is_accepted_as_it_was_sent(sandbox: Sandbox, options: karaden.RequestOptions) -> None:
    sandbox.faults(receipt_delay_ms=60_000)
    text = "【さくら保険】100%+α\n改行 https://todoke.example/r/a?b=c&d=e 😀"
    before = datetime.now(UTC)
    message = send(options, body=text, tags=["c1-000001-1", "二つ目"], is_shorten=False)
    assert (message.to, message.body, message.tags) == (NUMBER, text, ["c1-000001-1", "二つ目"])
    assert (message.result, message.status, message.sent_result) == ("processing", "waiting", "none")
    assert message.carrier == "checking"
    assert before - timedelta(seconds=1) <= message.created_at <= datetime.now(UTC)
    assert detail(options, message).body == text


@pytest.mark.parametrize(
    ("to", "result", "sent_result", "charged"),
    [
        (NUMBER, "done", "received", 1),
        ("09012340000", "done", "error", 0),
        ("09012340001", "done", "unconnected", 0),
        ("09012340002", "processing", "none", 0),
        ("09012340003", "done", "unknown", 1),
    ],
)
def test_the_number_decides_what_becomes_of_it(
    options: karaden.RequestOptions, to: str, result: str, sent_result: str, charged: int
) -> None:
    message = settled(options, send(options, to))
    assert (message.result, message.sent_result) == (result, sent_result)
    assert message.get_property("charged_count_per_sent") == charged
    assert (message.get_property("received_at") is not None) == (sent_result == "received")


@pytest.mark.parametrize(("letter", "times", "charged"), [("あ", 70, 1), ("あ", 71, 2), ("😀", 36, 2), ("a", 660, 10)])
def test_long_messages_are_charged_by_their_parts(
    options: karaden.RequestOptions, letter: str, times: int, charged: int
) -> None:
    message = settled(options, send(options, body=letter * times))
    assert message.get_property("charged_count_per_sent") == charged


def test_carriers_follow_the_number(options: karaden.RequestOptions) -> None:
    sent = [send(options, f"090123{digit}5678") for digit in range(10)]
    carriers = [settled(options, message).carrier for message in sent]
    assert carriers == ["docomo"] * 4 + ["au"] * 3 + ["softbank"] * 2 + ["rakuten"]


def test_a_list_finds_a_message_by_its_tag(options: karaden.RequestOptions) -> None:
    send(options, tags=["ref-1"])
    wanted = send(options, tags=["ref-2", "run"])
    found = listed(options, tag="ref-2")
    assert [message.id for message in found.data] == [wanted.id]
    assert found.has_more is False
    assert listed(options, tag="ref-3").data == []


def test_a_list_takes_every_filter(options: karaden.RequestOptions) -> None:
    first = settled(options, send(options))
    other = settled(options, send(options, "08012340000"))
    booked = send(options, scheduled_at=datetime.now(UTC) + timedelta(hours=1))
    soon, past = datetime.now(UTC) + timedelta(seconds=2), datetime.now(UTC) - timedelta(minutes=1)
    cases: list[tuple[dict[str, Any], set[str]]] = [
        ({"service_id": 1}, {first.id, other.id, booked.id}),
        ({"service_id": 2}, set()),
        ({"to": NUMBER}, {first.id, booked.id}),
        ({"status": "waiting"}, {booked.id}),
        ({"result": "done"}, {first.id, other.id}),
        ({"sent_result": "error"}, {other.id}),
        ({"start_at": past, "end_at": soon}, {first.id, other.id, booked.id}),
        ({"start_at": soon}, set()),
        ({"end_at": past}, set()),
    ]
    for filters, expected in cases:
        assert {message.id for message in listed(options, **filters).data} == expected, filters


def test_a_list_comes_in_pages_newest_first(options: karaden.RequestOptions) -> None:
    sent = [send(options).id for _ in range(5)]
    pages = [listed(options, page=page, per_page=2) for page in (1, 2, 3)]
    assert [message.id for page in pages for message in page.data] == sent[::-1]
    assert [page.has_more for page in pages] == [True, True, False]


def test_a_booked_message_can_be_cancelled_until_five_minutes_before(options: karaden.RequestOptions) -> None:
    booked = send(options, scheduled_at=datetime.now(UTC) + timedelta(minutes=6))
    cancelled = karaden.Message.cancel(MessageCancelParams(booked.id), options)
    assert (cancelled.result, cancelled.status) == ("done", "canceled")
    late = send(options, scheduled_at=datetime.now(UTC) + timedelta(minutes=4))
    for message in (late, booked, send(options)):
        with pytest.raises(karaden.BadRequestException) as refused:
            karaden.Message.cancel(MessageCancelParams(message.id), options)
        assert refused.value.error.code == "can_not_cancel_message"


def test_a_message_past_its_limit_is_not_sent(sandbox: Sandbox, options: karaden.RequestOptions) -> None:
    sandbox.faults(receipt_delay_ms=2100)
    message = send(options, limited_at=datetime.now(UTC) + timedelta(seconds=1))
    until(lambda: detail(options, message).result == "done")
    assert (detail(options, message).status, sandbox.messages()[0]["state"]) == ("error", "expired")


def test_wrong_fields_are_named(options: karaden.RequestOptions) -> None:
    with pytest.raises(karaden.UnprocessableEntityException) as refused:
        send(options, "+819012345678", "あ" * 661, limited_at=datetime.now(UTC) - timedelta(days=1))
    error = refused.value.error
    assert error.code == "validation_error"
    assert error.errors.get_property("to") == ["toは11桁の数字で入力してください。"]
    assert error.errors.get_property("body") == ["bodyは660文字以内で入力してください。"]
    assert error.errors.get_property("limited_at") is not None


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"service_id": "0"},
        {"service_id": "x"},
        {"to": ""},
        {"is_shorten": "yes"},
        {"scheduled_at": "tomorrow"},
        {"scheduled_at": "2020-01-01T00:00:00+09:00"},
        {"body": ""},
    ],
)
def test_what_the_sdk_would_not_send_is_refused(sandbox: Sandbox, form: dict[str, str], karaden_schema) -> None:
    whole = {"service_id": "1", "to": NUMBER, "body": "本文"} | form if form else {}
    status, error = call(sandbox, f"{TENANT}/messages", whole, Authorization="Bearer token")
    assert (status, error["code"]) == (422, "validation_error")
    karaden_schema(error, "Error")
    assert sandbox.messages() == []


@pytest.mark.parametrize("text", [b"%ED%A0%80", b"%FF", b"\xff\xfe", b"%", b"%zz", b"%00"])
def test_broken_encodings_break_nothing(sandbox: Sandbox, text: bytes) -> None:
    request = urllib.request.Request(
        f"{sandbox.karaden_base}/{TENANT}/messages",
        data=b"service_id=1&to=09012345678&body=" + text,
        headers={"Authorization": "Bearer token"},
    )
    with urllib.request.urlopen(request) as response:
        assert json.load(response)["id"] == sandbox.messages()[0]["id"]


@pytest.mark.parametrize(
    ("tenant", "headers", "status", "code"),
    [
        (TENANT, {}, 401, "unauthentication"),
        (TENANT, {"Authorization": "Bearer "}, 401, "unauthentication"),
        (TENANT, {"Authorization": "Basic token"}, 401, "unauthentication"),
        ("mine", {"Authorization": "Bearer token"}, 400, "invalid_tenant"),
        (TENANT, {"Authorization": "Bearer token", "Karaden-Version": "2020-01-01"}, 400, "invalid_version"),
    ],
)
def test_who_may_not_in_hears_why(
    sandbox: Sandbox, tenant: str, headers: dict[str, str], status: int, code: str
) -> None:
    form = {"service_id": "1", "to": NUMBER, "body": "本文"}
    for path, data in ((f"{tenant}/messages", form), (f"{tenant}/messages", None), (f"{tenant}/messages/x", None)):
        got, error = call(sandbox, path, data, **headers)
        # the specification's examples say `errors: null`, its schema leaves no room for it
        assert (got, error["object"], error["code"], error["errors"]) == (status, "error", code, None)
    assert sandbox.messages() == []


def test_a_message_of_another_tenant_is_not_there(options: karaden.RequestOptions) -> None:
    message = send(options)
    other = options.merge(karaden.RequestOptions())
    other.tenant_id = TENANT.replace("1", "2")
    with pytest.raises(karaden.NotFoundException):
        detail(other, message)
    assert listed(other).data == []


@pytest.mark.parametrize("filters", [{"per_page": 101}, {"per_page": 0}, {"status": "sent"}, {"start_at": "today"}])
def test_wrong_filters_are_named(options: karaden.RequestOptions, filters: dict) -> None:
    with pytest.raises(karaden.UnprocessableEntityException) as refused:
        listed(options, **filters)
    assert refused.value.error.errors.get_property(*filters) is not None


def test_bulk_sending_is_not_spoken(sandbox: Sandbox) -> None:
    status, error = call(sandbox, f"{TENANT}/messages/bulks/files", {}, Authorization="Bearer token")
    assert (status, error["code"]) == (404, "model_not_found")


def test_answers_and_receipts_hold_the_specification(
    sandbox: Sandbox, options: karaden.RequestOptions, listener: Listener, karaden_schema
) -> None:
    sandbox.addresses(karaden_receipts={"1": listener.url})
    for to in (NUMBER, "09012340000", "09012340001", "09012340003"):
        status, message = call(
            sandbox,
            f"{TENANT}/messages",
            {"service_id": "1", "to": to, "body": "本文", "tags[]": "a", "limited_at": "2099-01-01T00:00:00+09:00"},
            Authorization="Bearer token",
        )
        assert status == 200
        karaden_schema(message, "Message")
    for (headers, _), receipt in zip(listener.wait(4), listener.texts(), strict=True):
        karaden_schema(receipt, "SentMessage")
        assert headers["Karaden-Version"] == "2024-03-01"
        _, shown = call(sandbox, f"{TENANT}/messages/{receipt['id']}", Authorization="Bearer token")
        karaden_schema(shown, "Message")
        assert shown == receipt | {"is_shorten_clicked": False}


@pytest.mark.parametrize(
    ("to", "address"), [("{tenant}/1", "own"), ("1", "service"), ("*", "any"), ("2", None), ("{other}/1", None)]
)
def test_receipts_go_where_the_service_says(
    sandbox: Sandbox, options: karaden.RequestOptions, listener: Listener, to: str, address: str | None
) -> None:
    service = to.format(tenant=TENANT, other=TENANT.replace("1", "2"))
    sandbox.addresses(karaden_receipts={service: f"{listener.url}/{address}"})
    message = settled(options, send(options))
    if address is None:
        assert sandbox.summary()["sent"] == {}
    else:
        listener.wait(1)
        assert listener.texts()[0]["id"] == message.id


def test_a_message_without_an_end_gives_no_receipt(
    sandbox: Sandbox, options: karaden.RequestOptions, listener: Listener
) -> None:
    sandbox.addresses(karaden_receipts={"1": listener.url})
    settled(options, send(options, "09012340002"))
    send(options)
    listener.wait(1)
    assert [receipt["to"] for receipt in listener.texts()] == [NUMBER]


def test_a_receipt_is_tried_again(sandbox: Sandbox, options: karaden.RequestOptions, listener: Listener) -> None:
    listener.answers = [500, 302, 200]
    sandbox.addresses(karaden_receipts={"1": listener.url})
    send(options)
    until(lambda: len(listener.got) >= 2)
    assert sandbox.summary()["sent"]["receipts_retried"] >= 1
    assert len({body for _, body in listener.got}) == 1


def test_the_sdk_sees_a_broken_carrier(sandbox: Sandbox, options: karaden.RequestOptions) -> None:
    sandbox.faults(error_before=True)
    with pytest.raises(UnknownErrorException):
        send(options)
    sandbox.faults(too_many_requests=True)
    with pytest.raises(karaden.TooManyRequestsException) as refused:
        send(options)
    assert refused.value.headers["Retry-After"] == "1"
