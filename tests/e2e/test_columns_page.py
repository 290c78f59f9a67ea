"""名簿：列の確認 in a browser: what a clerk must check can be read whole, on a desk and on a phone."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from flask import Flask

from app.auth.staff import Role
from app.values.answers import QuestionKind
from tests import factories
from tests.admin_views.estate import empty
from tests.admin_views.uploads import upload
from tests.admin_views.workbooks import BROAD_TITLES, COVER, OWN_NAMES, PEOPLE, book
from tests.e2e.office import Enter

pytestmark = pytest.mark.e2e

_PICTURES = os.environ.get("OFFICE_PICTURES", "")
_HEAD = [
    "№",
    "保険契約者様（漢字）",
    "ケータイ番号",
    "契約者ご本人の生年月日",
    "1回目 お払込額（税込）",
    "とても長い見出しの備考欄（社内の連絡用）",
]
_NOTE = "折り返しのご連絡は平日の午後をご希望です。https://example.com/very/long/address/that/has/no/space"
# of each cell, whether some of its text lies outside of what is painted
_CLIPPED = """
cells => cells.filter(cell => {
  const text = document.createRange();
  text.selectNodeContents(cell);
  const inside = cell.getBoundingClientRect();
  return cell.scrollWidth > cell.clientWidth || cell.scrollHeight > cell.clientHeight + 1
    || [...text.getClientRects()].some(part => part.right > inside.right + 1 || part.left < inside.left - 1);
}).map(cell => cell.innerText)
"""


def _book() -> bytes:
    made = openpyxl.Workbook()
    sheet = made.worksheets[0]
    sheet.append(_HEAD)
    for number in range(3):
        born = f"S47.{number + 1}.7"
        sheet.append([number, "勅使河原　太郎左衛門", f"0901234567{number}", born, 12345, _NOTE])
    stream = io.BytesIO()
    made.save(stream)
    return stream.getvalue()


@pytest.mark.parametrize("width", [1280, 390])
def test_every_sample_cell_shows_its_whole_value(
    app: Flask,
    enter: Enter,
    browser_of: Callable[[int], Any],
    width: int,
) -> None:
    estate, visitor = enter(empty, Role.CLERK)
    with app.app_context():
        campaign = factories.campaign(
            estate.tenant,
            sms_account_id=factories.sms_account(estate.tenant),
            questions=[("契約者ご本人の生年月日", QuestionKind.DATE)],
        )
    url = upload(browser_of(estate.clerk), campaign, _book(), "名簿.xlsx").location
    page = visitor.page
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{visitor.base}{url}")
    if _PICTURES:
        page.screenshot(path=Path(_PICTURES) / f"columns{width}.png", full_page=True)
    cells = page.locator(".sample td, .sample th")
    assert "1972-01-07" in " ".join(cells.all_inner_texts())
    assert page.locator(".sample td:not(:has(select)), .sample th").evaluate_all(_CLIPPED) == []
    # the table moves inside of its frame, the page does not
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    last = page.locator(".sample tr:nth-child(4) td:last-child")
    last.scroll_into_view_if_needed()
    box = last.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width


def test_the_page_where_sheet_and_headline_are_chosen_is_fit_for_everybody(
    app: Flask,
    enter: Enter,
    browser_of: Callable[[int], Any],
) -> None:
    estate, visitor = enter(empty, Role.CLERK)
    with app.app_context():
        campaign = factories.campaign(estate.tenant, sms_account_id=factories.sms_account(estate.tenant))
    data = book(表紙=COVER, 明細=[*BROAD_TITLES, OWN_NAMES, *PEOPLE])
    visitor.look(upload(browser_of(estate.clerk), campaign, data, "未入金.xlsx").location)
    visitor.page.get_by_label("見出しの行").select_option("3")
    visitor.page.get_by_role("button", name="この読み方で見直す").click()
    visitor.page.wait_for_load_state()
    assert "3行目を見出しとして読みます" in visitor.page.content() or "調べています" in visitor.page.content()
    assert visitor.faults == {}
