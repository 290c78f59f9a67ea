"""A company with a campaign, and endpoints at its own server, which the sandbox plays; fixtures for its tests.

A folder's conftest takes them over by importing them.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import psycopg
import pytest
import time_machine
from flask import Flask

from app import config, tenancy
from app.config import Settings
from app.delivery import shutdown
from app.webhooks import endpoints, turn
from app.webhooks.endpoints import Wishes
from app.webhooks.event_types import EVENT_TYPES
from sandbox.harness import Sandbox
from tests import factories, steps
from tests.factories import Person


@dataclass
class Company:
    """A company, its people, and its own servers by name."""

    sandbox: Sandbox
    database: psycopg.Connection
    tenant: int
    campaign: int
    people: list[Person]
    secrets: dict[int, str]

    def endpoint(self, name: str = "main", url: str = "", types: list[str] | None = None, **more: bool) -> int:
        """Make an endpoint at a server of the sandbox, or at `url`; give its id."""
        wishes = Wishes(name, url or self.sandbox.receiver(name), types or list(EVENT_TYPES), **more)
        with tenancy.tenant(self.tenant):
            made = endpoints.make(wishes, actor="user:1")
        self.secrets[made.id] = made.secret
        return made.id

    def serve(self, endpoint_id: int, *, turn_s: float = 10.0) -> float:
        """Take a turn of an endpoint; give for how long it may be left alone."""
        with tenancy.tenant(self.tenant):
            return turn.take(endpoint_id, turn_s=turn_s)

    def row(self, endpoint_id: int) -> dict[str, Any]:
        """Return an endpoint's row."""
        return self.rows("SELECT * FROM webhook_endpoint WHERE id = %s", endpoint_id)[0]

    def deliveries(self, endpoint_id: int) -> list[dict[str, Any]]:
        """Return an endpoint's deliveries, oldest first."""
        return self.rows("SELECT * FROM webhook_delivery WHERE endpoint_id = %s ORDER BY id", endpoint_id)

    def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Read as the owner."""
        with self.database.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            return cursor.execute(statement, values).fetchall()

    def change(self, statement: str, *values: Any) -> None:
        """Change something behind the product's back."""
        self.database.execute(statement, values)

    def taken(self, name: str = "main") -> list[dict[str, Any]]:
        """Return the bodies that a server answered with a 2xx, in their order."""
        return [json.loads(one["body"]) for one in self.sandbox.received(name) if one["act"] in {"ok", "slow"}]

    def steps(self, name: str = "main") -> list[tuple[str, str]]:
        """Return (reference, type) of what a server took."""
        return [(one["data"].get("reference", ""), one["type"]) for one in self.taken(name)]

    def pass_on(self, moment: time_machine.Traveller, **span: float) -> None:
        """Let time go by."""
        moment.shift(timedelta(**span))


@pytest.fixture
def allowed(app: Flask, settings: Settings) -> Iterator[Callable[..., None]]:
    """The application within its context, allowed to reach this machine; call it to change settings for this test."""
    config.install(replace(settings, webhook_local_addresses=(ip_network("127.0.0.1"),)))
    shutdown.forget()
    with app.app_context():
        yield lambda **changes: config.install(replace(config.settings(), **changes))
    config.install(settings)


@pytest.fixture
def company(allowed: Callable[..., None], sandbox: Sandbox, database: psycopg.Connection) -> Company:
    """The company, of three people."""
    tenant = factories.tenant()
    campaign = factories.campaign(tenant, sms_account_id=factories.sms_account(tenant))
    return Company(sandbox, database, tenant, campaign, factories.people(tenant, campaign, 3), {})


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that goes on, and that a test moves; the database's own goes as it does."""
    with time_machine.travel(datetime.now(UTC), tick=True) as moment:
        yield moment


@pytest.fixture
def delivered(company: Company) -> Callable[[], int]:
    """Call it for an endpoint to which three people's SMS are on their way: queued, sent, accepted, delivered."""

    def make() -> int:
        endpoint = company.endpoint()
        steps.deliver(*[person.id for person in company.people])
        return endpoint

    return make
