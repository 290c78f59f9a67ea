"""A clerk's day: wrong file, corrected file, approval by a manager, watching, looking up who calls, export."""

import csv
import io
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from dev.clerks_day import CALLER, PEOPLE, spend
from dev.stack import Stack

pytestmark = pytest.mark.e2e


def test_a_clerks_day(browser: Browser, stack: Stack) -> None:
    shown: list[str] = []

    def show(page: Page, name: str) -> None:
        shown.append(name)
        # each screen leads to the guide's words about it
        place = page.locator(".help-link").get_attribute("href")
        assert place is not None
        assert place.startswith("/admin/help/#")

    day = spend(browser, stack, show)
    rows = list(csv.DictReader(io.StringIO(day.status_file.decode("cp932"), newline="")))
    assert len(rows) == PEOPLE
    assert len({row["送信先電話番号"] for row in rows}) == PEOPLE
    assert {row["SMS状態"] for row in rows} == {"到達"}
    numbers = {row["管理番号"]: row["送信先電話番号"].replace("-", "") for row in rows}
    assert numbers["H00020"] == CALLER.replace("-", "")
    assert day.complaints == []
    guide = (Path(__file__).parents[2] / "docs" / "ja" / "guide.md").read_text("utf-8")
    assert [name for name in shown if f"../images/{name}.png" not in guide] == []
