"""Attacks upon the sign-in and the session."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from admin_views.staff.sign_in import ENDED
from app import tenancy
from app.auth import passwords, sessions, sign_in
from app.extensions import db
from app.models import AuditEntry, Tenant, User
from app.problems import Refused
from tests import factories, steps

PASSWORD = factories.PASSWORD
DEVICE = sessions.Device()


@pytest.fixture
def clerk(app):
    with app.app_context():
        tenant = factories.tenant(code="midori-code")
        return factories.user(tenant, "clerk", email="Hanako@midori.example.jp")


def _sign_in(client, code, email, password, **more):
    data = {"csrf_token": _token(client), "tenant_code": code, "email": email, "password": password, **more}
    return client.post("/admin/login", data=data)


def _change(app, user_id, **values):
    with app.app_context(), tenancy.platform():
        user = db.session.get_one(User, user_id)
        for name, value in values.items():
            setattr(user, name, value)
        db.session.commit()


def test_the_right_words_lead_in(client, clerk):
    answer = _sign_in(client, "midori-code", "hanako@MIDORI.example.jp", PASSWORD)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/")
    assert "山田 花子" in client.get("/admin/").get_data(as_text=True)


@pytest.mark.parametrize("code", ["ｍｉｄｏｒｉ－ｃｏｄｅ", "Midori-Code", "　midori-code "])
def test_a_japanese_keyboard_or_a_phone_locks_nobody_out(client, clerk, code):
    assert _sign_in(client, code, "ｈａｎａｋｏ＠midori.example.jp", PASSWORD).status_code == 303


def test_an_operator_leaves_the_code_empty(app, client):
    with app.app_context():
        factories.user(None, "operator", email="ops@todoke.example")
    assert _sign_in(client, "", "ops@todoke.example", PASSWORD).status_code == 303


@pytest.mark.parametrize(
    ("code", "email", "password"),
    [
        ("midori-code", "hanako@midori.example.jp", "wrong"),
        ("midori-code", "nobody@midori.example.jp", PASSWORD),
        ("other-code", "hanako@midori.example.jp", PASSWORD),
        ("", "hanako@midori.example.jp", PASSWORD),
        ("midori-code", "", ""),
        ("midori-code\0", "hanako@midori.example.jp", PASSWORD),
        ("x" * 5000, "y" * 5000, "z" * 5000),
    ],
)
def test_a_refusal_never_tells_which_part_was_wrong(client, clerk, code, email, password):
    answer = _sign_in(client, code, email, password)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert sign_in.REFUSED.template_ja in page
    assert password not in page or not password


@pytest.mark.parametrize("state", ["suspended"])
def test_a_suspended_company_and_an_inactive_user_get_the_same_refusal(app, client, clerk, state):
    _change(app, clerk, active=False)
    assert sign_in.REFUSED.template_ja in _sign_in(
        client, "midori-code", "hanako@midori.example.jp", PASSWORD
    ).get_data(as_text=True)
    _change(app, clerk, active=True)
    with app.app_context(), tenancy.platform():
        db.session.query(Tenant).update({"state": state})
        db.session.commit()
    assert sign_in.REFUSED.template_ja in _sign_in(
        client, "midori-code", "hanako@midori.example.jp", PASSWORD
    ).get_data(as_text=True)


def test_an_unknown_address_takes_as_long_as_a_known_one(app, clerk):
    def seconds(email):
        with app.app_context(), tenancy.platform():
            began = time.perf_counter()
            with pytest.raises(Refused, match="sign_in_refused"):
                sign_in.sign_in("midori-code", email, "wrong wrong wrong", DEVICE)
            return time.perf_counter() - began

    _change(app, clerk, password_hash=passwords.hash_password(PASSWORD))
    seconds("warm@up.example")
    took = [(seconds(f"nobody{n}@midori.example.jp"), seconds("hanako@midori.example.jp")) for n in range(8)]
    unknown, known = (min(times) for times in zip(*took, strict=True))  # the least: what else runs only adds to it
    assert 1 / 3 < unknown / known < 3


def test_five_failures_rest_the_account_and_time_wakes_it(app, client, clerk):
    for _ in range(sign_in.TRIES):
        _sign_in(client, "midori-code", "hanako@midori.example.jp", "wrong")
    assert sign_in.REFUSED.template_ja in _sign_in(
        client, "midori-code", "hanako@midori.example.jp", PASSWORD
    ).get_data(as_text=True)
    with app.app_context(), tenancy.platform():
        assert db.session.query(AuditEntry.act).filter(AuditEntry.act == "sign_in_rest").count() == 1
    later = datetime.now(UTC) + sign_in.REST + timedelta(seconds=1)
    with time_machine.travel(later, tick=True):
        assert _sign_in(client, "midori-code", "hanako@midori.example.jp", PASSWORD).status_code == 303


def test_a_success_forgets_the_failures_before_it(client, clerk):
    for _ in range(2):
        for _ in range(sign_in.TRIES - 1):
            _sign_in(client, "midori-code", "hanako@midori.example.jp", "wrong")
        assert _sign_in(client, "midori-code", "hanako@midori.example.jp", PASSWORD).status_code == 303


def test_parallel_guesses_do_not_outrun_the_count(app, clerk, monkeypatch):
    looked_at = []
    matches = passwords.matches

    def look(stored, typed):
        looked_at.append(stored)
        return matches(stored, typed)

    monkeypatch.setattr(passwords, "matches", look)
    nobody = passwords.dummy_hash()

    def guess(number):
        with app.app_context(), tenancy.platform(), pytest.raises(Refused, match="sign_in_refused"):
            sign_in.sign_in("midori-code", "hanako@midori.example.jp", f"guess {number}", DEVICE)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(guess, range(24)))
    assert len([stored for stored in looked_at if stored != nobody]) == sign_in.TRIES
    assert len(looked_at) == 24


def test_one_address_cannot_try_for_ever(client, clerk):
    answers = [client.post("/admin/login", data={"csrf_token": _token(client)}).status_code for _ in range(21)]
    assert answers == [200] * 20 + [429]


def _token(client):
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/admin/login").get_data(as_text=True))
    assert found
    return found[1]


def test_a_planted_session_does_not_survive_the_sign_in(client, clerk):
    with client.session_transaction("/admin/") as session:
        session["planted"] = "by an attacker"
    before = _token(client)
    assert _sign_in(client, "midori-code", "hanako@midori.example.jp", PASSWORD).status_code == 303
    with client.session_transaction("/admin/") as session:
        assert "planted" not in session
    assert client.post("/admin/logout", data={"csrf_token": before}).status_code == 400


def test_the_sign_in_wants_its_token(client, clerk):
    data = {"tenant_code": "midori-code", "email": "hanako@midori.example.jp", "password": PASSWORD}
    answer = client.post("/admin/login", data=data)
    assert answer.status_code == 400
    assert "画面の有効期限が切れています" in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("target", "leads_to"),
    [
        ("/admin/campaign/?state=draft", "/admin/campaign/?state=draft"),
        ("https://evil.example/admin/", "/admin/"),
        ("//evil.example/admin/", "/admin/"),
        ("/admin/\\evil.example", "/admin/"),
        ("/admin/..//evil.example", "/admin/"),
        ("/admin/\t/evil.example", "/admin/"),
        ("/admin/\r\nX: 1", "/admin/"),
        ("/admin/\u202eevil", "/admin/"),
        ("/\t/evil.example", "/admin/"),
        ("/admin/" + "1" * 3_000, "/admin/"),
        ("/admin/campaign/?from=a//b", "/admin/campaign/?from=a//b"),
        ("javascript:alert(1)", "/admin/"),
        ("/elsewhere", "/admin/"),
    ],
)
def test_it_leads_back_within_the_back_office_alone(client, clerk, target, leads_to):
    answer = _sign_in(client, "midori-code", "hanako@midori.example.jp", PASSWORD, next=target)
    assert answer.headers["Location"].replace("%5C", "\\") == leads_to


def test_whoever_comes_without_a_session_is_led_back_after_the_sign_in(client, clerk):
    answer = client.get("/admin/campaign/?state=draft")
    assert answer.headers["Location"] == "/admin/login?next=/admin/campaign/?state%3Ddraft"


def test_signing_out_wants_a_post_and_ends_the_session(browser_of, ours):
    browser = browser_of(ours.clerk)
    assert browser.get("/admin/logout").status_code == 404
    assert browser.get("/admin/").status_code == 200
    assert browser.post("/admin/logout").headers["Location"] == "/admin/login"
    assert browser.get("/admin/").status_code == 302


@pytest.mark.parametrize(
    ("minutes", "clicks_every", "goes_on"),
    [(59, 59, True), (61, 61, False), (11 * 60, 50, True), (12 * 60 + 5, 50, False)],
)
def test_a_session_ends_without_clicks_and_after_twelve_hours(browser_of, ours, minutes, clicks_every, goes_on):
    browser = browser_of(ours.clerk)
    began = datetime.now(UTC)
    passed = 0
    while passed < minutes:
        passed = min(passed + clicks_every, minutes)
        with time_machine.travel(began + timedelta(minutes=passed), tick=True):
            answer = browser.get("/admin/")
    assert answer.status_code == (200 if goes_on else 302)
    if not goes_on:
        with time_machine.travel(began + timedelta(minutes=minutes), tick=True):
            assert ENDED in browser.get("/admin/login").get_data(as_text=True)


def test_who_typed_into_a_session_that_ended_is_told_that_nothing_was_kept(browser_of, ours):
    browser = browser_of(ours.clerk)
    token = browser.token()
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=61), tick=True):
        answer = browser.client.post(
            "/admin/campaign/new/", data={"csrf_token": token, "name": "督促"}, follow_redirects=True
        )
    assert "いま入力した内容は保存されていません" in answer.get_data(as_text=True)


def test_what_a_script_asks_by_itself_is_no_click(browser_of, ours):
    browser = browser_of(ours.clerk)
    began = datetime.now(UTC)
    for minutes in (30, 58):
        with time_machine.travel(began + timedelta(minutes=minutes), tick=True):
            answer = browser.get("/admin/", headers={"Sec-Fetch-Dest": "empty"})
            assert answer.status_code == 200
    with time_machine.travel(began + timedelta(minutes=61), tick=True):
        assert browser.get("/admin/").status_code == 302


def test_a_session_ends_with_its_user(app, browser_of, ours):
    browser = browser_of(ours.clerk)
    assert browser.get("/admin/").status_code == 200
    _change(app, ours.clerk, active=False)
    assert browser.get("/admin/").status_code == 302


def test_a_session_ends_with_its_company(browser_of, ours, take):
    browser = browser_of(ours.clerk)
    take(steps.suspend, ours.tenant)
    assert browser.get("/admin/").status_code == 302


def test_a_session_of_one_company_is_none_in_another(browser_of, ours, theirs):
    """Even a forged cookie (it can't be: it is signed) opens no user in a scope that isn't his."""
    browser = browser_of(ours.clerk)
    for change in ({"scope": theirs.tenant}, {"_user_id": str(theirs.clerk)}, {"key": ""}):
        with browser.client.session_transaction("/admin/") as session:
            before = dict(session)
            session.update(change)
        assert browser.get("/admin/").status_code == 302
        with browser.client.session_transaction("/admin/") as session:
            session.clear()
            session.update(before)
        assert browser.get("/admin/").status_code == 200


def test_the_password_page_changes_it_and_ends_other_sessions(app, browser_of, ours):
    here, elsewhere = browser_of(ours.clerk), browser_of(ours.clerk)
    new = "四つの言葉をつなげた合言葉"
    wrong = here.post("/admin/password/", {"old": "no", "new": new, "again": new})
    assert "いまのパスワードが違います。" in wrong.get_data(as_text=True)
    assert here.post("/admin/password/", {"old": PASSWORD, "new": new, "again": new}).status_code == 303
    assert here.get("/admin/").status_code == 200
    assert elsewhere.get("/admin/").status_code == 302
    with app.app_context(), tenancy.platform():
        user = db.session.get_one(User, ours.clerk)
        assert user.tenant is not None
        assert sign_in.sign_in(user.tenant.code, user.email, new, DEVICE).user_id == ours.clerk


def test_the_cookie_is_kept_from_scripts_and_other_sites(client, clerk):
    cookie = _sign_in(client, "midori-code", "hanako@midori.example.jp", PASSWORD).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
