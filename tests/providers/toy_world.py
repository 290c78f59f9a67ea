"""The made-up providers of `test_fifth_providers`: an SMS service and a payment provider, over HTTP."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class World:
    """Messages by our name for them, orders by theirs. The next `spoiled` sends are taken and answered with 500."""

    url: str = ""
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    keys: set[str] = field(default_factory=set)
    spoiled: int = 0

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: bytes) -> tuple[int, Any]:
        """Do what is asked for."""
        what = path.strip("/").split("/")
        self.asked[f"{method} {what[-1] if what[0] != 'orders' else 'orders'}"] += 1
        match what:
            case [_shop, "send"]:
                return self._send(json.loads(body))
            case [_shop, "find"]:
                found = self.messages.get(query["name"][0])
                return 200, {"found": [found] if found else []}
            case ["orders"]:
                told = json.loads(body)
                # the same order again is the same page
                known = {one["order"]: one for one in self.orders.values()}
                order = known.get(told["order"]) or self._order(told)
                return 200, order
            case ["orders", order_id, *rest]:
                order = self.orders[order_id]
                if rest == ["end"] and order["state"] == "open":
                    order["state"] = "cancelled"
                return 200, order
        return 404, {}

    def _send(self, told: dict[str, Any]) -> tuple[int, Any]:
        if told["to"].endswith("0000"):
            return 422, {"refused": "to"}
        message = {"name": told["name"], "state": "taken", "at": datetime.now(UTC).isoformat(), "to": told["to"]}
        self.messages[told["name"]] = message
        if self.spoiled:
            self.spoiled -= 1
            return 500, {}
        return 200, message

    def _order(self, told: dict[str, Any]) -> dict[str, Any]:
        order_id = f"t{len(self.orders) + 1}"
        self.orders[order_id] = {
            "id": order_id,
            "order": told["order"],
            "yen": told["yen"],
            "state": "open",
            "url": f"{self.url}/page/{order_id}",
        }
        return self.orders[order_id]


@contextmanager
def running_world() -> Iterator[World]:
    """Run both providers on a free port."""
    world = World()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._do("GET", b"")

        def do_POST(self) -> None:
            self._do("POST", self.rfile.read(int(self.headers["Content-Length"])))

        def _do(self, method: str, body: bytes) -> None:
            world.keys.add(self.headers["Authorization"])
            parts = urlsplit(self.path)
            status, told = world.answer(method, parts.path, parse_qs(parts.query), body)
            said = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *args: object) -> None:
            """Do nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        world.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield world
        server.shutdown()
