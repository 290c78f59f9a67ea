"""Nothing that belongs to a person reaches a log line: by key, in text, in a traceback, through a library."""

import io
import json
import logging
import time
from collections.abc import Iterator

import pytest
import structlog

from app import logs
from tests.waiting import until

SECRETS = [
    "090-1234-5678",
    "09012345678",
    "+819012345678",
    "819012345678",
    "０９０１２３４５６７８",
    "090 1234 5678",
    "080(1234)5678",
    "sk_live_abcdefgh12345678",
    "whsec_abcdefgh12345678",
    "App 003026bbc133714df1834b8638bb496e-8f4b3d9a-e931-478d-a994-28a725159ab9",
]


_WINDOW_S = 0.3


@pytest.fixture
def lines(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """Collect what is written; counts of frequent lines come each `_WINDOW_S`, or as a test asks for."""
    before = logging.getLogger().handlers[:], logging.getLogger().level
    logs.configure("json", "info", window_s=getattr(request, "param", _WINDOW_S))
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    stream = io.StringIO()
    handler.setStream(stream)
    yield stream
    logging.getLogger().handlers[:], level = before[0], before[1]
    logging.getLogger().setLevel(level)


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_in_any_text_is_scrubbed(lines: io.StringIO, secret: str) -> None:
    log = structlog.get_logger()
    said = f"sent to {secret} now"
    log.info(said, note=f"x {secret}", nested={"list": [f"y {secret}"]})
    logging.getLogger("some.library").warning("library says %s", secret)
    try:
        raise ValueError(f"bad number {secret}")
    except ValueError:
        log.exception("failed")
    written = lines.getvalue()
    assert secret not in written
    assert written.count("\n") == 3
    assert "[redacted]" in written


@pytest.mark.parametrize(
    "key", ["token", "link_token", "answer", "answers", "phone", "password", "authorization", "credentials", "cookie"]
)
def test_a_secret_key_is_never_written(lines: io.StringIO, key: str) -> None:
    structlog.get_logger().info("x", **{key: "Taro-secret-value", "nested": {key: "Taro-secret-value"}})
    assert "Taro-secret-value" not in lines.getvalue()


def test_a_links_token_is_scrubbed_from_addresses(lines: io.StringIO) -> None:
    token = "aB3dEfGh1jKmNpQr"
    structlog.get_logger().info("GET", path=f"/{token}", url=f"https://todoke.example/{token}?x=1")
    logging.getLogger("access").info('"GET /%s HTTP/1.1" 200', token)
    assert token not in lines.getvalue()


def test_the_secret_in_a_receipts_address_is_scrubbed(lines: io.StringIO) -> None:
    structlog.get_logger().info("POST", path="/callbacks/sms/12/0123456789abcdef0123456789abcdef")
    assert "0123456789abcdef" not in lines.getvalue()
    assert "/callbacks/sms/12/" in lines.getvalue()


def test_credentials_in_headers_and_addresses_are_scrubbed(lines: io.StringIO) -> None:
    structlog.get_logger().info("call", header="Bearer abcdef0123456789", at="postgresql://app:s3cr3tpw@db/x")
    structlog.get_logger().info("call", url="https://sms.example/status.json?token=abcdef0123456789&clientTag=tag.1.1")
    written = lines.getvalue()
    assert "abcdef0123456789" not in written
    assert "s3cr3tpw" not in written
    assert "clientTag=tag.1.1" in written


def test_what_operators_need_stays(lines: io.StringIO) -> None:
    structlog.get_logger().info(
        "slice sent",
        campaign_id=12,
        slice_id=3,
        people=5000,
        seconds=1.5,
        at="2026-11-23T08:00:00Z",
        note="app started again",
    )
    said = json.loads(lines.getvalue())
    assert (said["campaign_id"], said["people"], said["at"]) == (12, 5000, "2026-11-23T08:00:00Z")
    assert (said["event"], said["note"]) == ("slice sent", "app started again")
    assert said["level"] == "info"


def test_objects_are_scrubbed_as_they_read(lines: io.StringIO) -> None:
    class Person:
        def __repr__(self) -> str:
            return "Person(09012345678)"

        __str__ = __repr__

    structlog.get_logger().info("x", person=Person(), people=[Person()])
    assert "09012345678" not in lines.getvalue()


def said(lines: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


@pytest.mark.parametrize("lines", [2.0], indirect=True)
def test_what_a_stranger_has_refused_fills_no_disk(lines: io.StringIO) -> None:
    log, library = structlog.get_logger(), logging.getLogger("flask-limiter")
    for address in range(100):
        log.info("request refused", status="408 Request Timeout", method="POST")
        log.info("request refused", status="413 Content Too Large", method="POST")
        log.warning("webhook refused", account_id=7, reason="BadSignature")
        library.info(
            "ratelimit %s (%s) exceeded at endpoint: %s", "20 per minute", f"192.0.2.{address}", "trust.verify"
        )
        logging.getLogger("flask_wtf.csrf").info("The CSRF token is missing.")
    # a slow machine counts in more than one window
    until(lambda: sum(int(str(line.get("more", 0))) for line in said(lines)) >= 5 * 99)
    counts = [line for line in said(lines) if "more" in line]
    assert len(said(lines)) - len(counts) == 5
    assert sum(int(str(line["more"])) for line in counts) == 5 * 99
    assert len(counts) <= 5 * 5
    assert {(line["event"], line.get("status"), line["level"]) for line in counts} >= {
        ("request refused", "408 Request Timeout", "info"),
        ("webhook refused", None, "warning"),
    }
    # nobody's address stands for all the others
    assert "192.0.2" not in json.dumps(counts)


def test_while_it_goes_on_only_counts_are_written(lines: io.StringIO) -> None:
    began, sent = time.monotonic(), 0
    while time.monotonic() - began < 4 * _WINDOW_S:
        structlog.get_logger().info("request refused", status="408 Request Timeout")
        sent += 1
        time.sleep(0.01)

    def counted() -> int:
        return sum(int(str(line["more"])) for line in said(lines)[1:])

    until(lambda: counted() >= sent - 1)
    first, *counts = said(lines)
    assert "more" not in first
    assert counted() == sent - 1
    assert len(counts) <= (time.monotonic() - began) / _WINDOW_S + 1
    # and once it was quiet, the next is a line again
    time.sleep(3 * _WINDOW_S)
    structlog.get_logger().info("request refused", status="408 Request Timeout")
    assert "more" not in said(lines)[-1]


def test_what_is_no_strangers_doing_is_written_each_time(lines: io.StringIO) -> None:
    for number in range(5):
        structlog.get_logger().warning("payment not confirmed", payment_id=number)
        structlog.get_logger().warning("webhook refused", account_id=number, reason="BadSignature")
    assert len(said(lines)) == 10
