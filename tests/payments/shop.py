"""Someone who has read the message and is to pay 12,000 yen, with the payment provider's page in reach."""

import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import psycopg
from flask import Flask
from psycopg.rows import dict_row
from stripe import StripeClient

from app import tenancy
from app.payments import attempts, checkout, confirm
from app.payments.checkout import Outcome, Waits
from app.providers.payments.base import Charge, ChargeStatus
from sandbox.harness import Sandbox
from tests import factories, steps

MANAGER = "user:1"
RETURN, BACK = "http://localhost/p/return", "http://localhost/p/return?back=1"


class Stay(urllib.request.HTTPRedirectHandler):
    """The way back leads to our own pages, which don't run here."""

    def redirect_request(self, *_args: object) -> None:
        return None


def choose(url: str, choice: str) -> None:
    """Press a button of the sandbox's payment page."""
    opener = urllib.request.build_opener(Stay)
    try:
        with opener.open(url, urllib.parse.urlencode({"choice": choice}).encode(), timeout=5):
            pass
    except urllib.error.HTTPError as answer:
        answer.close()
        if answer.code != HTTPStatus.SEE_OTHER:
            raise


# a press in more of a hurry than usual
HURRY = Waits(pause_s=0.02, give_up_after_s=5, others_turn_s=0.3)


def tell(payment: Mapping[str, Any], status: ChargeStatus) -> None:
    """Record an answer about a payment, as asking the provider does. The tenant's scope is open."""
    charge = Charge(payment["provider_id"], payment["reference"], status, payment["amount_yen"], "jpy")
    confirm.record(payment["id"], charge, datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Buyer:
    """One person who is to pay. Every call brings its own context, so that threads may."""

    app: Flask
    database: psycopg.Connection
    site: Sandbox
    tenant_id: int
    account_id: int
    campaign_id: int
    person: factories.Person

    def press(self, waits: Waits = HURRY) -> Outcome:
        with self.app.app_context(), tenancy.tenant(self.tenant_id):
            return checkout.start(self.person.id, 1, return_url=RETURN, back_url=BACK, waits=waits)

    def url(self) -> str | None:
        with self.app.app_context(), tenancy.tenant(self.tenant_id):
            return attempts.open_url(self.person.id)

    def choose(self, choice: str, *, slip: bool = False) -> None:
        """Act on the payment page, or on a konbini slip that was ordered there."""
        session = self.sessions()[0]
        choose(f"{self.site.url}/pay/{session.id}{'/slip' if slip else ''}", choice)

    def confirm(self, number: int = -1) -> None:
        payment_id = self.payments()[number]["id"]
        with self.app.app_context(), tenancy.tenant(self.tenant_id):
            confirm.confirm(payment_id)

    def tell(self, status: ChargeStatus, number: int = -1) -> None:
        """Record that the provider said so of a payment when it was asked, whatever its own books say."""
        with self.app.app_context(), tenancy.tenant(self.tenant_id):
            tell(self.payments()[number], status)

    def stripe(self) -> StripeClient:
        return StripeClient(f"sk_test_{self.account_id}", base_addresses={"api": self.site.stripe_base})

    def sessions(self) -> list[Any]:
        """Return the provider's own record of payment pages, newest first."""
        return list(self.stripe().v1.checkout.sessions.list().data)

    def payments(self) -> list[dict[str, Any]]:
        with self.database.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(
                "SELECT * FROM payment WHERE recipient_id = %s ORDER BY attempt", [self.person.id]
            ).fetchall()

    def states(self) -> list[str]:
        return [payment["state"] for payment in self.payments()]

    def row(self) -> dict[str, Any]:
        with self.database.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute("SELECT * FROM recipient WHERE id = %s", [self.person.id]).fetchone()
        assert found is not None
        return found

    def state(self) -> str:
        return str(self.row()["payment_state"])

    def events(self) -> list[tuple[str, str]]:
        return self.database.execute(
            "SELECT state, actor FROM event WHERE recipient_id = %s AND track = 'payment' ORDER BY id", [self.person.id]
        ).fetchall()

    def set(self, columns: str, *values: object) -> None:
        self.database.execute(
            f"UPDATE recipient SET {columns} WHERE id = %s",  # noqa: S608 - a test's own
            [*values, self.person.id],
        )


def make_buyer(
    app: Flask,
    database: psycopg.Connection,
    site: Sandbox,
    tenant_id: int | None = None,
    account_id: int | None = None,
) -> Buyer:
    """Make one more buyer, of a company or with a contract that is there already where it is named."""
    with app.app_context():
        tenant_id = tenant_id or factories.tenant()
        account_id = account_id or factories.payment_account(tenant_id)
        campaign_id = factories.campaign(tenant_id, payment_account_id=account_id)
        person = factories.people(tenant_id, campaign_id, 1)[0]
        steps.view(person.id)
    made = Buyer(app, database, site, tenant_id, account_id, campaign_id, person)
    made.set("link_expires_at = %s", datetime.now(UTC) + timedelta(days=1))
    return made


def act(buyer: Buyer, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
        return function(*args, actor=MANAGER, **named)


def audited(buyer: Buyer) -> list[tuple[str, str]]:
    return buyer.database.execute("SELECT act, target FROM audit_entry ORDER BY id").fetchall()
