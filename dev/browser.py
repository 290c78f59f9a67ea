"""Chromium as Debian packs it, driven by Playwright: for the browser run and the pictures."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from dev.process import DevError

PHONE: ViewportSize = {"width": 390, "height": 844}
DESK: ViewportSize = {"width": 1280, "height": 860}
_EXPECT_MS = 30_000  # how long what should be seen may take on a busy machine


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a headless Chromium. Raises DevError when none is installed."""
    program = shutil.which("chromium")
    if program is None:
        raise DevError("Chromium is missing. On Debian: apt-get install chromium fonts-noto-cjk")
    expect.set_options(timeout=_EXPECT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        try:
            yield browser
        finally:
            browser.close()


def sign_in(page: Page, web_url: str, account: Mapping[str, str]) -> None:
    """Sign in to the back office as one of a stack's accounts."""
    page.goto(f"{web_url}/admin/login")
    for name in ("tenant_code", "email", "password"):
        page.locator(f"#{name}").fill(account[name])
    page.get_by_role("button", name="サインイン").click()
