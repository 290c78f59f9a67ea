"""Fixtures for tests that send: a launched campaign, and the carrier it is sent through, a sandbox of its own.

A folder's conftest takes them over by importing them.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest
from flask import Flask

from app import config, tenancy
from app.accounts import seal_witness_phone
from app.campaigns import preflight
from app.config import Settings
from app.delivery import dispatch, shutdown
from app.extensions import db
from app.models import SmsAccount
from sandbox.harness import Sandbox
from tests import factories
from tests.addresses import carriers
from tests.counted import differences
from tests.factories import Person
from tests.raw_states import force, set_back

OWN = "+819088887777"  # 確認用番号


@pytest.fixture
def sandbox(carrier: Sandbox) -> Sandbox:
    """The carrier, with an empty ledger and every switch off."""
    carrier.reset()
    carrier.addresses(karaden_receipts={}, sms_accounts={"zettai_reach": {}})
    return carrier


@pytest.fixture
def tuned(app: Flask, settings: Settings, sandbox: Sandbox) -> Iterator[Callable[..., None]]:
    """The application within its context, talking to the sandbox; call it to change settings for this test."""
    base = replace(
        settings,
        api_bases=carriers(settings, sandbox.url),
        batch_rows=50,
        # longer than a carrier takes that shares a busy machine
        send_timeout_s=10,
        lease_s=20,
        unknown_settle_s=1,
        gateway_settle_s=1,
        absence_gap_s=1,
    )
    config.install(base)
    shutdown.forget()
    with app.app_context():
        yield lambda **changes: config.install(replace(config.settings(), **changes))
    config.install(settings)


def requests(sandbox: Sandbox) -> int:
    """Count what the carrier was asked, sending and looking up."""
    return len(sandbox.ledger("karaden"))


def received(sandbox: Sandbox) -> Counter[str]:
    """Count the SMS that each phone got, but the company's own; numbers as the carrier writes them."""
    return Counter(message["to"] for message in sandbox.messages() if message["to"] != "0" + OWN[3:])


def to_own_number(sandbox: Sandbox) -> list[dict[str, Any]]:
    """Return the SMS to the company's own number."""
    return [message for message in sandbox.messages() if message["to"] == "0" + OWN[3:]]


def give_witness_phone(job: "Job") -> None:
    """Register a number of the company's own with the job's account."""
    with tenancy.tenant(job.tenant_id):
        seal_witness_phone(db.session.get_one(SmsAccount, job.account_id), OWN)
        db.session.commit()


@contextmanager
def meanwhile(action: Callable[[], Any], *, when: Callable[[], bool]) -> Iterator[None]:
    """Do something in another thread as soon as `when` is true."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            if when():
                action()
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@dataclass(frozen=True, slots=True)
class Job:
    """A launched campaign."""

    tenant_id: int
    account_id: int
    campaign_id: int
    slices: list[int]
    people: list[Person]
    database: psycopg.Connection

    def send(self) -> None:
        """Serve as many turns as the campaign has slices."""
        for _ in self.slices:
            dispatch.take()

    def make_due(self) -> None:
        """Let a rest of any account and what this campaign's slices wait for be over."""
        self.change("UPDATE sms_account SET resting_until = now() WHERE resting_until IS NOT NULL")
        self.change("UPDATE slice SET due_at = now() WHERE campaign_id = %s AND due_at IS NOT NULL", self.campaign_id)

    def check(self) -> None:
        """Check the list, as it was checked before the launch."""
        state = self.state()
        set_back(self.database, "campaign", [self.campaign_id], state="draft")
        with tenancy.tenant(self.tenant_id):
            preflight.run(self.campaign_id)
        force(self.database, "campaign", [self.campaign_id], state=state)

    def ids(self) -> list[int]:
        """Return the people's ids."""
        return [person.id for person in self.people]

    def states(self) -> dict[str, int]:
        """Count people by SMS state."""
        return self._counts("SELECT sms_state, count(*) FROM recipient WHERE campaign_id = %s GROUP BY 1")

    def attempts(self) -> dict[tuple[str, str], int]:
        """Count attempts by state and code."""
        rows = self.rows("SELECT state, code, count(*) AS n FROM send_log WHERE campaign_id = %s GROUP BY 1, 2")
        return {(row["state"], row["code"]): row["n"] for row in rows}

    def references(self) -> list[str]:
        """Return the attempts' references, in the order of the people and their attempts."""
        rows = self.rows("SELECT reference FROM send_log WHERE campaign_id = %s ORDER BY recipient_id, attempt")
        return [row["reference"] for row in rows]

    def state(self) -> str:
        """Return the campaign's state."""
        return str(self.rows("SELECT state FROM campaign WHERE id = %s")[0]["state"])

    def slice(self) -> dict[str, Any]:
        """Return the first slice's row."""
        return self.rows("SELECT * FROM slice WHERE campaign_id = %s ORDER BY id")[0]

    def person(self, recipient_id: int) -> dict[str, Any]:
        """Return one recipient's row."""
        return self.rows("SELECT * FROM recipient WHERE campaign_id = %s AND id = %s", recipient_id)[0]

    def events(self, recipient_id: int) -> list[str]:
        """Return the states one person's SMS went through, in order."""
        rows = self.rows(
            "SELECT state FROM event WHERE campaign_id = %s AND recipient_id = %s AND track = 'sms' ORDER BY id",
            recipient_id,
        )
        return [row["state"] for row in rows]

    def rows(self, statement: str, *more: Any) -> list[dict[str, Any]]:
        """Read as the owner; the first parameter is the campaign's id."""
        with self.database.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            return cursor.execute(statement, [self.campaign_id, *more]).fetchall()

    def change(self, statement: str, *values: Any) -> None:
        """Change something behind the product's back, such as the time at which a row was written."""
        self.database.execute(statement, values)

    def _counts(self, statement: str) -> dict[str, int]:
        with self.database.cursor() as cursor:
            return dict(cursor.execute(statement, [self.campaign_id]).fetchall())


@pytest.fixture
def launched(tuned: Callable[..., None], database: psycopg.Connection) -> Iterator[Callable[..., Job]]:
    """Make and launch a campaign for so many people. At the test's end the totals are what a count says."""
    del tuned

    def make(
        count: int,
        *,
        slice_rows: int = 5000,
        phones: list[str] | None = None,
        payment: bool = False,
        provider: str = "karaden",
        **columns: Any,
    ) -> Job:
        tenant_id = factories.tenant()
        account_id = factories.sms_account(tenant_id, provider=provider)
        if payment:
            columns["payment_account_id"] = factories.payment_account(tenant_id)
        campaign_id = factories.campaign(tenant_id, sms_account_id=account_id, **columns)
        people = factories.people(tenant_id, campaign_id, count, phones=phones or [])
        slices = factories.launch(tenant_id, campaign_id, slice_rows=slice_rows)
        return Job(tenant_id, account_id, campaign_id, slices, people, database)

    yield make
    assert differences(database) == []
