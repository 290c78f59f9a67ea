"""Sample lists through the door: a starter's and a campaign's own, filled in and taken."""

import io

import openpyxl
import pytest
from flask import Flask
from sqlalchemy import select

from app import tenancy
from app.campaigns import lifecycle
from app.campaigns.presets import STARTERS, Starter
from app.extensions import db
from app.models import Campaign, ImportFault, Question, Recipient
from tests import factories
from tests.admin_views.campaign_pages import page_of
from tests.admin_views.conftest import Browser, House
from tests.admin_views.uploads import take, upload


def begun(app: Flask, ours: House, starter: Starter) -> int:
    """Make a campaign as its form does from a starter."""
    with app.app_context(), tenancy.tenant(ours.tenant):
        row = Campaign(
            tenant_id=ours.tenant, key=lifecycle.new_key(), name=starter.name, sms_account_id=ours.sms_account,
            payment_account_id=ours.payment_account if starter.payment_required else None,
            sms_text=starter.sms_text, page_title=starter.page_title, page_text=starter.page_text,
            link_minutes=starter.link_minutes, payment_required=starter.payment_required, profile=starter.profile,
        )  # fmt: skip
        row.questions = [
            Question(tenant_id=ours.tenant, position=place, label=ask.label, kind=str(ask.kind), column_name=ask.column)
            for place, ask in enumerate(starter.questions, start=1)
        ]
        db.session.add(row)
        db.session.commit()
        return row.id


def sample_at(browser: Browser, url: str) -> bytes:
    answer = browser.get(url)
    assert answer.status_code == 200
    return bytes(answer.data)


def filled_in(sample: bytes) -> bytes:
    """Put people's numbers in the place of those that nobody has."""
    book = openpyxl.load_workbook(io.BytesIO(sample))
    sheet = book.worksheets[0]
    phone = [cell.value for cell in sheet[1]].index("電話番号") + 1
    for row, number in ((2, "090-1234-5678"), (3, "080-1234-5678")):
        sheet.cell(row, phone).value = number
    stored = io.BytesIO()
    book.save(stored)
    return stored.getvalue()


@pytest.mark.parametrize("key", STARTERS)
def test_a_starters_sample_is_its_campaigns_and_is_taken(app, clerk, ours, ask, key):
    starter = STARTERS[key]
    assert f'href="/admin/campaign/start/{key}/sample.xlsx"' in page_of(clerk, "/admin/campaign/start/")
    campaign = begun(app, ours, starter)
    url = f"/admin/campaign/{campaign}/list/"
    assert f'href="{url}sample.xlsx"' in page_of(clerk, url)
    own = sample_at(clerk, f"{url}sample.xlsx")
    rows = [
        [[cell.value for cell in row] for row in openpyxl.load_workbook(io.BytesIO(data)).worksheets[0]]
        for data in (own, sample_at(clerk, f"/admin/campaign/start/{key}/sample.xlsx"))
    ]
    assert rows[0] == rows[1]
    started = upload(clerk, campaign, filled_in(own), "名簿.xlsx").location
    page = take(app, clerk, ours.tenant, started)
    assert "<strong>2件</strong>を送信先に加えました" in page
    assert "送信できます" in page
    paid = (12_000, 8_500) if starter.payment_required else (None, None)
    assert ask(select(Recipient.amount_yen).where(Recipient.campaign_id == campaign).order_by(Recipient.id)) == [
        (amount,) for amount in paid
    ]
    whole = [item for item in starter.questions if item.kind == "last4"]
    told = ask(select(ImportFault.column_name).where(ImportFault.code == "answer_last_digits_taken"))
    assert told == [(item.column,) for item in whole]
    assert ("末尾の4桁だけを本人確認の答えとして使います" in page) is bool(whole)


def test_a_sample_is_of_the_campaigns_own_columns(app, clerk, ours, ask):
    with app.app_context():
        campaign = factories.campaign(
            ours.tenant, sms_account_id=ours.sms_account, sms_text="{お客様名}様 {リンク}", page_text="{ﾌﾟﾗﾝ}=のご案内"
        )
    data = sample_at(clerk, f"/admin/campaign/{campaign}/list/sample.csv")
    head, *rows = data.decode("utf-8-sig").split("\r\n")
    assert head == "管理番号,電話番号,生年月日,契約番号下4桁,お客様名,プラン"
    assert rows[0].startswith("M0001,090-0000-0001,1980/01/02,0489,見本 花子,")
    # uploaded as it is, it reaches nobody
    page = take(app, clerk, ours.tenant, upload(clerk, campaign, data).location)
    assert "<strong>2行</strong>はエラーがあり" in page
    assert ask(select(Recipient.id).where(Recipient.campaign_id == campaign)) == []


def test_a_sample_belongs_to_whoever_may_see_the_campaign(clerk, ours, theirs, browser_of):
    assert browser_of(theirs.clerk).get(f"/admin/campaign/{ours.campaign}/list/sample.csv").status_code == 404
    assert clerk.get("/admin/campaign/start/unknown/sample.csv").status_code == 404
    assert clerk.get(f"/admin/campaign/{ours.campaign}/list/sample.pdf").status_code == 404
