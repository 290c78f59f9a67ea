"""Every payment provider's stand-in, as fixtures. A folder's conftest takes them over by importing them."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from app import config
from app.config import Settings
from app.payments import bulkhead
from app.providers.payments import PROVIDERS
from sandbox.doors import BASES
from sandbox.harness import Sandbox, running_sandbox
from tests.addresses import at
from tests.providers.rawserver import Peer, RawServer


@pytest.fixture(scope="session")
def running_site() -> Iterator[Sandbox]:
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def listener() -> Iterator[RawServer]:
    with RawServer(*[_take] * 30) as server:
        yield server


def _take(peer: Peer) -> None:
    peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def shops(app: Flask, settings: Settings, running_site: Sandbox) -> Iterator[Sandbox]:
    """All payment providers, with nothing in their books; the application speaks to them."""
    del app
    running_site.reset()
    bulkhead.forget()
    config.install(
        replace(at(settings, **{name: running_site.url + BASES[name] for name in PROVIDERS}), send_timeout_s=5)
    )
    yield running_site
    running_site.addresses(**{f"{name}_webhooks": {} for name in PROVIDERS})
