"""Rules for every page: headers, cookies, forms, errors, limits."""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import redis as redis_package
from flask import Flask, session

from app import config, create_app, extensions, links
from app.config import Settings
from tests.public.browser import Browser
from tests.public.conftest import ANSWERS, WRONG, Sent
from tests.public.page_headers import check_headers

ROOT = Path(__file__).parents[2]
ADDRESSES = ["/p", "/p/pay", "/p/return", "/p/answers", "/abcdefghijkmnpqr", "/nothing", "/static/page/none.css"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_answer_carries_the_headers(app: Flask, address: str) -> None:
    for method in ("GET", "HEAD", "POST", "DELETE"):
        answer = app.test_client().open(address, method=method)
        if address.startswith("/static") and answer.status_code == 404:
            continue
        check_headers(answer.headers)


def test_the_pages_of_a_visit_carry_them_too(sent: Sent, browser: Browser) -> None:
    browser.open(sent.link)
    check_headers(browser.page.headers)
    check_headers(browser.client.post(sent.link).headers)
    browser.press()
    check_headers(browser.page.headers)
    browser.press(**WRONG)
    check_headers(browser.page.headers)
    browser.press(**ANSWERS)
    check_headers(browser.page.headers)


def test_a_page_is_two_small_requests_from_here(sent: Sent, browser: Browser) -> None:
    browser.open(sent.link).press()
    loaded = re.findall(r'<(?:link|img|script)[^>]+(?:src|href)="(?!data:)([^"#]+)"', browser.text)
    assert loaded == [
        f"/static/page/page.css?v={hashlib.sha256((ROOT / 'public/static/page.css').read_bytes()).hexdigest()[:12]}"
    ]
    with browser.client.get(loaded[0]) as style:
        assert style.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert "Set-Cookie" not in style.headers
        assert len(style.data) + len(browser.page.data) < 30_000
    assert "<script" not in browser.text
    assert " style=" not in browser.text


def test_the_cookie_says_little_and_is_this_sides_own(sent: Sent, browser: Browser) -> None:
    answer = browser.client.post(sent.link)
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("todoke=")
    assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert sent.person.token not in cookie
    with browser.client.session_transaction() as kept:
        assert set(kept) == {"_permanent", "tenant", "recipient", "link"}


def test_a_session_of_one_side_is_none_on_the_other(app: Flask, sent: Sent) -> None:
    client = app.test_client()
    client.post(sent.link)
    cookie = client.get_cookie("todoke")
    assert cookie is not None
    value = cookie.value
    client.set_cookie("todoke_admin", value)
    with app.test_request_context("/admin/", headers={"Cookie": f"todoke_admin={value}"}):
        assert dict(session) == {}
    with app.test_request_context("/administration", headers={"Cookie": f"todoke={value}"}):
        assert session["recipient"] == sent.person.id
    with app.test_request_context("/p", headers={"Cookie": f"todoke={value[:-1]}"}):
        assert dict(session) == {}


def test_who_waits_too_long_is_led_back_to_the_link(sent: Sent, app: Flask, browser: Browser, time_machine) -> None:
    browser.open(sent.link).press()
    time_machine.move_to(datetime.now(UTC) + timedelta(minutes=31))
    browser.press(**ANSWERS)
    assert (browser.page.status_code, browser.title) == (400, "もう一度、SMSのリンクを開いてください")
    browser.open("/p")
    assert browser.title == "もう一度、SMSのリンクを開いてください"


def test_a_proof_of_identity_grows_old_even_in_use(sent: Sent, browser: Browser, time_machine) -> None:
    browser.open(sent.link).press().press(**ANSWERS)
    began = datetime.now(UTC)
    for turn in range(1, 10):
        time_machine.move_to(began + turn * timedelta(minutes=25))
        browser.open("/p")
        assert browser.title == "お支払いのご案内 | みどり信販"
    time_machine.move_to(began + timedelta(minutes=250))
    browser.open("/p")
    assert browser.title == "ご本人の確認 | みどり信販"


@pytest.mark.parametrize("path", ["/p/answers", "/p/pay"])
def test_forms_without_their_token_are_refused(sent: Sent, browser: Browser, state, path: str) -> None:
    browser.open(sent.link).press()
    answer = browser.client.post(path, data=WRONG)
    assert answer.status_code == 400
    assert "もう一度、SMSのリンクを開いてください" in answer.text
    assert state(sent) == ("opened", 0)


def test_errors_say_what_to_do_and_nothing_else(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    client = app.test_client()
    assert "ページが見つかりません" in client.get("/nothing").text
    wrong_method = client.delete("/p")
    assert (wrong_method.status_code, "GET" in wrong_method.headers["Allow"]) == (405, True)
    monkeypatch.setitem(app.config, "MAX_CONTENT_LENGTH", 10)
    assert client.post("/p/answers", data={"q1": "x" * 100}).status_code == 413
    assert client.get("/p", headers={"Host": "elsewhere.example"}).status_code == 400


def test_a_fault_of_ours_is_told_without_its_cause(
    sent: Sent, app: Flask, browser: Browser, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.open(sent.link).press()
    database.execute("UPDATE recipient SET fields_sealed = %s", ["佐藤 090-1234-5678".encode()])
    monkeypatch.setattr(app, "testing", False)
    browser.press(**ANSWERS)
    assert browser.page.status_code == 500
    assert "ただいまページを表示できません" in browser.text
    assert "090-1234-5678" not in browser.text
    assert "CannotOpen" not in browser.text
    check_headers(browser.page.headers)


def test_other_doors_answer_for_themselves(app: Flask) -> None:
    assert "SMSのリンク" not in app.test_client().get("/callbacks/none").text
    assert app.test_client().get("/healthz").json == {"status": "ok"}


def test_too_many_presses_are_slowed_down_and_lock_nothing(sent: Sent, app: Flask, state) -> None:
    client = app.test_client()
    answers = [client.post("/abcdefghijkmnpqr") for _ in range(301)]
    assert {answer.status_code for answer in answers[:300]} == {404}
    assert answers[300].status_code == 429
    assert "1分ほど待ってから" in answers[300].text
    assert int(answers[300].headers["Retry-After"]) <= 60
    assert client.post(sent.link).status_code == 429
    assert client.get(sent.link).status_code == 200
    assert client.post(sent.link, environ_base={"REMOTE_ADDR": "10.0.0.2"}).status_code == 303
    assert state(sent) == ("opened", 0)


@pytest.fixture
def other(app: Flask, settings: Settings) -> Iterator[Callable[..., Flask]]:
    """Make other applications of the same house, with settings of their own."""
    del app
    made: list[Flask] = []

    def make(**changes: Any) -> Flask:
        made.append(create_app(replace(settings, **changes)))
        made[-1].testing = True
        return made[-1]

    yield make
    for one in made:
        with one.app_context():
            extensions.db.engine.dispose()
    config.install(settings)


def test_over_https_cookies_are_host_bound_and_forms_need_no_referrer(
    send: Callable[..., Sent], other: Callable[..., Flask]
) -> None:
    sent = send()
    browser = Browser(other(public_base_url="https://todoke.example").test_client(), "https://todoke.example")
    browser.open(sent.link)
    cookie = browser.client.post(sent.link, base_url=browser.base_url).headers["Set-Cookie"]
    assert cookie.startswith("__Host-todoke=")
    assert {"Secure", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    browser.press().press(**ANSWERS)
    assert browser.title == "お支払いのご案内 | みどり信販"
    assert browser.page.headers["Strict-Transport-Security"].startswith("max-age=")


def test_one_ipv6_network_is_one_address(app: Flask, redis: redis_package.Redis) -> None:
    for address in (
        "2001:db8:1:2::1",
        "2001:db8:1:2:ffff::9",
        "2001:db8:1:3::1",
        "::ffff:192.0.2.1",
        "192.0.2.1",
        "192.0.2.1:80",
    ):
        app.test_client().post("/abcdefghijkmnpqr", environ_base={"REMOTE_ADDR": address})
    counted = {key.decode().split("todoke/")[1].partition("/public.")[0] for key in redis.scan_iter("LIMITS:*")}
    assert counted == {"2001:db8:1:2::/64", "2001:db8:1:3::/64", "192.0.2.1", "192.0.2.1:80"}


@pytest.mark.parametrize(("hops", "counted"), [(0, "127.0.0.1"), (1, "10.0.0.3"), (2, "10.0.0.2")])
def test_only_what_our_own_proxies_say_is_believed(
    other: Callable[..., Flask], redis: redis_package.Redis, hops: int, counted: str
) -> None:
    client = other(trusted_proxies=hops).test_client()
    claims = {"X-Forwarded-For": "10.0.0.1, 10.0.0.2, 10.0.0.3", "X-Forwarded-Host": "todoke.example,localhost"}
    assert client.post("/abcdefghijkmnpqr", headers=claims).status_code == 404
    keys = [key.decode() for key in redis.scan_iter("LIMITS:*")]
    assert [key.split("/")[2] for key in keys] == [counted]
    believed = client.get("/p", headers={"X-Forwarded-Host": "elsewhere.example, elsewhere.example"})
    assert believed.status_code == (400 if hops else 200)


def test_a_trial_sms_leads_to_a_page_that_says_so(app: Flask) -> None:
    path = urlsplit(links.trial_address()).path
    answer = app.test_client().get(path)
    assert answer.status_code == 200
    assert "テスト送信" in answer.get_data(as_text=True)
    check_headers(answer.headers)
    assert app.test_client().get(f"{path}1").status_code == 404
    assert app.test_client().post(path).status_code == 405
