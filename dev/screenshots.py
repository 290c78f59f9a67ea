"""`make screenshots`: the pictures of the README and of the clerks' guide, taken from a product started for them.

In: the demo's own data. Out: docs/images/back-office.png, phone-page.png, and guide-*.png of a clerk's day. The
pictures are taken on the way a clerk and a person really go; a step that has changed fails here.
"""

import re
import sys
import tempfile
import time
from pathlib import Path

import psycopg
from playwright.sync_api import Browser, Page, expect

from dev import clerks_day
from dev.browser import DESK, PHONE, chromium, sign_in
from dev.process import DevError
from dev.servers import plain_url
from dev.stack import ROOT, Stack, remove

PICTURES = ROOT / "docs" / "images"

_WAIT_MS = 60_000
_PERSON = {"number_ends": "90001001", "birth": "1980/01/02", "postcode": "100-0001"}  # the first one of the demo's list
# 48 attempts a day at the first person, to four carriers: one in twelve doesn't arrive, three days ago one in six
_MONTH = """
    INSERT INTO send_log (tenant_id, campaign_id, recipient_id, sms_account_id, attempt, fence, state, code, carrier,
        started_at, settled_at)
    SELECT r.tenant_id, r.campaign_id, r.id, c.sms_account_id, 1000 + 100 * ago + n, 1, made.state,
        CASE WHEN made.state = 'delivered' THEN '' WHEN n % 3 = 0 THEN 'error' ELSE 'unconnected' END,
        (ARRAY['docomo', 'docomo', 'au', 'softbank', 'rakuten'])[1 + n % 5], at, at + make_interval(secs => 3 + n % 19)
    FROM (SELECT * FROM recipient ORDER BY id LIMIT 1) r JOIN campaign c ON c.id = r.campaign_id,
        generate_series(1, 29) ago, generate_series(1, 48) n,
        LATERAL (SELECT now() - ago * interval '1 day' AS at,
            CASE WHEN n % (CASE WHEN ago = 3 THEN 6 ELSE 11 + ago % 3 END) = 0 THEN 'undelivered' ELSE 'delivered' END
            AS state) made
"""


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
            _quality(browser, stack)
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


def _quality(browser: Browser, stack: Stack) -> None:
    """Make a month of attempts of an account, as if the demo had run for so long, and look at how they arrived."""
    with psycopg.connect(plain_url(stack.env["DATABASE_OWNER_URL"]), autocommit=True) as owner:
        owner.execute("SELECT set_config('app.platform', 'on', false)")
        owner.execute(_MONTH)
    manager = next(account for account in stack.accounts if account["role"] == "manager")
    page = browser.new_context(viewport=DESK, locale="ja-JP", timezone_id="Asia/Tokyo").new_page()
    page.set_default_timeout(_WAIT_MS)
    sign_in(page, stack.web_url, manager)
    page.goto(f"{stack.web_url}/admin/sms_account/")
    page.locator("a[href*='/admin/sms_account/edit/']").first.click()
    page.locator("#quality").scroll_into_view_if_needed()
    page.evaluate("document.querySelector('#quality').closest('section').scrollIntoView()")
    _picture(page, "guide-quality")


def _picture(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=PICTURES / f"{name}.png", animations="disabled", caret="hide")


if __name__ == "__main__":
    sys.exit(main())
