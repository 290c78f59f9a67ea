"""Every page of the back office in a browser: axe-core finds nothing, the console stays silent, nothing runs over.

The pages come from the application of this process, with its real headers; what is on them from `tests.admin_views`.
"""

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, Dialog, Page, expect
from werkzeug.serving import make_server

from app.auth.staff import Role
from dev.browser import DESK
from tests.admin_views.conftest import browser_of, operator  # noqa: F401 - fixtures
from tests.admin_views.estate import Estate, empty, furnish_all
from tests.admin_views.tour import ROLES, tour

pytestmark = pytest.mark.e2e

TABLET = {"width": 768, "height": 1024}
_WAIT_MS = 20_000
# where pictures of every page go, for whoever wants to look at them
_PICTURES = os.environ.get("OFFICE_PICTURES", "")

Company = Callable[[Flask, psycopg.Connection], Estate]
Enter = Callable[[Company, Role], "tuple[Estate, Visitor]"]


@pytest.fixture
def served(app: Flask) -> Iterator[str]:
    """Serve the application; give its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Visitor:
    """Somebody at the back office who sees and hears everything that is wrong with a page."""

    def __init__(self, browser: Browser, base: str, cookies: dict[str, str]) -> None:
        self.context = browser.new_context(viewport=DESK, locale="ja-JP", timezone_id="Asia/Tokyo")
        for name, value in cookies.items():
            self.context.add_cookies([{"name": name, "value": value, "url": base}])
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(_WAIT_MS)
        self.base = base
        self.said: list[str] = []
        self.faults: dict[str, list[str]] = {}
        self.seen = 0
        self.page.on("console", lambda message: self.said.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))

    def look(self, url: str) -> None:
        """Open a page and look at it at both widths."""
        self.said.clear()
        answer = self.page.goto(f"{self.base}{url}")
        assert answer is not None
        if "text/html" in answer.headers.get("content-type", "") and not answer.request.redirected_from:
            # Chromium itself says on the console that a page answered 403 or 404
            if answer.status >= 400:
                self.said = [text for text in self.said if not text.startswith("Failed to load resource")]
            self.judge(url)

    def judge(self, name: str) -> None:
        """Look at the page that is open."""
        found = [f"console: {text}" for text in self.said]
        found += [
            f"{violation['id']}: {node['html'][:200]}"
            for violation in Axe().run(self.page).response["violations"]
            for node in violation["nodes"]
        ]
        for size in (TABLET, DESK):
            self.page.set_viewport_size(size)  # type: ignore[arg-type]
            if self.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                found.append(f"runs over at {size['width']} px")
            if _PICTURES:
                place = Path(_PICTURES) / f"{size['width']}{name.replace('/', '_').replace('?', '+')}.png"
                self.page.screenshot(path=place, full_page=True)
        if found:
            self.faults[name] = found
        self.seen += 1

    def fill_in_nothing(self, url: str) -> None:
        """Send a form as it stands, past the browser's own checks, and look at what comes back."""
        self.said.clear()
        self.page.goto(f"{self.base}{url}")
        with self.page.expect_navigation():
            self.page.evaluate(
                "HTMLFormElement.prototype.submit.call(document.querySelector('main form[method=post]'))"
            )
        self.judge(f"{url}!")


@pytest.fixture
def enter(
    app: Flask,
    database: psycopg.Connection,
    browser_of: Callable[[int], Any],  # noqa: F811 - a fixture
    operator: int,  # noqa: F811 - a fixture
    browser: Browser,
    served: str,
) -> Iterator[Enter]:
    """Furnish a company and let somebody of a role in; the visit is over with the test."""
    visitors: list[Visitor] = []

    def let_in(company: Company, role: Role) -> tuple[Estate, Visitor]:
        estate = company(app, database)
        user = {"operator": operator, "manager": estate.manager, "clerk": estate.clerk}[role]
        cookies = browser_of(user).client._cookies.values()
        visitors.append(Visitor(browser, served, {cookie.key: cookie.value for cookie in cookies}))
        return estate, visitors[-1]

    yield let_in
    for visitor in visitors:
        visitor.context.close()


def _report(faults: dict[str, list[str]]) -> str:
    return json.dumps(faults, ensure_ascii=False, indent=1)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("company", [empty, furnish_all], ids=["empty", "full"])
def test_every_view_is_fit_for_everybody(app: Flask, enter: Enter, role: Role, company: Company) -> None:
    estate, visitor = enter(company, role)
    for _, url in tour(app, estate, role, filters=False):
        visitor.look(url)
    for url in ("/admin/nothing", "/admin/campaign/999999999/"):
        visitor.look(url)
    for endpoint, url in tour(app, estate, role, filters=False):
        if endpoint.endswith(".create_view") or endpoint == "password.index":
            visitor.fill_in_nothing(url)
    assert visitor.seen > (10 if role is Role.OPERATOR or company is empty else 80)
    assert visitor.faults == {}, _report(visitor.faults)


def test_a_visitor_would_see_it(browser: Browser) -> None:
    """What the test above rests on: bad pages are told as bad."""
    visitor = Visitor(browser, "http://127.0.0.1", {})
    visitor.page.set_content("<main><h1>名簿</h1><input><p class=wide>x</p></main>")
    visitor.page.evaluate("document.querySelector('.wide').style.width = '3000px'; console.error('no')")
    visitor.judge("bad")
    visitor.context.close()
    text = _report(visitor.faults)
    assert all(word in text for word in ("html-has-lang", "label", "console: no", "runs over at 768 px"))


def test_the_menu_is_one_line_whose_group_opens_by_keyboard(enter: Enter, served: str) -> None:
    _, visitor = enter(empty, Role.MANAGER)
    page = visitor.page
    page.goto(f"{served}/admin/")
    menu = page.get_by_role("navigation", name="メインメニュー")
    group = menu.locator("summary")
    for size in (TABLET, DESK):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        line = [menu.get_by_role("link", name=name, exact=True) for name in ("ホーム", "配信", "支払い", "ファイル")]
        tops = {box["y"] for box in (place.bounding_box() for place in [*line, group]) if box}
        assert len(tops) == 1, f"more than one line at {size['width']} px"
        visitor.judge(f"closed at {size['width']}")
    users = menu.get_by_role("link", name="利用者", exact=True)
    expect(users).to_be_hidden()
    group.focus()
    page.keyboard.press("Enter")
    expect(users).to_be_visible()
    visitor.judge("open")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "レイアウト"
    users.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="利用者")).to_be_visible()
    expect(users).to_be_visible()
    expect(users).to_have_attribute("aria-current", "page")
    assert visitor.faults == {}, _report(visitor.faults)


def test_a_dismissed_confirmation_leaves_everything_as_it_is(
    enter: Enter, database: psycopg.Connection, served: str
) -> None:
    estate, visitor = enter(furnish_all, Role.CLERK)
    page = visitor.page
    state = "SELECT state FROM import WHERE id = %s"
    running = database.execute("SELECT campaign_id, id FROM import WHERE state = 'running'").fetchone()
    assert running
    asked: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.once("dialog", dismiss)
    page.goto(f"{served}/admin/campaign/{running[0]}/list/{running[1]}/")
    page.get_by_role("button", name="取り込みを中止する").click()
    page.wait_for_timeout(500)
    assert "中止します" in asked[0]
    assert database.execute(state, [running[1]]).fetchone() == ("running",)
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="取り込みを中止する").click()
    page.get_by_text("取り込みを中止しました").wait_for()
    assert database.execute(state, [running[1]]).fetchone() == ("cancelled",)

    # what weighs more is asked on a page of its own; going back is no answer
    for act, state_before in (("cancel", "sending"), ("resume", "paused")):
        campaign = estate.campaigns[state_before]
        page.goto(f"{served}/admin/campaign/{campaign}/{act}")
        page.get_by_role("link", name="やめて戻る").click()
        assert database.execute("SELECT state FROM campaign WHERE id = %s", [campaign]).fetchone() == (state_before,)
    done, upload = estate.lists[0]
    page.goto(f"{served}/admin/campaign/{done}/list/{upload}/discard")
    page.get_by_role("link", name="やめて戻る").click()
    assert database.execute(state, [upload]).fetchone() == ("done",)
    assert visitor.said == []
