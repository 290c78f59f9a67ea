"""The back office of this process in a browser, and somebody who sees all that is wrong with a page."""

import os
from collections.abc import Callable
from pathlib import Path

import psycopg
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, Page

from app.auth.staff import Role
from dev.browser import DESK
from tests.admin_views.estate import Estate

TABLET = {"width": 768, "height": 1024}
_WAIT_MS = 20_000
# where pictures of every page go, for whoever wants to look at them
_PICTURES = os.environ.get("OFFICE_PICTURES", "")

Company = Callable[[Flask, psycopg.Connection], Estate]
Enter = Callable[[Company, Role], "tuple[Estate, Visitor]"]


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
