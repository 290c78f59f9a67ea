"""Sessions of staff, kept here and not in the browser: each can be seen and ended, by its user or by a manager.

In: the key that a browser brings. Out: the `Staff` it belongs to. Can't happen here: a session that goes on after
`staff_idle_minutes` without a click, after `LONGEST`, or after it was ended; a key that can be read from the database;
one that opens anything while a second factor is waited for.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from sqlalchemy import ColumnElement, and_, delete, select, update
from sqlalchemy.orm import joinedload

from app.auth.staff import Staff, staff_of
from app.config import settings
from app.extensions import db
from app.models import StaffSession, User
from app.states.vocabulary import TenantState

LONGEST = timedelta(hours=12)
# how long after the password the second factor is waited for
HALF_OPEN = timedelta(minutes=5)

_KEY_BYTES = 32
# a click within this time of the last one that was put down isn't
_SEEN_EVERY = timedelta(seconds=30)
_LONGEST_AGENT = 300
# how long an old session says from where somebody came
_KEPT = timedelta(days=30)
_MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Device:
    """From where somebody signs in: the browser's own words, and the address it comes from."""

    agent: str = ""
    address: str = ""


def begin(user: User, device: Device, *, passed: bool) -> str:
    """Begin a session and give its key; not `passed`, it waits for the second factor.

    The caller commits.

    The user's sessions of long ago are forgotten.
    """
    now = datetime.now(UTC)
    db.session.execute(delete(StaffSession).where(StaffSession.user_id == user.id, StaffSession.began_at < now - _KEPT))
    key = secrets.token_urlsafe(_KEY_BYTES)
    row = StaffSession(
        tenant_id=user.tenant_id,
        user_id=user.id,
        key_digest=_digest(key),
        agent=device.agent[:_LONGEST_AGENT].replace("\0", ""),
        address=device.address,
        began_at=now,
        seen_at=now,
        passed_at=now if passed else None,
        confirmed_at=now if passed else None,
    )
    db.session.add(row)
    db.session.flush()
    return key


def half_open(key: str) -> StaffSession | None:
    """Return the session that waits for its second factor; None where it waited too long."""
    return db.session.scalar(
        select(StaffSession).where(
            StaffSession.key_digest == _digest(key),
            StaffSession.ended_at.is_(None),
            StaffSession.passed_at.is_(None),
            StaffSession.began_at > datetime.now(UTC) - HALF_OPEN,
        )
    )


def complete(row: StaffSession) -> str:
    """Let a half open session pass, under a new key. The caller commits."""
    key = secrets.token_urlsafe(_KEY_BYTES)
    row.key_digest = _digest(key)
    row.passed_at = row.confirmed_at = row.seen_at = datetime.now(UTC)
    return key


def recall(key: str, *, click: bool) -> Staff | None:
    """Return the user whom a key belongs to, None when its session is over.

    Needs the user's scope; may commit.

    A request that is no `click` of a person doesn't keep the session alive.
    """
    now = datetime.now(UTC)
    found = db.session.execute(
        select(StaffSession, User)
        .join(User, User.id == StaffSession.user_id)
        .options(joinedload(User.tenant))
        .where(StaffSession.key_digest == _digest(key), _open(now))
    ).first()
    if found is None:
        return None
    row, user = found
    if not user.active or (user.tenant is not None and user.tenant.state == TenantState.SUSPENDED):
        return None
    staff = staff_of(user, row)
    if click and row.seen_at < now - _SEEN_EVERY:
        row.seen_at = now
        db.session.commit()
    return staff


def confirmed(session_id: int) -> None:
    """Put down that the session's user has just proved again who he is.

    The caller commits.
    """
    db.session.execute(update(StaffSession).where(StaffSession.id == session_id).values(confirmed_at=datetime.now(UTC)))


def revoke_session(session_id: int) -> bool:
    """Revoke one session of the scope; return whether it was open. The caller commits."""
    return _end(StaffSession.id == session_id) > 0


def revoke_sessions(user_id: int, *, but: int | None = None) -> int:
    """Revoke a user's sessions, save one; return how many. The caller commits."""
    return _end(and_(StaffSession.user_id == user_id, StaffSession.id != (but or 0)))


def open_ones(*conditions: ColumnElement[bool]) -> Sequence[StaffSession]:
    """List the scope's open sessions, the last seen first, with their users; the newest few hundred."""
    return db.session.scalars(
        select(StaffSession)
        .join(StaffSession.user)
        .where(_open(datetime.now(UTC)), *conditions)
        .order_by(StaffSession.seen_at.desc(), StaffSession.id.desc())
        .limit(_MOST_SHOWN)
    ).all()


def _open(now: datetime) -> ColumnElement[bool]:
    return and_(
        StaffSession.ended_at.is_(None),
        StaffSession.passed_at.is_not(None),
        StaffSession.seen_at >= now - timedelta(minutes=settings().staff_idle_minutes),
        StaffSession.began_at >= now - LONGEST,
    )


def _end(which: ColumnElement[bool]) -> int:
    ended = db.session.execute(
        update(StaffSession)
        .where(which, StaffSession.ended_at.is_(None))
        .values(ended_at=datetime.now(UTC))
        .returning(StaffSession.id)
    )
    return len(ended.all())


def _digest(key: str) -> bytes:
    # 256 random bits: nothing to guess, so no slow hash
    return sha256(key.encode()).digest()
