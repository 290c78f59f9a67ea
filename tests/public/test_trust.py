"""A believable page: whose it is, its looks, whom to ask, and a check of the sender."""

import html
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
import pytest
from flask import Flask
from PIL import Image

from app import config
from app.config import Settings
from app.tenants import branding
from tests import factories, steps
from tests.public.browser import Browser
from tests.public.conftest import ANSWERS, WRONG, Sent
from tests.public.page_headers import check_headers


@pytest.fixture
def tuned(app: Flask, settings: Settings) -> Iterator[Callable[..., None]]:
    yield lambda **changes: config.install(replace(settings, **changes))
    config.install(settings)


def logo() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (240, 80), "#0a7a3c").save(out, "PNG")
    return branding.prepare_logo(out.getvalue())


@pytest.fixture
def looked(send: Callable[..., Sent], database: psycopg.Connection) -> Sent:
    """A person whose company has a colour, a logo and words about itself."""
    sent = send()
    database.execute(
        "UPDATE tenant SET colour = '#7a0a3c', logo = %s, look = %s, about = %s WHERE id = %s",
        [
            logo(),
            branding.digest("#7a0a3c", logo()),
            "本社：東京都千代田区\n公式サイト：midori.example",
            sent.tenant_id,
        ],
    )
    return sent


def test_every_page_of_the_way_names_the_company_and_its_phone(sent: Sent, browser: Browser) -> None:
    browser.open(sent.link)
    seen = [browser.text]
    seen += [browser.press().text, browser.press(**WRONG).text, browser.press(**ANSWERS).text]
    for text in seen:
        assert "みどり信販" in text
        assert 'href="tel:0312345678"' in text
        assert "お知らせサービス「Todoke（届け）」が運営しています" in text
        assert 'href="/verify"' in text
    assert "みどり信販に登録されている携帯電話番号あてにお送りしました" in seen[0]


def test_whoever_runs_the_site_is_named(send: Callable[..., Sent], app: Flask, tuned) -> None:
    tuned(operator_name="例示通信株式会社")
    browser = Browser(app.test_client()).open("/verify")
    assert "「Todoke（届け）」（例示通信株式会社）が運営しています" in browser.text


def test_a_companys_look_is_one_style_sheet_kept_for_good(looked: Sent, browser: Browser) -> None:
    browser.open(looked.link)
    assert "公式サイト：midori.example" in browser.text
    address = browser.text.partition('<link rel="stylesheet" href="')[2].partition('"')[0]
    assert address.startswith(f"/look/{branding.digest('#7a0a3c', logo())}.css?v=")
    style = browser.client.get(address)
    assert style.mimetype == "text/css"
    assert style.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "Set-Cookie" not in style.headers
    assert "--main: #7a0a3c;" in style.text
    assert "data:image/png;base64," in style.text
    assert style.text.index(".act {") < style.text.index("--main: #7a0a3c;")
    assert len(style.data) + len(browser.page.data) < 40_000
    browser.press()
    assert address in browser.text


@pytest.mark.parametrize("digest", ["0" * 20, "%00", "x", "0" * 5000])
def test_a_look_that_nobody_has_is_not_found(app: Flask, digest: str) -> None:
    answer = app.test_client().get(f"/look/{digest}.css")
    assert answer.status_code == 404
    check_headers(answer.headers)


def test_checks_that_were_stopped_say_so_and_take_nothing(
    sent: Sent, app: Flask, browser: Browser, database, take, state
) -> None:
    browser.open(sent.link).press()
    reader = Browser(app.test_client())
    reader.open(sent.link).press().press(**ANSWERS)
    take(steps.lock, sent.person.id)
    take(steps.unlock, sent.person.id)
    database.execute("UPDATE campaign SET checks_stopped_at = now()")
    browser.press(**ANSWERS)
    assert (browser.path, browser.title) == ("/p", "ただいま確認を受け付けていません | みどり信販")
    assert browser.page.status_code == 503
    assert "03-1234-5678" in browser.text
    assert "<form" not in browser.text
    assert state(sent) == ("opened", 0)
    take(steps.view, sent.person.id)
    assert reader.open("/p").title == "お支払いのご案内 | みどり信販"  # who proved it before goes on reading


# --- /verify ---


@pytest.fixture
def sending(app: Flask, database: psycopg.Connection) -> None:
    with app.app_context():
        account = factories.sms_account(factories.tenant())
        for carrier in ("docomo", "au"):
            factories.sender_number(account, "0120000101", carrier=carrier)
        factories.sender_number(account, "243056", carrier="softbank")
    database.execute("UPDATE tenant SET verifiable = true")


def test_a_sender_is_confirmed_with_what_to_look_for(sending: None, browser: Browser) -> None:
    browser.open("/verify").press(company="みどり信販", number="0120000101")
    assert browser.title == "この会社の送信元です"
    assert "みどり信販は、この番号からSMSをお送りしています" in browser.text
    assert "https://todoke.example/ で始まります" in browser.text
    shown = browser.text.partition("次の番号から届きます。")[2].partition("</dl>")[0]
    assert re.findall(r"<dt>(.+?)</dt><dd>(.+?)</dd>", shown) == [
        ("ドコモ", "0120000101"),
        ("au", "0120000101"),
        ("ソフトバンク", "243056"),
    ]
    assert "03-1234-5678" in browser.text
    check_headers(browser.page.headers)


def test_each_carrier_is_named_once_however_many_numbers_it_has(
    sending: None, app: Flask, database: psycopg.Connection, browser: Browser
) -> None:
    (account,) = database.execute("SELECT id FROM sms_account").fetchone() or (0,)
    with app.app_context():
        for number in ("0005123456", "0005654321"):
            factories.sender_number(account, number)
    browser.open("/verify").press(company="みどり信販", number="0005654321")
    shown = browser.text.partition("次の番号から届きます。")[2].partition("</dl>")[0]
    assert "<dt>どの携帯会社でも</dt><dd>0005123456</dd><dd>0005654321</dd>" in shown
    assert len(re.findall("<dt>", shown)) == len(set(re.findall("<dt>(.+?)</dt>", shown)))


def test_another_number_is_not_confirmed_and_says_whom_to_ask(sending: None, browser: Browser) -> None:
    browser.open("/verify").press(company="みどり信販", number="0120000102")
    assert (browser.page.status_code, browser.title) == (200, "この会社の送信元とは確認できませんでした")
    assert "公式サイトなどに載っている電話番号" in browser.text
    assert "03-1234-5678" not in browser.text
    assert "243056" not in browser.text  # numbers are listed to nobody who knows none of them


def test_what_is_not_confirmed_tells_nothing_of_who_has_which_number(
    sending: None, app: Flask, database: psycopg.Connection
) -> None:
    with app.app_context():
        silent = factories.tenant("だまり商事")  # agreed to no such question
        factories.sender_number(factories.sms_account(silent), "0120000109", carrier="docomo")
    asked = [
        ("みどり信販", "0120000102"),  # the company is one of ours, the number nobody's
        ("みどり信販", "0120000109"),  # and somebody else's
        ("だまり商事", "0120000109"),
        ("ない会社だ", "0120000101"),
        ("みどり信販'--", "0120000101"),
    ]
    pages = set()
    for company, number in asked:
        answer = app.test_client().post("/verify", data={"company": company, "number": number})
        page = html.unescape(answer.text).replace(f'value="{company}"', "").replace(f'value="{number}"', "")
        pages.add((answer.status_code, tuple(h for h in answer.headers if h[0] != "Content-Length"), page))
    assert len(pages) == 1


def test_half_a_question_is_asked_again(sending: None, browser: Browser) -> None:
    browser.open("/verify").press(company="", number="0120000101")
    assert (browser.page.status_code, browser.title) == (422, "エラー：SMSの送信元を確かめる")
    assert 'value="0120000101"' in browser.text


def test_asking_is_slowed_down(sending: None, app: Flask) -> None:
    client = app.test_client()
    answers = [client.post("/verify", data={"company": "x", "number": "1"}).status_code for _ in range(21)]
    assert answers == [200] * 20 + [429]
    assert client.get("/verify").status_code == 200


# --- security.txt ---


def test_security_txt_names_whom_to_tell(app: Flask, tuned: Callable[..., None], time_machine) -> None:
    time_machine.move_to("2026-11-24T01:02:03Z")
    tuned(security_contact="mailto:security@todoke.example", security_policy="https://todoke.example/policy")
    answer = app.test_client().get("/.well-known/security.txt")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.text.splitlines() == [
        "Contact: mailto:security@todoke.example",
        "Expires: 2027-05-23T00:00:00Z",
        "Preferred-Languages: ja, en",
        "Canonical: http://localhost/.well-known/security.txt",
        "Policy: https://todoke.example/policy",
    ]


def test_without_a_contact_there_is_no_security_txt(app: Flask) -> None:
    assert app.test_client().get("/.well-known/security.txt").status_code == 404


def test_verify_leads_to_security_txt_where_there_is_one(app: Flask, tuned: Callable[..., None]) -> None:
    assert "security.txt" not in app.test_client().get("/verify").text
    tuned(security_contact="mailto:security@todoke.example")
    assert 'href="/.well-known/security.txt"' in app.test_client().get("/verify").text
