"""An act is done once for each Idempotency-Key: its answer is written in the transaction that does it.

In: a key, a digest of what is asked, and the act. Out: the answer, or the one that was given before. Can't happen here:
an act whose answer is lost, or an answer without its act: whatever is killed, a retry finds both or neither.

The rooms below commit by themselves. While an act is open (`once`), the first transaction of this thread that has
written something carries the answer along: it is put together and written where PostgreSQL is about to be told COMMIT.
Whoever comes second at the same moment is told by a lock that each transaction of the act holds, and where that was
let go in between, by the table's own uniqueness, which ends their transaction.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from hashlib import sha256

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import IntegrityError

from app import tenancy
from app.api_access.entry import Caller
from app.db import Executor
from app.problems import Kind, Refused

KEPT_H = 72
LONGEST_KEY = 255
RETRY_AFTER_S = 2

_MISSING = Kind(
    "idempotency_key_missing",
    "Idempotency-Key のヘッダーがありません。操作ごとに違う値（UUIDなど）を付け、同じ操作のやり直しには同じ値を付けて"
    "ください。",
)
_UNREADABLE = Kind(
    "idempotency_key_unreadable",
    "Idempotency-Key が正しくありません。空白を除く半角の文字で、{most}文字以内にしてください。",
)
_OTHER_BODY = Kind(
    "idempotency_key_reused",
    "この Idempotency-Key は、別の内容の操作に使われています。新しい操作には、新しい値を付けてください。",
)
_UNDER_WAY = Kind(
    "idempotency_key_under_way",
    "同じ Idempotency-Key の操作を、いま処理しています。{seconds}秒ほど待ってから、同じ内容でもう一度送ってください。",
)
UNDER_WAY = _UNDER_WAY.code


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, as bytes, so that it is the same each time."""

    status: int
    body: bytes


@dataclass(slots=True)
class Act:
    """An act that is open: what it is known by, and how its answer is made inside the transaction that does it.

    `answer` returns None where the transaction is not yet the one.
    """

    tenant_id: int
    key_id: int
    key_digest: bytes
    fingerprint: bytes
    answer: Callable[[Connection], Answer | None] | None = None
    kept: Answer | None = None
    replayed: bool = False
    holder: Connection | None = field(default=None, repr=False)

    @property
    def lock(self) -> int:
        """The number of its lock."""
        return int.from_bytes(
            sha256(self.tenant_id.to_bytes(8, "big") + self.key_digest).digest()[:8], "big", signed=True
        )


_open: ContextVar[Act | None] = ContextVar("todoke_act", default=None)


def key_of(header: str | None) -> str:
    """Return a request's Idempotency-Key. Raises Refused."""
    if header is None or not header.strip():
        raise Refused(_MISSING())
    key = header.strip()
    if len(key) > LONGEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
        raise Refused(_UNREADABLE(most=LONGEST_KEY))
    return key


def once(caller: Caller, key: str, request: bytes) -> AbstractContextManager[Act]:
    """Open an act for a with block: `request` is all that tells it from another.

    Where it was done before, the act comes with its answer (`kept`, `replayed`), and nothing is to be done. Raises
    Refused where the key was used for something else, or the act is under way.
    """
    mode = "live" if caller.live else "test"
    act = Act(caller.tenant_id, caller.key_id, sha256(f"{mode}:{key}".encode()).digest(), sha256(request).digest())
    return _opened(act)


@contextmanager
def _opened(act: Act) -> Iterator[Act]:
    with tenancy.transaction() as connection:
        # first the lock, then the look: who held it may have written meanwhile
        if not _lock(connection, act):
            raise Refused(_UNDER_WAY(seconds=RETRY_AFTER_S))
        _find(connection, act)
    if act.kept is not None:
        yield act
        return
    token = _open.set(act)
    try:
        yield act
    except IntegrityError as fault:
        if _constraint(fault) != "uq_api_answer_tenant_id_key_digest":
            raise
        raise Refused(_UNDER_WAY(seconds=RETRY_AFTER_S)) from None
    finally:
        _open.reset(token)


def _find(executor: Executor, act: Act) -> None:
    row = executor.execute(
        text("""
            SELECT fingerprint, status, body FROM api_answer
            WHERE tenant_id = :tenant_id AND key_digest = :key_digest
            AND created_at > now() - make_interval(hours => :kept_h)
        """),
        {"tenant_id": act.tenant_id, "key_digest": act.key_digest, "kept_h": KEPT_H},
    ).one_or_none()
    if row is None:
        return
    if bytes(row.fingerprint) != act.fingerprint:
        raise Refused(_OTHER_BODY())
    act.kept, act.replayed = Answer(row.status, bytes(row.body)), True


def _lock(connection: Connection, act: Act) -> bool:
    return bool(connection.exec_driver_sql("SELECT pg_try_advisory_xact_lock(%s)", (act.lock,)).scalar_one())


def _constraint(fault: IntegrityError) -> str:
    return str(getattr(getattr(fault.orig, "diag", None), "constraint_name", None))


def watch(engine: Engine) -> None:
    """Have the transactions of `engine` carry the answers of open acts; the door calls it once."""
    event.listen(engine, "begin", _begun)
    event.listen(engine, "commit", _about_to_commit)
    event.listen(engine, "rollback", _given_up)


def _begun(connection: Connection) -> None:
    act = _open.get()
    if act is None or act.kept is not None or act.holder is not None:
        return
    # the DBAPI cursor: the Connection is still in the middle of its own BEGIN here
    cursor = connection.connection.cursor()
    cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", (act.lock,))
    (mine,) = cursor.fetchone() or (False,)
    cursor.close()
    if not mine:
        _end(connection)
        raise Refused(_UNDER_WAY(seconds=RETRY_AFTER_S))
    act.holder = connection


def _about_to_commit(connection: Connection) -> None:
    act = _open.get()
    if act is None:
        return
    try:
        if act.kept is None and act.answer is not None and _has_written(connection):
            answer = act.answer(connection)
            if answer is not None:
                keep(connection, act, answer)
    except BaseException:
        act.kept = None
        _end(connection)
        raise
    finally:
        if act.holder is connection:
            act.holder = None


def _end(connection: Connection) -> None:
    """Give up what was done: SQLAlchemy takes a transaction that fails in mid-COMMIT for one that is over."""
    connection.connection.rollback()


def _given_up(connection: Connection) -> None:
    act = _open.get()
    if act is not None and act.holder is connection:
        act.holder = None


def _has_written(connection: Connection) -> bool:
    return connection.exec_driver_sql("SELECT pg_current_xact_id_if_assigned() IS NOT NULL").scalar_one() is True


def keep(connection: Connection, act: Act, answer: Answer) -> None:
    """Write an act's answer in the transaction that does it."""
    connection.execute(
        text("""
            DELETE FROM api_answer WHERE tenant_id = :tenant_id AND key_digest = :key_digest
            AND created_at <= now() - make_interval(hours => :kept_h)
        """),
        {"tenant_id": act.tenant_id, "key_digest": act.key_digest, "kept_h": KEPT_H},
    )
    connection.execute(
        text("""
            INSERT INTO api_answer (tenant_id, api_key_id, key_digest, fingerprint, status, body)
            VALUES (:tenant_id, :key_id, :key_digest, :fingerprint, :status, :body)
        """),
        {
            "tenant_id": act.tenant_id,
            "key_id": act.key_id,
            "key_digest": act.key_digest,
            "fingerprint": act.fingerprint,
            "status": answer.status,
            "body": answer.body,
        },
    )
    act.kept = answer
