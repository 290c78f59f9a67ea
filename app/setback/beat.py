"""The beat: a transaction that lets something leave raises it, and tells the outside once it is committed.

In: a transaction about to be opened. Out: the same one, with a slot of `beat` raised in it, or `NothingMayLeave`. Can't
happen here: two workers that wait for each other's commit (each raises a slot that is free); a count told before its
commit; something that leaves before its count is told.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import structlog
from psycopg.rows import namedtuple_row
from sqlalchemy import Connection, Engine, event, text

from app.config import settings
from app.db import Executor
from app.extensions import redis_client
from app.process_state import process_state
from app.setback.known import SLOTS, Beat, Branch, Known, Why
from app.setback.outside import Folder, OutsideAway, RedisCopy
from app.tenancy import scope

# how long the very first beat may take from its commit to its copies: tries, and seconds between them
_FIRST_TRIES = 4
_FIRST_PAUSE_S = 0.05
# how soon it is tried again whether the folder can be written, for screens and probes, seconds
_TRY_AGAIN_S = 10.0

_log = structlog.get_logger()

# the database's word on itself; any role may ask for it
RUNS_ON = "(SELECT system_identifier::text FROM pg_control_system())"
RUNS_ALONG = "('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint"
_STANDING = f"""
    i.key, i.epoch, i.system, i.timeline, i.held_why, {RUNS_ON} AS runs_on, {RUNS_ALONG} AS runs_along,
    clock_timestamp() AS now, b.beaten_at, b.counts
"""
_OF = "installation i, (SELECT max(at) AS beaten_at, array_agg(count ORDER BY slot) AS counts FROM beat) b"
_LOOK = text(f"SELECT {_STANDING} FROM {_OF}")  # noqa: S608 - our own words
# its own slot, else any: nobody waits for another's commit, unless all are taken
_FREE = "SELECT slot FROM beat ORDER BY slot <> :mine, slot LIMIT 1 FOR UPDATE SKIP LOCKED"
_OWN = "SELECT slot FROM beat WHERE slot = :mine FOR UPDATE"
_CHANGE = """
    WITH chosen AS ({slot}), changed AS (
        UPDATE beat SET count = count + {by}, at = clock_timestamp() FROM chosen WHERE beat.slot = chosen.slot
        RETURNING beat.slot, beat.count
    )
    SELECT changed.slot, changed.count AS raised, {standing} FROM {of}, changed
"""
_RAISE, _RAISE_OWN, _TOUCH, _TOUCH_OWN = (
    text(_CHANGE.format(slot=slot, by=by, standing=_STANDING, of=_OF)) for by in (1, 0) for slot in (_FREE, _OWN)
)
_BEGIN = (
    text(f"""
        INSERT INTO installation (key, system, timeline) SELECT :key, {RUNS_ON}, {RUNS_ALONG} ON CONFLICT DO NOTHING
    """),
    # one that sent before there was a beat doesn't begin at 0: without a copy outside its providers are asked first
    text("SELECT set_config('app.platform', 'on', true)"),
    text("""
        INSERT INTO beat (slot, count)
        SELECT slot, (slot = 0 AND EXISTS (SELECT FROM send_log))::int FROM generate_series(0, :slots - 1) AS slot
        ON CONFLICT DO NOTHING
    """),
    text("SELECT set_config('app.platform', :platform, true)"),
)


HOLD = """
    UPDATE installation SET held_why = %(why)s, held_at = now(), held_facts = %(facts)s,
        held_since = (SELECT max(at) FROM beat), held_event_id = (SELECT last_value FROM event_id_seq)
    WHERE held_why = ''
"""


class NothingMayLeave(Exception):  # noqa: N818 - it says what happened
    """Nothing may be sent or charged; `why` says why. The transaction is rolled back."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class InDoubt(NothingMayLeave):
    """The providers must be asked first whether they know more than the database (`app.setback.doubt`)."""


class _Outside:
    """This process's knowledge of the copies outside, and where they are kept."""

    def __init__(self) -> None:
        path = settings().outside_dir
        self.lock = threading.RLock()
        self.known = Known()
        self.folder = Folder(Path(path)) if path else None
        self.redis = RedisCopy(redis_client.brief)
        self.writable = True
        self.tried_at = float("-inf")


def forget() -> None:
    """Forget what this process knows: it reads another database from now on."""
    process_state.forget(_Outside)


def listen() -> Known:
    """Read the copies outside; return all that this process knows then.

    Raises OutsideAway.

    The database is compared with this, read afterwards: what another thread or process commits and tells in between is
    in the database by then, and not the other way round.
    """
    mine = process_state.of(_Outside)
    with mine.lock:
        if mine.folder is not None:
            mine.known.learn(mine.folder.read())
        mine.known.learn(mine.redis.read())
        return mine.known.copy()


def may_tell() -> bool:
    """Return whether a beat could be written outside; tried now and then.

    Where it can't, nothing may leave.
    """
    mine = process_state.of(_Outside)
    with mine.lock:
        if mine.folder is not None and time.monotonic() >= mine.tried_at + _TRY_AGAIN_S:
            mine.tried_at = time.monotonic()
            try:
                mine.folder.try_writing()
                mine.writable = True
            except OutsideAway as fault:
                mine.writable = False
                _log.error("outside folder unusable", access="write", error=str(fault))
        return mine.writable


@contextmanager
def rising(transaction: AbstractContextManager[Connection]) -> Iterator[Connection]:
    """Open a transaction whose commit lets something leave; tell its beat outside once it is committed.

    Raises NothingMayLeave, and nothing is written. Raises OutsideAway, before the transaction or after its commit:
    nothing may leave then either.
    """
    known = listen()
    with transaction as connection:
        beat = rise(connection, known)
        yield connection
    tell(beat)


def rise(executor: Executor, known: Known) -> Beat:
    """Raise the beat in the open transaction, after `listen`; `tell` it after the commit. Raises NothingMayLeave."""
    row = executor.execute(_RAISE, {"mine": _slot()}).first()
    if row is None:
        begin(executor)  # or all slots are taken at the moment
        row = executor.execute(_RAISE_OWN, {"mine": _slot()}).one()
    _judge(row, known)
    return Beat(_branch(row), row.slot, row.raised, row.now)


def tell(beat: Beat) -> None:
    """Write a committed beat outside.

    Raises OutsideAway: what it was raised for must not leave.
    """
    mine = process_state.of(_Outside)
    with mine.lock:
        mine.known.learn([beat])
        mine.redis.write([beat])
        if mine.folder is not None:
            mine.folder.append(beat, mine.known.beats())


def begin(executor: Executor) -> None:
    """Make the installation's row and its slots, unless they are there."""
    platform = "on" if scope.current().tenant_id is None else "off"
    values = {"key": os.urandom(16).hex(), "slots": SLOTS, "platform": platform}
    for statement in _BEGIN:
        executor.execute(statement, {name: values[name] for name in statement.compile().params})


def compare(executor: Executor, known: Known) -> bool:
    """Compare the database with what `listen` told, without raising anything.

    Raises NothingMayLeave.

    Returns False where the installation is not made yet: `begin` it, and compare again.
    """
    row = executor.execute(_LOOK).first()
    if row is not None:
        _judge(row, known)
    return row is not None


def touch(executor: Connection, known: Known, *, doubtless: bool = False) -> Beat:
    """Note a sign of life; `tell` it after the commit.

    Raises NothingMayLeave, never InDoubt where `doubtless`.
    """
    row = executor.execute(_TOUCH, {"mine": _slot()}).first()
    if row is None:
        begin(executor)
        row = executor.execute(_TOUCH_OWN, {"mine": _slot()}).one()
    _judge(row, known, doubtless=doubtless)
    return Beat(_branch(row), row.slot, row.raised, row.now)


def watch(engine: Engine) -> None:
    """Compare with each new connection: a failover restarts no process."""
    event.listen(engine, "connect", _connected)


def _connected(raw: Any, _record: object) -> None:  # noqa: ANN401 - psycopg's connection
    try:
        known = listen()
        with raw.cursor(row_factory=namedtuple_row) as cursor:
            row = cursor.execute(_LOOK.text).fetchone()
            if row is not None:
                _judge(row, known)
    except InDoubt:
        pass  # whoever is about to send asks
    except NothingMayLeave as stopped:
        raw.rollback()
        raw.execute(HOLD, {"why": str(stopped.why), "facts": "{}"})
        raw.commit()
    except OutsideAway as fault:
        _log.error("outside folder unusable", access="read", error=str(fault))
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        pass  # before its migration
    finally:
        raw.rollback()


def _told_by_now() -> bool:
    """Return whether the first beat of all, which another writer has just committed, is told by now."""
    for _ in range(_FIRST_TRIES):
        if listen().counts:
            return True
        time.sleep(_FIRST_PAUSE_S)
    return False


def _slot() -> int:
    return os.getpid() % SLOTS


def _branch(row: Any) -> Branch:  # noqa: ANN401 - a row of _STANDING, by SQLAlchemy or psycopg
    return Branch(row.key, row.epoch, row.system, row.timeline)


def _judge(row: Any, known: Known, *, doubtless: bool = False) -> None:  # noqa: ANN401 - the same
    """Raise NothingMayLeave where the database was set back, InDoubt where that must be asked."""
    if row.held_why:
        raise NothingMayLeave(row.held_why)
    branch, counts = _branch(row), dict(enumerate(row.counts or ()))
    why = known.falls_short(branch, counts)
    signs = [at for at in (known.at, row.beaten_at) if at is not None]
    if why is None and (row.runs_on, row.runs_along) != (branch.system, branch.timeline):
        why = Why.TIMELINE
    if why is not None:
        _log.error("database set back, sending and charging held", why=str(why))
        raise NothingMayLeave(why)
    if doubtless:
        return
    if not known.counts and any(counts.values()) and not _told_by_now():
        raise InDoubt("no copy of the beat outside the database")
    if signs and row.now - max(signs) > timedelta(seconds=settings().standstill_s):
        raise InDoubt("the installation stood still")
