"""The nights: a payment provider's books beside ours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import psycopg
import pytest
from flask import Flask

from app import queues, tenancy
from app.accounts import seal_credentials
from app.extensions import db
from app.models import PaymentAccount
from app.payments import operations, reconciliation
from app.payments.checkout import Outcome
from app.payments.gateway import NoAnswer
from app.providers.payments.base import ChargeStatus
from app.values.japan_time import TOKYO
from app.work_budget import WorkBudget
from jobs import due
from jobs import payments as jobs
from sandbox.harness import Sandbox
from tests.payments.nights import found, night
from tests.payments.shop import Buyer, choose, make_buyer
from tests.raw_states import force

# nights and days are those of Japan
pytestmark = pytest.mark.usefixtures("one_day")


@contextmanager
def app_scope(buyer: Buyer) -> Iterator[None]:
    with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
        yield


def test_books_that_agree_leave_nothing(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("card")
    buyer.confirm()
    night(buyer)
    assert (found(buyer), buyer.state()) == ([], "paid")


def test_a_webhook_lost_for_a_day_changes_nothing_in_the_end(buyer: Buyer) -> None:
    """Neither a webhook nor the browser nor the poll came: the night finds the money."""
    buyer.press()
    buyer.choose("card")
    assert buyer.state() == "started"
    night(buyer)
    assert (buyer.state(), buyer.states(), found(buyer)) == ("paid", ["paid"], [])
    assert buyer.events() == [("started", "person"), ("paid", "provider")]


def test_money_given_back_at_the_providers_own_desk_is_found(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("card")
    buyer.confirm()
    buyer.stripe().v1.refunds.create({"payment_intent": str(buyer.sessions()[0].payment_intent)})
    night(buyer)
    assert (buyer.state(), found(buyer)) == ("refunded", [])


def test_a_part_given_back_is_told(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("card")
    buyer.confirm()
    buyer.stripe().v1.refunds.create({"payment_intent": str(buyer.sessions()[0].payment_intent), "amount": 500})
    night(buyer)
    assert buyer.payments()[0]["problem"] == "part refunded"
    # once somebody has looked into it, the same part is told no more
    buyer.database.execute("UPDATE payment SET problem = ''")
    night(buyer, 2)
    assert (buyer.payments()[0]["problem"], buyer.state(), found(buyer)) == ("", "paid", [])


def test_money_without_a_payment_of_ours_is_told(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("card")
    buyer.confirm()
    buyer.database.execute("UPDATE payment SET reference = 'other.1.p1'")
    night(buyer)
    assert ("unknown", None, 12_000, "") in found(buyer)


def test_what_else_the_contract_sells_is_not_ours(buyer: Buyer) -> None:
    buyer.press()
    buyer.stripe().v1.checkout.sessions.create(
        {
            "mode": "payment",
            "client_reference_id": "shop-order-77",
            "success_url": "https://shop.example/ok",
            "line_items": [
                {"quantity": 1, "price_data": {"currency": "jpy", "unit_amount": 500, "product_data": {"name": "本"}}}
            ],
        }
    )
    buyer.choose("card")
    night(buyer)
    assert found(buyer) == []


def test_money_of_an_attempt_that_counted_as_over_is_told(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("card")
    force(buyer.database, "payment", provider_id=None, state="failed")
    night(buyer)
    assert found(buyer) == [("state", 12_000, 12_000, "")]


def test_another_amount_is_told_and_closed_once_it_agrees(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("card")
    buyer.confirm()
    buyer.database.execute("UPDATE payment SET amount_yen = 11000")
    night(buyer)
    assert ("amount", 11_000, 12_000, "") in found(buyer)
    buyer.database.execute("UPDATE payment SET amount_yen = 12000")
    night(buyer, 2)
    assert found(buyer) == [("amount", 11_000, 12_000, "system")]


def test_money_that_the_provider_knows_nothing_of_is_told(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("card")
    buyer.confirm()
    buyer.site.reset()
    night(buyer)
    assert found(buyer) == [("missing", 12_000, None, "")]


@pytest.mark.parametrize("whose", ["ours", "another company's"])
def test_what_was_paid_by_another_contract_here_is_no_difference(
    whose: str, site: Sandbox, app: Flask, database: psycopg.Connection
) -> None:
    """Cards by one account and konbini by another, both with the same keys: each sees both."""
    one = make_buyer(app, database, site)
    other = make_buyer(app, database, site, one.tenant_id if whose == "ours" else None)
    with app.app_context(), tenancy.tenant(other.tenant_id):
        account = db.session.get_one(PaymentAccount, other.account_id)
        keys = {"secret_key": f"sk_test_{one.account_id}", "webhook_secret": "whsec_1"}
        seal_credentials(account, keys)
        db.session.commit()
    for buyer in (one, other):
        buyer.press()
        choose(f"{site.url}/pay/{buyer.payments()[0]['provider_id']}", "card")
        buyer.confirm()
    # an earlier version's word on it is closed
    database.execute(
        "INSERT INTO payment_difference (tenant_id, payment_account_id, reference, kind, day, theirs_yen)"
        " SELECT %s, %s, reference, 'unknown', '2026-11-01', 12000 FROM payment WHERE payment_account_id = %s",
        [one.tenant_id, one.account_id, other.account_id],
    )
    for buyer in (one, other):
        night(buyer)
    assert found(one) == [("unknown", None, 12_000, "system")]


def test_an_attempt_that_the_provider_knows_nothing_of_is_looked_at_and_nobody_is_told_of_money(buyer: Buyer) -> None:
    """The keys were replaced by another contract's, perhaps: until a person says so, nobody can pay."""
    buyer.press()
    buyer.site.reset()
    night(buyer)
    assert (found(buyer), buyer.payments()[0]["problem"]) == ([], "unknown to the site")
    assert buyer.events()[-1] == ("needs_review", "provider")
    with app_scope(buyer):
        operations.looked_at(buyer.payments()[0]["id"], actor="user:1")
    assert buyer.press() is Outcome.READY


def test_a_refund_that_came_back_is_told(buyer: Buyer) -> None:
    """The bank could not credit it: the provider has the money again, and the person was told they would get it."""
    buyer.press()
    buyer.choose("card")
    buyer.confirm()
    buyer.tell(ChargeStatus.REFUNDED)
    buyer.database.execute("UPDATE payment SET refunded_yen = amount_yen")
    night(buyer)
    assert buyer.payments()[0]["problem"] == "refund failed"
    buyer.database.execute("UPDATE payment SET problem = ''")
    night(buyer, 2)
    assert buyer.payments()[0]["problem"] == ""
    buyer.database.execute("UPDATE payment SET problem = 'refund failed'")
    buyer.stripe().v1.refunds.create({"payment_intent": str(buyer.sessions()[0].payment_intent)})
    night(buyer, 3)
    assert (buyer.payments()[0]["problem"], found(buyer)) == ("", [])


def test_a_person_closes_a_difference_once(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("card")
    buyer.confirm()
    buyer.site.reset()
    night(buyer)
    row = buyer.database.execute("SELECT id FROM payment_difference").fetchone()
    assert row is not None
    with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
        assert reconciliation.close(row[0], actor="user:1")
        assert not reconciliation.close(row[0], actor="user:1")
    assert found(buyer)[0][3] == "user:1"
    night(buyer, 2)
    assert len(found(buyer)) == 1


def test_a_site_that_is_away_is_asked_again_the_next_night(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("card")
    buyer.site.faults(error_before={"value": True, "on": "stripe"})
    night(buyer)
    buyer.site.faults()
    assert (buyer.state(), found(buyer)) == ("started", [])
    night(buyer, 2)
    assert (buyer.state(), found(buyer)) == ("paid", [])


def test_a_site_that_hangs_takes_no_night(
    site: Sandbox, app: Flask, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Imports wait on the same worker: after some questions in vain the day is left to another night."""
    first = make_buyer(app, database, site)
    for buyer in (first, *(make_buyer(app, database, site, first.tenant_id, first.account_id) for _ in range(7))):
        buyer.press()
    site.reset()
    asked: list[int] = []

    def hang(payment_id: int) -> None:
        asked.append(payment_id)
        raise NoAnswer("timeout")

    monkeypatch.setattr(reconciliation, "confirm", hang)
    night(first)
    assert len(asked) == 3


def test_a_night_ends_in_the_midst_of_a_day_when_it_is_over(new_buyer: Callable[[], Buyer]) -> None:
    buyer = new_buyer()
    buyer.press()
    buyer.choose("card")
    with app_scope(buyer):
        today = datetime.now(TOKYO).date()
        reconciliation.compare_day(buyer.tenant_id, buyer.account_id, today, budget=WorkBudget(0.0))
    assert (buyer.state(), found(buyer)) == ("started", []), "the provider, asked about it, says that it is paid"
    with app_scope(buyer):
        reconciliation.compare_day(buyer.tenant_id, buyer.account_id, today)
    assert buyer.state() == "paid"


def test_each_night_is_due_once(buyer: Buyer) -> None:
    job = "jobs.payments.reconcile_day"

    def wanted() -> list[tuple[int, ...]]:
        with buyer.app.app_context(), tenancy.platform():
            return dict(due.work())[job]

    assert wanted() == []
    buyer.press()
    assert wanted() == [(buyer.tenant_id,)]
    assert job in queues.JOBS
    with buyer.app.app_context():
        jobs.reconcile_day(buyer.tenant_id)
    row = buyer.database.execute("SELECT compared_on FROM payment_account").fetchone()
    assert row == (datetime.now(TOKYO).date(),)
    assert wanted() == []
    asked = len(buyer.site.ledger("stripe"))
    night(buyer, 0)
    assert len(buyer.site.ledger("stripe")) == asked
    buyer.database.execute("UPDATE payment_account SET compared_on = compared_on - 2")
    assert wanted() == [(buyer.tenant_id,)]
