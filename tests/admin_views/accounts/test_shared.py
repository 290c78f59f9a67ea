"""共用SMSアカウント: made and allotted by an operator; a company sees name and state, and nothing of the contract."""

from typing import Any

import pytest
from sqlalchemy import select

from app import tenancy
from app.accounts import credentials_of, receipt_path
from app.delivery.circuit_breaker import Breaker
from app.extensions import db
from app.models import SharedSmsAccount, SmsAccount
from app.providers.sms.base import Outcome, OutcomeKind
from tests import factories
from tests.admin_views.accounts.filled_in import KARADEN
from tests.admin_views.conftest import Browser, House, acts, plain

NEW = "/admin/shared_account/new/?provider=karaden"
TYPED = {**KARADEN, "name": "運営の空電プッシュ", "rate_per_s": "50"}


def text_of(browser: Browser, url: str) -> str:
    return plain(browser.get(url).get_data(as_text=True))


@pytest.fixture
def account(app) -> int:
    with app.app_context():
        return factories.shared_account(rate_per_s=50)


@pytest.fixture
def held(app, account, ours) -> int:
    """The part of our company, with a campaign that waits."""
    with app.app_context():
        return factories.allotment(account, ours.tenant, rate_per_s=10)


def one(app, model: Any, row_id: int) -> Any:
    with app.app_context(), tenancy.platform():
        return db.session.get_one(model, row_id)


def parts(app) -> list[SmsAccount]:
    with app.app_context(), tenancy.platform():
        statement = select(SmsAccount).where(SmsAccount.shared_account_id.is_not(None)).order_by(SmsAccount.id)
        return list(db.session.scalars(statement))


def test_an_operator_makes_an_account_and_allots_it(app, browser_of, operator, ours: House, theirs: House) -> None:
    them = browser_of(operator)
    assert them.post(NEW, TYPED).status_code == 302
    with app.app_context(), tenancy.platform():
        row = db.session.scalars(select(SharedSmsAccount)).one()
        assert credentials_of(row) == {"token": "s3cret-token"}
        assert b"s3cret" not in bytes(row.credentials_sealed or b"")
        made, path = row.id, receipt_path(row)
    page = text_of(them, f"/admin/shared_account/edit/?id={made}")
    assert path in page
    assert "s3cret" not in page
    assert "企業への割当を見る・変える" in page
    url = f"/admin/shared_account/{made}/allotments/"
    assert "まだどの企業にも割り当てていません" in text_of(them, url)
    terms = {"tenant_id": str(ours.tenant), "name": "標準回線", "rate_per_s": "20", "price_yen": "8.5"}
    assert them.post(url, terms).status_code == 303
    assert them.post(url, {**terms, "tenant_id": str(theirs.tenant), "name": "予備"}).status_code == 303
    assert "2社" in text_of(them, "/admin/shared_account/")
    listed = text_of(them, url)
    assert "みどり信販" in listed
    assert "あおば保険" in listed
    mine = parts(app)[0]
    assert (mine.tenant_id, mine.name, mine.rate_per_s, str(mine.price_yen)) == (ours.tenant, "標準回線", 20, "8.50")
    changed = {**terms, "act": "save", "name": "急ぎ回線", "rate_per_s": "30"}
    assert them.post(f"{url}{mine.id}/", changed).status_code == 303
    for act in ("take_back", "give"):
        assert them.post(f"{url}{mine.id}/", {"act": act}).status_code == 303
    assert (parts(app)[0].name, parts(app)[0].rate_per_s, parts(app)[0].active) == ("急ぎ回線", 30, True)
    assert [(act, actor) for act, actor, _ in acts(app, ours)] == [
        ("allotment.give", f"user:{operator}"),
        ("allotment.change", f"user:{operator}"),
        ("allotment.take_back", f"user:{operator}"),
        ("allotment.give", f"user:{operator}"),
    ]
    assert "共用SMSアカウントの割当" in text_of(browser_of(ours.manager), "/admin/audit/")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tenant_id": ""}, "企業を選んでください"),
        ({"tenant_id": "999999"}, "選択肢から選び直してください"),
        ({"name": ""}, "企業に表示する名前を入力"),
        ({"rate_per_s": ""}, "1から1000までの間で入力"),
        ({"rate_per_s": "0"}, "1から1000までの間で入力"),
        ({"rate_per_s": "51"}, "共用アカウントの上限（50）以下"),
        ({"price_yen": "-1"}, "0から1000までの間で入力"),
    ],
)
def test_terms_that_cannot_be_are_refused(app, browser_of, operator, account, ours: House, changes, says) -> None:
    terms = {"tenant_id": str(ours.tenant), "name": "標準回線", "rate_per_s": "20", "price_yen": ""}
    answer = browser_of(operator).post(f"/admin/shared_account/{account}/allotments/", {**terms, **changes})
    assert answer.status_code == 422
    assert says in plain(answer.get_data(as_text=True))
    assert parts(app) == []


def test_a_company_gets_one_part_of_an_account(app, browser_of, operator, account, held, ours: House) -> None:
    terms = {"tenant_id": str(ours.tenant), "name": "もう1つ", "rate_per_s": "5", "price_yen": ""}
    answer = browser_of(operator).post(f"/admin/shared_account/{account}/allotments/", terms)
    assert answer.status_code == 422
    assert "すでに割り当てられています" in plain(answer.get_data(as_text=True))
    assert [row.id for row in parts(app)] == [held]


def test_a_company_sees_name_and_state_and_no_settings(app, browser_of, account, held, ours: House, theirs) -> None:
    manager = browser_of(ours.manager)
    with app.app_context():
        factories.allotment(account, theirs.tenant, rate_per_s=50, name="先方の回線")
    contract = one(app, SharedSmsAccount, account)
    secrets = [contract.name, contract.settings["tenant_id"], "karaden-token", "先方の回線", "あおば保険"]
    edit = f"/admin/sms_account/edit/?id={held}"
    for url in ("/admin/sms_account/", edit, "/admin/", "/admin/audit/", f"/admin/campaign/{ours.campaign}/"):
        page = manager.get(url, follow_redirects=True).get_data(as_text=True)
        assert [secret for secret in secrets if secret in page] == [], url
    listed = text_of(manager, "/admin/sms_account/")
    assert "標準回線" in listed
    assert "共用アカウント" in listed
    form = manager.get(edit).get_data(as_text=True)
    assert "運営担当者が契約し" in form
    for name in ("provider_", "rate_per_s", "price_yen", 'name="name"', 'name="active"', "/callbacks/sms/"):
        assert name not in form, name
    assert f'value="{held}">標準回線' in manager.get("/admin/campaign/new/?blank=1").get_data(as_text=True)


def test_a_company_changes_what_is_its_own_alone(app, browser_of, held, ours: House) -> None:
    before = one(app, SmsAccount, held)
    typed = {
        **KARADEN,
        "name": "x",
        "rate_per_s": "999",
        "price_yen": "0",
        "takeover_order": "2",
        "witness_phone": "090-8888-7777",
        "test_mode": "y",
        "shared_account_id": "",
    }
    assert browser_of(ours.manager).post(f"/admin/sms_account/edit/?id={held}", typed).status_code == 302
    after = one(app, SmsAccount, held)
    assert (after.takeover_order, after.witness_phone_sealed is not None) == (2, True)
    for column in ("name", "rate_per_s", "price_yen", "active", "test_mode", "settings", "provider"):
        assert getattr(after, column) == getattr(before, column), column
    assert (after.credentials_sealed, after.shared_account_id) == (None, before.shared_account_id)


def test_the_operators_screens_are_shut_to_companies(browser_of, account, held, ours: House) -> None:
    for user in (ours.manager, ours.clerk):
        browser = browser_of(user)
        for url in ("", f"edit/?id={account}", f"{account}/allotments/", f"{account}/allotments/{held}/"):
            assert browser.get(f"/admin/shared_account/{url}").status_code == 403
        assert browser.post(f"/admin/shared_account/{account}/allotments/{held}/", {"act": "give"}).status_code == 403
        assert "/admin/shared_account/" not in browser.get("/admin/").get_data(as_text=True)


def test_another_accounts_part_is_nowhere(app, browser_of, operator, account, held) -> None:
    with app.app_context():
        another = factories.shared_account()
    them = browser_of(operator)
    for url in (f"{another}/allotments/{held}/", "999999/allotments/", f"{account}/allotments/999999/"):
        assert them.get(f"/admin/shared_account/{url}").status_code == 404
        assert them.post(f"/admin/shared_account/{url}", {"act": "take_back"}).status_code == 404
    assert one(app, SmsAccount, held).active


def waiting(app, held: int, ours: House) -> int:
    """Launch a campaign of two people by the part."""
    with app.app_context():
        made = factories.campaign(ours.tenant, sms_account_id=held)
        factories.people(ours.tenant, made, 2)
        factories.launch(ours.tenant, made)
        return made


def test_who_waits_is_told_why_when_a_part_is_taken_back(app, browser_of, operator, account, held, ours: House) -> None:
    campaign = waiting(app, held, ours)
    them, clerk = browser_of(operator), browser_of(ours.clerk)
    part = f"/admin/shared_account/{account}/allotments/{held}/"
    assert "送信待ちの方（いま2人）は取り消されず" in text_of(them, part)
    status = f"/admin/campaign/{campaign}/status/"
    assert "引き上げた" not in text_of(clerk, status)
    assert them.post(part, {"act": "take_back"}).status_code == 303
    assert "引き上げ済み" in text_of(them, f"/admin/shared_account/{account}/allotments/")
    for url in (status, "/admin/"):
        page = text_of(clerk, url)
        assert "運営担当者がこの共用アカウントを引き上げた" in page, url
        assert "待っている方への送信は、取り消されていません" in page, url
    assert them.post(part, {"act": "give"}).status_code == 303
    assert "引き上げた" not in text_of(clerk, status)


def test_a_company_learns_that_the_account_rests_and_not_what_it_was_told(
    app, browser_of, operator, account, held, ours: House
) -> None:
    campaign = waiting(app, held, ours)
    with app.app_context(), tenancy.tenant(ours.tenant):
        breaker = Breaker(held)
        for _ in range(20):
            breaker.note_outcome(Outcome(OutcomeKind.LATER, "unauthentication", account_fault=True))
        breaker.save()
    page = text_of(browser_of(ours.manager), f"/admin/campaign/{campaign}/status/")
    assert "送信を見合わせています。" in page
    assert "理由：" not in page
    assert "トークン" not in page
    assert "運営担当者に確かめてください" in page
    saved = browser_of(operator).post(f"/admin/shared_account/edit/?id={account}", {**TYPED, **_same(app, account)})
    assert saved.status_code == 302
    assert one(app, SmsAccount, held).trips == 0, "somebody has mended it"


def _same(app, account: int) -> dict[str, str]:
    stored = one(app, SharedSmsAccount, account).settings
    return {"provider_tenant_id": stored["tenant_id"], "provider_service_id": stored["service_id"]}
