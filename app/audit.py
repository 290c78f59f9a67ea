"""An append-only record of sensitive acts: revealing a number, unlocking a person, sending, exporting, changing keys.

In: who did what to which row. Out: a chain per tenant that shows any change made behind its back. Can't happen here: an
act recorded in another transaction than the one that did it; an entry changed or removed by the app's role, which holds
no such right.
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import text

from app import tenancy
from app.db import Executor

_LOCK_SPACE = 7_230_000


def record(
    executor: Executor,
    *,
    actor: str,
    act: str,
    target: str = "",
    detail: Mapping[str, Any] | None = None,
    tenant_id: int | None = None,
) -> None:
    """Append an entry in the caller's transaction. `detail` holds no personal detail.

    `tenant_id` is the scope's own unless the platform acts upon a tenant.
    """
    record_all(executor, actor=actor, act=act, entries=[(target, detail)], tenant_id=tenant_id)


def record_all(
    executor: Executor,
    *,
    actor: str,
    act: str,
    entries: Sequence[tuple[str, Mapping[str, Any] | None]],
    tenant_id: int | None = None,
) -> None:
    """Append an entry for each (target, detail), as `record` does; at least one."""
    owner = tenancy.current().tenant_id or tenant_id
    # one writer per chain at a time, until commit
    executor.execute(
        text("SELECT pg_advisory_xact_lock(:space, :owner)"), {"space": _LOCK_SPACE, "owner": (owner or 0) % 2**31}
    )
    last = executor.execute(
        text("SELECT hash FROM audit_entry WHERE tenant_id IS NOT DISTINCT FROM :owner ORDER BY id DESC LIMIT 1"),
        {"owner": owner},
    ).scalar()
    before, at, rows = bytes(last or b""), datetime.now(UTC), []
    for target, detail in entries:
        before = _hash(before, [owner, _written(at), actor, act, target, detail])
        rows.append(
            {
                "owner": owner,
                "at": at,
                "actor": actor,
                "act": act,
                "target": target,
                "detail": Jsonb(detail) if detail is not None else None,
                "hash": before,
            }
        )
    executor.execute(
        text(
            "INSERT INTO audit_entry (tenant_id, at, actor, act, target, detail, hash)"
            " VALUES (:owner, :at, :actor, :act, :target, :detail, :hash)"
        ),
        rows,
    )


def verify(executor: Executor, tenant_id: int | None) -> int | None:
    """Walk a tenant's chain.

    Returns the id of the first entry that doesn't fit, or None when all do.
    """
    before = b""
    rows = executor.execute(
        text(
            "SELECT id, at, actor, act, target, detail, hash FROM audit_entry"
            " WHERE tenant_id IS NOT DISTINCT FROM :owner ORDER BY id"
        ),
        {"owner": tenant_id},
    )
    for row in rows:
        expected = _hash(before, [tenant_id, _written(row.at), row.actor, row.act, row.target, row.detail])
        if not hmac.compare_digest(expected, bytes(row.hash)):
            return int(row.id)
        before = bytes(row.hash)
    return None


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _hash(before: bytes, fields: Sequence[object]) -> bytes:
    """Chain an entry's owner, time, actor, act, target and detail, in this order, to the hash before it."""
    return sha256(before + json.dumps(fields, sort_keys=True, ensure_ascii=False).encode()).digest()
