"""Sessions of the back office: who is signed in, where and since when."""

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Model
from app.models.base import Id, Time
from app.models.user import User


class StaffSession(Model):
    """One sign-in of a user.

    The browser holds the key, of which the digest stands here.

    It opens nothing before `passed_at`: until then the password was right and the second factor is waited for.
    `confirmed_at` is when the user last proved who he is, `ended_at` when he, a manager or a change of his rights ended
    it. An idle or old session has no `ended_at`: its times say it.
    """

    __tablename__ = "staff_session"
    __table_args__ = (
        Index("ix_staff_session_user_id_id", "user_id", "id"),
        Index("ix_staff_session_tenant_id_seen_at", "tenant_id", "seen_at", postgresql_where=text("ended_at IS NULL")),
    )

    id: Mapped[Id]
    tenant_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("app_user.id", ondelete="CASCADE"))
    key_digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    agent: Mapped[str] = mapped_column(Text, server_default="")
    address: Mapped[str] = mapped_column(Text, server_default="")
    began_at: Mapped[Time]
    seen_at: Mapped[Time]
    passed_at: Mapped[Time | None]
    confirmed_at: Mapped[Time | None]
    ended_at: Mapped[Time | None]

    user: Mapped[User] = relationship()
