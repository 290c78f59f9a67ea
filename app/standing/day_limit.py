"""How many people a standing campaign takes in on a day of Japan's calendar, counted where they are put down.

The approval holds for so many: a program that goes wrong writes to no more than that. The versions of a campaign's
words share the count.
"""

from datetime import UTC, date, datetime

from sqlalchemy import text

from app.campaigns import standing_line
from app.extensions import db
from app.models import Campaign
from app.problems import Kind, Problem
from app.values.japan_time import TOKYO

_FULL = Kind(
    "standing_day_limit_reached",
    "この常設配信が1日に受け付ける上限（{limit:,}人）に達しました。明日また送れます。上限を変えるには、"
    "文面と設定の変更と同じように、確認と承認をやり直します。",
)


def today(campaign: Campaign) -> int:
    """Return how many people came today, to whichever version."""
    return int(
        db.session.execute(
            text("SELECT coalesce(sum(people), 0) FROM standing_day WHERE campaign_id = :id AND day = :day"),
            {"id": standing_line.line_of(campaign), "day": _day()},
        ).scalar_one()
    )


def problems(campaign: Campaign) -> list[Problem]:
    """Return that the day is full, the line being locked."""
    limit = campaign.day_limit or 0
    return [_FULL(limit=limit)] if today(campaign) >= limit else []


def count(campaign: Campaign) -> None:
    """Count one more, in the transaction that puts them down."""
    db.session.execute(
        text("""
            INSERT INTO standing_day (tenant_id, campaign_id, day, people) VALUES (:tenant_id, :id, :day, 1)
            ON CONFLICT (campaign_id, day) DO UPDATE SET people = standing_day.people + 1
        """),
        {"tenant_id": campaign.tenant_id, "id": standing_line.line_of(campaign), "day": _day()},
    )


def _day() -> date:
    return datetime.now(UTC).astimezone(TOKYO).date()
