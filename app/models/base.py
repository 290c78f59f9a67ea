"""The parts that all tables share."""

from datetime import datetime
from typing import Annotated

from sqlalchemy import BigInteger, DateTime, ForeignKey, ForeignKeyConstraint, Identity, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.schema import SchemaItem

Time = Annotated[datetime, mapped_column(DateTime(timezone=True))]
CreatedAt = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=func.now())]
Id = Annotated[int, mapped_column(BigInteger, Identity(), primary_key=True)]


class TenantOwned:
    """A row of one tenant."""

    id: Mapped[Id]
    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))


def owned(*extra: SchemaItem | dict[str, object]) -> tuple[SchemaItem | dict[str, object], ...]:
    """Return the table arguments of a tenant's table: unique (tenant_id, id), then `extra`."""
    return (UniqueConstraint("tenant_id", "id"), *extra)


def refers_to(table: str, column: str, *, ondelete: str | None = None) -> ForeignKeyConstraint:
    """Refer to a row of the same tenant by (tenant_id, id)."""
    return ForeignKeyConstraint(["tenant_id", column], [f"{table}.tenant_id", f"{table}.id"], ondelete=ondelete)
