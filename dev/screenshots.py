"""`make screenshots`: the pictures of the README and of the clerks' guide, taken from a product started for them.

In: the demo's own data. Out: docs/images/back-office.png, phone-page.png, and guide-*.png of a clerk's day. The
pictures are taken on the way a clerk and a person really go; a step that has changed fails here.
"""

import re
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from dev import clerks_day
from dev.browser import DESK, PHONE, chromium, sign_in
from dev.process import DevError
from dev.stack import ROOT, Stack, remove

PICTURES = ROOT / "docs" / "images"

_WAIT_MS = 60_000
_PERSON = {"number_ends": "90001001", "birth": "1980/01/02", "postcode": "100-0001"}  # the first one of the demo's list


def main() -> int:
    """Take the pictures."""
    folder = Path(tempfile.mkdtemp(prefix="todoke-pictures-"))
    PICTURES.mkdir(parents=True, exist_ok=True)
    try:
        with Stack(folder, durable=False) as stack, chromium() as browser:
            campaign = _back_office(browser, stack)
            _phone(browser, stack)
            _picture(campaign, "back-office")
            clerks_day.spend(browser, stack, _picture)
    except DevError as fault:
        print(fault, file=sys.stderr)
        return 1
    finally:
        remove(folder)
    return 0


def _back_office(browser: Browser, stack: Stack) -> Page:
    """Log in as the clerk, send the demo's campaign, which was checked by itself, and stay on its figures."""
    clerk = next(account for account in stack.accounts if account["role"] == "clerk")
    page = browser.new_context(viewport=DESK, locale="ja-JP", timezone_id="Asia/Tokyo").new_page()
    page.set_default_timeout(_WAIT_MS)
    sign_in(page, stack.web_url, clerk)
    page.goto(f"{stack.web_url}/admin/campaign/1/check/")
    page.get_by_role("link", name=re.compile("送信へ進む")).click()
    page.get_by_role("button", name=re.compile("件を送信")).click()
    expect(page).to_have_url(re.compile("/status/"))
    return page


def _phone(browser: Browser, stack: Stack) -> None:
    """Open the SMS on the stand-in phone, tap its link, fill in the answers."""
    phone = browser.new_context(
        viewport=PHONE, device_scale_factor=2, is_mobile=True, has_touch=True, locale="ja-JP", timezone_id="Asia/Tokyo"
    ).new_page()
    phone.set_default_timeout(_WAIT_MS)
    number = phone.locator(f"a[href$='{_PERSON['number_ends']}']")
    phone.goto(f"{stack.sandbox_url}/phone")
    deadline = time.monotonic() + _WAIT_MS / 1000
    while not number.count():
        if time.monotonic() > deadline:
            raise DevError("the SMS did not reach the stand-in phone")
        time.sleep(0.5)
        phone.reload()
    number.click()
    phone.locator(f"a[href^='{stack.web_url}']").first.click()
    phone.locator("main form button").click()
    phone.get_by_text("西暦", exact=True).click()
    for part, value in zip(("year", "month", "day"), _PERSON["birth"].split("/"), strict=True):
        phone.locator(f"[name=q1_{part}]").fill(value)
    phone.get_by_label("郵便番号").fill(_PERSON["postcode"])
    _picture(phone, "phone-page")


def _picture(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=PICTURES / f"{name}.png", animations="disabled", caret="hide")


if __name__ == "__main__":
    sys.exit(main())
