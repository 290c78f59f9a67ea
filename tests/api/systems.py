"""A company with a system of its own at the API, and what it sends."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from app import tenancy
from app.api_access import addresses, ids, keys
from app.api_access.ids import Of
from app.api_access.keys import Scope
from tests import factories

V1 = "/api/v1"
HOME = "127.0.0.1"


@dataclass
class System:
    """A company's system, with its key; it sends from an address that is on the list unless told otherwise."""

    client: FlaskClient
    tenant: int
    manager: int
    sms_account: int
    campaign: int
    key: str
    people: list[factories.Person] = field(default_factory=list)

    @property
    def of_campaign(self) -> str:
        """The address of its campaign."""
        return f"{V1}/campaigns/{ids.make(Of.CAMPAIGN, self.campaign)}"

    def get(self, url: str, **options: Any) -> Any:
        return self._send("GET", url, **options)

    def post(self, url: str, once: str | None = None, **options: Any) -> Any:
        headers = {"Idempotency-Key": once or str(uuid.uuid4()), **options.pop("headers", {})}
        return self._send("POST", url, headers=headers, **options)

    def _send(self, method: str, url: str, *, peer: str = HOME, headers: Any = (), **options: Any) -> Any:
        known = {"Authorization": f"Bearer {self.key}", **dict(headers)}
        environ = {"REMOTE_ADDR": peer}
        return self.client.open(url, method=method, headers=known, environ_overrides=environ, **options)


def system(
    app: Flask,
    *,
    networks: Collection[str] = (HOME,),
    scopes: Collection[Scope] = tuple(Scope),
    mode: str = "live",
    people: int = 3,
    tenant: int | None = None,
) -> System:
    """Make a company (or take one) with a campaign, people and a system with a key."""
    with app.app_context():
        tenant = tenant or factories.tenant()
        manager, account = factories.user(tenant, "manager"), factories.sms_account(tenant)
        campaign = factories.campaign(tenant, sms_account_id=account)
        made = factories.people(tenant, campaign, people)
        with tenancy.tenant(tenant):
            for network in networks:
                addresses.add(network, "", user_id=manager)
            _, key = keys.create("基幹システム", mode, scopes, last_day=None, user_id=manager)
    return System(app.test_client(), tenant, manager, account, campaign, key, made)
