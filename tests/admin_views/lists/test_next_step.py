"""After an import: the check begins by itself, the result says one next step, and nothing unsendable stands as done."""

import re

import pytest
from flask import Flask
from sqlalchemy import select

from app import queues
from app.models import Campaign
from jobs.intake import run_import
from tests import factories
from tests.admin_views.campaign_pages import digest_on, page_of
from tests.admin_views.conftest import House
from tests.admin_views.uploads import BAD, GOOD, HEAD, chosen, imported, one, upload, work

LONG = GOOD.replace("鈴木 一郎", "鈴木" * 20)
TWICE = GOOD + "K3,090-1234-5678,佐藤 次郎,1980/1/2,0789\r\n"


@pytest.fixture
def campaign(app: Flask, ours: House) -> int:
    with app.app_context():
        return factories.campaign(ours.tenant, sms_account_id=ours.sms_account, name="満期のご案内")


def badge_on(page: str) -> str:
    return one(r'<h2 id="outcome">「.*?」<span class="badge-state ([^<]*)</span>', page)


def steps_on(page: str) -> list[str]:
    """Return the large buttons, of which a page has one."""
    return re.findall(r'class="btn btn-primary btn-lg"[^>]*>(.*?)<', page)


def test_a_list_that_was_taken_is_checked_by_itself(app, clerk, ours, campaign, ask):
    page = imported(app, ours, clerk, campaign, HEAD + GOOD)
    checked = select(Campaign.preflight["people"].as_integer(), Campaign.check_due_at).where(Campaign.id == campaign)
    assert ask(checked) == [(2, None)]
    assert badge_on(page) == 'badge-green">完了'
    assert "送信できます" in page
    assert steps_on(page) == ["確認へ進む"]
    # nobody pressed 「確認する」
    assert "2件の送信へ進む" in page_of(clerk, f"/admin/campaign/{campaign}/check/")


def test_until_the_check_is_done_the_result_waits_for_it(app, clerk, ours, campaign):
    url = upload(clerk, campaign, HEAD + GOOD).location
    clerk.post(url, chosen(page_of(clerk, url)))
    with app.app_context():
        run_import(ours.tenant, int(url.rstrip("/").rsplit("/", 1)[1]))
        assert (ours.tenant, campaign) in queues.waiting("jobs.campaigns.preflight")
    page = page_of(clerk, url)
    assert badge_on(page) == 'badge-blue">確認中'
    assert "全員分の文面を確かめています" in page
    assert f'data-live="/admin/campaign/{campaign}/check.json"' in page
    assert steps_on(page) == []
    assert clerk.get(f"/admin/campaign/{campaign}/check.json").get_json() == {"done": False}
    assert "2件の文面を確かめています" in page_of(clerk, f"/admin/campaign/{campaign}/check/")
    work(app, ours.tenant, url)
    assert clerk.get(f"/admin/campaign/{campaign}/check.json").get_json() == {"done": True}
    assert "送信できます" in page_of(clerk, url)


def test_a_list_that_cannot_be_sent_never_stands_as_done(app, clerk, ours, campaign):
    page = imported(app, ours, clerk, campaign, HEAD + LONG)
    assert badge_on(page) == 'badge-amber">直すことがあります'
    assert "このままでは送れません" in page
    assert "SMSが70文字を超える送信先が1件あります" in page
    assert steps_on(page) == ["確認へ進む"]
    assert "完了</span>" not in page


def test_rows_with_errors_are_the_next_step(app, clerk, ours, campaign):
    page = imported(app, ours, clerk, campaign, HEAD + GOOD + BAD)
    assert badge_on(page) == 'badge-amber">エラーの行があります'
    assert "完了</span>" not in page
    assert steps_on(page) == ["修正したファイルを取り込む"]
    assert "このまま確認へ進めます" in page


def test_words_that_are_missing_come_first(app, clerk, ours, campaign, change):
    change("UPDATE campaign SET page_title = '' WHERE id = :id", id=campaign)
    page = imported(app, ours, clerk, campaign, HEAD + GOOD)
    assert badge_on(page) == 'badge-amber">準備中'
    assert steps_on(page) == ["文面と設定を編集する"]
    assert "ページの題名：本文が入力されていません" in page


def test_words_that_changed_after_the_check_are_checked_anew(app, clerk, ours, campaign, change):
    url = upload(clerk, campaign, HEAD + GOOD).location
    clerk.post(url, chosen(page_of(clerk, url)))
    work(app, ours.tenant, url)
    change("UPDATE campaign SET page_title = '差し替えた題名', revision = revision + 1 WHERE id = :id", id=campaign)
    page = page_of(clerk, url)
    assert badge_on(page) == 'badge-amber">確認がまだです'
    assert steps_on(page) == ["確認へ進む"]
    assert clerk.get(f"/admin/campaign/{campaign}/check.json").get_json() == {"done": True}


def test_one_added_by_hand_is_checked_by_itself_too(app, clerk, ours, campaign, ask):
    imported(app, ours, clerk, campaign, HEAD + GOOD)
    data = dict(zip(HEAD.strip().split(","), GOOD.splitlines()[0].split(","), strict=True))
    form = page_of(clerk, f"/admin/campaign/{campaign}/list/one")
    names = dict(
        zip(re.findall(r'name="(cell_\d+)"', form), ["K9", "070-1234-5678", *list(data.values())[2:]], strict=False)
    )
    assert clerk.post(f"/admin/campaign/{campaign}/list/one", names).status_code == 303
    with app.app_context():
        assert (ours.tenant, campaign) in queues.waiting("jobs.campaigns.preflight")
    assert ask(select(Campaign.id).where(Campaign.check_due_at.is_not(None))) == [(campaign,)]


def test_one_sms_each_is_said_only_where_it_is_so(app, clerk, ours, campaign):
    imported(app, ours, clerk, campaign, HEAD + GOOD)
    assert "2件（1人に1通）" in page_of(clerk, f"/admin/campaign/{campaign}/send/")
    imported(app, ours, clerk, campaign, HEAD + TWICE)
    page = page_of(clerk, f"/admin/campaign/{campaign}/send/")
    assert "同じ人に2通以上届きます" in page
    assert "3件（電話番号は2件。同じ番号に2通以上の送信先があります）" in page
    assert "1人に1通" not in page


def test_whoever_approves_is_told_the_same(app, clerk, manager, ours, campaign, change):
    change("UPDATE tenant SET approval_above = 1 WHERE id = :id", id=ours.tenant)
    imported(app, ours, clerk, campaign, HEAD + TWICE)
    clerk.post(f"/admin/campaign/{campaign}/send/", {"digest": digest_on(clerk, campaign)})
    page = page_of(manager, f"/admin/campaign/{campaign}/approval/")
    assert "3件（電話番号は2件。" in page
    assert "1人に1通" not in page
