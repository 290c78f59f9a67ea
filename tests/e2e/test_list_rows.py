"""Single rows of a list in the browser: corrected, left out, taken back, replaced; by keyboard and on a phone too."""

import re

import psycopg
import pytest
from flask import Flask
from playwright.sync_api import expect

from app.auth.staff import Role
from jobs.campaigns import preflight
from jobs.intake import look_through, run_import
from tests import factories
from tests.admin_views.estate import empty
from tests.admin_views.uploads import BAD, GOOD, HEAD
from tests.e2e.office import Enter

pytestmark = pytest.mark.e2e

_TWICE = "K4,090-1234-5678,田中 幸子,1980/1/2,0123\r\n"
_LONG = "K5,090-7777-0005," + "長" * 60 + ",1980/1/2,0123\r\n"


def test_rows_are_corrected_left_out_and_replaced(app: Flask, enter: Enter, database: psycopg.Connection) -> None:
    estate, visitor = enter(empty, Role.CLERK)
    with app.app_context():
        account = factories.sms_account(estate.tenant)
        campaign = factories.campaign(estate.tenant, sms_account_id=account, name="訪問のご案内")
    page = visitor.page

    def bring(content: str) -> None:
        page.goto(f"{visitor.base}/admin/campaign/{campaign}/list/")
        page.locator("input[type=file]").set_input_files(
            {"name": "名簿.csv", "mimeType": "text/csv", "buffer": content.encode("cp932")}
        )
        page.get_by_role("button", name="ファイルを取り込む").click()
        page.wait_for_url(re.compile(r"/list/\d+/"))
        with app.app_context():
            look_through(estate.tenant, int(page.url.rstrip("/").rsplit("/", 1)[1]))
        page.reload()
        if (button := page.get_by_role("button", name="この列で取り込む")).count():
            button.click()
        with app.app_context():
            run_import(estate.tenant, int(page.url.rstrip("/").rsplit("/", 1)[1]))
            preflight(estate.tenant, campaign)
        page.reload()

    bring(HEAD + GOOD + BAD + _TWICE + _LONG)
    visitor.judge("result")
    page.get_by_role("link", name=re.compile("この行を直す.*：4行目")).click()
    expect(page.get_by_label("氏名")).to_have_value("高橋 次郎")
    visitor.judge("correct")
    page.get_by_label("電話番号").fill("070-1234-5678")
    page.get_by_role("button", name="直して送信先に加える").click()
    expect(page.get_by_text("4行目を直して、送信先に加えました")).to_be_visible()
    page.get_by_role("button", name=re.compile("対象外にする.*：5行目")).click()
    expect(page.get_by_role("heading", name="対象外にした送信先")).to_be_visible()
    visitor.judge("excluded")
    with app.app_context():
        preflight(estate.tenant, campaign)
    page.goto(f"{visitor.base}/admin/campaign/{campaign}/check/")
    visitor.judge("check")
    page.get_by_role("link", name=re.compile("この行を直す.*：K5（6行目）")).click()
    visitor.judge("amend")
    page.get_by_label("氏名").fill("長井")
    page.get_by_role("button", name="直した内容にする").click()
    expect(page.get_by_text("送信先を直しました")).to_be_visible()
    page.get_by_role("button", name=re.compile("送信先に戻す.*：K4（5行目）")).click()
    expect(page.get_by_text("送信先に戻しました")).to_be_visible()
    bring(HEAD + GOOD.replace("佐藤 花子", "佐藤 はな"))
    visitor.judge("contradicts")
    page.get_by_role("link", name="前の行と置き換える").first.click()
    visitor.judge("question")
    page.get_by_role("button", name="置き換える").click()
    expect(page.get_by_text("1件を置き換えました")).to_be_visible()
    assert database.execute("SELECT count(*) FROM recipient").fetchone() == (5,)
