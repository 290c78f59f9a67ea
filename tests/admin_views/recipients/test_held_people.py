"""判断待ち by clicks: why each is held, what to look up, and a manager's word about many at once."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from admin_views.recipients import held_words
from app import references, tenancy
from app.extensions import db
from app.models import Campaign, Recipient, SendLog
from app.outcomes import manual_review
from app.states.vocabulary import SMS, SmsState
from tests import factories, steps
from tests.admin_views.conftest import Browser, House, acts, plain, words

Ask = Callable[[Any], list[Any]]
OTHER, CAP = "other_contract", "number_cap:campaign"


@pytest.fixture
def stuck(app: Flask, ours: House, change: Callable[..., None], take: Callable[..., None]) -> House:
    """A campaign under way whose three people's SMS have had no known fate for two days."""
    with app.app_context():
        factories.launch(ours.tenant, ours.campaign)
    change("UPDATE slice SET due_at = NULL")
    take(steps.lose, *(person.id for person in ours.people), at=datetime.now(UTC) - timedelta(days=1))
    change(
        "INSERT INTO send_log (tenant_id, campaign_id, recipient_id, sms_account_id, attempt, fence, state, started_at)"
        " SELECT r.tenant_id, r.campaign_id, r.id, c.sms_account_id, 1, 1, 'unknown', '2026-11-02T03:04:05Z'"
        " FROM recipient r JOIN campaign c ON c.id = r.campaign_id WHERE c.id = :id",
        id=ours.campaign,
    )
    return ours


def page_of(house: House) -> str:
    return f"/admin/campaign/{house.campaign}/held/"


def hidden(page: str) -> list[tuple[str, str]]:
    """Return what the page's own forms send along."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page)
    return [(name, unescape(value)) for name, value in found if name != "csrf_token"]


def asked(browser: Browser, house: House, verdict: str, **more: Any) -> str:
    """Press a button of the list; return the question."""
    sent = {**dict(hidden(browser.get(page_of(house)).get_data(as_text=True))), "verdict": verdict, **more}
    answer = browser.post(f"{page_of(house)}ask", sent, follow_redirects=True)
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def pressed(browser: Browser, house: House, question: str) -> str:
    """Press the question's button; return what is said."""
    form: dict[str, Any] = {}
    for name, value in hidden(question):
        form.setdefault(name, []).append(value)
    answer = browser.post(f"{page_of(house)}decide", form, follow_redirects=True)
    assert answer.status_code == 200
    return plain(answer.get_data(as_text=True))


def states(house: House) -> Any:
    return select(Recipient.sms_state).where(Recipient.campaign_id == house.campaign).order_by(Recipient.id)


def test_home_and_status_lead_to_the_list_and_tell_of_each_person_once(
    manager: Browser, stuck: House, change: Callable[..., None]
) -> None:
    change(
        "UPDATE send_log SET started_at = now() WHERE recipient_id = :id",
        id=stuck.people[0].id,
    )
    status = words(manager, f"/admin/campaign/{stuck.campaign}/status/")
    assert "2 件 は照会しても結果を確かめられないため、止めています" in status
    assert "1 件 は照会中です" in status
    assert re.search(r"照会中 1 件 判断待ち 2 件", status)
    listed = f"/admin/recipient/?campaign={stuck.campaign}&sms=unknown"
    for url in ("/admin/", f"/admin/campaign/{stuck.campaign}/status/", listed):
        assert f'href="{page_of(stuck)}"' in manager.get(url).get_data(as_text=True)


def test_the_list_says_what_happened_what_to_look_up_and_what_each_button_does(
    manager: Browser, stuck: House, ask: Ask
) -> None:
    shown = words(manager, page_of(stuck))
    assert "送信後にSMSアカウントの契約が変わった：3件" in shown
    assert "前の契約の管理画面で、送信履歴を確かめてください" in shown
    assert "電話番号・時刻・参照番号で、送信サービスの管理画面の送信履歴を探してください" in shown
    assert "1回目：2026/11/02 12:04:05 〜 2026/11/02 12:09:05（日本時間）" in shown
    person, secret = ask(select(Recipient.id, Recipient.link_secret).where(Recipient.campaign_id == stuck.campaign))[0]
    assert ask(select(SendLog.reference).where(SendLog.recipient_id == person)) == [(None,)]
    assert secret
    assert references.sms("", person, 1) in shown, "our reference, as the service has it"
    assert "これまでのSMSが届いていた場合は、その分だけ重ねて届きます" in shown
    assert "SMSは送られません" in shown


def test_all_of_a_reason_are_decided_after_a_question_and_a_second_press_finds_nobody(
    manager: Browser, stuck: House, ask: Ask, app: Flask
) -> None:
    question = asked(manager, stuck, "all:again")
    said = plain(question)
    assert "3件にもう一度SMSを送りますか" in said
    assert "保留の理由：送信後にSMSアカウントの契約が変わった" in said
    assert "3通のSMSを送ります" in said
    assert re.search(r"すぐに始まり|に始まり", said), "and when"
    assert ask(states(stuck)) == [("unknown",)] * 3
    assert "3件の再送を始めました" in pressed(manager, stuck, question)
    assert ask(states(stuck)) == [("queued",)] * 3
    late = pressed(manager, stuck, question)
    assert "3件は、ほかの管理者が先に決めたか" in late
    assert ask(states(stuck)) == [("queued",)] * 3
    assert [act for act, _, _ in acts(app, stuck)].count("settle_again") == 3


def test_the_ticked_alone_are_decided_and_somebody_elses_word_is_told(
    manager: Browser, stuck: House, ask: Ask, take: Callable[..., None]
) -> None:
    first, second, third = (person.id for person in stuck.people)
    question = asked(manager, stuck, "sent", id=[str(first), str(third)])
    assert "2件を送信済みとしますか" in plain(question)
    assert "この操作で送られるSMSはありません" in plain(question)
    take(steps.deliver, first)
    done = pressed(manager, stuck, question)
    assert "1件を送信済みとしました" in done
    assert "1件は、ほかの管理者が先に決めたか" in done
    assert ask(states(stuck)) == [("delivered",), ("unknown",), ("accepted",)]
    assert "人が選ばれていません" in plain(asked(manager, stuck, "sent"))
    late = plain(asked(manager, stuck, "never", id=[str(first), str(second)]))
    assert "1件にもう送らないことにしますか" in late
    assert "1件は、ほかの管理者が先に決めたか" in late, "told before the press too"


def test_whoever_is_held_since_the_question_is_left(
    manager: Browser, stuck: House, ask: Ask, change: Callable[..., None]
) -> None:
    change("UPDATE send_log SET started_at = now() WHERE recipient_id = :id", id=stuck.people[0].id)
    question = asked(manager, stuck, "all:never")
    assert "2件にもう送らないことにしますか" in plain(question)
    # some minutes later the first one is held too
    change("UPDATE send_log SET started_at = now() - interval '301 seconds' WHERE started_at > '2026-11-03'")
    seen_at = dict(hidden(question))["seen_at"]
    aged = question.replace(seen_at, seen_at.replace("+00:00", "+00:05"))
    assert "2件にもう送らないことにしました" in pressed(manager, stuck, aged)
    assert ask(states(stuck)) == [("unknown",), ("cancelled",), ("cancelled",)]


def test_a_clerk_reads_why_and_who_decides_and_can_press_nothing(clerk: Browser, stuck: House, ask: Ask) -> None:
    page = clerk.get(page_of(stuck)).get_data(as_text=True)
    assert "決められるのは管理者です（山田 花子さん）" in plain(page)
    assert "契約が変わった" in plain(page)
    assert 'name="verdict"' not in page
    assert 'type="checkbox"' not in page
    form = {"verdict": "all:again", "reason": OTHER, "seen_at": "2026-11-30T00:00:00+00:00", "people": "3"}
    for act in ("ask", "decide"):
        assert clerk.post(f"{page_of(stuck)}{act}", form).status_code == 403
    assert ask(states(stuck)) == [("unknown",)] * 3


def test_what_was_never_offered_is_refused(manager: Browser, stuck: House) -> None:
    good = {"verdict": "all:again", "reason": OTHER, "seen_at": "2026-11-30T00:00:00+00:00"}
    for wrong in (
        {"verdict": "all:perhaps"},
        {"verdict": "all:send", "reason": CAP},
        {"reason": CAP},
        {"reason": "x"},
        {"seen_at": "soon"},
        {"seen_at": "2026-11-30"},
    ):
        assert manager.post(f"{page_of(stuck)}ask", {**good, **wrong}).status_code == 404, wrong
        assert manager.post(f"{page_of(stuck)}decide", {**good, **wrong}).status_code == 404, wrong


def test_another_companys_campaign_is_nobody_elses(
    browser_of: Callable[[int], Browser], theirs: House, stuck: House, ask: Ask
) -> None:
    browser = browser_of(theirs.manager)
    form = {"verdict": "all:again", "reason": OTHER, "seen_at": "2026-11-30T00:00:00+00:00"}
    assert browser.get(page_of(stuck)).status_code == 404
    assert browser.post(f"{page_of(stuck)}ask", form).status_code == 404
    assert browser.post(f"{page_of(stuck)}decide", form).status_code == 404
    assert ask(states(stuck)) == [("unknown",)] * 3


def test_of_one_campaign_no_other_ones_person_is_decided(
    manager: Browser, stuck: House, campaign: int, ask: Ask
) -> None:
    other = ask(select(Recipient.id).where(Recipient.campaign_id == campaign))[0][0]
    sent = {"verdict": "again", "reason": OTHER, "seen_at": "2026-11-30T00:00:00+00:00", "people": "1"}
    before = ask(select(func.count()).where(Recipient.sms_state == "queued"))
    manager.post(f"{page_of(stuck)}decide", {**sent, "id": [str(other)]})
    assert ask(select(func.count()).where(Recipient.sms_state == "queued")) == before


def test_a_number_at_its_limit_is_let_go_for_all_and_sent_to_by_choice(
    manager: Browser, stuck: House, ask: Ask, change: Callable[..., None], take: Callable[..., None]
) -> None:
    people = [person.id for person in stuck.people]
    take(steps.reach, SMS, SmsState.CANCELLED, people, sms_code=CAP, capped_at=datetime.now(UTC))
    change(
        "UPDATE recipient SET unknown_at = NULL, phone_index = (SELECT min(phone_index) FROM recipient)"
        " WHERE campaign_id = :id",
        id=stuck.campaign,
    )
    page = manager.get(page_of(stuck)).get_data(as_text=True)
    assert 'value="all:skip"' in page
    assert 'value="all:send"' not in page, "thousands of one number are never sent to by one press"
    chosen = [str(person.id) for person in stuck.people[:2]]
    question = asked(manager, stuck, "send", id=chosen)
    assert "電話番号は1種類です。1つの番号に、これまでに送ったSMSのほかに、多いところで2通が届きます" in plain(question)
    assert "2件を送信待ちにしました" in pressed(manager, stuck, question)
    assert "1件を送らないことにしました" in pressed(manager, stuck, asked(manager, stuck, "all:skip"))
    assert ask(states(stuck)) == [("queued",), ("queued",), ("cancelled",)]
    assert "いま判断を待っている送信先はありません" in words(manager, page_of(stuck))


def test_a_cancelled_campaign_offers_nothing_that_sends(
    manager: Browser, stuck: House, take: Callable[..., None]
) -> None:
    take(steps.cancel, stuck.campaign)
    page = manager.get(page_of(stuck)).get_data(as_text=True)
    assert 'value="all:never"' in page
    assert 'value="all:again"' not in page
    assert "取り消されているため、送ることはできません" in plain(page)


def test_every_reason_says_what_to_look_up() -> None:
    assert manual_review.REASONS.keys() <= held_words.TITLES.keys()
    assert manual_review.REASONS.keys() <= held_words.LOOK_UP.keys()


def test_a_service_without_references_is_searched_by_number_and_text(app: Flask) -> None:
    with app.app_context():
        tenant_id = factories.tenant()
        for provider, says in (("karaden", False), ("twilio", True)):
            account_id = factories.sms_account(tenant_id, provider=provider)
            campaign_id = factories.campaign(tenant_id, sms_account_id=account_id)
            with tenancy.tenant(tenant_id):
                told = held_words.service(db.session.get_one(Campaign, campaign_id))
            assert ("参照番号は出ません" in told) is says
