"""Numbers to which an SMS left that a restored database forgot: one condition for the claim, the check and screens."""

from sqlalchemy import ColumnElement, exists, func, select

from app.db import Of
from app.extensions import db
from app.models import Campaign, MissedMessage, Recipient


def missed(person: Of[Recipient]) -> ColumnElement[bool]:
    """Return the condition that a recipient has such a number, which no manager released."""
    return (
        exists()
        .where(
            MissedMessage.tenant_id == person.tenant_id,
            MissedMessage.phone_index == person.phone_index,
            MissedMessage.released_at.is_(None),
        )
        .correlate(person)
    )


def count(campaign: Campaign) -> int:
    """Count the campaign's people with such a number, held already or not yet."""
    anybody = select(MissedMessage.id).where(
        MissedMessage.tenant_id == campaign.tenant_id, MissedMessage.released_at.is_(None)
    )
    if db.session.execute(anybody.limit(1)).first() is None:
        return 0
    people = select(func.count()).select_from(Recipient)
    return db.session.scalars(people.where(Recipient.campaign_id == campaign.id, missed(Recipient))).one()


def warnings(campaign: Campaign) -> list[str]:
    """Describe at the check how many won't be sent to, and what a manager can do."""
    people = count(campaign)
    if not people:
        return []
    return [
        (
            f"{people:,}人の番号には、データベースを復元する前にSMSが送られています（いまの記録には残っていません）。"
            "二重に送らないよう、この方々には送らずに止めます。"
            "送ってよいときは、管理者が「状況」の画面で送信を許可してください。"
        )
    ]
