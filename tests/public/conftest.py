"""Companies whose SMS have gone out, and people with browsers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask

from tests import factories, steps
from tests.public.browser import Browser
from tests.public.served import Visitor, web

ANSWERS = {"q1_calendar": "西暦", "q1_year": "1980", "q1_month": "1", "q1_day": "2", "q2": "0123"}
WRONG = ANSWERS | {"q2": "9999"}


@dataclass(frozen=True, slots=True)
class Sent:
    """One person whom a campaign's SMS reached."""

    tenant_id: int
    campaign_id: int
    person: factories.Person

    @property
    def link(self) -> str:
        return f"/{self.person.token}"


@pytest.fixture
def send(app: Flask, database: psycopg.Connection) -> Callable[..., Sent]:
    """Make a campaign and one person on it, with a link that lives for a day."""

    def make(*, payment: bool = False, **columns: Any) -> Sent:
        with app.app_context():
            tenant_id = factories.tenant()
            if payment:
                columns["payment_account_id"] = factories.payment_account(tenant_id)
            campaign_id = factories.campaign(tenant_id, **columns)
            person = factories.people(tenant_id, campaign_id, 1)[0]
            steps.deliver(person.id)
        database.execute(
            "UPDATE recipient SET link_expires_at = %s WHERE id = %s",
            [datetime.now(UTC) + timedelta(days=1), person.id],
        )
        return Sent(tenant_id, campaign_id, person)

    return make


@pytest.fixture
def sent(send: Callable[..., Sent]) -> Sent:
    return send()


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app.test_client())


@pytest.fixture
def state(database: psycopg.Connection) -> Callable[[Sent], tuple[str, int]]:
    """Describe where a person's page stands: its state, and how many answers were wrong."""

    def read(sent: Sent) -> tuple[str, int]:
        row = database.execute(
            "SELECT page_state, failed_attempts FROM recipient WHERE id = %s", [sent.person.id]
        ).fetchone()
        assert row is not None
        return row[0], row[1]

    return read


@pytest.fixture
def events(database: psycopg.Connection) -> Callable[[Sent], list[tuple[str, str, str]]]:
    """List a person's events since the SMS: track, state, actor."""

    def read(sent: Sent) -> list[tuple[str, str, str]]:
        return database.execute(
            "SELECT track, state, actor FROM event WHERE recipient_id = %s AND track <> 'sms' ORDER BY id",
            [sent.person.id],
        ).fetchall()

    return read


@pytest.fixture(scope="module")
def port(product: Flask, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where the web server listens."""
    del product  # the database is migrated
    with web(environment, tmp_path_factory.mktemp("web")) as chosen:
        yield chosen


@pytest.fixture
def visit(port: int) -> Iterator[Callable[[], Visitor]]:
    """Make visitors."""
    made: list[Visitor] = []

    def visitor() -> Visitor:
        made.append(Visitor(port))
        return made[-1]

    yield visitor
    for one in made:
        one.close()
