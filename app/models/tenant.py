"""The companies that send."""

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.base import CreatedAt, Id


class Tenant(Model):
    """お客さま企業. `code` is what its staff type at sign-in; `contact_phone` is shown to recipients."""

    __tablename__ = "tenant"

    id: Mapped[Id]
    code: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, server_default="review")
    contact_phone: Mapped[str] = mapped_column(Text, server_default="")
    contact_hours: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[CreatedAt]

    def __str__(self) -> str:
        return self.name
