"""Sessions are seen and ended; the password is asked again before what matters."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask

from admin_views.staff.own_settings import device_word
from admin_views.staff.reauthentication import FRESH
from app import tenancy
from app.auth import sign_in
from app.extensions import db
from app.models import AuditEntry, Campaign, StaffSession, User
from tests import factories
from tests.admin_views.conftest import Browser, House

BrowserOf = Callable[[int], Browser]

STALE = FRESH + timedelta(seconds=1)
ASKS = "<h1>パスワードの確認</h1>"


def session_ids(app: Flask, user_id: int) -> list[int]:
    with app.app_context(), tenancy.platform():
        rows = db.session.query(StaffSession.id).filter(StaffSession.user_id == user_id).order_by(StaffSession.id)
        return [row.id for row in rows]


def test_one_sees_where_one_is_signed_in_and_ends_it(app: Flask, browser_of: BrowserOf, ours: House) -> None:
    here, lost = browser_of(ours.clerk), browser_of(ours.clerk)
    page = here.get("/admin/myself/").get_data(as_text=True)
    assert page.count("Chrome／Windows") == 3  # a row each, and the other one's button
    assert "192.0.2.1" in page
    _, other = session_ids(app, ours.clerk)
    assert here.post(f"/admin/myself/session/{other}/end").headers["Location"] == "/admin/myself/"
    assert lost.get("/admin/").status_code == 302
    assert here.get("/admin/").status_code == 200
    with app.app_context(), tenancy.platform():
        entry = db.session.query(AuditEntry).filter_by(act="end_session").one()
        assert (entry.actor, entry.target) == (f"user:{ours.clerk}", f"user:{ours.clerk}")


def test_all_others_end_at_once(browser_of: BrowserOf, ours: House) -> None:
    here, *others = [browser_of(ours.clerk) for _ in range(3)]
    colleague = browser_of(ours.manager)
    here.post("/admin/myself/session/end-others")
    assert [browser.get("/admin/").status_code for browser in (*others, here, colleague)] == [302, 302, 200, 200]


def test_a_manager_ends_his_people_s_sessions_and_nobody_else_s(
    app: Flask, browser_of: BrowserOf, ours: House, theirs: House
) -> None:
    clerk, manager, stranger = browser_of(ours.clerk), browser_of(ours.manager), browser_of(theirs.clerk)
    page = manager.get("/admin/myself/everybody").get_data(as_text=True)
    assert page.count("<tr>") == 3  # the heads, two users
    (of_clerk,), (of_manager,) = session_ids(app, ours.clerk), session_ids(app, ours.manager)
    (of_stranger,) = session_ids(app, theirs.clerk)
    assert manager.post(f"/admin/myself/session/{of_stranger}/end").status_code == 404
    assert clerk.post(f"/admin/myself/session/{of_manager}/end").status_code == 404
    assert clerk.get("/admin/myself/everybody").status_code == 403
    assert stranger.get("/admin/").status_code == manager.get("/admin/").status_code == 200
    assert manager.post(f"/admin/myself/session/{of_clerk}/end").headers["Location"] == "/admin/myself/everybody"
    assert clerk.get("/admin/").status_code == 302


def test_an_operator_ends_anybody_s(app: Flask, browser_of: BrowserOf, ours: House, operator: int) -> None:
    clerk, platform = browser_of(ours.clerk), browser_of(operator)
    (of_clerk,) = session_ids(app, ours.clerk)
    platform.post(f"/admin/myself/session/{of_clerk}/end")
    assert clerk.get("/admin/").status_code == 302


def test_a_copied_cookie_is_worth_nothing_after_signing_out(browser_of: BrowserOf, ours: House, app: Flask) -> None:
    browser = browser_of(ours.clerk)
    with browser.client.session_transaction("/admin/") as session:
        copied = dict(session)
    browser.post("/admin/logout")
    thief = app.test_client()
    with thief.session_transaction("/admin/") as session:
        session.update(copied)
    assert thief.get("/admin/").status_code == 302


def test_the_database_holds_no_key(browser_of: BrowserOf, ours: House, app: Flask) -> None:
    browser = browser_of(ours.clerk)
    with browser.client.session_transaction("/admin/") as session:
        key = session["key"]
    with app.app_context(), tenancy.platform():
        row = db.session.query(StaffSession).one()
        assert key not in str(row.__dict__.values())
        assert key.encode() not in bytes(row.key_digest)


def test_old_sessions_are_forgotten(app: Flask, browser_of: BrowserOf, ours: House) -> None:
    browser_of(ours.clerk)
    with time_machine.travel(datetime.now(UTC) + timedelta(days=29), tick=True):
        browser_of(ours.clerk)
    assert len(session_ids(app, ours.clerk)) == 2
    with time_machine.travel(datetime.now(UTC) + timedelta(days=31), tick=True):
        browser_of(ours.clerk)
    assert len(session_ids(app, ours.clerk)) == 2


@pytest.mark.parametrize(
    ("agent", "word"),
    [
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge／Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1", "Safari／iPhone"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox／Linux"),
        ("curl/8", "不明な端末"),
        ("", "不明な端末"),
    ],
)
def test_a_device_is_named_as_people_call_it(agent: str, word: str) -> None:
    assert device_word(agent) == word


# --- the password again ---


def sensitive(house: House) -> list[tuple[str, int, dict[str, str]]]:
    """Each act that asks: its address, who does it, what he sends."""
    campaign, person = f"/admin/campaign/{house.campaign}", house.people[0].id
    return [
        (f"{campaign}/send/", house.clerk, {"digest": "x"}),
        (f"{campaign}/resume", house.clerk, {}),
        (f"{campaign}/approve", house.manager, {"digest": "x"}),
        (f"{campaign}/trial", house.clerk, {"phone": "090-1234-5678"}),
        (f"{campaign}/resend", house.clerk, {}),
        (f"{campaign}/remind/unopened", house.clerk, {"number": "1", "sms_text": "一行目\n\n二行目"}),
        (f"{campaign}/status.csv", house.clerk, {"encoding": "cp932"}),
        (f"/admin/export/now?campaign={house.campaign}", house.clerk, {"format": "csv"}),
        (f"/admin/export/make?campaign={house.campaign}", house.clerk, {"format": "csv"}),
        (f"/admin/export/daily?campaign={house.campaign}", house.clerk, {"format": "csv"}),
        ("/admin/export/1/file", house.clerk, {}),
        (f"/admin/recipient/{person}/reveal", house.manager, {}),
        (f"/admin/recipient/{person}/unlock", house.clerk, {}),
        (f"/admin/recipient/{person}/revoke", house.clerk, {}),
        (f"/admin/recipient/{person}/settle/again", house.manager, {"seen_at": "2026-11-30T10:00:00+00:00"}),
        (f"{campaign}/held/decide", house.manager, {"verdict": "all:again", "reason": "silent", "people": "3"}),
        (f"/admin/user/edit/?id={house.clerk}", house.manager, {"name": "別の名前", "active": "y"}),
        ("/admin/user/new/", house.manager, {"name": "新しい人"}),
        (f"/admin/sms_account/edit/?id={house.sms_account}", house.manager, {"name": "別の名前"}),
        (f"/admin/payment_account/edit/?id={house.payment_account}", house.manager, {"name": "別の名前"}),
        ("/admin/myself/factor/begin", house.clerk, {}),
        ("/admin/myself/factor/off", house.clerk, {}),
        ("/admin/myself/factor/codes", house.clerk, {}),
    ]


def test_what_matters_asks_for_the_password_and_keeps_what_was_sent(browser_of: BrowserOf, ours: House) -> None:
    browsers = {user: browser_of(user) for user in (ours.clerk, ours.manager)}
    with time_machine.travel(datetime.now(UTC) + STALE, tick=True):
        for url, user, data in sensitive(ours):
            answer = browsers[user].post(url, data)
            page = answer.get_data(as_text=True)
            assert (answer.status_code, ASKS in page) == (200, True), url
            for name, value in data.items():
                assert re.search(rf'<textarea name="{name}" hidden>\n*{re.escape(value)}</textarea>', page), url


def test_who_signed_in_just_now_is_not_asked(browser_of: BrowserOf, ours: House) -> None:
    browsers = {user: browser_of(user) for user in (ours.clerk, ours.manager)}
    for url, user, data in sensitive(ours):
        assert ASKS.encode() not in browsers[user].post(url, data).data, url


def test_the_right_password_goes_on_and_is_not_asked_again_for_a_while(
    app: Flask, browser_of: BrowserOf, ours: House
) -> None:
    browser = browser_of(ours.manager)
    url = f"/admin/recipient/{ours.people[0].id}/reveal"
    with time_machine.travel(datetime.now(UTC) + STALE, tick=True):
        for typed in ("wrong", "", "x" * 5000):
            page = browser.post(url, {"again_password": typed}).get_data(as_text=True)
            assert sign_in.PASSWORD_REFUSED.template_ja in page
        with app.app_context(), tenancy.platform():
            assert db.session.query(AuditEntry).filter_by(act="reveal_phone").count() == 0
        page = browser.post(url, {"again_password": factories.PASSWORD}).get_data(as_text=True)
        assert ASKS not in page
        page = browser.post(url).get_data(as_text=True)
        assert ASKS not in page
    with app.app_context(), tenancy.platform():
        assert db.session.query(AuditEntry).filter_by(act="reveal_phone").count() == 2


def test_guesses_at_the_password_rest_as_at_the_door(app: Flask, browser_of: BrowserOf, ours: House) -> None:
    browser = browser_of(ours.manager)
    url = f"/admin/recipient/{ours.people[0].id}/reveal"
    with time_machine.travel(datetime.now(UTC) + STALE, tick=True):
        for _ in range(sign_in.TRIES):
            browser.post(url, {"again_password": "wrong"})
        page = browser.post(url, {"again_password": factories.PASSWORD}).get_data(as_text=True)
        assert sign_in.PASSWORD_REFUSED.template_ja in page
    with app.app_context(), tenancy.platform():
        assert db.session.get_one(User, ours.manager).locked_until is not None
        assert db.session.query(AuditEntry).filter_by(act="sign_in_rest").count() == 1


def test_the_answer_of_another_s_password_is_no_answer(app: Flask, browser_of: BrowserOf, ours: House) -> None:
    browser = browser_of(ours.manager)
    with app.app_context(), tenancy.platform():
        sign_in.set_password(db.session.get_one(User, ours.clerk), "担当者だけの長い合言葉")
        db.session.commit()
    with time_machine.travel(datetime.now(UTC) + STALE, tick=True):
        url = f"/admin/recipient/{ours.people[0].id}/reveal"
        assert sign_in.PASSWORD_REFUSED.template_ja in browser.post(
            url, {"again_password": "担当者だけの長い合言葉"}
        ).get_data(as_text=True)


def test_a_launch_is_still_held_to_what_was_checked(app: Flask, browser_of: BrowserOf, ours: House) -> None:
    browser = browser_of(ours.clerk)
    with time_machine.travel(datetime.now(UTC) + STALE, tick=True):
        url = f"/admin/campaign/{ours.campaign}/send/"
        answer = browser.post(url, {"digest": "another", "again_password": factories.PASSWORD})
        assert answer.status_code == 409
        with app.app_context(), tenancy.platform():
            assert db.session.get_one(Campaign, ours.campaign).state == "draft"
