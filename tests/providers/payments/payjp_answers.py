"""PAY.JP's answers, as dictionaries to change."""

from typing import Any


def session(**changes: object) -> dict[str, Any]:
    return {
        "object": "checkout.session",
        "id": "cs_test_1",
        "mode": "payment",
        "status": "open",
        "amount_total": 12_300,
        "currency": "jpy",
        "payment_flow_id": None,
        "payment_method_types": ["card"],
        "expires_at": "2026-11-23T02:00:00Z",
        "url": "https://checkout.pay.jp/cs_test_1",
        "metadata": {"reference": "abc.12.p1"},
    } | changes


def flow(**changes: object) -> dict[str, Any]:
    return {
        "object": "payment_flow",
        "id": "pfw_1",
        "status": "succeeded",
        "amount": 12_300,
        "amount_received": 12_300,
        "currency": "jpy",
        "payment_method_types": ["card"],
        "metadata": {"reference": "abc.12.p1"},
        "created_at": "2026-11-23T01:00:00Z",
        "updated_at": "2026-11-23T01:02:03Z",
    } | changes
