"""Hours, booking and trial, by clicks."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app import tenancy
from app.campaigns.send_windows import DAYS
from app.extensions import db
from app.models import Campaign, SmsAccount, Tenant, TrialMessage
from app.values.japan_time import TOKYO
from tests.admin_views.campaign_pages import campaign_form
from tests.admin_views.conftest import Browser, House, plain, words

WORKDAYS = {f"hours-{day}_{end}": time for day in DAYS[:5] for end, time in (("from", "09:00"), ("to", "18:00"))}
REST = {f"hours-{day}_{end}": "" for day in DAYS[5:] for end in ("from", "to")}
HOURS = {"hours-choice": "own", **WORKDAYS, **REST}


def local(at: datetime) -> str:
    return at.astimezone(TOKYO).strftime("%Y-%m-%dT%H:%M")


def newest(app: Flask, house: House) -> Campaign:
    with app.app_context(), tenancy.tenant(house.tenant):
        row = db.session.query(Campaign).order_by(Campaign.id.desc()).first()
        assert row is not None
        db.session.expunge_all()
        return row


# --- the forms ---


def test_hours_start_deadline_and_retries_are_written_and_come_back(app: Flask, clerk: Browser, ours: House) -> None:
    starts = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=1)
    deadline = starts + timedelta(days=2)
    typed = {
        **HOURS,
        "hours-mon_from": "９：３０",
        "profile": "collection",
        "starts": local(starts),
        "deadline": local(deadline),
        "retry_times": "1",
        "retry_after_minutes": "15",
    }
    assert clerk.post("/admin/campaign/new/", campaign_form(**typed)).status_code == 302
    row = newest(app, ours)
    assert row.send_window == {
        "days": {"mon": ["09:30", "18:00"], **{day: ["09:00", "18:00"] for day in DAYS[1:5]}},
        "holidays": False,
    }
    assert (row.profile, row.retry_times, row.retry_after_minutes) == ("collection", 1, 15)
    assert (row.starts_at, row.deadline_at) == (starts, deadline)
    page = clerk.get(f"/admin/campaign/edit/?id={row.id}").get_data(as_text=True)
    for value in ("09:30", local(starts), local(deadline), "15"):
        assert f'value="{value}"' in page
    overview = words(clerk, f"/admin/campaign/{row.id}/")
    assert "月 9:30〜18:00、火〜金 9:00〜18:00（祝日は送りません）／督促" in overview
    assert "1回まで（15分以上の間隔）" in overview


def test_without_a_word_the_companys_hours_count(app: Flask, clerk: Browser, ours: House) -> None:
    clerk.post("/admin/campaign/new/", campaign_form())
    row = newest(app, ours)
    assert (row.send_window, row.profile, row.starts_at, row.deadline_at) == (None, "normal", None, None)
    assert (row.retry_times, row.retry_after_minutes) == (3, 60)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hours-mon_from": "9時"}, "時刻は 09:00 の形で"),
        ({"hours-mon_from": "25:00"}, "時刻は 09:00 の形で"),
        ({"hours-mon_to": ""}, "開始と終了の両方を"),
        ({"hours-mon_to": "09:00"}, "終了は開始より後に"),
        (dict.fromkeys(WORKDAYS, ""), "1つ以上入力"),
        ({"hours-choice": "never"}, "選択肢から選び直して"),
        ({"starts": "2020-01-01T09:00"}, "いまより先"),
        ({"deadline": "2020-01-01T09:00"}, "いまより先"),
        ({"starts": "2999-01-01T09:00"}, "366日以内"),
        ({"starts": "あした"}, "日時を正しく入力"),
        ({"retry_times": "6"}, "選択肢から選び直して"),
        ({"retry_after_minutes": "4"}, "5分から1440分"),
        ({"profile": "anything"}, "選択肢から選び直して"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_typed_is_lost(
    clerk: Browser, ask: Callable[[Any], list[Any]], changes: dict[str, str], said: str
) -> None:
    answer = clerk.post("/admin/campaign/new/", campaign_form(**{**HOURS, "hours-fri_to": "17:45", **changes}))
    page = answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert said in plain(page)
    if "hours-fri_to" not in changes:
        assert 'value="17:45"' in page
    assert ask(select(Campaign.id).where(Campaign.name == "12月度のご案内")) == []


def test_the_deadline_comes_after_the_start(clerk: Browser) -> None:
    at = local(datetime.now(UTC) + timedelta(days=1))
    page = clerk.post("/admin/campaign/new/", campaign_form(starts=at, deadline=at)).get_data(as_text=True)
    assert "送信を始める日時より後に" in page


def test_an_operator_sets_a_companys_hours_and_cap(
    app: Flask, browser_of: Callable[[int], Browser], operator: int, ours: House, clerk: Browser
) -> None:
    browser = browser_of(operator)
    url = f"/admin/tenant/edit/?id={ours.tenant}"
    kept = {"name": "みどり信販", "state": "active", "contact_phone": "03-1234-5678", "contact_hours": ""}
    assert browser.post(url, {**kept, **HOURS, "hours-holidays": "y", "daily_cap": "5000"}).status_code == 302
    with app.app_context(), tenancy.platform():
        row = db.session.get_one(Tenant, ours.tenant)
        assert row.daily_cap == 5000
        assert row.send_window == {"days": {day: ["09:00", "18:00"] for day in DAYS[:5]}, "holidays": True}
    assert "会社の送信時間帯：月〜金 9:00〜18:00（祝日も送ります）" in words(
        clerk, f"/admin/campaign/edit/?id={ours.campaign}"
    )
    assert browser.post(url, {**kept, **HOURS, "hours-choice": "usual", "daily_cap": ""}).status_code == 302
    with app.app_context(), tenancy.platform():
        row = db.session.get_one(Tenant, ours.tenant)
        assert (row.send_window, row.daily_cap) == (None, None)
    refused = browser.post(url, {**kept, **HOURS, "hours-tue_to": "7:00", "daily_cap": "0"}).get_data(as_text=True)
    assert "終了は開始より後に" in refused
    assert "1以上、10,000,000以下" in refused


def test_a_rate_is_kept_with_the_account(app: Flask, manager: Browser, ours: House) -> None:
    url = f"/admin/sms_account/edit/?id={ours.sms_account}"
    kept = {
        "name": "本社",
        "active": "y",
        "provider_tenant_id": "00000000-0000-0000-0000-000000000001",
        "provider_service_id": "1",
        "provider_token": "",
    }
    assert manager.post(url, {**kept, "rate_per_s": "20"}).status_code == 302
    with app.app_context(), tenancy.tenant(ours.tenant):
        assert db.session.get_one(SmsAccount, ours.sms_account).rate_per_s == 20
    assert "1から1000まで" in manager.post(url, {**kept, "rate_per_s": "1001"}).get_data(as_text=True)
    # text that a field for numbers can't read is sent as nothing by the browser: here that would lift the limit
    page = manager.get(url).get_data(as_text=True)
    assert 'type="number"' not in page
    refused = manager.post(url, {**kept, "rate_per_s": "20件"}).get_data(as_text=True)
    assert "整数で入力してください" in refused
    assert "1から1000まで" not in refused
    assert 'value="20件"' in refused
    assert "数字で入力してください" in manager.post(url, {**kept, "price_yen": "八円"}).get_data(as_text=True)
    assert manager.post(url, {**kept, "rate_per_s": "１,０００", "price_yen": "８．５"}).status_code == 302
    with app.app_context(), tenancy.tenant(ours.tenant):
        row = db.session.get_one(SmsAccount, ours.sms_account)
        assert (row.rate_per_s, str(row.price_yen)) == (1000, "8.50")


# --- booking ---


def check_and_send(browser: Browser, campaign: int) -> Any:
    browser.post(f"/admin/campaign/{campaign}/check/")
    page = browser.get(f"/admin/campaign/{campaign}/send/").get_data(as_text=True)
    found = re.search(r'name="digest" value="(\w+)"', page)
    assert found, plain(page)
    answer = browser.post(f"/admin/campaign/{campaign}/send/", {"digest": found[1]}, follow_redirects=True)
    return page, plain(answer.get_data(as_text=True))


def test_a_campaign_is_booked_and_withdrawn(
    clerk: Browser, campaign: int, ask: Callable[[Any], list[Any]], change: Callable[..., None]
) -> None:
    starts = datetime.now(UTC) + timedelta(days=1)
    change("UPDATE campaign SET starts_at = :at WHERE id = :id", at=starts, id=campaign)
    page, after = check_and_send(clerk, campaign)
    assert "3件の送信を予約</button>" in page
    when = starts.astimezone(TOKYO)
    said = f"{when.year}年{when.month}月{when.day}日 {when:%H:%M}"
    assert f"{said}（予約）" in plain(page)
    assert f"送信を予約しました。{said}に始まります" in after
    assert f"{said}に、3件の送信を始める予約をしています" in after
    assert ask(select(Campaign.state).where(Campaign.id == campaign)) == [("scheduled",)]
    change("UPDATE campaign SET starts_at = now() - interval '5 seconds' WHERE id = :id", id=campaign)
    page = words(clerk, f"/admin/campaign/{campaign}/")
    assert "まもなく、3件の送信を始めます" in page
    assert f"{said}に、" not in page
    assert clerk.get(f"/admin/campaign/edit/?id={campaign}").status_code == 303
    assert "取りやめ、下書きに戻しました" in plain(
        clerk.post(f"/admin/campaign/{campaign}/withdraw", follow_redirects=True).get_data(as_text=True)
    )
    assert "予約されていないか" in plain(
        clerk.post(f"/admin/campaign/{campaign}/withdraw", follow_redirects=True).get_data(as_text=True)
    )
    assert ask(select(Campaign.state).where(Campaign.id == campaign)) == [("draft",)]
    assert clerk.get(f"/admin/campaign/edit/?id={campaign}").status_code == 200


def test_outside_the_hours_the_page_says_when_it_begins(
    clerk: Browser, campaign: int, change: Callable[..., None]
) -> None:
    opens = datetime.now(TOKYO) + timedelta(days=3)
    change(
        "UPDATE campaign SET send_window = CAST(:window AS jsonb) WHERE id = :id",
        window=f'{{"days": {{"{DAYS[opens.weekday()]}": ["10:00", "18:00"]}}, "holidays": true}}',
        id=campaign,
    )
    page, after = check_and_send(clerk, campaign)
    said = f"{opens.year}年{opens.month}月{opens.day}日 10:00"
    assert f"{said}（送信時間帯が始まるとき）" in plain(page)
    assert f"いまは送信時間帯の外のため、{said}に始まります" in after


def test_a_booking_that_could_not_start_says_why(clerk: Browser, campaign: int, change: Callable[..., None]) -> None:
    change(
        "INSERT INTO event (tenant_id, campaign_id, track, state, at, actor, detail)"
        " SELECT tenant_id, id, 'campaign', 'draft', now(), 'system', '{\"reason\": \"changed\"}'"
        " FROM campaign WHERE id = :id",
        id=campaign,
    )
    assert "予約していた送信は始まりませんでした" in words(clerk, f"/admin/campaign/{campaign}/")
    assert "予約していた配信「満期のご案内」は始まりませんでした" in words(clerk, "/admin/")
    clerk.post(f"/admin/campaign/{campaign}/check/")
    check_and_send(clerk, campaign)
    assert "始まりませんでした" not in words(clerk, "/admin/")


# --- trial ---


def test_a_trial_is_offered_after_the_check_and_says_what_it_came_to(
    clerk: Browser, campaign: int, ask: Callable[[Any], list[Any]]
) -> None:
    url = f"/admin/campaign/{campaign}/trial"
    assert "テストのSMSを送る" not in words(clerk, f"/admin/campaign/{campaign}/check/")
    clerk.post(f"/admin/campaign/{campaign}/check/")
    assert "テストのSMSを送る" in words(clerk, f"/admin/campaign/{campaign}/check/")
    refused = clerk.post(url, {"phone": "03-1234-5678"})
    assert refused.status_code == 422
    assert 'value="03-1234-5678"' in refused.get_data(as_text=True)
    assert ask(select(TrialMessage.id)) == []
    # nothing listens where this test's provider would be: it provably did not leave
    told = clerk.post(url, {"phone": "090-1111-2222"}, follow_redirects=True).get_data(as_text=True)
    assert "受け付けられませんでした" in plain(told)
    assert "090-****-2222" in told
    assert ask(select(TrialMessage.state)) == [("undelivered",)]
