"""Uploaded lists, on their way to recipients."""

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Model
from app.models.base import CreatedAt, TenantOwned, Time, owned, refers_to
from app.models.campaign import Campaign


class Import(TenantOwned, Model):
    """取込: one uploaded file.

    `state` is a word of IMPORT (`app.states.vocabulary`); a trigger refuses other moves than its.

    `notices` say in Japanese who of a taken list is written to by other campaigns too. `longest` tells whose SMS of a
    taken list is the longest: recipient_id, sheet_row, and the merge fields for which that holds (`intake.longest`).
    `header_row` is the sheet row of the headline, 0 where it is looked for anew (lists of before it was kept).
    `sheet` is the one of a workbook that is read, `hidden_rows` how many of its rows are hidden (None until a worker
    has looked through the whole upload), `take_hidden` whether they are taken all the same. `findings` is what else
    that look found, column by column (`intake.checking.whole_list.Finding`). `same_number` is how many people of before
    had the number of somebody of this list when that was taken.
    """

    __tablename__ = "import"
    __table_args__ = owned(
        refers_to("campaign", "campaign_id", ondelete="CASCADE"),
        CheckConstraint("state IN ('mapping', 'queued', 'running', 'done', 'failed', 'cancelled')", name="state"),
        Index("ix_import_campaign_id_id", "campaign_id", "id"),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    campaign_id: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(Text, server_default="mapping")
    filename: Mapped[str] = mapped_column(Text)
    byte_count: Mapped[int] = mapped_column(BigInteger, server_default="0")
    content_digest: Mapped[bytes] = mapped_column(LargeBinary)
    encoding: Mapped[str] = mapped_column(Text, server_default="")
    header_row: Mapped[int] = mapped_column(server_default="0")
    header: Mapped[list[str]] = mapped_column(JSONB, server_default="[]")
    mapping: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    sheet: Mapped[str] = mapped_column(Text, server_default="")
    hidden_rows: Mapped[int | None] = mapped_column(server_default="0")
    take_hidden: Mapped[bool] = mapped_column(server_default="false")
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")
    rows_read: Mapped[int] = mapped_column(server_default="0")
    rows_added: Mapped[int] = mapped_column(server_default="0")
    rows_known: Mapped[int] = mapped_column(server_default="0")
    rows_rejected: Mapped[int] = mapped_column(server_default="0")
    rows_ignored: Mapped[int] = mapped_column(server_default="0")
    warnings: Mapped[int] = mapped_column(server_default="0")
    bytes_read: Mapped[int] = mapped_column(BigInteger, server_default="0")
    problem: Mapped[str] = mapped_column(Text, server_default="")
    same_number: Mapped[int] = mapped_column(server_default="0")
    notices: Mapped[list[str]] = mapped_column(JSONB, server_default="[]")
    longest: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    created_by: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("app_user.id"))
    created_at: Mapped[CreatedAt]
    started_at: Mapped[Time | None]
    beat_at: Mapped[Time | None]
    finished_at: Mapped[Time | None]

    campaign: Mapped[Campaign] = relationship(
        viewonly=True, primaryjoin="Campaign.id == Import.campaign_id", foreign_keys=[campaign_id]
    )

    def __str__(self) -> str:
        return self.filename


class ImportChunk(TenantOwned, Model):
    """A piece of the uploaded file, sealed: any worker on any machine can read it; deleted once the import is over."""

    __tablename__ = "import_chunk"
    __table_args__ = owned(
        refers_to("import", "import_id", ondelete="CASCADE"),
        UniqueConstraint("import_id", "position"),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    import_id: Mapped[int] = mapped_column(BigInteger)
    position: Mapped[int]
    data_sealed: Mapped[bytes] = mapped_column(LargeBinary)


class ImportFault(TenantOwned, Model):
    """A finding in a row.

    `level` is error (the row was not taken; it is kept, sealed), warning or ignored.

    `recipient_id` is whom a row that was taken became; null in rows of before, and where a row was known already.
    """

    __tablename__ = "import_fault"
    __table_args__ = owned(
        refers_to("import", "import_id", ondelete="CASCADE"),
        CheckConstraint("level IN ('error', 'warning', 'ignored')", name="level"),
        Index("ix_import_fault_import_id_sheet_row", "import_id", "sheet_row"),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    import_id: Mapped[int] = mapped_column(BigInteger)
    sheet_row: Mapped[int]
    column_name: Mapped[str | None] = mapped_column(Text)
    level: Mapped[str] = mapped_column(Text)
    code: Mapped[str] = mapped_column(Text)
    message: Mapped[str] = mapped_column(Text)
    row_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    recipient_id: Mapped[int | None] = mapped_column(BigInteger)


class ExcludedRecipient(TenantOwned, Model):
    """対象外: a row of a list that was taken and is not to be written to, to be taken back before the launch.

    `recipient` is its row in `recipient` as it stood, sealed and digested for its id; `replaced` says that a later row
    took its place. A list that brings the same row again doesn't bring it back.
    """

    __tablename__ = "excluded_recipient"
    __table_args__ = owned(
        refers_to("campaign", "campaign_id", ondelete="CASCADE"),
        Index("ix_excluded_recipient_campaign_id_identity_key", "campaign_id", "identity_key"),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    campaign_id: Mapped[int] = mapped_column(BigInteger)
    import_id: Mapped[int | None] = mapped_column(BigInteger)
    sheet_row: Mapped[int | None]
    recipient_id: Mapped[int] = mapped_column(BigInteger)
    identity_key: Mapped[bytes] = mapped_column(LargeBinary)
    recipient: Mapped[dict[str, Any]] = mapped_column(JSONB)
    replaced: Mapped[bool] = mapped_column(server_default="false")
    created_at: Mapped[CreatedAt]
