"""Every switch does what it says, and the ledger tells the truth about it."""

import socket
import time
import urllib.error
import urllib.request
from urllib.parse import urlencode, urlsplit

import pytest

from sandbox.faults import AMOUNTS, FAULTS, FLAGS
from sandbox.harness import Sandbox, SandboxError
from tests.sandbox.conftest import TENANT, Listener
from tests.sandbox.karaden_sender import FORM, fates, post
from tests.waiting import until


@pytest.mark.parametrize(
    ("switch", "status", "accepted"),
    [
        ("too_many_requests", 429, False),
        ("forbidden", 403, False),
        ("error_before", 500, False),
        ("error_after", 500, True),
    ],
)
def test_refusals(sandbox: Sandbox, switch: str, status: int, *, accepted: bool) -> None:
    sandbox.faults(**{switch: True})
    assert post(sandbox) == status
    assert fates(sandbox) == [(switch, status, accepted)]
    assert len(sandbox.messages()) == accepted


@pytest.mark.parametrize(("switch", "accepted"), [("reset_before_body", False), ("reset_after_body", True)])
def test_resets_are_real(sandbox: Sandbox, switch: str, *, accepted: bool) -> None:
    sandbox.faults(**{switch: True})
    address = urlsplit(sandbox.url)
    body = urlencode(FORM).encode()
    with socket.create_connection((address.hostname, address.port), 5) as connection:
        connection.sendall(
            b"POST /karaden/api/%s/messages HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Bearer t\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s"
            % (TENANT.encode(), len(body), body)
        )
        with pytest.raises(ConnectionResetError):  # a FIN would read as b""
            connection.recv(1)
    assert fates(sandbox) == [(switch, None, accepted)]
    assert len(sandbox.messages()) == accepted


def test_hang_accepts_and_never_answers(sandbox: Sandbox) -> None:
    sandbox.faults(hang=True)
    with pytest.raises(TimeoutError):
        post(sandbox, timeout=1)
    assert fates(sandbox) == [("hang", None, True)]


def test_latency_and_jitter(sandbox: Sandbox) -> None:
    sandbox.faults(latency_ms=200)
    start = time.monotonic()
    assert post(sandbox) == 200
    assert 0.2 <= time.monotonic() - start < 5
    sandbox.faults(jitter_ms=400, seed=1)
    times = []
    for _ in range(5):
        start = time.monotonic()
        post(sandbox)
        times.append(time.monotonic() - start)
    assert max(times) - min(times) > 0.03


def test_retry_after(sandbox: Sandbox) -> None:
    sandbox.faults(too_many_requests=True, retry_after_s=7)
    request = urllib.request.Request(f"{sandbox.stripe_base}/v1/refunds")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    with refused.value as error:
        assert error.headers["Retry-After"] == "7"


def test_next_strikes_so_often(sandbox: Sandbox) -> None:
    sandbox.faults(error_before={"next": 2})
    assert [post(sandbox) for _ in range(4)] == [500, 500, 200, 200]


def test_rate_strikes_by_the_dice_and_the_dice_repeat(sandbox: Sandbox) -> None:
    rounds = []
    for _ in range(2):
        sandbox.faults(error_before={"rate": 0.5}, seed=7)
        rounds.append([post(sandbox) for _ in range(30)])
    assert rounds[0] == rounds[1]
    assert 5 < rounds[0].count(500) < 25


def test_on_limits_a_switch_to_a_call(sandbox: Sandbox) -> None:
    sandbox.faults(error_before={"on": "karaden.detail"}, too_many_requests={"on": "stripe"})
    assert post(sandbox) == 200


def test_switches_replace_each_other_and_show_what_is_left(sandbox: Sandbox) -> None:
    sandbox.faults(error_before={"next": 3}, latency_ms=1, seed=5)
    post(sandbox)
    with urllib.request.urlopen(f"{sandbox.url}/_sandbox/switches") as response:
        assert b'"next": 2' in response.read()
    sandbox.faults()
    assert post(sandbox) == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"typo": True},
        {"hang": 1},
        {"latency_ms": True},
        {"latency_ms": -1},
        {"latency_ms": {"next": 1}},
        {"hang": {"next": -1}},
        {"hang": {"rate": 1.5}},
        {"hang": {"next": 1, "rate": 0.5}},
        {"hang": {"on": 1}},
        {"hang": {"of": "karaden"}},
        {"seed": "x"},
    ],
)
def test_wrong_switches_change_nothing(sandbox: Sandbox, wrong: dict) -> None:
    sandbox.faults(error_before=True)
    with pytest.raises(SandboxError):
        sandbox.faults(**wrong)
    assert post(sandbox) == 500


def test_receipt_delay(sandbox: Sandbox, listener: Listener) -> None:
    sandbox.addresses(karaden_receipts={"1": listener.url})
    sandbox.faults(receipt_delay_ms=300)
    start = time.monotonic()
    post(sandbox)
    listener.wait(1)
    assert time.monotonic() - start >= 0.3


def test_receipts_doubled(sandbox: Sandbox, listener: Listener) -> None:
    sandbox.addresses(karaden_receipts={"1": listener.url})
    sandbox.faults(receipts_doubled={"next": 1})
    post(sandbox)
    post(sandbox)
    listener.wait(3)
    until(lambda: sandbox.summary()["sent"]["receipts_pending"] == 0)
    ids = [receipt["id"] for receipt in listener.texts()]
    assert len(ids) == 3
    assert len(set(ids)) == 2


def test_receipts_late_come_after_the_detail_knows(sandbox: Sandbox, listener: Listener) -> None:
    sandbox.addresses(karaden_receipts={"1": listener.url})
    sandbox.faults(receipts_late_ms=1500)
    post(sandbox)
    until(lambda: sandbox.messages()[0]["state"] == "received")
    assert listener.got == []
    listener.wait(1)


def test_receipts_reversed_end_on_an_older_word(sandbox: Sandbox, listener: Listener) -> None:
    sandbox.addresses(karaden_receipts={"1": listener.url})
    sandbox.faults(receipts_reversed=True)
    post(sandbox)
    listener.wait(2)
    assert [receipt["result"] for receipt in listener.texts()] == ["done", "processing"]


def test_receipts_early_come_before_the_answer(sandbox: Sandbox, listener: Listener) -> None:
    sandbox.addresses(karaden_receipts={"1": listener.url})
    sandbox.faults(receipts_early=True, receipt_delay_ms=60_000)
    assert post(sandbox) == 200
    assert [receipt["result"] for receipt in listener.texts()] == ["done"]


def test_an_early_receipt_is_delivered_also_where_the_sender_hangs_up(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as receiver:
        sandbox.addresses(karaden_receipts={"1": f"http://127.0.0.1:{receiver.getsockname()[1]}/"})
        sandbox.faults(receipts_early=True)
        with pytest.raises(TimeoutError):
            post(sandbox, timeout=0.3)
        came, _ = receiver.accept()
        with came:
            came.recv(65_536)
            came.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            until(lambda: sandbox.summary()["sent"].get("receipts_delivered"))
    assert sandbox.summary()["sent"]["receipts_pending"] == 0


def test_receipts_off(sandbox: Sandbox, listener: Listener) -> None:
    sandbox.addresses(karaden_receipts={"1": listener.url})
    sandbox.faults(receipts_off={"next": 1})
    post(sandbox)
    until(lambda: sandbox.messages()[0]["state"] == "received")
    post(sandbox)
    listener.wait(1)
    assert listener.texts()[0]["id"] == sandbox.messages()[1]["id"]


def test_every_switch_is_documented_and_settable(sandbox: Sandbox) -> None:
    flags = dict.fromkeys(FAULTS | FLAGS, False)
    sandbox.faults(**flags, **dict.fromkeys(AMOUNTS, 0))
    assert post(sandbox) == 200


@pytest.mark.parametrize("status", [401, 403, 404, 422, 451])
def test_some_numbers_are_refused(sandbox: Sandbox, status: int) -> None:
    sandbox.faults(poison={"value": status, "ids": ["5678", "0009"]})
    assert [post(sandbox, to=to) for to in ("09012345678", "09012340009", "09012345679")] == [status, status, 200]
    assert [message["to"] for message in sandbox.messages()] == ["09012345679"]
    sandbox.faults(poison={"value": status, "ids": ["5678"], "next": 1})
    assert [post(sandbox) for _ in range(2)] == [status, 200]
