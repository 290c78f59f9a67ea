"""Receipts that wait: claimed in small numbers by whoever has time, each with a back-off of its own.

In: an account. Out: receipts that nobody else works on until `LEASE_S` is over, or what became of them. Can't happen
here: two workers that ask about one message at the same time, or a receipt that keeps another waiting: what can't be
settled now is due later, behind all that is due now. A claim is committed before anybody is asked.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, select, text, true
from sqlalchemy.orm import aliased

from app import tenancy
from app.db import Of, in_text
from app.models import Receipt, SmsAccount
from app.states import bulk_values

# longer than a claim's questions may take; a worker that died holds its claim up for so long
LEASE_S = 45

_FIRST_PAUSE_S = 20.0
_LONGEST_PAUSE_S = 3600.0

# without the account's index: see `_followers`
_SAME_ACCOUNT = "o.sms_account_id + 0 = r.sms_account_id"


def _is_free(receipt: Of[Receipt]) -> ColumnElement[bool]:
    """Return the condition that a receipt is due, and held by nobody."""
    return and_(
        receipt.applied_at.is_(None),
        receipt.try_at <= func.now(),
        func.coalesce(receipt.leased_until < func.now(), true()),
    )


_FREE = in_text(_is_free, aliased(Receipt, name="r"))


@dataclass(frozen=True, slots=True)
class Waiting:
    """A claimed receipt.

    `message_id` is the one message it names, `asked_at` when it was claimed.
    """

    id: int
    message_id: str | None
    body_sealed: bytes
    received_at: datetime
    tries: int
    asked_at: datetime


def due_tenants() -> Select[int]:
    """Return the statement that finds the tenants with receipts to be worked on now, for the sweep."""
    return select(SmsAccount.tenant_id).distinct().where(_has_due())


def _has_due() -> ColumnElement[bool]:
    """Return the condition that an account has receipts that are due.

    None of an account that is to be left alone are (`app.outcomes.provider_queries`).
    """
    return and_(
        func.coalesce(SmsAccount.ask_after <= func.now(), true()),
        exists().where(Receipt.sms_account_id == SmsAccount.id, _is_free(Receipt)).correlate(SmsAccount),
    )


def accounts() -> Sequence[int]:
    """Return the tenant's accounts that have receipts to be worked on now."""
    with tenancy.transaction() as connection:
        return connection.scalars(select(SmsAccount.id).where(_has_due()).order_by(SmsAccount.id)).all()


def claim(account_id: int, *, tried: bool, limit: int) -> Sequence[Waiting]:
    """Claim receipts that are due, either new ones or such as were `tried` before.

    Of several that name one message the oldest leads; the others wait for what becomes of it.
    """
    with tenancy.transaction() as connection:
        rows = connection.execute(
            text(f"""
                UPDATE receipt SET leased_until = now() + make_interval(secs => :lease_s)
                WHERE id = ANY (ARRAY(
                    SELECT r.id FROM receipt r
                    WHERE r.sms_account_id = :account_id AND {_FREE} AND (r.tries > 0) = :tried
                    -- counted, for of an EXISTS the planner may make a join that reads all for each
                    AND 0 = (
                        SELECT count(*) FROM receipt o
                        WHERE o.message_id = r.message_id AND {_SAME_ACCOUNT} AND o.id <> r.id
                        AND o.applied_at IS NULL
                        AND (o.leased_until >= now() OR (o.id < r.id AND o.try_at <= now()))
                    )
                    ORDER BY r.try_at, r.id LIMIT :limit FOR UPDATE SKIP LOCKED
                ))
                RETURNING id, message_id, body_sealed, received_at, tries, now()
            """),  # noqa: S608 - our own words
            {"account_id": account_id, "tried": tried, "limit": limit, "lease_s": LEASE_S},
        )
        return sorted((Waiting(*row) for row in rows), key=lambda item: item.id)


def settle(connection: Connection, account_id: int, outcomes: Mapping[Waiting, str]) -> None:
    """Put receipts away with what came of them, and with each those that named its message before it was asked about.

    A later receipt waits: the answer may be older than it.
    """
    done = {item.id: outcome for item, outcome in outcomes.items()}
    for follower, leader in _followers(connection, account_id, list(outcomes)).items():
        done.setdefault(follower, outcomes[leader])
    if not done:
        return
    table, values = bulk_values.table({"id": ("bigint", list(done)), "outcome": ("text", list(done.values()))})
    connection.execute(
        text(f"""
            UPDATE receipt r SET applied_at = now(), outcome = u.outcome, leased_until = NULL
            FROM {table} AS u WHERE r.id = u.id AND r.id BETWEEN :u_first AND :u_last
        """),  # noqa: S608 - our own words
        values,
    )


def put_off(connection: Connection, account_id: int, items: Sequence[Waiting]) -> None:
    """Have receipts tried again, each the later the more often it was; one of a message carries on for all of it."""
    if not items:
        return
    followers = _followers(connection, account_id, items)
    connection.execute(
        text("UPDATE receipt SET applied_at = now(), outcome = 'told again later' WHERE id = ANY(:ids)"),
        {"ids": sorted(set(followers) - {item.id for item in items})},
    )
    table, values = bulk_values.table(
        {
            "id": ("bigint", [item.id for item in items]),
            "pause_s": ("double precision", [pause_s(item.tries) for item in items]),
        }
    )
    connection.execute(
        text(f"""
            UPDATE receipt r SET tries = r.tries + 1, leased_until = NULL,
                try_at = now() + make_interval(secs => u.pause_s)
            FROM {table} AS u WHERE r.id = u.id AND r.id BETWEEN :u_first AND :u_last
        """),  # noqa: S608 - our own words
        values,
    )


def give_back(connection: Connection, items: Sequence[Waiting], wait_s: float) -> None:
    """Release receipts that nobody was asked about: due again in `wait_s` seconds, as if not tried."""
    if not items:
        return
    connection.execute(
        text("""
            UPDATE receipt SET leased_until = NULL, try_at = now() + make_interval(secs => :wait_s)
            WHERE id = ANY(:ids)
        """),
        {"ids": [item.id for item in items], "wait_s": wait_s},
    )


def forget(connection: Connection, items: Sequence[Waiting]) -> None:
    """Delete receipts that are about nobody whom the database knows."""
    if items:
        connection.execute(text("DELETE FROM receipt WHERE id = ANY(:ids)"), {"ids": [item.id for item in items]})


def pause_s(tries: int) -> float:
    """Return how long a receipt waits that was tried in vain so often before, seconds: at first under half a minute."""
    return min(_FIRST_PAUSE_S * 2.0 ** min(tries, 10), _LONGEST_PAUSE_S) * random.uniform(0.75, 1)  # noqa: S311 - no secret


def _followers(connection: Connection, account_id: int, items: Sequence[Waiting]) -> dict[int, Waiting]:
    """Return the other receipts of these messages that had come when the message was asked about, each with its leader.

    They are found by the message's id alone: a planner that knows nothing of the newest receipts would else read all
    of the account's.
    """
    leaders = {item.message_id: item for item in items if item.message_id is not None}
    rows = connection.execute(
        text("""
            SELECT id, message_id, received_at FROM receipt
            WHERE message_id = ANY(:names) AND sms_account_id + 0 = :account_id AND applied_at IS NULL
        """),
        {"names": list(leaders), "account_id": account_id},
    )
    return {
        row.id: leaders[row.message_id]
        for row in rows
        if row.id != leaders[row.message_id].id and row.received_at <= leaders[row.message_id].asked_at
    }
