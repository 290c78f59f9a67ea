"""Two companies with everything in them, and browsers in which somebody of the back office is signed in."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from app import tenancy
from app.auth import sessions
from app.extensions import db
from app.models import AuditEntry, User
from app.reports import cached_count
from tests import factories


@pytest.fixture(autouse=True)
def counted_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep no count for the next who looks: how long it is kept depends on how long it took."""
    monkeypatch.setattr(cached_count, "LASTS", 0)


@dataclass
class Browser:
    """A client that sends the CSRF token of the page it would post from."""

    client: FlaskClient

    def get(self, url: str, **options: Any) -> TestResponse:
        return self.client.get(url, **options)

    def token(self) -> str:
        page = self.client.get("/admin/").get_data(as_text=True)
        found = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert found, "no form on the home page"
        return found[1]

    def post(self, url: str, data: dict[str, Any] | None = None, **options: Any) -> TestResponse:
        return self.client.post(url, data={"csrf_token": self.token(), **(data or {})}, **options)


@dataclass
class House:
    """One company's things, by their ids."""

    tenant: int
    manager: int
    clerk: int
    sms_account: int
    payment_account: int
    campaign: int
    people: list[factories.Person] = field(default_factory=list)


def furnish(name: str, people: int = 3) -> House:
    tenant = factories.tenant(name)
    manager, clerk = factories.user(tenant, "manager"), factories.user(tenant, "clerk")
    sms, payment = factories.sms_account(tenant), factories.payment_account(tenant)
    campaign = factories.campaign(tenant, sms_account_id=sms, payment_account_id=payment, name=f"{name}の配信")
    return House(tenant, manager, clerk, sms, payment, campaign, factories.people(tenant, campaign, people))


@pytest.fixture
def ours(app: Flask) -> House:
    with app.app_context():
        return furnish("みどり信販")


@pytest.fixture
def theirs(app: Flask) -> House:
    with app.app_context():
        return furnish("あおば保険")


@pytest.fixture
def operator(app: Flask) -> int:
    with app.app_context():
        return factories.user(None, "operator")


@pytest.fixture
def browser_of(app: Flask) -> Callable[[int], Browser]:
    """Return a browser in which a user is signed in, without the time that a password takes."""
    return lambda user_id: signed_in(app, user_id)


@pytest.fixture
def clerk(browser_of: Callable[[int], Browser], ours: House) -> Browser:
    return browser_of(ours.clerk)


@pytest.fixture
def manager(browser_of: Callable[[int], Browser], ours: House) -> Browser:
    return browser_of(ours.manager)


@pytest.fixture
def campaign(app: Flask, ours: House) -> int:
    """A campaign without payment, ready to be checked; three people."""
    with app.app_context():
        made = factories.campaign(ours.tenant, sms_account_id=ours.sms_account, name="満期のご案内")
        factories.people(ours.tenant, made, 3)
        return made


@pytest.fixture
def ask(app: Flask, ours: House) -> Callable[[Any], list[Any]]:
    """Return what the database answers; open for the question alone, so that no request shares the test's session."""

    def ask(statement: Any) -> list[Any]:
        with app.app_context(), tenancy.tenant(ours.tenant):
            return [tuple(row) for row in db.session.execute(statement)]

    return ask


@pytest.fixture
def change(app: Flask) -> Callable[..., None]:
    """Change something behind the pages' back."""

    def change(statement: str, **values: Any) -> None:
        with app.app_context(), tenancy.platform():
            db.session.execute(text(statement), values)
            db.session.commit()

    return change


def acts(app: Flask, house: House | None = None) -> list[tuple[str, str, str]]:
    """Return what is on record of a company, or of none: act, actor, target."""
    with app.app_context(), tenancy.platform():
        owner = house.tenant if house else None
        rows = (
            db.session.query(AuditEntry)
            .filter(AuditEntry.tenant_id.is_not_distinct_from(owner))
            .order_by(AuditEntry.id)
        )
        return [(row.act, row.actor, row.target) for row in rows]


def only(app: Flask, model: Any, **where: Any) -> Any:
    """Return the one row that is so."""
    with app.app_context(), tenancy.platform():
        row = db.session.query(model).filter_by(**where).one()
        db.session.expunge_all()
        return row


def words(browser: Browser, url: str) -> str:
    """Return what a page says, without its tags."""
    answer = browser.get(url)
    assert answer.status_code == 200, url
    return plain(answer.get_data(as_text=True))


def plain(page: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))


def signed_in(app: Flask, user_id: int) -> Browser:
    """Begin a session and give its key to a browser."""
    client = app.test_client()
    with app.app_context(), tenancy.platform():
        user = db.session.get_one(User, user_id)
        key = sessions.begin(user, sessions.Device("Chrome/1 Windows", "192.0.2.1"), passed=True)
        scope = user.tenant_id or 0
        db.session.commit()
    with client.session_transaction("/admin/") as session:
        session.update(_user_id=str(user_id), _fresh=True, scope=scope, key=key)
    return Browser(client)
