"""常設配信: from its words to one SMS to one customer, in four presses; never twice, never by another company."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from app import tenancy
from app.campaigns.send_windows import ALWAYS
from app.extensions import db
from app.models import AuditEntry, Campaign, Recipient, Tenant
from tests import factories
from tests.admin_views.campaign_pages import campaign_form, check, digest_on, page_of, send
from tests.admin_views.conftest import Browser, House


@pytest.fixture
def draft(app: Flask, ours: House) -> int:
    """A standing draft, ready to be checked."""
    with app.app_context():
        with tenancy.platform():
            db.session.get_one(Tenant, ours.tenant).send_window = ALWAYS.to_json()
            db.session.commit()
        return factories.campaign(
            ours.tenant, sms_account_id=ours.sms_account, name="予約の確認", standing=True, day_limit=50
        )


@pytest.fixture
def stranger(browser_of: Callable[[int], Browser], theirs: House) -> Browser:
    """A clerk of another company."""
    return browser_of(theirs.clerk)


@pytest.fixture
def running(clerk: Browser, draft: int) -> int:
    """A standing campaign that takes people in."""
    send(clerk, draft)
    return draft


def fields_of(page: str) -> dict[str, str]:
    """Return a form's hidden fields and typed values, as a browser sends them."""
    found = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
    found |= dict(re.findall(r'<textarea name="(\w+)" hidden aria-hidden="true">\n(.*?)</textarea>', page, re.DOTALL))
    return {name: unescape(value) for name, value in found.items() if name != "csrf_token"}


def typed(page: str, **changes: str) -> dict[str, str]:
    """Fill the form in for one person."""
    values = {
        "電話番号": "090-1234-5678",
        "管理番号": "",
        "氏名": "佐藤 花子",
        "生年月日": "1980/1/2",
        "契約番号下4桁": "0123",
        **changes,
    }
    labels = re.findall(r'<label for="(cell_\d+)">([^<\s]+)', page)
    assert {label for _, label in labels} == set(values)
    return fields_of(page) | {name: values[label] for name, label in labels}


def people(campaign: int) -> Any:
    return select(func.count()).where(Recipient.campaign_id == campaign, Recipient.sms_state == "queued")


def test_it_is_made_checked_and_started(clerk: Browser, ours: House, ask: Any) -> None:
    assert "常設配信をつくる" in page_of(clerk, "/admin/campaign/start/")
    form = page_of(clerk, "/admin/campaign/new/?kind=standing")
    assert re.search(r'value="standing"[^>]*checked|checked[^>]*value="standing"', form)
    values = campaign_form(kind="standing", day_limit="30", sms_account_id=str(ours.sms_account), name="予約の確認")
    answer = clerk.post("/admin/campaign/new/", values)
    assert answer.status_code in {302, 303}, answer.get_data(as_text=True)
    ((made, standing, limit),) = ask(
        select(Campaign.id, Campaign.standing, Campaign.day_limit).where(Campaign.name == "予約の確認")
    )
    assert (standing, limit) == (True, 30)
    overview = page_of(clerk, f"/admin/campaign/{made}/")
    assert "名簿を取り込む" not in overview
    assert "30人" in overview
    assert "合わせて" in check(clerk, made)
    assert "常設配信を開始</button>" in page_of(clerk, f"/admin/campaign/{made}/send/")
    status = send(clerk, made)
    assert "常設配信を開始しました" in status
    assert "1日の上限 30人" in status


def test_times_of_one_day_are_refused_in_the_form(clerk: Browser, ours: House) -> None:
    values = campaign_form(kind="standing", day_limit="", deadline="2099-01-01T10:00", sms_account_id="")
    answer = clerk.post("/admin/campaign/new/", values)
    page = answer.get_data(as_text=True)
    assert "常設配信では使えません" in page
    assert "1人から1,000,000人まで" in page


def test_one_customer_in_four_presses_and_once(clerk: Browser, running: int, ask: Any) -> None:
    home = page_of(clerk, "/admin/")
    assert "/admin/campaign/standing/" in home
    chosen = clerk.get("/admin/campaign/standing/")
    assert (chosen.status_code, chosen.location) == (303, f"/admin/campaign/{running}/one/")
    url = chosen.location
    look = clerk.post(url, typed(page_of(clerk, url)))
    page = look.get_data(as_text=True)
    assert look.status_code == 200
    assert "佐藤 花子様" in page
    assert "090-1234-5678" in page.replace("09012345678", "090-1234-5678")
    assert ask(people(running)) == [(0,)]
    press = fields_of(page) | {"send": "1"}
    first = clerk.post(url, press)
    assert (first.status_code, first.location) == (303, f"/admin/campaign/{running}/status/")
    status = page_of(clerk, first.location)
    assert "受け付けました" in status
    again = clerk.post(url, press)
    assert "二重には送られません" in page_of(clerk, again.location)
    assert ask(people(running)) == [(1,)]
    assert "今日は1人を受け付けました" in page_of(clerk, f"/admin/campaign/{running}/status/")


def test_a_bad_field_is_told_where_it_stands_and_kept(clerk: Browser, running: int, ask: Any) -> None:
    url = f"/admin/campaign/{running}/one/"
    form = page_of(clerk, url)
    answer = clerk.post(url, typed(form, 電話番号="03-1234-5678", 氏名="鈴木"))
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "まだ送っていません" in page
    assert 'value="鈴木"' in page
    assert len(re.findall('aria-invalid="true"', page)) == 1
    # straight to the sending, without a look
    assert clerk.post(url, typed(form, 電話番号="") | {"send": "1"}).status_code == 422
    assert ask(people(running)) == [(0,)]


def test_the_same_number_on_a_day_is_asked_about(clerk: Browser, running: int, ask: Any) -> None:
    url = f"/admin/campaign/{running}/one/"
    form = page_of(clerk, url)
    clerk.post(url, typed(form) | {"send": "1"})
    another = page_of(clerk, url)
    refused = clerk.post(url, typed(another) | {"send": "1"})
    assert refused.status_code == 422
    page = refused.get_data(as_text=True)
    assert "同じ番号にもう1通送る" in page
    assert ask(people(running)) == [(1,)]
    clerk.post(url, typed(page) | {"send": "1", "despite": "1"})
    assert ask(people(running)) == [(2,)]


def test_other_words_take_over_only_when_they_are_started(clerk: Browser, running: int, ours: House, ask: Any) -> None:
    url = f"/admin/campaign/{running}/one/"
    old_form = page_of(clerk, url)
    answer = clerk.post(f"/admin/campaign/{running}/new-version")
    draft = int(re.findall(r"[?&]id=(\d+)", answer.location)[0])
    assert clerk.post(f"/admin/campaign/{running}/new-version").location == answer.location
    page_of(clerk, answer.location)
    send(clerk, draft)
    refused = clerk.post(url, typed(old_form) | {"send": "1"})
    assert "文面が変わりました" in refused.get_data(as_text=True)
    assert ask(people(running)) == [(0,)]
    assert clerk.get(url).location == f"/admin/campaign/{draft}/one/"
    assert "いまの文面の画面へ" in page_of(clerk, f"/admin/campaign/{running}/status/")
    assert "文面の版" in page_of(clerk, f"/admin/campaign/{draft}/status/")


def test_a_list_goes_out_as_a_campaign_of_its_own(clerk: Browser, running: int, app: Flask, ours: House) -> None:
    answer = clerk.post(f"/admin/campaign/{running}/list-draft")
    assert re.fullmatch(r"/admin/campaign/\d+/list/", answer.location)
    made = int(answer.location.split("/")[3])
    assert "名簿を取り込む" in page_of(clerk, answer.location)
    with app.app_context():
        factories.people(ours.tenant, made, 3)
    assert "3件を送信</button>" in (check(clerk, made) and page_of(clerk, f"/admin/campaign/{made}/send/"))
    send(clerk, made)
    assert "名簿で送った配信" in page_of(clerk, f"/admin/campaign/{running}/status/")


def test_ended_it_takes_nobody(clerk: Browser, running: int, ask: Any) -> None:
    assert "終了は取り消せません" in page_of(clerk, f"/admin/campaign/{running}/end")
    clerk.post(f"/admin/campaign/{running}/end")
    assert ask(select(func.count()).where(AuditEntry.act == "end_standing")) == [(1,)]
    assert "終了" in page_of(clerk, f"/admin/campaign/{running}/status/")
    assert clerk.get(f"/admin/campaign/{running}/one/").status_code == 303
    assert "1人に送れる常設配信がありません" in page_of(clerk, "/admin/campaign/standing/")
    assert "/admin/campaign/standing/" not in page_of(clerk, "/admin/")


def test_a_draft_takes_no_list_and_offers_none(clerk: Browser, draft: int) -> None:
    page = page_of(clerk, f"/admin/campaign/{draft}/list/")
    assert 'type="file"' not in page
    assert clerk.get(f"/admin/campaign/{draft}/list/one").status_code == 303


def test_a_second_person_approves_the_start(
    clerk: Browser, manager: Browser, draft: int, app: Flask, ours: House, ask: Any
) -> None:
    with app.app_context(), tenancy.platform():
        db.session.get_one(Tenant, ours.tenant).approval_above = 1000
        db.session.commit()
    check(clerk, draft)
    digest = digest_on(clerk, draft)
    answer = clerk.post(f"/admin/campaign/{draft}/send/", {"digest": digest})
    assert "常設配信の開始を承認しますか" in page_of(clerk, answer.location)
    assert ask(select(Campaign.state).where(Campaign.id == draft)) == [("approval",)]
    manager.post(f"/admin/campaign/{draft}/approve", {"digest": digest})
    assert ask(select(Campaign.state).where(Campaign.id == draft)) == [("sending",)]


@pytest.mark.parametrize("way", ["one/", "end"])
def test_another_companys_is_not_found(stranger: Browser, running: int, way: str) -> None:
    assert stranger.get(f"/admin/campaign/{running}/{way}").status_code == 404
    assert stranger.post(f"/admin/campaign/{running}/{way}").status_code == 404


@pytest.mark.parametrize("way", ["new-version", "list-draft"])
def test_another_companys_is_not_changed(stranger: Browser, running: int, way: str) -> None:
    assert stranger.post(f"/admin/campaign/{running}/{way}").status_code == 404
