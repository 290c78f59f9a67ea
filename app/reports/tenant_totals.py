"""A company's day and month in numbers: what left, what arrived, what was paid. Counted once for all who ask."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from app.extensions import db
from app.reports.cached_count import shared
from app.values.japan_time import TOKYO


@dataclass(frozen=True, slots=True)
class Period:
    """Totals since a day began: attempts that the provider took, of which so many arrived or didn't; payments.

    `paid_yen` is what stayed: without parts given back and lost disputes. `since` is an ISO day of Japan's calendar.
    """

    since: str
    sent: int
    delivered: int
    undelivered: int
    paid: int
    paid_yen: int


def day_and_month(tenant_id: int, now: datetime) -> tuple[Period, Period]:
    """Return the tenant's day and month so far, by Japan's calendar."""
    today = now.astimezone(TOKYO).date()
    days = (today, today.replace(day=1))
    starts = [datetime(day.year, day.month, day.day, tzinfo=TOKYO).astimezone(UTC) for day in days]
    found = shared(
        f"business:{tenant_id}:{today.isoformat()}",
        lambda: [_since(tenant_id, day.isoformat(), start) for day, start in zip(days, starts, strict=True)],
        lambda periods: [asdict(period) for period in periods],
        lambda told: [Period(**one) for one in told],
    )
    return found[0], found[1]


def _since(tenant_id: int, day: str, start: datetime) -> Period:
    values: dict[str, Any] = {"tenant_id": tenant_id, "start": start}
    sent = db.session.execute(
        text("""
            SELECT count(*) FILTER (WHERE state IN ('accepted', 'delivered', 'undelivered')),
                count(*) FILTER (WHERE state = 'delivered'), count(*) FILTER (WHERE state = 'undelivered')
            FROM send_log WHERE tenant_id = :tenant_id AND started_at >= :start
        """),
        values,
    ).one()
    paid = db.session.execute(
        text("""
            SELECT count(*), coalesce(sum(amount_yen - refunded_yen) FILTER (WHERE dispute <> 'lost'), 0) FROM payment
            WHERE tenant_id = :tenant_id AND paid_at >= :start AND state = 'paid'
        """),
        values,
    ).one()
    return Period(day, sent[0], sent[1], sent[2], paid[0], int(paid[1]))
