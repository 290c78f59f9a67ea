"""One sandbox for all of these tests, emptied before each; a listener for what it sends; the official contracts."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import karaden
import pytest
import stripe
import yaml
from jsonschema import Draft202012Validator

from sandbox.harness import Sandbox, running_sandbox
from tests.waiting import until

CONTRACTS = Path(__file__).parents[2].parent / "shared" / "contracts"
TENANT = "159bfd33-b9e7-424f-9755-c206b324c81d"
LINKS = {"https://todoke.example": "http://127.0.0.1:8000"}


@dataclass
class Listener:
    """The POSTs to `url`: headers and body of each. `answers` are the statuses to give, the last one for good."""

    url: str = ""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=lambda: [200])

    def wait(self, count: int) -> list[tuple[dict[str, str], bytes]]:
        """Wait until `count` parcels are here."""
        until(lambda: len(self.got) >= count)
        return self.got

    def texts(self) -> list[Any]:
        """Return the bodies as JSON."""
        return [json.loads(body) for _, body in self.got]


@pytest.fixture(scope="session")
def running() -> Iterator[Sandbox]:
    with running_sandbox(receipt_delay_ms=0, link_map=LINKS) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.reset()
    running.addresses(karaden_receipts={}, sms_accounts={"zettai_reach": {}, "infobip": {}}, stripe_webhooks={})
    return running


@pytest.fixture
def listener() -> Iterator[Listener]:
    heard = Listener()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = heard.answers.pop(0) if len(heard.answers) > 1 else heard.answers[0]
            heard.got.append((dict(self.headers), body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Do nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        heard.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield heard
        server.shutdown()


@pytest.fixture
def options(sandbox: Sandbox) -> karaden.RequestOptions:
    """The Karaden SDK's settings to find the sandbox."""
    return (
        karaden.RequestOptions.new_builder()
        .with_api_base(sandbox.karaden_base)
        .with_tenant_id(TENANT)
        .with_api_key("token")
        .build()
    )


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[stripe.StripeClient]:
    """The Stripe SDK, pointed at the sandbox and without retries of its own."""
    http = stripe.RequestsClient()
    yield stripe.StripeClient(
        "sk_test_shop", base_addresses={"api": sandbox.stripe_base}, http_client=http, max_network_retries=0
    )
    http.close()


@pytest.fixture(scope="session")
def karaden_schema() -> Callable[[object, str], None]:
    """Check a value against a schema of Karaden's specification."""
    return _checker(yaml.safe_load(_contract("karaden/2024-03-01.yaml").read_text()))


@pytest.fixture(scope="session")
def stripe_schema() -> Callable[[object, str], None]:
    """Check a value against a schema of Stripe's specification of 2023-08-16."""
    return _checker(json.loads(_contract("stripe/spec3.2023-08-16.checkout-trim.json").read_text()))


@pytest.fixture(scope="session")
def stripe_fixtures() -> dict[str, Any]:
    """Stripe's own example of each object, of 2026-08."""
    fixtures: dict[str, Any] = json.loads(_contract("stripe/fixtures3.json").read_text())["resources"]
    return fixtures


def _contract(name: str) -> Path:
    path = CONTRACTS / name
    if not path.exists():
        pytest.skip(f"the official contract {name} is not at hand: ../shared/contracts is missing")
    return path


def _checker(specification: dict[str, Any]) -> Callable[[object, str], None]:
    document = {"components": _nullable(specification["components"])}

    def check(value: object, name: str) -> None:
        schema = document | {"$ref": f"#/components/schemas/{name}"}
        Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)

    return check


def _nullable(schema: Any) -> Any:
    """Write OpenAPI 3.0's `nullable` as JSON Schema does."""
    if isinstance(schema, list):
        return [_nullable(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {name: _nullable(part) for name, part in schema.items()}
    return {"anyOf": [changed, {"type": "null"}]} if changed.pop("nullable", False) is True else changed
