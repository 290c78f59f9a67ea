"""Reminders: SMS sent to people of a campaign once more."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.base import CreatedAt, TenantOwned, owned, refers_to


class Reminder(TenantOwned, Model):
    """リマインド: one round of reminding.

    `number` counts a campaign's rounds from 1, so that no press makes two.

    `sms_text` is what this round's people get, merge fields unfilled.
    """

    __tablename__ = "reminder"
    __table_args__ = owned(
        refers_to("campaign", "campaign_id", ondelete="CASCADE"),
        UniqueConstraint("campaign_id", "number"),
        CheckConstraint("which IN ('unopened', 'unpaid')", name="which"),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    campaign_id: Mapped[int] = mapped_column(BigInteger)
    number: Mapped[int]
    which: Mapped[str] = mapped_column(Text)
    sms_text: Mapped[str] = mapped_column(Text)
    people: Mapped[int]
    created_by: Mapped[int] = mapped_column(BigInteger, ForeignKey("app_user.id"))
    created_at: Mapped[CreatedAt]
