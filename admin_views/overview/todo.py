"""One thing that home says is to be done, and how its rows are counted: no further than a list counts."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Query

from admin_views.framework.keyset_pagination import COUNTED_TO
from app.extensions import db

# of each kind so many are named
NAMED = 3
# nothing happened for so long to what should move
STUCK_AFTER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Todo:
    """One thing to do: why, and where."""

    text: str
    button: str
    url: str


def count_of(query: Query[Any]) -> int:
    """Count a query's rows, up to where a list counts too."""
    limited = query.limit(COUNTED_TO).subquery()
    return db.session.scalar(select(func.count()).select_from(limited)) or 0
