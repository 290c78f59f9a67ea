"""The adapter against the provider's own words: its OpenAPI document, and what its SDK sends."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import jsonschema
import pytest
import yaml
from karaden.config import Config
from karaden.model.message import Message
from karaden.param.message_create_params import MessageCreateParams
from karaden.param.message_detail_params import MessageDetailParams
from karaden.param.message_list_params import MessageListParams
from karaden.request_options import RequestOptions

from app.providers.curl import Engine, perform
from app.providers.http import Request, Response
from app.providers.sms.base import OutcomeKind, Pushed, ReportState, SmsAccess, SmsMessage, Sought
from app.providers.sms.karaden import VERSION, karaden
from tests.providers.rawserver import Peer, RawServer

SPEC = Path(__file__).parents[3].parent / "shared" / "contracts" / "karaden" / "2024-03-01.yaml"
TENANT = "159bfd33-b9b7-f424-4755-c119b324591d"
LIMIT = datetime(2026, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=9)))
MESSAGE = SmsMessage("+819012345678", "お届け物です。+&= https://todoke.example/a", "ref-1", LIMIT)


def account(base_url: str = "http://localhost:8000/api") -> SmsAccess:
    return SmsAccess(base_url, {"tenant_id": TENANT, "service_id": "12"}, {"token": "secret-token"})


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    if not SPEC.exists():
        pytest.skip("../shared/contracts/karaden is missing: the official document can't be consulted")
    document: dict[str, Any] = yaml.safe_load(SPEC.read_text())
    return document


def valid(spec: dict[str, Any], schema: str, value: object) -> None:
    rules = {**spec, "$ref": f"#/components/schemas/{schema}"}
    jsonschema.Draft202012Validator(rules, format_checker=jsonschema.FormatChecker()).validate(value)


def test_the_form_is_the_documents_form(spec: dict[str, Any]) -> None:
    form = parse_qs(karaden.send(account(), MESSAGE).body.decode(), strict_parsing=True)
    rules = spec["components"]["schemas"]["Message"]["properties"]
    assert not [name for name in form if rules[name].get("readOnly")]
    typed: dict[str, object] = {name: values[0] for name, values in form.items()}
    typed |= {"service_id": int(form["service_id"][0]), "tags[]": form["tags[]"]}
    typed["is_shorten"] = {"true": True, "false": False}[form["is_shorten"][0]]
    valid(spec, "Message", typed)
    assert spec["info"]["version"] == VERSION


def test_every_query_of_the_look_up_is_in_the_document(spec: dict[str, Any]) -> None:
    query = parse_qs(urlsplit(karaden.lookup(account(), Sought("ref-1")).url).query)
    parameters = spec["paths"]["/{tenant_id}/messages"]["get"]["parameters"]
    named = [spec["components"]["parameters"][p["$ref"].rsplit("/", 1)[1]] if "$ref" in p else p for p in parameters]
    assert query.keys() <= {parameter["name"] for parameter in named if parameter["in"] == "query"}


def examples(spec: dict[str, Any], method: str, status: str) -> Iterator[object]:
    content = spec["paths"]["/{tenant_id}/messages"][method]["responses"][status]["content"]["application/json"]
    yield from (example["value"] for example in content["examples"].values())


def answer(status: str, value: object) -> Response:
    return Response(int(status), {}, json.dumps(value).encode())


def test_every_answer_to_a_send_in_the_document_has_its_outcome(spec: dict[str, Any]) -> None:
    responses = spec["paths"]["/{tenant_id}/messages"]["post"]["responses"]
    kinds = {
        (status, karaden.outcome(answer(status, value)).kind)
        for status in responses
        for value in examples(spec, "post", status)
    }
    assert kinds == {
        ("200", OutcomeKind.ACCEPTED),
        ("400", OutcomeKind.LATER),
        ("401", OutcomeKind.LATER),
        ("404", OutcomeKind.LATER),
        ("422", OutcomeKind.REFUSED),
        ("500", OutcomeKind.UNKNOWN),
    }


def test_the_documents_list_and_receipt_are_read(spec: dict[str, Any]) -> None:
    (listed,) = examples(spec, "get", "200")
    found = karaden.parse_lookup(answer("200", listed), Sought("string"))
    assert found is not None
    assert found.carrier == "docomo"
    assert found.accepted_at == datetime(2020, 1, 31, 14, 59, 59, tzinfo=UTC)
    example = spec["components"]["schemas"]["SentMessage"]["x-examples"]["example-1"]
    valid(spec, "SentMessage", example)
    (report,) = karaden.receipt(Pushed(json.dumps(example).encode()))
    assert (report.provider_id, report.references) == (example["id"], ("string",))


def test_every_word_of_the_document_has_a_meaning(spec: dict[str, Any]) -> None:
    rules = spec["components"]["schemas"]["Message"]
    (example,) = rules["x-examples"].values()
    seen = {
        (status, sent_result): karaden.report(
            answer("200", example | {"result": "done", "status": status, "sent_result": sent_result})
        ).state
        for status in rules["properties"]["status"]["enum"]
        for sent_result in rules["properties"]["sent_result"]["enum"]
    }
    assert {pair for pair, state in seen.items() if state is ReportState.PROCESSING} == {
        (status, sent_result) for status in ("done", "waiting") for sent_result in ("none", "unknown")
    }
    carriers = {
        karaden.report(answer("200", example | {"carrier": carrier})).carrier
        for carrier in rules["properties"]["carrier"]["enum"]
    }
    assert carriers == {"docomo", "softbank", "au", "rakuten", None}


# -- the SDK ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def recorder() -> Iterator[RawServer]:
    with RawServer(*[serve_message] * 4) as server:
        yield server


def serve_message(peer: Peer) -> None:
    while peer.read():
        peer.sock.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"object":"message"}')


def parts(raw: bytes) -> tuple[str, dict[str, str], bytes]:
    """Take a recorded request apart: request line, the headers that mean something, body."""
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (header.split(": ", 1) for header in lines)}
    kept = ("authorization", "karaden-version", "content-type", "content-length", "host")
    return line, {name: headers[name] for name in kept if name in headers}, body


def sdk_sends(recorder: RawServer, call: Any, params: object) -> None:
    options = (
        RequestOptions.new_builder()
        .with_api_base(recorder.url.removesuffix("/messages"))
        .with_tenant_id(TENANT)
        .with_api_key("secret-token")
        .with_api_version(Config.DEFALUT_API_VERSION)
        .build()
    )
    call(params, options)


def we_send(recorder: RawServer, request: Request) -> None:
    assert isinstance(perform(request), Response)


def base(recorder: RawServer) -> SmsAccess:
    return account(recorder.url.removesuffix("/messages"))


def test_a_send_is_what_the_sdk_sends(recorder: RawServer) -> None:
    params = MessageCreateParams(12, "09012345678", MESSAGE.body, ["ref-1"], False, None, LIMIT)  # noqa: FBT003
    sdk_sends(recorder, Message.create, params)
    we_send(recorder, karaden.send(base(recorder), MESSAGE))
    sdk, ours = map(parts, recorder.requests)
    assert ours == sdk


def test_a_look_up_is_what_the_sdk_sends(recorder: RawServer) -> None:
    sdk_sends(recorder, Message.list, MessageListParams(service_id=12, tag="ref-1", per_page=100))
    we_send(recorder, karaden.lookup(base(recorder), Sought("ref-1")))
    (sdk_line, *sdk), (our_line, *ours) = map(parts, recorder.requests)
    assert ours == sdk
    sdk_path, our_path = (urlsplit(line.split(" ")[1]) for line in (sdk_line, our_line))
    assert our_path.path == sdk_path.path
    assert sorted(parse_qsl(our_path.query)) == sorted(parse_qsl(sdk_path.query))


def test_a_detail_is_what_the_sdk_sends(recorder: RawServer) -> None:
    message_id = "82bdf9de-a532-4bf5-86bc-c9a1366e5f4a"
    sdk_sends(recorder, Message.detail, MessageDetailParams(message_id))
    we_send(recorder, karaden.detail(base(recorder), message_id))
    sdk, ours = map(parts, recorder.requests)
    assert ours == sdk


def test_both_ways_to_send_write_the_same(recorder: RawServer) -> None:
    request = karaden.send(base(recorder), MESSAGE)
    perform(request)
    with Engine[int](1) as engine:
        engine.run(
            iter([(1, request)]),
            lambda _key, _answer: None,
            may_connect=lambda _key: True,
            may_send=lambda _key: True,
            on_skipped=lambda key: pytest.fail(str(key)),
        )
    assert recorder.requests[0] == recorder.requests[1]
