"""An account's credentials go to an address of the operator's list, and to the one that its company chose."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from app import config, tenancy
from app.accounts import AddressGone, address_of, for_payment, for_sms, sms_contract
from app.campaigns import readiness
from app.extensions import db
from app.models import Campaign, PaymentAccount, SmsAccount
from tests import factories
from tests.admin_views.accounts.filled_in import KARADEN
from tests.admin_views.conftest import only, plain, words

OURS, OTHER, THIRD = "https://one.example/api", "https://two.example/api", "https://three.example/api"
NEW, LIST = "/admin/sms_account/new/?provider=karaden", "/admin/sms_account/"
Lists = Callable[..., None]


@pytest.fixture
def lists(app, settings: config.Settings) -> Iterator[Lists]:
    """Have the operator list these addresses for each service and payment provider."""

    def do(*addresses: str) -> None:
        config.install(replace(settings, api_bases=dict.fromkeys(settings.api_bases, addresses)))

    yield do
    config.install(settings)


@pytest.fixture
def chosen(app, browser_of, ours, lists: Lists) -> int:
    """An account at OTHER; its id."""
    lists(OURS, OTHER)
    assert browser_of(ours.manager).post(NEW, {**KARADEN, "address": OTHER}).status_code == 302
    return int(only(app, SmsAccount, name=KARADEN["name"]).id)


def at(app, account_id: int) -> str:
    with app.app_context(), tenancy.platform():
        return for_sms(db.session.get_one(SmsAccount, account_id)).base_url


def test_credentials_go_to_the_address_that_was_chosen(app, chosen, lists):
    assert at(app, chosen) == OTHER
    lists(THIRD, OURS, OTHER)
    assert at(app, chosen) == OTHER
    with app.app_context(), tenancy.platform():
        assert sms_contract(db.session.get_one(SmsAccount, chosen))["address"] == OTHER


def test_where_there_is_one_address_nothing_is_asked_and_it_may_move(app, browser_of, ours, lists):
    lists(OURS)
    manager = browser_of(ours.manager)
    assert "接続先" not in words(manager, NEW)
    assert manager.post(NEW, KARADEN).status_code == 302
    account_id = only(app, SmsAccount, name=KARADEN["name"]).id
    assert at(app, account_id) == OURS
    lists(THIRD)
    assert at(app, account_id) == THIRD


@pytest.mark.parametrize("typed", ["", THIRD, "https://evil.example", "javascript:alert(1)"])
def test_an_address_that_is_not_listed_is_refused(app, browser_of, ours, lists, typed):
    lists(OURS, OTHER)
    answer = browser_of(ours.manager).post(NEW, {**KARADEN, "address": typed})
    assert "接続先を一覧から選んでください。" in plain(answer.get_data(as_text=True))
    with app.app_context(), tenancy.platform():
        assert db.session.query(SmsAccount).filter_by(name=KARADEN["name"]).count() == 0


def test_an_address_that_left_the_list_gets_no_credentials_and_screens_say_so(app, browser_of, ours, chosen, lists):
    lists(OURS)
    with app.app_context(), tenancy.platform():
        row = db.session.get_one(SmsAccount, chosen)
        for act in (address_of, for_sms):
            with pytest.raises(AddressGone):
                act(row)
        assert sms_contract(row)["address"] == OTHER  # what left there is of that contract still
    manager = browser_of(ours.manager)
    url = f"/admin/sms_account/edit/?id={chosen}"
    page = words(manager, url)
    assert "運営担当者の一覧から外れました。このアカウントでは、送信も、送信結果の照会もできません" in page
    assert "two.example/api（今は使えません）" in page
    kept = {**KARADEN, "provider_token": "", "address": OTHER, "active": ""}
    assert manager.post(url, kept).status_code == 302  # it can be stopped
    with app.app_context(), tenancy.platform():
        assert sms_contract(db.session.get_one(SmsAccount, chosen))["address"] == OTHER
    assert manager.post(url, {**kept, "address": OURS, "active": "y"}).status_code == 302
    assert at(app, chosen) == OURS
    assert "運営担当者の一覧から外れました" not in words(manager, url)


def test_a_campaign_says_that_its_accounts_are_at_no_listed_address(app, ours, campaign, lists):
    lists()
    with app.app_context(), tenancy.tenant(ours.tenant):
        found = readiness.missing_to_send(db.session.get_one(Campaign, campaign))
        assert [problem.code for problem in found] == ["sms_account_address_gone"]
        assert "管理者にお知らせください" in found[0].message_ja
        with pytest.raises(AddressGone):
            for_payment(db.session.get_one(PaymentAccount, factories.payment_account(ours.tenant)))


def test_an_account_that_sent_stays_at_its_address(app, browser_of, ours, campaign, change, lists):
    lists(OURS, OTHER)
    change(
        """
        INSERT INTO send_log (tenant_id, campaign_id, recipient_id, sms_account_id, attempt, fence, state, started_at)
        SELECT r.tenant_id, campaign_id, r.id, c.sms_account_id, 1, 1, 'accepted', now()
        FROM recipient r JOIN campaign c ON c.id = r.campaign_id WHERE campaign_id = :campaign
        """,
        campaign=campaign,
    )
    with app.app_context(), tenancy.tenant(ours.tenant):
        before = dict(db.session.get_one(SmsAccount, ours.sms_account).settings)
    same = {**KARADEN, **{f"provider_{name}": value for name, value in before.items()}}
    manager = browser_of(ours.manager)
    url = f"/admin/sms_account/edit/?id={ours.sms_account}"
    refused = manager.post(url, {**same, "address": OTHER})
    assert "別の契約は、新しいアカウントとして登録してください" in plain(refused.get_data(as_text=True))
    assert at(app, ours.sms_account) == OURS
    assert manager.post(url, {**same, "address": OURS}).status_code == 302


def test_a_service_without_an_address_is_not_offered(browser_of, ours, lists):
    lists()
    manager = browser_of(ours.manager)
    assert "アカウントを登録する" not in words(manager, LIST)
    assert manager.get(NEW).status_code == 404
    assert manager.get("/admin/sms_account/new/").status_code == 404
    assert "今は使えません" not in words(manager, f"/admin/sms_account/edit/?id={ours.sms_account}")


def test_a_payment_account_chooses_too(app, browser_of, ours, lists):
    lists(OURS, OTHER)
    data = {
        "name": "本番", "active": "y", "provider_secret_key": "sk_live_1", "provider_webhook_secret": "whsec_1",
        "provider_methods": "card", "provider_konbini_days": "3", "address": OTHER,
    }  # fmt: skip
    assert browser_of(ours.manager).post("/admin/payment_account/new/?provider=stripe", data).status_code == 302
    row = only(app, PaymentAccount, name="本番")
    with app.app_context(), tenancy.platform():
        assert for_payment(db.session.get_one(PaymentAccount, row.id)).base_url == OTHER
    lists(OURS)
    url = f"/admin/payment_account/edit/?id={row.id}"
    assert "新しい支払いの受付も、支払いの確認もできません" in words(browser_of(ours.manager), url)
