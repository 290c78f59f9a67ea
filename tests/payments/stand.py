"""One person who is to pay 12,000 yen at any payment provider: what its page offers, and its webhooks."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from flask import Flask
from psycopg import sql
from psycopg.rows import dict_row

from app import tenancy
from app.accounts import seal_credentials
from app.extensions import db
from app.models import PaymentAccount
from app.payments import asking, attempts, checkout, confirm, gateway
from app.payments.checkout import Outcome
from app.providers.curl import perform
from app.providers.http import Request, Response
from app.providers.payments import PROVIDERS
from app.providers.payments.base import Charge, ChargeStatus, PaymentAccess, PaymentProvider
from sandbox.harness import Sandbox
from tests import factories, steps
from tests.payments.shop import BACK, HURRY, RETURN, choose, tell
from tests.providers.rawserver import RawServer
from tests.raw_states import set_back
from tests.waiting import until

Headers = dict[str, str]
Webhook = tuple[Headers, bytes]


@dataclass(frozen=True, slots=True)
class Traits:
    """The traits of a provider: its settings, its page's buttons, and how its webhook is forged."""

    settings: Mapping[str, str]
    credentials: Callable[[int], dict[str, str]]
    at_once: str
    later: str | None
    forge: Callable[[Headers, bytes], Webhook]
    events: int = 1  # how many a payment at once is told by
    ends_pages: bool = True  # whether an open page can be ended by API
    takes_slips_back: bool = True  # whether money of a slip can be given back by API
    tells_refunds: bool = True  # whether an event tells of money given back
    tells_disputes: bool = True  # whether a dispute is told of while it is open
    tells_failed_refunds: bool = True  # whether a refund may be told as failed after all
    refund_call: str = "refund_create"  # what the sandbox calls the request that gives money back

    def keys(self, account_id: int) -> tuple[str, str]:
        """Return what the sandbox knows an account by, and the secret of its webhooks."""
        key, secret = self.credentials(account_id).values()
        return key, secret


def _other_body(headers: Headers, body: bytes) -> Webhook:
    return headers, body.replace(b"{", b"{ ", 1)


def _other_token(headers: Headers, body: bytes) -> Webhook:
    return headers | {"X-Payjp-Webhook-Token": "whook_forged"}, body


def _other_merchant(headers: Headers, body: bytes) -> Webhook:
    return headers, json.dumps(json.loads(body) | {"merchant_id": "another"}).encode()


TRAITS = {
    "stripe": Traits(
        {"methods": "card,konbini"},
        lambda account_id: {"secret_key": f"sk_test_{account_id}", "webhook_secret": f"whsec_{account_id}"},
        "card",
        "konbini",
        _other_body,
    ),
    "payjp": Traits(
        {"methods": "card"},
        lambda account_id: {"secret_key": f"sk_test_{account_id}", "webhook_token": f"whook_{account_id}"},
        "card",
        None,
        _other_token,
        events=2,
    ),
    "komoju": Traits(
        {"methods": "credit_card,konbini"},
        lambda account_id: {"secret_key": f"sk_test_{account_id}", "webhook_secret": f"secret_{account_id}"},
        "credit_card",
        "konbini",
        _other_body,
        takes_slips_back=False,
        tells_disputes=False,
        tells_failed_refunds=False,
        refund_call="payment_refund",
    ),
    "paypay": Traits(
        {"merchant_id": "merchant-1"},
        lambda account_id: {"api_key": f"key_{account_id}", "api_secret": f"secret_{account_id}"},
        "paypay",
        None,
        _other_merchant,
        ends_pages=False,
        tells_refunds=False,
        tells_disputes=False,
        tells_failed_refunds=False,
    ),
}


@dataclass(frozen=True, slots=True)
class Stand:
    """One person at one provider."""

    name: str
    app: Flask
    database: psycopg.Connection
    sandbox: Sandbox
    listener: RawServer
    tenant_id: int
    account_id: int
    person: factories.Person

    @property
    def provider(self) -> PaymentProvider:
        return PROVIDERS[self.name]

    @property
    def traits(self) -> Traits:
        return TRAITS[self.name]

    def press(self) -> Outcome:
        with self.app.app_context(), tenancy.tenant(self.tenant_id):
            return checkout.start(self.person.id, 1, return_url=RETURN, back_url=BACK, waits=HURRY)

    def url(self) -> str:
        with self.app.app_context(), tenancy.tenant(self.tenant_id):
            url = attempts.open_url(self.person.id)
        assert url is not None
        return url

    def choose(self, choice: str) -> None:
        """Act on the payment page."""
        choose(self.url(), choice)

    def settle(self, choice: str) -> None:
        """Pay a slip, or let it lapse; take its money back."""
        paths = {"stripe": "pay"}
        (payment,) = self.at_provider()
        choose(f"{self.sandbox.url}/{paths.get(self.name, 'till')}/{payment['id']}/slip", choice)

    def account(self) -> PaymentAccess:
        with self.app.app_context(), tenancy.tenant(self.tenant_id):
            return gateway.open_account(self.account_id)[1]

    def charge(self) -> Charge:
        """Ask the provider, as confirm does."""
        account = self.account()
        return gateway.ask(self.provider, account, self.provider.fetch(account, self.payment()["provider_id"]))

    def send(self, request: Request) -> Response:
        answer = perform(request)
        assert isinstance(answer, Response)
        return answer

    def confirm(self) -> None:
        with self.app.app_context(), tenancy.tenant(self.tenant_id):
            confirm.confirm(self.payment()["id"])

    def begin_anew(self) -> None:
        """Forget what became of the attempt: it is written anew, for no move leads back to its beginning."""
        row = self.payment() | {"state": "started", "paid_at": None}
        names = sql.SQL(", ").join(map(sql.Identifier, row))
        places = sql.SQL(", ").join(map(sql.Placeholder, row))
        self.database.execute("DELETE FROM payment WHERE id = %s", [row["id"]])
        self.database.execute(
            sql.SQL("INSERT INTO payment ({}) OVERRIDING SYSTEM VALUE VALUES ({})").format(names, places), row
        )
        set_back(self.database, "recipient", payment_state="started", paid_at=None)

    def tell(self, status: ChargeStatus) -> None:
        """Record that the provider said so when it was asked, whatever its own books say."""
        with self.app.app_context(), tenancy.tenant(self.tenant_id):
            tell(self.payment(), status)

    def come_back(self) -> None:
        """Do as the return page does."""
        self.database.execute("UPDATE payment SET checked_at = NULL")
        with self.app.app_context(), tenancy.tenant(self.tenant_id):
            confirm.confirm_for_page(self.payment()["id"])

    def poll(self) -> None:
        """Do as the clock does, a while later."""
        self.database.execute(
            "UPDATE payment SET checked_at = NULL, ask_at = now(), created_at = created_at - interval '10 minutes'"
        )
        with self.app.app_context(), tenancy.tenant(self.tenant_id):
            asking.ask_due(self.tenant_id)

    def webhooks(self, count: int) -> list[Webhook]:
        """Wait for so many webhooks of the provider."""
        until(lambda: len(self.listener.requests) >= count)
        read = []
        for raw in self.listener.requests:
            head, _, body = raw.partition(b"\r\n\r\n")
            lines = [line.split(": ", 1) for line in head.decode().split("\r\n")[1:]]
            read.append((dict(lines), body))
        return read

    def deliver(self, *webhooks: Webhook) -> list[int]:
        """Bring webhooks to the product's door and give its answers."""
        client = self.app.test_client()
        answers = []
        for headers, body in webhooks:
            kept = {name: value for name, value in headers.items() if name not in {"Host", "Content-Length"}}
            answers.append(client.post(f"/callbacks/payment/{self.account_id}", data=body, headers=kept).status_code)
        return answers

    def apply(self) -> None:
        """Do as the job does with the webhooks kept."""
        with self.app.app_context(), tenancy.tenant(self.tenant_id):
            asking.ask_due(self.tenant_id)

    def kept(self) -> int:
        """How many webhooks are on record."""
        found = self.database.execute("SELECT count(*) FROM payment_notice").fetchone()
        assert found is not None
        return int(found[0])

    def payment(self) -> dict[str, Any]:
        with self.database.cursor(row_factory=dict_row) as cursor:
            (found,) = cursor.execute("SELECT * FROM payment").fetchall()
        return found

    def state(self) -> str:
        """The payment's state, which the person's is too."""
        found = self.database.execute("SELECT payment_state FROM recipient").fetchone()
        assert found is not None
        assert found[0] == self.payment()["state"]
        return str(found[0])

    def steps(self) -> list[str]:
        rows = self.database.execute("SELECT state FROM event WHERE track = 'payment' ORDER BY id").fetchall()
        return [state for (state,) in rows]

    def at_provider(self) -> list[dict[str, Any]]:
        """Return what the provider's own books say."""
        return self.sandbox.payments()


def make_stand(name: str, app: Flask, database: psycopg.Connection, sandbox: Sandbox, listener: RawServer) -> Stand:
    traits = TRAITS[name]
    with app.app_context():
        tenant_id = factories.tenant()
        with tenancy.tenant(tenant_id):
            row = PaymentAccount(
                tenant_id=tenant_id, name=name, provider=name, settings=dict(traits.settings), test_mode=True
            )
            db.session.add(row)
            db.session.flush()
            account_id = row.id
            seal_credentials(row, traits.credentials(account_id))
            db.session.commit()
        campaign_id = factories.campaign(tenant_id, payment_account_id=account_id)
        person = factories.people(tenant_id, campaign_id, 1)[0]
        steps.view(person.id)
    database.execute("UPDATE recipient SET link_expires_at = %s", [datetime.now(UTC) + timedelta(days=1)])
    key, secret = traits.keys(account_id)
    sandbox.addresses(**{f"{name}_webhooks": {key: {"url": listener.url, "secret": secret}}})
    return Stand(name, app, database, sandbox, listener, tenant_id, account_id, person)
