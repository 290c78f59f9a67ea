"""The whole product with servers of its own, and a browser, for the browser run."""

import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from playwright.sync_api import Browser
from werkzeug.serving import make_server

from app.auth.staff import Role
from dev.browser import chromium
from dev.stack import Stack, remove
from tests.admin_views.conftest import browser_of, operator
from tests.admin_views.estate import Estate
from tests.e2e.office import Company, Enter, Visitor
from tests.payments.stand_ins import listener, running_site, shops

__all__ = ["browser_of", "listener", "operator", "running_site", "shops"]

# waits of minutes in earnest take seconds here
QUICK = {
    "SWEEP_S": "2",
    "LEASE_S": "6",
    "SEND_TIMEOUT_S": "4",
    "UNKNOWN_SETTLE_S": "8",
    "GATEWAY_SETTLE_S": "8",
    "ABSENCE_GAP_S": "1",
    "BATCH_ROWS": "50",
}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The running product, seeded like the demo."""
    folder = Path(tempfile.mkdtemp(prefix="todoke-e2e-"))
    try:
        with Stack(folder, durable=False, extra_env=QUICK) as running:
            yield running
    finally:
        remove(folder)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with chromium() as running:
        yield running


@pytest.fixture
def served(app: Flask) -> Iterator[str]:
    """Serve the application; return its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def enter(
    app: Flask,
    database: psycopg.Connection,
    browser_of: Callable[[int], Any],
    operator: int,
    browser: Browser,
    served: str,
) -> Iterator[Enter]:
    """Furnish a company and let somebody of a role in; the visit is over with the test."""
    visitors: list[Visitor] = []

    def let_in(company: Company, role: Role) -> tuple[Estate, Visitor]:
        estate = company(app, database)
        user = {"operator": operator, "manager": estate.manager, "clerk": estate.clerk}[role]
        cookies = browser_of(user).client._cookies.values()
        visitors.append(Visitor(browser, served, {cookie.key: cookie.value for cookie in cookies}))
        return estate, visitors[-1]

    yield let_in
    for visitor in visitors:
        visitor.context.close()
