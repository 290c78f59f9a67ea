"""Events: append-only; the app's role can insert and read, nothing else."""

from typing import Any

from sqlalchemy import BigInteger, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.base import TenantOwned, Time


class Event(TenantOwned, Model):
    """One step of a recipient, or of a campaign where `recipient_id` is null.

    `track` is sms, page, payment or campaign, `state` the word entered (or a kind of its own, such as a wrong
    answer), `actor` who did it: system, person, provider, user:<id>. No foreign key: what happened
    stays, and a check for each of a million events is felt; row level security lets nobody write for another company.
    Nothing refers to an event.

    `xid` is its place in the feed, with `id` (docs/adr/0012-event-feed.md).
    """

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_recipient_id_id", "recipient_id", "id", postgresql_where=text("recipient_id IS NOT NULL")),
        # facts that app.identity.guard counts
        Index(
            "ix_event_campaign_id_at",
            "campaign_id",
            "at",
            postgresql_where=text("track = 'page' AND state IN ('opened', 'wrong_answer', 'locked')"),
        ),
        Index("ix_event_campaign_id_id", "campaign_id", "id", postgresql_where=text("recipient_id IS NULL")),
        Index("ix_event_tenant_id_xid_id", "tenant_id", "xid", "id"),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger)
    campaign_id: Mapped[int] = mapped_column(BigInteger)
    recipient_id: Mapped[int | None] = mapped_column(BigInteger)
    track: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    at: Mapped[Time]
    actor: Mapped[str] = mapped_column(Text)
    detail: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    xid: Mapped[int] = mapped_column(BigInteger, server_default=text("feed_xid()"))
