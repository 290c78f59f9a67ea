"""Totals: what statement triggers add with every change of a recipient, an attempt or a payment (migration 0049).

A total is the sum of the rows of its key: those folded together (`folded_at`) and those added since. Nobody but the
triggers, `app.reports.totals.fold` and `app.reports.totals.recount` writes them. No foreign key: a campaign that goes
takes its rows away by adding their opposite.
"""

from datetime import date

from sqlalchemy import BigInteger, Index, SmallInteger, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.base import TenantOwned, Time

_FRESH = text("folded_at IS NULL")


class RecipientTotal(TenantOwned, Model):
    """How many of a campaign's people stand where, came how far, and in which hour they opened and paid.

    An hour is of Japan's day, -1 for none yet. `handed` and `arrived` tell of any SMS they got, `planned` of a retry
    that leaves by itself.
    """

    __tablename__ = "recipient_total"
    __table_args__ = (
        Index("ix_recipient_total_campaign_id", "campaign_id"),
        Index("ix_recipient_total_fresh", "campaign_id", postgresql_where=_FRESH),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger)
    campaign_id: Mapped[int] = mapped_column(BigInteger)
    sms_state: Mapped[str] = mapped_column(Text)
    page_state: Mapped[str] = mapped_column(Text)
    payment_state: Mapped[str] = mapped_column(Text)
    handed: Mapped[bool]
    arrived: Mapped[bool]
    verified: Mapped[bool]
    viewed: Mapped[bool]
    planned: Mapped[bool]
    opened_hour: Mapped[int] = mapped_column(SmallInteger)
    paid_hour: Mapped[int] = mapped_column(SmallInteger)
    people: Mapped[int] = mapped_column(BigInteger)
    folded_at: Mapped[Time | None]


class SendLogTotal(TenantOwned, Model):
    """How many attempts of a day of Japan's calendar came to what, by campaign, account and carrier.

    `cause` is the code of undelivered ones. `seconds_class` is the place among `app.reports.totals.SECONDS` of the
    time until the carrier delivered it, -1 where that isn't known. `units` are those that the service charged.
    """

    __tablename__ = "send_log_total"
    __table_args__ = (
        Index("ix_send_log_total_campaign_id", "campaign_id"),
        Index("ix_send_log_total_fresh", "campaign_id", postgresql_where=_FRESH),
        Index("ix_send_log_total_tenant_id_day", "tenant_id", "day"),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger)
    campaign_id: Mapped[int] = mapped_column(BigInteger)
    sms_account_id: Mapped[int] = mapped_column(BigInteger)
    carrier: Mapped[str] = mapped_column(Text)
    day: Mapped[date]
    state: Mapped[str] = mapped_column(Text)
    cause: Mapped[str] = mapped_column(Text)
    seconds_class: Mapped[int] = mapped_column(SmallInteger)
    attempts: Mapped[int] = mapped_column(BigInteger)
    units: Mapped[int] = mapped_column(BigInteger)
    folded_at: Mapped[Time | None]


class PaymentTotal(TenantOwned, Model):
    """How many payments of a campaign were paid on a day of Japan's calendar, and what of the money stayed."""

    __tablename__ = "payment_total"
    __table_args__ = (
        Index("ix_payment_total_campaign_id", "campaign_id"),
        Index("ix_payment_total_fresh", "campaign_id", postgresql_where=_FRESH),
        Index("ix_payment_total_tenant_id_day", "tenant_id", "day"),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger)
    campaign_id: Mapped[int] = mapped_column(BigInteger)
    day: Mapped[date]
    payments: Mapped[int] = mapped_column(BigInteger)
    yen: Mapped[int] = mapped_column(BigInteger)
    folded_at: Mapped[Time | None]
