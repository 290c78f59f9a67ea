"""Forget what is over: answers after three days, attempts that were turned away after a month.

In: the sweep, in the platform's scope. Out: at most so many rows fewer of each. Can't happen here: a sweep that takes
long because nobody swept for a while.
"""

from sqlalchemy import text

from app import tenancy
from app.api_access.idempotency import KEPT_H

_MOST = 10_000
_REFUSALS_DAYS = 31
_ANSWERS = """
    DELETE FROM api_answer WHERE id IN (
        SELECT id FROM api_answer WHERE created_at <= now() - make_interval(hours => :kept_h)
        ORDER BY created_at LIMIT :most
    )
"""
_REFUSALS = """
    DELETE FROM api_refusal WHERE id IN (
        SELECT id FROM api_refusal WHERE hour <= now() - make_interval(days => :days) ORDER BY hour LIMIT :most
    )
"""


def forget(most: int = _MOST) -> None:
    """Delete the oldest of what is kept no longer. Commits. The platform's scope must be open."""
    for statement, values in (
        (_ANSWERS, {"kept_h": KEPT_H, "most": most}),
        (_REFUSALS, {"days": _REFUSALS_DAYS, "most": most}),
    ):
        with tenancy.transaction() as connection:
            connection.execute(text(statement), values)
