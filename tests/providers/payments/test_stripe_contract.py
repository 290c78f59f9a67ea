"""The adapter against Stripe's own words: its schema, its response fixtures, and what its SDK sends."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema
import pytest
from stripe import StripeClient

from app.providers.curl import perform
from app.providers.http import Response
from app.providers.payments.base import Charge, ChargeStatus, Order, PaymentAccess
from app.providers.payments.stripe import VERSION, stripe_checkout
from tests.providers.rawserver import Peer, RawServer

CONTRACTS = Path(__file__).parents[3].parent / "shared" / "contracts" / "stripe"
ORDER = Order(
    reference="ref-1",
    amount_yen=12_300,
    description="11月分のお支払い＆手数料",
    success_url="https://todoke.example/p/back?session={CHECKOUT_SESSION_ID}",
    cancel_url="https://todoke.example/p/pay",
    expires_at=datetime(2026, 11, 23, 2, tzinfo=UTC),
    methods=["card", "konbini"],
)


def account(base_url: str = "https://api.stripe.com") -> PaymentAccess:
    return PaymentAccess(base_url, {"konbini_days": "7"}, {"secret_key": "sk_test_secret"})


def read(session: object) -> Charge:
    asked = stripe_checkout.fetch(account(), "cs_test_a1")
    found = stripe_checkout.charge(asked, [Response(200, {}, json.dumps(session).encode())])
    assert isinstance(found, Charge)
    return found


def official(name: str) -> dict[str, Any]:
    path = CONTRACTS / name
    if not path.exists():
        pytest.skip("../shared/contracts/stripe is missing: the official documents can't be consulted")
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def unbracket(form: list[tuple[str, str]]) -> Any:
    """Turn `a[b][0]=c` into nested objects and lists."""
    tree: dict[str, Any] = {}
    for name, value in form:
        *path, last = re.findall(r"[^\[\]]+", name)
        branch = tree
        for step in path:
            branch = branch.setdefault(step, {})
        assert last not in branch
        branch[last] = value
    return lists(tree)


def lists(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return int(tree) if re.fullmatch(r"\d+", tree) else tree
    if all(re.fullmatch(r"\d+", name) for name in tree):
        assert list(tree) == [str(index) for index in range(len(tree))]
        return [lists(value) for value in tree.values()]
    return {name: lists(value) for name, value in tree.items()}


def test_the_form_is_the_schemas_form() -> None:
    spec = official("spec3.2023-08-16.checkout-trim.json")
    form = unbracket(parse_qsl(stripe_checkout.start(account(), ORDER).body.decode(), strict_parsing=True))
    body = spec["paths"]["/v1/checkout/sessions"]["post"]["requestBody"]["content"]
    schema = body["application/x-www-form-urlencoded"]["schema"]
    jsonschema.Draft202012Validator({**schema, "components": spec["components"]}).validate(form)
    assert form["line_items"][0]["price_data"]["unit_amount"] == 12_300


def test_the_official_session_is_read() -> None:
    resources = official("fixtures3.json")["resources"]
    session = resources["checkout.session"]
    opened = read(session)
    assert (opened.provider_id, opened.status, opened.url) == (session["id"], ChargeStatus.OPEN, session["url"])
    assert opened.expires_at == datetime.fromtimestamp(session["expires_at"], UTC)
    payment = resources["payment_intent"] | {"latest_charge": resources["charge"], "status": "succeeded"}
    done = session | {"status": "complete", "payment_status": "paid", "payment_intent": payment}
    paid = read(done)
    assert (paid.status, paid.method) == (ChargeStatus.PAID, resources["charge"]["payment_method_details"]["type"])
    assert paid.paid_at == datetime.fromtimestamp(resources["charge"]["created"], UTC)


def test_every_word_of_the_schema_has_a_meaning() -> None:
    schemas = official("spec3.2023-08-16.checkout-trim.json")["components"]["schemas"]
    session = official("fixtures3.json")["resources"]["checkout.session"]
    statuses = schemas["payment_intent"]["properties"]["status"]["enum"]
    for status in set(statuses) - {"succeeded"}:
        waiting = session | {"status": "complete", "payment_status": "unpaid", "payment_intent": {"status": status}}
        assert read(waiting).status in {
            ChargeStatus.PENDING,
            ChargeStatus.FAILED,
            ChargeStatus.CANCELLED,
        }
    assert set(schemas["checkout.session"]["properties"]["status"]["enum"]) == {"open", "complete", "expired"}
    assert set(schemas["checkout.session"]["properties"]["payment_status"]["enum"]) == {
        "paid",
        "unpaid",
        "no_payment_required",
    }


# -- the SDK ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def recorder() -> Iterator[RawServer]:
    with RawServer(*[serve_session] * 4) as server:
        yield server


def serve_session(peer: Peer) -> None:
    body = b'{"id": "cs_test_1", "object": "checkout.session"}'
    while peer.read():
        peer.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def parts(raw: bytes) -> tuple[str, dict[str, str], Any]:
    """Take a recorded request apart: method and path, the headers that mean something, what it asks for."""
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    method, target, _version = line.split(" ")
    headers = {name.lower(): value for name, value in (header.split(": ", 1) for header in lines)}
    kept = ["authorization", "stripe-version", *(["idempotency-key", "content-type"] if body else [])]
    url = urlsplit(target)
    asked = unbracket(parse_qsl(body.decode() or url.query, strict_parsing=True))
    return f"{method} {url.path}", {name: headers[name] for name in kept}, asked


def both(recorder: RawServer) -> tuple[StripeClient, PaymentAccess]:
    base = recorder.url.removesuffix("/messages")
    return StripeClient("sk_test_secret", base_addresses={"api": base}, stripe_version=VERSION), account(base)


def test_an_order_is_what_the_sdk_sends(recorder: RawServer) -> None:
    client, ours = both(recorder)
    product = {"currency": "jpy", "unit_amount": 12_300, "product_data": {"name": ORDER.description}}
    params: Any = {  # the SDK's own types are of a newer version, without payment_method_types
        "mode": "payment",
        "line_items": [{"quantity": 1, "price_data": product}],
        "client_reference_id": "ref-1",
        "metadata": {"reference": "ref-1"},
        "payment_intent_data": {"metadata": {"reference": "ref-1"}},
        "success_url": ORDER.success_url,
        "cancel_url": ORDER.cancel_url,
        "expires_at": int(ORDER.expires_at.timestamp()),
        "locale": "ja",
        "payment_method_types": ["card", "konbini"],
        "payment_method_options": {"konbini": {"expires_after_days": 7}},
    }
    client.v1.checkout.sessions.create(params, {"idempotency_key": "ref-1"})
    assert isinstance(perform(stripe_checkout.start(ours, ORDER)), Response)
    sdk, own = map(parts, recorder.requests)
    assert own == sdk


def test_a_fetch_is_what_the_sdk_sends(recorder: RawServer) -> None:
    client, ours = both(recorder)
    client.v1.checkout.sessions.retrieve("cs_test_1", {"expand": ["payment_intent.latest_charge.refunds"]})
    assert isinstance(perform(stripe_checkout.fetch(ours, "cs_test_1")), Response)
    sdk, own = map(parts, recorder.requests)
    assert own == sdk
