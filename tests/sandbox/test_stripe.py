"""The payment provider's door, held against the official SDK, schema and fixtures; people act over its pages."""

import json
import time
from collections.abc import Callable
from functools import partial

import pytest
import requests
import stripe

from sandbox.harness import Sandbox, running_sandbox
from tests.sandbox.conftest import Listener
from tests.sandbox.stripe_shop import KEY, SECRET, Client, choose, events, opened, read, wanted
from tests.waiting import until


@pytest.fixture
def told(sandbox: Sandbox, listener: Listener) -> Listener:
    sandbox.addresses(stripe_webhooks={KEY: {"url": listener.url, "secret": SECRET, "shop": "さくら保険"}})
    return listener


def test_a_session_opens_as_asked(sandbox: Sandbox, client: Client) -> None:
    session = opened(client)
    assert session.id.startswith("cs_test_")
    assert session.url == f"{sandbox.url}/pay/{session.id}"
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    assert (session.amount_total, session.currency, session.client_reference_id) == (12300, "jpy", "ref-1")
    assert read(client, session) == session
    (line,) = client.v1.checkout.sessions.line_items.list(session.id).data
    assert (line.description, line.amount_total, line.quantity) == ("初回保険料", 12300, 1)
    assert sandbox.ledger()[0]["accepted"] == session.id


def test_card_pays(client: Client, told: Listener) -> None:
    session = opened(client)
    assert choose(session, "card").headers["Location"] == f"http://127.0.0.1:9/back?s={session.id}"
    paid = read(client, session, "payment_intent.latest_charge")
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    intent = paid.payment_intent
    assert (intent.status, intent.amount_received, intent.metadata["reference"]) == ("succeeded", 12300, "ref-1")
    assert (intent.latest_charge.paid, intent.latest_charge.payment_method_details.type) == (True, "card")
    (event,) = events(told, "checkout.session.completed")
    assert (event.data.object.id, event.data.object.payment_status) == (session.id, "paid")


def test_paypay_pays(client: Client, told: Listener) -> None:
    session = opened(client)
    assert choose(session, "paypay").status_code == 303
    intent = read(client, session, "payment_intent.latest_charge").payment_intent
    assert intent.latest_charge.payment_method_details.type == "paypay"
    events(told, "checkout.session.completed")


def test_a_declined_card_may_try_again(client: Client, told: Listener) -> None:
    session = opened(client)
    page = choose(session, "declined")
    assert page.status_code == 200
    assert "カードが利用できませんでした" in page.text
    failed = read(client, session, "payment_intent")
    assert (failed.status, failed.payment_status) == ("open", "unpaid")
    assert failed.payment_intent.last_payment_error.code == "card_declined"
    assert told.got == []
    assert choose(session, "card").status_code == 303
    paid = read(client, session, "payment_intent")
    assert paid.payment_intent.id == failed.payment_intent.id
    assert (paid.payment_status, paid.payment_intent.last_payment_error) == ("paid", None)


def test_konbini_is_complete_and_unpaid_until_the_money_comes(client: Client, told: Listener) -> None:
    session = opened(client)
    assert choose(session, "konbini").headers["Location"] == f"/pay/{session.id}/slip"
    ordered = read(client, session, "payment_intent")
    assert (ordered.status, ordered.payment_status) == ("complete", "unpaid")
    slip = ordered.payment_intent.next_action.konbini_display_details
    assert 4 < (slip.expires_at - time.time()) / 86400 < 6
    assert slip.hosted_voucher_url == f"{session.url}/slip"
    assert choose(session, "paid", "/slip").status_code == 303
    assert choose(session, "paid", "/slip").status_code == 303  # a second time changes nothing
    paid = read(client, session, "payment_intent")
    assert (paid.payment_status, paid.payment_intent.status) == ("paid", "succeeded")
    first, second = events(told, "checkout.session.completed", "checkout.session.async_payment_succeeded")
    assert (first.data.object.payment_status, second.data.object.payment_status) == ("unpaid", "paid")


def test_a_slip_may_lapse(client: Client, told: Listener) -> None:
    session = opened(client)
    choose(session, "konbini")
    choose(session, "lapsed", "/slip")
    lapsed = read(client, session, "payment_intent")
    assert (lapsed.status, lapsed.payment_status) == ("complete", "unpaid")
    assert lapsed.payment_intent.status == "requires_payment_method"
    assert choose(session, "paid", "/slip").status_code == 303
    assert read(client, session).payment_status == "unpaid"
    events(told, "checkout.session.completed", "checkout.session.async_payment_failed")


def test_a_session_is_paid_once(client: Client, told: Listener) -> None:
    session = opened(client)
    choose(session, "card")
    for choice in ("card", "konbini", "declined", "paypay"):
        assert choose(session, choice).headers["Location"] == f"/pay/{session.id}"
    assert len(client.v1.refunds.list().data) == 0
    events(told, "checkout.session.completed")


def test_only_offered_methods_pay(client: Client) -> None:
    session = opened(client, payment_method_types=["konbini"])
    for choice in ("card", "declined", "paypay", "x"):
        choose(session, choice)
    assert read(client, session).status == "open"


def test_an_open_session_can_be_expired_once(client: Client, told: Listener) -> None:
    session = opened(client)
    expired = client.v1.checkout.sessions.expire(session.id)
    assert (expired.status, expired.url) == ("expired", None)
    with pytest.raises(stripe.InvalidRequestError, match="has a status of `expired`"):
        client.v1.checkout.sessions.expire(session.id)
    assert choose(session, "card").status_code == 303
    assert read(client, session).payment_status == "unpaid"
    events(told, "checkout.session.expired")


def test_sessions_are_listed_newest_first_per_account(sandbox: Sandbox, client: Client) -> None:
    ids = [opened(client).id for _ in range(3)][::-1]
    page = client.v1.checkout.sessions.list({"limit": 2, "expand": ["data.line_items"]})
    assert ([session.id for session in page.data], page.has_more) == (ids[:2], True)
    assert page.data[0].line_items.data[0].amount_total == 12300
    assert [session.id for session in page.auto_paging_iter()] == ids
    back = client.v1.checkout.sessions.list({"ending_before": ids[2], "limit": 1})
    assert ([session.id for session in back.data], back.has_more) == ([ids[1]], True)
    other: Client = stripe.StripeClient("sk_test_other", base_addresses={"api": sandbox.stripe_base})
    assert other.v1.checkout.sessions.list().data == []
    with pytest.raises(stripe.InvalidRequestError) as refused:
        other.v1.checkout.sessions.retrieve(ids[0])
    assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")


def test_the_same_key_and_order_open_one_session(client: Client) -> None:
    params = wanted()
    first, second = (client.v1.checkout.sessions.create(params, {"idempotency_key": "ref-1"}) for _ in range(2))
    assert first.id == second.id
    assert second.last_response.headers["Idempotent-Replayed"] == "true"
    assert second.last_response.headers["Original-Request"] == first.last_response.headers["Request-Id"]
    with pytest.raises(stripe.IdempotencyError):
        client.v1.checkout.sessions.create(params | {"client_reference_id": "x"}, {"idempotency_key": "ref-1"})
    assert len(client.v1.checkout.sessions.list().data) == 1


def test_a_500_is_kept_for_its_key(sandbox: Sandbox, client: Client) -> None:
    params = wanted()
    sandbox.faults(error_after={"next": 1})
    for _ in range(2):
        with pytest.raises(stripe.APIError) as failed:
            client.v1.checkout.sessions.create(params, {"idempotency_key": "ref-1"})
        assert failed.value.http_status == 500
    assert len(client.v1.checkout.sessions.list().data) == 1


@pytest.mark.parametrize(
    ("choice", "status", "back"), [("refund_taken", "succeeded", 12_300), ("refund_lapsed", "failed", 0)]
)
def test_konbini_money_goes_back_once_a_bank_account_is_named(
    client: Client, choice: str, status: str, back: int
) -> None:
    session = opened(client)
    choose(session, "konbini")
    choose(session, "paid", "/slip")
    intent = str(read(client, session).payment_intent)
    assert client.v1.refunds.create({"payment_intent": intent}).status == "requires_action"
    choose(session, choice, "/slip")
    charge = client.v1.payment_intents.retrieve(intent, {"expand": ["latest_charge.refunds"]}).latest_charge
    assert ([one.status for one in charge.refunds.data], charge.amount_refunded) == ([status], back)


def test_refunds(client: Client, told: Listener, stripe_schema: Callable) -> None:
    session = opened(client)
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.create({"payment_intent": "pi_none"})
    choose(session, "card")
    intent = read(client, session).payment_intent
    part = client.v1.refunds.create({"payment_intent": intent, "amount": 300, "reason": "requested_by_customer"})
    stripe_schema(json.loads(str(part)), "refund")
    assert (part.status, part.amount) == ("succeeded", 300)
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
        client.v1.refunds.create({"payment_intent": intent, "amount": 12_001})
    rest = client.v1.refunds.create({"charge": part.charge})
    assert rest.amount == 12_000
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create({"charge": part.charge})
    assert refused.value.code == "charge_already_refunded"
    charge = client.v1.charges.retrieve(part.charge)
    assert (charge.refunded, charge.amount_refunded) == (True, 12_300)
    assert [one.id for one in client.v1.refunds.list({"payment_intent": intent}).data] == [rest.id, part.id]
    assert client.v1.refunds.retrieve(part.id).amount == 300
    events(told, "checkout.session.completed", "charge.refunded", "charge.refunded")


def test_every_state_holds_the_schema(
    sandbox: Sandbox, client: Client, stripe_schema: Callable, stripe_fixtures: dict
) -> None:
    def check(session) -> None:
        shown = requests.get(
            f"{sandbox.stripe_base}/v1/checkout/sessions/{session.id}?expand[]=line_items", auth=(KEY, ""), timeout=5
        ).json()
        stripe_schema(shown, "checkout.session")
        assert stripe_fixtures["checkout.session"].keys() <= shown.keys()
        if shown["payment_intent"]:
            intent = json.loads(str(client.v1.payment_intents.retrieve(shown["payment_intent"])))
            stripe_schema(intent, "payment_intent")
            assert stripe_fixtures["payment_intent"].keys() <= intent.keys()

    ways = [
        [],
        [("declined", "")],
        [("card", "")],
        [("paypay", "")],
        [("konbini", "")],
        [("konbini", ""), ("paid", "/slip")],
        [("konbini", ""), ("lapsed", "/slip")],
    ]
    for way in ways:
        session = opened(client)
        for choice, page in way:
            choose(session, choice, page)
        check(session)
    expired = opened(client)
    client.v1.checkout.sessions.expire(expired.id)
    check(expired)
    paid = next(one for one in client.v1.checkout.sessions.list().data if one.payment_status == "paid")
    charge = client.v1.payment_intents.retrieve(paid.payment_intent, {"expand": ["latest_charge"]}).latest_charge
    assert stripe_fixtures["charge"].keys() <= json.loads(str(charge)).keys()
    refund = client.v1.refunds.create({"charge": charge.id})
    assert stripe_fixtures["refund"].keys() <= json.loads(str(refund)).keys()


def test_webhook_switches(sandbox: Sandbox, client: Client, told: Listener) -> None:
    sandbox.faults(webhooks_off=True)
    choose(opened(client), "card")
    sandbox.faults(webhooks_doubled=True, webhooks_delay_ms=300)
    session = opened(client)
    start = time.monotonic()
    choose(session, "card")
    got = told.wait(2)
    assert time.monotonic() - start >= 0.3
    assert got[0][1] == got[1][1]
    assert json.loads(got[0][1])["data"]["object"]["id"] == session.id


def test_a_webhook_is_tried_again_with_a_fresh_signature(client: Client, told: Listener) -> None:
    told.answers = [500, 200]
    choose(opened(client), "card")
    told.wait(2)
    first, second = events(told, *["checkout.session.completed"] * 2)
    assert first.id == second.id
    assert told.got[0][0]["Stripe-Signature"] != told.got[1][0]["Stripe-Signature"]


def test_a_star_stands_for_every_key(sandbox: Sandbox, client: Client, listener: Listener) -> None:
    sandbox.addresses(stripe_webhooks={"*": {"url": listener.url, "secret": SECRET}})
    choose(opened(client), "card")
    events(listener, "checkout.session.completed")


def paid(client: Client, session_id: str) -> bool:
    return bool(client.v1.checkout.sessions.retrieve(session_id).payment_status == "paid")


def test_a_restart_keeps_sessions_and_keys(tmp_path) -> None:
    journal = tmp_path / "journal"
    params = wanted()
    ids = []
    for _ in range(2):
        with running_sandbox(journal=journal, public_url="http://shop.example") as sandbox:
            client: Client = stripe.StripeClient(KEY, base_addresses={"api": sandbox.stripe_base})
            ids.append(client.v1.checkout.sessions.create(params, {"idempotency_key": "ref-1"}).id)
            url = f"{sandbox.url}/pay/{ids[0]}"
            requests.post(url, data={"choice": "konbini"}, timeout=5, allow_redirects=False)
            assert client.v1.checkout.sessions.retrieve(ids[0]).status == "complete"
            last = requests.post(f"{url}/slip", data={"choice": "paid"}, timeout=5, allow_redirects=False)
            assert last.status_code == 303
            until(partial(paid, client, ids[0]))
    assert ids[0] == ids[1]
    assert KEY not in journal.read_text()
