"""Strangers who try to hold the product up: long heads, bodies that come slowly or never, fields without end."""

import ast
import io
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import EnvironBuilder, run_wsgi_app
from werkzeug.wrappers import Request

from app import limits
from app.web import request_guard
from app.web.request_bodies import Room

UPLOAD = "/admin/campaign/7/list/"


class Silent:
    """A body that comes as it is let through, and ends when the connection does."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.asked, self.ended = threading.Event(), threading.Event()
        self._pieces = pieces

    def read(self, _size: int = -1) -> bytes:
        self.asked.set()
        if self._pieces:
            piece, self._pieces = self._pieces[0], self._pieces[1:]
            return piece
        self.ended.wait(30)
        return b""


def product(environ: Any, start_response: Any) -> list[bytes]:
    """Return what came through."""
    request = Request(environ)
    told = request.form.get("a", "") or request.get_data(as_text=True)
    start_response("200 OK", [("X-Host", request.environ["HTTP_HOST"])])
    return [f"{len(told)}".encode()]


def guard(**limits_of_bodies: Any) -> Callable[..., Any]:
    """Ask the guarded product; give status, text and headers."""
    staff = {"yes"}
    inner = request_guard.wrap(
        product, 3_000_000, lambda environ: environ.get("HTTP_COOKIE") in staff, "ours.example", **limits_of_bodies
    )

    def ask(path: str = "/p/pay", begun: threading.Event | None = None, **how: Any) -> tuple[str, str, Any]:
        def told(environ: Any, start_response: Any) -> Any:
            def start(*arguments: Any) -> Any:
                if begun is not None:
                    begun.set()
                return start_response(*arguments)

            return inner(environ, start)

        overrides = how.pop("environ_overrides", {})
        builder = EnvironBuilder(path, **how)
        body, status, headers = run_wsgi_app(told, builder.get_environ() | overrides, buffered=True)
        return status, b"".join(body).decode(), headers

    return ask


@pytest.fixture
def guarded() -> Callable[..., Any]:
    return guard()


class Sender:
    """Somebody whose body is on its way until the connection ends."""

    def __init__(self, ask: Callable[..., Any], address: str, pieces: Iterable[bytes] = (), **how: Any) -> None:
        self.told = threading.Event()
        self._stream, self._got = Silent(list(pieces)), list[str]()
        overrides = {"wsgi.input": self._stream, "CONTENT_LENGTH": "900000", "REMOTE_ADDR": address}
        if "path" not in how:
            overrides["CONTENT_LENGTH"] = "100"

        def send() -> None:
            self._got.append(ask(method="POST", environ_overrides=overrides, begun=self.told, **how)[0])

        self._thread = threading.Thread(target=send)
        self._thread.start()
        assert self._stream.asked.wait(60)

    def end(self) -> str:
        """End the connection, as the server does once it has answered; give the status."""
        self._stream.ended.set()
        self._thread.join()
        return self._got[0]


def told(senders: Iterable[Sender], whom: list[bool]) -> bool:
    """Return whether just those are told, once they are."""
    senders = list(senders)
    for sender, is_told in zip(senders, whom, strict=True):
        if is_told:
            assert sender.told.wait(60)
    return [sender.told.wait(0.1) for sender in senders] == whom


def test_every_path_has_its_own_largest_body_and_is_told_in_words(guarded: Callable[..., Any]) -> None:
    for path, most in [
        ("/p/pay", 4_000),
        ("/verify", 4_000),
        ("/p/answers", 16_000),
        ("/callbacks/sms/1/x", 900_000),
        ("/admin/login", 20_000),
        ("/admin/campaign/new/", 500_000),
    ]:
        status, said, _ = guarded(path, method="POST", data=b"x" * most)
        assert (status, said) == ("200 OK", str(most)), path
        for more in (1, 500_000, 50_000_000):
            status, said, _ = guarded(path, method="POST", data=b"x" * (most + more))
            assert status == "413 Content Too Large", (path, more)
            # the programs of providers are told by the status alone
            assert said == "" if path.startswith("/callbacks") else "送られたデータが大きすぎます" in said


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
    # of a push any header, whatever its provider calls its signature
    for name in ("Stripe-Signature", "X-Toy-Signature"):
        for path in ("/callbacks/payment/1", "/callbacks/sms/1/x"):
            assert guarded(path, method="POST", headers={name: "1" * 8_000})[0] == "200 OK"
            assert guarded(path, method="POST", headers={name: "1" * 8_001})[0].startswith("431")
        assert guarded("/p", headers={name: "1" * 8_001})[0] == "200 OK"
    assert guarded("/p/pay", method="POST", data="&".join(["a=1"] * 21), content_type=_FORM)[0].startswith("413")


_FORM = "application/x-www-form-urlencoded"


def test_a_body_that_never_comes_keeps_no_turn_and_ends_in_time() -> None:
    ask = guard(body_s=2)
    senders = [Sender(ask, "192.0.2.1", [b"a=1"]) for _ in range(2 * request_guard.TURNS)]
    assert ask("/p")[0] == "200 OK"
    assert ask("/healthz", headers={"Host": "10.0.0.7"})[2]["X-Host"] == "ours.example"
    assert not any(sender.told.is_set() for sender in senders)
    assert told(senders, [True] * len(senders))
    assert {sender.end() for sender in senders} == {"408 Request Timeout"}


def test_nobody_waits_behind_what_is_pushed_and_no_recipient_behind_staff() -> None:
    on, begun = threading.Event(), threading.Semaphore(0)

    def slow(environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] in HELD_UP:
            begun.release()
            assert on.wait(60)
        start_response("200 OK", [])
        return [b""]

    inner = request_guard.wrap(slow, 3_000_000, lambda _: True, "ours.example")

    def ask(path: str) -> None:
        run_wsgi_app(inner, EnvironBuilder(path).get_environ())

    pushes = [threading.Thread(target=ask, args=(HELD_UP[0],)) for _ in range(2 * request_guard.TURNS)]
    staff = [threading.Thread(target=ask, args=(HELD_UP[1],)) for _ in range(2 * request_guard.TURNS)]
    for push in pushes:
        push.start()
    while begun.acquire(timeout=0.3):
        pass
    ask("/admin/")
    for clerk in staff:
        clerk.start()
    while begun.acquire(timeout=0.3):
        pass
    ask("/p")
    assert not on.is_set()
    on.set()
    for thread in (*pushes, *staff):
        thread.join(60)
        assert not thread.is_alive()


HELD_UP = ("/callbacks/sms/1/key", "/admin/recipient/")


def test_who_sends_too_slowly_is_told_what_to_do() -> None:
    stream = Silent([b"a=1"])
    threading.Timer(0.3, stream.ended.set).start()
    told = {"wsgi.input": stream, "CONTENT_LENGTH": "100"}
    status, said, headers = guard(body_s=0.1)(method="POST", environ_overrides=told)
    assert (status, headers["Connection"]) == ("408 Request Timeout", "close")
    assert "もう一度送信してください" in said


def test_a_body_that_breaks_off_is_not_taken_for_a_whole_one(guarded: Callable[..., Any]) -> None:
    short = io.BytesIO(b"a=090")
    told = {"CONTENT_LENGTH": "11"}
    status, *_ = guarded("/p/pay", method="POST", input_stream=short, environ_overrides=told, content_type=_FORM)
    assert status == "408 Request Timeout"


def sends(ask: Callable[..., Any], address: str) -> str:
    """Send a form at once; give its status."""
    status: str = ask(method="POST", data=b"a=1", environ_base={"REMOTE_ADDR": address})[0]
    return status


def test_slow_bodies_give_way_to_whoever_sends() -> None:
    ask = guard(room=Room(bodies=4, of_one=3))
    slow = [Sender(ask, f"192.0.2.{number % 2}", [b"a"]) for number in range(4)]
    time.sleep(1.1)
    assert sends(ask, "192.0.2.9") == "200 OK"
    # the first went; its room is free for the next
    assert sends(ask, "192.0.2.9") == "200 OK"
    assert told(slow, [True, False, False, False])
    assert slow[0].end() == "408 Request Timeout"
    for sender in slow[1:]:
        sender.end()


def test_an_upload_that_comes_on_does_not_give_way_to_what_is_slow() -> None:
    ask = guard(room=Room(bodies=3, of_one=3))
    staff = {"Cookie": "yes", "Content-Type": "multipart/form-data"}
    upload = Sender(ask, "192.0.2.1", [b"x" * 60_000] * 10, path=UPLOAD, headers=staff)
    slow = [Sender(ask, "192.0.2.2") for _ in range(2)]
    time.sleep(1.1)
    slow += [Sender(ask, "192.0.2.3") for _ in range(2)]
    assert told((upload, *slow), [False, True, True, False, False])
    for sender in (upload, *slow):
        sender.end()


def test_a_flood_of_young_bodies_costs_its_own_addresses() -> None:
    ask = guard(room=Room(bodies=4, of_one=4))
    quiet = Sender(ask, "192.0.2.1")
    flood = [Sender(ask, "192.0.2.2") for _ in range(11)]
    assert told(flood, [True] * 8 + [False] * 3)
    assert not quiet.told.is_set()
    for sender in (quiet, *flood):
        sender.end()


def test_one_address_takes_no_more_than_its_share() -> None:
    ask = guard(room=Room(bodies=9, of_one=2))
    slow = [Sender(ask, "192.0.2.1") for _ in range(2)]
    assert sends(ask, "192.0.2.1") == "200 OK"
    assert told(slow, [True, False])
    for sender in slow:
        sender.end()


def test_what_the_server_does_not_end_is_bounded_too() -> None:
    ask = guard(room=Room(bodies=1, of_one=1, ending=2))
    slow = [Sender(ask, "192.0.2.1") for _ in range(3)]
    status, said, headers = ask(method="POST", data=b"a=1", environ_base={"REMOTE_ADDR": "192.0.2.9"})
    assert (status, headers["Retry-After"]) == ("503 Service Unavailable", "60")
    assert "混み合っています" in said
    assert told(slow, [True, True, False])
    for sender in slow:
        sender.end()
    assert sends(ask, "192.0.2.9") == "200 OK"


def test_health_is_told_by_whatever_address(app: Flask) -> None:
    client = app.test_client()
    for host in ("10.0.0.7", "10.0.0.7:8000", "[::1]", "balancer.internal", "todoke.example"):
        answer = client.get("/healthz", headers={"Host": host})
        assert (answer.status_code, answer.json) == (200, {"status": "ok"}), host
    assert client.get("/p", headers={"Host": "10.0.0.7"}).status_code == 400


def test_no_header_is_read_that_has_no_limit() -> None:
    """Everything that the product asks a request for stands in the table."""
    root = Path(__file__).parents[2]
    for folder in ("app", "admin_views", "public", "api", "callbacks"):
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
