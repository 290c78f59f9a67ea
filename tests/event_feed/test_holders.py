"""A transaction that stays open is named, and one that promises to write no event holds nobody."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import time_machine
from flask import Flask, current_app
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app import tenancy
from app.event_feed import feed, holders, silence
from app.event_feed.silence import TooLate
from app.extensions import db
from app.states.transitions import Step, move
from app.states.vocabulary import SMS, SmsState
from tests import factories


@pytest.fixture
def tenant_id(app: Flask) -> Iterator[int]:
    with app.app_context():
        yield factories.tenant()


def one_event(tenant_id: int) -> None:
    campaign_id = factories.campaign(tenant_id)
    (person,) = factories.people(tenant_id, campaign_id, 1)
    with tenancy.tenant(tenant_id):
        move(db.session, SMS, SmsState.QUEUED, [Step(person.id, datetime.now(UTC))], actor="system")
        db.session.commit()


def told(tenant_id: int) -> int:
    with tenancy.tenant(tenant_id):
        return len(feed.read(None, 100).events)


def held() -> holders.Holder | None:
    with tenancy.platform():
        return holders.holder()


@pytest.fixture
def idle(owner: psycopg.Connection) -> Iterator[psycopg.Connection]:
    with psycopg.connect(owner.info.dsn, password=owner.info.password, application_name="a look") as connection:
        yield connection


def test_a_transaction_that_has_written_holds_the_feed_and_is_named(
    tenant_id: int, idle: psycopg.Connection, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    idle.execute("SELECT txid_current()")
    one_event(tenant_id)
    assert told(tenant_id) == 0
    assert held() is None  # such short ones come and go
    assert client.get("/healthz").get_json() == {"status": "ok"}
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=2), tick=True):
        found = held()
        assert found is not None
        assert (found.pid, found.application) == (idle.info.backend_pid, "a look")
        assert client.get("/healthz").get_json()["feed_held_since"] == found.since.isoformat(timespec="seconds")
        with tenancy.platform():
            holders.watch()
    assert "event feed held by a transaction" in caplog.text
    idle.rollback()
    assert told(tenant_id) == 1
    assert held() is None


def test_one_that_only_reads_holds_nothing(tenant_id: int, idle: psycopg.Connection) -> None:
    idle.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    idle.execute("SELECT count(*) FROM event")
    one_event(tenant_id)
    assert told(tenant_id) == 1


def test_one_that_promises_to_write_no_event_holds_nothing(tenant_id: int) -> None:
    with tenancy.platform(), db.engine.connect() as quiet, quiet.begin():
        silence.promise(quiet)
        quiet.execute(text("CREATE TEMPORARY TABLE arriving (id bigint) ON COMMIT DROP"))
        assert quiet.execute(text("SELECT txid_current_if_assigned()")).scalar() is not None
        # another scope's transactions, as another process has them
        reached = _beside(tenant_id)
    assert reached == 1


def test_the_database_holds_it_to_its_promise(tenant_id: int) -> None:
    with tenancy.tenant(tenant_id):
        campaign_id = factories.campaign(tenant_id)
        (person,) = factories.people(tenant_id, campaign_id, 1)
        silence.promise(db.session.connection())
        with pytest.raises(DBAPIError, match="promised to write no event"):
            move(db.session, SMS, SmsState.QUEUED, [Step(person.id, datetime.now(UTC))], actor="system")
        db.session.rollback()
        move(db.session, SMS, SmsState.QUEUED, [Step(person.id, datetime.now(UTC))], actor="system")
        db.session.commit()
    assert told(tenant_id) == 1


def test_a_promise_comes_before_anything_is_written(tenant_id: int) -> None:
    with tenancy.tenant(tenant_id), tenancy.transaction() as connection:
        connection.execute(text("SELECT txid_current()"))
        with pytest.raises(TooLate):
            silence.promise(connection)


def _beside(tenant_id: int) -> int:
    """Write an event and read the feed in a thread of its own, whose scope is its own too."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]

    def act() -> int:
        with app.app_context():
            one_event(tenant_id)
            return told(tenant_id)

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(act).result()
