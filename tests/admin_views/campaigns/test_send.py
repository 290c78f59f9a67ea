"""確認 to 結果: nothing leaves that was not checked, nothing leaves twice, and the figures tell what happened."""

import csv
import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

import openpyxl
import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from app import config, tenancy
from app.campaigns.rendering import fields_place
from app.campaigns.send_windows import ALWAYS
from app.extensions import db, vault
from app.models import AuditEntry, Campaign, Recipient, Slice
from app.states.vocabulary import SMS, SmsState
from app.suppression import numbers
from app.suppression.numbers import Terms
from app.values.japan_time import TOKYO
from app.values.suppression_reasons import SuppressionReason
from jobs.campaigns import preflight
from tests import factories, steps
from tests.admin_views.campaign_pages import check, digest_on, page_of, send
from tests.admin_views.conftest import Browser, House, plain
from tests.raw_states import set_back


@pytest.fixture
def campaign(app: Flask, ours: House) -> int:
    """A campaign without payment, ready to be checked; three people."""
    with app.app_context():
        made = factories.campaign(ours.tenant, sms_account_id=ours.sms_account, name="訪問/日時のご連絡")
        factories.people(ours.tenant, made, 3)
        return made


def sms_states(campaign: int) -> Any:
    return select(Recipient.sms_state).where(Recipient.campaign_id == campaign).order_by(Recipient.id)


def test_the_way_from_check_to_send(clerk, ours, campaign, ask):
    before = page_of(clerk, f"/admin/campaign/{campaign}/check/")
    assert "3件を確認する" in before
    checked = check(clerk, campaign)
    assert "送信できます" in checked
    assert "3件の送信へ進む" in checked
    assert re.search(r"\d+／70文字", checked)
    asked = page_of(clerk, f"/admin/campaign/{campaign}/send/")
    assert "3件を送信</button>" in asked
    assert "空電プッシュ" in asked
    assert ask(sms_states(campaign)) == [("draft",)] * 3
    status = send(clerk, campaign)
    assert "送信を開始しました" in status
    assert ask(sms_states(campaign)) == [("queued",)] * 3
    assert ask(select(AuditEntry.actor).where(AuditEntry.act == "launch")) == [(f"user:{ours.clerk}",)]
    assert ask(select(Campaign.launched_by).where(Campaign.id == campaign)) == [(ours.clerk,)]


def test_a_preview_shows_no_ones_link(app, clerk, ours):
    with app.app_context():
        campaign = factories.campaign(ours.tenant, sms_account_id=ours.sms_account)
        people = factories.people(ours.tenant, campaign, 3)
    checked = check(clerk, campaign)
    asked = page_of(clerk, f"/admin/campaign/{campaign}/send/")
    assert people[0].fields["氏名"] in checked
    for page in (checked, asked):
        assert "https://todoke.example/****************" in page
        assert not any(person.token in page for person in people)
        assert not any("0" + person.phone[3:] in page.replace("-", "") for person in people)


def test_numbers_that_get_nothing_are_counted_as_they_stand_and_not_as_sent_to(app, clerk, ours, campaign, settings):
    with app.app_context(), tenancy.tenant(ours.tenant):
        first, second, _ = db.session.scalars(select(Recipient.phone_index).where(Recipient.campaign_id == campaign))

    def suppress(index):
        with app.app_context(), tenancy.tenant(ours.tenant):
            numbers.add_index(index, Terms(SuppressionReason.WISH), actor="user:1")

    suppress(first)
    checked = check(clerk, campaign)
    assert "登録されている送信先が1件あります" in checked
    assert "2件の送信へ進む" in checked
    suppress(second)
    assert "登録されている送信先が2件あります" in page_of(clerk, f"/admin/campaign/{campaign}/check/")
    asked = page_of(clerk, f"/admin/campaign/{campaign}/send/")
    assert "1件（1人に1通。ほかの2件は「送信しない番号」のため送りません）" in plain(asked)
    assert "1件を送信</button>" in asked
    config.install(replace(settings, at_once_people=0))
    assert "登録されている送信先が1件あります" in page_of(clerk, f"/admin/campaign/{campaign}/check/"), "as checked"
    config.install(settings)


def test_pressing_send_twice_sends_once(clerk, campaign, ask):
    check(clerk, campaign)
    form = {"digest": digest_on(clerk, campaign)}
    clerk.post(f"/admin/campaign/{campaign}/send/", form)
    again = clerk.post(f"/admin/campaign/{campaign}/send/", form, follow_redirects=True)
    assert "二重には送信されません" in again.get_data(as_text=True)
    assert len(ask(select(Slice.id))) == 1


def test_two_presses_at_the_same_moment_send_once(app, browser_of, ours, clerk, campaign, ask):
    check(clerk, campaign)
    form = {"digest": digest_on(clerk, campaign)}
    browsers = [browser_of(ours.clerk), browser_of(ours.manager), clerk]
    tokens = [browser.token() for browser in browsers]

    def press(browser: Browser, token: str) -> int:
        url = f"/admin/campaign/{campaign}/send/"
        return browser.client.post(url, data={**form, "csrf_token": token}).status_code

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(press, browsers, tokens)) == [303] * 3
    assert len(ask(select(Slice.id))) == 1
    assert len(ask(select(AuditEntry.id).where(AuditEntry.act == "launch"))) == 1


def test_what_changed_after_the_check_is_not_sent(clerk, campaign, ask, change):
    check(clerk, campaign)
    digest = digest_on(clerk, campaign)
    change("UPDATE campaign SET page_title = '差し替えた題名', revision = revision + 1 WHERE id = :id", id=campaign)
    assert "内容が変わったので、もう一度確認してください" in page_of(clerk, f"/admin/campaign/{campaign}/check/")
    refused = clerk.post(f"/admin/campaign/{campaign}/send/", {"digest": digest})
    assert refused.status_code == 409
    assert "送信前の確認のあとで内容か名簿が変わりました。" in refused.get_data(as_text=True)
    # checked again by somebody else: what this page showed is still not what would be sent
    check(clerk, campaign)
    assert "確認した内容が変わっています" in clerk.post(
        f"/admin/campaign/{campaign}/send/", {"digest": digest}
    ).get_data(as_text=True)
    assert ask(sms_states(campaign)) == [("draft",)] * 3


def test_what_is_too_long_is_told_and_not_sent(clerk, campaign, ask, change):
    change("UPDATE campaign SET sms_text = :text WHERE id = :id", id=campaign, text="あ" * 60 + "{リンク}")
    checked = check(clerk, campaign)
    assert "直すことがあります" in checked
    assert "SMSが70文字を超える送信先が3件あります" in checked
    assert "送信へ進む" not in checked
    asked = page_of(clerk, f"/admin/campaign/{campaign}/send/")
    assert "まだ送信できません" in asked
    assert 'name="digest"' not in asked
    assert clerk.post(f"/admin/campaign/{campaign}/send/", {"digest": "0" * 64}).status_code == 409
    assert ask(sms_states(campaign)) == [("draft",)] * 3


def test_a_long_check_is_a_job(app, clerk, ours, campaign):
    config.install(replace(config.settings(), at_once_people=2))
    waiting = check(clerk, campaign)
    assert "3件の文面を確かめています" in waiting
    assert clerk.get(f"/admin/campaign/{campaign}/check.json").get_json() == {"done": False}
    with app.app_context():
        preflight(ours.tenant, campaign)
    assert clerk.get(f"/admin/campaign/{campaign}/check.json").get_json() == {"done": True}
    assert "送信できます" in page_of(clerk, f"/admin/campaign/{campaign}/check/?waiting=yes")


def test_the_figures_tell_who_stands_where(clerk, campaign, take, ask, database, redis):
    send(clerk, campaign)
    redis.flushdb()  # the count that the page after sending showed
    people = select(Recipient.id).where(Recipient.campaign_id == campaign).order_by(Recipient.id)
    (unreached,), (waits,), (reached,) = ask(people)
    take(steps.refuse, unreached)
    take(steps.deliver, reached)
    page = page_of(clerk, f"/admin/campaign/{campaign}/status/")
    assert re.search(r"1</span>件</strong>が届いていません", page)
    live = re.search(r'data-live="([^"]+)"', page)
    assert live
    url = live[1].replace("&amp;", "&")
    told = clerk.get(url).get_json()
    assert told["done"] is False
    assert told["texts"]["sms.undelivered"] == "1"
    assert told["texts"]["sms.delivered"] == "1"
    assert told["texts"]["box.waiting"] == "1"
    # whoever got an SMS has got one: the boxes say what the funnel says, also while a reminder waits
    assert [told["texts"][key] for key in ("box.handed", "box.delivered", "funnel.0", "funnel.1")] == ["1"] * 4
    take(steps.queue, reached)
    redis.flushdb()
    told = clerk.get(url).get_json()
    assert [told["texts"][key] for key in ("box.waiting", "box.handed", "box.delivered")] == ["2", "1", "1"]
    asked = page_of(clerk, f"/admin/campaign/{campaign}/cancel")
    assert "まだ送っていない2件は送られなくなります" in asked
    assert "すでに送信した1件のSMSは取り消せません" in asked
    take(steps.deliver, reached)
    take(steps.reach, SMS, SmsState.EXPIRED, [waits])
    assert "すでに送信した2件" in page_of(clerk, f"/admin/campaign/{campaign}/cancel")  # not who was never sent to
    set_back(database, "recipient", [waits], sms_state="queued")
    redis.flushdb()
    assert told["texts"]["funnel.0.share"] == "33.3%"
    assert told["values"]["funnel.0.width"] == 140
    link = re.search(r'href="([^"]+)">不達<', page)
    assert link
    listed = page_of(clerk, link[1].replace("&amp;", "&"))
    assert len(re.findall(r"/admin/recipient/details/\?id=", listed)) == 1
    # another state than the page shows: the page is to be loaded anew
    clerk.post(f"/admin/campaign/{campaign}/pause")
    assert clerk.get(url).get_json()["done"] is True


def test_pause_resume_and_cancel(clerk, campaign, ask):
    send(clerk, campaign)
    paused = clerk.post(f"/admin/campaign/{campaign}/pause", follow_redirects=True).get_data(as_text=True)
    assert "送信を一時停止しました" in paused
    assert "送信を再開する" in paused
    assert "必要ないか、できません" in clerk.post(f"/admin/campaign/{campaign}/pause", follow_redirects=True).get_data(
        as_text=True
    )
    assert "3件の送信を再開します" in page_of(clerk, f"/admin/campaign/{campaign}/resume")
    assert ask(select(Campaign.state).where(Campaign.id == campaign)) == [("paused",)]
    assert "再開しました" in clerk.post(f"/admin/campaign/{campaign}/resume", follow_redirects=True).get_data(
        as_text=True
    )
    assert "3件は送られなくなります" in page_of(clerk, f"/admin/campaign/{campaign}/cancel")
    assert ask(sms_states(campaign)) == [("queued",)] * 3
    cancelled = clerk.post(f"/admin/campaign/{campaign}/cancel", follow_redirects=True).get_data(as_text=True)
    assert "取り消しました" in cancelled
    assert ask(sms_states(campaign)) == [("cancelled",)] * 3
    assert "一時停止する" not in cancelled


@pytest.mark.parametrize(("hour", "told"), [(23, True), (12, False)])
def test_whoever_goes_on_sending_at_night_is_told(browser_of, ours, campaign, change, take, hour, told):
    change("UPDATE tenant SET send_window = CAST(:window AS jsonb)", window=json.dumps(ALWAYS.to_json()))
    take(steps.pause, campaign)
    moment = (datetime.now(TOKYO) + timedelta(days=1)).replace(hour=hour)
    with time_machine.travel(moment, tick=True):
        page = page_of(browser_of(ours.clerk), f"/admin/campaign/{campaign}/resume")
    assert "送信を再開します" in page
    assert ("いまは夜間・早朝" in page) is told


def test_a_draft_that_is_given_up_leads_nowhere_else(clerk, campaign, ask):
    assert "この配信を取り消す" in page_of(clerk, f"/admin/campaign/{campaign}/")
    page = clerk.post(f"/admin/campaign/{campaign}/cancel", follow_redirects=True).get_data(as_text=True)
    assert "この配信は送信前に取り消されました" in page
    assert ask(sms_states(campaign)) == [("cancelled",)] * 3
    assert "step-done" not in page
    assert clerk.post(f"/admin/campaign/{campaign}/send/", {"digest": "x"}).status_code == 303
    assert ask(sms_states(campaign)) == [("cancelled",)] * 3


@pytest.mark.parametrize(("encoding", "mark"), [("cp932", b""), ("utf-8-sig", b"\xef\xbb\xbf")])
def test_the_status_csv(clerk, ours, campaign, encoding, mark, ask):
    send(clerk, campaign)
    assert f'value="{encoding}"' in page_of(clerk, f"/admin/campaign/{campaign}/result/")
    answer = clerk.post(f"/admin/campaign/{campaign}/status.csv", {"encoding": encoding})
    assert answer.status_code == 200
    assert answer.mimetype == "text/csv"
    told = answer.headers["Content-Disposition"]
    assert f'filename="status-{campaign}.csv"' in told
    assert re.fullmatch(r"訪問_日時のご連絡_状況_\d{8}-\d{4}\.csv", unquote(told.split("UTF-8''")[1]))
    content = answer.get_data()
    assert content.startswith(mark)
    rows = list(csv.DictReader(io.StringIO(content.decode(encoding))))
    assert [row["SMS状態"] for row in rows] == ["送信待ち"] * 3
    recorded = select(AuditEntry.actor, AuditEntry.detail).where(AuditEntry.act == "export_status")
    assert ask(recorded) == [(f"user:{ours.clerk}", {"encoding": encoding})]


def test_a_narrowed_files_name_says_by_what(clerk, campaign):
    send(clerk, campaign)
    chosen = {"encoding": "xlsx", "sms": "queued", "page_state": "unopened"}
    told = clerk.post(f"/admin/campaign/{campaign}/status.csv", chosen).headers["Content-Disposition"]
    name = unquote(told.split("UTF-8''")[1])
    assert re.fullmatch(r"訪問_日時のご連絡_状況_SMS送信待ち_ページ未開封_\d{8}-\d{4}\.xlsx", name), name


def test_the_status_csv_is_recorded_before_its_first_byte(clerk, campaign, ask):
    recorded = select(AuditEntry.id).where(AuditEntry.act == "export_status")
    assert clerk.get(f"/admin/campaign/{campaign}/status.csv").status_code in {404, 405}
    assert clerk.post(f"/admin/campaign/{campaign}/status.csv", {"encoding": "utf-7"}).status_code == 404
    assert ask(recorded) == []
    answer = clerk.post(f"/admin/campaign/{campaign}/status.csv", {"encoding": "cp932"}, buffered=False)
    assert len(ask(recorded)) == 1
    answer.close()


def test_the_page_of_a_campaign_always_says_what_to_do_next(app, clerk, ours, campaign, take):
    with app.app_context():
        empty = factories.campaign(ours.tenant, sms_text="", page_text="", page_title="")
    assert "文面と設定を編集する</a>" in page_of(clerk, f"/admin/campaign/{empty}/")
    assert "確認へ進む</a>" in page_of(clerk, f"/admin/campaign/{campaign}/")
    check(clerk, campaign)
    assert "3件の送信へ進む</a>" in page_of(clerk, f"/admin/campaign/{campaign}/")
    assert "/admin/campaign/edit/" in page_of(clerk, f"/admin/campaign/{campaign}/")
    send(clerk, campaign)
    sent = page_of(clerk, f"/admin/campaign/{campaign}/")
    assert "状況を見る</a>" in sent
    assert "/admin/campaign/edit/" not in sent
    clerk.post(f"/admin/campaign/{campaign}/pause")
    assert "状況を見て再開する</a>" in page_of(clerk, f"/admin/campaign/{campaign}/")
    take(steps.complete, campaign)
    assert "結果をダウンロードする</a>" in page_of(clerk, f"/admin/campaign/{campaign}/")


def test_the_status_file_as_a_book_of_those_who_opened(clerk, ours, campaign, take, ask):
    send(clerk, campaign)
    last = ask(
        select(Recipient.id, Recipient.reference).where(Recipient.campaign_id == campaign).order_by(Recipient.id)
    )[-1]
    take(steps.open_page, last[0])
    wanted = {"encoding": "xlsx", "page_state": "opened", "sms": ""}
    answer = clerk.post(f"/admin/campaign/{campaign}/status.csv", wanted)
    assert answer.mimetype.endswith("spreadsheetml.sheet")
    assert answer.headers["Content-Disposition"].endswith(".xlsx")
    rows = list(openpyxl.load_workbook(io.BytesIO(answer.get_data())).worksheets[0].values)
    assert [row[0] for row in rows[1:]] == [last[1]]
    recorded = ask(select(AuditEntry.detail).where(AuditEntry.act == "export_status"))
    assert recorded == [({"encoding": "xlsx", "page": "opened"},)]
    assert clerk.post(f"/admin/campaign/{campaign}/status.csv", {**wanted, "sms": "'; --"}).status_code == 404


def test_the_check_names_characters_that_some_phones_do_not_show_with_their_rows(
    clerk, campaign, change, ask, ours, app
):
    with app.app_context(), tenancy.tenant(ours.tenant):
        rows = db.session.scalars(
            select(Recipient).where(Recipient.campaign_id == campaign).order_by(Recipient.id)
        ).all()
        for sheet_row, (row, name) in enumerate(zip(rows, ["髙橋 ①", "髙田", "佐藤"], strict=True), 2):
            row.fields_sealed = vault.seal(f'{{"氏名": "{name}"}}', fields_place(ours.tenant, row.id))
            row.sheet_row, row.reference = sheet_row, f"K{sheet_row}"
        db.session.commit()
    change("UPDATE campaign SET sms_text = '☎{氏名}様 {リンク}' WHERE id = :id", id=campaign)
    clerk.post(f"/admin/campaign/{campaign}/check/")
    page = clerk.get(f"/admin/campaign/{campaign}/check/").get_data(as_text=True)
    assert "SMS本文の「☎」は" in page
    assert "差込項目の「髙」は、au（KDDI）など携帯会社によっては表示されません：K2（2行目）、K3（3行目）。" in page
    assert "差込項目の「①」は、au（KDDI）など携帯会社によっては表示されません：K2（2行目）。" in page


def test_anybodys_texts_can_be_looked_at_before_sending(clerk, campaign, change, ask):
    change(
        "UPDATE recipient SET sheet_row = 10 + id - (SELECT min(id) FROM recipient WHERE campaign_id = :id)"
        " WHERE campaign_id = :id",
        id=campaign,
    )
    change("UPDATE sms_account SET price_yen = 8.5")
    clerk.post(f"/admin/campaign/{campaign}/check/")
    address = f"/admin/campaign/{campaign}/check/"
    (reference,) = ask(select(Recipient.reference).where(Recipient.sheet_row == 11))[0]
    for wanted in ("11", "１１", reference):
        page = clerk.get(address, query_string={"row": wanted}).get_data(as_text=True)
        assert f"「{wanted}」の人" in page
        assert f"{reference}　090-****" in page
    page = clerk.get(address, query_string={"row": "99"}).get_data(as_text=True)
    assert "「99」の送信先はありません" in page
    assert clerk.get(address, query_string={"row": "9" * 90}).status_code == 200
    assert "約26円（3通×8.5円。" in page


def test_the_list_says_from_when_on_a_campaign_leaves_that_waits_for_the_morning(app, browser_of, ours, change):
    with app.app_context():
        waits = factories.campaign(ours.tenant, sms_account_id=ours.sms_account, profile="collection")
        factories.people(ours.tenant, waits, 1)
        factories.launch(ours.tenant, waits)
    for hour, said in ((3, True), (12, False)):
        with time_machine.travel(datetime(2026, 12, 1, hour, 12, tzinfo=TOKYO), tick=True):
            page = page_of(browser_of(ours.clerk), "/admin/campaign/")
        assert ("いまは時間帯の外（2026/12/01 08:00から）" in page) is said
