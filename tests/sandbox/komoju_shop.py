"""A shop at the stand-in for KOMOJU: its keys, its calls, its orders."""

import base64
import json
import urllib.error
import urllib.request
from typing import Any

from sandbox.harness import Sandbox

KEY, SECRET = "sk_test_shop", "komoju-secret"


def call(
    sandbox: Sandbox,
    method: str,
    path: str,
    body: object = None,
    *,
    key: str = KEY,
    headers: dict[str, str] | None = None,
) -> tuple[int, Any]:
    login = base64.b64encode(f"{key}:".encode()).decode()
    request = urllib.request.Request(
        f"{sandbox.komoju_base}/{path}",
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Basic {login}", "Content-Type": "application/json"} | (headers or {}),
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


WANTED: dict[str, Any] = {
    "amount": 12_300,
    "currency": "JPY",
    "return_url": "http://127.0.0.1:9/back?a=1",
    "default_locale": "ja",
    "expires_in_seconds": 3_600,
    "payment_types": ["credit_card", "konbini", "bank_transfer"],
    "payment_data": {"external_order_num": "ref-1", "capture": "auto"},
    "metadata": {"reference": "ref-1"},
}


def opened(sandbox: Sandbox, **changes: Any) -> dict[str, Any]:
    status, session = call(sandbox, "POST", "sessions", WANTED | changes)
    assert status == 200
    made: dict[str, Any] = session
    return made
