"""Leases: work that only one process may do at a time, for as long as it gives a sign of life."""

from sqlalchemy import BigInteger, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.base import Id, Time


class LeaseRow(Model):
    """One piece of work and its holder.

    `holder` is drawn anew each time: it is the fence of all that is written.

    `tenant_id` is null for the platform's own work, such as leading the schedulers.
    """

    __tablename__ = "lease"

    id: Mapped[Id]
    tenant_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    name: Mapped[str] = mapped_column(Text, unique=True)
    holder: Mapped[str] = mapped_column(Text)
    held_until: Mapped[Time]
