"""The words of home about systems that were turned away."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from flask import url_for
from sqlalchemy import func

from admin_views.framework.access import may_open
from admin_views.framework.scoping import rows
from app.models import ApiRefusal

_LATELY = timedelta(hours=24)


def lately() -> Iterator[tuple[str, str, str]]:
    """Tell managers from how many places a key of theirs was tried within a day, and not taken: why, button, place."""
    if not may_open("api_access"):
        return
    found = rows(ApiRefusal).filter(ApiRefusal.hour > datetime.now(UTC) - _LATELY)
    if count := found.with_entities(func.count(ApiRefusal.address.distinct())).scalar():
        text = f"24時間以内に、{count:,}か所からのAPIの利用を断りました（キーか、接続元アドレスが違います）。"
        yield f"{text}心当たりがなければ、キーを作り直してください。", "内容を見る", url_for("api_access.index")
