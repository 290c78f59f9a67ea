"""PAY.JP's stand-in, judged by PAY.JP's own SDK: its calls work, its models take every answer."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import payjpv2
import pytest

from sandbox.harness import Sandbox, running_sandbox
from tests.payments.shop import choose
from tests.sandbox.conftest import Listener

KEY, TOKEN = "sk_test_shop", "whook_shop"


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[payjpv2.ApiClient]:
    with client_of(sandbox, KEY) as made:
        yield made


def client_of(sandbox: Sandbox, key: str) -> payjpv2.ApiClient:
    return payjpv2.ApiClient(payjpv2.Configuration(host=sandbox.payjp_base, access_token=key, retries=0))


@pytest.fixture
def told(sandbox: Sandbox, listener: Listener) -> Listener:
    sandbox.addresses(payjp_webhooks={KEY: {"url": listener.url, "secret": TOKEN, "shop": "さくら保険"}})
    return listener


def wanted(**changes: Any) -> payjpv2.CheckoutSessionCreateRequest:
    fields = {
        "mode": "payment",
        "line_items": [
            {
                "quantity": 1,
                "price_data": {"currency": "jpy", "unit_amount": 12_300, "product_data": {"name": "初回保険料"}},
            }
        ],
        "client_reference_id": "ref-1",
        "metadata": {"reference": "ref-1"},
        "payment_flow_data": {"metadata": {"reference": "ref-1"}},
        "payment_method_types": ["card", "paypay"],
        "success_url": "http://127.0.0.1:9/back",
        "cancel_url": "http://127.0.0.1:9/pay",
        "expires_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
    }
    made = payjpv2.CheckoutSessionCreateRequest.from_dict(fields | changes)
    assert made is not None
    return made


def opened(client: payjpv2.ApiClient, key: str | None = None, **changes: Any) -> Any:
    return payjpv2.CheckoutSessionsApi(client).create_checkout_session(wanted(**changes), idempotency_key=key)


def read(client: payjpv2.ApiClient, session: Any) -> Any:
    return payjpv2.CheckoutSessionsApi(client).get_checkout_session(session.id)


def flow_of(client: payjpv2.ApiClient, session: Any) -> Any:
    return payjpv2.PaymentFlowsApi(client).get_payment_flow(read(client, session).payment_flow_id)


def test_a_session_opens_as_asked(sandbox: Sandbox, client: payjpv2.ApiClient) -> None:
    session = opened(client)
    assert session.url == f"{sandbox.url}/till/{session.id}"
    assert (session.status, session.amount_total, session.currency, session.payment_flow_id) == (
        "open",
        12_300,
        "jpy",
        None,
    )
    assert session.metadata["reference"].actual_instance == "ref-1"
    assert read(client, session) == session
    assert [one.id for one in payjpv2.CheckoutSessionsApi(client).get_all_checkout_sessions().data] == [session.id]


@pytest.mark.parametrize("method", ["card", "paypay"])
def test_money_comes(client: payjpv2.ApiClient, told: Listener, method: str) -> None:
    session = opened(client)
    choose(session.url, method)
    flow = flow_of(client, session)
    assert (read(client, session).status, flow.status, flow.amount_received) == ("complete", "succeeded", 12_300)
    assert flow.metadata["reference"].actual_instance == "ref-1"
    events = [payjpv2.EventResponse.from_json(body.decode()) for _, body in told.wait(2)]
    assert sorted(event.type for event in events if event) == ["checkout.session.completed", "payment_flow.succeeded"]
    assert {headers["X-Payjp-Webhook-Token"] for headers, _ in told.got} == {TOKEN}
    (listed,) = payjpv2.PaymentFlowsApi(client).get_all_payment_flows().data
    assert listed == flow


def test_a_declined_card_may_try_again(client: payjpv2.ApiClient, told: Listener) -> None:
    session = opened(client)
    choose(session.url, "declined")
    flow = flow_of(client, session)
    assert (read(client, session).status, flow.status, flow.amount_received) == ("open", "requires_payment_method", 0)
    assert flow.last_payment_error["code"] == "card_declined"
    choose(session.url, "card")
    assert flow_of(client, session).last_payment_error is None
    kinds = [json.loads(body)["type"] for _, body in told.wait(3)]
    assert sorted(kinds) == ["checkout.session.completed", "payment_flow.payment_failed", "payment_flow.succeeded"]


def test_a_session_can_be_expired_once(client: payjpv2.ApiClient, told: Listener) -> None:
    session = opened(client)
    sessions = payjpv2.CheckoutSessionsApi(client)
    assert sessions.expire_checkout_session(session.id).status == "expired"
    with pytest.raises(payjpv2.ApiException) as refused:
        sessions.expire_checkout_session(session.id)
    assert refused.value.status == 400
    problem = payjpv2.ErrorResponse.from_json(str(refused.value.body))
    assert problem is not None
    assert problem.status == 400
    choose(session.url, "card")
    assert read(client, session).status == "expired"
    assert [json.loads(body)["type"] for _, body in told.wait(1)] == ["checkout.session.expired"]


def test_refunds(client: payjpv2.ApiClient, told: Listener) -> None:
    session = opened(client)
    choose(session.url, "card")
    flow_id = read(client, session).payment_flow_id
    refunds = payjpv2.PaymentRefundsApi(client)
    part = refunds.create_payment_refund(
        payjpv2.PaymentRefundCreateRequest(
            payment_flow_id=flow_id, amount=300, metadata={"why": payjpv2.MetadataValue("x")}
        )
    )
    assert (part.amount, part.status, part.metadata["why"].actual_instance) == (300, "succeeded", "x")
    rest = refunds.create_payment_refund(payjpv2.PaymentRefundCreateRequest(payment_flow_id=flow_id))
    assert rest.amount == 12_000
    with pytest.raises(payjpv2.ApiException) as refused:
        refunds.create_payment_refund(payjpv2.PaymentRefundCreateRequest(payment_flow_id=flow_id))
    assert refused.value.status == 400
    assert payjpv2.PaymentFlowsApi(client).get_payment_flow_refunds(flow_id).data == [rest, part]
    assert refunds.get_all_payment_refunds(limit=1).has_more
    assert refunds.get_payment_refund(part.id) == part
    data = [
        event["data"] for event in (json.loads(body) for _, body in told.wait(4)) if event["type"] == "refund.created"
    ]
    assert [one["payment_flow_id"] for one in data] == [flow_id, flow_id]


def test_the_same_key_and_order_open_one_session(client: payjpv2.ApiClient) -> None:
    changes = {"expires_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}
    first = opened(client, "key-1", **changes)
    assert opened(client, "key-1", **changes).id == first.id
    assert opened(client, "key-2", **changes).id != first.id
    for key, code, status in (("key-1", "idempotency_conflict", 409), ("a.b", "invalid_idempotency_key", 400)):
        with pytest.raises(payjpv2.ApiException) as refused:
            opened(client, key, client_reference_id="other")
        assert (refused.value.status, json.loads(str(refused.value.body))["code"]) == (status, code)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"expires_at": (datetime.now(UTC) + timedelta(hours=25)).isoformat()}, "expires_at"),
        ({"success_url": "nowhere"}, "success_url"),
        ({"metadata": {str(n): "x" for n in range(21)}}, "metadata"),
    ],
)
def test_a_wrong_field_is_named(client: payjpv2.ApiClient, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(payjpv2.ApiException) as refused:
        opened(client, **changes)
    assert refused.value.status == 422
    assert json.loads(str(refused.value.body))["errors"][0]["field"] == field


@pytest.mark.parametrize("key", ["sk_live_shop", "pk_test_shop", ""])
def test_only_test_keys_come_in(sandbox: Sandbox, key: str) -> None:
    with client_of(sandbox, key) as client, pytest.raises(payjpv2.ApiException) as refused:
        opened(client)
    assert refused.value.status == 401


def test_another_account_sees_nothing(sandbox: Sandbox, client: payjpv2.ApiClient) -> None:
    session = opened(client)
    with client_of(sandbox, "sk_test_other") as other:
        with pytest.raises(payjpv2.ApiException) as refused:
            read(other, session)
        assert payjpv2.CheckoutSessionsApi(other).get_all_checkout_sessions().data == []
    assert refused.value.status == 404


def test_a_restart_keeps_sessions_and_keys(tmp_path) -> None:
    changes = {"expires_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}
    journal = tmp_path / "journal"
    with running_sandbox(journal=journal) as sandbox, client_of(sandbox, KEY) as client:
        session = opened(client, "key-1", **changes)
        choose(session.url, "card")
    with running_sandbox(journal=journal) as sandbox, client_of(sandbox, KEY) as client:
        assert flow_of(client, session).status == "succeeded"
        assert opened(client, "key-1", **changes).id == session.id
        assert [payment["state"] for payment in sandbox.payments()] == ["paid"]
