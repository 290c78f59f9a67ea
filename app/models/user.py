"""The people who use the back office."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Model
from app.models.base import CreatedAt, Id, Time
from app.models.tenant import Tenant


class User(Model):
    """利用者. An operator belongs to no tenant; managers and clerks to exactly one.

    `totp_sealed` is the secret of the second factor (RFC 6238), in use since `totp_since`; `totp_step` is the last step
    whose code was taken, `recovery_digests` are the recovery codes not yet used. `list_columns` names, for each list
    whose columns the user chose, those that are shown.
    """

    __tablename__ = "app_user"
    __table_args__ = (
        CheckConstraint("role IN ('operator', 'manager', 'clerk')", name="role"),
        CheckConstraint("(role = 'operator') = (tenant_id IS NULL)", name="operator_has_no_tenant"),
        Index("uq_app_user_tenant_email", text("coalesce(tenant_id, 0)"), text("lower(email)"), unique=True),
    )

    id: Mapped[Id]
    tenant_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    email: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    password_hash: Mapped[str] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    failed_logins: Mapped[int] = mapped_column(server_default="0")
    locked_until: Mapped[Time | None]
    last_login_at: Mapped[Time | None]
    totp_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    totp_since: Mapped[Time | None]
    totp_step: Mapped[int] = mapped_column(BigInteger, server_default="0")
    recovery_digests: Mapped[list[bytes]] = mapped_column(ARRAY(LargeBinary), server_default="{}")
    list_columns: Mapped[dict[str, list[str]]] = mapped_column(JSONB, server_default="{}")
    created_at: Mapped[CreatedAt]

    tenant: Mapped[Tenant | None] = relationship()

    def __str__(self) -> str:
        return self.name
