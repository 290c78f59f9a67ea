"""The signed-in user, as plain values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.config import settings
from app.models import StaffSession, Tenant, User


class Role(StrEnum):
    """The roles of users."""

    OPERATOR = "operator"
    MANAGER = "manager"
    CLERK = "clerk"


ROLE_WORDS = {Role.OPERATOR: "運営担当者", Role.MANAGER: "管理者", Role.CLERK: "担当者"}


@dataclass(frozen=True, slots=True)
class Company:
    """The company a user belongs to."""

    id: int
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Staff:
    """A user who is signed in. `tenant` is None for operators.

    `confirmed_at` is when he last proved who he is; `must_add_factor`: his company, or for operators the
    installation, wants a second factor of everybody, and he has none yet.
    """

    id: int
    name: str
    email: str
    role: Role
    tenant: Company | None
    session_id: int
    confirmed_at: datetime
    second_factor: bool
    must_add_factor: bool

    is_authenticated = True
    is_active = True
    is_anonymous = False

    @property
    def tenant_id(self) -> int | None:
        """The company's id, None for operators."""
        return self.tenant.id if self.tenant else None

    @property
    def actor(self) -> str:
        """How events and the audit log name this user."""
        return f"user:{self.id}"

    def get_id(self) -> str:
        """Return what Flask-Login remembers."""
        return str(self.id)


def company_of(tenant: Tenant) -> Company:
    """Return a company as a plain value."""
    return Company(tenant.id, tenant.code, tenant.name)


def factor_required(user: User) -> bool:
    """Return whether a user's company, or for operators the installation, wants a second factor."""
    if user.tenant is not None:
        return user.tenant.second_factor_required
    return settings().operator_second_factor == "required"


def staff_of(user: User, session: StaffSession) -> Staff:
    """Return the user of a session that is open."""
    has_factor = user.totp_since is not None
    return Staff(
        id=user.id,
        name=user.name,
        email=user.email,
        role=Role(user.role),
        tenant=company_of(user.tenant) if user.tenant else None,
        session_id=session.id,
        confirmed_at=session.confirmed_at or session.began_at,
        second_factor=has_factor,
        must_add_factor=factor_required(user) and not has_factor,
    )
