"""The companies that send."""

from datetime import date
from typing import Any

from sqlalchemy import CheckConstraint, Index, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.base import CreatedAt, Id, Time


class Tenant(Model):
    """お客さま企業. `code` is what its staff type at sign-in; `contact_phone` is shown to recipients.

    `send_window` is what `app.campaigns.send_windows` reads, null for its default; `daily_cap` is SMS a day, by Japan's
    calendar; `served_at` is when a worker last took a slice of this company's: whoever waited longest comes next.
    A campaign of more than `approval_above` people needs a second person's approval; null: none does.
    With `second_factor_required` its users reach nothing before they have set one up.

    `about`, `colour` (#rrggbb or empty) and `logo` (a PNG that `app.tenants.branding` made) are shown to recipients
    too; `look` is the digest of the last two. `verifiable`: its senders' numbers may be asked about by anyone.
    """

    __tablename__ = "tenant"
    __table_args__ = (
        CheckConstraint("daily_cap > 0", name="daily_cap"),
        CheckConstraint("approval_above >= 0", name="approval_above"),
        CheckConstraint("colour ~ '^(#[0-9a-f]{6})?$'", name="colour"),
        CheckConstraint("octet_length(logo) <= 12288", name="logo"),
        Index("ix_tenant_look", "look", postgresql_where=text("look <> ''")),
    )

    id: Mapped[Id]
    code: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, server_default="review")
    contact_phone: Mapped[str] = mapped_column(Text, server_default="")
    contact_hours: Mapped[str] = mapped_column(Text, server_default="")
    about: Mapped[str] = mapped_column(Text, server_default="")
    colour: Mapped[str] = mapped_column(Text, server_default="")
    logo: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    look: Mapped[str] = mapped_column(Text, server_default="")
    verifiable: Mapped[bool] = mapped_column(server_default=text("false"))
    send_window: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    daily_cap: Mapped[int | None]
    approval_above: Mapped[int | None]
    second_factor_required: Mapped[bool] = mapped_column(server_default=text("false"))
    served_at: Mapped[Time | None]
    # the last night (its date in Japan) in which its totals were compared with counts
    recounted_on: Mapped[date] = mapped_column(
        server_default=text("(now() AT TIME ZONE 'Asia/Tokyo' - interval '3 hours')::date")
    )
    created_at: Mapped[CreatedAt]

    def __str__(self) -> str:
        return self.name
