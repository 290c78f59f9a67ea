"""Pressing pay: one page under way, whatever goes wrong and however often it is pressed."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from app import config, tenancy
from app.config import Settings
from app.extensions import db
from app.models import PaymentAccount
from app.payments import attempts, bulkhead
from app.payments.checkout import Outcome
from app.providers.payments.base import ChargeStatus
from app.states.vocabulary import PaymentAttemptState
from tests import steps
from tests.addresses import at
from tests.payments.shop import HURRY, Buyer
from tests.providers.rawserver import RawServer
from tests.raw_states import force


def test_a_press_opens_a_page_for_what_is_on_record(buyer: Buyer) -> None:
    assert buyer.press() is Outcome.READY
    (session,) = buyer.sessions()
    (payment,) = buyer.payments()
    assert buyer.url() == session.url
    assert (session.amount_total, session.currency, session.locale) == (12_000, "jpy", "ja")
    assert session.client_reference_id == payment["reference"] == session.metadata["reference"]
    assert payment["reference"].endswith(f".{buyer.person.id}.p1")
    assert (payment["provider_id"], payment["state"], payment["amount_yen"]) == (session.id, "started", 12_000)
    assert session.url.encode() not in payment["url_sealed"]
    assert (session.success_url, session.cancel_url) == (
        "http://localhost/p/return",
        "http://localhost/p/return?back=1",
    )
    assert timedelta(minutes=55) < payment["expires_at"] - datetime.now(UTC) < timedelta(minutes=61)
    assert buyer.state() == "started"
    assert buyer.events() == [("started", "person")]
    assert "佐藤" not in str(session)
    assert "お支払いのご案内" not in str(session)  # the message's title stays here


def test_pressing_again_leads_to_the_same_page(buyer: Buyer) -> None:
    assert buyer.press() is Outcome.READY
    first = buyer.url()
    assert buyer.press() is Outcome.READY
    assert buyer.url() == first
    assert len(buyer.sessions()) == len(buyer.payments()) == 1
    assert buyer.events() == [("started", "person")]


def test_two_phones_at_once_get_one_page(buyer: Buyer) -> None:
    outcomes: list[Outcome] = []
    threads = [threading.Thread(target=lambda: outcomes.append(buyer.press())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [Outcome.READY] * 6
    assert len(buyer.sessions()) == len(buyer.payments()) == 1
    assert buyer.events() == [("started", "person")]


@pytest.mark.parametrize("fault", ["reset_after_body", "error_before", "reset_before_body", "too_many_requests"])
def test_a_lost_answer_opens_no_second_page(buyer: Buyer, fault: str) -> None:
    buyer.site.faults(**{fault: {"next": 1, "on": "stripe.session_create"}})
    assert buyer.press() is Outcome.READY
    assert len(buyer.sessions()) == len(buyer.payments()) == 1
    assert buyer.state() == "started"


def test_a_failure_that_the_provider_repeats_for_ever_gives_way_to_a_new_attempt(buyer: Buyer) -> None:
    """Stripe answers a known key as it did the first time, a 500 too; the address of its page is lost."""
    buyer.site.faults(error_after={"next": 1, "on": "stripe.session_create"})
    assert buyer.press() is Outcome.READY
    assert buyer.states() == ["failed", "started"]
    assert buyer.url() == buyer.sessions()[0].url
    assert buyer.events() == [("start_refused", "provider"), ("started", "person")]


def test_a_site_that_is_away_is_told_and_tried_again_later(buyer: Buyer) -> None:
    buyer.site.faults(error_before={"value": True, "on": "stripe.session_create"})
    assert buyer.press() is Outcome.UNAVAILABLE
    assert (buyer.state(), buyer.url()) == ("unpaid", None)
    buyer.site.faults()
    assert buyer.press() is Outcome.READY
    assert len(buyer.sessions()) == len(buyer.payments()) == 1


def test_a_site_that_does_not_answer_keeps_nobody_waiting_for_long(buyer: Buyer) -> None:
    config.install(replace(config.settings(), send_timeout_s=1))
    buyer.site.faults(hang={"value": True, "on": "stripe.session_create"})
    began = datetime.now(UTC)
    assert buyer.press(replace(HURRY, give_up_after_s=1.5)) is Outcome.UNAVAILABLE
    assert datetime.now(UTC) - began < timedelta(seconds=8)
    buyer.site.faults()
    bulkhead.forget()  # its rest is over
    assert buyer.press() is Outcome.READY
    assert len(buyer.sessions()) == 1


def test_an_order_that_changed_meanwhile_becomes_an_attempt_of_its_own(buyer: Buyer) -> None:
    """The lost page's address never reached anyone, so nobody can pay there."""
    buyer.site.faults(reset_after_body={"value": True, "on": "stripe.session_create"})
    assert buyer.press() is Outcome.UNAVAILABLE
    buyer.site.faults()
    with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
        db.session.get_one(PaymentAccount, buyer.account_id).settings = {"methods": "card"}
        db.session.commit()
    assert buyer.press() is Outcome.READY
    assert buyer.states() == ["failed", "started"]
    assert buyer.payments()[1]["provider_id"] == buyer.sessions()[0].id
    assert buyer.events()[0] == ("start_refused", "provider")


def test_an_attempt_whose_page_never_came_is_dropped_once_it_is_old(buyer: Buyer) -> None:
    buyer.site.faults(error_before={"value": True, "on": "stripe.session_create"})
    assert buyer.press() is Outcome.UNAVAILABLE
    buyer.site.faults()
    buyer.database.execute("UPDATE payment SET expires_at = now() + interval '20 minutes'")
    assert buyer.press() is Outcome.READY
    assert buyer.states() == ["cancelled", "started"]


def test_a_page_that_expired_gives_way_to_a_new_one(buyer: Buyer) -> None:
    buyer.press()
    buyer.stripe().v1.checkout.sessions.expire(buyer.sessions()[0].id)
    assert buyer.press() is Outcome.READY
    assert buyer.states() == ["expired", "started"]
    assert buyer.url() == buyer.sessions()[0].url
    assert buyer.events() == [("started", "person"), ("expired", "provider"), ("started", "person")]


def test_who_has_paid_is_not_led_to_pay_again(buyer: Buyer) -> None:
    """No webhook came and nobody came back: the press itself finds out."""
    buyer.press()
    buyer.choose("card")
    assert buyer.press() is Outcome.CLOSED
    assert (buyer.state(), buyer.states(), buyer.url()) == ("paid", ["paid"], None)
    assert buyer.press() is Outcome.CLOSED


def test_who_holds_a_slip_is_not_led_to_pay_beside_it(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("konbini")
    assert buyer.press() is Outcome.CLOSED
    assert (buyer.state(), buyer.url()) == ("pending", None)
    buyer.choose("lapsed", slip=True)
    assert buyer.press() is Outcome.READY
    assert buyer.states() == ["expired", "started"]


def test_without_the_providers_word_a_page_under_way_still_serves(buyer: Buyer) -> None:
    buyer.press()
    url = buyer.url()
    buyer.site.faults(error_before={"value": True, "on": "stripe"})
    assert buyer.press() is Outcome.READY
    assert buyer.url() == url
    buyer.database.execute("UPDATE payment SET expires_at = now() + interval '1 minute'")
    assert buyer.press() is Outcome.UNAVAILABLE
    assert buyer.states() == ["started"]


@pytest.mark.parametrize(
    "standing",
    [
        "link_expires_at = now()",
        "link_generation = 2",
        (steps.lock,),
        (steps.lock, steps.unlock),
        {"payment_state": "none"},
        (steps.pay,),
        (steps.pay, steps.refund),
        "amount_yen = NULL",
        "amount_yen = 0",
    ],
)
def test_no_payment_begins_where_none_may(
    buyer: Buyer, take: Callable[..., None], standing: str | tuple[Callable[..., None], ...] | dict[str, object]
) -> None:
    if isinstance(standing, str):
        buyer.set(standing)
    elif isinstance(standing, dict):
        force(buyer.database, "recipient", **standing)
    else:
        for step in standing:
            take(step, buyer.person.id)
    assert buyer.press() is Outcome.CLOSED
    assert (buyer.payments(), buyer.sessions()) == ([], [])


def test_a_contract_that_is_stopped_or_empty_takes_no_payment(buyer: Buyer) -> None:
    buyer.database.execute("UPDATE payment_account SET active = false")
    assert buyer.press() is Outcome.REFUSED
    assert buyer.payments() == []
    buyer.database.execute("UPDATE payment_account SET active = true, credentials_sealed = NULL")
    assert buyer.press() is Outcome.REFUSED
    assert buyer.sessions() == []
    assert buyer.state() == "unpaid"


def test_a_reset_of_state_cannot_open_two(buyer: Buyer) -> None:
    """The database itself holds one attempt under way per person."""
    buyer.press()
    with pytest.raises(Exception, match="uq_payment_open"):
        buyer.database.execute(
            "INSERT INTO payment (tenant_id, campaign_id, recipient_id, payment_account_id, attempt, reference,"
            " amount_yen) SELECT tenant_id, campaign_id, recipient_id, payment_account_id, 9, 'x', 1 FROM payment"
        )


def test_the_attempt_that_counts(new_buyer: Callable[[], Buyer], app: Flask) -> None:
    buyer = new_buyer()

    def counts() -> tuple[int, PaymentAttemptState] | None:
        with app.app_context(), tenancy.tenant(buyer.tenant_id):
            found = attempts.that_counts(buyer.person.id)
        return None if found is None else (found.attempt, found.state)

    assert counts() is None
    buyer.press()
    assert counts() == (1, PaymentAttemptState.STARTED)
    buyer.stripe().v1.checkout.sessions.expire(buyer.sessions()[0].id)
    buyer.press()
    assert counts() == (2, PaymentAttemptState.STARTED)
    buyer.tell(ChargeStatus.PAID, 0)
    assert counts() == (1, PaymentAttemptState.PAID)
    # of two payments the one that was not given back is the receipt
    buyer.tell(ChargeStatus.REFUNDED, 1)
    assert counts() == (1, PaymentAttemptState.PAID)


def test_a_page_about_to_end_is_ended_and_gives_way(buyer: Buyer) -> None:
    buyer.press()
    buyer.database.execute("UPDATE payment SET expires_at = now() + interval '1 minute'")
    assert buyer.press() is Outcome.READY
    assert buyer.states() == ["expired", "started"]
    assert [session.status for session in buyer.sessions()] == ["open", "expired"]


def test_money_that_came_before_the_end_is_money(buyer: Buyer) -> None:
    buyer.press()
    buyer.choose("card")
    buyer.database.execute("UPDATE payment SET expires_at = now() + interval '1 minute'")
    assert buyer.press() is Outcome.CLOSED
    assert (buyer.state(), buyer.states()) == ("paid", ["paid"])


def test_a_page_ends_with_the_link(buyer: Buyer) -> None:
    """No sooner than the provider allows: Stripe's pages live 30 minutes at least."""
    buyer.set("link_expires_at = %s", datetime.now(UTC) + timedelta(minutes=45))
    buyer.press()
    left = buyer.payments()[0]["expires_at"] - datetime.now(UTC)
    assert timedelta(minutes=43) < left <= timedelta(minutes=45)


def test_no_page_while_an_older_attempt_is_looked_at(buyer: Buyer) -> None:
    """A tab that was open before, with its button: the money of the older attempt may be there."""
    buyer.press()
    buyer.tell(ChargeStatus.EXPIRED)
    assert buyer.press() is Outcome.READY
    buyer.database.execute("UPDATE payment SET problem = 'mismatch: amount' WHERE attempt = 1")
    assert (buyer.press(), buyer.url()) == (Outcome.CLOSED, None)
    buyer.tell(ChargeStatus.FAILED)
    assert buyer.press() is Outcome.CLOSED
    assert len(buyer.payments()) == 2


def test_in_a_links_last_minutes_a_lost_answer_is_asked_for_again(buyer: Buyer) -> None:
    """The shortest page a provider allows is longer than the link: its order may still be placed a moment later."""
    buyer.set("link_expires_at = %s", datetime.now(UTC) + timedelta(minutes=5))
    buyer.site.faults(reset_after_body={"next": 1, "on": "stripe.session_create"})
    assert buyer.press() is Outcome.READY
    assert (len(buyer.payments()), len(buyer.sessions())) == (1, 1)


def test_in_a_links_last_minutes_two_phones_meet_at_one_page(buyer: Buyer) -> None:
    buyer.set("link_expires_at = %s", datetime.now(UTC) + timedelta(minutes=5))
    buyer.site.faults(latency_ms={"value": 150, "on": "stripe.session_create"})
    outcomes: list[Outcome] = []
    threads = [threading.Thread(target=lambda: outcomes.append(buyer.press())) for _ in range(3)]
    for thread in threads:
        thread.start()
        time.sleep(0.03)
    for thread in threads:
        thread.join()
    assert outcomes == [Outcome.READY] * 3
    assert (len(buyer.payments()), len(buyer.sessions())) == (1, 1)


def test_a_key_that_is_refused_sends_the_person_to_the_company(buyer: Buyer, settings: Settings) -> None:
    """Not: try again in some minutes. Once the key is mended, the same attempt goes on."""
    refusal = b'{"error": {"type": "invalid_request_error", "message": "Invalid API Key provided"}}'
    answer = b"HTTP/1.1 401 No\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(refusal), refusal)
    with RawServer(*[lambda peer: peer.answer(answer)] * 4) as site:
        config.install(at(settings, stripe=site.url))
        assert buyer.press() is Outcome.REFUSED
        assert len(site.requests) == 1
    assert buyer.states() == ["started"]
    config.install(at(settings, stripe=buyer.site.stripe_base))
    assert buyer.press() is Outcome.READY
    assert buyer.states() == ["started"]


def test_a_page_at_another_host_is_refused_at_once(buyer: Buyer, settings: Settings) -> None:
    """Pressing again in a few minutes would be no use: only the company can mend it."""
    base = buyer.site.stripe_base.replace("127.0.0.1", "localhost")
    config.install(replace(at(settings, stripe=base), send_timeout_s=5))
    assert buyer.press() is Outcome.REFUSED
    assert (buyer.url(), buyer.payments()[-1]["url_sealed"]) == (None, None)
