"""Which webhooks are Stripe's own, and what they lead to."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stripe import WebhookSignature

from app.providers.payments.base import BadSignature, PaymentAccess, UnclearCharge, WebhookEvent
from app.providers.payments.stripe import stripe_checkout

SECRET = "whsec_test"
NOW = datetime(2026, 11, 23, 1, 0, 0, tzinfo=UTC)
ACCOUNT = PaymentAccess("https://api.stripe.com/", {}, {"secret_key": "sk_test_secret", "webhook_secret": SECRET})
SESSION = {
    "id": "cs_test_a1",
    "object": "checkout.session",
    "status": "complete",
    "client_reference_id": "ref-1",
    "metadata": {"reference": "ref-1"},
    "success_url": "https://todoke.example/戻る",
}
EVENT = json.dumps(
    {"id": "evt_1", "object": "event", "type": "checkout.session.completed", "data": {"object": SESSION}},
    ensure_ascii=False,
)


def signed(payload: str = EVENT, secret: str = SECRET, at: datetime = NOW) -> dict[str, str]:
    """Sign as Stripe's SDK does."""
    return {"stripe-signature": WebhookSignature.generate_signature_header(payload, secret, int(at.timestamp()))}


def test_a_webhook_is_a_trigger() -> None:
    got = stripe_checkout.webhook(ACCOUNT, signed(), EVENT.encode(), NOW)
    assert got == WebhookEvent("evt_1", "checkout.session.completed", "cs_test_a1", "ref-1")


def test_a_refunds_event_leads_to_our_reference() -> None:
    refunded = {"object": "charge", "id": "ch_1", "metadata": {"reference": "ref-1"}, "refunded": True}
    event = json.dumps({"id": "evt_2", "object": "event", "type": "charge.refunded", "data": {"object": refunded}})
    got = stripe_checkout.webhook(ACCOUNT, signed(event), event.encode(), NOW)
    assert got == WebhookEvent("evt_2", "charge.refunded", None, "ref-1")


def test_while_a_secret_is_replaced_either_signature_will_do() -> None:
    old, new = (signed(secret=secret)["stripe-signature"] for secret in ("whsec_old", SECRET))
    both = {"stripe-signature": f"{old},{new.split(',')[1]}"}
    assert stripe_checkout.webhook(ACCOUNT, both, EVENT.encode(), NOW).id == "evt_1"


@pytest.mark.parametrize("age", [timedelta(0), timedelta(seconds=300), -timedelta(seconds=300)])
def test_five_minutes_either_way_are_forgiven(age: timedelta) -> None:
    assert stripe_checkout.webhook(ACCOUNT, signed(at=NOW - age), EVENT.encode(), NOW).id == "evt_1"


@pytest.mark.parametrize("age", [timedelta(seconds=301), -timedelta(seconds=301), timedelta(days=1)])
def test_older_or_from_the_future_is_refused(age: timedelta) -> None:
    with pytest.raises(BadSignature, match="age"):
        stripe_checkout.webhook(ACCOUNT, signed(at=NOW - age), EVENT.encode(), NOW)


def test_a_changed_byte_is_seen() -> None:
    header = signed()
    for place in range(0, len(EVENT.encode()), 40):
        changed = bytearray(EVENT.encode())
        changed[place] ^= 1
        with pytest.raises(BadSignature, match="signature"):
            stripe_checkout.webhook(ACCOUNT, header, bytes(changed), NOW)


GOOD = signed()["stripe-signature"]
STAMP, _, V1 = GOOD.partition(",v1=")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        STAMP,
        f"v1={V1}",
        f"{STAMP},v0={V1}",
        f"{STAMP},v1=",
        f"{STAMP},v1={V1[:-1]}",
        f"{STAMP},v1={V1}0",
        f"{STAMP},v1={V1.upper()}",
        f"{STAMP},{STAMP},v1={V1}",
        f"{STAMP}0,v1={V1}",
        f"t=,v1={V1}",
        f"t=９,v1={V1}",
        f"t={'9' * 400},v1={V1}",
        f"{STAMP},v1=é\ud800",
        signed(secret="whsec_other")["stripe-signature"],
    ],
)
def test_any_other_signature_is_refused(header: str) -> None:
    with pytest.raises(BadSignature):
        stripe_checkout.webhook(ACCOUNT, {"stripe-signature": header}, EVENT.encode(), NOW)


def test_without_a_header_or_a_secret_nothing_is_believed() -> None:
    with pytest.raises(BadSignature):
        stripe_checkout.webhook(ACCOUNT, {}, EVENT.encode(), NOW)
    keyless = PaymentAccess("https://api.stripe.com", {}, {"webhook_secret": ""})
    with pytest.raises(BadSignature):
        stripe_checkout.webhook(keyless, signed(secret=""), EVENT.encode(), NOW)


@given(st.text(), st.binary())
def test_a_stranger_gets_bad_signature_and_nothing_else(header: str, body: bytes) -> None:
    with pytest.raises(BadSignature):
        stripe_checkout.webhook(ACCOUNT, {"stripe-signature": header}, body, NOW)


@pytest.mark.parametrize(
    "event",
    [
        "",
        "[]",
        "{}",
        '{"object": "event"}',
        '{"object": "event", "id": 1, "type": "x"}',
        '{"object": "event", "id": "evt_1", "type": "a b"}',
        '{"object": "event", "id": "evt 1", "type": "x"}',
        '{"object": "v2.core.event", "id": "evt_1", "type": "x"}',
    ],
)
def test_stripes_own_words_that_are_no_event_are_unclear(event: str) -> None:
    with pytest.raises(UnclearCharge):
        stripe_checkout.webhook(ACCOUNT, signed(event), event.encode(), NOW)


@pytest.mark.parametrize("about", [None, [], {"object": {"object": "checkout.session", "id": "a/b"}}, {"object": 1}])
def test_an_event_about_nothing_we_know_triggers_nothing(about: object) -> None:
    event = json.dumps({"object": "event", "id": "evt_1", "type": "account.updated", "data": about})
    got = stripe_checkout.webhook(ACCOUNT, signed(event), event.encode(), NOW)
    assert (got.provider_id, got.reference) == (None, None)


def test_a_dispute_and_a_refund_made_at_the_desk_lead_to_the_money() -> None:
    for about in (
        {"object": "dispute", "id": "dp_1", "charge": "ch_1", "payment_intent": "pi_1", "metadata": {}},
        {"object": "refund", "id": "re_1", "charge": "ch_1", "payment_intent": "pi_1", "metadata": {}},
    ):
        event = json.dumps({"object": "event", "id": "evt_1", "type": "x.y", "data": {"object": about}})
        got = stripe_checkout.webhook(ACCOUNT, signed(event), event.encode(), NOW)
        assert (got.provider_id, got.reference, got.payment_id) == (None, None, "pi_1")
