"""Nothing that belongs to a person reaches a log line: by key, in text, in a traceback, through a library."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from app import logs

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
]


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    before = logging.getLogger().handlers[:], logging.getLogger().level
    logs.configure("json", "info")
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
    written = lines.getvalue()
    assert "abcdef0123456789" not in written
    assert "s3cr3tpw" not in written


def test_what_operators_need_stays(lines: io.StringIO) -> None:
    structlog.get_logger().info(
        "slice sent", campaign_id=12, slice_id=3, people=5000, seconds=1.5, at="2026-11-23T08:00:00Z"
    )
    said = json.loads(lines.getvalue())
    assert (said["campaign_id"], said["people"], said["at"]) == (12, 5000, "2026-11-23T08:00:00Z")
    assert said["event"] == "slice sent"
    assert said["level"] == "info"


def test_objects_are_scrubbed_as_they_read(lines: io.StringIO) -> None:
    class Person:
        def __repr__(self) -> str:
            return "Person(09012345678)"

        __str__ = __repr__

    structlog.get_logger().info("x", person=Person(), people=[Person()])
    assert "09012345678" not in lines.getvalue()
