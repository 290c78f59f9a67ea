"""A backup made as docs/install.md says restores whole; one made as the owner has no rows."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dev import backup
from dev.postgres import SUPERUSER, Postgres, client, remove_postgres, start_postgres

PASSWORD = "a-password_of-the-test"
TABLE = """
    CREATE TABLE note (tenant_id bigint, words text);
    INSERT INTO note SELECT n, 'まだある' FROM generate_series(1, 100) AS n;
    ALTER TABLE note ENABLE ROW LEVEL SECURITY;
    ALTER TABLE note FORCE ROW LEVEL SECURITY;
    CREATE POLICY scope ON note USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::bigint);
    GRANT SELECT ON note TO kept_app;
"""


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    folder = tmp_path_factory.mktemp("postgres")
    running = start_postgres(folder, password=PASSWORD, durable=False)
    with psycopg.connect(running.url(), autocommit=True) as connection:
        connection.execute("CREATE ROLE kept_app LOGIN")
        connection.execute("CREATE DATABASE kept")
    with psycopg.connect(running.url(database="kept"), autocommit=True) as connection:
        connection.execute(TABLE)
    try:
        yield running
    finally:
        running.stop()
        remove_postgres(folder)


def rows(server: Postgres) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url(SUPERUSER, "kept")) as connection:
        return connection.execute("SELECT * FROM note ORDER BY tenant_id").fetchall()


def test_a_backup_by_the_documented_role_restores_whole(server: Postgres, tmp_path: Path) -> None:
    before = rows(server)
    assert len(before) == 100
    backup.dump(server, "kept", tmp_path / "dump")
    backup.restore(server, "kept", tmp_path / "dump", owner="todoke", app_role="kept_app")
    assert rows(server) == before
    with psycopg.connect(server.url(database="kept")) as connection:
        assert connection.execute("SELECT count(*) FROM note").fetchone() == (0,), "row level security holds again"
        owner = connection.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'note'").fetchone()
        right = connection.execute("SELECT has_table_privilege('kept_app', 'note', 'SELECT')").fetchone()
        connects = connection.execute("SELECT has_database_privilege('todoke_backup', 'kept', 'CONNECT')").fetchone()
    assert (owner, right, connects) == (("todoke",), (True,), (True,)), "the next backup can be made too"


def test_the_owner_cannot_make_a_backup(server: Postgres, tmp_path: Path) -> None:
    """This house's documentation once said: with row security on it ends with 0 and holds nothing."""
    done = subprocess.run(
        [client("pg_dump"), "--enable-row-security", f"--dbname={server.url(database='kept')}"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    assert "CREATE TABLE" in done.stdout
    assert "まだある" not in done.stdout
