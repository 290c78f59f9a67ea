"""The main job in a browser: a list becomes SMS, one person answers, reads and pays, the CSV tells all of it."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Page, expect

from app.campaigns.sms_length import LIMIT, units
from app.demo import WITNESS_PHONE
from app.values.phones import national
from dev.browser import PHONE
from dev.stack import Stack
from tests.e2e.clerk import PEOPLE, WAIT_MS, Office, ask, put
from tests.waiting import until

pytestmark = pytest.mark.e2e

SAMPLE = Path(__file__).parents[2].parent / "shared" / "samples" / "collection.csv"


def collection() -> bytes:
    """Return the sample list, or one of its form where the folder is missing: 500 rows, CP932, CRLF."""
    if SAMPLE.exists():
        return SAMPLE.read_bytes()
    head = "管理番号,電話番号,氏名,請求金額,支払期限,生年月日,契約番号下4桁\r\n"
    forms = ("090-1{0:03d}-{1:04d}", "+81801{0:03d}{1:04d}", "070 1{0:03d} {1:04d}")
    rows = (
        f"K{n:08d},{forms[n % 3].format(n, 1000 + n * 7)},山田 太郎,"
        f"{1000 + n},2026-12-26,1978/09/{n % 28 + 1:02d},{n:04d}\r\n"
        for n in range(1, PEOPLE + 1)
    )
    return (head + "".join(rows)).encode("cp932")


@pytest.fixture(scope="module")
def clerk(browser: Browser, stack: Stack) -> Iterator[Office]:
    office = Office(browser, stack, "midori")
    yield office
    office.page.context.close()


class Sent(NamedTuple):
    """A campaign that was written, uploaded, checked and sent by hand, and what the carrier got of it."""

    campaign_id: int
    messages: list[dict[str, Any]]


@pytest.fixture(scope="module")
def sent(clerk: Office, stack: Stack) -> Sent:
    """Send a campaign from the sample list."""
    before = len(ask(stack, "/_sandbox/messages"))
    campaign_id = clerk.write("12月度 督促", payment=True)
    clerk.upload(campaign_id, collection())
    clerk.send(campaign_id)

    def quiet() -> bool:
        rows = clerk.status_csv(campaign_id, "utf-8-sig")
        return all(row["SMS状態"] in {"受付済", "到達", "不達"} for row in rows)

    until(quiet, "500 SMS at the carrier")
    return Sent(campaign_id, ask(stack, "/_sandbox/messages")[before:])


def test_everyone_gets_one_sms_with_a_link_of_their_own(sent: Sent) -> None:
    messages = sent.messages
    assert len(messages) == PEOPLE
    assert set(Counter(message["to"] for message in messages).values()) == {1}
    links = {re.search(r"https://todoke\.example/\w{16}$", message["body"])[0] for message in messages}  # type: ignore[index]
    assert len(links) == PEOPLE
    assert max(units(message["body"]) for message in messages) <= LIMIT


@pytest.fixture(scope="module")
def payer(clerk: Office, sent: Sent, browser: Browser, stack: Stack) -> dict[str, str]:
    """The list's first person, who answers wrongly, then rightly, reads and pays; as the list knows them."""
    person = next(csv.DictReader(io.StringIO(collection().decode("cp932"))))
    row = clerk.status_csv(sent.campaign_id, "utf-8-sig")[0]
    assert row["管理番号"] == person["管理番号"]
    number = row["送信先電話番号"].replace("-", "")
    context = browser.new_context(
        viewport=PHONE, device_scale_factor=2, is_mobile=True, has_touch=True, locale="ja-JP", timezone_id="Asia/Tokyo"
    )
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(f"{stack.sandbox_url}/phone/{number}")
    page.locator(f"a[href^='{stack.web_url}']").first.click()
    expect(page.get_by_text("みどり損害保険").first).to_be_visible()
    assert person["氏名"] not in page.content()
    page.locator("main form button").click()
    year, month, day = re.findall(r"\d+", person["生年月日"])
    answer(page, (year, month, str(int(day) % 27 + 1)), person["契約番号下4桁"])
    expect(page).to_have_title(re.compile("エラー"))
    expect(page.get_by_text(re.compile("あと.?4")).first).to_be_visible()
    answer(page, (year, month, day), person["契約番号下4桁"])
    expect(page.get_by_text("お支払いが確認できておりません").first).to_be_visible()
    pay(page)
    expect(page.get_by_text("支払済").or_(page.get_by_text("お支払いが完了")).first).to_be_visible()
    context.close()
    return person | {"number": number}


def answer(page: Page, born: tuple[str, str, str], last4: str) -> None:
    page.get_by_text("西暦", exact=True).click()
    for part, value in zip(("year", "month", "day"), born, strict=True):
        page.locator(f"[name=q1_{part}]").fill(value)
    page.locator("[name=q2]").fill(last4)
    page.locator("main form button[type=submit]").click()


def pay(page: Page) -> None:
    page.get_by_role("button", name=re.compile("支払")).click()
    page.get_by_role("button", name=re.compile("カードで支払う")).click()
    page.wait_for_url(re.compile("/p/"))


def test_the_status_csv_tells_all_of_it(clerk: Office, sent: Sent, payer: dict[str, str], stack: Stack) -> None:
    def delivered() -> bool:
        rows = clerk.status_csv(sent.campaign_id, "utf-8-sig")
        return all(row["SMS状態"] in {"到達", "不達"} for row in rows if not row["送信先電話番号"].endswith("0002"))

    until(delivered, "receipts of all")
    for encoding in ("cp932", "utf-8-sig"):
        rows = clerk.status_csv(sent.campaign_id, encoding)
        assert len(rows) == PEOPLE
        row = next(row for row in rows if row["管理番号"] == payer["管理番号"])
        assert row["送信先電話番号"].replace("-", "") == payer["number"]
        assert (row["SMS状態"], row["ページ状態"], row["支払状態"]) == ("到達", "閲覧済", "支払済")
        times = [
            row[f"{step}日時"] for step in ("送信待ち", "送信", "受付", "開封", "認証", "閲覧", "支払手続", "支払")
        ]
        assert all(re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d", at) for at in times)
        assert times == sorted(times)
        assert row["氏名"] == payer["氏名"]
        unpaid = [row for row in rows if row["支払状態"] == "未払い"]
        assert len(unpaid) == PEOPLE - 1
    calls = Counter(entry["call"] for entry in ask(stack, "/_sandbox/ledger?kind=stripe&limit=1000")["entries"])
    assert calls["session_create"] == 1


@pytest.mark.usefixtures("payer")
def test_another_tenants_clerk_sees_none_of_it(browser: Browser, clerk: Office, sent: Sent, stack: Stack) -> None:
    page = clerk.page
    page.goto(f"{stack.web_url}/admin/recipient/")
    detail = page.locator("a[href*='/admin/recipient/details/']").first.get_attribute("href")
    paths = [
        *(
            f"/admin/campaign/{sent.campaign_id}/{step}"
            for step in ("", "list/", "check/", "send/", "status/", "result/", "status.json")
        ),
        f"/admin/campaign/edit/?id={sent.campaign_id}",
        detail or "",
        "/admin/import/",
        "/admin/send_log/",
        "/admin/recipient/",
        "/admin/campaign/",
    ]
    mine = {path: page.request.get(f"{stack.web_url}{path}").text() for path in paths}
    assert any("12月度 督促" in text for text in mine.values())
    other = Office(browser, stack, "aoba")
    for path in paths:
        answered = other.page.request.get(f"{stack.web_url}{path}")
        text = answered.text()
        assert "12月度 督促" not in text, path
        assert "K0000" not in text, path
        assert "督促リスト" not in text, path
        if str(sent.campaign_id) in path or "details" in path:
            assert answered.status == 404 or "/admin/" in answered.url, path
    other.page.context.close()


def test_no_page_of_the_way_complained(clerk: Office, sent: Sent) -> None:
    assert sent
    assert clerk.complaints == []


def test_a_killed_worker_loses_nothing_and_doubles_nothing(clerk: Office, sent: Sent, stack: Stack) -> None:
    assert sent
    before = len(ask(stack, "/_sandbox/messages"))
    put(stack, "/_sandbox/switches", {"latency_ms": 400})
    campaign_id = clerk.write("停電の日", payment=False)
    # the same people: another campaign may write to them
    clerk.upload(campaign_id, collection())
    clerk.send(campaign_id)
    until(lambda: len(ask(stack, "/_sandbox/messages")) > before + 40, "the first SMS")
    stack.kill("delivery")
    at_kill = len(ask(stack, "/_sandbox/messages")) - before
    assert at_kill < PEOPLE
    put(stack, "/_sandbox/switches", {"latency_ms": 0})
    stack.restart("delivery")

    def done() -> bool:
        rows = clerk.status_csv(campaign_id, "utf-8-sig")
        return all(row["SMS状態"] in {"受付済", "到達", "不達"} for row in rows)

    until(done, "everyone written to after the crash")
    fresh = ask(stack, "/_sandbox/messages")[before:]
    # beside the people's SMS: those to the account's 確認用番号, which prove that the carrier's list has caught up
    people = [message for message in fresh if message["to"] != national(WITNESS_PHONE)]
    assert set(Counter(message["to"] for message in people).values()) == {1}
    assert len(people) == PEOPLE
