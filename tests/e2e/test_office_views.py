"""Every page of the back office in a browser: axe-core finds nothing, the console stays silent, nothing runs over.

The pages come from the application of this process, with its real headers; what is on them from `tests.admin_views`.
"""

import json

import psycopg
import pytest
from flask import Flask
from playwright.sync_api import Browser, Dialog, expect

from app.auth.staff import Role
from dev.browser import DESK
from tests.admin_views.estate import empty, furnish_all
from tests.admin_views.tour import ROLES, tour
from tests.e2e.office import TABLET, Company, Enter, Visitor

pytestmark = pytest.mark.e2e


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
    """The test above rests on this: bad pages are told as bad."""
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
    first = menu.locator("details a").first
    expect(first).to_be_focused()
    expect(first).to_have_text("送信しない番号")
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

    # a weightier act is asked on a page of its own; going back is no answer
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
