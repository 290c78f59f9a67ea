"""A shop at the stand-in for Stripe, through the official SDK: its keys, its orders, and what its payers press."""

import time
from typing import Any

import requests
import stripe

from tests.sandbox.conftest import Listener

# tests give the SDK plain dictionaries and read what must be there
Client = Any

KEY = "sk_test_shop"
SECRET = "whsec_shop"


def wanted(**changes) -> dict:
    """Return a session's parameters, as our adapter sends them."""
    params = {
        "mode": "payment",
        "line_items": [
            {
                "price_data": {"currency": "jpy", "unit_amount": 12300, "product_data": {"name": "初回保険料"}},
                "quantity": 1,
            }
        ],
        "client_reference_id": "ref-1",
        "metadata": {"reference": "ref-1"},
        "payment_intent_data": {"metadata": {"reference": "ref-1"}, "description": "初回保険料"},
        "expires_at": int(time.time()) + 3600,
        "success_url": "http://127.0.0.1:9/back?s={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://127.0.0.1:9/page",
        "payment_method_types": ["card", "konbini", "paypay"],
        "payment_method_options": {"konbini": {"expires_after_days": 5}},
        "locale": "ja",
    }
    return {name: value for name, value in (params | changes).items() if value is not None}


def opened(client: Client, **changes):
    return client.v1.checkout.sessions.create(wanted(**changes))


def read(client: Client, session, *expand: str):
    return client.v1.checkout.sessions.retrieve(session.id, {"expand": list(expand)})


def choose(session, choice: str, page: str = "") -> requests.Response:
    return requests.post(f"{session.url}{page}", data={"choice": choice}, timeout=5, allow_redirects=False)


def events(listener: Listener, *kinds: str) -> list[stripe.Event]:
    """Wait for exactly these events, which may overtake each other; each signature is checked by the SDK."""
    listener.wait(len(kinds))
    got = [stripe.Webhook.construct_event(body, headers["Stripe-Signature"], SECRET) for headers, body in listener.got]
    assert sorted(event.type for event in got) == sorted(kinds)
    return sorted(got, key=lambda event: kinds.index(event.type))
