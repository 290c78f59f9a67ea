import json
from urllib.parse import urlsplit

import psycopg
import pytest
import redis as redis_package

from dev.process import DevError
from dev.stack import Stack, remove

pytestmark = pytest.mark.e2e


def test_named_servers_get_a_database_of_its_own_that_is_kept_and_removed(tmp_path, servers, redis):
    named = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
    first = Stack(tmp_path / "demo", environ=named)
    first.prepare()
    with psycopg.connect(first.env["DATABASE_OWNER_URL"]) as owner:
        owner.execute("CREATE TABLE note AS SELECT 1 AS x")
    first.stop()

    again = Stack(tmp_path / "demo", environ=named)
    again.prepare()
    with psycopg.connect(again.env["DATABASE_OWNER_URL"]) as owner:
        assert owner.execute("SELECT x FROM note").fetchone() == (1,)
        assert owner.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
    secrets = ("SECRET_KEY", "FIELD_KEYS", "DIGEST_KEY", "DATABASE_URL")
    assert [first.env[name] for name in secrets] == [again.env[name] for name in secrets]
    again.stop()

    with pytest.raises(DevError, match="REDIS_URL: this database number is in use"):
        Stack(tmp_path / "other", environ=named).prepare()
    assert redis.dbsize() == 1

    remove(tmp_path / "demo", named)
    assert not (tmp_path / "demo").exists()
    assert redis.dbsize() == 0
    database = urlsplit(first.env["DATABASE_URL"]).path.lstrip("/")
    with psycopg.connect(servers.database_url) as admin:
        assert admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchall() == []


def test_what_others_keep_in_a_named_redis_is_left(tmp_path, servers, redis: redis_package.Redis):
    redis.set("theirs", 1)
    named = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
    with pytest.raises(DevError, match="name an empty one"):
        Stack(tmp_path, environ=named).prepare()
    remove(tmp_path, named)
    assert redis.get("theirs") == b"1"


def test_secrets_are_made_once_and_are_their_owners_alone(tmp_path, servers, redis):
    del redis
    named = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
    stack = Stack(tmp_path, environ=named)
    stack.prepare()
    kept = json.loads((tmp_path / "secrets.json").read_text())
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
    shown = repr(stack)
    assert not [name for name, value in kept.items() if value in shown and name != "DATABASE"]
    with pytest.raises(DevError, match=r"flask no-such-command failed"):
        stack.flask("no-such-command")
    remove(tmp_path, named)
