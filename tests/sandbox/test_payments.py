"""The common part of the payment providers: their books, their pages, and what goes wrong on demand."""

import json
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

from sandbox.harness import Sandbox, SandboxError
from sandbox.schemas import fault
from tests.payments.shop import choose
from tests.sandbox.conftest import Listener
from tests.sandbox.komoju_shop import KEY, SECRET, call, opened

SHAPE = {
    "name*": str,
    "count": int,
    "kind": frozenset({"a", "b"}),
    "lines": [{"amount*": int}],
    "even": lambda n: n == 2,
}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"name": "x"}, None),
        ({"name": "x", "count": 1, "kind": "a", "lines": [{"amount": 1}], "even": 2}, None),
        ({}, "name"),
        ({"name": "x", "more": 1}, "more"),
        ({"name": "x", "count": True}, "count"),
        ({"name": "x", "kind": "c"}, "kind"),
        ({"name": "x", "kind": []}, "kind"),
        ({"name": "x", "lines": {}}, "lines"),
        ({"name": "x", "lines": [{"amount": 1}, {}]}, "lines.1.amount"),
        ({"name": "x", "even": 3}, "even"),
        ([], "body"),
    ],
)
def test_the_first_field_that_does_not_fit_is_named(value: object, found: str | None) -> None:
    assert fault(value, SHAPE) == found


def test_the_books_tell_each_payment(sandbox: Sandbox) -> None:
    session = opened(sandbox)
    (payment,) = sandbox.payments()
    assert payment == {
        "site": "komoju",
        "id": session["id"],
        "reference": "ref-1",
        "amount": 12_300,
        "method": "",
        "state": "open",
        "refunded": 0,
    }
    choose(session["session_url"], "credit_card")
    assert [(one["state"], one["method"]) for one in sandbox.payments()] == [("paid", "credit_card")]
    assert [row["call"] for row in sandbox.ledger("komoju")] == ["session_create"]
    sandbox.reset()
    assert sandbox.payments() == []


def test_a_site_misquotes_on_demand(sandbox: Sandbox) -> None:
    session = opened(sandbox)
    sandbox.faults(amount_wrong={"value": 5, "next": 1}, currency_wrong={"on": "komoju.session_show"})
    wrong = call(sandbox, "GET", f"sessions/{session['id']}")[1]
    assert (wrong["amount"], wrong["currency"]) == (12_305, "USD")
    sandbox.faults()
    assert call(sandbox, "GET", f"sessions/{session['id']}")[1] == session


def test_webhooks_overtake_each_other_on_demand(sandbox: Sandbox, listener: Listener) -> None:
    sandbox.addresses(komoju_webhooks={KEY: {"url": listener.url, "secret": SECRET}})
    sandbox.faults(webhooks_jitter_ms=400, seed=7)
    began = time.monotonic()
    for at in range(8):
        choose(opened(sandbox, metadata={"at": str(at)})["session_url"], "credit_card")
    order = [json.loads(body)["data"]["metadata"]["at"] for _, body in listener.wait(8)]
    assert sorted(order) != order
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(("switch", "status"), [("too_many_requests", 429), ("error_before", 500)])
@pytest.mark.parametrize("site", ["payjp", "komoju", "paypay"])
def test_each_site_fails_in_its_own_words(sandbox: Sandbox, site: str, switch: str, status: int) -> None:
    sandbox.faults(**{switch: True})
    path = {"payjp": "/payjp/v2/checkout/sessions", "komoju": "/komoju/api/v1/sessions", "paypay": "/paypay/v2/codes"}
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(sandbox.url + path[site], data=b"{}", timeout=5)
    with caught.value as answer:
        told: dict[str, Any] = json.load(answer)
    assert answer.status == status
    assert {"payjp": "code", "komoju": "error", "paypay": "resultInfo"}[site] in told


@pytest.mark.parametrize(
    ("choice", "after"), [("declined", "お支払いができませんでした"), ("unheard_of", "お支払い方法")]
)
def test_a_page_stays_where_nothing_was_paid(sandbox: Sandbox, choice: str, after: str) -> None:
    url = opened(sandbox)["session_url"]
    with urllib.request.urlopen(url, data=f"choice={choice}".encode(), timeout=5) as page:
        assert after in page.read().decode()
    assert [one["state"] for one in sandbox.payments()] == ["open"]


def test_pages_that_are_none(sandbox: Sandbox) -> None:
    for path in ("/till/nothing", "/till/nothing/slip"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(sandbox.url + path, timeout=5)
        with caught.value as answer:
            assert answer.status == 404
            assert "見つかりません" in answer.read().decode()


def test_addresses_are_checked(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="komoju_webhooks"):
        sandbox.addresses(unheard_of={})
    with pytest.raises(SandboxError, match="secret"):
        sandbox.addresses(komoju_webhooks={KEY: {"url": "http://127.0.0.1:9/"}})
