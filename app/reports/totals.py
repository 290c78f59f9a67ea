"""Totals of recipients, attempts and payments: what they are of, and how they are read, from few rows at any size.

Statement triggers add rows beside every change (migration 0049), `app.reports.totals_upkeep` folds them together. A
total is the sum of the rows of its key, folded or not, so it is true at any moment. A campaign of before the triggers
is counted as it is read, once for all who ask, until a job has counted it (`Campaign.counted_at`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import select, text

from app.extensions import db
from app.models import Campaign
from app.reports.cached_count import shared
from app.states import result_codes

# upper ends of the classes of how long a delivery took, seconds; what took longer than the last is of one more
SECONDS = (
    *(1, 2, 3, 5, 7, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800),
    *(3600, 7200, 14400, 43200, 86400, 259200),
)
_HOUR = "coalesce(CAST(extract(hour FROM {} AT TIME ZONE 'Asia/Tokyo') AS smallint), CAST(-1 AS smallint))"
_DAY = "CAST({} AT TIME ZONE 'Asia/Tokyo' AS date)"


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums that are kept of a table's rows: by which keys, of which rows.

    As SQL about `source`.

    The triggers hold the same expressions; `tests/reports/test_totals.py` compares both by every kind of change.
    """

    source: str
    keys: Mapping[str, str]
    sums: Mapping[str, str]
    counted: str = "true"

    @property
    def table(self) -> str:
        """The table of the totals."""
        return f"{self.source}_total"

    @property
    def names(self) -> list[str]:
        """The columns that tell one total from another."""
        return ["tenant_id", "campaign_id", *self.keys]

    def rows(self, where: str = "true") -> str:
        """Return the source's rows of `where` as if each were a total, for FROM."""
        keys = (f"{made} AS {name}" for name, made in self.keys.items())
        sums = (f"{one} AS {name}" for name, one in self.sums.items())
        what = ", ".join(["tenant_id", "campaign_id", *keys, *sums])
        return f"(SELECT {what} FROM {self.source} WHERE {self.counted} AND {where})"  # noqa: S608 - our own words


RECIPIENTS = Totals(
    "recipient",
    {
        "sms_state": "sms_state",
        "page_state": "page_state",
        "payment_state": "payment_state",
        # one whose outcome was asked for goes on to "arrived" without our having heard that it was accepted
        "handed": "(accepted_at IS NOT NULL OR delivered_at IS NOT NULL)",
        "arrived": "(delivered_at IS NOT NULL)",
        "verified": "(verified_at IS NOT NULL)",
        "viewed": "(viewed_at IS NOT NULL)",
        "planned": "(retry_at IS NOT NULL)",
        "opened_hour": _HOUR.format("opened_at"),
        "paid_hour": _HOUR.format("paid_at"),
    },
    {"people": "1"},
)
ATTEMPTS = Totals(
    "send_log",
    {
        "sms_account_id": "sms_account_id",
        "carrier": "carrier",
        "day": _DAY.format("started_at"),
        "state": "state",
        "cause": "CASE WHEN state = 'undelivered' THEN code ELSE '' END",
        # an SMS whose link was opened arrived, but nobody knows when
        "seconds_class": f"""
            CASE WHEN state = 'delivered' AND code <> '{result_codes.OPENED}' AND settled_at IS NOT NULL
            THEN CAST(width_bucket(
                CAST(extract(epoch FROM settled_at - started_at) AS float8),
                CAST(ARRAY[{", ".join(map(str, SECONDS))}] AS float8[])
            ) AS smallint) ELSE CAST(-1 AS smallint) END
        """,
    },
    {"attempts": "1", "units": "coalesce(units, 0)"},
)
PAYMENTS = Totals(
    "payment",
    {"day": _DAY.format("paid_at")},
    {"payments": "1", "yen": "CASE WHEN dispute = 'lost' THEN 0 ELSE amount_yen - refunded_yen END"},
    "state = 'paid' AND paid_at IS NOT NULL",
)
ALL = (RECIPIENTS, ATTEMPTS, PAYMENTS)


class Sum(NamedTuple):
    """One sum: the values of what it is of, in the order asked for, and the sums of its kind of totals."""

    of: tuple[Any, ...]
    sums: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Where:
    """Which totals are read: a condition on them, and one on the source's rows that says the same or more by an index.

    `name` is the answer's, for what is counted once for all who ask: it names the company.
    """

    name: str
    condition: str
    of_source: str
    values: Mapping[str, Any]


def sums(totals: Totals, by: Sequence[str], where: Where, *, kept: bool) -> list[Sum]:
    """Add up the totals of `where` by some of their keys; count the source's rows where they are not `kept`."""
    if kept:
        return _sums(totals, by, where, totals.table)
    return shared(
        f"{totals.source}:{where.name}",
        lambda: _sums(totals, by, where, totals.rows(where.of_source)),
        lambda found: [[[_written(value) for value in one.of], one.sums] for one in found],
        lambda told: [_sum(totals, by, *one) for one in told],
    )


def _sums(totals: Totals, by: Sequence[str], where: Where, rows: str) -> list[Sum]:
    names = ", ".join(by)
    added = ", ".join(f"CAST(sum({name}) AS bigint)" for name in totals.sums)
    statement = f"SELECT {names}, {added} FROM {rows} AS totals WHERE {where.condition} GROUP BY {names}"  # noqa: S608 - our own words
    found = db.session.execute(text(statement), where.values)
    return [Sum(tuple(row[: len(by)]), tuple(row[len(by) :])) for row in found]


def _written(value: Any) -> Any:  # noqa: ANN401 - a key's value
    return value.isoformat() if isinstance(value, date) else value


def _sum(totals: Totals, by: Sequence[str], of: Sequence[Any], added: Sequence[int]) -> Sum:
    """Read a sum that was kept; ValueError where another version kept others."""
    keys = (date.fromisoformat(value) if name == "day" else value for name, value in zip(by, of, strict=True))
    return Sum(tuple(keys), tuple(int(one) for _, one in zip(totals.sums, added, strict=True)))


def are_kept(tenant_id: int) -> bool:
    """Return whether every campaign of a company is in its totals."""
    uncounted = select(Campaign.id).where(Campaign.tenant_id == tenant_id, Campaign.counted_at.is_(None))
    return not db.session.scalar(select(uncounted.exists()))
