"""A company's own server, to which webhooks come: it keeps what it took, and misbehaves as it is told.

| request | does |
|---|---|
| `POST /receiver/{name}` | takes a webhook, or doesn't |
| `GET /_sandbox/receiver/{name}?since=N` | its ledger: every request with its headers, body and the answer it got |
| `PUT /_sandbox/receiver/{name}` | `{"acts": ["500"], "then": "ok"}`: the next answers in turn, and all after them |

Acts: `ok`, a status such as `500` or `301` (redirects lead to `ok`), `slow` (after `delay_ms`), `busy` (503 with
Retry-After of `retry_after_s`), `cut` (the connection ends without an answer), `hang` (never answers).
"""

import asyncio
import json
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

_HANGS_S = 600.0


@dataclass(slots=True)
class Receiver:
    """One server: what it got, and how it answers."""

    ledger: list[dict[str, Any]] = field(default_factory=list)
    acts: deque[str] = field(default_factory=deque)
    then: str = "ok"
    delay_ms: int = 0
    retry_after_s: int = 1


class Receivers:
    """All of them, by name; one that nobody spoke of before takes everything."""

    def __init__(self) -> None:
        self._known: dict[str, Receiver] = {}

    def clear(self) -> None:
        """Forget them."""
        self._known.clear()

    def of(self, name: str) -> Receiver:
        """Return one."""
        return self._known.setdefault(name, Receiver())

    def routes(self) -> list[web.RouteDef]:
        """Return its routes, and those of its control desk."""
        return [
            web.post("/receiver/{name}", self.take),
            web.get("/_sandbox/receiver/{name}", self.show),
            web.put("/_sandbox/receiver/{name}", self.tell),
        ]

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Take a webhook, or misbehave."""
        receiver = self.of(request.match_info["name"])
        body = (await request.read()).decode()
        act = receiver.acts.popleft() if receiver.acts else receiver.then
        entry = {"at": time.time(), "headers": dict(request.headers), "body": body, "act": act}
        receiver.ledger.append(entry)
        if act == "cut":
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if act in {"slow", "hang"}:
            await asyncio.sleep(_HANGS_S if act == "hang" else receiver.delay_ms / 1000)
        if act == "busy":
            return web.Response(status=503, headers={"Retry-After": str(receiver.retry_after_s)})
        if act in {"ok", "slow", "hang"}:
            return web.Response(text="ok")
        headers = {"Location": f"/receiver/{request.match_info['name']}"} if act.startswith("3") else {}
        return web.Response(status=int(act), headers=headers)

    async def show(self, request: web.Request) -> web.Response:
        """Return what came from `since` on."""
        since = request.query.get("since", "0")
        if not (since.isascii() and since.isdigit()):
            return web.json_response({"error": "since: give a whole number"}, status=400)
        return web.json_response(self.of(request.match_info["name"]).ledger[int(since) :])

    async def tell(self, request: web.Request) -> web.Response:
        """Set how it answers from now on."""
        try:
            wanted = json.loads(await request.read())
            acts, then = [str(act) for act in wanted.get("acts", [])], str(wanted.get("then", "ok"))
            delay_ms, retry_after_s = int(wanted.get("delay_ms", 0)), int(wanted.get("retry_after_s", 1))
        except (ValueError, AttributeError, TypeError):
            return web.json_response({"error": "give an object of acts, then, delay_ms, retry_after_s"}, status=400)
        if bad := [act for act in [*acts, then] if not _is_act(act)]:
            return web.json_response({"error": f"acts: {bad[0]} is none"}, status=400)
        receiver = self.of(request.match_info["name"])
        receiver.acts, receiver.then = deque(acts), then
        receiver.delay_ms, receiver.retry_after_s = delay_ms, retry_after_s
        return web.json_response({"set": then})


def _is_act(act: str) -> bool:
    known = {"ok", "slow", "busy", "cut", "hang"}
    return act in known or (len(act) == len("500") and act.isascii() and act.isdigit() and act[0] in "2345")
