"""One clock for a test: Python's and PostgreSQL's, at the same moment, standing still until it is moved.

PostgreSQL's `now()` can't be set, but it can be shadowed: the app's connections look for functions in a schema of the
test's own first. Nothing of the product is replaced.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import time_machine
from psycopg import sql
from sqlalchemy import event

from app.config import Settings
from app.extensions import db

TOKYO = ZoneInfo("Asia/Tokyo")

_SCHEMA = """
    DROP SCHEMA IF EXISTS clock CASCADE;
    CREATE SCHEMA clock;
    CREATE TABLE clock.hand (at timestamptz NOT NULL, moved_at timestamptz NOT NULL);
    INSERT INTO clock.hand VALUES (pg_catalog.now(), pg_catalog.now());
    CREATE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT at FROM clock.hand';
    -- whose turn it is shows in who was served before whom: this one goes on, a thousand times as slowly
    CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
        'SELECT at + (pg_catalog.clock_timestamp() - moved_at) / 1000 FROM clock.hand';
"""


def japan(text: str) -> datetime:
    """Read a time of Japan."""
    return datetime.fromisoformat(text).replace(tzinfo=TOKYO)


@dataclass(slots=True)
class Clock:
    """The moment it is. Move it by `to` and `ahead`."""

    _owner: psycopg.Connection
    _python: Any

    @property
    def now(self) -> datetime:
        """The moment it is, for Python and PostgreSQL."""
        return datetime.now(UTC)

    def to(self, when: datetime | str) -> None:
        """Make it this moment; a text is a time of Japan."""
        at = japan(when) if isinstance(when, str) else when
        self._python.move_to(at)
        self._owner.execute("UPDATE clock.hand SET at = %s, moved_at = pg_catalog.clock_timestamp()", [at])
        # the installation lived through it: its scheduler gave signs of life (`app.setback`)
        self._owner.execute("UPDATE beat SET at = %s WHERE at IS NOT NULL", [at])

    def ahead(self, **by: float) -> None:
        """Let time pass: `ahead(seconds=61)`."""
        self.to(self.now + timedelta(**by))


@contextmanager
def standing_clock(owner: psycopg.Connection, settings: Settings, when: datetime | str) -> Iterator[Clock]:
    """Let Python and the app's connections to PostgreSQL see a clock that stands. An application context is pushed."""
    role = sql.Identifier(settings.database_app_role)
    owner.execute(_SCHEMA)
    owner.execute(sql.SQL("GRANT USAGE ON SCHEMA clock TO {}; GRANT SELECT ON clock.hand TO {}").format(role, role))

    def see(connection: psycopg.Connection, _record: object) -> None:
        connection.execute("SET search_path = clock, pg_catalog, public")
        connection.commit()

    db.session.remove()
    db.engine.dispose()
    event.listen(db.engine, "connect", see)
    try:
        with time_machine.travel(datetime.now(UTC), tick=False) as python:
            clock = Clock(owner, python)
            clock.to(when)
            yield clock
    finally:
        event.remove(db.engine, "connect", see)
        db.session.remove()
        db.engine.dispose()
        owner.execute("DROP SCHEMA clock CASCADE")
