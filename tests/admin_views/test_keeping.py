"""Companies, users and accounts, kept by operators and managers; people, looked at and helped by staff."""

import re
from datetime import UTC, datetime

import pytest

from admin_views.person_page import problem_words
from app import tenancy
from app.accounts import credentials_of
from app.delivery.breaker import Breaker
from app.extensions import db, vault
from app.models import AuditEntry, PaymentAccount, Recipient, SmsAccount, Tenant, User
from app.sms.base import Outcome, OutcomeKind
from app.tenancy import passwords
from app.tracking.moves import Step, move, note
from app.tracking.states import PAGE, SMS, PageState, SmsState
from tests import factories

NEW_PASSWORD = "むらさきの雨がふる町で歩く"


def _words(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True)))


def _acts(app, house=None):
    with app.app_context(), tenancy.platform():
        owner = house.tenant if house else None
        rows = (
            db.session.query(AuditEntry)
            .filter(AuditEntry.tenant_id.is_not_distinct_from(owner))
            .order_by(AuditEntry.id)
        )
        return [(row.act, row.actor, row.target) for row in rows]


# --- companies ---

COMPANY = {
    "code": "aozora",
    "name": "あおぞら電力",
    "state": "review",
    "contact_phone": "０１２０ー１２３ー４５６",
    "contact_hours": "平日 9:00〜17:30",
}


def _one(app, model, **where):
    with app.app_context(), tenancy.platform():
        return db.session.query(model).filter_by(**where).one()


def test_an_operator_takes_in_a_company(app, browser_of, operator):
    assert browser_of(operator).post("/admin/tenant/new/", COMPANY).status_code == 302
    row = _one(app, Tenant, code="aozora")
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
    assert says in _words(answer)


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
    row = _one(app, Tenant, id=tenant)
    assert row.state == (after if moves else before)
    assert row.code != "changed"


# --- users ---


def _person(**values):
    typed = {"name": "佐藤 次郎", "email": "jiro@midori.example.jp", "role": "clerk", "password": NEW_PASSWORD}
    return {**typed, "active": "y", **values}


def test_a_manager_takes_in_a_clerk_of_the_own_company(app, browser_of, ours):
    assert browser_of(ours.manager).post("/admin/user/new/", _person()).status_code == 302
    row = _one(app, User, email="jiro@midori.example.jp")
    assert (row.tenant_id, row.role, row.active) == (ours.tenant, "clerk", True)
    assert passwords.matches(row.password_hash, NEW_PASSWORD)
    assert _acts(app, ours) == [("user.create", f"user:{ours.manager}", f"user:{row.id}")]


def test_an_operator_takes_in_anybody_and_says_where(app, browser_of, operator, ours):
    browser = browser_of(operator)
    browser.post("/admin/user/new/", _person(role="manager", tenant_id=str(ours.tenant)))
    assert _one(app, User, email="jiro@midori.example.jp").tenant_id == ours.tenant
    browser.post("/admin/user/new/", _person(role="operator", email="ops@todoke.example", tenant_id=""))
    assert _one(app, User, email="ops@todoke.example").tenant_id is None


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
    assert says in _words(answer)


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
    assert "ほかの管理者に依頼" in _words(answer)
    row = _one(app, User, id=ours.manager)
    assert (row.role, row.active) == ("manager", True)


@pytest.mark.parametrize("changes", [{"role": "manager"}, {"active": None}, {"password": NEW_PASSWORD}])
def test_a_change_of_rights_ends_the_sessions(app, browser_of, ours, changes):
    clerk = browser_of(ours.clerk)
    assert clerk.get("/admin/").status_code == 200
    data = _person(**{"password": "", "email": _one(app, User, id=ours.clerk).email, **changes})
    browser_of(ours.manager).post(
        f"/admin/user/edit/?id={ours.clerk}", {name: value for name, value in data.items() if value is not None}
    )
    assert clerk.get("/admin/").status_code == 302


def test_a_new_name_ends_no_session_and_keeps_the_password(app, browser_of, ours):
    clerk = browser_of(ours.clerk)
    before = _one(app, User, id=ours.clerk)
    browser_of(ours.manager).post(f"/admin/user/edit/?id={ours.clerk}", _person(password="", email=before.email))
    after = _one(app, User, id=ours.clerk)
    assert (after.name, after.password_hash) == ("佐藤 次郎", before.password_hash)
    assert clerk.get("/admin/").status_code == 200


def test_a_new_password_ends_the_rest_after_failures(app, browser_of, ours):
    with app.app_context(), tenancy.platform():
        user = db.session.get_one(User, ours.clerk)
        user.failed_logins, user.locked_until = 5, datetime(2099, 1, 1, tzinfo=UTC)
        db.session.commit()
        email = user.email
    browser_of(ours.manager).post(f"/admin/user/edit/?id={ours.clerk}", _person(email=email))
    assert _one(app, User, id=ours.clerk).locked_until is None


def test_no_page_holds_a_password_or_its_hash(app, browser_of, ours):
    page = browser_of(ours.manager).get(f"/admin/user/edit/?id={ours.clerk}").get_data(as_text=True)
    assert "argon2" not in page
    answer = browser_of(ours.manager).post("/admin/user/new/", _person(name=""))
    assert NEW_PASSWORD not in answer.get_data(as_text=True)


# --- accounts ---

KARADEN = {
    "name": "本社 督促用",
    "active": "y",
    "sender": "0120-123-456",
    "provider_tenant_id": "9d6b2c1e-0000-4000-8000-000000000001",
    "provider_service_id": "12",
    "provider_token": "s3cret-token",
}


def test_an_sms_account_is_sealed_and_its_secret_never_comes_back(app, browser_of, ours):
    manager = browser_of(ours.manager)
    assert manager.post("/admin/sms_account/new/?provider=karaden", KARADEN).status_code == 302
    with app.app_context(), tenancy.tenant(ours.tenant):
        row = db.session.query(SmsAccount).filter_by(name="本社 督促用").one()
        assert row.settings == {"tenant_id": KARADEN["provider_tenant_id"], "service_id": "12"}
        assert credentials_of(row) == {"token": "s3cret-token"}
        assert b"s3cret" not in bytes(row.credentials_sealed or b"")
        account_id, key = row.id, vault.receipt_key(row.id)
    page = manager.get(f"/admin/sms_account/edit/?id={account_id}").get_data(as_text=True)
    assert "s3cret-token" not in page
    assert "設定済み" in page
    assert f"/callbacks/sms/{account_id}/{key}" in page
    assert "s3cret" not in manager.get("/admin/sms_account/").get_data(as_text=True)


def test_a_blank_secret_keeps_the_old_one_and_a_new_one_replaces_it(app, browser_of, ours):
    manager = browser_of(ours.manager)
    url = f"/admin/sms_account/edit/?id={ours.sms_account}"

    def token():
        with app.app_context(), tenancy.tenant(ours.tenant):
            return credentials_of(db.session.get_one(SmsAccount, ours.sms_account))["token"]

    before = token()
    assert manager.post(url, {**KARADEN, "provider_token": ""}).status_code == 302
    assert token() == before
    assert manager.post(url, {**KARADEN, "provider_token": " another-token\n"}).status_code == 302
    assert token() == "another-token"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"provider_token": ""}, "入力してください。"),
        ({"provider_token": "見せない"}, "半角の英数字と記号だけ"),
        ({"provider_token": "a\r\nX-Header: b"}, "半角の英数字と記号だけ"),
        ({"provider_service_id": ""}, "入力してください。"),
        ({"name": ""}, "アカウント名を入力"),
    ],
)
def test_an_account_that_cannot_work_is_refused(browser_of, ours, changes, says):
    answer = browser_of(ours.manager).post("/admin/sms_account/new/?provider=karaden", {**KARADEN, **changes})
    assert says in _words(answer)
    assert "見せない" not in answer.get_data(as_text=True)


def test_an_unknown_provider_is_nowhere(browser_of, ours):
    assert browser_of(ours.manager).get("/admin/sms_account/new/?provider=pigeon").status_code == 404


def test_an_operator_keeps_accounts_for_companies(app, browser_of, operator, ours):
    browser = browser_of(operator)
    assert "企業を選んでください" in _words(browser.post("/admin/sms_account/new/", KARADEN))
    browser.post("/admin/sms_account/new/", {**KARADEN, "tenant_id": str(ours.tenant)})
    assert _one(app, SmsAccount, name="本社 督促用").tenant_id == ours.tenant
    assert "みどり信販" in _words(browser.get("/admin/sms_account/"))


def test_a_payment_account_tells_where_its_webhooks_go(app, browser_of, ours):
    manager = browser_of(ours.manager)
    data = {
        "name": "本番", "active": "y", "provider_secret_key": "sk_live_1", "provider_webhook_secret": "whsec_1",
        "provider_methods": "card", "provider_konbini_days": "3",
    }  # fmt: skip
    assert manager.post("/admin/payment_account/new/?provider=stripe", data).status_code == 302
    row = _one(app, PaymentAccount, name="本番")
    assert not row.test_mode
    page = manager.get(f"/admin/payment_account/edit/?id={row.id}").get_data(as_text=True)
    assert f"/callbacks/payment/{row.id}" in page
    assert "sk_live_1" not in page


STRIPE = {
    "name": "本番", "active": "y", "provider_secret_key": "sk_live_1", "provider_webhook_secret": "whsec_1",
    "provider_methods": ["konbini", "card"], "provider_konbini_days": "",
}  # fmt: skip


def test_ways_to_pay_are_ticked_and_a_term_may_stay_empty(app, browser_of, ours):
    manager = browser_of(ours.manager)
    page = manager.get("/admin/payment_account/new/?provider=stripe").get_data(as_text=True)
    assert re.findall(r'<label class="form-check-label" for="provider_methods-\d">(.*?)</label>', page) == [
        "カード", "コンビニ", "PayPay",
    ]  # fmt: skip
    assert manager.post("/admin/payment_account/new/?provider=stripe", STRIPE).status_code == 302
    row = _one(app, PaymentAccount, name="本番")
    assert row.settings == {"methods": "card,konbini", "konbini_days": ""}
    page = manager.get(f"/admin/payment_account/edit/?id={row.id}").get_data(as_text=True)
    ticked = re.findall(r'<input[^>]*name="provider_methods"[^>]*>', page)
    assert ["checked" in box for box in ticked] == [True, True, False]
    changed = {**STRIPE, "provider_secret_key": "", "provider_webhook_secret": "", "provider_konbini_days": "７"}
    assert manager.post(f"/admin/payment_account/edit/?id={row.id}", changed).status_code == 302
    assert _one(app, PaymentAccount, name="本番").settings["konbini_days"] == "7"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"provider_methods": []}, "1つ以上選んでください"),
        ({"provider_methods": ["cardd"]}, "選択肢から選び直してください"),
        ({"provider_konbini_days": "61"}, "1から60までの数字で入力してください"),
        ({"provider_konbini_days": "0"}, "1から60までの数字で入力してください"),
        ({"provider_konbini_days": "三日"}, "1から60までの数字で入力してください"),
        ({"provider_secret_key": "sk_test_1"}, "キーはテスト環境のものです"),
        ({"test_mode": "y"}, "キーは本番のものです"),
        ({"provider_secret_key": ""}, "入力してください"),
    ],
)
def test_a_contract_that_would_take_no_money_or_real_money_as_a_test_is_refused(app, browser_of, ours, changes, says):
    answer = browser_of(ours.manager).post("/admin/payment_account/new/?provider=stripe", {**STRIPE, **changes})
    assert answer.status_code == 200
    assert says in _words(answer)
    with app.app_context(), tenancy.tenant(ours.tenant):
        assert db.session.query(PaymentAccount).count() == 1


def test_a_stored_key_for_tests_keeps_its_contract_one_for_tests(browser_of, ours):
    data = {"name": "デモ", "active": "y", "provider_methods": "card"}
    answer = browser_of(ours.manager).post(f"/admin/payment_account/edit/?id={ours.payment_account}", data)
    assert "キーはテスト環境のものです" in _words(answer)


# --- people ---


def test_numbers_are_masked_until_a_manager_asks_and_that_is_on_record(app, browser_of, ours):
    manager, person = browser_of(ours.manager), ours.people[0]
    plain = person.phone.replace("+81", "0")
    masked = f"{plain[:3]}-****-{plain[-4:]}"
    for url in ("/admin/recipient/", f"/admin/recipient/details/?id={person.id}"):
        page = manager.get(url).get_data(as_text=True)
        assert masked in page
        assert plain not in page
    shown = manager.post(f"/admin/recipient/{person.id}/reveal")
    assert plain in shown.get_data(as_text=True)
    assert shown.headers["Cache-Control"] == "no-store"
    assert _acts(app, ours) == [("reveal_phone", f"user:{ours.manager}", f"recipient:{person.id}")]
    assert plain not in manager.get(f"/admin/recipient/details/?id={person.id}").get_data(as_text=True)


def test_a_clerk_is_shown_no_number(app, browser_of, ours):
    clerk, person = browser_of(ours.clerk), ours.people[0]
    assert "電話番号を表示" not in clerk.get(f"/admin/recipient/details/?id={person.id}").get_data(as_text=True)
    assert clerk.post(f"/admin/recipient/{person.id}/reveal").status_code == 403
    assert _acts(app, ours) == []


@pytest.fixture
def locked(app, ours):
    person = ours.people[0]
    now = datetime.now(UTC)
    with app.app_context(), tenancy.tenant(ours.tenant):
        for state in (PageState.OPENED, PageState.LOCKED):
            move(db.session, PAGE, state, [Step(person.id, now, columns={"failed_attempts": 5})], actor="person")
        note(db.session, "page", "wrong_answer", tenant_id=ours.tenant, campaign_id=ours.campaign,
             recipient_id=person.id, at=now, actor="person", detail={"attempt": 5, "of": 5})  # fmt: skip
        db.session.commit()
    return person


def test_a_clerk_ends_a_link_for_good(app, browser_of, ours):
    person = ours.people[0]
    with app.app_context(), tenancy.tenant(ours.tenant):
        move(db.session, SMS, SmsState.QUEUED, [Step(person.id, datetime.now(UTC))], actor="system")
        db.session.commit()
    clerk = browser_of(ours.clerk)
    assert "リンクを無効にする" in _words(clerk.get(f"/admin/recipient/details/?id={person.id}"))
    assert "元には戻せません" in _words(clerk.get(f"/admin/recipient/{person.id}/revoke"))
    done = clerk.post(f"/admin/recipient/{person.id}/revoke", follow_redirects=True)
    assert "リンクを無効にしました" in _words(done)
    with app.app_context(), tenancy.tenant(ours.tenant):
        row = db.session.get_one(Recipient, person.id)
        assert (row.page_state, row.sms_state) == ("revoked", "cancelled")
    assert _acts(app, ours) == [("revoke_link", f"user:{ours.clerk}", f"recipient:{person.id}")]
    for again in (clerk.get, clerk.post):
        assert "すでに無効です" in _words(again(f"/admin/recipient/{person.id}/revoke", follow_redirects=True))
    assert len(_acts(app, ours)) == 1


def test_a_clerk_lets_a_locked_person_try_again(app, browser_of, ours, locked):
    clerk = browser_of(ours.clerk)
    page = _words(clerk.get(f"/admin/recipient/details/?id={locked.id}"))
    assert "ロックを解除する" in page
    assert "回答の間違い（5/5回目）" in page
    clerk.post(f"/admin/recipient/{locked.id}/unlock")
    with app.app_context(), tenancy.tenant(ours.tenant):
        row = db.session.get_one(Recipient, locked.id)
        assert (row.page_state, row.failed_attempts) == ("opened", 0)
    assert _acts(app, ours) == [("unlock", f"user:{ours.clerk}", f"recipient:{locked.id}")]
    again = clerk.post(f"/admin/recipient/{locked.id}/unlock", follow_redirects=True)
    assert "この送信先はロックされていません" in _words(again)
    assert len(_acts(app, ours)) == 1


@pytest.mark.parametrize(
    ("query", "count"), [("page_state=locked", 1), ("page_state=unopened", 2), ("sms=draft", 3), ("sms=delivered", 0)]
)
def test_people_are_filtered_by_their_states(browser_of, ours, locked, query, count):
    page = browser_of(ours.clerk).get(f"/admin/recipient/?{query}").get_data(as_text=True)
    assert sum(person.reference in page for person in ours.people) == count
    assert ("条件をすべて外す" in page) is True


@pytest.mark.parametrize("form", ["{}", "0{1}-{2}-{3}", "+81{1}{2}{3}", "  0{1}{2}{3} "])
def test_a_person_is_found_by_reference_and_by_number_however_typed(browser_of, ours, form):
    wanted, other = ours.people[0], ours.people[1]
    digits = wanted.phone.removeprefix("+81")
    search = (
        form.format(wanted.reference, digits[:2], digits[2:6], digits[6:]) if "{}" not in form else wanted.reference
    )
    page = browser_of(ours.clerk).get("/admin/recipient/", query_string={"search": search}).get_data(as_text=True)
    assert wanted.reference in page
    assert other.reference not in page


def test_pages_of_a_long_list(app, browser_of, ours):
    with app.app_context():
        factories.people(ours.tenant, ours.campaign, 40)
    browser = browser_of(ours.clerk)
    first, last = _words(browser.get("/admin/recipient/")), _words(browser.get("/admin/recipient/?end=1"))
    assert "43件" in first
    assert "次のページ" in first
    assert "前のページ" in last
    assert "次のページ" not in last
    assert "50件" in first


def test_the_audit_shows_who_did_what(browser_of, ours):
    manager = browser_of(ours.manager)
    manager.post(f"/admin/recipient/{ours.people[0].id}/reveal")
    manager.post("/admin/user/new/", _person())
    words = _words(manager.get("/admin/audit/"))
    assert "山田 花子 電話番号の表示 送信先" in words
    assert "利用者の登録" in words
    assert "電話番号の表示" not in _words(manager.get("/admin/audit/?act=user.create")).partition("日時")[2]


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        ("", ""),
        ("mismatch: amount, currency", "金額・通貨が決済サイトと合いません。決済サイトで確かめてください。"),
        ("paid twice", "二重に支払われています。決済サイトで確かめ、一方を返金してください。"),
        ("something new", "決済サイトと食い違いがあります。決済サイトで確かめてください。"),
    ],
)
def test_a_payment_that_needs_a_look_says_what_to_do(problem, says):
    assert problem_words(problem) == says


def test_an_account_that_rests_is_said_on_the_home_page_and_saving_it_goes_on(app, browser_of, ours):
    with app.app_context(), tenancy.tenant(ours.tenant):
        seen = Breaker(ours.sms_account)
        seen.saw(Outcome(OutcomeKind.LATER, "unauthentication", account_fault=True))
        seen.tell()
    manager, clerk = browser_of(ours.manager), browser_of(ours.clerk)
    assert "送信を見合わせています" in _words(clerk.get("/admin/"))
    assert f"/admin/sms_account/edit/?id={ours.sms_account}" in manager.get("/admin/").get_data(as_text=True)
    assert "送信見合わせ中" in _words(manager.get("/admin/sms_account/"))
    url = f"/admin/sms_account/edit/?id={ours.sms_account}"
    assert "unauthentication" in _words(manager.get(url))
    assert manager.post(url, KARADEN).status_code == 302
    assert "送信を見合わせています" not in _words(manager.get("/admin/"))
    with app.app_context(), tenancy.tenant(ours.tenant):
        row = db.session.get_one(SmsAccount, ours.sms_account)
        assert (row.trips, row.failures, row.resting_until) == (0, 0, None)
