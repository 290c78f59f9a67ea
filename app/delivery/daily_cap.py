"""How many SMS a company may send on one day of Japan's calendar, counted in the transaction that claims them.

A claim counts from the moment it is committed, so that many workers together never pass the cap; what provably did not
leave is given back.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta

from sqlalchemy import Connection, text

from app.db import Executor
from app.states import bulk_values
from app.values.japan_time import TOKYO


def left(connection: Connection, tenant_id: int, cap: int) -> int:
    """Return how many more may be claimed today, and keep other workers from claiming until the transaction ends."""
    values = {"tenant_id": tenant_id, "day": datetime.now(UTC).astimezone(TOKYO).date()}
    # a cap that was set in the course of the day counts what left before it
    connection.execute(
        text("""
            INSERT INTO sending_day (tenant_id, day, messages)
            SELECT :tenant_id, :day, (
                SELECT count(*) FROM send_log
                WHERE tenant_id = :tenant_id AND started_at >= CAST(:day AS timestamp) AT TIME ZONE 'Asia/Tokyo'
                AND state <> 'cancelled'
            )
            WHERE NOT EXISTS (SELECT FROM sending_day WHERE tenant_id = :tenant_id AND day = :day)
            ON CONFLICT (tenant_id, day) DO NOTHING
        """),
        values,
    )
    row = connection.execute(
        text("SELECT messages FROM sending_day WHERE tenant_id = :tenant_id AND day = :day FOR NO KEY UPDATE"), values
    ).one()
    return max(0, cap - int(row.messages))


def spent(executor: Executor, tenant_id: int) -> int:
    """Return how many SMS of a company with a cap were claimed today, without a lock: to be told, not to decide by."""
    found: int = executor.execute(
        text("""
            SELECT coalesce(
                (SELECT messages FROM sending_day WHERE tenant_id = :tenant_id AND day = :day),
                (
                    SELECT count(*) FROM send_log
                    WHERE tenant_id = :tenant_id AND started_at >= CAST(:day AS timestamp) AT TIME ZONE 'Asia/Tokyo'
                    AND state <> 'cancelled'
                )
            )
        """),
        {"tenant_id": tenant_id, "day": datetime.now(UTC).astimezone(TOKYO).date()},
    ).scalar_one()
    return found


def add(connection: Connection, tenant_id: int, number: int) -> None:
    """Count claims. Nothing happens on a day not counted."""
    if number:
        connection.execute(
            text("UPDATE sending_day SET messages = messages + :number WHERE tenant_id = :tenant_id AND day = :day"),
            {"tenant_id": tenant_id, "day": datetime.now(UTC).astimezone(TOKYO).date(), "number": number},
        )


def give_back(connection: Connection, tenant_id: int, attempts: Sequence[tuple[int, int]]) -> None:
    """Take attempts, (recipient id, attempt) each, that provably did not leave off the days on which they began."""
    if not attempts:
        return
    table, values = bulk_values.table(
        {"id": ("bigint", [one for one, _ in attempts]), "attempt": ("integer", [number for _, number in attempts])}
    )
    connection.execute(
        text(f"""
            WITH n AS MATERIALIZED (
                SELECT CAST(l.started_at AT TIME ZONE 'Asia/Tokyo' AS date) AS day, count(*) AS messages
                FROM send_log l JOIN {table} AS u ON u.id = l.recipient_id AND u.attempt = l.attempt
                WHERE l.recipient_id BETWEEN :u_first AND :u_last GROUP BY 1
            ), locked AS MATERIALIZED (
                SELECT d.day FROM sending_day d WHERE d.tenant_id = :tenant_id AND d.day IN (SELECT day FROM n)
                ORDER BY d.day FOR NO KEY UPDATE
            )
            UPDATE sending_day d SET messages = greatest(0, d.messages - n.messages)
            FROM n JOIN locked USING (day) WHERE d.tenant_id = :tenant_id AND d.day = n.day
        """),  # noqa: S608 - our own words
        values | {"tenant_id": tenant_id},
    )


def tomorrow(now: datetime) -> datetime:
    """Return the beginning of the next day of Japan's calendar."""
    day = now.astimezone(TOKYO).date() + timedelta(days=1)
    return datetime.combine(day, time(), TOKYO).astimezone(UTC)
