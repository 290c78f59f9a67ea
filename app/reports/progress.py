"""How far a campaign is, cheap enough to be asked every two seconds by everybody who watches it.

Its figures are totals (`app.reports.totals`), the rate comes from the last rows of the send log, by their index. Held
people depend on the time too: they are counted once for all who ask.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from app.campaigns import lifecycle, schedule
from app.extensions import db
from app.models import Campaign
from app.outcomes import manual_review
from app.reports.cached_count import shared
from app.reports.campaign_totals import Figures, figures
from app.states.vocabulary import CampaignState, SmsState

_RATE_OVER = timedelta(seconds=60)
_RATE_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Planned:
    """Retries that leave by themselves: to how many people, and when the first one is due."""

    people: int
    first_at: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a campaign's people stood at `at`.

    `held` are those about whom somebody has to decide. `planned` are the retries that leave by themselves.
    """

    at: datetime
    figures: Figures
    held: int
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
    """Return where the campaign's people stand now."""
    at = datetime.now(UTC)
    now = figures(campaign)
    held = _held(campaign) if now.sms[SmsState.UNKNOWN] else 0
    first_at = lifecycle.first_retry_at(campaign.id) if now.planned else None
    return Progress(at, now, held, Planned(now.planned, first_at) if first_at else None)


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


def _held(campaign: Campaign) -> int:
    return shared(f"held:{campaign.tenant_id}:{campaign.id}", lambda: manual_review.count(campaign), int, int)
