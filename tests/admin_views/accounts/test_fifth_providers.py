"""A fifth SMS service and a fifth payment provider: a file each, a line each, and everything works with them.

Each is registered by one line in the fixture `world`, in the place of the one in its package's `__init__`.
"""

import hmac
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app import config, tenancy
from app.accounts import receipt_path, sms_contract
from app.delivery import dispatch
from app.extensions import db
from app.models import PaymentAccount, SmsAccount
from app.payments import bulkhead
from app.payments.checkout import Outcome
from app.provider_addresses import describe
from app.providers import payments, sms
from jobs import outcomes
from jobs import payments as payment_jobs
from tests import factories
from tests.admin_views.conftest import only, words
from tests.payments.shop import make_buyer
from tests.providers import toy_payment, toy_sms
from tests.providers.toy_payment import toypay
from tests.providers.toy_sms import toy
from tests.providers.toy_world import World, running_world

# a file's longest, as issue 14 has it
LONGEST = {toy_sms: 120, toy_payment: 200}


@pytest.fixture
def world(
    app, settings: config.Settings, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """Both providers, registered and running; settings are read anew."""
    monkeypatch.setitem(sms.PROVIDERS, toy.name, toy)
    monkeypatch.setitem(payments.PROVIDERS, toypay.name, toypay)
    with running_world() as running:
        own = {"TOY_API_BASE": running.url, "TOYPAY_API_BASE": running.url}
        read = config.Settings.from_env(environment | own)
        config.install(
            replace(read, send_timeout_s=5, lease_s=20, unknown_settle_s=1, gateway_settle_s=1, absence_gap_s=1)
        )
        bulkhead.forget()
        yield running
    config.install(settings)


def test_each_is_one_file_of_its_length() -> None:
    for module, longest in LONGEST.items():
        assert len(Path(str(module.__file__)).read_text("utf-8").splitlines()) <= longest


def test_their_settings_are_read_and_documented(world: World) -> None:
    assert config.settings().api_bases["toy"] == (world.url,)
    told = {name: (default, what) for name, default, what in describe()}
    assert told["TOY_API_BASE"][0] == "https://sms.toy.example"
    assert "トイペイ" in told["TOYPAY_API_BASE"][1]


def register(browser: Any, kind: str, name: str, **fields: str) -> None:
    """Register an account by the form that the adapter's fields make."""
    url = f"/admin/{kind}/new/?provider={name}"
    assert f"{name}" in browser.get(f"/admin/{kind}/").get_data(as_text=True)
    answer = browser.post(url, {"name": f"本社 {name}", "active": "y", **fields})
    assert answer.status_code == 302, re.sub(r"<[^>]+>|\s+", " ", answer.get_data(as_text=True))


def test_a_campaign_goes_out_through_the_fifth_sms_service(app, world: World, browser_of, ours, client) -> None:
    manager = browser_of(ours.manager)
    register(manager, "sms_account", "toy", provider_shop="A1", provider_key="s3cret")
    assert "トイSMS" in words(manager, "/admin/sms_account/")
    row = only(app, SmsAccount, name="本社 toy")
    people = [*(f"+8190{n:08}" for n in range(11_111_111, 11_111_116)), "+819099990000"]
    with app.app_context():
        campaign = factories.campaign(ours.tenant, sms_account_id=row.id)
        persons = factories.people(ours.tenant, campaign, len(people), phones=people)
        factories.launch(ours.tenant, campaign)
        world.spoiled = 1
        dispatch.take()

    def states() -> dict[str, int]:
        with app.app_context(), tenancy.tenant(ours.tenant):
            found = db.session.execute(
                db.text("SELECT sms_state, count(*) AS people FROM recipient WHERE campaign_id = :id GROUP BY 1"),
                {"id": campaign},
            )
            return {row.sms_state: row.people for row in found}

    # one number is refused, one answer was lost: the look-up by our name for it finds its message
    assert states() == {"accepted": 4, "unknown": 1, "undelivered": 1}
    with app.app_context():
        outcomes.reconcile(ours.tenant)
    assert states() == {"accepted": 5, "undelivered": 1}
    assert len(world.messages) == world.asked["POST send"] - 1 == 5
    assert world.keys == {"Bearer s3cret"}

    # a pushed receipt only says "look again"
    with app.app_context(), tenancy.tenant(ours.tenant):
        account = db.session.get_one(SmsAccount, row.id)
        path, contract = receipt_path(account), sms_contract(account)
    assert contract == {"service": "toy", "address": world.url, "shop": "A1"}
    for message in world.messages.values():
        message["state"] = "arrived"
        assert client.post(path, data=json.dumps({"found": [message]})).status_code == 200
    with app.app_context():
        outcomes.apply_receipts(ours.tenant)
    assert states() == {"delivered": 5, "undelivered": 1}
    assert len(persons) == 6


def test_a_person_pays_at_the_fifth_payment_provider(app, world: World, browser_of, ours, client, database) -> None:
    manager = browser_of(ours.manager)
    secrets = {"provider_key": "s3cret", "provider_webhook_key": "hush"}
    register(manager, "payment_account", "toypay", provider_methods="coin", test_mode="y", **secrets)
    assert "トイペイ" in words(manager, "/admin/payment_account/")
    row = only(app, PaymentAccount, name="本社 toypay")
    buyer = make_buyer(app, database, world, ours.tenant, row.id)  # type: ignore[arg-type] # its site is never asked
    assert buyer.press() is Outcome.READY
    assert buyer.press() is Outcome.READY
    assert list(world.orders) == ["t1"]
    assert buyer.url() == f"{world.url}/page/t1"

    order = world.orders["t1"]
    assert order["yen"] == 12_000
    body = json.dumps({"event": "e1", "id": "t1"}).encode()
    where = f"/callbacks/payment/{row.id}"
    assert client.post(where, data=body, headers={"X-Toy-Signature": "forged"}).status_code == 400
    # an event alone pays nothing
    signed = {"X-Toy-Signature": hmac.digest(b"hush", body, "sha256").hex()}
    assert client.post(where, data=body, headers=signed).status_code == 200
    with app.app_context():
        payment_jobs.ask(ours.tenant)
    assert buyer.state() == "started"

    order["state"] = "paid"
    body = json.dumps({"event": "e2", "id": "t1"}).encode()
    signed = {"X-Toy-Signature": hmac.digest(b"hush", body, "sha256").hex()}
    assert client.post(where, data=body, headers=signed).status_code == 200
    with app.app_context():
        payment_jobs.ask(ours.tenant)
    assert buyer.state() == "paid"
    assert buyer.states() == ["paid"]
