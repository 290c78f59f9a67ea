"""Each payment provider's page on a phone: the card is declined, then paid; a slip is ordered and paid later."""

import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from werkzeug.serving import make_server

from app.providers.payments import PROVIDERS
from dev.browser import PHONE
from sandbox.harness import Sandbox
from tests.payments.stand import TRAITS, Stand, make_stand
from tests.providers.rawserver import RawServer

pytestmark = pytest.mark.e2e

_WAIT_MS = 20_000
TEST = "テスト決済：お金は動きません。"
StandAt = Callable[[str], Stand]


@pytest.fixture
def stand_at(app: Flask, database: psycopg.Connection, shops: Sandbox, listener: RawServer) -> StandAt:
    """Send somebody to a payment provider by its name."""
    return lambda provider: make_stand(provider, app, database, shops, listener)


@pytest.fixture
def web(app: Flask) -> Iterator[str]:
    """The product's own pages, at a free port."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(
        viewport=PHONE, device_scale_factor=2, is_mobile=True, has_touch=True, locale="ja-JP", timezone_id="Asia/Tokyo"
    )
    page = context.new_page()
    page.set_default_timeout(_WAIT_MS)
    yield page
    context.close()


def to_the_provider(phone: Page, web: str, stand: Stand) -> None:
    """From the link in the SMS to the payment provider's page; each page says that this contract is for tests."""
    phone.goto(f"{web}/{stand.person.token}")
    expect(phone.get_by_text(TEST)).to_be_visible()
    phone.locator("main form button").click()
    expect(phone.get_by_text(TEST)).to_be_visible()
    phone.get_by_text("西暦", exact=True).click()
    for part, value in (("year", "1980"), ("month", "1"), ("day", "2")):
        phone.locator(f"[name=q1_{part}]").fill(value)
    phone.locator("[name=q2]").fill("0123")
    phone.locator("main form button[type=submit]").click()
    phone.get_by_role("button", name="支払いに進む").click()
    expect(phone.get_by_text("¥12,000").first).to_be_visible()
    assert phone.url.startswith(stand.sandbox.url)
    fits(phone)


def fits(phone: Page) -> None:
    """Nothing is wider than the phone."""
    assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def receipt(phone: Page, stand: Stand) -> None:
    """When it was paid, how much, and under which number."""
    expect(phone.get_by_role("heading", name="お支払いが完了しました")).to_be_visible()
    shown = dict(zip(*(phone.locator(f"dl.facts {part}").all_inner_texts() for part in ("dt", "dd")), strict=True))
    assert shown["お支払い金額"] == "12,000円"
    assert re.fullmatch(r"20\d\d年\d+月\d+日.*\d+時\d\d分", shown["お支払い日時"])
    assert shown["受付番号"] == stand.payment()["reference"]
    expect(phone.get_by_text(TEST)).to_be_visible()
    fits(phone)


def shot(phone: Page, name: str) -> None:
    """Keep a picture where one is asked for (TODOKE_SHOTS)."""
    if folder := os.environ.get("TODOKE_SHOTS"):
        phone.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def choose(phone: Page, choice: str) -> None:
    phone.locator(f"button[name=choice][value={choice}]").click()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_declined_then_paid(provider: str, stand_at: StandAt, web: str, phone: Page) -> None:
    stand = stand_at(provider)
    to_the_provider(phone, web, stand)
    choose(phone, "declined")
    expect(phone.get_by_role("alert")).to_be_visible()
    fits(phone)
    site = phone.url
    # away for a moment: our page says where things stand, and leads on to the same page of the provider
    phone.goto(f"{web}/p")
    expect(phone.get_by_text("お支払いの手続きが途中です")).to_be_visible()
    fits(phone)
    shot(phone, f"{provider}-started")
    phone.get_by_role("button", name="支払いを続ける").click()
    expect(phone.get_by_text("¥12,000").first).to_be_visible()
    assert phone.url == site
    choose(phone, TRAITS[provider].at_once)
    phone.wait_for_url(re.compile(f"^{web}/p/return"))
    receipt(phone, stand)
    shot(phone, f"{provider}-paid")
    assert stand.state() == "paid"
    # until the link lapses it shows the receipt, and no way to pay again; the back button leads to no second charge
    phone.goto(f"{web}/{stand.person.token}")
    phone.locator("main form button").click()
    receipt(phone, stand)
    expect(phone.get_by_role("button", name=re.compile("支払"))).to_have_count(0)
    phone.goto(site)
    expect(phone.locator("button[name=choice]")).to_have_count(0)
    assert [one["state"] for one in stand.at_provider()] == ["paid"]


@pytest.mark.parametrize("provider", [name for name, traits in TRAITS.items() if traits.later])
def test_ordered_then_paid_later(provider: str, stand_at: StandAt, web: str, phone: Page) -> None:
    stand = stand_at(provider)
    to_the_provider(phone, web, stand)
    choose(phone, str(TRAITS[provider].later))
    stand.come_back()
    phone.goto(f"{web}/p/return")
    expect(phone.get_by_role("heading", name="ご入金をお待ちしています")).to_be_visible()
    expect(phone.get_by_text("お支払いの締め切り")).to_be_visible()
    expect(phone.get_by_role("button", name=re.compile("支払"))).to_have_count(0)
    fits(phone)
    shot(phone, f"{provider}-pending")
    if provider == "stripe":  # the one that tells where its slip is
        phone.get_by_role("link", name="払込番号とお支払い方法を見る").click()
        assert phone.url.endswith("/slip")
    stand.settle("paid")
    stand.come_back()
    phone.goto(f"{web}/p/return")
    receipt(phone, stand)
    assert stand.state() == "paid"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_page_whose_time_is_over_leads_on(
    provider: str, stand_at: StandAt, database: psycopg.Connection, web: str, phone: Page
) -> None:
    """Whoever comes too late finds a new page at the next press, and pays once."""
    stand = stand_at(provider)
    to_the_provider(phone, web, stand)
    first = phone.url
    phone.goto(f"{web}/p")
    # after the page has asked the provider, which knows better
    expect(phone.get_by_role("button", name="支払いを続ける")).to_be_visible()
    database.execute("UPDATE payment SET expires_at = now() - interval '1 minute'")
    phone.get_by_role("button", name="支払いを続ける").click()
    expect(phone.get_by_text("¥12,000").first).to_be_visible()
    assert phone.url != first
    choose(phone, TRAITS[provider].at_once)
    phone.wait_for_url(re.compile(f"^{web}/p/return"))
    expect(phone.get_by_role("heading", name="お支払いが完了しました")).to_be_visible()
    assert [one["state"] for one in stand.at_provider()].count("paid") == 1
