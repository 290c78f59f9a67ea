"""A backup of a database and its restoring, as docs/install.md tells people to do it.

In: a running embedded server and a database's name. Out: a file, and the same database made of it anew. The role that
dumps steps over row level security: under FORCE ROW LEVEL SECURITY the owner would dump no rows.
"""

import secrets
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

from dev.postgres import SUPERUSER, Postgres, client
from dev.process import DevError

ROLE = "todoke_backup"


def dump(server: Postgres, database: str, path: Path) -> None:
    """Dump a database as the role for backups, made where it is missing.

    Raises DevError.
    """
    password = secrets.token_urlsafe(16)
    with psycopg.connect(server.url(SUPERUSER), autocommit=True) as connection:
        known = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone()
        verb = sql.SQL("ALTER" if known is not None else "CREATE")
        connection.execute(
            sql.SQL("{} ROLE {} LOGIN BYPASSRLS PASSWORD {}").format(verb, sql.Identifier(ROLE), sql.Literal(password))
        )
        connection.execute(sql.SQL("GRANT pg_read_all_data TO {}").format(sql.Identifier(ROLE)))
        connection.execute(
            sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(database), sql.Identifier(ROLE))
        )
    url = f"postgresql://{ROLE}:{password}@127.0.0.1:{server.port}/{database}"
    _run("pg_dump", "--format=custom", f"--file={path}", f"--dbname={url}")


def restore(server: Postgres, database: str, path: Path, *, owner: str, app_role: str) -> None:
    """Drop a database, with all connections to it, and make it anew of a dump.

    Raises DevError.
    """
    name = sql.Identifier(database)
    with psycopg.connect(server.url(SUPERUSER), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0").format(
                name, sql.Identifier(owner)
            )
        )
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
        connection.execute(
            sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}").format(name, sql.Identifier(app_role))
        )
        if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone() is not None:
            # its right went with the database: without it the next backup fails
            connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, sql.Identifier(ROLE)))
    _run("pg_restore", "--exit-on-error", f"--dbname={server.url(SUPERUSER, database)}", str(path))


def _run(program: str, *arguments: str) -> None:
    done = subprocess.run([client(program), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DevError(f"{program} failed:\n{done.stderr}")
