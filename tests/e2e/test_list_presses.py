"""From a file to 確認: six presses at most for a form of columns never seen, three for a known one, and no typing."""

import re

import psycopg
import pytest
from flask import Flask
from playwright.sync_api import Locator, expect

from app.auth.staff import Role
from jobs.campaigns import preflight
from jobs.intake import look_through, run_import
from tests import factories
from tests.admin_views.estate import empty
from tests.e2e.office import Enter, Visitor

pytestmark = pytest.mark.e2e

_HEAD = "12月分の一覧\r\n会員番号,携帯番号,宛先,誕生日,契約番号\r\n"


def _list(first: int) -> bytes:
    rows = (f"{n},90-1234-{n:04d},髙橋 花子,昭和55年1月2日,0000{n}\r\n" for n in range(first, first + 30))
    return (_HEAD + "".join(rows)).encode("cp932")


class _Clerk:
    """Presses, and counts them."""

    def __init__(self, app: Flask, tenant: int, visitor: Visitor, campaign: int) -> None:
        self.app, self.tenant, self.visitor = app, tenant, visitor
        self.page = visitor.page
        self.presses = 0
        self.page.goto(f"{visitor.base}/admin/campaign/{campaign}/list/")

    def press(self, place: Locator) -> None:
        self.presses += 1
        place.click()

    def bring(self, content: bytes) -> None:
        with self.page.expect_file_chooser() as chooser:
            self.press(self.page.locator("input[type=file]"))
        chooser.value.set_files({"name": "名簿.csv", "mimeType": "text/csv", "buffer": content})
        self.press(self.page.get_by_role("button", name="ファイルを取り込む"))
        self.page.wait_for_url(re.compile(r"/list/\d+/"))
        with self.app.app_context():
            look_through(self.tenant, int(self.page.url.rstrip("/").rsplit("/", 1)[1]))
        self.page.reload()

    def take(self) -> None:
        """Let the worker do its part, and go on to the check."""
        found = re.search(r"/(\d+)/list/(\d+)/", self.page.url)
        assert found
        with self.app.app_context():
            run_import(self.tenant, int(found[2]))
            preflight(self.tenant, int(found[1]))
        self.page.reload()
        expect(self.page.get_by_text("30件").first).to_be_visible()
        self.press(self.page.get_by_role("link", name="確認へ進む"))
        expect(self.page).to_have_url(re.compile("/check/"))


def test_a_list_comes_to_its_check_in_few_presses(app: Flask, enter: Enter, database: psycopg.Connection) -> None:
    estate, visitor = enter(empty, Role.CLERK)
    with app.app_context():
        account = factories.sms_account(estate.tenant)
        first, second = (factories.campaign(estate.tenant, sms_account_id=account, name=name) for name in "前後")
    clerk = _Clerk(app, estate.tenant, visitor, first)
    clerk.bring(_list(1))
    page = clerk.page
    expect(page.get_by_text("差込項目「氏名」の列がありません").first).to_be_visible()
    expect(page.get_by_text("2行目を見出しとして読みます")).to_be_visible()
    expect(page.get_by_title("+819012340001")).to_have_text(re.compile("090-1234-0001"))
    visitor.judge("columns")
    clerk.presses += 1
    page.get_by_label("「宛先」を差し込む項目").select_option("氏名")
    clerk.press(page.get_by_role("button", name="この列で取り込む"))
    clerk.take()
    assert clerk.presses <= 6

    known = _Clerk(app, estate.tenant, visitor, second)
    known.bring(_list(101))
    known.take()
    assert known.presses == 3
    assert visitor.faults == {}
