"""Whatever address, host, method or status it is, a person reads Japanese that says what to do next."""

import itertools
import re
from functools import partial

import pytest
from flask import Flask, abort
from werkzeug.exceptions import default_exceptions

from app.web import bare_pages

PATHS = [
    "/", "//", "///x", "/%00", "/%0a", "/%ff%fe", "/あ", "/;x", "/%zz", '/"><script>', "/.env", "/index.php",
    "/administrator", "/admin", "/admin/", "/admin//", "/admin/..", "/admin/../p", "/admin/%00", "/admin/%ff",
    "/admin/nothing", "/admin/login/x", "/admin/campaign/abc/list/", "/admin/static/", "/admin/static/none.js",
    "/admin/recipient/0/reveal", "/p/", "/p/answers", "/p/none", "/verify/", "/static/",
    "/static/page/none.css", "/look/none.css", "/sample/x",
]  # fmt: skip
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"]
_ENGLISH = re.compile(r"Not Found|Bad Request|Not Allowed|Unsupported|Internal Server|requested URL|not trusted")


def tells_what_to_do(text: str) -> bool:
    return "ください" in text and not _ENGLISH.search(text)


@pytest.mark.parametrize("method", METHODS)
def test_no_odd_address_is_answered_in_english(app: Flask, method: str) -> None:
    for path in PATHS:
        answer = app.test_client().open(path, method=method)
        if answer.status_code < 400:
            continue
        assert answer.status_code in {400, 401, 403, 404, 405}, path
        assert tells_what_to_do(answer.text), (path, answer.text)
        assert "<script>" not in answer.text.replace("&lt;", "")


def test_a_host_that_is_not_ours_is_told_so_without_its_name(app: Flask) -> None:
    hosts = ["evil.example", "<x>", "a b", "", "evil.example@localhost", "localhost:99999", "[::1"]
    for host, path, method in itertools.product(
        hosts, ["/p", "/abcdefghijkmnpqr", "/admin/login", "/x"], ["GET", "POST"]
    ):
        answer = app.test_client().open(path, method=method, headers={"Host": host})
        if answer.status_code != 400:
            assert host == "localhost:99999", host
            continue
        assert "案内されたアドレスから開き直してください" in answer.text, (host, path)
        assert ('lang="en"' in answer.text) is not path.startswith("/admin")
        assert "evil" not in answer.text
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/p/fault", "/admin/fault"])
def test_no_status_is_answered_in_english(app: Flask, path: str) -> None:
    """Each that Werkzeug knows, raised where neither door's views are."""
    for status in default_exceptions:
        before = app.before_request_funcs.setdefault(None, [])
        before.insert(0, partial(abort, status))
        try:
            answer = app.test_client().get(path)
        finally:
            before.pop(0)
        assert answer.status_code == status
        assert tells_what_to_do(answer.text), (status, answer.text)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "path",
    ["/callbacks", "/callbacks/", "/callbacks/x", "/callbacks/sms/1", "/callbacks/sms/a/b", "/callbacks/payment/",
     "/callbacks/payment/99999999999999999999", "/callbacks/%00", "/callbacks/あ", "/callbacks/sms/1/x/", "/healthz/x"],
)  # fmt: skip
def test_a_program_is_answered_by_the_status_alone(app: Flask, path: str, method: str) -> None:
    answer = app.test_client().open(path, method=method)
    assert answer.status_code in {400, 404, 405}
    assert answer.get_data() == b""


@pytest.mark.parametrize("path", ["/callbacks/fault", "/healthz"])
def test_no_status_tells_a_program_more(app: Flask, path: str) -> None:
    for status in default_exceptions:
        before = app.before_request_funcs.setdefault(None, [])
        before.insert(0, partial(abort, status))
        try:
            answer = app.test_client().get(path)
        finally:
            before.pop(0)
        assert (answer.status_code, answer.get_data()) == (status, b"")


def test_what_the_guard_refuses_of_a_program_is_answered_so_too(app: Flask) -> None:
    answer = app.test_client().post(f"/callbacks/sms/1/{'k' * 9000}", data=b"{}")
    assert (answer.status_code, answer.get_data()) == (414, b"")
    assert bare_pages.page(413, "/callbacks/sms/1/x") == b""


def test_a_page_that_no_door_makes_tells_whose_fault_it_is() -> None:
    assert "もう一度操作してください" in bare_pages.page(418, "/p").decode()
    assert bare_pages.page(599, "/p") == bare_pages.page(500, "/p") != bare_pages.page(418, "/p")
    assert 'lang="en"' in bare_pages.page(503, "/p").decode()
    assert 'lang="en"' not in bare_pages.page(503, "/admin/").decode()
