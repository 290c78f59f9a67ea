"""The adapter against the provider's own words: its OpenAPI document, and what its SDK sends and verifies."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jsonschema
import pytest
import time_machine
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator, get_signature_algorithm
from twilio.rest import Client

from app.providers.curl import perform
from app.providers.http import Response
from app.providers.sms.base import OutcomeKind, Pushed, ReportState, SmsAccess, SmsMessage, Sought
from app.providers.sms.twilio import twilio
from sandbox.harness import Sandbox, running_sandbox
from tests.providers.rawserver import Peer, RawServer

SPEC = Path(__file__).parents[3].parent / "shared" / "contracts" / "twilio" / "twilio_api_v2010.json"
LIST = "/2010-04-01/Accounts/{AccountSid}/Messages.json"
ONE = "/2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json"
SID = "AC" + "1f" * 16
AT = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
BODY = "お届け物です。+&= https://todoke.example/a"
URL = "https://todoke.example/callbacks/sms/7/0123456789abcdef0123456789abcdef"
MESSAGE = SmsMessage("+819012345678", BODY, "k3mzq7x2abcd.41.1", AT + timedelta(hours=2))
SOUGHT = Sought("k3mzq7x2abcd.41.1", AT, "+819012345678", BODY)


def account(base_url: str = "https://api.twilio.com") -> SmsAccess:
    settings = {"account_sid": SID, "sender": "+815012345678"}
    return SmsAccess(base_url, settings, {"auth_token": "token", "shared_key": "shared"}, receipt_url=URL)


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    if not SPEC.exists():
        pytest.skip("the official contract of Twilio is not at hand: ../shared/contracts is missing")
    document: dict[str, Any] = json.loads(SPEC.read_text())
    return document


def valid(spec: dict[str, Any], rules: dict[str, Any], value: object) -> None:
    """Hold a value against OpenAPI 3.0's rules: `nullable` means that it may be null."""
    jsonschema.Draft7Validator({**spec, **nullable(rules)}).validate(value)


def nullable(rules: Any) -> Any:
    if isinstance(rules, list):
        return [nullable(one) for one in rules]
    if not isinstance(rules, dict):
        return rules
    plain = {name: nullable(one) for name, one in rules.items()}
    if plain.get("nullable") and isinstance(plain.get("type"), str):
        plain["type"] = [plain["type"], "null"]
    return plain


def answer(value: object, status: int = 200) -> Response:
    return Response(status, {}, json.dumps(value).encode())


@time_machine.travel(AT, tick=False)
def test_the_form_is_the_documents_form(spec: dict[str, Any]) -> None:
    rules = spec["paths"][LIST]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    form: dict[str, object] = dict(parse_qsl(twilio.send(account(), MESSAGE).body.decode(), strict_parsing=True))
    assert form.keys() <= rules["properties"].keys()
    form |= {"ValidityPeriod": int(str(form["ValidityPeriod"])), "SmartEncoded": form["SmartEncoded"] != "false"}
    valid(spec, rules, form)
    assert form["ValidityPeriod"] == 7200
    assert "from `1` to `36000`" in rules["properties"]["ValidityPeriod"]["description"]


def test_every_query_of_the_look_up_is_in_the_document(spec: dict[str, Any]) -> None:
    request = twilio.lookup(account(), SOUGHT)
    assert request is not None
    named = {one["name"]: one for one in spec["paths"][LIST]["get"]["parameters"] if one["in"] == "query"}
    query = parse_qs(urlsplit(request.url).query)
    assert query.keys() <= named.keys()
    assert int(query["PageSize"][0]) <= named["PageSize"]["schema"]["maximum"]


def test_every_example_of_the_document_is_read(spec: dict[str, Any]) -> None:
    created = spec["paths"][LIST]["post"]["responses"]["201"]["content"]["application/json"]["examples"]
    for example in created.values():
        outcome = twilio.outcome(answer(example["value"], 201))
        assert (outcome.kind, outcome.code) == (OutcomeKind.ACCEPTED, "waiting")
    fetched = spec["paths"][ONE]["get"]["responses"]["200"]["content"]["application/json"]["examples"]
    for example in fetched.values():
        assert twilio.report(answer(example["value"])).accepted_at is not None
    listed = spec["paths"][LIST]["get"]["responses"]["200"]["content"]["application/json"]["examples"]
    for example in listed.values():
        messages = example["value"]["messages"]
        for message in messages:
            sought = Sought("r", datetime(2000, 1, 1, tzinfo=UTC), message["to"], message["body"])
            alone = {**example["value"], "messages": [message], "next_page_uri": None}
            found = twilio.parse_lookup(answer(alone), sought)
            assert found is not None
            assert found.provider_id == message["sid"]


def test_every_status_of_the_document_has_a_meaning(spec: dict[str, Any]) -> None:
    statuses = spec["components"]["schemas"]["message_enum_status"]["enum"]
    states = {status: twilio.report(answer({"sid": "SM" + "0a" * 16, "status": status})).state for status in statuses}
    assert {status for status, state in states.items() if state is ReportState.DELIVERED} == {"delivered", "read"}
    assert {status for status, state in states.items() if state is ReportState.UNDELIVERED} == {"failed", "undelivered"}
    assert {status for status, state in states.items() if state is ReportState.CANCELLED} == {"canceled"}


def test_the_sandbox_answers_as_the_document_says(spec: dict[str, Any]) -> None:
    rules = {"$ref": "#/components/schemas/api.v2010.account.message"}
    plain = {"components": nullable(spec["components"])}
    with running_sandbox(receipt_delay_ms=0) as sandbox:
        there = replace(account(sandbox.twilio_base), receipt_url="")
        created = perform(twilio.send(there, MESSAGE))
        assert isinstance(created, Response)
        valid(plain, rules, json.loads(created.body))
        request = twilio.lookup(there, SOUGHT)
        assert request is not None
        listed = perform(request)
        assert isinstance(listed, Response)
        content = spec["paths"][LIST]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        valid(plain, content, json.loads(listed.body))


# -- the SDK ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def recorder() -> Iterator[RawServer]:
    with RawServer(*[serve_message] * 4) as server:
        yield server


def serve_message(peer: Peer) -> None:
    while request := peer.read():
        body = b'{"messages": [], "next_page_uri": null}'
        line = b"201 Created" if request.startswith(b"POST") else b"200 OK"
        peer.sock.sendall(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (line, len(body), body))


@pytest.fixture
def sdk(recorder: RawServer) -> Any:
    """The official client, its address replaced by the recorder's."""
    return client(recorder.url)


def client(base: str) -> Any:
    made = Client(SID, "token")
    made.api.base_url = base.rstrip("/")
    return made


def parts(raw: bytes) -> tuple[str, str, dict[str, str], bytes]:
    """Take a recorded request apart: method and path, query, the headers that mean something, body."""
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (header.split(": ", 1) for header in lines)}
    method, target, _ = line.split(" ")
    wanted = {"authorization", "content-type", "host"}
    kept = {name: value for name, value in headers.items() if name in wanted}
    return f"{method} {urlsplit(target).path}", urlsplit(target).query, kept, body


@time_machine.travel(AT)
def test_a_send_is_what_the_sdk_sends(recorder: RawServer, sdk: Any) -> None:
    sdk.messages.create(
        to=MESSAGE.to,
        from_="+815012345678",
        body=BODY,
        smart_encoded=False,
        status_callback=f"{URL}?reference={MESSAGE.reference}",
        validity_period=7199,
    )
    perform(twilio.send(account(recorder.url), MESSAGE))
    (line, _, headers, body), (our_line, _, our_headers, our_body) = map(parts, recorder.requests)
    assert (our_line, our_headers) == (line, headers)
    theirs = {**dict(parse_qsl(body.decode())), "SmartEncoded": "false"}  # Python's word for it is another
    assert {**dict(parse_qsl(our_body.decode())), "ValidityPeriod": "7199"} == theirs


def test_a_look_up_and_a_detail_are_what_the_sdk_sends(recorder: RawServer, sdk: Any) -> None:
    sdk.messages.list(to=SOUGHT.to, page_size=400)
    sdk.messages("SM" + "0a" * 16).fetch()
    request = twilio.lookup(account(recorder.url), SOUGHT)
    assert request is not None
    perform(request)
    perform(twilio.detail(account(recorder.url), "SM" + "0a" * 16))
    theirs, ours = recorder.requests[:2], recorder.requests[2:]
    for (line, query, headers, _), (our_line, our_query, our_headers, _) in zip(
        map(parts, theirs), map(parts, ours), strict=True
    ):
        assert (our_line, our_headers["authorization"]) == (line, headers["authorization"])
        assert sorted(parse_qsl(our_query)) == sorted(parse_qsl(query))


def test_the_sdk_reads_what_the_sandbox_says() -> None:
    with running_sandbox(receipt_delay_ms=0) as sandbox:
        sends_fetches_and_reads(sandbox)


def sends_fetches_and_reads(sandbox: Sandbox) -> None:
    sdk = client(sandbox.twilio_base)
    sent = sdk.messages.create(to=MESSAGE.to, from_="+815012345678", body=BODY)
    assert (sent.status, sent.body, sent.to) == ("queued", BODY, MESSAGE.to)
    assert sdk.messages(sent.sid).fetch().sid == sent.sid
    for number in range(3):
        sdk.messages.create(to=MESSAGE.to, from_="+815012345678", body=f"{BODY}{number}")
    assert len(sdk.messages.list(to=MESSAGE.to, page_size=2)) == 4, "it follows the pages"
    assert sdk.messages.list(to="+819087654321") == []
    with pytest.raises(TwilioRestException) as caught:
        sdk.messages.create(to="+819", from_="+815012345678", body=BODY)
    assert (caught.value.status, caught.value.code) == (400, 21211)


FORM = {"content-type": "application/x-www-form-urlencoded"}
FIELDS = {"MessageSid": "SM" + "0a" * 16, "MessageStatus": "delivered", "Odd": "", "日本": "語 +&", "A": "1"}


@pytest.mark.parametrize(
    "settings", ["", "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256", "key=1,algorithm=HMAC_SHA1"]
)
@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("port", ["", ":443", ":8443"])
def test_what_the_sdk_signs_is_authentic_and_nothing_else(settings: str, as_json: bool, port: str) -> None:  # noqa: FBT001
    signer = RequestValidator("shared" if settings else "token")
    algorithm = get_signature_algorithm(settings)
    body = json.dumps(FIELDS).encode() if as_json else urlencode(FIELDS).encode()
    query = "reference=k3mzq7x2abcd.41.1" + (f"&bodySHA256={signer.compute_hash(body.decode())}" if as_json else "")
    url = URL.replace("todoke.example", f"todoke.example{port}")
    signature = signer.compute_signature(f"{url}?{query}", {} if as_json else FIELDS, algorithm)
    headers = {"content-type": "application/json"} if as_json else FORM
    headers = {**headers, "x-twilio-signature": signature, "x-twilio-webhooks-signature-settings": settings}
    pushed = Pushed(body, headers, query)
    ours = account() if port in {"", ":443"} else replace(account(), receipt_url=url)
    assert signer.validate(f"{ours.receipt_url}?{query}", body.decode() if as_json else FIELDS, signature, algorithm)
    assert twilio.is_authentic(ours, pushed)
    broken = base64.b64encode(base64.b64decode(signature)[::-1]).decode()
    for wrong in (
        replace(pushed, headers={**headers, "x-twilio-signature": broken}),
        replace(pushed, body=body + b" "),
        replace(pushed, query=query + "&more=1"),
    ):
        assert not twilio.is_authentic(ours, wrong)
