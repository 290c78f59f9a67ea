"""Webhook endpoints of companies, and what was delivered to them."""

from datetime import date

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.base import CreatedAt, TenantOwned, Time, owned


class WebhookEndpoint(TenantOwned, Model):
    """通知先: a company's own server, to which events are delivered from `cursor` on.

    `rests_because` is empty while it is served: `asked` (a manager's wish), `failing` (five days without a delivery)
    or `gone` (the receiver answered 410). `failing_since` and `failures` tell of tries in a row that failed; until
    `wait_until` nothing is tried.
    """

    __tablename__ = "webhook_endpoint"
    __table_args__ = owned(
        CheckConstraint("rests_because IN ('', 'asked', 'failing', 'gone')", name="rests_because"),
        CheckConstraint("octet_length(url) <= 2000", name="url"),
    )

    name: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    event_types: Mapped[list[str]] = mapped_column(ARRAY(Text))
    # one after the other for each recipient
    in_order: Mapped[bool] = mapped_column(server_default="false")
    secret_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    # the secret before, which signs too until then
    former_secret_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    former_until: Mapped[Time | None]
    cursor: Mapped[str | None] = mapped_column(Text)
    rests_because: Mapped[str] = mapped_column(Text, server_default="")
    rests_since: Mapped[Time | None]
    failing_since: Mapped[Time | None]
    failures: Mapped[int] = mapped_column(server_default="0")
    wait_until: Mapped[Time | None]
    delivered_at: Mapped[Time | None]
    # the day on which old deliveries were dropped last
    forgot_on: Mapped[date] = mapped_column(server_default=text("CURRENT_DATE"))
    created_at: Mapped[CreatedAt]
    created_by: Mapped[str] = mapped_column(Text)

    def __str__(self) -> str:
        return self.name


class WebhookDelivery(TenantOwned, Model):
    """One event on its way to one endpoint: what it was, and what the receiver answered last.

    A row is made with what became of its first try, or waiting where it was not tried yet. It waits while `due_at` is
    set; else `delivered` says whether it arrived. No foreign key: a check for each of a million rows is felt, and row
    level security lets nobody write for another company. Nothing refers to a delivery.
    """

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        Index("ix_webhook_delivery_endpoint_id_id", "endpoint_id", "id"),
        Index("ix_webhook_delivery_due", "endpoint_id", "due_at", "id", postgresql_where=text("due_at IS NOT NULL")),
        Index(
            "ix_webhook_delivery_ping",
            "endpoint_id",
            "id",
            postgresql_where=text("due_at IS NOT NULL AND event_id IS NULL"),
        ),
        Index(
            "ix_webhook_delivery_recipient",
            "endpoint_id",
            "recipient_id",
            "id",
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        Index(
            "ix_webhook_delivery_failed",
            "tenant_id",
            "endpoint_id",
            "id",
            postgresql_where=text("due_at IS NULL AND NOT delivered"),
        ),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger)
    endpoint_id: Mapped[int] = mapped_column(BigInteger)
    # null is a manager's test
    event_id: Mapped[int | None] = mapped_column(BigInteger)
    # of the installation as the event happened: after a restore, numbers of events come again
    event_epoch: Mapped[int] = mapped_column(server_default="0")
    event_type: Mapped[str] = mapped_column(Text)
    event_at: Mapped[Time]
    campaign_id: Mapped[int | None] = mapped_column(BigInteger)
    recipient_id: Mapped[int | None] = mapped_column(BigInteger)
    # counts a recipient's events, from 1
    sequence: Mapped[int | None]
    code: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[CreatedAt]

    due_at: Mapped[Time | None]
    delivered: Mapped[bool] = mapped_column(server_default="false")
    tries: Mapped[int] = mapped_column(server_default="0")
    tried_at: Mapped[Time | None]
    # the receiver's HTTP status, null where it gave none
    status: Mapped[int | None]
    # why a try failed, in a word: http, redirect, timeout, dns, tls, address, …
    fault: Mapped[str] = mapped_column(Text, server_default="")
    took_ms: Mapped[int | None]
    replays: Mapped[int] = mapped_column(server_default="0")
