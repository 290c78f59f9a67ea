"""Webhooks that came, and those that didn't."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from app import tenancy
from app.payments import asking, confirm, provider_events
from app.providers.payments.base import WebhookEvent
from jobs import payments as jobs
from tests.payments.shop import Buyer


def store(buyer: Buyer, event_id: str, provider_id: str | None, reference: str | None = None) -> bool:
    event = WebhookEvent(event_id, "checkout.session.completed", provider_id, reference)
    with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
        return provider_events.store(buyer.tenant_id, buyer.account_id, event)


def apply(buyer: Buyer) -> None:
    with buyer.app.app_context():
        jobs.ask(buyer.tenant_id)


def outcomes(database: psycopg.Connection) -> list[tuple[str, str, bool]]:
    return database.execute(
        "SELECT event_id, outcome, applied_at IS NOT NULL FROM payment_notice ORDER BY id"
    ).fetchall()


def test_a_notice_leads_to_the_truth(buyer: Buyer) -> None:
    buyer.press()
    provider_id = buyer.sessions()[0].id
    assert store(buyer, "evt_1", provider_id)
    apply(buyer)
    assert buyer.state() == "started"  # the webhook said completed; the provider's answer says otherwise
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
    assert not store(buyer, "evt_1", "cs_test_unknown")
    assert not store(buyer, "evt_2", None)
    assert outcomes(buyer.database) == [
        ("evt_1", "none of our payments", True),
        ("evt_2", "none of our payments", True),
    ]


def test_a_notice_waits_while_the_site_gives_no_answer_but_not_for_ever(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("card")
    store(buyer, "evt_1", buyer.sessions()[0].id)
    buyer.site.faults(error_before={"value": True, "on": "stripe"})
    apply(buyer)
    assert outcomes(buyer.database) == [("evt_1", "", False)]
    buyer.database.execute("UPDATE payment_notice SET received_at = now() - interval '25 hours'")
    buyer.database.execute("UPDATE payment SET ask_at = now()")
    apply(buyer)
    assert outcomes(buyer.database) == [("evt_1", "left to the poll", True)]
    buyer.site.faults()
    age(buyer, "10 minutes")
    apply(buyer)
    assert buyer.state() == "paid"


def age(buyer: Buyer, how_long: str) -> None:
    buyer.database.execute(
        "UPDATE payment SET created_at = created_at - how_long, checked_at = checked_at - how_long,"
        " ask_at = ask_at - how_long"
        " FROM (SELECT CAST(%s AS interval) AS how_long) AS i",
        [how_long],
    )


def test_money_is_found_without_any_webhook(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("konbini")
    apply(buyer)
    assert buyer.state() == "started"  # asked about a moment ago
    age(buyer, "6 minutes")
    apply(buyer)
    assert buyer.state() == "pending"
    buyer.choose("paid", slip=True)
    age(buyer, "1 day")
    apply(buyer)
    assert buyer.state() == "paid"


def test_the_longer_it_waits_the_rarer_it_is_asked_about_yet_within_minutes(buyer: Buyer) -> None:
    """A provider that gave up telling us, or that we could not hear, costs minutes."""
    buyer.press()
    asked = len(buyer.site.ledger("stripe"))
    for waited, minutes in (("5 minutes", 5), ("2 hours", 10), ("3 days", 15)):
        age(buyer, waited)
        apply(buyer)
        apply(buyer)
        asked += 1
        assert len(buyer.site.ledger("stripe")) == asked
        row = buyer.database.execute("SELECT extract(epoch FROM ask_at - now()) / 60 FROM payment").fetchone()
        assert row is not None
        assert minutes - 1 < row[0] <= minutes + 1, waited


def test_an_attempt_that_never_got_a_page_ends_with_its_time(buyer: Buyer) -> None:
    buyer.site.faults(error_before={"value": True, "on": "stripe"})
    buyer.press()
    apply(buyer)
    assert buyer.states() == ["started"]
    buyer.database.execute(
        "UPDATE payment SET expires_at = %s, ask_at = now()", [datetime.now(UTC) - timedelta(seconds=1)]
    )
    apply(buyer)
    assert (buyer.states(), buyer.state()) == (["expired"], "unpaid")


def test_what_anybody_may_have_sent_is_kept_where_it_leads_to_a_payment_and_is_few(
    buyer: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider signs nothing: no rows without end, and no genuine word lost because a forged one came first."""
    buyer.press()
    reference = buyer.payments()[0]["reference"]

    def told(event_id: str, about: str | None) -> bool:
        event = WebhookEvent(event_id, "Transaction.COMPLETED", None, about, proven=False)
        with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
            return provider_events.store(buyer.tenant_id, buyer.account_id, event)

    assert not any(told(f"evt_{number}", about) for number, about in enumerate((None, "x.1.p1", "")))
    assert outcomes(buyer.database) == []
    assert [told("evt", reference), told("evt", reference)] == [True, True]
    ask = confirm.confirm

    def pay_in_between(payment_id: int, *, timeout_s: float | None) -> None:
        del timeout_s
        ask(payment_id)
        buyer.choose("card")
        told("evt", reference)

    monkeypatch.setattr(asking, "confirm", pay_in_between)
    apply(buyer)
    assert buyer.state() == "started"
    monkeypatch.undo()
    apply(buyer)
    # asked about again, but not so often as anybody may wish
    assert buyer.state() == "started"
    buyer.database.execute("UPDATE payment SET ask_at = ask_at - interval '5 seconds'")
    apply(buyer)
    assert (buyer.state(), outcomes(buyer.database)) == ("paid", [("evt", "confirmed", True)])
