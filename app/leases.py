"""Work that only one process may do at a time: a row with a holder and a time, by the database's clock.

In: the name of the work. Out: a lease, renewed by each sign of life. Can't happen here: a frozen process or a lost
machine that keeps the work (its lease ends by itself), one that wakes and goes on (its next sign of life raises `Lost`,
and so does each write that `hold` guards), or a lock that dies with a pooled connection. A slice has a lease of its own
(`app.delivery.leases`): it is renewed with everything that is written for it.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from secrets import token_hex

import structlog
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from app import tenancy

_log = structlog.get_logger()


class Lost(Exception):  # noqa: N818 - it says what happened
    """Somebody else has the work now: nothing more may be written for it."""


@dataclass(frozen=True, slots=True)
class WorkLease:
    """Work that this process holds, for `seconds` from each sign of life."""

    name: str
    holder: str
    seconds: float


def take(name: str, seconds: float) -> WorkLease | None:
    """Take the work of that name, in the open scope; None while somebody else holds it."""
    lease = WorkLease(name, token_hex(8), seconds)
    with tenancy.transaction() as connection:
        taken = connection.execute(
            text("""
                INSERT INTO lease (tenant_id, name, holder, held_until)
                VALUES (:tenant_id, :name, :holder, now() + make_interval(secs => :seconds))
                ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until
                WHERE lease.held_until < now()
            """),
            {"tenant_id": tenancy.current().tenant_id, "name": name, "holder": lease.holder, "seconds": seconds},
        )
    return lease if taken.rowcount else None


@contextmanager
def taking(name: str, seconds: float) -> Iterator[WorkLease | None]:
    """Take the work of that name for a with block, None while somebody else holds it; leave it quietly once lost."""
    lease = take(name, seconds)
    if lease is None:
        yield None
        return
    try:
        yield lease
    except Lost:
        _log.warning("lease lost", work=name)
    finally:
        with suppress(DBAPIError):  # it ends by itself
            give_back(lease)


def hold(connection: Connection, lease: WorkLease) -> None:
    """Renew the lease in the caller's transaction, which keeps others out until its end. Raises Lost."""
    kept = connection.execute(
        text("""
            UPDATE lease SET held_until = clock_timestamp() + make_interval(secs => :seconds)
            WHERE name = :name AND holder = :holder
        """),
        {"name": lease.name, "holder": lease.holder, "seconds": lease.seconds},
    )
    if not kept.rowcount:
        raise Lost


def beat(lease: WorkLease) -> None:
    """Renew the lease. Raises Lost."""
    with tenancy.transaction() as connection:
        hold(connection, lease)


def give_back(lease: WorkLease) -> None:
    """Let somebody else have the work at once."""
    with tenancy.transaction() as connection:
        connection.execute(
            text("DELETE FROM lease WHERE name = :name AND holder = :holder"),
            {"name": lease.name, "holder": lease.holder},
        )
