"""Contracts with SMS services and payment providers: a tenant's, and the operator's that tenants share."""

import os
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    Numeric,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Model
from app.models.base import CreatedAt, Id, TenantOwned, Time, owned, refers_to
from app.models.tenant import Tenant


class SharedSmsAccount(Model):
    """A contract of the operator's with an SMS service, by which companies send that it is allotted to.

    An allotment is an `SmsAccount` of the company's that names it and holds no settings of its own: row level security
    shows this row to the platform alone.
    """

    __tablename__ = "shared_sms_account"
    __table_args__ = (CheckConstraint("rate_per_s BETWEEN 1 AND 1000", name="rate_per_s"),)

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Text)
    provider: Mapped[str] = mapped_column(Text)
    # how many messages may leave in any second, of all companies together
    rate_per_s: Mapped[int]
    settings: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    # a JSON object
    credentials_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    receipt_secret: Mapped[bytes] = mapped_column(LargeBinary, default=lambda: os.urandom(16))
    test_mode: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[CreatedAt]

    def __str__(self) -> str:
        return self.name


class SmsAccount(TenantOwned, Model):
    """A contract with an SMS service, or an allotment: a company's part of a shared account.

    Of an allotment the operator writes name, rate, price and whether it is `active`; `provider` and `test_mode` are
    copies of the shared account's, and so are the breaker's columns of each other (migration 0059).
    """

    __tablename__ = "sms_account"
    __table_args__ = owned(
        CheckConstraint("rate_per_s BETWEEN 1 AND 1000", name="rate_per_s"),
        CheckConstraint("price_yen BETWEEN 0 AND 1000", name="price_yen"),
        CheckConstraint("takeover_order BETWEEN 1 AND 99", name="takeover_order"),
        CheckConstraint(
            "shared_account_id IS NULL OR (settings = '{}' AND credentials_sealed IS NULL AND receipt_secret IS NULL"
            " AND rate_per_s IS NOT NULL)",
            name="shared",
        ),
        UniqueConstraint("shared_account_id", "tenant_id"),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    name: Mapped[str] = mapped_column(Text)
    provider: Mapped[str] = mapped_column(Text)
    # the operator's account of which this is the company's part; null: the company's own contract
    shared_account_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("shared_sms_account.id"))
    # how many messages may leave in any second, from all workers together; null for no limit
    rate_per_s: Mapped[int | None]
    # the price of one SMS by the contract, for estimates
    price_yen: Mapped[Decimal | None] = mapped_column(Numeric(6, 2))
    settings: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    # a JSON object
    credentials_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    # the company's own number (確認用番号): an SMS to it may prove the carrier's list up to date
    witness_phone_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    # drawn for the address of its receipts, so that a row number that comes again after a restore is nobody's address
    receipt_secret: Mapped[bytes | None] = mapped_column(LargeBinary, default=lambda: os.urandom(16))
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    # a contract for tries: what leaves by it reaches nobody, and counts as sent nowhere
    test_mode: Mapped[bool] = mapped_column(server_default=text("false"))
    # its place among those that take over for another of the company's; null: it never does
    takeover_order: Mapped[int | None]
    # the breaker's (`app.delivery.circuit_breaker`): answers in a row that were neither a yes nor a no
    failures: Mapped[int] = mapped_column(server_default="0")
    # how often in a row it opened
    trips: Mapped[int] = mapped_column(server_default="0")
    # since when it is open; since when it is closed again
    tripped_at: Mapped[Time | None]
    well_since: Mapped[Time | None]
    # when a message last tried it while another account stood in (`app.delivery.failover`)
    probed_at: Mapped[Time | None]
    # until when nothing is sent, and the answer that caused it
    resting_until: Mapped[Time | None]
    resting_code: Mapped[str] = mapped_column(Text, server_default="")
    # when a message was refused as if for the account's sake, until another shows whose fault it was
    doubted_at: Mapped[Time | None]
    # since when the last message had left that got through then
    proved_at: Mapped[Time | None]
    # before this nothing is asked about its messages (`app.outcomes.provider_queries`)
    ask_after: Mapped[Time | None]
    # until when the service wished for no more messages, for no more questions; screens tell of it
    send_wish_until: Mapped[Time | None]
    ask_wish_until: Mapped[Time | None]
    # since when the service refuses to tell what became of messages: what was asked, and its code
    ask_refused_at: Mapped[Time | None]
    ask_refused_what: Mapped[str] = mapped_column(Text, server_default="")
    ask_refused_code: Mapped[str] = mapped_column(Text, server_default="")
    # not empty: the account could not be asked what left between `restore_since` and `restore_until`, which a
    # restored database forgot (`app.setback.account_holds`)
    restore_hold: Mapped[str] = mapped_column(Text, server_default="")
    restore_since: Mapped[Time | None]
    restore_until: Mapped[Time | None]
    created_at: Mapped[CreatedAt]

    tenant: Mapped[Tenant] = relationship()

    def __str__(self) -> str:
        return self.name


class SenderNumber(TenantOwned, Model):
    """送信元番号: a number that recipients see as the sender of an account's SMS, and where it stands with a carrier.

    `number` is its digits as they are dialled in Japan; `carrier` is one of `app.states.vocabulary.SENDER_CARRIERS`.
    Each state keeps the time at which it was last entered; `note` is what was written with the last move.
    """

    __tablename__ = "sender_number"
    __table_args__ = owned(
        refers_to("sms_account", "sms_account_id"),
        CheckConstraint("state IN ('applied', 'approved', 'rejected', 'retired')", name="state"),
        CheckConstraint("carrier IN ('all', 'docomo', 'au', 'softbank', 'rakuten')", name="carrier"),
        CheckConstraint("number ~ '^[0-9]{5,11}$'", name="number"),
        Index(
            "ix_sender_number_sms_account_id_carrier_number",
            "sms_account_id",
            "carrier",
            "number",
            unique=True,
            postgresql_where=text("state <> 'retired'"),
        ),
        Index("ix_sender_number_number", "number", postgresql_where=text("state = 'approved'")),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    sms_account_id: Mapped[int] = mapped_column(BigInteger)
    carrier: Mapped[str] = mapped_column(Text)
    number: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, server_default="applied")
    note: Mapped[str] = mapped_column(Text, server_default="")
    applied_at: Mapped[CreatedAt]
    approved_at: Mapped[Time | None]
    rejected_at: Mapped[Time | None]
    retired_at: Mapped[Time | None]
    created_at: Mapped[CreatedAt]

    tenant: Mapped[Tenant] = relationship(viewonly=True)
    account: Mapped[SmsAccount] = relationship(
        viewonly=True, primaryjoin="SmsAccount.id == SenderNumber.sms_account_id", foreign_keys=[sms_account_id]
    )

    def __str__(self) -> str:
        return self.number


class SmsContract(TenantOwned, Model):
    """An account as it was when messages left by it: kept, for absence counts only where they left.

    `identity` is a digest of `content`: the service, its base address and the settings that tell contracts apart.
    Where `credentials_digest` alone differs, a token was renewed. Each attempt refers to its row.
    """

    __tablename__ = "sms_contract"
    __table_args__ = owned(
        refers_to("sms_account", "sms_account_id"),
        UniqueConstraint("sms_account_id", "identity", "credentials_digest"),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    sms_account_id: Mapped[int] = mapped_column(BigInteger)
    identity: Mapped[bytes] = mapped_column(LargeBinary)
    credentials_digest: Mapped[bytes] = mapped_column(LargeBinary)
    content: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[CreatedAt]


class WitnessMessage(TenantOwned, Model):
    """An SMS to an account's 確認用番号: found in the carrier's list, it proves that the list has caught up.

    The row is committed before the request leaves. `reference` is random, so that no database set back draws it again.
    """

    __tablename__ = "witness_message"
    __table_args__ = owned(
        refers_to("sms_account", "sms_account_id"),
        refers_to("sms_contract", "sms_contract_id"),
        CheckConstraint("state IN ('sending', 'accepted', 'undelivered', 'unknown')", name="state"),
        Index("ix_witness_message_sms_account_id_created_at", "sms_account_id", "created_at"),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    sms_account_id: Mapped[int] = mapped_column(BigInteger)
    sms_contract_id: Mapped[int] = mapped_column(BigInteger)
    reference: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, server_default="sending")
    code: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[CreatedAt]
    answered_at: Mapped[Time | None]


class PaymentAccount(TenantOwned, Model):
    """A contract with a payment provider.

    `compared_on` is the last night (its date in Japan) its books were compared.

    Before `ask_after` the provider wishes to be asked nothing. `unanswered` counts payments in a row about which it
    gave no answer; from a number on, jobs ask nothing until `rests_until` (`app.payments.asking`). `restore_hold`,
    `restore_since` and `restore_until` are as an SMS account's, of what was paid.
    """

    __tablename__ = "payment_account"
    __table_args__ = owned()

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    name: Mapped[str] = mapped_column(Text)
    provider: Mapped[str] = mapped_column(Text)
    settings: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    credentials_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    test_mode: Mapped[bool] = mapped_column(server_default=text("false"))
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    compared_on: Mapped[date | None]
    ask_after: Mapped[Time | None]
    rests_until: Mapped[Time | None]
    unanswered: Mapped[int] = mapped_column(server_default="0")
    restore_hold: Mapped[str] = mapped_column(Text, server_default="")
    restore_since: Mapped[Time | None]
    restore_until: Mapped[Time | None]
    created_at: Mapped[CreatedAt]

    tenant: Mapped[Tenant] = relationship()

    def __str__(self) -> str:
        return self.name
