"""The whole product with servers of its own, and a browser, for the browser run."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from dev.browser import chromium
from dev.stack import Stack, remove

# what takes minutes in earnest takes seconds here
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
