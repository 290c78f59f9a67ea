"""How far a campaign is, cheap enough to be asked every two seconds by everybody who watches it.

To count a million people takes a good second. So a count is shared by all who ask and lasts twenty times as long as it
took: whoever watches, counting takes no more than a twentieth of one processor, and a campaign of a thousand is as
fresh as ever. One at a time counts; the others get the count before. The rate comes from the last rows of the send log,
by their index. What is lost with Redis is counted anew.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

import redis
import structlog
from sqlalchemy import text

from app.campaigns import timing
from app.delivery import held
from app.extensions import db, redis_client
from app.models import Campaign
from app.tracking.figures import FUNNEL, HOURS, Figures, figures, response_hours
from app.tracking.states import PAGE, PAYMENT, SMS, CampaignState, SmsState, Track

_log = structlog.get_logger()

_LASTS = 20  # times as long as it took to count
_KEPT_S = 86_400
_COUNTING_S = 60  # a count that takes longer is no longer waited for
_RATE_OVER = timedelta(seconds=60)
_RATE_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a campaign's people stood at `at`.

    `opened` and `paid` count people by the hour of Japan's day in which they first opened and paid, from 0. `held` are
    those about whom somebody has to decide.
    """

    at: datetime
    figures: Figures
    held: int
    opened: tuple[int, ...]
    paid: tuple[int, ...]

    @property
    def waiting(self) -> int:
        """How many are still to be sent."""
        return self.figures.sms[SmsState.QUEUED] + self.figures.sms[SmsState.SENDING]


def progress(campaign: Campaign) -> Progress:
    """Give the latest count; a new one where that is too old."""
    key = f"todoke:progress:{campaign.tenant_id}:{campaign.id}"
    try:
        return _shared(campaign, key)
    except redis.RedisError:
        _log.warning("progress counted without redis", campaign_id=campaign.id)
        return _count(campaign)


def rate_per_s(campaign: Campaign, now: datetime) -> float:
    """Give how many SMS a second left within the last minute, by the last rows of the send log."""
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
    """Say when those who wait will have been written to, at this rate, or at the usual one before there is any.

    None: never, not all of them, or nobody sends now.
    """
    if not waiting or campaign.state != CampaignState.SENDING:
        return None
    return timing.plan(campaign, waiting, now, rate=rate or None).finishes_at


def _shared(campaign: Campaign, key: str) -> Progress:
    connection = redis_client.connection
    before = _read(cast("bytes | None", connection.get(key)))
    if before is not None and before[1] > time.time():
        return before[0]
    counting = f"{key}:counting"
    if not connection.set(counting, "1", nx=True, ex=_COUNTING_S) and before is not None:
        return before[0]
    began = time.monotonic()
    try:
        found = _count(campaign)
        took = time.monotonic() - began
        connection.set(key, _written(found, time.time() + took * _LASTS), ex=_KEPT_S)
    finally:
        connection.delete(counting)
    return found


def _count(campaign: Campaign) -> Progress:
    at = datetime.now(UTC)
    now = figures(campaign.id)
    undecided = held.count(campaign) if now.sms[SmsState.UNKNOWN] else 0
    opened, paid = response_hours(campaign.id)
    return Progress(at, now, undecided, opened, paid)


def _written(found: Progress, until: float) -> str:
    now = found.figures
    return json.dumps(
        {
            "at": found.at.isoformat(),
            "until": until,
            "people": now.people,
            "sms": dict(now.sms),
            "page": dict(now.page),
            "payment": dict(now.payment),
            "funnel": [count for _, count in now.funnel],
            "held": found.held,
            "opened": found.opened,
            "paid": found.paid,
        }
    )


def _read(stored: bytes | None) -> tuple[Progress, float] | None:
    """Read a count and until when it lasts; one that another version wrote is none."""
    if not stored:
        return None
    try:
        told = json.loads(stored)
        now = Figures(
            told["people"],
            _states(SMS, told["sms"]),
            _states(PAGE, told["page"]),
            _states(PAYMENT, told["payment"]),
            tuple((word, count) for (word, _), count in zip(FUNNEL, told["funnel"], strict=True)),
        )
        hours = [tuple(int(count) for _, count in zip(HOURS, told[name], strict=True)) for name in ("opened", "paid")]
        at = datetime.fromisoformat(told["at"])
        return Progress(at, now, int(told["held"]), *hours), float(told["until"])
    except (KeyError, ValueError, TypeError):
        return None


def _states(track: Track, told: Mapping[str, int]) -> dict[str, int]:
    return {str(state): int(told[state]) for state in track.words}
