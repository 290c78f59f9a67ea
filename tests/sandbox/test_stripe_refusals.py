"""The stand-in refuses what Stripe would refuse, in the same words."""

import base64
import time
from collections.abc import Callable

import pytest
import requests
import stripe

from sandbox.harness import Sandbox
from tests.sandbox.stripe_shop import KEY, Client, opened, wanted


def test_a_failed_check_uses_up_no_key(client: Client) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.create(wanted(success_url=None), {"idempotency_key": "ref-1"})
    assert client.v1.checkout.sessions.create(wanted(), {"idempotency_key": "ref-1"}).status == "open"


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"mode": None}, "mode", "parameter_missing"),
        ({"mode": "subscription"}, "mode", None),
        ({"success_url": None}, "success_url", "parameter_missing"),
        ({"success_url": "todoke"}, "success_url", "url_invalid"),
        ({"line_items": None}, "line_items", "parameter_missing"),
        ({"line_items": [{"quantity": 1}]}, "line_items[0][price_data]", "parameter_missing"),
        ({"expires_at": int(time.time()) + 60}, "expires_at", None),
        ({"expires_at": int(time.time()) + 2 * 86400}, "expires_at", None),
        ({"client_reference_id": "x" * 201}, "client_reference_id", "parameter_invalid_string_too_long"),
        ({"client_reference_id": ""}, "client_reference_id", "parameter_invalid_empty"),
        ({"locale": "xx"}, "locale", None),
        ({"payment_method_types": ["bitcoin"]}, "payment_method_types[0]", None),
        (
            {"payment_method_options": {"konbini": {"expires_after_days": 61}}},
            "payment_method_options[konbini][expires_after_days]",
            None,
        ),
        ({"metadata": {"k": "v" * 501}}, "metadata[k]", None),
        ({"coupon": "free"}, "coupon", "parameter_unknown"),
        ({"expand": ["customer"]}, "expand[0]", None),
    ],
)
def test_a_wrong_parameter_is_named(
    client: Client, changes: dict, param: str, code: str | None, stripe_schema: Callable
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        opened(client, **changes)
    error = refused.value
    assert (error.http_status, error.param, error.code) == (400, param, code)
    stripe_schema(error.json_body, "error")
    assert client.v1.checkout.sessions.list().data == []


@pytest.mark.parametrize(
    ("amount", "quantity", "currency", "code"),
    [
        (49, 1, "jpy", "amount_too_small"),
        (99_999_999, 2, "jpy", "amount_too_large"),
        (-1, 1, "jpy", "parameter_invalid_integer"),
        ("12.5", 1, "jpy", "parameter_invalid_integer"),
        (100, 0, "jpy", None),
        (100, 1, "usd", None),
    ],
)
def test_a_wrong_amount_is_refused(client: Client, amount, quantity, currency: str, code) -> None:
    price = {"currency": currency, "unit_amount": amount, "product_data": {"name": "x"}}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        opened(client, line_items=[{"price_data": price, "quantity": quantity}])
    assert refused.value.code == code


@pytest.mark.parametrize("key", ["sk_live_secret", "pk_test_x", "x"])
def test_only_test_keys_come_in(sandbox: Sandbox, key: str, stripe_schema: Callable) -> None:
    stranger = stripe.StripeClient(key, base_addresses={"api": sandbox.stripe_base})
    with pytest.raises(stripe.AuthenticationError) as refused:
        stranger.v1.checkout.sessions.list()
    assert "secret" not in str(refused.value)
    stripe_schema(refused.value.json_body, "error")


@pytest.mark.parametrize(
    "form",
    [
        b"",
        b"a[=b",
        b"[]=1",
        b"a=1&a[b]=2",
        b"\xff=%ff",
        b"expand=x",
        b"mode[]=payment",
        b"metadata[a][b]=c",
        b"line_items=1",
        b"line_items[x]=1",
        "line_items[²]=1".encode(),
        b"line_items[%s]=1" % (b"9" * 5000),
    ],
)
def test_garbage_is_refused_and_breaks_nothing(sandbox: Sandbox, form: bytes, stripe_schema: Callable) -> None:
    answer = requests.post(f"{sandbox.stripe_base}/v1/checkout/sessions", data=form, auth=(KEY, ""), timeout=5)
    assert answer.status_code == 400
    stripe_schema(answer.json(), "error")


def test_basic_and_no_authorization(sandbox: Sandbox) -> None:
    url = f"{sandbox.stripe_base}/v1/refunds"
    assert requests.get(url, auth=(KEY, ""), timeout=5).status_code == 200
    assert requests.get(url, timeout=5).status_code == 401
    broken = {"Authorization": "Basic " + base64.b64encode(b"\xff").decode()}
    assert requests.get(url, headers=broken, timeout=5).status_code == 401


def test_an_unknown_address_is_told_as_stripe_does(sandbox: Sandbox) -> None:
    answer = requests.get(f"{sandbox.stripe_base}/v1/customers", auth=(KEY, ""), timeout=5)
    assert answer.status_code == 404
    assert "Unrecognized request URL (GET: /v1/customers)" in answer.json()["error"]["message"]
