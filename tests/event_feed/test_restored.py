"""The feed through a dump and its loading into another server, in mid-reading."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import ANY
from urllib.parse import urlsplit

import flask_migrate
import psycopg
import pytest
import redis as redis_package
from flask import Flask

from app import create_app, tenancy
from app.config import Settings
from app.event_feed import feed
from app.event_feed.feed import FeedEvent, StaleCursor
from app.extensions import db
from app.restore import after
from app.setback import beat, doubt
from app.states.transitions import Step, move
from app.states.vocabulary import SMS, SmsState
from app.tenancy import lookup
from dev import backup
from dev.postgres import Postgres, remove_postgres, start_postgres
from dev.provision import provision
from tests import factories

ROOT = Path(__file__).parents[2]
PASSWORD = "a-password_of-the-test"
NAME = "todoke_feed"
# the first server has counted so many transactions more than the second one ever will here
_AHEAD = 20_000

Started = Callable[[], Postgres]


@pytest.fixture
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """Start servers of their own, each with numbers of transactions of its own."""
    with ExitStack() as running:

        def start() -> Postgres:
            folder = tmp_path_factory.mktemp("postgres")
            server = start_postgres(folder, password=PASSWORD, durable=False)
            running.callback(remove_postgres, folder)
            running.callback(server.stop)
            return server

        yield start


@contextmanager
def product_on(server: Postgres, settings: Settings) -> Iterator[Flask]:
    names = provision(server.url(), NAME, PASSWORD)
    product = create_app(
        replace(
            settings,
            database_url=names["DATABASE_URL"].replace("://", "+psycopg://", 1),
            database_owner_url=names["DATABASE_OWNER_URL"].replace("://", "+psycopg://", 1),
            database_app_role=names["DATABASE_APP_ROLE"],
        )
    )
    with product.app_context():
        try:
            yield product
        finally:
            lookup.close()
            db.session.remove()
            db.engine.dispose()


def queue(tenant_id: int, *people: int) -> None:
    with tenancy.tenant(tenant_id):
        for one in people:
            move(db.session, SMS, SmsState.QUEUED, [Step(one, datetime.now(UTC))], actor="system")
            db.session.commit()


def read(tenant_id: int, cursor: str | None, limit: int) -> feed.Page:
    with tenancy.tenant(tenant_id):
        return feed.read(cursor, limit)


def people_of(events: list[FeedEvent]) -> list[int | None]:
    return [event.recipient_id for event in events]


def test_nothing_is_missed_and_nothing_told_twice_through_a_dump_and_another_server(
    started: Started, settings: Settings, redis: redis_package.Redis, tmp_path: Path
) -> None:
    del redis  # its copy of the beat is emptied afterwards
    first = started()
    with product_on(first, settings):
        flask_migrate.upgrade(directory=str(ROOT / "migrations"))
        with psycopg.connect(first.url(database=NAME), autocommit=True) as connection:
            connection.execute(
                f"DO $$ BEGIN FOR n IN 1..{_AHEAD} LOOP PERFORM txid_current(); COMMIT; END LOOP; END $$"
            )
        with tenancy.platform(), tenancy.transaction() as connection:
            beat.begin(connection)
        tenant_id = factories.tenant()
        people = [one.id for one in factories.people(tenant_id, factories.campaign(tenant_id), 60)]
        queue(tenant_id, *people[:40])
        page = read(tenant_id, None, 25)
        backup.dump(first, NAME, tmp_path / "dump")
    second = started()
    provision(second.url(), NAME, PASSWORD)  # the roles, which no dump has
    names = urlsplit(second.url())
    backup.restore(second, NAME, tmp_path / "dump", owner=names.username or "", app_role=f"{NAME}_app")
    with product_on(second, settings):
        with tenancy.platform():
            assert doubt.why_held() == "timeline"
        queue(tenant_id, *people[40:45])  # somebody opens something before anybody restores
        assert read(tenant_id, page.cursor, 100) == replace(page, events=[], cursor=ANY)
        after.restore(sleep=lambda _seconds: None)
        queue(tenant_id, *people[45:])
        with pytest.raises(StaleCursor) as stale:
            read(tenant_id, page.cursor, 100)
        rest = read(tenant_id, stale.value.go_on_from, 100)
        assert people_of([*page.events, *rest.events]) == people
        assert people_of(read(tenant_id, None, 100).events) == people
        assert read(tenant_id, rest.cursor, 100).events == []
