"""The two servers the product needs: embedded ones, or those named by the caller.

In: a folder and the environment. Out: the address of a PostgreSQL role that may make databases and roles, and the
address of an empty or known Redis database. Can't happen here: someone else's data touched.
"""

import os
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import redis

from dev.postgres import Postgres, start_postgres
from dev.process import DevError
from dev.valkey import Valkey, start_valkey


@dataclass(slots=True)
class Servers:
    """Running servers.

    `database_url` may make databases and roles; `postgres` and `valkey` are None for named ones.
    """

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    folder: Path
    durable: bool
    postgres: Postgres | None
    valkey: Valkey | None

    def processes(self) -> dict[str, subprocess.Popen[bytes]]:
        """Return the embedded servers by name."""
        own = {"postgres": self.postgres, "valkey": self.valkey}
        return {name: server.process for name, server in own.items() if server}

    def restart(self, name: str) -> None:
        """Start an embedded server that ended again, at its port. Raises DevError."""
        if name == "postgres" and (old := self.postgres):
            self.postgres = start_postgres(
                self.folder / name, password=old.password, port=old.port, durable=self.durable
            )
        if name == "valkey" and (was := self.valkey):
            self.valkey = start_valkey(self.folder / name, password=was.password, port=was.port, durable=self.durable)

    def stop(self) -> None:
        """Stop the embedded ones; named ones stay as they are."""
        if self.valkey:
            self.valkey.stop()
        if self.postgres:
            self.postgres.stop()


def start_servers(
    folder: Path,
    *,
    password: str = "",
    durable: bool = True,
    postgres_port: int = 0,
    redis_port: int = 0,
    environ: Mapping[str, str] = os.environ,
) -> Servers:
    """Start what DATABASE_URL and REDIS_URL of `environ` don't name, with data in `folder`. Raises DevError.

    `password` (URL-safe) is that of the folder's first run; without one a password is made for this run.
    """
    password = password or secrets.token_urlsafe(24)
    postgres = valkey = None
    if database_url := environ.get("DATABASE_URL", ""):
        database_url = plain_url(database_url)
        check_database(database_url)
    else:
        postgres = start_postgres(folder / "postgres", password=password, port=postgres_port, durable=durable)
        database_url = postgres.url()
    try:
        if redis_url := environ.get("REDIS_URL", ""):
            check_redis(redis_url)
        else:
            valkey = start_valkey(folder / "valkey", password=password, port=redis_port, durable=durable)
            redis_url = valkey.url()
    except BaseException:
        if postgres:
            postgres.stop()
        raise
    return Servers(database_url, redis_url, folder, durable, postgres, valkey)


def plain_url(url: str) -> str:
    """Return a PostgreSQL address as libpq reads it, without SQLAlchemy's driver."""
    return "postgresql://" + url.split("://", 1)[-1]


def check_database(url: str) -> None:
    """Raise DevError unless `url` names a PostgreSQL role that may make databases and roles."""
    try:
        with psycopg.connect(plain_url(url), connect_timeout=10) as connection:
            row = connection.execute(
                "SELECT rolsuper OR (rolcreatedb AND rolcreaterole) FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
    except psycopg.OperationalError as fault:
        raise DevError(f"DATABASE_URL: PostgreSQL does not answer there: {fault}") from None
    if row is None or not row[0]:
        raise DevError(
            "DATABASE_URL: this role can't prepare a database of its own. It needs CREATEDB and CREATEROLE, e.g.\n"
            "  CREATE ROLE todoke LOGIN CREATEDB CREATEROLE PASSWORD '…';"
        )


def check_redis(url: str) -> None:
    """Raise DevError unless a Redis or Valkey answers at `url`."""
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=10) as client:
            client.ping()
    except (redis.RedisError, ValueError) as fault:
        raise DevError(f"REDIS_URL: Redis or Valkey does not answer there: {fault}") from None
