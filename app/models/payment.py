"""Money asked for, attempt by attempt, and what the payment providers told of it."""

from datetime import date

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Model
from app.models.account import PaymentAccount
from app.models.base import CreatedAt, TenantOwned, Time, owned, refers_to
from app.models.recipient import Recipient


class Payment(TenantOwned, Model):
    """One attempt of one person to pay; the row is committed before the payment provider is asked.

    Without an account it is money that came another way, recorded by hand (消込).
    """

    __tablename__ = "payment"
    __table_args__ = owned(
        refers_to("campaign", "campaign_id", ondelete="CASCADE"),
        refers_to("recipient", "recipient_id", ondelete="CASCADE"),
        refers_to("payment_account", "payment_account_id"),
        UniqueConstraint("recipient_id", "attempt"),
        UniqueConstraint("payment_account_id", "provider_id"),
        CheckConstraint("amount_yen > 0", name="amount"),
        CheckConstraint(
            "payment_account_id IS NOT NULL OR (provider_id IS NULL AND state IN ('paid', 'cancelled'))",
            name="by_hand",
        ),
        # one attempt at a time: two phones, two presses and the back button meet here
        Index(
            "uq_payment_open",
            "recipient_id",
            unique=True,
            postgresql_where=text("state IN ('started', 'pending')"),
        ),
        Index("ix_payment_campaign_id_id", "campaign_id", "id"),
        Index("ix_payment_tenant_id_created_at_id", "tenant_id", "created_at", "id"),
        Index("ix_payment_tenant_id_state_id", "tenant_id", "state", "id"),
        Index("ix_payment_problem", "tenant_id", "id", postgresql_where=text("problem <> ''")),
        Index(
            "ix_payment_without_page",
            "tenant_id",
            "created_at",
            postgresql_where=text("provider_id IS NULL AND payment_account_id IS NOT NULL"),
        ),
        Index(
            "ix_payment_refund_asked_at",
            "refund_asked_at",
            postgresql_where=text("state = 'paid' AND refund_asked_at IS NOT NULL"),
        ),
        Index(
            "ix_payment_ask_at",
            "tenant_id",
            text("(told_at IS NULL OR unanswered > 0)"),
            "unanswered",
            "ask_at",
            postgresql_where=text("ask_at IS NOT NULL AND payment_account_id IS NOT NULL"),
        ),
        Index("ix_payment_unanswered", "tenant_id", postgresql_where=text("unanswered > 0")),
        Index(
            "ix_payment_provider_payment_id",
            "payment_account_id",
            "provider_payment_id",
            postgresql_where=text("provider_payment_id IS NOT NULL"),
        ),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    campaign_id: Mapped[int] = mapped_column(BigInteger)
    recipient_id: Mapped[int] = mapped_column(BigInteger)
    payment_account_id: Mapped[int | None] = mapped_column(BigInteger)
    attempt: Mapped[int]
    reference: Mapped[str] = mapped_column(Text, unique=True)
    provider_id: Mapped[str | None] = mapped_column(Text)
    # a word of PAYMENT_ATTEMPT or, without an account, of PAYMENT_BY_HAND; triggers refuse other moves than theirs
    state: Mapped[str] = mapped_column(Text, server_default="started")
    amount_yen: Mapped[int] = mapped_column(BigInteger)
    # how it was paid, in the provider's word, or in staff's for a 消込
    method: Mapped[str] = mapped_column(Text, server_default="")
    url_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    # not empty when the provider's word and ours disagree (要確認)
    problem: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Time | None]
    pay_by: Mapped[Time | None]
    paid_at: Mapped[Time | None]
    checked_at: Mapped[Time | None]
    # when the answer on record was asked for
    answered_at: Mapped[Time | None]
    # while set and the state is paid, a refund is under way, the `refund_attempt`-th
    refund_asked_at: Mapped[Time | None]
    refund_attempt: Mapped[int] = mapped_column(server_default="0")
    # reasons that staff gave for a 消込 and, cancelled, for taking it back
    reason: Mapped[str] = mapped_column(Text, server_default="")
    # when the provider is to be asked (`app.payments.asking`), unless somebody does so until `asking_until`
    ask_at: Mapped[Time | None] = mapped_column(server_default=text("now() + interval '5 minutes'"))
    asking_until: Mapped[Time | None]
    # when an event told of something new since
    told_at: Mapped[Time | None]
    # how many questions in a row got no answer, since `unanswered_since`
    unanswered: Mapped[int] = mapped_column(server_default="0")
    unanswered_since: Mapped[Time | None]
    # the provider's id of the money
    provider_payment_id: Mapped[str | None] = mapped_column(Text)
    refunded_yen: Mapped[int] = mapped_column(BigInteger, server_default="0")
    # how a chargeback stands (`app.providers.payments.base.Dispute`)
    dispute: Mapped[str] = mapped_column(Text, server_default="")

    recipient: Mapped[Recipient] = relationship(
        viewonly=True, primaryjoin="Recipient.id == Payment.recipient_id", foreign_keys=[recipient_id]
    )
    account: Mapped[PaymentAccount | None] = relationship(
        viewonly=True, primaryjoin="PaymentAccount.id == Payment.payment_account_id", foreign_keys=[payment_account_id]
    )


class PaymentNotice(TenantOwned, Model):
    """A verified webhook, kept before anything is made of it; each of the provider's events is one row."""

    __tablename__ = "payment_notice"
    __table_args__ = owned(
        refers_to("payment_account", "payment_account_id"),
        UniqueConstraint("payment_account_id", "event_id"),
        Index(
            "ix_payment_notice_waiting",
            "payment_account_id",
            "provider_id",
            postgresql_where=text("applied_at IS NULL"),
        ),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    payment_account_id: Mapped[int] = mapped_column(BigInteger)
    event_id: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    provider_id: Mapped[str | None] = mapped_column(Text)
    received_at: Mapped[CreatedAt]
    applied_at: Mapped[Time | None]
    outcome: Mapped[str] = mapped_column(Text, server_default="")


class PaymentDifference(TenantOwned, Model):
    """Where a payment provider's books of a day and ours don't agree, as `app.payments.reconciliation` found.

    `kind` is one of its `Kind`. `settled_at` when a person, or a later comparison, was done with it.
    """

    __tablename__ = "payment_difference"
    __table_args__ = owned(
        refers_to("payment_account", "payment_account_id"),
        UniqueConstraint("payment_account_id", "reference", "kind"),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    payment_account_id: Mapped[int] = mapped_column(BigInteger)
    recipient_id: Mapped[int | None] = mapped_column(BigInteger)
    reference: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    day: Mapped[date]
    ours_yen: Mapped[int | None] = mapped_column(BigInteger)
    theirs_yen: Mapped[int | None] = mapped_column(BigInteger)
    found_at: Mapped[CreatedAt]
    settled_at: Mapped[Time | None]
    settled_by: Mapped[str] = mapped_column(Text, server_default="")

    account: Mapped[PaymentAccount] = relationship(
        viewonly=True,
        primaryjoin="PaymentAccount.id == PaymentDifference.payment_account_id",
        foreign_keys=[payment_account_id],
    )
