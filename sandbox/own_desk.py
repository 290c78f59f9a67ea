"""Acts on a payment at the provider's own desk, or at a person's bank: nothing of it passes the API.

| request | does |
|---|---|
| `POST /_sandbox/payments/{id}` | `{"act": …}`: refund (also an `amount`), refund_fails, dispute, dispute_lost, … |
| `POST /_sandbox/foreign` | `{"site": …, "key": …, "count": N}` tells of another system's payments |

`id` is a payment's of `GET /_sandbox/payments`. An act that a provider doesn't know, or not at this moment, is answered
409: KOMOJU tells of a chargeback once the money is gone; PayPay knows none, and tries a failed refund again by itself.
Foreign payments are of the same contract.
"""

import json
import time
from typing import Any

from aiohttp import web

from sandbox import checkout
from sandbox.checkout import account_of
from sandbox.orders import Order, WrongMomentError, new_id
from sandbox.state import World

_DISPUTES = {"dispute": "open", "dispute_lost": "lost", "dispute_won": "won"}
_WITH_DISPUTES = frozenset({"payjp"})
_WITH_FAILED_REFUNDS = frozenset({"payjp"})


def routes(world: World) -> list[web.RouteDef]:
    """Return the desk's routes."""
    desk = OwnDesk(world)
    return [web.post("/_sandbox/payments/{id}", desk.act), web.post("/_sandbox/foreign", desk.foreign)]


class OwnDesk:
    """The own desks of all providers of one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def act(self, request: web.Request) -> web.Response:
        """Do one act about a payment."""
        payment_id, wanted = request.match_info["id"], await _json(request)
        act, amount = wanted.get("act"), wanted.get("amount")
        known = act in {"refund", "refund_fails", *_DISPUTES} and (amount is None or type(amount) is int)
        session, order = self._world.checkouts.session(payment_id), self._world.orders.get(payment_id)
        if not known or (session is None and order is None):
            return _told(404, {"error": "no such payment or act"})
        try:
            if order is not None:
                self._of_order(order, str(act), amount)
            else:
                self._of_session(payment_id, str(act), amount)
        except (WrongMomentError, checkout.WrongMomentError):
            return _told(409, {"error": "not at this provider, or not at this moment"})
        return _told(200, {"done": act})

    def _of_session(self, session_id: str, act: str, amount: int | None) -> None:
        checkouts = self._world.checkouts
        if act == "refund":
            checkouts.refund_at_desk(session_id, amount)
        elif act == "refund_fails":
            checkouts.fail_refund(session_id)
        else:
            checkouts.dispute(session_id, _DISPUTES[act])

    def _of_order(self, order: Order, act: str, amount: int | None) -> None:
        orders = self._world.orders
        if act == "refund":
            orders.refund(order, amount or order.amount - order.refunded, _by_desk())
        elif act == "refund_fails" and order.site in _WITH_FAILED_REFUNDS:
            orders.fail_refund(order)
        elif act in _DISPUTES and order.site in _WITH_DISPUTES:
            orders.dispute(order, _DISPUTES[act])
        elif act == "dispute_lost" and order.site == "komoju":
            orders.refund(order, order.amount - order.refunded, {"chargeback": True})
        else:
            raise WrongMomentError

    async def foreign(self, request: web.Request) -> web.Response:
        """Push events of payments that another system took by the same contract."""
        wanted = await _json(request)
        site, key, count = wanted.get("site"), wanted.get("key"), wanted.get("count")
        if site not in {"stripe", "payjp", "komoju", "paypay"} or not isinstance(key, str) or type(count) is not int:
            return _told(400, {"error": "give site, key and count"})
        account = key if site == "paypay" else account_of(key)
        for _ in range(count):
            if site == "stripe":
                self._world.checkouts.tell_of_foreign(account)
            else:
                self._world.orders.tell_of(_foreign_order(site, account, str(wanted.get("merchant", ""))), "paid")
        return _told(200, {"told": count})


def _by_desk() -> dict[str, Any]:
    """Make what the provider itself puts into a refund that was not asked for by API."""
    return {"merchantRefundId": f"desk-{new_id(12)}", "requestedAt": int(time.time())}


def _foreign_order(site: str, account: str, merchant: str) -> Order:
    now = time.time()
    return Order(
        id=f"foreign_{new_id(16)}",
        site=site,
        account=account,
        reference=f"other-{new_id(12)}",
        amount=5_000,
        description="別のシステムの注文",
        methods=["card"],
        success_url="",
        cancel_url="",
        created_at=now,
        expires_at=now + 3_600,
        kept={"merchant": merchant},
        state="paid",
        payment_id=new_id(25),
        method="card",
        paid_at=now,
        changed_at=now,
    )


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        read = json.loads(await request.read())
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _told(status: int, value: dict[str, Any]) -> web.Response:
    return web.Response(status=status, text=json.dumps(value), content_type="application/json")
