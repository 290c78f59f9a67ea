"""Hours, booking, trial, sending again, reminders and decisions, by clicks."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text

from app import tenancy
from app.campaigns.windows import DAYS
from app.extensions import db
from app.models import Campaign, Recipient, Reminder, SmsAccount, Tenant, TrialMessage
from app.tracking.clock import TOKYO
from tests import factories
from tests.admin_views.conftest import Browser, House
from tests.admin_views.test_writing import _form

WORKDAYS = {f"hours-{day}_{end}": time for day in DAYS[:5] for end, time in (("from", "09:00"), ("to", "18:00"))}
REST = {f"hours-{day}_{end}": "" for day in DAYS[5:] for end in ("from", "to")}
HOURS = {"hours-choice": "own", **WORKDAYS, **REST}


@pytest.fixture
def clerk(browser_of: Callable[[int], Browser], ours: House) -> Browser:
    return browser_of(ours.clerk)


@pytest.fixture
def manager(browser_of: Callable[[int], Browser], ours: House) -> Browser:
    return browser_of(ours.manager)


@pytest.fixture
def campaign(app: Flask, ours: House) -> int:
    """A campaign without payment, ready to be checked; three people."""
    with app.app_context():
        made = factories.campaign(ours.tenant, sms_account_id=ours.sms_account, name="満期のご案内")
        factories.people(ours.tenant, made, 3)
        return made


@pytest.fixture
def ask(app: Flask, ours: House) -> Callable[[Any], list[Any]]:
    def ask(statement: Any) -> list[Any]:
        with app.app_context(), tenancy.tenant(ours.tenant):
            return [tuple(row) for row in db.session.execute(statement)]

    return ask


@pytest.fixture
def change(app: Flask, ours: House) -> Callable[..., None]:
    def change(statement: str, **values: Any) -> None:
        with app.app_context(), tenancy.platform():
            db.session.execute(text(statement), values)
            db.session.commit()

    return change


def words(browser: Browser, url: str) -> str:
    answer = browser.get(url)
    assert answer.status_code == 200, url
    return plain(answer.get_data(as_text=True))


def plain(page: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))


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
    assert clerk.post("/admin/campaign/new/", _form(**typed)).status_code == 302
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
    clerk.post("/admin/campaign/new/", _form())
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
    answer = clerk.post("/admin/campaign/new/", _form(**{**HOURS, "hours-fri_to": "17:45", **changes}))
    page = answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert said in plain(page)
    if "hours-fri_to" not in changes:
        assert 'value="17:45"' in page
    assert ask(select(Campaign.id).where(Campaign.name == "12月度のご案内")) == []


def test_the_deadline_comes_after_the_start(clerk: Browser) -> None:
    at = local(datetime.now(UTC) + timedelta(days=1))
    page = clerk.post("/admin/campaign/new/", _form(starts=at, deadline=at)).get_data(as_text=True)
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
        "sender": "",
        "provider_tenant_id": "00000000-0000-0000-0000-000000000001",
        "provider_service_id": "1",
        "provider_token": "",
    }
    assert manager.post(url, {**kept, "rate_per_s": "20"}).status_code == 302
    with app.app_context(), tenancy.tenant(ours.tenant):
        assert db.session.get_one(SmsAccount, ours.sms_account).rate_per_s == 20
    assert "1から1000まで" in manager.post(url, {**kept, "rate_per_s": "1001"}).get_data(as_text=True)


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


# --- again ---


@pytest.fixture
def sent(app: Flask, ours: House, campaign: int, change: Callable[..., None]) -> int:
    """A campaign that was sent: one opened, one did not, one could not be reached for a passing cause."""
    with app.app_context():
        factories.launch(ours.tenant, campaign)
    change("UPDATE slice SET due_at = NULL WHERE campaign_id = :id", id=campaign)
    change("UPDATE campaign SET state = 'completed', completed_at = now() WHERE id = :id", id=campaign)
    change(
        "UPDATE recipient SET sms_state = 'delivered', sent_at = now(), link_expires_at = now() + interval '14 days'"
        " WHERE campaign_id = :id",
        id=campaign,
    )
    change(
        "UPDATE recipient SET sms_state = 'undelivered', sms_code = 'unconnected'"
        " WHERE id = (SELECT min(id) FROM recipient WHERE campaign_id = :id)",
        id=campaign,
    )
    change(
        "UPDATE recipient SET page_state = 'opened' WHERE id = (SELECT max(id) FROM recipient WHERE campaign_id = :id)",
        id=campaign,
    )
    return campaign


def states(campaign: int) -> Any:
    return select(Recipient.sms_state).where(Recipient.campaign_id == campaign).order_by(Recipient.id)


def test_the_unreached_are_written_to_again_once_confirmed(
    clerk: Browser, sent: int, ask: Callable[[Any], list[Any]]
) -> None:
    status = clerk.get(f"/admin/campaign/{sent}/status/").get_data(as_text=True)
    url = f"/admin/campaign/{sent}/resend"
    assert f'href="{url}"' in status
    asked = words(clerk, url)
    assert "1件に送り直す" in asked
    assert "すぐに送信が始まります" in asked
    assert ask(states(sent)) == [("undelivered",), ("delivered",), ("delivered",)]
    after = plain(clerk.post(url, follow_redirects=True).get_data(as_text=True))
    assert "1件の再送を始めました" in after
    assert ask(states(sent)) == [("queued",), ("delivered",), ("delivered",)]
    again = plain(clerk.post(url, follow_redirects=True).get_data(as_text=True))
    assert "送り直す相手はいません" in again


def reminder_form(browser: Browser, url: str) -> dict[str, str]:
    page = browser.get(url).get_data(as_text=True)
    number = re.search(r'name="number" value="(\d+)"', page)
    typed = re.search(r'<textarea[^>]*name="sms_text"[^>]*>(.*?)</textarea>', page, re.DOTALL)
    assert number, plain(page)
    assert typed
    return {"number": number[1], "sms_text": unescape(typed[1])}


def test_who_has_not_opened_is_reminded_once(clerk: Browser, sent: int, ask: Callable[[Any], list[Any]]) -> None:
    url = f"/admin/campaign/{sent}/remind/unopened"
    asked = words(clerk, url)
    assert "まだ開いていない人1件に、SMSをもう一度送りますか" in asked
    assert "このうち1件には、24時間以内にSMSを送っています" in asked
    form = reminder_form(clerk, url)
    assert form["sms_text"] == factories.SMS_TEXT
    assert clerk.post(url, form).status_code == 303
    second = clerk.post(url, form)
    assert second.status_code == 422
    assert "ほかの人がリマインドを送ったか" in second.get_data(as_text=True)
    assert ask(states(sent)) == [("undelivered",), ("queued",), ("delivered",)]
    assert ask(select(Reminder.number, Reminder.people, Reminder.sms_text)) == [(1, 1, factories.SMS_TEXT)]
    status = words(clerk, f"/admin/campaign/{sent}/status/")
    assert "送ったリマインド" in status


def test_a_reminders_words_are_checked_and_not_lost(
    clerk: Browser, sent: int, ask: Callable[[Any], list[Any]], change: Callable[..., None]
) -> None:
    url = f"/admin/campaign/{sent}/remind/unopened"
    form = reminder_form(clerk, url)
    refused = clerk.post(url, {**form, "sms_text": "お忘れではありませんか <b>"})
    assert refused.status_code == 422
    page = refused.get_data(as_text=True)
    assert "{リンク} がありません" in page
    assert "お忘れではありませんか &lt;b&gt;" in page
    assert ask(select(Reminder.id)) == []
    assert clerk.post(url, {**form, "number": "１"}).status_code == 422
    change("UPDATE recipient SET page_state = 'opened'")
    assert "リマインドを送る相手がいません" in words(clerk, url)


def test_only_campaigns_that_ask_for_payment_remind_of_it(clerk: Browser, sent: int, ours: House) -> None:
    assert clerk.get(f"/admin/campaign/{sent}/remind/unpaid").status_code == 404
    assert clerk.get(f"/admin/campaign/{sent}/remind/anybody").status_code == 404
    assert clerk.get(f"/admin/campaign/{ours.campaign}/remind/unpaid").status_code == 200


def test_a_paused_campaign_offers_nothing_of_it(clerk: Browser, sent: int, change: Callable[..., None]) -> None:
    change("UPDATE campaign SET state = 'paused' WHERE id = :id", id=sent)
    assert "もう一度送る" not in words(clerk, f"/admin/campaign/{sent}/status/")
    assert "先に送信を再開してください" in plain(
        clerk.get(f"/admin/campaign/{sent}/resend", follow_redirects=True).get_data(as_text=True)
    )


# --- held ---


@pytest.fixture
def held_one(sent: int, ask: Callable[[Any], list[Any]], change: Callable[..., None]) -> int:
    """Somebody whose SMS has had no known fate for two days."""
    recipient_id = ask(select(Recipient.id).where(Recipient.campaign_id == sent).order_by(Recipient.id))[1][0]
    change(
        "UPDATE recipient SET sms_state = 'unknown', unknown_at = now(), sms_attempt = 1 WHERE id = :id",
        id=recipient_id,
    )
    change("UPDATE campaign SET state = 'sending' WHERE id = :id", id=sent)
    change(
        "INSERT INTO send_log (tenant_id, campaign_id, recipient_id, sms_account_id, attempt, fence, state, started_at)"
        " SELECT r.tenant_id, r.campaign_id, r.id, c.sms_account_id, 1, 1, 'unknown', now() - interval '2 days'"
        " FROM recipient r JOIN campaign c ON c.id = r.campaign_id WHERE r.id = :id",
        id=recipient_id,
    )
    return int(recipient_id)


def test_a_manager_decides_what_nobody_can_tell(
    manager: Browser, clerk: Browser, sent: int, held_one: int, ask: Callable[[Any], list[Any]]
) -> None:
    assert "1 件 は送信事業者に照会しても結果が分かりません" in words(manager, f"/admin/campaign/{sent}/status/")
    person = f"/admin/recipient/details/?id={held_one}"
    assert "自社の管理者に依頼してください" in words(clerk, person)
    assert "送信済みとする" not in words(clerk, person)
    for how in ("sent", "again"):
        url = f"/admin/recipient/{held_one}/settle/{how}"
        assert f'href="{url}"' in manager.get(person).get_data(as_text=True)
        assert clerk.get(url).status_code == 403
        assert clerk.post(url).status_code == 403
    assert "同じ人に2通目のSMSが届きます" in words(manager, f"/admin/recipient/{held_one}/settle/again")
    assert ask(select(Recipient.sms_state).where(Recipient.id == held_one)) == [("unknown",)]
    done = manager.post(f"/admin/recipient/{held_one}/settle/sent", follow_redirects=True).get_data(as_text=True)
    assert "送信済みとしました" in done
    assert ask(select(Recipient.sms_state).where(Recipient.id == held_one)) == [("accepted",)]
    late = manager.post(f"/admin/recipient/{held_one}/settle/again", follow_redirects=True).get_data(as_text=True)
    assert "何もしていません" in late
    assert ask(select(Recipient.sms_state).where(Recipient.id == held_one)) == [("accepted",)]


def test_sending_again_is_a_managers_word_too(manager: Browser, held_one: int, ask: Callable[[Any], list[Any]]) -> None:
    manager.post(f"/admin/recipient/{held_one}/settle/again")
    assert ask(select(Recipient.sms_state).where(Recipient.id == held_one)) == [("queued",)]
    assert manager.get(f"/admin/recipient/{held_one}/settle/never").status_code == 404


def test_another_companys_person_is_decided_by_nobody_else(
    browser_of: Callable[[int], Browser], theirs: House, held_one: int
) -> None:
    browser = browser_of(theirs.manager)
    for method in (browser.get, browser.post):
        assert method(f"/admin/recipient/{held_one}/settle/sent").status_code == 404


def test_whom_the_hours_cut_off_is_told_of(clerk: Browser, sent: int, change: Callable[..., None]) -> None:
    url = f"/admin/campaign/{sent}/status/"
    told = "は、送信できる時間帯のうちに締切かリンクの有効期限が来たため、送信されませんでした。"
    assert told not in words(clerk, url)
    change("UPDATE recipient SET sms_state = 'expired' WHERE campaign_id = :id", id=sent)
    assert f"件 {told}" in words(clerk, url)
