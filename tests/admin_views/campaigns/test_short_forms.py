"""A name too long for the SMS names its person, and a short form that the clerk chooses lets everybody have theirs."""

import pytest
from flask import Flask
from sqlalchemy import select

from app import links, tenancy
from app.campaigns import preflight, rendering
from app.campaigns.sms_length import LIMIT, units
from app.extensions import db
from app.models import AuditEntry, Campaign
from tests import factories
from tests.admin_views.campaign_pages import page_of, send
from tests.admin_views.conftest import House
from tests.admin_views.uploads import HEAD, imported

LONG = "勅使河原 権左衛門之助忠興弘隆"
LIST = HEAD + "".join(
    f"K{place},090-1234-{place:04d},{name},1980/1/2,0123\r\n"
    for place, name in enumerate(("佐藤 花子", LONG, "鈴木 一郎", "𠮷" * 12), start=1)
)
TEXT = "【みどり信販】{氏名}様 お手続きのご案内です。{リンク}"


@pytest.fixture
def campaign(app: Flask, ours: House) -> int:
    with app.app_context():
        return factories.campaign(ours.tenant, sms_account_id=ours.sms_account, name="満期のご案内", sms_text=TEXT)


def _link(app: Flask) -> str:
    with app.app_context():
        return links.trial_address()


def test_who_is_too_long_is_named_and_a_short_form_offered_and_chosen(app, clerk, ours, campaign, ask):
    assert "長い名前だけを短い言い方にする方法は" in imported(app, ours, clerk, campaign, LIST.encode())
    url = f"/admin/campaign/{campaign}/check/"
    page = page_of(clerk, url)
    assert "SMSが70文字を超える送信先が2件あります" in page
    assert f"{LONG}（K2、3行目）" in page
    assert f"{'𠮷' * 12}（K4、5行目）" in page
    limit = LIMIT - units(TEXT.replace("{氏名}", "").replace("{リンク}", _link(app)))
    assert f"{{氏名|{limit}|お客様}}様" in page
    assert "それより長い<strong>2件</strong>には" in page
    answer = clerk.post(f"{url}shorten", {"name": "氏名"})
    assert answer.location == url
    page = page_of(clerk, url)
    assert "送信できます" in page
    assert "短い言い方にできます" not in page
    assert ask(select(Campaign.sms_text).where(Campaign.id == campaign)) == [
        (TEXT.replace("{氏名}", f"{{氏名|{limit}|お客様}}"),)
    ]
    assert ask(select(AuditEntry.detail).where(AuditEntry.act == "campaign.update")) == [({"fields": ["sms_text"]},)]
    preview = page_of(clerk, f"{url}?row=K2")
    assert "【みどり信販】お客様 お手続き" in preview
    assert f"{LONG} 様\n" in preview or f"{LONG}様" in preview  # the page still knows the name
    assert "【みどり信販】佐藤 花子様" in page_of(clerk, f"{url}?row=K1")
    assert "送信を開始しました" in send(clerk, campaign)


def test_a_short_form_that_would_not_help_is_not_offered(app, clerk, ours, campaign, change, ask):
    change("UPDATE campaign SET sms_text = :text WHERE id = :id", id=campaign, text=f"{{氏名}}様{'、' * 40}{{リンク}}")
    imported(app, ours, clerk, campaign, LIST.encode())
    assert "短い言い方にできます" not in page_of(clerk, f"/admin/campaign/{campaign}/check/")
    refused = clerk.post(f"/admin/campaign/{campaign}/check/shorten", {"name": "氏名"}, follow_redirects=True)
    assert "短い言い方にしていません" in refused.get_data(as_text=True)
    assert "|" not in ask(select(Campaign.sms_text).where(Campaign.id == campaign))[0][0]


def test_only_what_names_people_becomes_a_customer(app, clerk, ours, campaign, change):
    change("UPDATE campaign SET sms_text = :text WHERE id = :id", id=campaign, text="{管理番号} お知らせ {リンク}")
    imported(app, ours, clerk, campaign, LIST.replace("K2", "K2" * 30).encode())
    page = page_of(clerk, f"/admin/campaign/{campaign}/check/")
    assert "70文字を超える送信先が1件" in page
    assert "短い言い方にできます" not in page


def test_what_changed_since_the_check_is_not_written_over(app, clerk, ours, campaign, change, ask):
    imported(app, ours, clerk, campaign, LIST.encode())
    other = TEXT.replace("お手続き", "ご契約")
    change("UPDATE campaign SET sms_text = :text, revision = revision + 1 WHERE id = :id", id=campaign, text=other)
    clerk.post(f"/admin/campaign/{campaign}/check/shorten", {"name": "氏名"})
    assert ask(select(Campaign.sms_text).where(Campaign.id == campaign)) == [(other,)]


def test_another_company_cannot_shorten(browser_of, ours, theirs):
    answer = browser_of(theirs.clerk).post(f"/admin/campaign/{ours.campaign}/check/shorten", {"name": "氏名"})
    assert answer.status_code == 404


def test_a_reminder_is_measured_with_its_short_forms(app, clerk, ours, campaign):
    imported(app, ours, clerk, campaign, LIST.encode())
    clerk.post(f"/admin/campaign/{campaign}/check/shorten", {"name": "氏名"})
    with app.app_context(), tenancy.tenant(ours.tenant):
        row = db.session.get_one(Campaign, campaign)
        assert preflight.reminder_problems(row, row.sms_text) == []
        assert "70" in preflight.reminder_problems(row, TEXT)[0].message_ja
        for name in ("佐藤 花子", LONG, "𠮷" * 12):
            sms = rendering.sms_text(row.sms_text, "みどり信販", {"氏名": name}, links.trial_address())
            assert units(sms) <= LIMIT
