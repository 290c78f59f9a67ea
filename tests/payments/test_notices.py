"""Webhooks that came, and those that didn't."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from flask import Flask

from app import tenancy
from app.extensions import redis_client
from app.payments import confirm, notices
from app.payments.base import WebhookEvent
from app.payments.site import NoAnswer
from jobs import payments as jobs
from sandbox.harness import Sandbox
from tests.payments.shop import Buyer, make_buyer


def store(buyer: Buyer, event_id: str, provider_id: str | None, reference: str | None = None) -> bool:
    event = WebhookEvent(event_id, "checkout.session.completed", provider_id, reference)
    with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
        return notices.store(buyer.tenant_id, buyer.account_id, event)


def apply(buyer: Buyer) -> None:
    with buyer.app.app_context():
        jobs.apply_notices(buyer.tenant_id)


def poll(buyer: Buyer) -> None:
    with buyer.app.app_context():
        jobs.poll(buyer.tenant_id)


def outcomes(database: psycopg.Connection) -> list[tuple[str, str, bool]]:
    return database.execute(
        "SELECT event_id, outcome, applied_at IS NOT NULL FROM payment_notice ORDER BY id"
    ).fetchall()


def test_a_notice_leads_to_the_truth(buyer: Buyer) -> None:
    buyer.press()
    provider_id = buyer.sessions()[0].id
    assert store(buyer, "evt_1", provider_id)
    apply(buyer)
    assert buyer.state() == "started"  # the webhook said completed; the site's answer says otherwise
    buyer.choose("card")
    assert store(buyer, "evt_2", provider_id)
    assert not store(buyer, "evt_2", provider_id)
    apply(buyer)
    apply(buyer)
    assert buyer.state() == "paid"
    assert buyer.events() == [("started", "person"), ("paid", "provider")]
    assert outcomes(buyer.database) == [("evt_1", "confirmed", True), ("evt_2", "confirmed", True)]


def test_several_notices_of_one_payment_are_one_question(buyer: Buyer) -> None:
    buyer.press()
    provider_id = buyer.sessions()[0].id
    asked = len(buyer.site.ledger("stripe"))
    for number in range(5):
        store(buyer, f"evt_{number}", provider_id)
    apply(buyer)
    assert len(buyer.site.ledger("stripe")) == asked + 1
    assert all(applied for _, _, applied in outcomes(buyer.database))


def test_a_notice_is_found_by_our_reference_too(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("card")
    store(buyer, "evt_1", None, buyer.payments()[0]["reference"])
    apply(buyer)
    assert buyer.state() == "paid"


def test_a_notice_of_nothing_we_know_is_put_away(buyer: Buyer) -> None:
    store(buyer, "evt_1", "cs_test_unknown")
    store(buyer, "evt_2", None)
    apply(buyer)
    assert outcomes(buyer.database) == [
        ("evt_1", "none of our payments", True),
        ("evt_2", "none of our payments", True),
    ]


def test_a_notice_waits_while_the_site_gives_no_answer_but_not_for_ever(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("card")
    store(buyer, "evt_1", buyer.sessions()[0].id)
    buyer.site.switches(error_before={"value": True, "on": "stripe"})
    apply(buyer)
    assert outcomes(buyer.database) == [("evt_1", "", False)]
    buyer.database.execute("UPDATE payment_notice SET received_at = now() - interval '25 hours'")
    apply(buyer)
    assert outcomes(buyer.database) == [("evt_1", "left to the poll", True)]
    buyer.site.switches()
    age(buyer, "10 minutes")
    poll(buyer)
    assert buyer.state() == "paid"


def age(buyer: Buyer, how_long: str) -> None:
    buyer.database.execute(
        "UPDATE payment SET created_at = created_at - how_long, checked_at = checked_at - how_long"
        " FROM (SELECT CAST(%s AS interval) AS how_long) AS i",
        [how_long],
    )


def test_money_is_found_without_any_webhook(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("konbini")
    poll(buyer)
    assert buyer.state() == "started"  # asked about a moment ago
    age(buyer, "6 minutes")
    poll(buyer)
    assert buyer.state() == "pending"
    buyer.choose("paid", slip=True)
    age(buyer, "1 day")
    poll(buyer)
    assert buyer.state() == "paid"


def test_the_longer_it_waits_the_rarer_it_is_asked_about(buyer: Buyer) -> None:
    buyer.press()
    age(buyer, "1 day")
    buyer.database.execute("UPDATE payment SET checked_at = now() - interval '100 minutes'")
    asked = len(buyer.site.ledger("stripe"))
    poll(buyer)
    assert len(buyer.site.ledger("stripe")) == asked
    buyer.database.execute("UPDATE payment SET checked_at = now() - interval '121 minutes'")
    poll(buyer)
    assert len(buyer.site.ledger("stripe")) == asked + 1
    poll(buyer)
    assert len(buyer.site.ledger("stripe")) == asked + 1


def test_an_attempt_that_never_got_a_page_ends_with_its_time(buyer: Buyer) -> None:
    buyer.site.switches(error_before={"value": True, "on": "stripe"})
    buyer.press()
    poll(buyer)
    assert buyer.states() == ["started"]
    buyer.database.execute("UPDATE payment SET expires_at = %s", [datetime.now(UTC) - timedelta(seconds=1)])
    poll(buyer)
    assert (buyer.states(), buyer.state()) == (["expired"], "unpaid")


def test_an_account_without_credentials_stops_no_other(buyer: Buyer, new_buyer) -> None:
    buyer.press()
    buyer.choose("card")
    other = new_buyer()
    other.press()
    other.choose("card")
    buyer.database.execute("UPDATE payment_account SET credentials_sealed = NULL WHERE id = %s", [buyer.account_id])
    for one in (buyer, other):
        age(one, "10 minutes")
        poll(one)
    assert (buyer.state(), other.state()) == ("started", "paid")


def test_a_site_that_hangs_rests_and_holds_nobody_up(
    new_buyer: Callable[[], Buyer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two questions without an answer are enough: the others wait, and so does the next job, for a while."""
    buyer = new_buyer()
    buyer.press()
    provider_id = buyer.sessions()[0].id
    buyer.choose("card")
    store(buyer, "evt_1", provider_id)
    asked: list[int] = []

    def unanswered(payment_id: int) -> None:
        asked.append(payment_id)
        raise NoAnswer("timeout")

    monkeypatch.setattr(notices, "confirm", unanswered)
    with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
        asking = notices._Asking()
        outcomes = [asking.confirm(number, buyer.account_id, "stripe") for number in range(1, 6)]
        assert (outcomes, asked) == ([""] * 5, [1, 2])
        assert not notices.apply(buyer.tenant_id)
        assert asked == [1, 2]
        # the site's other contracts would wait in vain too; another site is asked
        assert notices._Asking().confirm(6, buyer.account_id + 1, "stripe") == ""
        assert notices._Asking().confirm(7, buyer.account_id + 2, "payjp") == ""
        assert asked == [1, 2, 7]
        redis_client.connection.delete("todoke:silent:payment:stripe")
    monkeypatch.undo()
    apply(buyer)
    assert buyer.state() == "paid"


def test_a_contract_without_answers_holds_up_no_other(
    site: Sandbox, app: Flask, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much of one contract waits, another contract of the same company is asked about."""
    first = make_buyer(app, database, site)
    five = [first, *(make_buyer(app, database, site, first.tenant_id, first.account_id) for _ in range(4))]
    other = make_buyer(app, database, site, first.tenant_id)
    for one in (*five, other):
        one.press()
        one.choose("card")
        store(one, f"evt_{one.person.id}", one.payments()[0]["provider_id"])
    database.execute("UPDATE payment_account SET credentials_sealed = NULL WHERE id = %s", [first.account_id])
    monkeypatch.setattr(notices, "_BATCH", 3)
    for look in (apply, poll):
        age(other, "10 minutes")
        for one in five:
            one.database.execute("UPDATE payment SET checked_at = NULL WHERE recipient_id = %s", [one.person.id])
        look(other)
        look(other)
        assert other.state() == "paid"
        redis_client.connection.delete(f"todoke:silent:payment:{first.account_id}")
        database.execute("UPDATE payment SET state = 'started' WHERE recipient_id = %s", [other.person.id])
        other.set("payment_state = 'started'")


def test_more_than_there_is_time_for_is_gone_on_with(buyer: Buyer, monkeypatch: pytest.MonkeyPatch) -> None:
    buyer.press()
    provider_id = buyer.sessions()[0].id
    for number in range(3):
        store(buyer, f"evt_{number}", provider_id)
    monkeypatch.setattr(notices, "_BATCH", 2)
    with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
        assert notices.apply(buyer.tenant_id)
        assert not notices.apply(buyer.tenant_id)
    assert all(applied for _, _, applied in outcomes(buyer.database))


def test_what_anybody_may_have_sent_is_kept_where_it_leads_to_a_payment_and_is_few(
    buyer: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a site that signs nothing: no rows without end, and no genuine word lost because a forged one came first."""
    buyer.press()
    reference = buyer.payments()[0]["reference"]

    def told(event_id: str, about: str | None) -> bool:
        event = WebhookEvent(event_id, "Transaction.COMPLETED", None, about, proven=False)
        with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
            return notices.store(buyer.tenant_id, buyer.account_id, event)

    assert not any(told(f"evt_{number}", about) for number, about in enumerate((None, "x.1.p1", "")))
    assert outcomes(buyer.database) == []
    assert [told("evt", reference), told("evt", reference)] == [True, True]
    ask = confirm.confirm

    def pay_in_between(payment_id: int) -> None:
        ask(payment_id)
        buyer.choose("card")
        told("evt", reference)

    monkeypatch.setattr(notices, "confirm", pay_in_between)
    apply(buyer)
    assert buyer.state() == "started"
    monkeypatch.undo()
    apply(buyer)
    assert (buyer.state(), outcomes(buyer.database)) == ("paid", [("evt", "confirmed", True)])
