"""Keep totals small and true: fold the rows that were added together, count again and put right.

In: the rows that statement triggers add beside every change of a recipient, an attempt or a payment (migration 0049).
Out: one row for each key, of the same sum; a log line where a count says otherwise. Can't happen here: a row folded
twice or lost (DELETE gives each row to one who folds, and the sum is written by the same statement); a count that
disturbs who sends (it adds what is lacking, by one statement that sees rows and totals at one moment).
"""

from datetime import datetime, time, timedelta

import structlog
from sqlalchemy import Connection, select, text

from app import tenancy
from app.extensions import db
from app.models import Campaign
from app.reports.totals import ALL, Totals
from app.values.japan_time import TOKYO
from app.work_budget import SHIFT_S, WorkBudget

_log = structlog.get_logger()

# how far into Japan's day the night reaches: then totals are compared with counts
_NIGHT = timedelta(hours=3)


def fold() -> int:
    """Fold the rows that were added into one for each key; return how many keys had any.

    The platform's scope must be open. Rows that are added meanwhile are the next fold's.
    """
    folded = 0
    for totals in ALL:
        with tenancy.transaction() as connection:
            # of two schedulers one folds: both would leave two rows for a key, of the right sum
            if connection.execute(text("SELECT pg_try_advisory_xact_lock(hashtextextended('fold', 0))")).scalar_one():
                folded += _fold(connection, totals)
    return folded


def _fold(connection: Connection, totals: Totals) -> int:
    # asked for first: by their numbers the planner reads these campaigns' rows alone, whatever statistics say
    fresh = text(f"SELECT DISTINCT campaign_id FROM {totals.table} WHERE folded_at IS NULL")  # noqa: S608 - our own words
    campaigns = list(connection.execute(fresh).scalars())
    if not campaigns:
        return 0
    names, sums = ", ".join(totals.names), ", ".join(totals.sums)
    # no join, whose order the planner would choose: rows are never changed, so that their place stands for them
    statement = text(f"""
        WITH keyed AS (
            SELECT ctid AS place, bool_or(folded_at IS NULL) OVER (PARTITION BY {names}) AS is_fresh
            FROM {totals.table} WHERE campaign_id = ANY(:campaigns)
        ), gone AS (
            DELETE FROM {totals.table} WHERE ctid = ANY(ARRAY(SELECT place FROM keyed WHERE is_fresh)) RETURNING *
        )
        INSERT INTO {totals.table} ({names}, {sums}, folded_at)
        SELECT {names}, {_sums(totals)}, now() FROM gone GROUP BY {names} HAVING {_any(totals)}
    """)  # noqa: S608 - our own words
    return connection.execute(statement, {"campaigns": campaigns}).rowcount


def _sums(totals: Totals) -> str:
    return ", ".join(f"sum({name})" for name in totals.sums)


def _any(totals: Totals) -> str:
    return " OR ".join(f"sum({name}) <> 0" for name in totals.sums)


def recount(campaign_id: int) -> int:
    """Count a campaign's rows and add what its totals lack; return how many keys differed.

    One statement for each table sees the rows and their totals at one moment, whoever sends or folds meanwhile; two
    that count the same campaign wait for each other. Of a campaign that was counted before, a difference is logged.
    """
    found: dict[str, int] = {}
    with tenancy.transaction() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('recount', :id))"), {"id": campaign_id})
        before = connection.execute(
            text("SELECT counted_at FROM campaign WHERE id = :id"), {"id": campaign_id}
        ).scalar_one_or_none()
        for totals in ALL:
            found[totals.table] = _put_right(connection, totals, campaign_id)
        connection.execute(text("UPDATE campaign SET counted_at = now() WHERE id = :id"), {"id": campaign_id})
    differed = sum(found.values())
    if before is not None and differed:
        _log.error("totals differed from a count and were put right", campaign_id=campaign_id, **found)
    return differed


def _put_right(connection: Connection, totals: Totals, campaign_id: int) -> int:
    names, sums = ", ".join(totals.names), ", ".join(totals.sums)
    kept = ", ".join(f"-{name}" for name in totals.sums)
    statement = f"""
        INSERT INTO {totals.table} ({names}, {sums})
        SELECT {names}, {_sums(totals)} FROM (
            SELECT {names}, {sums} FROM {totals.rows("campaign_id = :id")} AS counted
            UNION ALL SELECT {names}, {kept} FROM {totals.table} WHERE campaign_id = :id
        ) AS compared GROUP BY {names} HAVING {_any(totals)}
    """  # noqa: S608 - our own words
    return connection.execute(text(statement), {"id": campaign_id}).rowcount


def recount_due(tenant_id: int, now: datetime, *, shift_s: float = SHIFT_S) -> bool:
    """Count the company's campaigns of before, and those that changed since they were counted; return whether all are.

    Within a shift. Once all are, the night is over for this company.
    """
    budget = WorkBudget(shift_s)
    day = (now.astimezone(TOKYO) - _NIGHT).date()
    for campaign_id in _due(datetime.combine(day, time.min, TOKYO) + _NIGHT):
        if budget.is_spent:
            return False
        recount(campaign_id)
    with tenancy.transaction() as connection:
        connection.execute(text("UPDATE tenant SET recounted_on = :day WHERE id = :id"), {"day": day, "id": tenant_id})
    return True


def _due(night: datetime) -> list[int]:
    """List the campaigns to count: the open scope's, what people watch first."""
    changed = " OR ".join(
        f"EXISTS (SELECT FROM {one.table} t WHERE t.campaign_id = c.id AND coalesce(t.folded_at, now()) > c.counted_at)"
        for one in ALL
    )
    statement = text(f"""
        SELECT c.id FROM campaign c WHERE c.counted_at IS NULL OR (c.counted_at < :night AND ({changed}))
        ORDER BY c.counted_at IS NOT NULL, c.launched_at DESC NULLS LAST, c.id
    """)  # noqa: S608 - our own words
    with tenancy.transaction() as connection:
        return list(connection.execute(statement, {"night": night}).scalars())


def all_campaigns() -> list[int]:
    """List the campaigns of the open scope."""
    return list(db.session.scalars(select(Campaign.id).order_by(Campaign.id)))
