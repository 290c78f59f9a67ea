"""Attempts of days past, written as the product has them, for figures of days, carriers and causes."""

from datetime import date, datetime, time, timedelta

import psycopg

from app.values.japan_time import TOKYO

# at noon a day is no other day in UTC
_NOON = time(12, tzinfo=TOKYO)


def attempted(
    database: psycopg.Connection,
    account_id: int,
    count: int,
    day: date,
    state: str = "delivered",
    *,
    carrier: str = "docomo",
    code: str = "",
    seconds: float = 8,
) -> None:
    """Write `count` attempts of an account's campaign on a day, all of them at its first person."""
    at = datetime.combine(day, _NOON)
    ended = at + timedelta(seconds=seconds) if state in {"delivered", "undelivered"} else None
    database.execute(
        """
        INSERT INTO send_log (tenant_id, campaign_id, recipient_id, sms_account_id, attempt, fence, state, code,
            carrier, started_at, settled_at)
        SELECT r.tenant_id, r.campaign_id, r.id, c.sms_account_id,
            n + (SELECT coalesce(max(attempt), 0) FROM send_log WHERE recipient_id = r.id), 1, %s, %s, %s, %s, %s
        FROM (
            SELECT r.* FROM recipient r JOIN campaign c ON c.id = r.campaign_id
            WHERE c.sms_account_id = %s ORDER BY r.id LIMIT 1
        ) AS r JOIN campaign c ON c.id = r.campaign_id, generate_series(1, %s) n
        """,
        [state, code, carrier, at, ended, account_id, count],
    )
