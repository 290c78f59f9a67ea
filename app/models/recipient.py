"""The people written to, with where each of them stands."""

from datetime import date

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Model
from app.models.base import CreatedAt, TenantOwned, Time, owned, refers_to
from app.models.campaign import Campaign


class Recipient(TenantOwned, Model):
    """送信先. Three states with the time of each step; `app.states.transitions` alone writes them.

    Columns that change while an SMS goes out and arrives are in no index, and pages have room: updates stay HOT.
    """

    __tablename__ = "recipient"
    __table_args__ = owned(
        refers_to("campaign", "campaign_id", ondelete="CASCADE"),
        refers_to("reminder", "reminder_id"),
        UniqueConstraint("campaign_id", "identity_key"),
        Index("ix_recipient_campaign_id_id", "campaign_id", "id"),
        # by number, and how many of a few campaigns have it
        Index("ix_recipient_tenant_id_phone_index_campaign_id", "tenant_id", "phone_index", "campaign_id"),
        Index("ix_recipient_capped", "tenant_id", "id", postgresql_where=text("capped_at IS NOT NULL")),
        Index("ix_recipient_tenant_id_phone_last4_index_id", "tenant_id", "phone_last4_index", "id"),
        Index("ix_recipient_tenant_id_reference_id", "tenant_id", "reference", "id"),
        # for lists; none of these columns changes while an SMS goes out and arrives
        Index(
            "ix_recipient_tenant_id_page_state_id",
            "tenant_id",
            "page_state",
            "id",
            postgresql_where=text("page_state <> 'unopened'"),
        ),
        Index(
            "ix_recipient_tenant_id_payment_state_id",
            "tenant_id",
            "payment_state",
            "id",
            postgresql_where=text("payment_state NOT IN ('none', 'unpaid')"),
        ),
        Index("ix_recipient_undelivered", "tenant_id", "id", postgresql_where=text("undelivered_at IS NOT NULL")),
        Index("ix_recipient_unknown", "tenant_id", "id", postgresql_where=text("unknown_at IS NOT NULL")),
        Index("ix_recipient_retry_at", "retry_at", postgresql_where=text("retry_at IS NOT NULL")),
        Index(
            "ix_recipient_campaign_id_retry_at",
            "campaign_id",
            "retry_at",
            postgresql_where=text("retry_at IS NOT NULL"),
        ),
        {"postgresql_with": {"fillfactor": "50"}},
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    campaign_id: Mapped[int] = mapped_column(BigInteger)
    import_id: Mapped[int | None] = mapped_column(BigInteger)
    sheet_row: Mapped[int | None]
    # makes the same row of a list the same person when it is uploaded again
    identity_key: Mapped[bytes] = mapped_column(LargeBinary)
    # tells whether that row says the same
    row_digest: Mapped[bytes] = mapped_column(LargeBinary)
    reference: Mapped[str] = mapped_column(Text, server_default="")
    phone_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    phone_index: Mapped[bytes] = mapped_column(LargeBinary)
    phone_last4_index: Mapped[bytes] = mapped_column(LargeBinary)
    # a JSON object of the list's cells by column name
    fields_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    # the answers, kept as digests alone, in the order of the questions
    answer_digests: Mapped[list[bytes]] = mapped_column(ARRAY(LargeBinary), server_default="{}")
    amount_yen: Mapped[int | None] = mapped_column(BigInteger)
    due_date: Mapped[date | None]

    link_generation: Mapped[int] = mapped_column(server_default="1")
    # 16 random bytes, drawn anew with each `link_generation`: token and references are made of them; null in old rows
    link_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    token_digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    link_expires_at: Mapped[Time | None]
    # the generation of the link that last opened the page
    opened_generation: Mapped[int | None]
    failed_attempts: Mapped[int] = mapped_column(server_default="0")

    sms_state: Mapped[str] = mapped_column(Text, server_default="draft")
    page_state: Mapped[str] = mapped_column(Text, server_default="unopened")
    payment_state: Mapped[str] = mapped_column(Text, server_default="none")
    # a write that carries an older fence changes nothing
    fence: Mapped[int] = mapped_column(BigInteger, server_default="0")
    sms_attempt: Mapped[int] = mapped_column(server_default="0")
    sms_code: Mapped[str] = mapped_column(Text, server_default="")
    carrier: Mapped[str] = mapped_column(Text, server_default="")
    # the last reminder that is due or was sent: its text replaces the campaign's
    reminder_id: Mapped[int | None] = mapped_column(BigInteger)
    # when somebody undelivered is due another try by itself
    retry_at: Mapped[Time | None]
    capped_at: Mapped[Time | None]

    created_at: Mapped[CreatedAt]
    queued_at: Mapped[Time | None]
    sent_at: Mapped[Time | None]
    accepted_at: Mapped[Time | None]
    delivered_at: Mapped[Time | None]
    undelivered_at: Mapped[Time | None]
    unknown_at: Mapped[Time | None]
    opened_at: Mapped[Time | None]
    verified_at: Mapped[Time | None]
    viewed_at: Mapped[Time | None]
    locked_at: Mapped[Time | None]
    pay_started_at: Mapped[Time | None]
    pay_pending_at: Mapped[Time | None]
    paid_at: Mapped[Time | None]

    campaign: Mapped[Campaign] = relationship(
        viewonly=True, primaryjoin="Campaign.id == Recipient.campaign_id", foreign_keys=[campaign_id]
    )

    def __str__(self) -> str:
        return self.reference or f"#{self.id}"
