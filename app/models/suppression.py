"""Numbers that a company sends nothing to, and those that are proposed for it."""

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Model
from app.models.base import CreatedAt, TenantOwned, Time, owned, refers_to
from app.models.recipient import Recipient

_REASONS = "('wish', 'wrong_number', 'lawyer', 'contract_ended', 'other')"


class Suppression(TenantOwned, Model):
    """送信しない番号: a number that gets no SMS of its company.

    The blind index stands here, never the number.

    It counts from `since` until `until`, without an end where that is null. A number stands here once: one that is put
    on the list again keeps its row, and the audit tells of what was before. `reason` is one of
    `app.values.suppression_reasons`, `added_by` an actor as in the audit, `note_sealed` a clerk's own words.
    """

    __tablename__ = "suppression"
    __table_args__ = owned(
        UniqueConstraint("tenant_id", "phone_index"),
        CheckConstraint(f"reason IN {_REASONS}", name="reason"),
        CheckConstraint("octet_length(phone_index) = 16", name="phone_index"),
    )

    phone_index: Mapped[bytes] = mapped_column(LargeBinary)
    reason: Mapped[str] = mapped_column(Text)
    since: Mapped[CreatedAt]
    until: Mapped[Time | None]
    note_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    added_by: Mapped[str] = mapped_column(Text)


class SuppressionProposal(TenantOwned, Model):
    """A number that is proposed for the list; a clerk confirms or dismisses it.

    `source` is `person`, who pressed 心当たりがない on their page, or `vacant`: a service called the number vacant.
    `recipient_id` is the person whose page or SMS it was; an open proposal of a number stands here once.
    """

    __tablename__ = "suppression_proposal"
    __table_args__ = owned(
        refers_to("recipient", "recipient_id", ondelete="CASCADE"),
        CheckConstraint(f"reason IN {_REASONS}", name="reason"),
        CheckConstraint("source IN ('person', 'vacant')", name="source"),
        CheckConstraint("verdict IN ('', 'confirmed', 'dismissed')", name="verdict"),
        Index(
            "uq_suppression_proposal_open",
            "tenant_id",
            "phone_index",
            unique=True,
            postgresql_where=text("settled_at IS NULL"),
        ),
        Index("ix_suppression_proposal_open", "tenant_id", "id", postgresql_where=text("settled_at IS NULL")),
        Index("ix_suppression_proposal_recipient_id", "recipient_id"),
        Index("ix_suppression_proposal_tenant_id_phone_index", "tenant_id", "phone_index"),
    )

    phone_index: Mapped[bytes] = mapped_column(LargeBinary)
    recipient_id: Mapped[int] = mapped_column(BigInteger)
    source: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[CreatedAt]
    settled_at: Mapped[Time | None]
    settled_by: Mapped[str] = mapped_column(Text, server_default="")
    verdict: Mapped[str] = mapped_column(Text, server_default="")

    recipient: Mapped[Recipient] = relationship(
        viewonly=True, primaryjoin="Recipient.id == SuppressionProposal.recipient_id", foreign_keys=[recipient_id]
    )
