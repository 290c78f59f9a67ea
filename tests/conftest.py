"""Real servers for the tests: PostgreSQL and Valkey, started once, emptied after each test that used them.

Ask for `app` or `client` to test the product, `database` or `redis` for what lies below, `environment` to start its
programs. Commits are real: workers and other connections see them. A test that leaves something open fails.
"""

import gc
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import flask_migrate
import hypothesis
import psycopg
import pytest
import redis as redis_package
from flask import Flask
from flask.testing import FlaskClient
from psycopg import sql

from app import config, create_app, extensions, queues
from app.config import Settings, new_secrets
from app.setback import beat
from app.tenancy import lookup
from app.values.japan_time import TOKYO
from dev.postgres import remove_postgres
from dev.process import DevError
from dev.provision import provision, unprovision
from dev.servers import Servers, start_servers
from sandbox import doors
from sandbox.harness import Sandbox, running_sandbox

ROOT = Path(__file__).parents[1]

# machines are shared: how long an example takes, or to make one, says nothing. At a desk each run looks for others; in
# CI all look at the same ones, so that what is refused is what was changed
hypothesis.settings.register_profile(
    "house",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
hypothesis.settings.load_profile("house")
# The garbage collector needn't look through imports and collected tests, which stay until the end.
gc.disable()
_LOCK_LIMIT = "15s"
# no test takes longer that names a day
_ONE_DAY_TAKES_S = 120
# Deleting is 20 times as fast as TRUNCATE for the few rows of a test; what a big one leaves is truncated.
_TRUNCATE_BYTES = 8_000_000


def pytest_collection_finish() -> None:
    """Look for the tests' own garbage from here on."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """PostgreSQL and Valkey: those DATABASE_URL and REDIS_URL name, or embedded ones on free ports."""
    folder = Path(tempfile.mkdtemp(prefix="todoke-test-"))
    try:
        running = start_servers(folder, durable=False)
    except DevError as fault:
        pytest.exit(str(fault), returncode=2)
    try:
        with redis_package.Redis.from_url(running.redis_url) as client:
            if client.dbsize():
                pytest.exit(
                    "REDIS_URL: the tests empty it: name an empty database, e.g. redis://127.0.0.1/5", returncode=2
                )
        yield running
    finally:
        running.stop()
        remove_postgres(folder / "postgres")
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def carrier() -> Iterator[Sandbox]:
    """The carrier, started once. Tests ask for the `sandbox` of `tests.launched`, which empties it."""
    with running_sandbox(receipt_delay_ms=0) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def environment(servers: Servers) -> Iterator[dict[str, str]]:
    """The product's settings as an environment, with a database made for this run but not yet migrated."""
    made = new_secrets(demo=True)
    name = f"todoke_test_{made['SECRET_KEY'][-8:].encode().hex()}"
    yield {
        "TODOKE_ENV": "test",
        **made,
        **provision(servers.database_url, name, made["SECRET_KEY"]),
        "REDIS_URL": servers.redis_url,
        "PUBLIC_BASE_URL": "http://localhost",
        "LINK_BASE_URL": "https://todoke.example",
        "TRUSTED_HOSTS": "localhost,127.0.0.1,todoke.example",
        # The discard port: what a test does not send to a sandbox of its own goes nowhere.
        **doors.environment("http://127.0.0.1:9"),
    }
    unprovision(servers.database_url, name)


@pytest.fixture(scope="session")
def settings(environment: dict[str, str]) -> Settings:
    """The settings of `app`."""
    return Settings.from_env(environment)


@pytest.fixture(scope="session")
def product(settings: Settings) -> Iterator[Flask]:
    """The application on the migrated database, made once. Tests ask for `app`."""
    made = create_app(settings)
    made.testing = True
    queues.OFFER_S = 0.0
    with made.app_context():
        flask_migrate.upgrade(directory=str(ROOT / "migrations"))
    yield made
    lookup.close()
    with made.app_context():
        extensions.db.engine.dispose()


@pytest.fixture(scope="session")
def owner(product: Flask, settings: Settings) -> Iterator[psycopg.Connection]:
    """The database's owner in the platform's scope, committing each statement; all tables are its."""
    del product
    url = settings.database_owner_url.replace("+psycopg", "", 1)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT set_config('app.platform', 'on', false), set_config('lock_timeout', %s, false)", [_LOCK_LIMIT]
        )
        yield connection


@pytest.fixture
def database(owner: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """The migrated database, empty, as its owner in the platform's scope; emptied again after the test."""
    yield owner
    try:
        _empty(owner)
    except psycopg.errors.LockNotAvailable:
        left = owner.execute(
            "SELECT query, pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"
        ).fetchall()
        _empty(owner)
        pytest.fail(f"left a transaction open after: {[query for query, _ in left]}")


@pytest.fixture
def redis(servers: Servers) -> Iterator[redis_package.Redis]:
    """The Redis database, empty; emptied again after the test."""
    with redis_package.Redis.from_url(servers.redis_url) as client:
        yield client
        queues.finish_offers()
        client.flushdb()


@pytest.fixture
def app(product: Flask, settings: Settings, database: psycopg.Connection, redis: redis_package.Redis) -> Flask:
    """The application, on an empty database and an empty Redis."""
    del database, redis
    # A test that made an application of its own has put other settings and keys in these places.
    config.install(settings)
    extensions.vault.load(settings.field_keys, settings.digest_key, settings.link_token_chars)
    extensions.redis_client.bind(settings.redis_url)
    beat.forget()
    _count_in_redis()
    return product


@pytest.fixture
def take(app: Flask) -> Callable[..., None]:
    """Take a step of `tests.steps` behind the pages' back: `take(steps.deliver, person_id)`."""

    def take(step: Callable[..., None], *given: Any, **more: Any) -> None:
        with app.app_context():
            step(*given, **more)

    return take


@pytest.fixture
def one_day() -> None:
    """Have the whole test on one day of Japan: where that is nearly over, wait for the next one."""
    now = datetime.now(TOKYO)
    tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    if (left_s := (tomorrow - now).total_seconds()) < _ONE_DAY_TAKES_S:
        time.sleep(left_s + 1)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without cookies."""
    return app.test_client()


def _count_in_redis() -> None:
    """Forget what was counted in memory while a Redis was silent, and ask Redis again at once."""
    extensions.limiter._storage_dead = False
    extensions.limiter._fallback_storage.reset()


def _empty(owner: psycopg.Connection) -> None:
    rows = owner.execute(
        "SELECT relname, pg_relation_size(oid) FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'"
    ).fetchall()
    tables = [sql.Identifier(name) for name, _ in rows]
    if sum(size for _, size in rows) > _TRUNCATE_BYTES:
        owner.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(tables)))
    elif tables:
        # One statement: foreign keys are checked at its end, so the order of the tables is free.
        deletes = (sql.SQL("d{} AS (DELETE FROM {})").format(sql.SQL(str(n)), table) for n, table in enumerate(tables))
        owner.execute(sql.SQL("WITH {} SELECT").format(sql.SQL(", ").join(deletes)))
        # rows that go are told to the totals at the statement's end
        for name, _ in rows:
            if name.endswith("_total"):
                owner.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
