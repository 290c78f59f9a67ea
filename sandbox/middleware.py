"""Every API request passes here: the switches before it, the ledger behind it.

In: a request and the function that answers it. Out: the provider's answer, or what the switches make of it. Can't
happen here: a whole request that leaves no row in the ledger.
"""

import asyncio
import json
import re
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus

from aiohttp import web

from sandbox.faults import Switches
from sandbox.ledger import Ledger, Row
from sandbox.timers import Agenda

# faults that refuse a request at the door
_REFUSED = {"too_many_requests": 429, "forbidden": 403, "error_before": 500}
_SUCCESS = range(200, 300)
_PAID_AT = frozenset({"captured_at", "updated_at"})
_AMOUNTS = frozenset({"amount", "amount_total", "amount_subtotal", "amount_received", "amount_captured", "total"})


@dataclass(slots=True)
class Reply:
    """An answer, and what belongs to it.

    `accepted` is the id it made or touched, `first` is done before it leaves, `spoil` is told the failure that goes out
    in its place.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    accepted: str | None = None
    first: Callable[[], Awaitable[None]] | None = None
    spoil: Callable[["Reply"], None] | None = None


Answerer = Callable[[web.Request, bytes], Reply]
Failer = Callable[[int], Reply]


@dataclass(frozen=True, slots=True)
class Gate:
    """Stands before one provider's API; `failure` makes that provider's 429 and 500.

    `agenda` keeps the requests that a gateway lets through late. `quotes`: its answers tell amounts, which a switch may
    falsify. `secrets` are fields of a form or a query that the ledger doesn't keep.
    """

    kind: str
    agenda: Agenda
    ledger: Ledger
    switches: Switches
    failure: Failer
    quotes: bool = False
    secrets: frozenset[str] = frozenset()

    def guard(self, call: str, answer: Answerer) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Make the handler of one API call."""
        full_call = f"{self.kind}.{call}"
        answer = self._misquoting(answer, full_call)

        async def handle(request: web.Request) -> web.Response:
            named = of_contract(full_call, request.match_info.get("tenant"))
            fault = self.switches.fault(named, request.path)
            if fault == "reset_before_body":
                self._note(request, call, b"", None, fate=fault)
                return _reset(request)
            body = await request.read()
            if fault in _REFUSED:
                return self._refuse(request, call, body, _REFUSED[fault], fault)
            if fault in {"gateway_timeout", "hang_late"}:
                return await self._late(request, call, body, fault, answer)
            return await self._answer(request, call, body, fault, answer)

        return handle

    async def _answer(
        self, request: web.Request, call: str, body: bytes, fault: str | None, answer: Answerer
    ) -> web.Response:
        """Let the request in, and answer it or not."""
        named = of_contract(f"{self.kind}.{call}", request.match_info.get("tenant"))
        reply = answer(request, body)
        if fault == "error_after":
            reply = self._spoil(reply)
        no_answer = fault in {"reset_after_body", "hang"}
        status = None if no_answer else reply.status
        self._note(request, call, body, status, fate=fault or "answered", accepted=reply.accepted)
        if reply.first is not None:
            await reply.first()
        if fault == "reset_after_body":
            return _reset(request)
        if fault == "hang":
            await asyncio.get_running_loop().create_future()  # ends when the client goes away
        wait_s = self.switches.wait_s(named)
        if wait_s:
            await asyncio.sleep(wait_s)
        return web.Response(status=reply.status, body=reply.body, headers=reply.headers)

    async def _late(self, request: web.Request, call: str, body: bytes, fault: str, answer: Answerer) -> web.Response:
        """Answer as a gateway that gave up waiting; what stands behind it takes the request later."""
        no_answer = fault == "hang_late"
        self._note(request, call, body, None if no_answer else 504, fate=fault)
        named = of_contract(f"{self.kind}.{call}", request.match_info.get("tenant"))
        wait_s = self.switches.amount("taken_late_s", named)
        self.agenda.after(wait_s, lambda: _let_in(answer, request, body))
        if no_answer:
            await asyncio.get_running_loop().create_future()  # ends when the client goes away
        return web.Response(status=504, text="<html>504 Gateway Time-out</html>", content_type="text/html")

    def _misquoting(self, answer: Answerer, full_call: str) -> Answerer:
        """Let a payment provider's answers tell wrong amounts, currency or times, where the switches say so."""

        def misquote(request: web.Request, body: bytes) -> Reply:
            reply = answer(request, body)
            more = int(self.switches.amount("amount_wrong", full_call))
            wrong_currency = self.switches.flag("currency_wrong", full_call)
            off_s = int(
                self.switches.amount("paid_ahead_s", full_call) - self.switches.amount("paid_behind_s", full_call)
            )
            if (more or wrong_currency or off_s) and reply.status in _SUCCESS:
                told = json.loads(reply.body)
                _falsify(told, more, wrong_currency=wrong_currency)
                _shift(told, off_s)
                reply.body = json.dumps(told).encode()
            return reply

        return misquote if self.quotes else answer

    def _refuse(self, request: web.Request, call: str, body: bytes, status: int, fault: str) -> web.Response:
        reply = self.failure(status)
        self._note(request, call, body, reply.status, fate=fault)
        headers = dict(reply.headers)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            headers["Retry-After"] = f"{self.switches.amount('retry_after_s'):g}"
        return web.Response(status=reply.status, body=reply.body, headers=headers)

    def _spoil(self, reply: Reply) -> Reply:
        failure = self.failure(500)
        if reply.spoil is not None:
            reply.spoil(failure)
        failure.accepted, failure.first = reply.accepted, reply.first
        return failure

    def _note(
        self,
        request: web.Request,
        call: str,
        body: bytes,
        status: int | None,
        *,
        fate: str,
        accepted: str | None = None,
    ) -> None:
        self.note(call, request.method, request.path_qs, body, status, fate=fate, accepted=accepted)

    def note(
        self,
        call: str,
        method: str,
        target: str,
        body: bytes,
        status: int | None,
        *,
        fate: str,
        accepted: str | None,
    ) -> None:
        """Write a request into the ledger, without its secrets."""
        for name in self.secrets:
            target = re.sub(rf"(?<=[?&]){name}=[^&]*", f"{name}=", target)
            body = re.sub(rb"(?:^|(?<=&))%b=[^&]*" % name.encode(), b"%b=" % name.encode(), body)
        self.ledger.add(Row(time.time(), self.kind, call, method, target, body, status, fate, accepted))


def of_contract(call: str, contract: str | None) -> str:
    """Name a call with the contract it is made under, so that a switch can be one contract's alone."""
    return f"{call}@{contract}" if contract else call


def _let_in(answer: Answerer, request: web.Request, body: bytes) -> None:
    """Do what a request asks for; nobody waits for its answer any more."""
    answer(request, body)


def _reset(request: web.Request) -> web.Response:
    """Break the connection with a TCP RST: close it with nothing to linger for."""
    transport = request.transport
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()


def _falsify(value: object, more: int, *, wrong_currency: bool) -> None:
    if isinstance(value, list):
        for one in value:
            _falsify(one, more, wrong_currency=wrong_currency)
    if not isinstance(value, dict):
        return
    for name, inner in value.items():
        if name in _AMOUNTS and type(inner) is int:
            value[name] = inner + more
        elif name == "currency" and wrong_currency and isinstance(inner, str):
            value[name] = "usd" if inner.islower() else "USD"
        else:
            _falsify(inner, more, wrong_currency=wrong_currency)


def _shift(value: object, off_s: int) -> None:
    """Shift each time that tells when money came."""
    if isinstance(value, list):
        for one in value:
            _shift(one, off_s)
    if not isinstance(value, dict):
        return
    for name, inner in value.items():
        if name in _PAID_AT and isinstance(inner, str):
            value[name] = (datetime.fromisoformat(inner) + timedelta(seconds=off_s)).isoformat()
        elif (name == "acceptedAt" or (name == "created" and value.get("object") == "charge")) and inner:
            value[name] = inner + off_s
        else:
            _shift(inner, off_s)
