"""A database of its own for the product, and the role the product logs in with.

In: the address of a role that may make databases and roles. Out: the settings of the product. The role that comes in
owns the database and migrates it; the product's own role owns nothing and can't step over row level security. Can't
happen here: a database or role of someone else's changed (names are the caller's, made unlike any other).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from dev.servers import plain_url


def provision(admin_url: str, name: str, app_password: str) -> dict[str, str]:
    """Make the database `name` and the login role `<name>_app` unless they stand, and give the product's settings.

    DATABASE_OWNER_URL for migrations, DATABASE_URL for everything else, DATABASE_APP_ROLE whom migrations grant rights.
    """
    role = f"{name}_app"
    with _admin(admin_url) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
            # So that whoever removes the database may end this role's connections.
            connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(role)))
        # Said again each time: what a role may do here must not depend on who made it, or when.
        connection.execute(
            sql.SQL("ALTER ROLE {} WITH LOGIN NOCREATEDB NOCREATEROLE PASSWORD {}").format(
                sql.Identifier(role), sql.Literal(app_password)
            )
        )
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            connection.execute(
                sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0").format(sql.Identifier(name))
            )
        connection.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
        connection.execute(
            sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}").format(sql.Identifier(name), sql.Identifier(role))
        )
        unsafe = connection.execute(
            "SELECT 1 FROM pg_roles WHERE rolname = %s AND (rolsuper OR rolbypassrls)", [role]
        ).fetchone()
    if unsafe:
        raise RuntimeError(f"the role {role} may step over row level security")
    return {
        "DATABASE_OWNER_URL": _with(admin_url, database=name),
        "DATABASE_URL": _with(admin_url, database=name, login=(role, app_password)),
        "DATABASE_APP_ROLE": role,
    }


def unprovision(admin_url: str, name: str) -> None:
    """Remove what `provision` made, with all data and open connections."""
    with _admin(admin_url) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(f"{name}_app")))


@contextmanager
def _admin(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(plain_url(url), autocommit=True) as connection:
        yield connection


def _with(url: str, *, database: str, login: tuple[str, str] | None = None) -> str:
    """Return `url` with another database, and another login."""
    parts = urlsplit(plain_url(url))
    netloc = parts.netloc
    if login:
        netloc = f"{quote(login[0], safe='')}:{quote(login[1], safe='')}@{netloc.rpartition('@')[2]}"
    return urlunsplit(parts._replace(netloc=netloc, path=f"/{database}"))
