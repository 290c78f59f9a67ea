"""How staff sign in: a password, then the second factor of who has one, and the password again before what matters.

In: a company's code, a mail address and a password, or what comes after them. Out: a session's key. Can't happen here:
a refusal that tells which part was wrong, more than `TRIES` guesses at one user's password and codes together before
they rest for `REST`.
"""

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from sqlalchemy import Row, text

from app import audit, limits
from app.auth import passwords, second_factor, sessions
from app.auth.sessions import Device
from app.auth.staff import Staff
from app.extensions import db
from app.models import User
from app.problems import Kind, Refused
from app.states.vocabulary import TenantState

TRIES = 5
REST = timedelta(minutes=15)

_BY_ADDRESS = "lower(u.email) = lower(:email) AND coalesce(t.code, '') = :code"
_BY_ID = "u.id = :id"


# none tells which part was wrong
REFUSED = Kind(
    "sign_in_refused",
    "サインインできませんでした。企業コード・メールアドレス・パスワードをもう一度お確かめください。"
    "続けて間違えると15分間サインインできなくなります。その場合は時間をおいてからお試しください。",
)
CODE_REFUSED = Kind(
    "sign_in_code_refused",
    "確認できませんでした。認証アプリに今表示されている6桁の数字を入力してください。一度使ったコードは使えません。"
    "続けて間違えると15分間サインインできなくなります。",
)
PASSWORD_REFUSED = Kind(
    "password_not_confirmed",
    "パスワードが違います。入力し直してください。"
    "続けて間違えると15分間確認できなくなります。その場合は時間をおいてからお試しください。",
)


@dataclass(frozen=True, slots=True)
class Begun:
    """A session that has begun.

    It is `passed`, or waits for the second factor. `tenant_id` is 0 for operators.
    """

    key: str
    tenant_id: int
    user_id: int
    passed: bool


def sign_in(tenant_code: str, email: str, password: str, device: Device) -> Begun:
    """Check a password and begin its user's session.

    Needs the platform's scope. Commits. Raises Refused.
    """
    if max(len(tenant_code), len(email), len(password)) > limits.TYPED:
        raise Refused(REFUSED())  # nobody's: no account has so long a name or password
    attempt = _count_try(_BY_ADDRESS, email=_plain(email), code=_plain(tenant_code).lower())
    right = passwords.matches(attempt.password_hash if attempt else passwords.dummy_hash(), password)
    if attempt is None or not right:
        _refuse(attempt, REFUSED)
    user = db.session.get_one(User, attempt.id)
    if passwords.is_outdated(user.password_hash):
        user.password_hash = passwords.hash_password(password)
    passed = user.totp_since is None
    key = sessions.begin(user, device, passed=passed)
    if passed:
        _welcome(user, "password")
    db.session.commit()
    return Begun(key, user.tenant_id or 0, user.id, passed)


def _plain(typed: str) -> str:
    """Return what was typed without what a Japanese keyboard makes of it: full width, space around it."""
    return unicodedata.normalize("NFKC", typed).strip()


def second_step(key: str, typed: str) -> Begun:
    """Check the code that is waited for.

    Needs the platform's scope. Commits. Raises Refused.

    Its tries count with the password's, which only a right code sets back: a known password opens no more guesses.
    """
    waiting = sessions.half_open(key)
    if waiting is None:
        raise Refused(CODE_REFUSED())
    session_id, user_id = waiting.id, waiting.user_id
    attempt = _count_try(_BY_ID, id=user_id)
    if attempt is None:
        _refuse(None, CODE_REFUSED)
    user = db.session.get_one(User, user_id)
    how = second_factor.check(user, typed)
    if not how:
        _refuse(attempt, CODE_REFUSED)
    row = sessions.half_open(key)
    if row is None or row.id != session_id:  # ended, or passed by somebody with the same key, a moment ago
        db.session.rollback()
        raise Refused(CODE_REFUSED())
    new_key = sessions.complete(row)
    _welcome(user, how)
    db.session.commit()
    return Begun(new_key, user.tenant_id or 0, user.id, passed=True)


def confirm(staff: Staff, password: str) -> None:
    """Take the password of who is signed in once more: whoever sits there is who signed in. Raises Refused.

    Needs the user's scope. Commits.
    """
    attempt = _count_try(_BY_ID, id=staff.id)
    if attempt is None or not passwords.matches(attempt.password_hash, password):
        _refuse(attempt, PASSWORD_REFUSED)
    user = db.session.get_one(User, staff.id)
    user.failed_logins = 0
    user.locked_until = None
    sessions.confirmed(staff.session_id)
    db.session.commit()


def set_password(user: User, password: str, *, but: int | None = None) -> None:
    """Set a user another password: ends any rest and all sessions, save one.

    The caller commits.
    """
    user.password_hash = passwords.hash_password(password)
    user.failed_logins = 0
    user.locked_until = None
    if user.id:
        sessions.revoke_sessions(user.id, but=but)


def _welcome(user: User, how: str) -> None:
    user.failed_logins = 0
    user.locked_until = None
    user.last_login_at = datetime.now(UTC)
    audit.record(db.session, actor=f"user:{user.id}", act="sign_in", tenant_id=user.tenant_id, detail={"by": how})


def _refuse(attempt: Row[Any] | None, kind: Kind) -> NoReturn:
    """Raise Refused; a rest that begins with this try is put on record."""
    db.session.rollback()
    if attempt is not None and attempt.locked_until is not None:
        audit.record(
            db.session, actor="system", act="sign_in_rest", target=f"user:{attempt.id}", tenant_id=attempt.tenant_id
        )
        db.session.commit()
    raise Refused(kind())


def _count_try(who: str, **values: object) -> Row[Any] | None:
    """Count a try of someone who may sign in and doesn't rest just now.

    Returns the row, or None for nobody. Commits.

    It is counted before anything is looked at, so that parallel tries don't outrun the count.
    """
    now = datetime.now(UTC)
    row = db.session.execute(
        text(f"""
            UPDATE app_user SET
                failed_logins = CASE WHEN locked_until IS NULL THEN failed_logins + 1 ELSE 1 END,
                locked_until = CASE WHEN locked_until IS NULL AND failed_logins + 1 >= :tries THEN :rest_until END
            WHERE id = (
                SELECT u.id FROM app_user u LEFT JOIN tenant t ON t.id = u.tenant_id
                WHERE {who} AND u.active AND t.state IS DISTINCT FROM :suspended
            )
            AND (locked_until IS NULL OR locked_until <= :now)
            RETURNING id, password_hash, tenant_id, locked_until
        """),  # noqa: S608 - one of the two conditions above
        {"tries": TRIES, "rest_until": now + REST, "now": now, "suspended": str(TenantState.SUSPENDED), **values},
    ).first()
    db.session.commit()
    return row
