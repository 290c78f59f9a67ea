"""The control desk under `/_sandbox/`: what tests, benches and the curious read and set, as JSON.

| request | does |
|---|---|
| `GET /_sandbox/ledger?kind=…&since=N&limit=N` | rows of one provider or of all; `next` is the next page's `since` |
| `GET /_sandbox/ledger/summary` | counts: messages, numbers, duplicates, requests, receipts and webhooks |
| `GET /_sandbox/messages?since=N&limit=N` | accepted SMS in order |
| `GET /_sandbox/payments` | payments of all providers: site, id, reference, amount, method, state, refunded (yen) |
| `POST /_sandbox/payments/{id}`, `/_sandbox/foreign` | what the providers' own desks do: see `sandbox.own_desk` |
| `GET`/`PUT /_sandbox/switches` | what goes wrong; PUT replaces them all |
| `PUT /_sandbox/addresses` | replaces the maps it names, as in the settings: `karaden_receipts`, `sms_accounts`, … |
| `/_sandbox/receiver/{name}` | a company's own server, to which webhooks come: see `sandbox.receiver` |
| `POST /_sandbox/reset` | forgets all that happened, puts every switch off |
"""

import json
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from aiohttp import web

from sandbox.faults import SwitchError
from sandbox.settings import SettingError, read_receipts, read_sms_accounts, read_webhooks
from sandbox.state import World

_PAYMENT_SITES = ("stripe", "payjp", "komoju", "paypay")


def routes(world: World) -> list[web.RouteDef]:
    """Return the control desk's routes."""
    desk = Desk(world)
    return [
        web.get("/_sandbox/ledger", desk.ledger),
        web.get("/_sandbox/ledger/summary", desk.summary),
        web.get("/_sandbox/messages", desk.messages),
        web.get("/_sandbox/payments", desk.payments),
        web.get("/_sandbox/switches", desk.show_switches),
        web.put("/_sandbox/switches", desk.set_switches),
        web.put("/_sandbox/addresses", desk.set_addresses),
        web.post("/_sandbox/reset", desk.reset),
    ]


class Desk:
    """The control desk of one self._world."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def ledger(self, request: web.Request) -> web.Response:
        """Return a page of the ledger."""
        kind = request.query.get("kind")
        kinds = ("karaden", *self._world.sms, *_PAYMENT_SITES)
        if kind not in {None, *kinds}:
            return _bad(f"kind: give one of {', '.join(kinds)}, or leave it out")
        since, limit = _count(request, "since", 0), _count(request, "limit", 1000)
        if since is None or limit is None:
            return _bad("since and limit: give whole numbers")
        entries = list(self._world.ledger.entries(kind, since, limit))
        return _answer({"entries": entries, "next": entries[-1]["seq"] if entries else since})

    async def summary(self, request: web.Request) -> web.Response:
        """Return the counts."""
        del request
        requests, sent = self._world.ledger.counts(), dict(self._world.courier.counts)
        return _answer(self._world.messages.summary() | {"requests": requests, "sent": sent})

    async def messages(self, request: web.Request) -> web.Response:
        """Return accepted SMS."""
        since, limit = _count(request, "since", 0), _count(request, "limit", len(self._world.messages.all))
        if since is None or limit is None:
            return _bad("since and limit: give whole numbers")
        return _answer(
            [
                {
                    "id": message.id,
                    "to": message.to,
                    "body": message.body,
                    "tags": message.tags,
                    "at": datetime.fromtimestamp(message.at, UTC).isoformat(timespec="milliseconds"),
                    "state": message.state,
                    "limited_at": message.limited_at,
                }
                for message in islice(self._world.messages.all, since, since + limit)
            ]
        )

    async def show_switches(self, request: web.Request) -> web.Response:
        """Return the switches that are set."""
        del request
        return _answer(self._world.switches.show())

    async def set_switches(self, request: web.Request) -> web.Response:
        """Replace all switches."""
        try:
            self._world.switches.replace(await _json(request))
        except SwitchError as error:
            return _bad(str(error))
        return _answer(self._world.switches.show())

    async def set_addresses(self, request: web.Request) -> web.Response:
        """Replace where receipts or webhooks go."""
        wanted = await _json(request)
        sites = {f"{site}_webhooks": site for site in _PAYMENT_SITES}
        if not isinstance(wanted, dict) or not wanted.keys() <= {"karaden_receipts", "sms_accounts", *sites}:
            return _bad(f"give an object with some of: karaden_receipts, sms_accounts, {', '.join(sites)}")
        try:
            accounts = read_sms_accounts(wanted.get("sms_accounts", {}), "sms_accounts", self._world.sms)
            receipts = read_receipts(wanted.get("karaden_receipts", {}), "karaden_receipts")
            webhooks = {sites[name]: read_webhooks(wanted[name], name) for name in sites if name in wanted}
        except SettingError as error:
            return _bad(str(error))
        if "karaden_receipts" in wanted:
            self._world.karaden.tell(receipts)
        self._world.tell_sms(accounts)
        self._world.tell(webhooks)
        return _answer({"set": sorted(wanted)})

    async def payments(self, request: web.Request) -> web.Response:
        """Return what every payment provider knows of its payments, oldest first, provider by provider."""
        del request
        checkouts = self._world.checkouts
        told = []
        for session in checkouts.sessions():
            payment = checkouts.payment(session)
            charge_id = payment["latest_charge"] if payment else None
            charge = checkouts.get(charge_id) if charge_id else {}
            told.append(
                {
                    "site": "stripe",
                    "id": session["id"],
                    "reference": session["client_reference_id"],
                    "amount": session["amount_total"],
                    "method": charge.get("payment_method_details", {}).get("type", ""),
                    "state": "paid" if session["payment_status"] == "paid" else session["status"],
                    "refunded": charge.get("amount_refunded", 0),
                }
            )
        told += [
            {
                "site": order.site,
                "id": order.id,
                "reference": order.reference,
                "amount": order.amount,
                "method": order.method,
                "state": order.state,
                "refunded": order.refunded,
            }
            for order in self._world.orders.all()
        ]
        return _answer(told)

    async def reset(self, request: web.Request) -> web.Response:
        """Begin anew."""
        del request
        self._world.reset()
        return _answer({"reset": True})


def _count(request: web.Request, name: str, default: int) -> int | None:
    raw = request.query.get(name)
    if raw is None:
        return default
    return int(raw) if raw.isascii() and raw.isdigit() else None


async def _json(request: web.Request) -> object:
    try:
        return json.loads(await request.read())
    except ValueError:
        return None


def _answer(value: Any) -> web.Response:  # noqa: ANN401 - any JSON
    return web.Response(text=json.dumps(value, ensure_ascii=False), content_type="application/json")


def _bad(why: str) -> web.Response:
    return web.Response(
        status=400, text=json.dumps({"error": why}, ensure_ascii=False), content_type="application/json"
    )
