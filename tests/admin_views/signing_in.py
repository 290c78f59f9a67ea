"""A user who sets up the second factor, and somebody at the sign-in."""

import re
from datetime import UTC, datetime, timedelta

import pyotp
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import tenancy
from app.extensions import db
from app.models import User
from tests import factories
from tests.admin_views.conftest import Browser


def set_up(browser: Browser) -> tuple[pyotp.TOTP, list[str]]:
    """Set the factor up as a user does; give his app and his recovery codes."""
    assert browser.post("/admin/myself/factor/begin").headers["Location"] == "/admin/myself/factor"
    page = browser.get("/admin/myself/factor").get_data(as_text=True)
    found = re.search(r"<code class=\"copy-text\">([A-Z2-7]{32})</code>", page)
    assert found
    assert "<svg" in page
    app = pyotp.TOTP(found[1])
    page = browser.post("/admin/myself/factor", {"code": code_of(app)}).get_data(as_text=True)
    codes = re.findall(r"<li><code>([a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4})</code>", page)
    assert len(set(codes)) == 10
    return app, codes


def code_of(app: pyotp.TOTP, steps: int = 0) -> str:
    return app.at(datetime.now(UTC) + timedelta(seconds=30 * steps))


class Door:
    """Somebody at the sign-in."""

    def __init__(self, app: Flask, user_id: int) -> None:
        self.client: FlaskClient = app.test_client()
        with app.app_context(), tenancy.platform():
            user = db.session.get_one(User, user_id)
            self.code = user.tenant.code if user.tenant else ""
            self.email = user.email

    def _post(self, url: str, **data: str) -> TestResponse:
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.client.get(url).get_data(as_text=True))
        return self.client.post(url, data={"csrf_token": found[1] if found else "", **data})

    def password(self, password: str = factories.PASSWORD) -> TestResponse:
        return self._post("/admin/login", tenant_code=self.code, email=self.email, password=password)

    def typed(self, code: str) -> TestResponse:
        return self._post("/admin/login/code", code=code)

    def is_in(self) -> bool:
        return self.client.get("/admin/").status_code == 200
