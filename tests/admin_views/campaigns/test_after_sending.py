"""Sending again, reminders and decisions about whom nobody can tell of, by clicks."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.models import Recipient, Reminder
from app.states.vocabulary import SMS, SmsState
from tests import factories, steps
from tests.admin_views.conftest import Browser, House, plain, words

# --- again ---


@pytest.fixture
def sent(app: Flask, ours: House, campaign: int, change: Callable[..., None]) -> int:
    """A campaign that was sent: one opened, one did not, one could not be reached for a passing cause."""
    with app.app_context():
        factories.launch(ours.tenant, campaign)
        unreached, *reached = steps.everybody(campaign_id=campaign)
        steps.fail(unreached)
        steps.deliver(*reached)
        steps.open_page(reached[-1])
        steps.complete(campaign)
    change("UPDATE slice SET due_at = NULL WHERE campaign_id = :id", id=campaign)
    return campaign


def people(ask: Callable[[Any], list[Any]], campaign: int) -> list[int]:
    return [row[0] for row in ask(select(Recipient.id).where(Recipient.campaign_id == campaign).order_by(Recipient.id))]


def states(campaign: int) -> Any:
    return select(Recipient.sms_state).where(Recipient.campaign_id == campaign).order_by(Recipient.id)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("unconnected", "番号が正しければ、「状況」の画面の「不達の人へ再送」で送り直せます。"),
        ("error", "この番号へは、送り直しても届きません。"),
        ("validation_error:to", "この番号へは、送り直しても届きません。"),
    ],
)
def test_the_page_of_somebody_unreached_says_what_to_do(
    clerk: Browser, sent: int, ask: Callable[[Any], list[Any]], change: Callable[..., None], code: str, said: str
) -> None:
    change("UPDATE recipient SET sms_code = :code WHERE sms_state = 'undelivered'", code=code)
    [(unreached,), (reached,)] = ask(
        select(Recipient.id)
        .where(Recipient.campaign_id == sent, Recipient.page_state == "unopened")
        .order_by(Recipient.id)
    )
    page = words(clerk, f"/admin/recipient/details/?id={unreached}")
    assert said in page
    assert "番号が違うときは、ご本人に正しい番号を確かめ" in page
    assert "SMSは届いていません" not in words(clerk, f"/admin/recipient/details/?id={reached}")


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
    clerk: Browser, sent: int, ask: Callable[[Any], list[Any]], take: Callable[..., None]
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
    take(steps.open_page, *people(ask, sent))
    assert "リマインドを送る相手がいません" in words(clerk, url)


def test_more_than_need_an_approval_are_reminded_by_a_manager(
    clerk: Browser, manager: Browser, sent: int, ask: Callable[[Any], list[Any]], change: Callable[..., None]
) -> None:
    change("UPDATE tenant SET approval_above = 0")
    url = f"/admin/campaign/{sent}/remind/unopened"
    form = reminder_form(clerk, url)
    refused = clerk.post(url, form)
    assert refused.status_code == 422
    assert "リマインドは、管理者が送ります" in refused.get_data(as_text=True)
    assert ask(select(Reminder.id)) == []
    assert manager.post(url, form).status_code == 303
    assert ask(select(Reminder.people)) == [(1,)]


def test_a_cancelled_campaign_tells_whom_nothing_was_sent_to_and_promises_nothing(
    clerk: Browser, sent: int, ask: Callable[[Any], list[Any]], take: Callable[..., None]
) -> None:
    unreached, _, opened = people(ask, sent)
    take(steps.call_off, unreached)
    take(steps.lose, opened)
    status = f"/admin/campaign/{sent}/status/"
    assert "自動で送り直します" in words(clerk, status)
    take(steps.cancel, sent)
    page = words(clerk, status)
    assert "送らずに取消" in page
    assert "配信は取り消されているため、送られていないと確かめられても、送り直しません" in page
    assert "自動で送り直します" not in page


def test_only_campaigns_that_ask_for_payment_remind_of_it(clerk: Browser, sent: int, ours: House) -> None:
    assert clerk.get(f"/admin/campaign/{sent}/remind/unpaid").status_code == 404
    assert clerk.get(f"/admin/campaign/{sent}/remind/anybody").status_code == 404
    assert clerk.get(f"/admin/campaign/{ours.campaign}/remind/unpaid").status_code == 200


def test_a_paused_campaign_offers_nothing_of_it(clerk: Browser, sent: int, take: Callable[..., None]) -> None:
    take(steps.pause, sent)
    assert "もう一度送る" not in words(clerk, f"/admin/campaign/{sent}/status/")
    assert "先に送信を再開してください" in plain(
        clerk.get(f"/admin/campaign/{sent}/resend", follow_redirects=True).get_data(as_text=True)
    )


# --- held ---


@pytest.fixture
def held_one(sent: int, ask: Callable[[Any], list[Any]], change: Callable[..., None], take: Callable[..., None]) -> int:
    """Somebody whose SMS has had no known fate for two days."""
    recipient_id = people(ask, sent)[1]
    take(steps.lose, recipient_id)
    take(steps.resume, sent)
    change(
        "INSERT INTO send_log (tenant_id, campaign_id, recipient_id, sms_account_id, attempt, fence, state, started_at)"
        " SELECT r.tenant_id, r.campaign_id, r.id, c.sms_account_id, r.sms_attempt, 1, 'unknown',"
        " now() - interval '2 days'"
        " FROM recipient r JOIN campaign c ON c.id = r.campaign_id WHERE r.id = :id",
        id=recipient_id,
    )
    return recipient_id


def seen(browser: Browser, url: str) -> dict[str, str]:
    """Return what the question's form sends: when it was seen."""
    found = re.search(r'name="seen_at" value="([^"]+)"', browser.get(url).get_data(as_text=True))
    assert found
    return {"seen_at": found[1]}


def test_a_manager_decides_what_nobody_can_tell(
    manager: Browser, clerk: Browser, sent: int, held_one: int, ask: Callable[[Any], list[Any]]
) -> None:
    status = words(manager, f"/admin/campaign/{sent}/status/")
    assert "1 件 は照会しても結果を確かめられないため、止めています" in status
    assert "照会中です" not in status, "each person is told of once"
    person = f"/admin/recipient/details/?id={held_one}"
    assert "自社の管理者に依頼してください" in words(clerk, person)
    assert f"/admin/recipient/{held_one}/settle/" not in clerk.get(person).get_data(as_text=True)
    for how in ("sent", "again"):
        url = f"/admin/recipient/{held_one}/settle/{how}"
        assert f'href="{url}"' in manager.get(person).get_data(as_text=True)
        assert clerk.get(url).status_code == 403
        assert clerk.post(url).status_code == 403
    asked = words(manager, f"/admin/recipient/{held_one}/settle/again")
    assert "これまでのSMSが届いていた場合は、その分だけ重ねて届きます" in asked
    assert "1通のSMSを送ります" in asked
    late_form = seen(manager, f"/admin/recipient/{held_one}/settle/again")
    assert ask(select(Recipient.sms_state).where(Recipient.id == held_one)) == [("unknown",)]
    unseen = manager.post(f"/admin/recipient/{held_one}/settle/sent", follow_redirects=True).get_data(as_text=True)
    assert "何もしていません" in unseen, "nobody decides about what they didn't see"
    url = f"/admin/recipient/{held_one}/settle/sent"
    done = manager.post(url, seen(manager, url), follow_redirects=True).get_data(as_text=True)
    assert "送信済みとしました" in done
    assert ask(select(Recipient.sms_state).where(Recipient.id == held_one)) == [("accepted",)]
    url = f"/admin/recipient/{held_one}/settle/again"
    late = manager.post(url, late_form, follow_redirects=True).get_data(as_text=True)
    assert "何もしていません" in late
    assert ask(select(Recipient.sms_state).where(Recipient.id == held_one)) == [("accepted",)]


def test_sending_again_is_a_managers_word_too(manager: Browser, held_one: int, ask: Callable[[Any], list[Any]]) -> None:
    url = f"/admin/recipient/{held_one}/settle/again"
    manager.post(url, seen(manager, url))
    assert ask(select(Recipient.sms_state).where(Recipient.id == held_one)) == [("queued",)]
    assert manager.get(f"/admin/recipient/{held_one}/settle/perhaps").status_code == 404


def test_another_companys_person_is_decided_by_nobody_else(
    browser_of: Callable[[int], Browser], theirs: House, held_one: int
) -> None:
    browser = browser_of(theirs.manager)
    for method in (browser.get, browser.post):
        assert method(f"/admin/recipient/{held_one}/settle/sent").status_code == 404


def test_whom_the_hours_cut_off_is_told_of(
    clerk: Browser, sent: int, ask: Callable[[Any], list[Any]], take: Callable[..., None]
) -> None:
    url = f"/admin/campaign/{sent}/status/"
    told = "は、送信できる時間帯のうちに締切かリンクの有効期限が来たため、送信されませんでした。"
    assert told not in words(clerk, url)
    take(steps.reach, SMS, SmsState.EXPIRED, people(ask, sent))
    assert f"件 {told}" in words(clerk, url)


# --- retries that leave by themselves ---


@pytest.fixture
def planned(sent: int, change: Callable[..., None]) -> int:
    """A completed campaign of whom one person is tried again tomorrow at noon."""
    change(
        "UPDATE recipient SET retry_at = date_trunc('day', now() AT TIME ZONE 'Asia/Tokyo') AT TIME ZONE 'Asia/Tokyo'"
        " + interval '36 hours' WHERE campaign_id = :id AND sms_state = 'undelivered'",
        id=sent,
    )
    return sent


def test_the_status_says_when_the_next_try_leaves_and_calls_it_off(
    clerk: Browser, planned: int, ask: Callable[[Any], list[Any]]
) -> None:
    status = words(clerk, f"/admin/campaign/{planned}/status/")
    assert "1人に、自動で送り直す予定です" in status
    assert re.search(r"次に送るのは.*12:00ごろです", status)
    assert "送信を一時停止する" in status
    assert "残りの送信を取り消す" in status
    asked = words(clerk, f"/admin/campaign/{planned}/cancel")
    assert "自動で送り直す予定の1人にも、送られなくなります" in asked
    assert "まだ送っていない0件" not in asked
    after = plain(clerk.post(f"/admin/campaign/{planned}/cancel", follow_redirects=True).get_data(as_text=True))
    assert "配信を取り消しました" in after
    assert "自動で送り直す予定" not in after
    assert ask(select(Recipient.retry_at).where(Recipient.campaign_id == planned)) == [(None,)] * 3


def test_paused_retries_are_told_of_as_waiting(clerk: Browser, planned: int) -> None:
    after = plain(clerk.post(f"/admin/campaign/{planned}/pause", follow_redirects=True).get_data(as_text=True))
    assert "再開するまで送られません" in after
    asked = words(clerk, f"/admin/campaign/{planned}/resume")
    assert "1人にも、予定の時刻から自動で送り直します" in asked
    assert "0件" not in asked
    done = plain(clerk.post(f"/admin/campaign/{planned}/resume", follow_redirects=True).get_data(as_text=True))
    assert re.search(r"次に送るのは.*12:00ごろです", done)


def test_the_page_that_asks_again_goes_on_while_a_try_is_planned(
    clerk: Browser, planned: int, change: Callable[..., None]
) -> None:
    told = clerk.get(f"/admin/campaign/{planned}/status.json").get_json()
    assert told["over"] is False
    assert "12:00ごろ" in told["texts"]["planned"]


def test_a_persons_page_says_when_they_are_tried_again(
    clerk: Browser, planned: int, ask: Callable[[Any], list[Any]], take: Callable[..., None]
) -> None:
    [(person,)] = ask(select(Recipient.id).where(Recipient.retry_at.is_not(None)))
    page = words(clerk, f"/admin/recipient/details/?id={person}")
    assert re.search(r"次の自動再送.*12:00.*ごろ", page)
    take(steps.pause, planned)
    assert "再開するまで送られません" in words(clerk, f"/admin/recipient/details/?id={person}")


def test_nothing_is_said_of_tries_where_none_is_planned(clerk: Browser, sent: int) -> None:
    status = words(clerk, f"/admin/campaign/{sent}/status/")
    assert "自動で送り直す予定" not in status
    assert "送信を一時停止する" not in status


# --- too many of one number ---


@pytest.fixture
def capped_one(
    sent: int, ask: Callable[[Any], list[Any]], change: Callable[..., None], take: Callable[..., None]
) -> int:
    """Somebody whose number had as many SMS of the campaign as one may get."""
    recipient_id = people(ask, sent)[1]
    held = {"sms_code": "number_cap:campaign", "capped_at": datetime.now(UTC)}
    take(steps.reach, SMS, SmsState.CANCELLED, [recipient_id], **held)
    change("UPDATE recipient SET sent_at = NULL WHERE id = :id", id=recipient_id)
    return recipient_id


def test_a_manager_decides_about_a_number_that_had_enough(
    manager: Browser, clerk: Browser, sent: int, capped_one: int, ask: Callable[[Any], list[Any]]
) -> None:
    person = f"/admin/recipient/details/?id={capped_one}"
    assert "同じ電話番号" in words(manager, "/admin/")
    assert "上限に達したため、送らずに保留しています" in words(manager, f"/admin/campaign/{sent}/status/")
    assert "自社の管理者に依頼してください" in words(clerk, person)
    assert f"/admin/recipient/{capped_one}/number/" not in clerk.get(person).get_data(as_text=True)
    for how in ("send", "skip"):
        url = f"/admin/recipient/{capped_one}/number/{how}"
        assert f'href="{url}"' in manager.get(person).get_data(as_text=True)
        assert clerk.get(url).status_code == clerk.post(url).status_code == 403
        assert "送らずに保留しています" in words(manager, url)
    assert manager.get(f"/admin/recipient/{capped_one}/number/never").status_code == 404
    url = f"/admin/recipient/{capped_one}/number/send"
    form = seen(manager, url)
    done = manager.post(url, form, follow_redirects=True).get_data(as_text=True)
    assert "送信待ちにしました" in done
    assert ask(select(Recipient.sms_state).where(Recipient.id == capped_one)) == [("queued",)]
    late = manager.post(f"/admin/recipient/{capped_one}/number/skip", form, follow_redirects=True).get_data(
        as_text=True
    )
    assert "何もしていません" in late


def test_another_companys_number_is_decided_by_nobody_else(
    browser_of: Callable[[int], Browser], theirs: House, capped_one: int
) -> None:
    browser = browser_of(theirs.manager)
    for method in (browser.get, browser.post):
        assert method(f"/admin/recipient/{capped_one}/number/send").status_code == 404


def test_a_manager_may_end_a_held_sms(manager: Browser, held_one: int, ask: Callable[[Any], list[Any]]) -> None:
    url = f"/admin/recipient/{held_one}/settle/never"
    assert "もう送らないことにしますか" in words(manager, url)
    manager.post(url, seen(manager, url))
    assert ask(select(Recipient.sms_state).where(Recipient.id == held_one)) == [("cancelled",)]
