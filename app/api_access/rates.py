"""How much a key and its company may ask: counted in the database, so that it holds without Redis.

In: a caller and the units of a request. Out: what is left, as the RateLimit fields tell it. Can't happen here: a limit
that counts by process, or that a restart of anything but the database begins anew; a request that is refused and paid
for.

Each has a bucket that fills evenly, full after a minute. A request costs one unit, thousands of rows more.
"""

import math
from dataclasses import dataclass

from app.api_access.entry import Caller
from app.config import settings
from app.tenancy import lookup

WINDOW_S = 60
# so many rows cost as much as a request
ROWS_A_UNIT = 100

# One statement: both buckets filled up to now, and what is asked for taken from each that has it.
_TAKE = f"""
    WITH asked AS (
        SELECT * FROM (VALUES
            (CAST(%s AS bigint), CAST(%s AS text), CAST(%s AS float8)), (CAST(%s AS bigint), 'company', CAST(%s AS float8))
        ) AS given (tenant_id, subject, most)
    ), taken AS (
        INSERT INTO api_rate AS r (tenant_id, subject, units_left, refused, at)
        SELECT tenant_id, subject, CASE WHEN most >= %s THEN most - %s ELSE most END, most < %s, clock_timestamp()
        FROM asked ORDER BY subject DESC
        ON CONFLICT (tenant_id, subject) DO UPDATE SET
            (units_left, refused, at) = (
                SELECT CASE WHEN filled >= %s THEN filled - %s ELSE filled END, filled < %s, greatest(r.at, excluded.at)
                FROM (
                    SELECT least(
                        a.most,
                        r.units_left + greatest(0, extract(epoch FROM excluded.at - r.at)) * a.most / {WINDOW_S}
                    ) AS filled
                    FROM asked a WHERE a.subject = excluded.subject
                ) AS bucket
            )
        RETURNING subject, units_left, refused
    )
    SELECT max(units_left) FILTER (WHERE subject <> 'company'), coalesce(bool_or(refused) FILTER (WHERE subject <> 'company'), false),
        max(units_left) FILTER (WHERE subject = 'company'), coalesce(bool_or(refused) FILTER (WHERE subject = 'company'), false)
    FROM taken
"""  # noqa: S608, E501 - numbers of ours


@dataclass(frozen=True, slots=True)
class _Bucket:
    name: str
    most: int
    left: float
    refused: bool

    def seconds_until(self, units: float) -> int:
        """Return in how many seconds so many units are there, 0 where they are."""
        missing = min(units, self.most) - self.left
        return max(0, math.ceil(missing * WINDOW_S / self.most))


@dataclass(frozen=True, slots=True)
class Taken:
    """The outcome for a request's units: what is left, and whether there were enough."""

    buckets: tuple[_Bucket, ...]
    units: int

    @property
    def refused(self) -> bool:
        """Whether one of the buckets had too little."""
        return any(bucket.refused for bucket in self.buckets)

    @property
    def retry_after_s(self) -> int:
        """Seconds after which the same request may pass."""
        return max(1, *(bucket.seconds_until(self.units) for bucket in self.buckets))

    @property
    def fields(self) -> dict[str, str]:
        """The fields of draft-ietf-httpapi-ratelimit-headers-11: policies, and what is left until they are full."""
        return {
            "RateLimit-Policy": ", ".join(f'"{one.name}";q={one.most};w={WINDOW_S}' for one in self.buckets),
            "RateLimit": ", ".join(
                f'"{one.name}";r={max(0, int(one.left))};t={one.seconds_until(one.most)}' for one in self.buckets
            ),
        }


class TooMany(Exception):  # noqa: N818 - it says what was asked for
    """Refused: too many rows at once for what is left of the limits."""

    def __init__(self, taken: Taken) -> None:
        super().__init__(f"{taken.units} units")
        self.taken = taken


def take_rows(caller: Caller, rows: int) -> None:
    """Take what so many rows cost beside the request itself. Raises TooMany, psycopg.Error."""
    units = rows // ROWS_A_UNIT
    if units and (taken := take(caller, units)).refused:
        raise TooMany(taken)


def take(caller: Caller, units: int = 1) -> Taken:
    """Take so many units for a caller, where both the key and its company have them. Raises psycopg.Error."""
    most_key, most_company = settings().api_key_per_minute, settings().api_company_per_minute
    row = lookup.write(
        _TAKE,
        *(caller.tenant_id, f"key:{caller.key_id}", most_key, caller.tenant_id, most_company),
        *[units] * 6,
    )
    assert row is not None  # noqa: S101 - a sum has a row
    key_left, key_refused, company_left, company_refused = row
    buckets = (
        _Bucket("key", most_key, key_left, key_refused),
        _Bucket("company", most_company, company_left, company_refused),
    )
    return Taken(buckets, units)
