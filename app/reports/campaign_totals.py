"""A campaign in numbers: how many stand where, how many came how far, and at which hours they opened and paid."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.models import Campaign
from app.reports.totals import RECIPIENTS, Where, sums
from app.states.vocabulary import PAGE, PAYMENT, SMS, Track

HOURS = range(24)


class _Row(NamedTuple):
    """So many people of a campaign, in the columns of their totals."""

    sms_state: str
    page_state: str
    payment_state: str
    handed: bool
    arrived: bool
    verified: bool
    viewed: bool
    planned: bool
    opened_hour: int
    paid_hour: int
    people: int


# the funnel's steps, and who has come so far: one whose page was opened, or who paid, did so at an hour
_FUNNEL: tuple[tuple[str, Callable[[_Row], bool]], ...] = (
    ("送信", lambda row: row.handed),
    ("到達", lambda row: row.arrived),
    ("開封", lambda row: row.opened_hour >= 0),
    ("認証", lambda row: row.verified),
    ("閲覧", lambda row: row.viewed),
    ("支払", lambda row: row.paid_hour >= 0),
)


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of people by state on each track, all states named, and the funnel from sending to payment.

    `opened` and `paid` count people by the hour of Japan's day in which they first opened and paid, from 0. `planned`
    are those to whom another SMS goes by itself.
    """

    people: int
    sms: Mapping[str, int]
    page: Mapping[str, int]
    payment: Mapping[str, int]
    funnel: tuple[tuple[str, int], ...]
    opened: tuple[int, ...]
    paid: tuple[int, ...]
    planned: int


def figures(campaign: Campaign) -> Figures:
    """Return a campaign's figures as they are now."""
    where = Where(f"{campaign.tenant_id}:{campaign.id}", "campaign_id = :id", "campaign_id = :id", {"id": campaign.id})
    found = sums(RECIPIENTS, _Row._fields[:-1], where, kept=campaign.counted_at is not None)
    rows = [_Row(*one.of, *one.sums) for one in found]
    funnel = tuple((word, sum(row.people for row in rows if reached(row))) for word, reached in _FUNNEL)
    return Figures(
        people=sum(row.people for row in rows),
        sms=_by_state(SMS, rows),
        page=_by_state(PAGE, rows),
        payment=_by_state(PAYMENT, rows),
        funnel=funnel,
        opened=_by_hour("opened_hour", rows),
        paid=_by_hour("paid_hour", rows),
        planned=sum(row.people for row in rows if row.planned),
    )


def _by_state(track: Track, rows: Sequence[_Row]) -> Mapping[str, int]:
    counts = Counter({str(state): 0 for state in track.words})
    for row in rows:
        counts[getattr(row, f"{track.name}_state")] += row.people
    return counts


def _by_hour(column: str, rows: Sequence[_Row]) -> tuple[int, ...]:
    counts: Counter[int] = Counter()
    for row in rows:
        counts[getattr(row, column)] += row.people
    return tuple(counts[hour] for hour in HOURS)
