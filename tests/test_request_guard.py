"""What a stranger's hand can hold up: long heads and bodies, bodies that come slowly or never, fields without end."""

import ast
import io
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import EnvironBuilder, run_wsgi_app
from werkzeug.wrappers import Request

from app import limits, request_guard

UPLOAD = "/admin/campaign/7/list/"


class Silent:
    """A body that comes as it is let through, and ends when the connection does."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.ended = threading.Event()
        self._pieces = pieces

    def read(self, _size: int = -1) -> bytes:
        if self._pieces:
            piece, self._pieces = self._pieces[0], self._pieces[1:]
            return piece
        self.ended.wait(30)
        return b""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies may take half a second."""
    monkeypatch.setattr(request_guard, "_BODY_S", 0.5)


@pytest.fixture
def guarded() -> Callable[..., Any]:
    """What the product says of a request that came through."""

    def product(environ: Any, start_response: Any) -> list[bytes]:
        request = Request(environ)
        told = request.form.get("a", "") or request.get_data(as_text=True)
        start_response("200 OK", [("X-Host", request.environ["HTTP_HOST"])])
        return [f"{len(told)}".encode()]

    staff = {"yes"}
    inner = request_guard.wrap(product, 3_000_000, lambda environ: environ.get("HTTP_COOKIE") in staff, "ours.example")

    def ask(path: str = "/p/pay", **how: Any) -> tuple[str, str, Any]:
        overrides = how.pop("environ_overrides", {})
        builder = EnvironBuilder(path, **how)
        environ = builder.get_environ() | overrides
        body, status, headers = run_wsgi_app(inner, environ, buffered=True)
        return status, b"".join(body).decode(), headers

    return ask


def test_every_path_has_its_own_largest_body_and_is_told_in_words(guarded: Callable[..., Any]) -> None:
    for path, most in [
        ("/p/pay", 4_000),
        ("/verify", 4_000),
        ("/p/answers", 16_000),
        ("/callbacks/sms/1/x", 65_536),
        ("/admin/login", 20_000),
        ("/admin/campaign/new/", 500_000),
    ]:
        status, said, _ = guarded(path, method="POST", data=b"x" * most)
        assert (status, said) == ("200 OK", str(most)), path
        for more in (1, 500_000, 50_000_000):
            status, said, _ = guarded(path, method="POST", data=b"x" * (most + more))
            assert status == "413 Content Too Large", (path, more)
            assert "送られたデータが大きすぎます" in said


def test_a_body_that_tells_no_length_is_bounded_alike(guarded: Callable[..., Any]) -> None:
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    for size, expected in [(4_000, "200 OK"), (4_001, "413 Content Too Large"), (9_000_000, "413 Content Too Large")]:
        status, *_ = guarded(
            "/p/pay",
            method="POST",
            input_stream=io.BytesIO(b"x" * size),
            environ_overrides=chunked,
        )
        assert status == expected


def test_only_staff_send_what_is_large(guarded: Callable[..., Any]) -> None:
    for path in (UPLOAD, "/admin/page_look/3/"):
        staff = {"Cookie": "yes", "Content-Type": "multipart/form-data"}  # not parsed
        status, said, _ = guarded(path, method="POST", data=b"x" * 2_000_000, headers=staff)
        assert (status, said) == ("200 OK", "2000000")
        # a form without a file is parsed whole: it is no larger here than elsewhere
        for kind in ("application/x-www-form-urlencoded", "Application/X-WWW-form-urlencoded", "text/plain"):
            plain = {"Cookie": "yes", "Content-Type": kind}
            assert guarded(path, method="POST", data=b"a=1&" * 200_000, headers=plain)[0].startswith("413")
        # led to the sign-in by the product, which sees nothing of it
        for size in (1_000, 2_000_000, 40_000_000):
            status, said, _ = guarded(path, method="POST", data=b"x" * size)
            assert (status, said) == ("200 OK", "0")
    status, *_ = guarded(UPLOAD, method="POST", data=b"x" * 3_200_000, headers=staff)
    assert status == "413 Content Too Large"


def test_addresses_headers_and_fields_are_refused_by_length(guarded: Callable[..., Any]) -> None:
    assert guarded("/" + "1" * 6_000)[0] == "414 URI Too Long"
    assert guarded("/p", query_string="q=" + "1" * 8_000)[0] == "414 URI Too Long"
    assert guarded("/p", query_string="&".join(["a=1"] * 101))[0] == "414 URI Too Long"
    for name, most in limits.HEADERS.items():
        if name in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
            continue
        plain = name.removeprefix("HTTP_").replace("_", "-")
        assert guarded("/p", headers={plain: "1" * most})[0] == "200 OK", name
        status, said, _ = guarded("/p", headers={plain: "1" * (most + 1)})
        assert status == "431 Request Header Fields Too Large"
        assert "Cookieを削除" in said
    assert guarded("/p/pay", method="POST", data="&".join(["a=1"] * 21), content_type=_FORM)[0].startswith("413")


_FORM = "application/x-www-form-urlencoded"


def test_a_body_that_never_comes_keeps_no_turn_and_ends_in_time(quick: None, guarded: Callable[..., Any]) -> None:
    del quick
    silent = [Silent([b"a=1"]) for _ in range(2 * request_guard.TURNS)]
    got: list[tuple[str, str, Any]] = []

    def send(stream: Silent) -> None:
        got.append(guarded("/p/pay", method="POST", environ_overrides={"wsgi.input": stream, "CONTENT_LENGTH": "100"}))

    senders = [threading.Thread(target=send, args=[stream]) for stream in silent]
    for sender in senders:
        sender.start()
    time.sleep(0.2)
    began = time.monotonic()
    assert guarded("/p")[0] == "200 OK"
    assert guarded("/healthz", headers={"Host": "10.0.0.7"})[2]["X-Host"] == "ours.example"
    assert time.monotonic() - began < 0.2
    # the server closes the connection once it is answered, which ends the reads
    time.sleep(0.8)
    for stream in silent:
        stream.ended.set()
    for sender in senders:
        sender.join()
    assert {status for status, *_ in got} == {"408 Request Timeout"}
    assert {headers["Connection"] for *_, headers in got} == {"close"}


def test_a_body_that_breaks_off_is_not_taken_for_a_whole_one(guarded: Callable[..., Any]) -> None:
    short = io.BytesIO(b"a=090")
    told = {"CONTENT_LENGTH": "11"}
    status, *_ = guarded("/p/pay", method="POST", input_stream=short, environ_overrides=told, content_type=_FORM)
    assert status == "408 Request Timeout"


def test_one_address_takes_no_more_than_its_share(guarded: Callable[..., Any]) -> None:
    streams = [Silent([]) for _ in range(request_guard.BODIES_OF_ONE)]
    threads = [
        threading.Thread(
            target=guarded,
            args=["/p/pay"],
            kwargs={"method": "POST", "environ_overrides": {"wsgi.input": stream, "CONTENT_LENGTH": "9"}},
        )
        for stream in streams
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    status, said, headers = guarded("/p/pay", method="POST", data=b"a=1")
    assert status == "503 Service Unavailable"
    assert "混み合っています" in said
    assert headers["Retry-After"] == "60"
    other = {"REMOTE_ADDR": "192.0.2.9"}
    assert guarded("/p/pay", method="POST", data=b"a=1", environ_base=other)[0] == "200 OK"
    for stream in streams:
        stream.ended.set()
    for thread in threads:
        thread.join()
    assert guarded("/p/pay", method="POST", data=b"a=1")[0] == "200 OK"


def test_health_is_told_by_whatever_address(app: Flask) -> None:
    client = app.test_client()
    for host in ("10.0.0.7", "10.0.0.7:8000", "[::1]", "balancer.internal", "todoke.example"):
        answer = client.get("/healthz", headers={"Host": host})
        assert (answer.status_code, answer.json) == (200, {"status": "ok"}), host
    assert client.get("/p", headers={"Host": "10.0.0.7"}).status_code == 400


def test_no_header_is_read_that_has_no_limit() -> None:
    """What the product asks a request for stands in the table."""
    root = Path(__file__).parents[1]
    for folder in ("app", "admin_views", "public"):
        for path in (root / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr == "get"
                    and ast.unparse(node.func.value) == "request.headers"
                    and isinstance(node.args[0], ast.Constant)
                ):
                    asked = str(node.args[0].value)
                    name = asked.upper().replace("-", "_")
                    assert {f"HTTP_{name}", name} & set(limits.HEADERS), f"{path}: {asked}"
