"""Numbers that get nothing, as one condition about recipients: for the claim, the check and screens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, func, or_, select

from app.db import Executor, Of
from app.extensions import db
from app.models import Campaign, Recipient, Suppression
from app.values.suppression_reasons import REASON_WORDS, SuppressionReason


def counts(entry: Of[Suppression]) -> ColumnElement[bool]:
    """Return the condition that a number on the list gets nothing now: its end, where it has one, is still to come."""
    return or_(entry.until.is_(None), entry.until > func.now())


_ANY = select(1).where(Suppression.tenant_id == bindparam("tenant_id"), counts(Suppression)).limit(1)


def reason_of(person: Of[Recipient]) -> ColumnElement[Any]:
    """Return the reason why a person's number gets nothing; NULL for everybody else.

    A scalar subquery: one look into the list's index for each person. As EXISTS the planner could read the whole list
    into a hash for a few people.
    """
    return (
        select(Suppression.reason)
        .where(
            Suppression.tenant_id == person.tenant_id,
            Suppression.phone_index == person.phone_index,
            counts(Suppression),
        )
        .correlate(person)
        .scalar_subquery()
    )


def suppressed(person: Of[Recipient]) -> ColumnElement[bool]:
    """Return the condition that a person's number gets nothing."""
    return reason_of(person).is_not(None)


def has_any(executor: Executor, tenant_id: int) -> bool:
    """Return whether a number is on a company's list now."""
    return executor.execute(_ANY, {"tenant_id": tenant_id}).first() is not None


def reason_for(executor: Executor, tenant_id: int, phone_index: bytes) -> SuppressionReason | None:
    """Return why a company sends nothing to a number now; None where it does."""
    found = executor.execute(
        select(Suppression.reason).where(
            Suppression.tenant_id == tenant_id, Suppression.phone_index == phone_index, counts(Suppression)
        )
    ).scalar()
    return None if found is None else SuppressionReason(found)


def count(campaign: Campaign) -> int:
    """Return how many of a campaign's people are on the list now. Reads every row of the campaign."""
    if not has_any(db.session, campaign.tenant_id):
        return 0
    return db.session.scalar(_both(campaign).with_only_columns(func.count())) or 0


@dataclass(frozen=True, slots=True)
class Listed:
    """How many of a campaign's people are on the list, with the first of them: id, reference, sheet_row, reason."""

    people: int
    first: Sequence[Row[*tuple[Any, ...]]]


def listed(campaign: Campaign, most: int) -> Listed:
    """Return who of a campaign is on the list.

    Reads every row of it: for jobs, not for pages.
    """
    people = count(campaign)
    if not people:
        return Listed(0, ())
    both = _both(campaign)
    named = (Recipient.id, Recipient.reference, Recipient.sheet_row, Suppression.reason)
    first = db.session.execute(both.with_only_columns(*named).order_by(Recipient.id).limit(most)).all()
    return Listed(people, first)


def _both(campaign: Campaign) -> Select[Any]:
    same = and_(
        Suppression.tenant_id == Recipient.tenant_id,
        Suppression.phone_index == Recipient.phone_index,
        counts(Suppression),
    )
    return (
        select(Recipient.id)
        .join(Suppression, same)
        .where(Recipient.tenant_id == campaign.tenant_id, Recipient.campaign_id == campaign.id)
    )


def warnings(people: int) -> list[str]:
    """Describe before the launch how many won't be sent to."""
    if not people:
        return []
    words = (
        f"「送信しない番号」に登録されている送信先が{people:,}件あります。"
        "この方々には送らず、「取消」にします。ほかの送信先への送信は続きます。"
        "送ってよいときは、「送信しない番号」の画面で登録を終えてから送信してください。"
    )
    return [words]


def words_of(reason: str) -> str:
    """Describe a person on the list in Japanese, as the check and lists of rows do."""
    return f"送信しない番号です（{REASON_WORDS[SuppressionReason(reason)]}）。この方には送りません。"
