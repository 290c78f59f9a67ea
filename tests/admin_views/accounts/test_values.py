"""Values of accounts that their hints rule out, and accounts that would be taken for another: refused, with a word."""

import re
from typing import Any

import psycopg
import pytest
from flask import Flask

from app import tenancy
from app.accounts import credentials_of
from app.delivery import failover
from app.extensions import db
from app.models import Campaign, SmsAccount
from app.providers.payments import PROVIDERS as PAYMENT
from app.providers.sms import PROVIDERS as SMS
from tests import factories
from tests.admin_views.accounts.filled_in import KARADEN
from tests.admin_views.conftest import Browser, House, only, plain, words

ADAPTERS: dict[str, Any] = {**SMS, **PAYMENT}
SID = "AC" + "0123456789abcdef" * 2
# forms that are saved, by provider
GOOD: dict[str, dict[str, Any]] = {
    "karaden": {name: value for name, value in KARADEN.items() if name.startswith("provider_")},
    "zettai_reach": {"provider_client_id": "1234", "provider_sms_code": "24305", "provider_token": "t" * 32},
    "infobip": {"provider_api_key": "003026bbc133714df1834b8638bb496e-8f4b3d9a"},
    "twilio": {"provider_account_sid": SID, "provider_sender": "+815012345678", "provider_auth_token": "a" * 32},
    "stripe": {
        "provider_secret_key": "rk_live_1", "provider_webhook_secret": "whsec_1", "provider_methods": "card",
        "provider_konbini_days": "",
    },
    "komoju": {"provider_secret_key": "sk_live_1", "provider_webhook_secret": "s3", "provider_methods": "konbini"},
    "payjp": {"provider_secret_key": "sk_live_1", "provider_webhook_token": "w", "provider_methods": "card"},
    "paypay": {"provider_api_key": "a_1", "provider_api_secret": "s", "provider_merchant_id": "123456789012345678"},
}  # fmt: skip
# values that are refused, by provider and field
BAD: dict[tuple[str, str], list[str]] = {
    ("karaden", "tenant_id"): [
        "12",
        "9d6b2c1e",
        "9d6b2c1e-0000-4000-8000-00000000000g",
        "9d6b2c1e000040008000000000000001",
    ],
    ("karaden", "service_id"): ["abc", "12a", "1.5", "-1", "1 2"],
    ("karaden", "token"): ["to ken"],
    ("zettai_reach", "client_id"): ["abc", "12-3"],
    ("zettai_reach", "sms_code"): ["1234", "1234567", "SENDER"],
    ("zettai_reach", "token"): ["t" * 31, "t" * 33],
    ("infobip", "api_key"): ["App key"],
    ("twilio", "account_sid"): ["AC", "AC123", SID[:-1], f"{SID}0", f"SK{SID[2:]}", f"AC{'g' * 32}"],
    ("twilio", "sender"): ["junk", "TODOKE", "05012345678", "+1 202 555 0123", "+12025550123", "MG12", "+81"],
    ("twilio", "auth_token"): ["a b"],
    ("stripe", "secret_key"): ["pk_live_1", "sk", "sk_"],
    ("stripe", "webhook_secret"): ["sk_live_1", "whsec_"],
    ("komoju", "secret_key"): ["pk_live_1"],
    ("komoju", "webhook_secret"): ["two words"],
    ("payjp", "secret_key"): ["sk_1", "pk_live_1"],
    ("payjp", "webhook_token"): ["two words"],
    ("paypay", "api_key"): ["two words"],
    ("paypay", "api_secret"): ["two words"],
    ("paypay", "merchant_id"): ["加盟店", "12 34"],
}


def view_of(provider: str) -> str:
    return "sms_account" if provider in SMS else "payment_account"


@pytest.fixture
def save(manager: Browser) -> Any:
    """Register an account of a provider; returns what the page says, "" where it was saved."""

    def save(provider: str, name: str = "試し", **changes: Any) -> str:
        data = {"name": name, "active": "y", **GOOD[provider], **changes}
        answer = manager.post(f"/admin/{view_of(provider)}/new/?provider={provider}", data)
        return "" if answer.status_code == 302 else plain(answer.get_data(as_text=True))

    return save


def offered(provider: str) -> bool:
    """Return whether the test's settings list an address of the provider, as the form asks for."""
    return provider != "infobip"


@pytest.mark.parametrize("provider", [name for name in ADAPTERS if offered(name)])
def test_values_of_the_form_are_saved_and_every_field_is_tried(save, provider: str) -> None:
    assert save(provider) == ""
    free = [item for item in ADAPTERS[provider].fields if not (item.choices or item.whole or item.optional)]
    assert {name for of, name in BAD if of == provider} == {item.name for item in free}


@pytest.mark.parametrize(("provider", "name"), [one for one in BAD if offered(one[0])], ids="-".join)
def test_what_the_hint_rules_out_is_refused_with_what_is_expected(save, manager, provider: str, name: str) -> None:
    (item,) = [item for item in ADAPTERS[provider].fields if item.name == name]
    page = words(manager, f"/admin/{view_of(provider)}/new/?provider={provider}")
    assert plain(item.description).strip() in page, "the form says it beforehand"
    for value in BAD[provider, name]:
        said = save(provider, **{f"provider_{name}": value})
        assert f"{item.expects}を入力してください" in said or "半角の英数字と記号だけ" in said, value


def test_an_adapters_own_fields_are_refused_the_same_way_wherever_they_are_asked() -> None:
    for (provider, name), values in BAD.items():
        (item,) = [item for item in ADAPTERS[provider].fields if item.name == name]
        assert all(item.refusal(value) for value in values), name
        assert not item.refusal(GOOD[provider][f"provider_{name}"])


def test_full_width_and_blanks_around_do_no_harm(app: Flask, save) -> None:
    assert save("karaden", provider_service_id=" １２ ") == ""
    assert only(app, SmsAccount, name="試し").settings["service_id"] == "12"


def test_a_value_of_before_is_told_of_and_keeps_its_account_usable(
    app: Flask, manager: Browser, ours: House, database: psycopg.Connection
) -> None:
    database.execute("UPDATE sms_account SET settings = jsonb_set(settings, '{service_id}', '\"abc\"')")
    url = f"/admin/sms_account/edit/?id={ours.sms_account}"
    assert "「サービスID」の値が" in words(manager, url)
    tenant = only(app, SmsAccount, id=ours.sms_account).settings["tenant_id"]
    same = {**KARADEN, "provider_tenant_id": tenant, "provider_service_id": "abc", "provider_token": "renewed"}
    assert manager.post(url, same).status_code == 302
    with app.app_context(), tenancy.tenant(ours.tenant):
        assert credentials_of(db.session.get_one(SmsAccount, ours.sms_account)) == {"token": "renewed"}
    assert manager.post(url, {**same, "provider_service_id": "abd"}).status_code == 200


def test_a_second_account_of_one_name_or_contract_is_refused(save) -> None:
    assert save("karaden", "本社") == ""
    assert "この名前のアカウントは、すでに登録されています" in save("karaden", " 本 社", provider_service_id="13")
    assert "アカウント「本社」として、すでに登録されています" in save("karaden", "支社", provider_token="another")
    assert save("karaden", "支社", provider_service_id="13") == ""
    assert save("twilio", "番号1") == ""
    assert save("twilio", "番号2", provider_sender="+815087654321") == "", "another sender of one contract"
    assert "アカウント「番号1」として" in save("twilio", "番号3")


def test_a_second_payment_account_of_one_key_and_ways_is_refused(save) -> None:
    assert save("stripe", "カード") == ""
    assert "アカウント「カード」として、すでに登録されています" in save(
        "stripe", "別名", provider_webhook_secret="whsec_2"
    )
    assert save("stripe", "コンビニ", provider_methods="konbini") == "", "other ways to pay by one contract"
    assert "この名前のアカウントは" in save("stripe", "カード", provider_secret_key="sk_live_2")


def test_other_companies_accounts_are_no_twins(save, app: Flask, theirs: House) -> None:
    with app.app_context(), tenancy.tenant(theirs.tenant):
        row = db.session.get_one(SmsAccount, theirs.sms_account)
        row.name, row.takeover_order = "試し", 1
        row.settings = {"tenant_id": KARADEN["provider_tenant_id"], "service_id": KARADEN["provider_service_id"]}
        db.session.commit()
    assert save("karaden", "試し", takeover_order="1") == ""


def test_a_place_in_the_order_is_one_accounts(app: Flask, save, manager: Browser) -> None:
    assert save("karaden", "1番", takeover_order="1") == ""
    assert "順番1は、アカウント「1番」が使っています" in save("twilio", "2番", takeover_order="1")
    assert save("twilio", "2番", takeover_order="2") == ""
    second = only(app, SmsAccount, name="2番")
    url = f"/admin/sms_account/edit/?id={second.id}"
    data = {"name": "2番", "active": "y", **GOOD["twilio"], "provider_auth_token": ""}
    assert "順番1は" in plain(manager.post(url, {**data, "takeover_order": "1"}).get_data(as_text=True))
    assert manager.post(url, {**data, "takeover_order": "2"}).status_code == 302, "it keeps its own"
    assert only(app, SmsAccount, name="2番").takeover_order == 2


def test_a_twin_of_before_can_be_given_a_new_token(
    app: Flask, manager: Browser, ours: House, database: psycopg.Connection
) -> None:
    with app.app_context():
        twin = factories.sms_account(ours.tenant)
    database.execute("UPDATE sms_account SET takeover_order = 1 WHERE tenant_id = %s", [ours.tenant])
    row = only(app, SmsAccount, id=twin)
    data = {
        "name": row.name, "active": "y", "takeover_order": "1", "provider_token": "renewed",
        **{f"provider_{name}": value for name, value in row.settings.items()},
    }  # fmt: skip
    assert manager.post(f"/admin/sms_account/edit/?id={twin}", data).status_code == 302


@pytest.mark.parametrize("provider", [name for name in SMS if name != "infobip"])
def test_an_account_of_the_same_contract_never_stands_in(
    app: Flask, ours: House, database: psycopg.Connection, provider: str
) -> None:
    with app.app_context():
        own, twin = (
            factories.sms_account(ours.tenant, provider=provider),
            factories.sms_account(ours.tenant, provider=provider),
        )
        other = factories.sms_account(ours.tenant, provider="infobip")
    for order, account in enumerate([twin, other], 1):
        database.execute("UPDATE sms_account SET takeover_order = %s WHERE id = %s", [order, account])
    database.execute("UPDATE campaign SET sms_account_id = %s WHERE id = %s", [own, ours.campaign])
    if provider == "twilio":  # another sender is no other contract
        database.execute(
            'UPDATE sms_account SET settings = settings || \'{"sender": "+815087654321"}\' WHERE id = %s', [twin]
        )
    with app.app_context(), tenancy.tenant(ours.tenant):
        campaign = db.session.get_one(Campaign, ours.campaign)
        assert [account.id for account in failover.standbys(campaign)] == [other]


def test_the_form_names_no_field_twice(manager: Browser) -> None:
    page = manager.get("/admin/sms_account/new/?provider=twilio").get_data(as_text=True)
    names = re.findall(r'name="(provider_\w+)"', page)
    assert len(names) == len(set(names)) == 4
