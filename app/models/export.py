"""Files made for managers: those being made and made, their pieces, saved layouts, and what is made each day."""

from datetime import date
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.base import CreatedAt, TenantOwned, Time, owned, refers_to


class Export(TenantOwned, Model):
    """書き出し: one file, made by a job from the people that `selection` names.

    `state` is a word of EXPORT (`app.states.vocabulary`); a trigger refuses other moves than its.

    `columns` null stands for all of them. `replaced` counts the characters that the encoding could not hold.
    """

    __tablename__ = "export"
    __table_args__ = owned(
        refers_to("campaign", "campaign_id", ondelete="CASCADE"),
        CheckConstraint("state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'expired')", name="state"),
        Index("ix_export_open", "state", postgresql_where=text("state IN ('queued', 'running', 'done')")),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    campaign_id: Mapped[int | None] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(Text, server_default="queued")
    filename: Mapped[str] = mapped_column(Text)
    form: Mapped[str] = mapped_column(Text)
    selection: Mapped[dict[str, Any]] = mapped_column(JSONB)
    columns: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    rows_total: Mapped[int | None]
    rows_done: Mapped[int] = mapped_column(server_default="0")
    byte_count: Mapped[int] = mapped_column(BigInteger, server_default="0")
    replaced: Mapped[int] = mapped_column(server_default="0")
    daily: Mapped[bool] = mapped_column(server_default=text("false"))
    created_by: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("app_user.id"))
    created_at: Mapped[CreatedAt]
    started_at: Mapped[Time | None]
    beat_at: Mapped[Time | None]
    finished_at: Mapped[Time | None]
    taken_at: Mapped[Time | None]

    def __str__(self) -> str:
        return self.filename


class ExportPiece(TenantOwned, Model):
    """A piece of a file, sealed; they go when the file expires."""

    __tablename__ = "export_piece"
    __table_args__ = owned(
        refers_to("export", "export_id", ondelete="CASCADE"), UniqueConstraint("export_id", "position")
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    export_id: Mapped[int] = mapped_column(BigInteger)
    position: Mapped[int]
    data_sealed: Mapped[bytes] = mapped_column(LargeBinary)


class ExportLayout(TenantOwned, Model):
    """レイアウト: which columns stand in a file, in which order, in which form."""

    __tablename__ = "export_layout"
    __table_args__ = owned(UniqueConstraint("tenant_id", "name"))

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    name: Mapped[str] = mapped_column(Text)
    form: Mapped[str] = mapped_column(Text)
    columns: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[CreatedAt]

    def __str__(self) -> str:
        return self.name


class ExportPlan(TenantOwned, Model):
    """毎日の書き出し of a campaign.

    `made_on` is the last day (its date in Japan) for which a file was ordered.
    """

    __tablename__ = "export_plan"
    __table_args__ = owned(
        refers_to("campaign", "campaign_id", ondelete="CASCADE"),
        UniqueConstraint("campaign_id"),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    campaign_id: Mapped[int] = mapped_column(BigInteger)
    form: Mapped[str] = mapped_column(Text)
    columns: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    made_on: Mapped[date | None]
    created_by: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("app_user.id"))
    created_at: Mapped[CreatedAt]
