"""How far a campaign is, cheap enough to be asked every two seconds by everybody who watches it.

To count a million people takes a good second, so a count is shared (`app.reports.cached_count`). The rate comes from
the last rows of the send log, by their index.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from app.campaigns import lifecycle, schedule
from app.campaigns.lifecycle import Planned
from app.extensions import db
from app.models import Campaign
from app.outcomes import manual_review
from app.reports.cached_count import shared
from app.reports.campaign_totals import FUNNEL, HOURS, Figures, figures, response_hours
from app.states.vocabulary import PAGE, PAYMENT, SMS, CampaignState, SmsState, Track

_RATE_OVER = timedelta(seconds=60)
_RATE_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a campaign's people stood at `at`.

    `opened` and `paid` count people by the hour of Japan's day in which they first opened and paid, from 0. `held` are
    those about whom somebody has to decide. `planned` are the retries that leave by themselves.
    """

    at: datetime
    figures: Figures
    held: int
    opened: tuple[int, ...]
    paid: tuple[int, ...]
    planned: Planned | None = None

    @property
    def waiting(self) -> int:
        """How many are still to be sent."""
        return self.figures.sms[SmsState.QUEUED] + self.figures.sms[SmsState.SENDING]

    @property
    def asked_about(self) -> int:
        """How many are asked about by themselves, the held ones left out: each stands in one of both."""
        return max(0, self.figures.sms[SmsState.UNKNOWN] - self.held)


def progress(campaign: Campaign) -> Progress:
    """Return the latest count."""
    return shared(f"progress:{campaign.tenant_id}:{campaign.id}", lambda: _count(campaign), _write, _read)


def rate_per_s(campaign: Campaign, now: datetime) -> float:
    """Return how many SMS a second left within the last minute, by the last rows of the send log."""
    first, rows = db.session.execute(
        text("""
            SELECT min(started_at), count(*) FROM (
                SELECT started_at FROM send_log WHERE campaign_id = :id ORDER BY id DESC LIMIT :most
            ) AS last WHERE started_at > :since
        """),
        {"id": campaign.id, "most": _RATE_ROWS, "since": now - _RATE_OVER},
    ).one()
    return 0.0 if not rows else float(rows) / max((now - first).total_seconds(), 1.0)


def finishes_at(campaign: Campaign, waiting: int, rate: float, now: datetime) -> datetime | None:
    """Return when those who wait will have been written to, at this rate, or at the usual one before there is any.

    None: never, not all of them, or nobody sends now.
    """
    if not waiting or campaign.state != CampaignState.SENDING:
        return None
    return schedule.plan(campaign, waiting, now, rate=rate or None).finishes_at


def _count(campaign: Campaign) -> Progress:
    at = datetime.now(UTC)
    now = figures(campaign.id)
    undecided = manual_review.count(campaign) if now.sms[SmsState.UNKNOWN] else 0
    opened, paid = response_hours(campaign.id)
    return Progress(at, now, undecided, opened, paid, lifecycle.planned(campaign.id))


def _write(found: Progress) -> dict[str, Any]:
    now = found.figures
    return {
        "at": found.at.isoformat(),
        "people": now.people,
        "sms": dict(now.sms),
        "page": dict(now.page),
        "payment": dict(now.payment),
        "funnel": [count for _, count in now.funnel],
        "held": found.held,
        "opened": found.opened,
        "paid": found.paid,
        "planned": found.planned and [found.planned.people, found.planned.first_at.isoformat()],
    }


def _read(told: dict[str, Any]) -> Progress:
    funnel = tuple((word, int(count)) for (word, _), count in zip(FUNNEL, told["funnel"], strict=True))
    sms, page, payment = (_states(track, told[track.name]) for track in (SMS, PAGE, PAYMENT))
    opened, paid = (tuple(int(n) for _, n in zip(HOURS, told[name], strict=True)) for name in ("opened", "paid"))
    at = datetime.fromisoformat(told["at"])
    planned = None
    if told["planned"] is not None:
        people, first_at = told["planned"]
        planned = Planned(int(people), datetime.fromisoformat(first_at))
    now = Figures(int(told["people"]), sms, page, payment, funnel)
    return Progress(at, now, int(told["held"]), opened, paid, planned)


def _states(track: Track, told: Mapping[str, int]) -> dict[str, int]:
    return {str(state): int(told[state]) for state in track.words}
