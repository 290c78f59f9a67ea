"""Contracts with SMS and payment providers, as managers and operators keep them; their secrets never come back."""

import re

import pytest
from sqlalchemy import text

from app import queues, tenancy
from app.accounts import credentials_of, receipt_path
from app.delivery.circuit_breaker import Breaker
from app.extensions import db
from app.models import PaymentAccount, SmsAccount
from app.providers.sms.base import Outcome, OutcomeKind
from app.setback import beat
from tests import factories, steps
from tests.admin_views.accounts.filled_in import KARADEN
from tests.admin_views.conftest import only, plain, words


def test_an_sms_account_is_sealed_and_its_secret_never_comes_back(app, browser_of, ours):
    manager = browser_of(ours.manager)
    assert manager.post("/admin/sms_account/new/?provider=karaden", KARADEN).status_code == 302
    with app.app_context(), tenancy.tenant(ours.tenant):
        row = db.session.query(SmsAccount).filter_by(name="本社 督促用").one()
        assert row.settings == {"tenant_id": KARADEN["provider_tenant_id"], "service_id": "12"}
        assert credentials_of(row) == {"token": "s3cret-token"}
        assert b"s3cret" not in bytes(row.credentials_sealed or b"")
        account_id, path = row.id, receipt_path(row)
    page = manager.get(f"/admin/sms_account/edit/?id={account_id}").get_data(as_text=True)
    assert "s3cret-token" not in page
    assert "設定済み" in page
    assert path in page
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
    assert says in plain(answer.get_data(as_text=True))
    assert "見せない" not in answer.get_data(as_text=True)


def test_an_unknown_provider_is_nowhere(browser_of, ours):
    assert browser_of(ours.manager).get("/admin/sms_account/new/?provider=pigeon").status_code == 404


def test_an_operator_keeps_accounts_for_companies(app, browser_of, operator, ours):
    browser = browser_of(operator)
    assert "企業を選んでください" in plain(browser.post("/admin/sms_account/new/", KARADEN).get_data(as_text=True))
    browser.post("/admin/sms_account/new/", {**KARADEN, "tenant_id": str(ours.tenant)})
    assert only(app, SmsAccount, name="本社 督促用").tenant_id == ours.tenant
    assert "みどり信販" in words(browser, "/admin/sms_account/")


def test_a_payment_account_tells_where_its_webhooks_go(app, browser_of, ours):
    manager = browser_of(ours.manager)
    data = {
        "name": "本番", "active": "y", "provider_secret_key": "sk_live_1", "provider_webhook_secret": "whsec_1",
        "provider_methods": "card", "provider_konbini_days": "3",
    }  # fmt: skip
    assert manager.post("/admin/payment_account/new/?provider=stripe", data).status_code == 302
    row = only(app, PaymentAccount, name="本番")
    assert not row.test_mode
    page = manager.get(f"/admin/payment_account/edit/?id={row.id}").get_data(as_text=True)
    assert f"/callbacks/payment/{row.id}" in page
    assert "sk_live_1" not in page


def test_a_confirmation_number_is_sealed_and_shown_masked(app, browser_of, ours):
    manager = browser_of(ours.manager)
    assert "固定電話" in plain(
        manager.post("/admin/sms_account/new/?provider=karaden", {**KARADEN, "witness_phone": "03-1234-5678"}).get_data(
            as_text=True
        )
    )
    given = {**KARADEN, "witness_phone": "０９０-8888-7777"}
    assert manager.post("/admin/sms_account/new/?provider=karaden", given).status_code == 302
    row = only(app, SmsAccount, name="本社 督促用")
    assert b"8888" not in bytes(row.witness_phone_sealed or b"")
    url = f"/admin/sms_account/edit/?id={row.id}"
    page = manager.get(url).get_data(as_text=True)
    assert "登録済み：090-****-7777" in plain(page)
    assert "8888" not in page
    kept = {**KARADEN, "provider_token": "", "witness_phone": ""}
    assert manager.post(url, kept).status_code == 302
    assert only(app, SmsAccount, name="本社 督促用").witness_phone_sealed == row.witness_phone_sealed
    assert manager.post(url, {**kept, "no_witness": "y"}).status_code == 302
    assert only(app, SmsAccount, name="本社 督促用").witness_phone_sealed is None


def test_an_account_that_sent_stays_the_contract_it_is(app, browser_of, ours, campaign, change):
    change(
        """
        INSERT INTO send_log (
            tenant_id, campaign_id, recipient_id, sms_account_id, attempt, fence, state, started_at
        )
        SELECT r.tenant_id, campaign_id, r.id, c.sms_account_id, 1, 1, 'accepted', now()
        FROM recipient r JOIN campaign c ON c.id = r.campaign_id WHERE campaign_id = :campaign
        """,
        campaign=campaign,
    )
    manager = browser_of(ours.manager)
    url = f"/admin/sms_account/edit/?id={ours.sms_account}"
    with app.app_context(), tenancy.tenant(ours.tenant):
        before = dict(db.session.get_one(SmsAccount, ours.sms_account).settings)
    same = {
        **KARADEN, "provider_tenant_id": before["tenant_id"], "provider_service_id": before["service_id"],
    }  # fmt: skip
    refused = manager.post(url, {**same, "provider_service_id": "77"})
    assert "別の契約は、新しいアカウントとして登録してください" in plain(refused.get_data(as_text=True))
    for_tests = manager.post(url, {**same, "test_mode": "y"})
    assert for_tests.status_code != 302, "what was sent in earnest would stand as sent to nobody"
    assert "このアカウントで送ったSMSがあるため、変えられません" in plain(for_tests.get_data(as_text=True))
    page = manager.get(url).get_data(as_text=True)
    assert "別の契約は新しいアカウントとして登録" in page
    assert "/admin/sms_account/new/?provider=karaden" in page
    assert manager.post(url, {**same, "provider_token": "renewed"}).status_code == 302
    with app.app_context(), tenancy.tenant(ours.tenant):
        row = db.session.get_one(SmsAccount, ours.sms_account)
        assert row.settings == before
        assert credentials_of(row) == {"token": "renewed"}


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
    row = only(app, PaymentAccount, name="本番")
    assert row.settings == {"methods": "card,konbini", "konbini_days": ""}
    page = manager.get(f"/admin/payment_account/edit/?id={row.id}").get_data(as_text=True)
    ticked = re.findall(r'<input[^>]*name="provider_methods"[^>]*>', page)
    assert ["checked" in box for box in ticked] == [True, True, False]
    changed = {**STRIPE, "provider_secret_key": "", "provider_webhook_secret": "", "provider_konbini_days": "７"}
    assert manager.post(f"/admin/payment_account/edit/?id={row.id}", changed).status_code == 302
    assert only(app, PaymentAccount, name="本番").settings["konbini_days"] == "7"


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
    assert says in plain(answer.get_data(as_text=True))
    with app.app_context(), tenancy.tenant(ours.tenant):
        assert db.session.query(PaymentAccount).count() == 1


def test_a_stored_key_for_tests_keeps_its_contract_one_for_tests(browser_of, ours):
    data = {"name": "デモ", "active": "y", "provider_methods": "card"}
    answer = browser_of(ours.manager).post(f"/admin/payment_account/edit/?id={ours.payment_account}", data)
    assert "キーはテスト環境のものです" in plain(answer.get_data(as_text=True))


def test_an_account_that_rests_is_said_on_the_home_page_and_saving_it_goes_on(app, browser_of, ours):
    with app.app_context(), tenancy.tenant(ours.tenant):
        seen = Breaker(ours.sms_account)
        seen.note_outcome(Outcome(OutcomeKind.LATER, "unauthentication", account_fault=True))
        seen.save()
    manager, clerk = browser_of(ours.manager), browser_of(ours.clerk)
    assert "送信を見合わせています" in words(clerk, "/admin/")
    assert f"/admin/sms_account/edit/?id={ours.sms_account}" in manager.get("/admin/").get_data(as_text=True)
    assert "送信見合わせ中" in words(manager, "/admin/sms_account/")
    url = f"/admin/sms_account/edit/?id={ours.sms_account}"
    assert "認証情報の誤り" in words(manager, url)
    assert manager.post(url, KARADEN).status_code == 302
    assert "送信を見合わせています" not in words(manager, "/admin/")
    with app.app_context(), tenancy.tenant(ours.tenant):
        row = db.session.get_one(SmsAccount, ours.sms_account)
        assert (row.trips, row.failures, row.resting_until) == (0, 0, None)


def test_no_time_that_has_passed_is_told_as_one_to_come(browser_of, ours, database):
    database.execute(
        "UPDATE sms_account SET trips = 1, resting_code = 'http_503', resting_until = now() - interval '3 hours'"
    )
    manager = browser_of(ours.manager)
    for page in ("/admin/", f"/admin/sms_account/edit/?id={ours.sms_account}"):
        assert "次にSMSを送るときに1件だけ試し、受け付けられれば再開します" in words(manager, page)
        assert "ごろに1件だけ" not in words(manager, page)
    database.execute("UPDATE sms_account SET resting_until = now() + interval '3 hours'")
    assert "ごろに1件だけ試し" in words(manager, "/admin/")


@pytest.mark.parametrize(
    ("change", "key", "says"),
    [
        (
            "UPDATE sms_account SET ask_refused_at = now(), ask_refused_what = 'lookup', ask_refused_code = 'http_403'",
            "refused",
            "断られています（送信サービスが受け付けず、応答コード403）",
        ),
        (
            "UPDATE sms_account SET trips = 1, resting_until = now(), resting_code = 'http_503'",
            "resting",
            "送信を見合わせています（理由：送信サービスの障害、応答コード503）",
        ),
        (
            "UPDATE sms_account SET ask_wish_until = now() + interval '9 minutes'",
            "waits.asking",
            "まで送信結果の照会を待機しています",
        ),
        (
            """
            UPDATE sms_account SET send_wish_until = now() + interval '30 minutes', trips = 1,
                resting_until = now() + interval '30 minutes';
            UPDATE slice SET due_at = now() + interval '30 minutes'
            """,
            "waits.sending",
            "まで送信を待機しています",
        ),
    ],
)
def test_what_an_account_waits_for_is_said_wherever_somebody_looks(
    app, browser_of, ours, database, take, change, key, says
):
    with app.app_context():
        factories.launch(ours.tenant, ours.campaign)
    take(steps.accept, ours.people[0].id)
    manager, clerk = browser_of(ours.manager), browser_of(ours.clerk)
    account, status = f"/admin/sms_account/edit/?id={ours.sms_account}", f"/admin/campaign/{ours.campaign}/status"
    [shown] = set(re.findall(r"shown=([^\"&]*)", manager.get(f"{status}/").get_data(as_text=True)))
    for page in (account, "/admin/", f"{status}/"):
        assert says not in words(manager, page)
    assert manager.get(f"{status}.json?shown={shown}").get_json()["done"] is False
    database.execute(change)
    for browser, pages in ((manager, (account, "/admin/", f"{status}/")), (clerk, ("/admin/", f"{status}/"))):
        for page in pages:
            assert says in words(browser, page), page
    assert account in manager.get("/admin/").get_data(as_text=True)
    assert account not in clerk.get("/admin/").get_data(as_text=True)
    assert key == "resting" or "送信を見合わせています" not in words(manager, "/admin/"), "said once"
    told = manager.get(f"{status}.json?shown={shown}").get_json()
    assert told["done"], "the page is loaded anew"
    assert says in told["texts"][key]
    assert manager.post(account, KARADEN).status_code == 302
    for page in (account, "/admin/", f"{status}/"):
        assert says not in words(manager, page)


def test_an_account_that_is_registered_after_a_restore_waits_until_it_was_asked(app, browser_of, ours):
    """It may be one that was registered since the backup, and forgotten: what left by it isn't known."""
    with app.app_context(), tenancy.platform(), tenancy.transaction() as connection:
        beat.begin(connection)
        connection.execute(
            text("UPDATE installation SET restored_since = now() - interval '1 day', restored_until = now()")
        )
    manager = browser_of(ours.manager)
    answer = manager.post("/admin/sms_account/new/?provider=karaden", KARADEN, follow_redirects=True)
    assert "このアカウントでは送信されません" in plain(answer.get_data(as_text=True))
    row = only(app, SmsAccount, name="本社 督促用")
    assert row.restore_hold == "new"
    assert (row.id,) in queues.waiting("jobs.restore.ask_account")
    page = words(manager, f"/admin/restored/sms/{row.id}/")
    assert "データベースの復元のあとに登録されました" in page
    assert "いま自動で照会しています" in page
