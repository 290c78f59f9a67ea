"""The ledger holds every request in order, whichever lane it took; the control desk reads it out."""

import json
import socket
import urllib.error
import urllib.request
from itertools import pairwise
from urllib.parse import urlencode, urlsplit

import pytest

from sandbox.harness import Sandbox, SandboxError
from tests.sandbox.conftest import TENANT

PATH = f"/karaden/api/{TENANT}/messages"


def exchange(sandbox: Sandbox, *packets: bytes) -> list[bytes]:
    """Send packets over one connection and give the answers' bodies, as many as requests are in the packets."""
    address = urlsplit(sandbox.url)
    bodies = []
    with socket.create_connection((address.hostname, address.port), 5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = connection.makefile("rb")
        for packet in packets:
            connection.sendall(packet)
        for _ in range(b"".join(packets).count(b" HTTP/1.1\r\n")):
            length = 0
            while (line := stream.readline().strip().lower()) != b"":
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            bodies.append(stream.read(length))
        stream.close()
    return bodies


def request(to: str, *, head: bytes = b"") -> bytes:
    body = urlencode({"service_id": "1", "to": to, "body": "本文 100%", "tags[]": f"ref-{to}"}).encode()
    return b"POST %s HTTP/1.1\r\nHost: sandbox\r\nauthorization: bearer token\r\n%sContent-Length: %d\r\n\r\n%s" % (
        PATH.encode(),
        head,
        len(body),
        body,
    )


def split(whole: bytes, *at: int) -> list[bytes]:
    return [whole[start:end] for start, end in pairwise([0, *at, len(whole)])]


def test_the_fast_lane_and_the_slow_one_answer_alike(sandbox: Sandbox) -> None:
    sandbox.faults(receipt_delay_ms=60_000)
    whole = request("09012345678")
    chunked = (
        b"POST %s HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Bearer t\r\nTransfer-Encoding: chunked\r\n\r\n"
        % PATH.encode()
    )
    body = whole.split(b"\r\n\r\n")[1]
    ways = [
        [whole],  # in one piece
        split(whole, len(whole) - 9),  # body in two pieces
        split(whole, 20),  # head in two pieces
        [request("09012345678", head=b"Connection: close\r\n")],
        [chunked + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)],
    ]
    answers = [json.loads(exchange(sandbox, *packets)[0]) for packets in ways]
    varying = {"id", "created_at", "updated_at"}
    first, *others = [{name: value for name, value in answer.items() if name not in varying} for answer in answers]
    assert all(other == first for other in others)
    assert [row["call"] for row in sandbox.ledger()] == ["create"] * 5
    assert len({row["accepted"] for row in sandbox.ledger()}) == 5
    assert all(row["form"] == sandbox.ledger()[0]["form"] for row in sandbox.ledger())


def test_a_connection_may_change_lanes(sandbox: Sandbox) -> None:
    get = b"GET %s?tag=ref-09011111111 HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Bearer t\r\n\r\n" % PATH.encode()
    pipelined = request("09011111111") + request("09022222222")
    answers = [json.loads(body) for body in exchange(sandbox, pipelined, get, request("09033333333"))]
    assert [answer.get("to") for answer in answers] == ["09011111111", "09022222222", None, "09033333333"]
    assert [row["call"] for row in sandbox.ledger()] == ["create", "create", "list", "create"]


def test_rows_come_in_order_and_in_pages(sandbox: Sandbox) -> None:
    exchange(sandbox, *(request(f"0901234567{digit}") for digit in range(3)))
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{sandbox.stripe_base}/v1/refunds")
    refused.value.close()
    rows = sandbox.ledger()
    assert [row["seq"] for row in rows] == [1, 2, 3, 4]
    assert [row["form"].get("to") for row in rows] == [["09012345670"], ["09012345671"], ["09012345672"], None]
    assert [row["kind"] for row in sandbox.ledger("stripe")] == ["stripe"]
    with urllib.request.urlopen(f"{sandbox.url}/_sandbox/ledger?since=1&limit=2") as response:
        page = json.load(response)
    assert ([row["seq"] for row in page["entries"]], page["next"]) == ([2, 3], 3)


def test_no_credential_is_kept(sandbox: Sandbox) -> None:
    exchange(sandbox, request("09012345678").replace(b"bearer token", b"Bearer topsecret"))
    assert "topsecret" not in json.dumps(sandbox.ledger())


def test_refused_requests_stand_in_the_ledger_as_not_accepted(sandbox: Sandbox) -> None:
    exchange(sandbox, request("1"))
    (row,) = sandbox.ledger()
    assert (row["status"], row["accepted"]) == (422, None)


def test_the_summary_names_what_came_twice(sandbox: Sandbox) -> None:
    for to in ("09012345678", "09012345678", "09012340000"):
        exchange(sandbox, request(to))
    summary = sandbox.summary()
    assert (summary["accepted"], summary["numbers"]) == (3, 2)
    assert summary["duplicate_numbers"] == {"09012345678": 2}
    assert summary["duplicate_tags"] == {"ref-09012345678": 2}
    assert summary["requests"] == {"karaden.create answered 200": 3}


def test_messages_are_listed_as_they_came(sandbox: Sandbox) -> None:
    exchange(sandbox, request("09012345678"), request("09012345679"))
    messages = sandbox.messages()
    assert [message["to"] for message in messages] == ["09012345678", "09012345679"]
    assert set(messages[0]) == {"id", "to", "body", "tags", "at", "state", "limited_at"}
    assert messages[0]["body"] == "本文 100%"


def test_reset_begins_anew(sandbox: Sandbox) -> None:
    sandbox.faults(error_after=True)
    exchange(sandbox, request("09012345678"))
    sandbox.reset()
    assert (sandbox.ledger(), sandbox.messages(), sandbox.summary()["accepted"]) == ([], [], 0)
    exchange(sandbox, request("09012345678"))
    assert sandbox.ledger()[0]["status"] == 200


@pytest.mark.parametrize("query", ["kind=sms", "since=-1", "limit=x"])
def test_a_wrong_question_is_refused(sandbox: Sandbox, query: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{sandbox.url}/_sandbox/ledger?{query}")
    with refused.value as error:
        assert error.code == 400


@pytest.mark.parametrize(
    "maps",
    [
        {"karaden_receipts": {"1": "ftp://x"}},
        {"karaden_receipts": []},
        {"stripe_webhooks": {"sk_test_topsecret": {"url": "http://127.0.0.1"}}},
        {"stripe_webhooks": {"sk_test_topsecret": "http://127.0.0.1"}},
        {"other": {}},
    ],
)
def test_wrong_addresses_are_refused_without_naming_keys(sandbox: Sandbox, maps: dict) -> None:
    with pytest.raises(SandboxError) as refused:
        sandbox.addresses(**maps)
    assert "topsecret" not in str(refused.value)
