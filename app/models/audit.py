"""Sensitive acts: append-only, chained per tenant by hash."""

from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.base import Id, Time


class AuditEntry(Model):
    """証跡. Null `tenant_id`: an act of the platform's own. `hash` covers the row and the one before it."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("ix_audit_entry_tenant_id_id", "tenant_id", "id"),
        Index("ix_audit_entry_tenant_id_at_id", "tenant_id", "at", "id"),
        Index("ix_audit_entry_tenant_id_act_id", "tenant_id", "act", "id"),
    )

    id: Mapped[Id]
    tenant_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    at: Mapped[Time]
    actor: Mapped[str] = mapped_column(Text)
    act: Mapped[str] = mapped_column(Text)
    target: Mapped[str] = mapped_column(Text, server_default="")
    detail: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    hash: Mapped[bytes] = mapped_column(LargeBinary)
