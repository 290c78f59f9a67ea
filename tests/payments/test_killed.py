"""A process killed between what the payment provider did and our commit: nothing is lost, nothing charged twice."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from app.config import Settings
from app.payments.checkout import Outcome
from tests.payments.shop import BACK, RETURN, Buyer
from tests.waiting import until

_CONFIRM = "confirm.confirm({id})"
_PRESS = f"checkout.start({{person}}, 1, return_url='{RETURN}', back_url='{BACK}')"


@contextmanager
def child(buyer: Buyer, environment: dict[str, str], call: str) -> "Iterator[subprocess.Popen[bytes]]":
    """Run one call of the domain in a process of its own; killed at the end."""
    code = (
        "from app import create_app, tenancy\n"
        "from app.payments import checkout, confirm\n"
        f"with create_app().app_context(), tenancy.tenant({buyer.tenant_id}):\n"
        f"    {call}\n"
    )
    env = os.environ | environment | {"STRIPE_API_BASE": buyer.site.stripe_base}
    process = subprocess.Popen([sys.executable, "-c", code], env=env)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _waits(buyer: Buyer) -> bool:
    row = buyer.database.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ).fetchone()
    return bool(row and row[0])


@pytest.fixture
def holder(settings: Settings, buyer: Buyer) -> Iterator[Callable[[], psycopg.Connection]]:
    """Lock the person's row; each lock ends when its connection is closed."""
    opened: list[psycopg.Connection] = []

    def hold() -> psycopg.Connection:
        connection = psycopg.connect(settings.database_owner_url.replace("+psycopg", "", 1))
        opened.append(connection)
        connection.execute("SELECT set_config('app.platform', 'on', false)")
        connection.execute("SELECT id FROM recipient WHERE id = %s FOR UPDATE", [buyer.person.id])
        return connection

    yield hold
    for connection in opened:
        connection.close()


def test_killed_between_the_charge_and_our_commit(
    buyer: Buyer, environment: dict[str, str], holder: Callable[[], psycopg.Connection]
) -> None:
    buyer.press()
    buyer.choose("card")
    for _ in range(2):
        lock = holder()
        with child(buyer, environment, _CONFIRM.format(id=buyer.payments()[0]["id"])):
            until(lambda: _waits(buyer), "the provider's answer to be recorded")
        lock.close()
        assert (buyer.state(), buyer.states()) == ("started", ["started"])
    buyer.confirm()
    assert (buyer.state(), buyer.states()) == ("paid", ["paid"])
    assert buyer.events() == [("started", "person"), ("paid", "provider")]
    assert buyer.press() is Outcome.CLOSED
    assert len(buyer.sessions()) == 1


def test_killed_between_the_sites_page_and_our_commit(
    buyer: Buyer, environment: dict[str, str], holder: Callable[[], psycopg.Connection]
) -> None:
    buyer.site.faults(latency_ms=2_000)
    with child(buyer, environment, _PRESS.format(person=buyer.person.id)):
        until(buyer.payments, "the attempt on record")
        lock = holder()
        until(lambda: _waits(buyer), "the page to be kept")
    lock.close()
    buyer.site.faults()
    assert [payment["provider_id"] for payment in buyer.payments()] == [None]
    assert len(buyer.sessions()) == 1
    # the same order again: the same page, and no second one
    assert buyer.press() is Outcome.READY
    assert (len(buyer.sessions()), buyer.states()) == (1, ["started"])
    assert buyer.url() == buyer.sessions()[0].url
