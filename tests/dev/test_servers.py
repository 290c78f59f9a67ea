import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from dev.process import DevError, free_port
from dev.provision import provision, unprovision
from dev.servers import Servers, start_servers


@pytest.fixture
def name(servers: Servers) -> Iterator[str]:
    made = f"todoke_try_{secrets.token_hex(4)}"
    yield made
    unprovision(servers.database_url, made)


def test_named_servers_are_used_as_they_are_and_left_running(servers, tmp_path):
    named = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
    used = start_servers(tmp_path, environ=named)
    assert (used.database_url, used.redis_url, used.processes()) == (servers.database_url, servers.redis_url, {})
    used.stop()
    with psycopg.connect(servers.database_url) as connection, redis.Redis.from_url(servers.redis_url) as client:
        assert connection.execute("SELECT 1").fetchone()
        assert client.ping()


def test_a_named_server_that_is_away_is_told_by_its_setting(servers, tmp_path):
    away = f"127.0.0.1:{free_port()}"
    with pytest.raises(DevError, match="DATABASE_URL: PostgreSQL does not answer"):
        start_servers(tmp_path, environ={"DATABASE_URL": f"postgresql://a:b@{away}/x", "REDIS_URL": servers.redis_url})
    with pytest.raises(DevError, match="REDIS_URL: Redis or Valkey does not answer"):
        start_servers(tmp_path, environ={"DATABASE_URL": servers.database_url, "REDIS_URL": f"redis://{away}/0"})


def test_a_role_that_can_make_no_database_is_told_what_it_needs(servers, tmp_path, name):
    made = provision(servers.database_url, name, "secret")
    with pytest.raises(DevError, match="needs CREATEDB and CREATEROLE"):
        start_servers(tmp_path, environ={"DATABASE_URL": made["DATABASE_URL"], "REDIS_URL": servers.redis_url})


def test_the_products_role_owns_nothing_and_obeys_row_level_security(servers, name):
    made = provision(servers.database_url, name, "s p/a:c@e")
    with psycopg.connect(made["DATABASE_OWNER_URL"]) as owner:
        owner.execute("CREATE TABLE note (tenant int)")
        owner.execute("INSERT INTO note VALUES (1), (2)")
        owner.execute("ALTER TABLE note ENABLE ROW LEVEL SECURITY")
        owner.execute("CREATE POLICY own ON note USING (tenant = 1)")
        owner.execute(f"GRANT SELECT ON note TO {made['DATABASE_APP_ROLE']}")
    with psycopg.connect(made["DATABASE_URL"], autocommit=True) as app:
        assert app.execute("SELECT current_user::text").fetchone() == (made["DATABASE_APP_ROLE"],)
        assert app.execute("SELECT tenant FROM note").fetchall() == [(1,)]
        assert app.execute(
            "SELECT rolsuper, rolbypassrls, rolcreatedb, rolcreaterole,"
            " (SELECT count(*) FROM pg_class WHERE relowner = pg_roles.oid) FROM pg_roles WHERE rolname = current_user"
        ).fetchone() == (False, False, False, False, 0)
        for forbidden in (
            "CREATE TABLE mine (x int)",
            "ALTER TABLE note DISABLE ROW LEVEL SECURITY",
            "DROP TABLE note",
            "SET ROLE todoke",
            "INSERT INTO note VALUES (1)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(forbidden)


def test_provisioning_again_keeps_the_data_and_changes_the_password(servers, name):
    first = provision(servers.database_url, name, "old")
    with psycopg.connect(first["DATABASE_OWNER_URL"]) as owner:
        owner.execute("CREATE TABLE note AS SELECT 1 AS x")
    second = provision(servers.database_url, name, "new")
    with psycopg.connect(second["DATABASE_OWNER_URL"]) as owner:
        assert owner.execute("SELECT x FROM note").fetchone() == (1,)
    psycopg.connect(second["DATABASE_URL"]).close()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(first["DATABASE_URL"])


def test_a_database_is_closed_to_the_roles_of_others(servers, name):
    made = provision(servers.database_url, name, "secret")
    other = f"{name}_other"
    stranger = provision(servers.database_url, other, "secret")
    try:
        url = urlsplit(stranger["DATABASE_URL"])._replace(path=urlsplit(made["DATABASE_URL"]).path).geturl()
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(url)
    finally:
        unprovision(servers.database_url, other)


def test_removing_ends_open_connections_and_can_be_repeated(servers, name):
    made = provision(servers.database_url, name, "secret")
    with psycopg.connect(made["DATABASE_URL"]) as held:
        unprovision(servers.database_url, name)
        with pytest.raises(psycopg.OperationalError):
            held.execute("SELECT 1")
    unprovision(servers.database_url, name)
    with psycopg.connect(servers.database_url) as connection:
        left = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [made["DATABASE_APP_ROLE"]]).fetchall()
        assert left == []
