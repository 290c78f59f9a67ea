"""One recipient: what is told of them, their number on record, their link, their money."""

import pytest

from app import tenancy
from app.api_access import ids
from app.api_access.keys import Scope
from app.extensions import db
from app.models import AuditEntry
from tests import factories
from tests.api.systems import V1, system


@pytest.fixture
def person(ours):
    return f"{ours.of_campaign}/recipients/ref:{ours.people[0].reference}"


@pytest.fixture
def debtor(app, ours):
    """Somebody who owes 12,000 yen: the addresses of their campaign and of them."""
    with app.app_context():
        account = factories.payment_account(ours.tenant)
        campaign = factories.campaign(ours.tenant, sms_account_id=ours.sms_account, payment_account_id=account)
        (one,) = factories.people(ours.tenant, campaign, 1)
    of = f"{V1}/campaigns/{ids.make(ids.Of.CAMPAIGN, campaign)}"
    return of, f"{of}/recipients/{ids.make_person(one.id, one.secret)}"


def _acts(app, tenant):
    with app.app_context(), tenancy.tenant(tenant):
        return [(row.act, row.actor.partition(":")[0]) for row in db.session.query(AuditEntry).order_by(AuditEntry.id)]


def test_a_number_is_read_on_record(app, ours, person):
    assert ours.get(f"{person}/phone").json["phone"] == ours.people[0].phone
    assert _acts(app, ours.tenant)[-1] == ("reveal_phone", "api_key")


def test_without_the_scope_no_number_is_read(app):
    reader = system(app, scopes=[Scope.READ])
    person = f"{reader.of_campaign}/recipients/ref:{reader.people[0].reference}"
    assert reader.get(person).status_code == 200
    answer = reader.get(f"{person}/phone")
    assert (answer.status_code, answer.json["code"]) == (403, "api_scope_missing")


def test_a_link_is_ended_once(app, ours, person):
    answer = ours.post(f"{person}/revoke")
    assert (answer.status_code, answer.json["page_state"]) == (200, "revoked")
    again = ours.post(f"{person}/revoke")
    assert (again.status_code, again.json["code"]) == (409, "link_ended_before")
    assert ("revoke_link", "api_key") in _acts(app, ours.tenant)


def test_money_is_recorded_and_taken_back(app, ours, debtor):
    of, person = debtor
    paid = ours.post(f"{person}/settle", json={"method": "bank_transfer", "yen": 12_000, "reason": "11月20日に入金"})
    assert (paid.status_code, paid.json["state"], paid.json["by_hand"]) == (201, "paid", True)
    assert ours.get(person).json["payment_state"] == "paid"
    (listed,) = ours.get(f"{of}/payments").json["payments"]
    assert listed == paid.json == ours.get(f"{of}/payments/{listed['id']}").json
    back = ours.post(f"{of}/payments/{listed['id']}/take-back", json={"reason": "別の契約の入金"})
    assert (back.status_code, back.json["state"]) == (200, "cancelled")
    assert ours.get(person).json["payment_state"] == "unpaid"
    again = ours.post(f"{of}/payments/{listed['id']}/take-back", json={"reason": "別の契約の入金"})
    assert (again.status_code, again.json["code"]) == (409, "unsettle_not_settled")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"yen": 11_999}, "settle_amount_differs"),
        ({"method": "gold"}, "settle_method_missing"),
        ({"reason": " "}, "settle_reason_missing"),
        ({"reason": "090-1234-5678の方"}, "settle_reason_personal"),
    ],
)
def test_money_that_does_not_fit_is_refused(ours, debtor, given, code):
    _, person = debtor
    answer = ours.post(f"{person}/settle", json={"method": "cash", "yen": 12_000, "reason": "窓口", **given})
    assert (answer.status_code, answer.json["code"]) == (422, code)
    assert ours.get(person).json["payment_state"] == "unpaid"


def test_money_is_recorded_once_for_a_key(ours, debtor, database):
    _, person = debtor
    body = {"method": "cash", "yen": 12_000, "reason": "窓口"}
    first, again = (ours.post(f"{person}/settle", "same", json=body) for _ in range(2))
    assert first.data == again.data
    assert database.execute("SELECT count(*) FROM payment").fetchone() == (1,)
    other = ours.post(f"{person}/settle", json=body)
    assert (other.status_code, other.json["code"]) == (409, "settle_not_unpaid")


def test_accounts_tell_whether_they_can_be_used(app, ours, debtor):
    told = ours.get(f"{V1}/accounts").json
    assert [(one["active"], one["held_after_restore"], one["resting_until"]) for one in told["sms"]] == [
        (True, False, None)
    ]
    assert [one["test"] for one in told["payment"]] == [True]
