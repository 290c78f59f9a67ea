"""絶対リーチ!SMS's door, held to its specification 1.4.7: answers, statuses and receipts as a client meets them."""

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

from sandbox.harness import Sandbox, SandboxError
from tests.sandbox.conftest import Listener
from tests.waiting import until

TOKEN = "1234567890abcdefghijklmnopqrstuv"
ACCESS: dict[str, Any] = {"token": TOKEN, "clientId": "12345"}
FORM = {**ACCESS, "smsCode": "54321", "phoneNumber": "+819012345678", "message": "本文 1+1", "clientTag": "tag.1.1"}


def call(sandbox: Sandbox, name: str, /, data: dict[str, str] | None = None, **query: Any) -> tuple[int, Any]:
    url = f"{sandbox.zettai_reach_base}/p5/api/{name}.json" + (f"?{urlencode(query)}" if query else "")
    request = urllib.request.Request(url, data=None if data is None else urlencode(data).encode())
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def send(sandbox: Sandbox, **fields: str) -> Any:
    status, answer = call(sandbox, "mt", {**FORM, **fields})
    assert status == 200
    return answer


def status(sandbox: Sandbox, tag: str = "tag.1.1") -> list[Any]:
    code, answer = call(sandbox, "status", **ACCESS, clientTag=tag)
    assert (code, answer["responseCode"]) == (200, 0)
    return list(answer["status"])


def test_a_message_is_accepted_and_its_answer_holds_number_and_text(sandbox: Sandbox) -> None:
    answer = send(sandbox, phoneNumber="09012345678")
    assert int(answer["responseCode"]) == 0
    assert (answer["phoneNumber"], answer["smsMessage"]) == ("+819012345678", "本文 1+1")
    (kept,) = sandbox.messages()
    assert (kept["to"], kept["body"], kept["tags"]) == ("09012345678", "本文 1+1", ["tag.1.1"])


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({"token": ""}, 100, "Required token."),
        ({"token": "short"}, 110, "Invalid token."),
        ({"clientId": "abc"}, 110, "Invalid clientId."),
        ({"smsCode": "1234"}, 110, "Invalid smsCode."),
        ({"phoneNumber": "0312345678"}, 110, "Invalid phoneNumber."),
        ({"phoneNumber": ""}, 100, "Required phoneNumber."),
        ({"message": ""}, 100, "Required message."),
        ({"message": "あ" * 661}, 120, "message too long."),
        ({"clientTag": "x" * 201}, 120, "clientTag too long."),
        ({"carrierId": "999"}, 110, "Invalid carrierId."),
    ],
)
def test_a_refusal_says_200_and_a_code(sandbox: Sandbox, fields: dict[str, str], code: int, message: str) -> None:
    answer = send(sandbox, **fields)
    assert (answer["responseCode"], answer["responseMessage"]) == (code, message)
    assert sandbox.messages() == []


def test_a_tag_is_taken_once_by_each_client(sandbox: Sandbox) -> None:
    send(sandbox)
    again = send(sandbox, message="別の本文")
    assert (again["responseCode"], again["responseMessage"]) == (400, "Duplicate client tag.")
    assert int(send(sandbox, clientId="99999")["responseCode"]) == 0
    assert len(sandbox.messages()) == 2


def test_only_known_clients_come_in_where_some_are_known(sandbox: Sandbox) -> None:
    sandbox.addresses(sms_accounts={"zettai_reach": {"12345": {"secret": "a" * 32}}})
    assert send(sandbox)["responseMessage"] == "Invalid token."
    assert send(sandbox, clientId="99999")["responseMessage"] == "Invalid clientId."
    assert int(send(sandbox, token="a" * 32)["responseCode"]) == 0
    with pytest.raises(SandboxError, match="zettai_reach"):
        sandbox.addresses(sms_accounts={"nobody": {}})


@pytest.mark.parametrize(
    ("number", "state", "cause"),
    [
        ("+819012345678", 2, ""),
        ("+819012340000", 3, "732"),
        ("+819012340001", 3, "823"),
        ("+819012340002", 1, ""),
        ("+819012340003", 0, ""),
    ],
)
def test_a_status_tells_what_became_of_it(sandbox: Sandbox, number: str, state: int, cause: str) -> None:
    send(sandbox, phoneNumber=number)
    until(lambda: int(status(sandbox)[0]["statusId"]) == state)
    (shown,) = status(sandbox)
    assert (shown["phoneNumber"], shown["message"], shown["clientTag"]) == (number, "本文 1+1", "tag.1.1")
    assert str(shown["detailedStatusId"])[2:] == cause
    assert {type(shown["statusId"]), type(shown["detailedStatusId"])} in ({int}, {str})


def test_a_status_is_asked_for_by_tag_or_day(sandbox: Sandbox) -> None:
    send(sandbox)
    send(sandbox, clientTag="tag.2.1")
    assert [one["clientTag"] for one in status(sandbox, "tag.2.1")] == ["tag.2.1"]
    assert status(sandbox, "nobody's") == []
    assert call(sandbox, "status", **ACCESS)[1]["responseCode"] == 100
    assert call(sandbox, "status", **ACCESS, date="19990101")[1]["status"] == []
    sandbox.faults(list_empty=True)
    assert status(sandbox) == []


def test_the_ledger_keeps_no_token(sandbox: Sandbox) -> None:
    send(sandbox)
    status(sandbox)
    rows = sandbox.ledger("zettai_reach")
    assert [row["call"] for row in rows] == ["create", "list"]
    assert TOKEN not in json.dumps(rows)
    assert rows[0]["form"]["clientTag"] == ["tag.1.1"]


def events(listener: Listener) -> list[list[Any]]:
    bundles = [parse_qs(body.decode(), strict_parsing=True) for _, body in listener.got]
    return [json.loads(bundle["json"][0])["eventNotifications"] for bundle in bundles]


def test_receipts_come_in_bundles_of_a_hundred(sandbox: Sandbox, listener: Listener) -> None:
    sandbox.addresses(sms_accounts={"zettai_reach": {"*": {"url": listener.url, "secret": "any"}}})
    sandbox.faults(receipt_delay_ms=1_500)
    for number in range(130):
        send(sandbox, clientTag=f"tag.{number}.1")
    send(sandbox, clientTag="")  # without a tag nothing is told
    until(lambda: sum(map(len, events(listener))) == 130)
    assert max(map(len, events(listener))) <= 100
    assert len(listener.got) < 130
    first = events(listener)[0][0]
    assert (first["type"], first["phoneNumber"], first["messageText"]) == ("DLR", "+819012345678", "本文 1+1")
    assert int(first["statusId"]) == 2
    assert listener.got[0][0]["Content-Type"] == "application/x-www-form-urlencoded"


def test_each_of_karadens_switches_is_one_here_too(sandbox: Sandbox, listener: Listener) -> None:
    sandbox.addresses(sms_accounts={"zettai_reach": {"*": {"url": listener.url, "secret": "any"}}})
    sandbox.faults(error_before={"next": 1, "on": "zettai_reach.create"})
    assert send(sandbox)["responseCode"] == 500
    assert sandbox.messages() == []
    sandbox.faults(error_after={"next": 1, "on": "zettai_reach.create"}, receipts_doubled=True, receipts_reversed=True)
    assert send(sandbox)["responseCode"] == 500
    until(lambda: len([one for bundle in events(listener) for one in bundle]) == 3)
    assert [int(one["statusId"]) for bundle in events(listener) for one in bundle] == [2, 2, 1]
    sandbox.faults(too_many_requests={"next": 1}, forbidden={"next": 1})
    assert {call(sandbox, "mt", FORM)[0] for _ in range(2)} == {403, 429}
    for switch in ("reset_before_body", "reset_after_body"):
        sandbox.faults(**{switch: {"next": 1}})
        with pytest.raises((ConnectionError, urllib.error.URLError)):
            call(sandbox, "mt", {**FORM, "clientTag": switch})
    sandbox.faults(poison={"value": 422, "ids": ["0009"]})
    assert send(sandbox, phoneNumber="+819012340009", clientTag="x")["responseMessage"] == "Invalid phoneNumber."
    sandbox.faults(tags_upper=True)
    send(sandbox, clientTag="case.1.1")
    sandbox.faults(tag_unlisted=True)
    send(sandbox, clientTag="gone.1.1")
    assert [one["clientTag"] for one in status(sandbox, "case.1.1")] == ["CASE.1.1"]
    assert status(sandbox, "gone.1.1") == []
    assert send(sandbox, clientTag="gone.1.1")["responseCode"] == 400
    sandbox.faults(list_unfiltered=True)
    assert len(status(sandbox, "nobody's")) == len(sandbox.messages())
    sandbox.faults(list_stale_s=60)
    assert status(sandbox, "case.1.1") == []
    sandbox.faults(gateway_timeout={"next": 1}, taken_late_s=0.1)
    assert call(sandbox, "mt", {**FORM, "clientTag": "late.1.1"})[0] == 504
    sandbox.faults()
    until(lambda: status(sandbox, "late.1.1"))
