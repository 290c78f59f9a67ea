"""A clerk's day in a browser, on a running product: the browser run goes this way, and the guide's pictures are of it.

In: a stack with the demo's data, and what to do at each place that the guide shows. Out: the campaign's id and its
status file. A step that has changed fails here.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from dev.browser import DESK, sign_in
from dev.process import DevError
from dev.stack import Stack

_WAIT_MS = 60_000
PEOPLE = 40
_HEAD = "管理番号,携帯電話番号,氏名,商品名,証券番号,生年月日,郵便番号,請求金額,支払期限\r\n"
_NAMES = ("田中 一郎", "鈴木 陽子", "佐々木 翼", "高橋 美咲", "伊藤 健一")
# mistakes of a hasty hand: a number at home, a day that isn't, no amount
_WRONG = {3: ("phone", "03-1234-5678"), 11: ("birth", "1980/13/45"), 27: ("amount", "")}
CALLER = "080-7301-4019"  # the 20th of the list

Show = Callable[[Page, str], None]


@dataclass(frozen=True, slots=True)
class Day:
    """The result."""

    campaign_id: int
    status_file: bytes
    complaints: list[str]


def list_of(*, wrong: bool, only: frozenset[int] | None = None) -> bytes:
    """Return the clerk's list as Excel saves it; `only` narrows it to some of its rows, counted from 1."""
    rows = []
    for number in range(1, PEOPLE + 1):
        if only is not None and number not in only:
            continue
        born = f"1980/{number % 12 + 1}/{number % 28 + 1}"
        cells = {"phone": f"080-7301-{3999 + number}", "birth": born, "amount": "26,000"}
        if wrong and number in _WRONG:
            cells |= [_WRONG[number]]
        rows.append(
            f"H{number:05d},{cells['phone']},{_NAMES[number % len(_NAMES)]},家族安心プラン,7{number:07d},"
            f'{cells["birth"]},100-{number:04d},"{cells["amount"]}",2026/12/25\r\n'
        )
    return (_HEAD + "".join(rows)).encode("cp932")


def spend(browser: Browser, stack: Stack, show: Show) -> Day:
    """Go through the day; `show` is called at each place of the guide with the page and the picture's name."""
    complaints: list[str] = []
    operator = _sign_in(browser, stack, "operator", complaints)
    _limit(operator, stack)
    operator.context.close()
    page = _sign_in(browser, stack, "clerk", complaints)
    context = page.context
    try:
        campaign_id = _write(page, show)
        _bring_list(page, show)
        _ask(page, show)
        manager = _sign_in(browser, stack, "manager", complaints)
        _approve(manager, show)
        _see_senders(manager, stack, show)
        manager.context.close()
        page.goto(f"{stack.web_url}/admin/campaign/{campaign_id}/status/")
        _watch(page, stack, campaign_id, show)
        _look_up(page, show)
        content = _export(page, stack, campaign_id, show)
    finally:
        context.close()
    # an upload that is refused answers 422, which Chromium tells on the console
    return Day(campaign_id, content, [text for text in complaints if "status of 422" not in text])


def _sign_in(browser: Browser, stack: Stack, role: str, complaints: list[str]) -> Page:
    """Return the first one of a role a browser of their own."""
    account = next(account for account in stack.accounts if account["role"] == role)
    page = browser.new_context(viewport=DESK, locale="ja-JP", timezone_id="Asia/Tokyo").new_page()
    page.set_default_timeout(_WAIT_MS)
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    sign_in(page, stack.web_url, account)
    expect(page.get_by_role("heading", name="ホーム")).to_be_visible()
    return page


def _limit(page: Page, stack: Stack) -> None:
    """Let the company's larger campaigns need a second person."""
    page.goto(f"{stack.web_url}/admin/tenant/edit/?id=1")
    page.locator("#approval_above").fill(str(PEOPLE - 1))
    page.get_by_role("button", name="保存する").click()
    expect(page.get_by_text("保存しました").first).to_be_visible()


def _approve(page: Page, show: Show) -> None:
    """Find the request on the home page, look at what was checked, approve it."""
    page.get_by_role("link", name="内容を見て承認する").click()
    approve = page.get_by_role("button", name=f"{PEOPLE}件の送信を承認する")
    expect(approve).to_be_visible()
    show(page, "guide-approval")
    approve.click()
    expect(page.get_by_text("承認しました").first).to_be_visible()


def _see_senders(page: Page, stack: Stack, show: Show) -> None:
    """Look at what stands as sender with each carrier."""
    page.goto(f"{stack.web_url}/admin/sender_number/")
    expect(page.get_by_role("cell", name="申請中", exact=True)).to_be_visible()
    show(page, "guide-senders")


def _write(page: Page, show: Show) -> int:
    """Start with the starter for first premiums, give it a name, save."""
    expect(page.get_by_role("heading", name="ホーム")).to_be_visible()
    show(page, "guide-home")
    page.get_by_role("link", name="新しい配信をつくる").first.click()
    expect(page.get_by_role("heading", name="ひな形から始める")).to_be_visible()
    show(page, "guide-start")
    page.get_by_role("link", name=re.compile("これで始める.*初回保険料")).click()
    page.get_by_label(re.compile("^配信名")).fill("初回保険料のご案内（1月契約分）")
    show(page, "guide-write")
    page.get_by_role("button", name="保存する").click()
    expect(page.get_by_role("heading", name="次にすること")).to_be_visible()
    show(page, "guide-steps")
    found = re.search(r"/admin/campaign/(\d+)/", page.url)
    if found is None:
        raise DevError(f"the campaign was not saved: {page.url}")
    return int(found[1])


def _bring_list(page: Page, show: Show) -> None:
    """Take the wrong file, then one with mistakes, then the mended rows."""
    page.get_by_role("link", name="名簿を取り込む").first.click()
    _upload(page, "写真.csv", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8)
    expect(page.get_by_text("取り込めませんでした").first).to_be_visible()
    _upload(page, "1月契約分.csv", list_of(wrong=True))
    page.get_by_role("button", name="この列で取り込む").wait_for()
    show(page, "guide-columns")
    page.get_by_role("button", name="この列で取り込む").click()
    expect(page.get_by_text(f"{PEOPLE - len(_WRONG)}件").first).to_be_visible()
    expect(page.get_by_text(f"{len(_WRONG)}行").first).to_be_visible()
    show(page, "guide-errors")
    # the columns are known from the first file: it is taken at once
    _upload(page, "1月契約分_修正.csv", list_of(wrong=False, only=frozenset(_WRONG)))
    expect(page.get_by_text(f"{len(_WRONG)}件").first).to_be_visible()


def _upload(page: Page, name: str, content: bytes) -> None:
    page.locator("input[type=file]").first.set_input_files({"name": name, "mimeType": "text/csv", "buffer": content})
    page.locator("form:has(input[type=file]) button[type=submit]").first.click()


def _ask(page: Page, show: Show) -> None:
    """Look at the check, which began by itself; ask for approval."""
    page.get_by_role("navigation", name="配信の手順").get_by_role("link", name=re.compile("確認")).click()
    expect(page.get_by_role("link", name=f"{PEOPLE}件の送信へ進む")).to_be_visible()
    show(page, "guide-check")
    page.get_by_role("link", name=f"{PEOPLE}件の送信へ進む").click()
    ask = page.get_by_role("button", name=f"{PEOPLE}件の承認を依頼")
    expect(ask).to_be_visible()
    show(page, "guide-send")
    ask.click()
    expect(page.get_by_text("承認待ち").first).to_be_visible()


def _watch(page: Page, stack: Stack, campaign_id: int, show: Show) -> None:
    """Watch the figures change by themselves until everybody's SMS has arrived."""
    arrived = page.locator("[data-live-text='box.delivered']")
    expect(arrived).to_have_text(str(PEOPLE), timeout=_WAIT_MS)
    expect(page.locator("[data-live-text=state]")).to_have_text("完了", timeout=_WAIT_MS)
    page.goto(f"{stack.web_url}/admin/campaign/{campaign_id}/status/")
    show(page, "guide-status")


def _look_up(page: Page, show: Show) -> None:
    """Find the one who calls by the number the telephone shows."""
    page.get_by_role("navigation", name="メインメニュー").get_by_role("link", name="送信先").click()
    page.locator("#search").fill(CALLER)
    page.locator("#search").press("Enter")
    found = page.get_by_role("link", name="H00020")
    expect(found).to_have_count(1)
    found.click()
    expect(page.get_by_role("heading", name="送信先 H00020")).to_be_visible()
    show(page, "guide-person")


def _export(page: Page, stack: Stack, campaign_id: int, show: Show) -> bytes:
    """Take the status file, for Excel."""
    page.goto(f"{stack.web_url}/admin/campaign/{campaign_id}/result/")
    show(page, "guide-result")
    deadline = time.monotonic() + _WAIT_MS / 1000
    with page.expect_download(timeout=_WAIT_MS) as download:
        page.locator("button[value=cp932], form:has(input[value=cp932]) button").first.click()
    if time.monotonic() > deadline:
        raise DevError("the status file came late")
    return Path(download.value.path()).read_bytes()
