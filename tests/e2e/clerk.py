"""A clerk at the back office of a running stack, and what the stack's carrier says."""

import csv
import io
import json
import re
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect

from dev.browser import DESK, sign_in
from dev.stack import Stack

PEOPLE = 500
WAIT_MS = 30_000


class Office:
    """A clerk at the back office."""

    def __init__(self, browser: Browser, stack: Stack, code: str) -> None:
        account = next(a for a in stack.accounts if a["tenant_code"] == code and a["role"] == "clerk")
        self.stack = stack
        self.page = browser.new_context(viewport=DESK, locale="ja-JP", timezone_id="Asia/Tokyo").new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.complaints: list[str] = []
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        sign_in(self.page, stack.web_url, account)
        expect(self.page.get_by_role("navigation").first).to_be_visible()

    def _listen(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def write(self, name: str, *, payment: bool) -> int:
        """Write a campaign with two questions; return its id."""
        page = self.page
        page.goto(f"{self.stack.web_url}/admin/campaign/new/")
        page.locator("[name=name]").fill(name)
        page.locator("[name=sms_text]").fill("【{会社名}】{氏名}様 お知らせです {リンク}")
        page.locator("[name=page_title]").fill("お支払いのお願い")
        page.locator("[name=page_text]").fill("{氏名} 様\n{請求金額}円のお支払いが確認できておりません。")
        for n, (label, kind) in enumerate((("生年月日", "date"), ("契約番号下4桁", "last4"))):
            page.locator(f"[name=questions-{n}-label]").fill(label)
            page.locator(f"[name=questions-{n}-kind]").select_option(kind)
        if payment:
            page.locator("[name=payment_required]").check()
            page.locator("[name=payment_account_id]").select_option(index=1)
        page.locator("form:has([name=sms_text]) [type=submit]:not([aria-hidden], [name])").first.click()
        expect(page).to_have_url(re.compile(r"/admin/campaign/\d+/"))
        found = re.search(r"/admin/campaign/(\d+)/", page.url)
        assert found
        return int(found[1])

    def upload(self, campaign_id: int, content: bytes, people: int = PEOPLE) -> None:
        """Upload a list, take the columns as proposed, wait until it is in."""
        page = self.page
        page.goto(f"{self.stack.web_url}/admin/campaign/{campaign_id}/list/")
        page.locator("input[type=file]").set_input_files(
            {"name": "督促リスト.csv", "mimeType": "text/csv", "buffer": content}
        )
        page.locator("form:has(input[type=file]) button[type=submit]").click()
        page.get_by_role("button", name="この列で取り込む").click()
        expect(page.get_by_text(re.compile(f"{people}件")).first).to_be_visible()

    def send(self, campaign_id: int, people: int = PEOPLE) -> None:
        """Send what was checked by itself after the import."""
        page = self.page
        page.goto(f"{self.stack.web_url}/admin/campaign/{campaign_id}/check/")
        page.get_by_role("link", name=re.compile(f"{people}件の送信へ進む")).click()
        page.get_by_role("button", name=f"{people}件を送信").click()
        expect(page).to_have_url(re.compile("/status/"))

    def status_csv(self, campaign_id: int, encoding: str) -> list[dict[str, str]]:
        """Download the status CSV and read it."""
        page = self.page
        page.goto(f"{self.stack.web_url}/admin/campaign/{campaign_id}/result/")
        with page.expect_download() as download:
            page.locator(f"form:has(input[value='{encoding}']) button, button[value='{encoding}']").first.click()
        content = Path(download.value.path()).read_bytes()
        assert download.value.suggested_filename.endswith(".csv")
        return list(csv.DictReader(io.StringIO(content.decode(encoding), newline="")))


def ask(stack: Stack, path: str) -> Any:
    with urllib.request.urlopen(f"{stack.sandbox_url}{path}", timeout=10) as answer:
        return json.load(answer)


def put(stack: Stack, path: str, value: object, method: str = "PUT") -> None:
    body = json.dumps(value).encode()
    request = urllib.request.Request(
        f"{stack.sandbox_url}{path}", body, {"Content-Type": "application/json"}, method=method
    )
    urllib.request.urlopen(request, timeout=10).close()
