"""The sandbox as the payment provider of made-up companies."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
import pytest
from flask import Flask

from app import config
from app.config import Settings
from app.payments import bulkhead
from sandbox.harness import Sandbox
from tests.addresses import at
from tests.counted import differences
from tests.payments.shop import Buyer, make_buyer
from tests.payments.stand_ins import listener, running_site, shops

__all__ = ["listener", "running_site", "shops"]


@pytest.fixture
def site(running_site: Sandbox, app: Flask, settings: Settings) -> Sandbox:
    """The payment provider, with nothing in its books; the application speaks to it."""
    del app
    running_site.reset()
    bulkhead.forget()
    config.install(replace(at(settings, stripe=running_site.stripe_base), send_timeout_s=5))
    return running_site


@pytest.fixture
def new_buyer(site: Sandbox, app: Flask, database: psycopg.Connection) -> Iterator[Callable[[], Buyer]]:
    """Make somebody who is to pay. At the test's end the totals are what a count says."""
    yield lambda: make_buyer(app, database, site)
    assert differences(database) == []


@pytest.fixture
def buyer(new_buyer: Callable[[], Buyer]) -> Buyer:
    return new_buyer()
