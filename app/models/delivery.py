"""The work of sending: slices, attempts, receipts."""

from datetime import date

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Model
from app.models.base import CreatedAt, Id, TenantOwned, Time, owned, refers_to
from app.models.campaign import Campaign
from app.models.recipient import Recipient


class Slice(TenantOwned, Model):
    """A range of a campaign's recipients: what a worker leases.

    `due_at` is null when nothing is left to send.

    `check_at` says when to look for people whose SMS has no known outcome: set while the slice is leased, for its
    worker may die, and as long as there are any. Nobody has to search a million people for a few. `receipts_due_at`
    says when to look for people whose SMS was accepted and never told of again, `links_end_at` for those whose link is
    over. `asked_to` is the last of them who was asked about in a round that goes on; with `ask_before` the round takes
    in all who were accepted until then (`app.outcomes.refused_receipts`).
    """

    __tablename__ = "slice"
    __table_args__ = owned(
        refers_to("campaign", "campaign_id", ondelete="CASCADE"),
        UniqueConstraint("campaign_id", "first_id"),
        Index("ix_slice_due_at", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        Index("ix_slice_check_at", "check_at", postgresql_where=text("check_at IS NOT NULL")),
        Index("ix_slice_receipts_due_at", "receipts_due_at", postgresql_where=text("receipts_due_at IS NOT NULL")),
        Index("ix_slice_links_end_at", "links_end_at", postgresql_where=text("links_end_at IS NOT NULL")),
        {"postgresql_with": {"fillfactor": "50"}},
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    campaign_id: Mapped[int] = mapped_column(BigInteger)
    first_id: Mapped[int] = mapped_column(BigInteger)
    last_id: Mapped[int] = mapped_column(BigInteger)
    due_at: Mapped[Time | None]
    check_at: Mapped[Time | None]
    receipts_due_at: Mapped[Time | None]
    asked_to: Mapped[int | None] = mapped_column(BigInteger)
    ask_before: Mapped[Time | None]
    links_end_at: Mapped[Time | None]
    leased_until: Mapped[Time | None]
    fence: Mapped[int] = mapped_column(BigInteger, server_default="0")


class SendingDay(TenantOwned, Model):
    """How many SMS of a company with a daily cap were claimed on a day of Japan's calendar and not given back."""

    __tablename__ = "sending_day"
    __table_args__ = owned(UniqueConstraint("tenant_id", "day"))

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    day: Mapped[date]
    messages: Mapped[int]


class SendLog(TenantOwned, Model):
    """送信ログ: one row per attempt, committed before the request leaves.

    `generation` is that of the link the message carried, `reference` the provider's name for it (`app.references`),
    kept here because the person's mark changes with their link; null in rows of before, whose reference is
    `<campaign.key>.<recipient_id>.<attempt>`. `state` is the SMS vocabulary's word for this attempt, `code` the
    provider's. The recipient alone is a foreign key: it implies company and campaign, whose checks took longer than the
    row itself, and the campaign keeps its account. Nothing refers to an attempt, so it needs no key for that either.
    Of an attempt without a known outcome `asked_at` is when it was last asked about, `absent_at` when a look-up first
    showed it absent and the list fresh. `repeats` is how often it was sent again under the same reference, last at
    `repeated_at` (`app.outcomes.repeats`).
    """

    __tablename__ = "send_log"
    __table_args__ = (
        refers_to("recipient", "recipient_id", ondelete="CASCADE"),
        UniqueConstraint("recipient_id", "attempt"),
        Index("ix_send_log_campaign_id_id", "campaign_id", "id"),
        Index("ix_send_log_tenant_id_started_at_id", "tenant_id", "started_at", "id"),
        {"postgresql_with": {"fillfactor": "45"}},
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger)
    campaign_id: Mapped[int] = mapped_column(BigInteger)
    recipient_id: Mapped[int] = mapped_column(BigInteger)
    sms_account_id: Mapped[int] = mapped_column(BigInteger)
    sms_contract_id: Mapped[int | None] = mapped_column(BigInteger)
    attempt: Mapped[int]
    generation: Mapped[int] = mapped_column(server_default="1")
    fence: Mapped[int] = mapped_column(BigInteger)
    reference: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, server_default="sending")
    code: Mapped[str] = mapped_column(Text, server_default="")
    provider_id: Mapped[str | None] = mapped_column(Text)
    carrier: Mapped[str] = mapped_column(Text, server_default="")
    units: Mapped[int | None]
    started_at: Mapped[Time]
    answered_at: Mapped[Time | None]
    asked_at: Mapped[Time | None]
    absent_at: Mapped[Time | None]
    repeats: Mapped[int] = mapped_column(server_default="0")
    repeated_at: Mapped[Time | None]
    settled_at: Mapped[Time | None]

    recipient: Mapped[Recipient] = relationship(
        viewonly=True, primaryjoin="Recipient.id == SendLog.recipient_id", foreign_keys=[recipient_id]
    )
    campaign: Mapped[Campaign] = relationship(
        viewonly=True, primaryjoin="Campaign.id == SendLog.campaign_id", foreign_keys=[campaign_id]
    )


class DoubledMessage(TenantOwned, Model):
    """An attempt that its provider has as several messages, `copies` as far as is known: its person got it twice.

    A manager settles it once the provider was asked and the person was told (`app.outcomes.double_sends`).
    """

    __tablename__ = "doubled_message"
    __table_args__ = owned(
        refers_to("campaign", "campaign_id", ondelete="CASCADE"),
        refers_to("recipient", "recipient_id", ondelete="CASCADE"),
        UniqueConstraint("recipient_id", "attempt"),
        Index("ix_doubled_message_open", "tenant_id", "campaign_id", postgresql_where=text("settled_at IS NULL")),
    )

    campaign_id: Mapped[int] = mapped_column(BigInteger)
    recipient_id: Mapped[int] = mapped_column(BigInteger)
    attempt: Mapped[int]
    copies: Mapped[int]
    found_at: Mapped[CreatedAt]
    settled_at: Mapped[Time | None]
    settled_by: Mapped[str] = mapped_column(Text, server_default="")


class Receipt(TenantOwned, Model):
    """A provider's push, kept raw before anything is made of it; the same body twice is one row.

    `message_id` is the provider's id of the one message it names. It is worked on from `try_at` on, by whoever claims
    it until `leased_until`; `tries` is how often that was in vain (`app.outcomes.receipt_queue`).
    """

    __tablename__ = "receipt"
    __table_args__ = owned(
        refers_to("sms_account", "sms_account_id"),
        UniqueConstraint("sms_account_id", "digest"),
        Index("ix_receipt_try_at", "sms_account_id", "try_at", postgresql_where=text("applied_at IS NULL")),
        Index("ix_receipt_message_id", "message_id", postgresql_where=text("applied_at IS NULL")),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    sms_account_id: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    body_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    message_id: Mapped[str | None] = mapped_column(Text)
    received_at: Mapped[CreatedAt]
    try_at: Mapped[CreatedAt]
    tries: Mapped[int] = mapped_column(server_default="0")
    leased_until: Mapped[Time | None]
    applied_at: Mapped[Time | None]
    outcome: Mapped[str] = mapped_column(Text, server_default="")


class Pulse(Model):
    """One row: the scheduler's last sign of life, and since when PostgreSQL ran (`app.outcomes.refused_receipts`)."""

    __tablename__ = "pulse"

    id: Mapped[Id]
    tenant_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    beat_at: Mapped[Time]
    server_started_at: Mapped[Time]
