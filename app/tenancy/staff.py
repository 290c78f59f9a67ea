"""The people who use the back office: their roles, how they sign in, when a session of theirs ends.

In: a company's code, a mail address and a password, or what a session remembers. Out: a `Staff`, a plain value. What
can't happen here: a refusal that tells which part was wrong, more than `TRIES` guesses at one password before it rests
for `REST`, a session that outlives its user, role, password or a suspended company.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, select, text

from app import audit
from app.extensions import db
from app.models import Tenant, User
from app.tenancy import passwords
from app.tracking.states import TenantState

TRIES = 5
REST = timedelta(minutes=15)


class Role(StrEnum):
    """What a user is."""

    OPERATOR = "operator"
    MANAGER = "manager"
    CLERK = "clerk"


ROLE_WORDS = {Role.OPERATOR: "運営担当者", Role.MANAGER: "管理者", Role.CLERK: "担当者"}


class SignInRefused(Exception):  # noqa: N818 - it says what happened, and no more
    """No sign-in with this code, address and password; why is not told."""


@dataclass(frozen=True, slots=True)
class Company:
    """The company a user belongs to."""

    id: int
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Staff:
    """A user who is signed in. `tenant` is None for operators."""

    id: int
    name: str
    email: str
    role: Role
    epoch: int
    tenant: Company | None

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
        """Give what the session remembers: company (0 for none), user, epoch."""
        return f"{self.tenant_id or 0}.{self.id}.{self.epoch}"


def sign_in(tenant_code: str, email: str, password: str) -> Staff:
    """Check a password and give its user. Needs the platform's scope. Commits. Raises SignInRefused.

    Each try is counted before the password is looked at, so that parallel tries don't outrun the count.
    """
    attempt = _count_try(tenant_code.strip(), email.strip())
    right = passwords.matches(attempt.password_hash if attempt else passwords.of_nobody(), password)
    if attempt is None or not right:
        if attempt is not None and attempt.locked_until is not None:
            audit.record(
                db.session,
                actor="system",
                act="sign_in_rest",
                target=f"user:{attempt.id}",
                tenant_id=attempt.tenant_id,
            )
            db.session.commit()
        raise SignInRefused
    user = db.session.get_one(User, attempt.id)
    user.failed_logins = 0
    user.locked_until = None
    user.last_login_at = datetime.now(UTC)
    if passwords.is_outdated(user.password_hash):
        user.password_hash = passwords.hash_password(password)
    audit.record(db.session, actor=f"user:{user.id}", act="sign_in", tenant_id=user.tenant_id)
    staff = _staff(user)
    db.session.commit()
    return staff


def _count_try(tenant_code: str, email: str) -> Row[Any] | None:
    """Count a try of someone who may sign in and doesn't rest just now; give the row, or None for nobody."""
    now = datetime.now(UTC)
    row = db.session.execute(
        text("""
            UPDATE app_user SET
                failed_logins = CASE WHEN locked_until IS NULL THEN failed_logins + 1 ELSE 1 END,
                locked_until = CASE WHEN locked_until IS NULL AND failed_logins + 1 >= :tries THEN :rest_until END
            WHERE id = (
                SELECT u.id FROM app_user u LEFT JOIN tenant t ON t.id = u.tenant_id
                WHERE lower(u.email) = lower(:email) AND coalesce(t.code, '') = :code
                AND u.active AND t.state IS DISTINCT FROM :suspended
            )
            AND (locked_until IS NULL OR locked_until <= :now)
            RETURNING id, password_hash, tenant_id, locked_until
        """),
        {
            "tries": TRIES,
            "rest_until": now + REST,
            "now": now,
            "email": email,
            "code": tenant_code,
            "suspended": str(TenantState.SUSPENDED),
        },
    ).first()
    db.session.commit()
    return row


def recall(user_id: int, epoch: int) -> Staff | None:
    """Give the user whom a session remembers, or None when that session has ended. Needs the user's scope."""
    user = db.session.execute(select(User).where(User.id == user_id)).scalar_one_or_none()
    if user is None or not user.active or user.session_epoch != epoch:
        return None
    if user.tenant is not None and user.tenant.state == TenantState.SUSPENDED:
        return None
    return _staff(user)


def set_password(user: User, password: str) -> None:
    """Give a user another password: ends all sessions and any rest. The caller commits."""
    user.password_hash = passwords.hash_password(password)
    user.failed_logins = 0
    user.locked_until = None
    end_sessions(user)


def end_sessions(user: User) -> None:
    """End all sessions of a user. The caller commits."""
    user.session_epoch = User.session_epoch + 1 if user.id else 0


def company_of(tenant: Tenant) -> Company:
    """Give a company as a plain value."""
    return Company(tenant.id, tenant.code, tenant.name)


def _staff(user: User) -> Staff:
    return Staff(
        user.id,
        user.name,
        user.email,
        Role(user.role),
        user.session_epoch,
        company_of(user.tenant) if user.tenant else None,
    )
