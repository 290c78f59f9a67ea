"""The recipients' pages as people meet them: a small screen, large letters, no script, no style sheet, paper."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from bench.a11y import violations
from dev import layout_checks
from dev.browser import PHONE
from dev.page_states import BY_NAME
from dev.page_visits import Visit, Visits
from dev.stack import Stack
from tests.e2e.w3m import W3m

pytestmark = pytest.mark.e2e

FIRST = BY_NAME["welcome"]


@pytest.fixture(scope="module")
def visits(stack: Stack) -> Iterator[Visits]:
    with Visits(stack) as running:
        yield running


# `make a11y` looks at all of them, in both languages
@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("welcome", "ja"),
        ("questions", "en"),
        ("unreadable-four", "ja"),
        ("wrong", "ja"),
        ("locked", "en"),
        ("gone", "ja"),
        ("message", "en"),
        ("unpaid", "ja"),
        ("go", "en"),
        ("pending", "ja"),
        ("paid", "en"),
        ("verify-yes", "ja"),
    ],
)
def test_axe_finds_nothing_and_it_fits(visits: Visits, browser: Browser, name: str, language: str) -> None:
    with visits.at(browser, BY_NAME[name], language) as visit:
        assert violations(visit) == []
        assert layout_checks.faults(visit.page) == []
        assert visit.page.locator("html").get_attribute("lang") == language


def test_axe_would_find_something(visits: Visits, browser: Browser) -> None:
    with visits.at(browser, BY_NAME["questions"]) as visit:
        visit.page.evaluate("document.querySelector('label[for=q2]').remove()")
        visit.page.evaluate("document.querySelector('.left').style.minWidth = '40rem'")
        assert any("label" in fault for fault in violations(visit))
        assert any("sideways" in fault for fault in layout_checks.faults(visit.page))


def test_the_whole_way_at_320_px_without_script(visits: Visits, browser: Browser) -> None:
    narrow = {"width": layout_checks.NARROW_PX, "height": PHONE["height"]}
    with visits.at(browser, FIRST, script=False, viewport=narrow) as visit:
        page = visit.page
        _fits(visit)
        visit.press()
        _fits(visit)
        visit.answer(q2="999-9999")
        expect(page).to_have_title(re.compile("^エラー："))
        _fits(visit)
        visit.answer()
        expect(page.get_by_text("お支払い金額")).to_be_visible()
        _fits(visit)
        visit.press()
        page.wait_for_url(f"{visit.stack.sandbox_url}/**")
        visit.choose("card")
        expect(page.get_by_role("heading", name="お支払いが完了しました")).to_be_visible()
        _fits(visit)


def _fits(visit: Visit) -> None:
    assert layout_checks.faults(visit.page) == []


def test_what_is_wrong_is_told_first_and_leads_to_its_place(visits: Visits, browser: Browser) -> None:
    with visits.at(browser, BY_NAME["unreadable"]) as visit:
        page = visit.page
        summary = page.get_by_role("alert")
        expect(summary).to_be_focused()
        assert _above(page, ".alert", "h1")
        summary.get_by_role("link", name="生年月日").click()
        assert page.url.endswith("#q1")
        page.keyboard.press("Tab")
        expect(page.locator("[name=q1_month]")).to_be_focused()
        described = page.locator("[name=q1_month]").get_attribute("aria-describedby")
        expect(page.locator(f"#{described}")).to_contain_text("エラー：")


def test_which_answer_was_wrong_is_not_told(visits: Visits, browser: Browser) -> None:
    seen = []
    for changed in ({"q2": "999-9999"}, {"q1_day": "3"}):
        with visits.at(browser, FIRST) as visit:
            visit.press()
            visit.answer(**changed)
            expect(visit.page.get_by_role("alert")).to_contain_text("あと4回まで入力できます")
            typed = r' value="[^"]*"'
            seen.append(re.sub(typed, "", visit.page.content()))
    assert seen[0] == seen[1]


def _above(page: Page, one: str, other: str) -> bool:
    first, second = (page.locator(selector).bounding_box() for selector in (one, other))
    assert first is not None
    assert second is not None
    return first["y"] + first["height"] <= second["y"]


@pytest.mark.parametrize(("name", "shown"), [("unpaid", "26,000円"), ("paid", "受付番号")])
def test_on_paper_there_is_what_counts_and_nothing_to_press(
    visits: Visits, browser: Browser, name: str, shown: str
) -> None:
    with visits.at(browser, BY_NAME[name], color_scheme="dark") as visit:
        page = visit.page
        page.emulate_media(media="print")
        expect(page.get_by_text(shown).first).to_be_visible()
        expect(page.get_by_text("みどり損害保険").first).to_be_visible()
        expect(page.get_by_text("0120-000-101").first).to_be_visible()
        assert page.locator(".act:visible, .back:visible, .doubt:visible, .small a:visible").count() == 0
        # ink on white, whatever the screen's scheme is
        assert page.evaluate("getComputedStyle(document.querySelector('main')).color") == "rgb(0, 0, 0)"
        assert page.evaluate("getComputedStyle(document.querySelector('main')).backgroundColor") == "rgb(255, 255, 255)"


def test_the_whole_way_in_w3m(visits: Visits, browser: Browser, stack: Stack) -> None:
    with visits.at(browser, FIRST) as visit:
        link = f"{stack.web_url}/{visit.token}"
    with tempfile.TemporaryDirectory(prefix="todoke-w3m-") as folder, W3m(link, Path(folder)) as w3m:
        w3m.wait("みどり損害保険からのお知らせ", "0120-000-101", "このSMSが届いた理由")
        w3m.press("確認をはじめる")
        screen = w3m.wait("ご本人の確認", "あと5回まで")
        assert "26,000" not in screen
        # past the calendars to the year, then month and day
        w3m.fill("例：西暦", "1980", "1", "2", skip=5)
        w3m.fill("数字7桁", "999-9999")
        w3m.press("回答を送る")
        w3m.wait("<エラー：ご本人の確認", "あと4回まで", "どの項目が違っているかはお知らせでき")
        w3m.fill("数字7桁", "〒１００ー０００１")
        w3m.press("回答を送る")
        screen = w3m.wait("初回保険料お払込みのご案内", "お支払い期限", "2026年12月25日")
        # a message keeps its lines where no style sheet keeps them
        assert re.search(r"^このたびはご契約いただき", screen, re.MULTILINE)
        w3m.press("支払いに進む")
        w3m.wait("決済ページへ移動します", "移動先")
        w3m.press("決済ページを開く")
        w3m.wait("¥26,000")
        w3m.press("カードで支払う")
        screen = w3m.wait("受付番号", "お支払い先")
        assert "お支払いが完了しました" in screen
        w3m.press("お知らせに戻る")
        screen = w3m.wait("<初回保険料お払込みのご案内", "お支払いが完了しました")
        assert "支払いに進む" not in screen
