"""承認: above the company's limit a second person lets go exactly what was checked, and nobody else does."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import select

from app import tenancy
from app.campaigns import approval, lifecycle
from app.extensions import db
from app.models import AuditEntry, Campaign, Event, Import, Recipient
from app.problems import Refused
from tests import factories
from tests.admin_views.conftest import Browser, House


@pytest.fixture
def campaign(app: Flask, ours: House, change: Callable[..., None], clerk: Browser) -> int:
    """A checked campaign of three, in a company whose limit is two."""
    with app.app_context():
        made = factories.campaign(
            ours.tenant, sms_account_id=ours.sms_account, name="督促のご案内", created_by=ours.clerk
        )
        factories.people(ours.tenant, made, 3)
    change("UPDATE tenant SET approval_above = 2 WHERE id = :id", id=ours.tenant)
    clerk.post(f"/admin/campaign/{made}/check/")
    return made


@pytest.fixture
def look(app: Flask, ours: House, campaign: int) -> Callable[[], tuple[str, set[str]]]:
    """Return the campaign's state and its people's."""

    def look() -> tuple[str, set[str]]:
        with app.app_context(), tenancy.tenant(ours.tenant):
            states = db.session.scalars(select(Recipient.sms_state).where(Recipient.campaign_id == campaign))
            return db.session.get_one(Campaign, campaign).state, set(states)

    return look


def ask(browser: Browser, campaign: int) -> None:
    page = browser.get(f"/admin/campaign/{campaign}/send/").get_data(as_text=True)
    assert "3件の承認を依頼</button>" in page
    answer = browser.post(f"/admin/campaign/{campaign}/send/", {"digest": digest_in(page)})
    assert answer.location.endswith(f"/admin/campaign/{campaign}/approval/")


def digest_in(page: str) -> str:
    found = re.search(r'name="digest" value="([0-9a-f]{64})"', page)
    assert found
    return found[1]


def test_nothing_leaves_before_another_manager_approves_what_was_checked(app, ours, clerk, manager, campaign, look):
    ask(clerk, campaign)
    assert look() == ("approval", {"draft"})
    address = f"/admin/campaign/{campaign}/approval/"
    mine = clerk.get(address).get_data(as_text=True)
    assert "承認できるのは管理者です" in mine
    assert "の送信を承認する</button>" not in mine
    assert "承認を待っています" in manager.get("/admin/").get_data(as_text=True)
    page = manager.get(address).get_data(as_text=True)
    assert "3件の送信を承認する</button>" in page
    assert "佐藤" in page  # real texts
    assert "SMSの料金の目安" in page
    answer = manager.post(f"/admin/campaign/{campaign}/approve", {"digest": digest_in(page)})
    assert answer.location.endswith(f"/admin/campaign/{campaign}/status/")
    assert look() == ("sending", {"queued"})
    again = manager.post(f"/admin/campaign/{campaign}/approve", {"digest": digest_in(page)}, follow_redirects=True)
    assert "承認待ちではありません" in again.get_data(as_text=True)
    with app.app_context(), tenancy.tenant(ours.tenant):
        row = db.session.get_one(Campaign, campaign)
        assert (row.asked_by, row.launched_by, row.approved_by) == (ours.clerk, ours.clerk, ours.manager)
        acts = db.session.execute(
            select(AuditEntry.act, AuditEntry.actor, AuditEntry.detail["digest"].astext).order_by(AuditEntry.id)
        ).all()
        assert [tuple(act) for act in acts if act[0] in {"ask_approval", "approve"}] == [
            ("ask_approval", f"user:{ours.clerk}", row.asked_digest),
            ("approve", f"user:{ours.manager}", row.asked_digest),
        ]
        moves = select(Event.state).where(Event.campaign_id == campaign, Event.track == "campaign").order_by(Event.id)
        assert db.session.scalars(moves).all() == ["approval", "sending"]


def test_a_second_press_is_told_that_a_manager_is_waited_for(clerk, campaign, look):
    digest = digest_in(clerk.get(f"/admin/campaign/{campaign}/send/").get_data(as_text=True))
    ask(clerk, campaign)
    again = clerk.post(f"/admin/campaign/{campaign}/send/", {"digest": digest}, follow_redirects=True)
    said = again.get_data(as_text=True)
    assert "すでに承認を依頼してあります。管理者が承認するまで、送信されません。" in said
    assert "送信を開始しています" not in said
    assert look() == ("approval", {"draft"})


def test_the_home_of_who_asked_tells_that_it_was_sent_back(clerk, manager, campaign):
    ask(clerk, campaign)
    manager.post(f"/admin/campaign/{campaign}/send-back", {"reason": "本文の会社名が違います。"})
    home = clerk.get("/admin/").get_data(as_text=True)
    assert "督促のご案内」は、承認されずに戻りました。" in home
    assert "本文の会社名が違います。" in clerk.get(f"/admin/campaign/{campaign}/").get_data(as_text=True)
    clerk.post(f"/admin/campaign/{campaign}/check/")
    ask(clerk, campaign)
    assert "承認されずに戻りました" not in clerk.get("/admin/").get_data(as_text=True)


def test_up_to_the_limit_nobody_is_asked(clerk, campaign, change, look, ours):
    change("UPDATE tenant SET approval_above = 3 WHERE id = :id", id=ours.tenant)
    page = clerk.get(f"/admin/campaign/{campaign}/send/").get_data(as_text=True)
    assert "3件を送信</button>" in page
    clerk.post(f"/admin/campaign/{campaign}/send/", {"digest": digest_in(page)})
    assert look() == ("sending", {"queued"})


def test_nobody_approves_what_they_asked_for_or_uploaded(app, ours, manager, clerk, campaign, look, change):
    ask(manager, campaign)
    page = manager.get(f"/admin/campaign/{campaign}/approval/").get_data(as_text=True)
    assert "ご自分で依頼した配信は承認できません" in page
    with app.app_context(), tenancy.tenant(ours.tenant):
        digest = db.session.get_one(Campaign, campaign).asked_digest
    assert manager.post(f"/admin/campaign/{campaign}/approve", {"digest": digest}).status_code == 409
    assert clerk.post(f"/admin/campaign/{campaign}/approve", {"digest": digest}).status_code == 409
    assert look() == ("approval", {"draft"})
    manager.post(f"/admin/campaign/{campaign}/take-back")
    assert look() == ("draft", {"draft"})
    with app.app_context(), tenancy.tenant(ours.tenant):
        db.session.add(
            Import(
                tenant_id=ours.tenant,
                campaign_id=campaign,
                filename="a.csv",
                content_digest=b"",
                state="done",
                created_by=ours.manager,
            )
        )
        db.session.commit()
    ask(clerk, campaign)
    refused = manager.post(f"/admin/campaign/{campaign}/approve", {"digest": digest})
    assert "ご自分で名簿を取り込んだ配信は承認できません" in refused.get_data(as_text=True)
    assert look() == ("approval", {"draft"})


def test_what_changed_since_it_was_asked_for_is_void(ours, clerk, manager, campaign, change, look):
    ask(clerk, campaign)
    page = manager.get(f"/admin/campaign/{campaign}/approval/").get_data(as_text=True)
    change("UPDATE tenant SET name = '別の会社' WHERE id = :id", id=ours.tenant)
    answer = manager.post(f"/admin/campaign/{campaign}/approve", {"digest": digest_in(page)}, follow_redirects=True)
    assert "内容が変わったため、承認できません" in answer.get_data(as_text=True)
    assert look() == ("draft", {"draft"})
    assert "承認を依頼したあとに会社名など" in clerk.get(f"/admin/campaign/{campaign}/").get_data(as_text=True)


def test_a_digest_that_was_not_seen_approves_nothing(clerk, manager, campaign, look):
    ask(clerk, campaign)
    answer = manager.post(f"/admin/campaign/{campaign}/approve", {"digest": "0" * 64})
    assert answer.status_code == 409
    assert look() == ("approval", {"draft"})


def test_content_stands_still_while_it_waits(clerk, manager, campaign, look):
    ask(clerk, campaign)
    base = f"/admin/campaign/{campaign}"
    before = look()
    assert clerk.post(f"{base}/check/").status_code == 303
    assert clerk.post(f"{base}/list/one", {"cell_0": "090-1234-5678"}).status_code == 303
    assert clerk.get(f"{base}/send/").location.endswith("/approval/")
    assert "承認を待っています" in clerk.get(f"{base}/").get_data(as_text=True)
    told = clerk.post(f"/admin/campaign/edit/?id={campaign}", {"sms_text": "ほか {リンク}"}, follow_redirects=True)
    for page in (told, clerk.get(f"{base}/list/")):  # nothing was sent, and nobody is told so
        assert "承認を待っている間は、内容と名簿を変えられません" in page.get_data(as_text=True)
        assert "送信を開始した" not in page.get_data(as_text=True)
    page = manager.get(f"{base}/approval/").get_data(as_text=True)
    assert "ほか" not in page.split('class="bubble"')[1][:80]
    assert look() == before


def test_it_is_sent_back_with_a_reason_and_asked_for_anew(clerk, manager, campaign, look):
    ask(clerk, campaign)
    base = f"/admin/campaign/{campaign}"
    assert "理由を入力" in manager.post(f"{base}/send-back", {"reason": " "}).get_data(as_text=True)
    assert clerk.post(f"{base}/send-back", {"reason": "a"}).status_code == 409
    assert look() == ("approval", {"draft"})
    manager.post(f"{base}/send-back", {"reason": "金額の列が<b>違います</b>"})
    assert look() == ("draft", {"draft"})
    page = clerk.get(f"{base}/").get_data(as_text=True)
    assert "さんが差し戻しました" in page
    assert "金額の列が&lt;b&gt;違います" in page
    ask(clerk, campaign)
    assert "差し戻しました" not in clerk.get(f"{base}/").get_data(as_text=True)


def test_of_two_at_once_one_approves(app, ours, clerk, campaign, look):
    ask(clerk, campaign)
    with app.app_context():
        managers = [ours.manager, factories.user(ours.tenant, "manager")]
        with tenancy.tenant(ours.tenant):
            digest = db.session.get_one(Campaign, campaign).asked_digest

    def press(user_id: int) -> str:
        with app.app_context(), tenancy.tenant(ours.tenant):
            try:
                approval.approve(campaign, user_id=user_id, role="manager", digest=digest)
            except Refused as refused:
                return refused.problems[0].code
            return "approved"

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(press, managers))
    assert answers == ["approval_not_waiting", "approved"]
    assert look() == ("sending", {"queued"})


def test_what_is_booked_is_booked_by_the_approval(ours, clerk, manager, campaign, change, look):
    change("UPDATE campaign SET starts_at = now() + interval '1 day' WHERE id = :id", id=campaign)
    ask(clerk, campaign)
    page = manager.get(f"/admin/campaign/{campaign}/approval/").get_data(as_text=True)
    assert "3件の送信予約を承認する</button>" in page
    manager.post(f"/admin/campaign/{campaign}/approve", {"digest": digest_in(page)})
    assert look() == ("scheduled", {"draft"})


def test_another_companys_request_is_not_there(app, theirs, browser_of, clerk, campaign):
    ask(clerk, campaign)
    stranger = browser_of(theirs.manager)
    assert stranger.get(f"/admin/campaign/{campaign}/approval/").status_code == 404
    for act in ("approve", "send-back", "take-back"):
        assert stranger.post(f"/admin/campaign/{campaign}/{act}", {"reason": "a"}).status_code == 404


def test_a_campaign_that_waits_can_be_given_up(app, ours, clerk, campaign, look):
    ask(clerk, campaign)
    with app.app_context(), tenancy.tenant(ours.tenant):
        assert lifecycle.cancel(campaign, user_id=ours.clerk)
    assert look() == ("cancelled", {"cancelled"})
