"""Times as people here read them: Asia/Tokyo, whatever the server's zone."""

from datetime import datetime
from zoneinfo import ZoneInfo

TOKYO = ZoneInfo("Asia/Tokyo")


def japan(at: datetime | None) -> str:
    """Return a time to the second, or nothing: 2026-11-23 21:05:09."""
    return "" if at is None else at.astimezone(TOKYO).strftime("%Y-%m-%d %H:%M:%S")


def japan_minutes(at: datetime | None) -> str:
    """Return a time to the minute in words: 2026年11月23日 21:05."""
    if at is None:
        return ""
    local = at.astimezone(TOKYO)
    return f"{local.year}年{local.month}月{local.day}日 {local:%H:%M}"
