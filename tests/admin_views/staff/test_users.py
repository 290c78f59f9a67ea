"""Companies and users, kept by operators and managers."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import inspect

from admin_views.staff.audit import _FIELDS
from app import tenancy
from app.auth import passwords
from app.extensions import db
from app.models import AuditEntry, Campaign, ExportLayout, PaymentAccount, SmsAccount, Tenant, User
from tests import factories
from tests.admin_views.conftest import acts, only, plain, words

NEW_PASSWORD = "むらさきの雨がふる町で歩く"


# --- companies ---

COMPANY = {
    "code": "aozora",
    "name": "あおぞら電力",
    "state": "review",
    "contact_phone": "０１２０ー１２３ー４５６",
    "contact_hours": "平日 9:00〜17:30",
}


def test_an_operator_takes_in_a_company(app, browser_of, operator):
    assert browser_of(operator).post("/admin/tenant/new/", COMPANY).status_code == 302
    row = only(app, Tenant, code="aozora")
    assert (row.name, row.state, row.contact_phone) == ("あおぞら電力", "review", "0120-123-456")
    with app.app_context(), tenancy.platform():
        acts = db.session.query(AuditEntry.act).filter(AuditEntry.tenant_id == row.id).all()
    assert [tuple(act) for act in acts] == [("tenant.create",)]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"code": "A B"}, "半角の英小文字"),
        ({"code": "ab"}, "3〜30文字"),
        ({"code": ""}, "企業コードを入力"),
        ({"code": "taken"}, "すでに使われています"),
        ({"name": ""}, "企業名を入力"),
        ({"contact_phone": "110"}, "電話番号を"),
        ({"contact_phone": "電話"}, "電話番号を"),
        ({"contact_phone": ""}, "受信者が問い合わせる電話番号"),
        ({"state": "suspended"}, "選択肢から"),
    ],
)
def test_a_company_that_cannot_be_is_refused(app, browser_of, operator, changes, says):
    with app.app_context():
        factories.tenant(code="taken")
    answer = browser_of(operator).post("/admin/tenant/new/", {**COMPANY, **changes})
    assert says in plain(answer.get_data(as_text=True))


@pytest.mark.parametrize(
    ("before", "after", "moves"),
    [
        ("review", "trial", True),
        ("trial", "active", True),
        ("active", "suspended", True),
        ("suspended", "active", True),
        ("active", "trial", False),
        ("active", "review", False),
        ("trial", "review", False),
    ],
)
def test_a_company_moves_as_the_vocabulary_allows(app, browser_of, operator, before, after, moves):
    with app.app_context():
        tenant = factories.tenant(state=before)
    browser_of(operator).post(f"/admin/tenant/edit/?id={tenant}", {**COMPANY, "state": after, "code": "changed"})
    row = only(app, Tenant, id=tenant)
    assert row.state == (after if moves else before)
    assert row.code != "changed"


# --- users ---


def _person(**values):
    typed = {"name": "佐藤 次郎", "email": "jiro@midori.example.jp", "role": "clerk", "password": NEW_PASSWORD}
    return {**typed, "active": "y", **values}


def test_a_manager_takes_in_a_clerk_of_the_own_company(app, browser_of, ours):
    assert browser_of(ours.manager).post("/admin/user/new/", _person()).status_code == 302
    row = only(app, User, email="jiro@midori.example.jp")
    assert (row.tenant_id, row.role, row.active) == (ours.tenant, "clerk", True)
    assert passwords.matches(row.password_hash, NEW_PASSWORD)
    assert acts(app, ours) == [("user.create", f"user:{ours.manager}", f"user:{row.id}")]


def test_an_operator_takes_in_anybody_and_says_where(app, browser_of, operator, ours):
    browser = browser_of(operator)
    browser.post("/admin/user/new/", _person(role="manager", tenant_id=str(ours.tenant)))
    assert only(app, User, email="jiro@midori.example.jp").tenant_id == ours.tenant
    browser.post("/admin/user/new/", _person(role="operator", email="ops@todoke.example", tenant_id=""))
    assert only(app, User, email="ops@todoke.example").tenant_id is None


@pytest.mark.parametrize(
    ("who", "changes", "says"),
    [
        ("manager", {"role": "operator"}, "選択肢から"),
        ("manager", {"email": "no address"}, "メールアドレスを"),
        ("manager", {"email": ""}, "メールアドレスを入力"),
        ("manager", {"name": ""}, "名前を入力"),
        ("manager", {"password": ""}, "パスワードを入力"),
        ("manager", {"password": "short"}, "12文字以上"),
        ("manager", {"password": "password1234"}, "推測されやすい"),
        ("manager", {"email": "TARO@midori.example.jp"}, "すでに登録されています"),
        ("operator", {"role": "operator", "tenant_id": "ours"}, "企業を選ばず"),
        ("operator", {"role": "clerk", "tenant_id": ""}, "企業を選んでください"),
    ],
)
def test_a_user_who_cannot_be_is_refused(app, browser_of, operator, ours, who, changes, says):
    with app.app_context():
        factories.user(ours.tenant, "clerk", email="taro@midori.example.jp")
    values = {name: str(ours.tenant) if value == "ours" else value for name, value in changes.items()}
    answer = browser_of(operator if who == "operator" else ours.manager).post("/admin/user/new/", _person(**values))
    assert says in plain(answer.get_data(as_text=True))


def test_the_same_address_may_work_for_two_companies(app, browser_of, ours, theirs):
    for house in (ours, theirs):
        assert browser_of(house.manager).post("/admin/user/new/", _person()).status_code == 302
    with app.app_context(), tenancy.platform():
        assert db.session.query(User).filter_by(email="jiro@midori.example.jp").count() == 2


@pytest.mark.parametrize("changes", [{"role": "clerk"}, {"active": None}])
def test_nobody_shuts_himself_out(app, browser_of, ours, changes):
    data = _person(**{"role": "manager", "password": "", **changes})
    answer = browser_of(ours.manager).post(
        f"/admin/user/edit/?id={ours.manager}", {name: value for name, value in data.items() if value is not None}
    )
    assert "ほかの管理者に依頼" in plain(answer.get_data(as_text=True))
    row = only(app, User, id=ours.manager)
    assert (row.role, row.active) == ("manager", True)


@pytest.mark.parametrize("changes", [{"role": "manager"}, {"active": None}, {"password": NEW_PASSWORD}])
def test_a_change_of_rights_ends_the_sessions(app, browser_of, ours, changes):
    clerk = browser_of(ours.clerk)
    assert clerk.get("/admin/").status_code == 200
    data = _person(**{"password": "", "email": only(app, User, id=ours.clerk).email, **changes})
    browser_of(ours.manager).post(
        f"/admin/user/edit/?id={ours.clerk}", {name: value for name, value in data.items() if value is not None}
    )
    assert clerk.get("/admin/").status_code == 302


def test_a_new_name_ends_no_session_and_keeps_the_password(app, browser_of, ours):
    clerk = browser_of(ours.clerk)
    before = only(app, User, id=ours.clerk)
    browser_of(ours.manager).post(f"/admin/user/edit/?id={ours.clerk}", _person(password="", email=before.email))
    after = only(app, User, id=ours.clerk)
    assert (after.name, after.password_hash) == ("佐藤 次郎", before.password_hash)
    assert clerk.get("/admin/").status_code == 200


def test_a_new_password_ends_the_rest_after_failures(app, browser_of, ours):
    with app.app_context(), tenancy.platform():
        user = db.session.get_one(User, ours.clerk)
        user.failed_logins, user.locked_until = 5, datetime(2099, 1, 1, tzinfo=UTC)
        db.session.commit()
        email = user.email
    browser_of(ours.manager).post(f"/admin/user/edit/?id={ours.clerk}", _person(email=email))
    assert only(app, User, id=ours.clerk).locked_until is None


def test_no_page_holds_a_password_or_its_hash(app, browser_of, ours):
    page = browser_of(ours.manager).get(f"/admin/user/edit/?id={ours.clerk}").get_data(as_text=True)
    assert "argon2" not in page
    answer = browser_of(ours.manager).post("/admin/user/new/", _person(name=""))
    assert NEW_PASSWORD not in answer.get_data(as_text=True)


def test_the_audit_shows_who_did_what(browser_of, ours):
    manager = browser_of(ours.manager)
    manager.post(f"/admin/recipient/{ours.people[0].id}/reveal")
    manager.post("/admin/user/new/", _person())
    shown = words(manager, "/admin/audit/")
    assert "山田 花子 電話番号の表示 送信先" in shown
    assert "利用者の登録" in shown
    assert "電話番号の表示" not in words(manager, "/admin/audit/?act=user.create").partition("日時")[2]
    page = manager.get("/admin/audit/").get_data(as_text=True)
    assert f'<a href="/admin/recipient/details/?id={ours.people[0].id}">' in page


# a value that no form writes
_UNTOLD = {
    "id", "tenant_id", "key", "code", "look", "provider", "revision", "preflight", "failures", "trips", "resting_until",
    "resting_code", "compared_on", "failed_logins", "locked_until", "last_login_at", "list_columns",
    "check_due_at", "checks_stopped_at", "checks_watched_from", "served_at", "created_at", "created_by", "asked_by",
    "asked_at", "asked_digest", "approved_by",
    "ask_after", "receipt_secret", "doubted_at", "unanswered", "rests_until", "proved_at",
    "restore_hold", "restore_since", "restore_until",
    "tripped_at", "well_since", "probed_at", "standby_account_id", "counted_at", "recounted_on",
    "shared_account_id", "line_id", "ended_at",
    "send_wish_until", "ask_wish_until", "ask_refused_at", "ask_refused_what", "ask_refused_code",
    "returned_by", "returned_reason", "launched_by", "launched_at", "completed_at",
}  # fmt: skip


@pytest.mark.parametrize("model", [Tenant, User, SmsAccount, PaymentAccount, Campaign, ExportLayout])
def test_what_was_changed_has_a_word_in_the_audit(model):
    """A limit that is lifted must not stand there as ―."""
    assert [column.key for column in inspect(model).column_attrs if column.key not in _FIELDS.keys() | _UNTOLD] == []


def test_who_lifts_the_limit_of_approval_is_told_of(app, browser_of, operator, ours):
    with app.app_context(), tenancy.platform():
        db.session.get_one(Tenant, ours.tenant).approval_above = 100
        db.session.commit()
    kept = {"name": "みどり信販", "state": "active", "contact_phone": "03-1234-5678", "hours-choice": "usual"}
    answer = browser_of(operator).post(f"/admin/tenant/edit/?id={ours.tenant}", {**kept, "approval_above": ""})
    assert answer.status_code == 302
    assert "企業の変更" in (shown := words(browser_of(ours.manager), "/admin/audit/"))
    assert "承認が要らない件数の上限" in shown
