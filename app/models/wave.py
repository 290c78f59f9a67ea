"""Acts upon many people of a campaign, under way."""

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.base import CreatedAt, TenantOwned, Time, owned, refers_to


class Wave(TenantOwned, Model):
    """One act that moves a campaign's people in steps: launch, resend, remind or cancel. One at a time for a campaign.

    `after_id` is the last recipient that was looked at, `people` how many moved so far, of about `total`. `kind` and
    `which` name the people it is for (`app.campaigns.bulk_operations`), `detail` goes into each event.
    """

    __tablename__ = "wave"
    __table_args__ = owned(
        refers_to("campaign", "campaign_id", ondelete="CASCADE"),
        refers_to("reminder", "reminder_id"),
        CheckConstraint("kind IN ('launch', 'resend', 'remind', 'cancel')", name="kind"),
        Index("uq_wave_campaign_id", "campaign_id", unique=True, postgresql_where=text("finished_at IS NULL")),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    campaign_id: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(Text)
    which: Mapped[str] = mapped_column(Text, server_default="")
    detail: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    reminder_id: Mapped[int | None] = mapped_column(BigInteger)
    actor: Mapped[str] = mapped_column(Text)
    total: Mapped[int]
    people: Mapped[int] = mapped_column(server_default="0")
    after_id: Mapped[int] = mapped_column(BigInteger, server_default="0")
    created_at: Mapped[CreatedAt]
    stepped_at: Mapped[CreatedAt]
    finished_at: Mapped[Time | None]
