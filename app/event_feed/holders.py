"""See which transaction holds the feed of all companies, and for how long."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import text

from app import tenancy
from app.event_feed.silence import SETTLED
from app.process_state import process_state

# a transaction of the product is over sooner
LONG = timedelta(seconds=60)
# The transaction at the feed's bound; one that was prepared has no process.
_HOLDER = text(f"""
    WITH bound AS MATERIALIZED (SELECT {SETTLED} AS xid)
    SELECT bound.xid, pid, datname AS database, usename AS role, application_name AS application, xact_start AS since
    FROM bound JOIN pg_stat_activity ON backend_xid::text::bigint = (bound.xid & 4294967295)
    UNION ALL
    SELECT bound.xid, NULL, database, owner, gid, prepared
    FROM bound JOIN pg_prepared_xacts ON transaction::text::bigint = (bound.xid & 4294967295)
    LIMIT 1
""")  # noqa: S608 - the SQL is ours

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Holder:
    """A transaction that has written and stays open; `pid` is None for a prepared one."""

    pid: int | None
    database: str
    role: str
    application: str
    since: datetime


class _Seen:
    """The transaction that held the feed when this process last looked, and since when it does."""

    def __init__(self) -> None:
        self.xid = 0
        self.since = datetime.now(UTC)


def holder() -> Holder | None:
    """Return which transaction has held the feed for longer than LONG, if any does.

    Any scope may be open. PostgreSQL tells the beginning of our own role's transactions alone: of others', when this
    process first saw them.
    """
    with tenancy.transaction() as connection:
        row = connection.execute(_HOLDER).first()
    if row is None:
        return None
    seen, now = process_state.of(_Seen), datetime.now(UTC)
    if seen.xid != row.xid:
        seen.xid, seen.since = row.xid, now
    since = min(seen.since, row.since or seen.since)
    return Holder(row.pid, row.database, row.role, row.application, since) if now - since > LONG else None


def watch() -> None:
    """Write to the log what holds the feed for long."""
    if (found := holder()) is not None:
        _log.warning(
            "event feed held by a transaction",
            pid=found.pid,
            database=found.database,
            role=found.role,
            application=found.application,
            since=found.since.isoformat(timespec="seconds"),
        )
