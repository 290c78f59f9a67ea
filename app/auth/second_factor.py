"""The second factor: a code of six digits that changes every 30 seconds (TOTP, RFC 6238), and codes for its loss.

In: a user and what he typed. Out: whether it is right. Can't happen here: a code or a recovery code that is taken
twice, a secret that can be read from the database, a factor in use that its user hasn't proved to have.
"""

import hmac
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime

import pyotp
from sqlalchemy import text

from app import limits
from app.extensions import db, vault
from app.models import User
from app.vault import Place

_STEP_S = 30
# a clock may be a step off, and a code is typed for a while (RFC 6238, 5.2)
_STEPS_OFF = (-1, 0, 1)
_CODES = 10
_CODE_CHARS = 12
# no two characters that look alike
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class Offer:
    """The secret for an authenticator app: in base32, and as an `otpauth:` address."""

    secret: str
    address: str


def offer(user: User) -> None:
    """Draw a secret for a user who has no factor in use. The caller commits."""
    if user.totp_since is None:
        user.totp_sealed = vault.seal(pyotp.random_base32(), _place(user))
        user.totp_step = 0


def offered(user: User) -> Offer | None:
    """Return the secret that the user hasn't confirmed yet; None where there is none."""
    if user.totp_since is not None or user.totp_sealed is None:
        return None
    secret = vault.open_text(user.totp_sealed, _place(user))
    company = f"{user.tenant.code}:" if user.tenant else ""
    return Offer(secret, pyotp.TOTP(secret).provisioning_uri(name=f"{company}{user.email}", issuer_name="Todoke"))


def switch_on(user: User, typed: str) -> list[str] | None:
    """Take the factor into use if the code is right, and give the recovery codes; else None. The caller commits."""
    if user.totp_since is not None or user.totp_sealed is None or not _takes_totp_code(user, _read(typed)):
        return None
    user.totp_since = datetime.now(UTC)
    return renew_codes(user)


def switch_off(user: User) -> None:
    """Forget the factor and its recovery codes. The caller commits."""
    user.totp_sealed = user.totp_since = None
    user.totp_step = 0
    user.recovery_digests = []


def renew_codes(user: User) -> list[str]:
    """Draw new recovery codes, the only time they can be read; the old ones are void.

    The caller commits.
    """
    codes = ["".join(secrets.choice(_ALPHABET) for _ in range(_CODE_CHARS)) for _ in range(_CODES)]
    user.recovery_digests = [vault.recovery_digest(user.id, code) for code in codes]
    return ["-".join(code[start : start + 4] for start in range(0, _CODE_CHARS, 4)) for code in codes]


def check(user: User, typed: str) -> str:
    """Take a code, or a recovery code, once: "code", "recovery", or "" for neither.

    The caller commits.
    """
    if user.totp_since is None:
        return ""
    read = _read(typed)
    if _takes_totp_code(user, read):
        return "code"
    return "recovery" if _takes_recovery(user, read) else ""


def _takes_totp_code(user: User, read: str) -> bool:
    assert user.totp_sealed is not None  # noqa: S101 - the callers looked
    if len(read) != 6 or not read.isdecimal():  # noqa: PLR2004 - digits of a code
        return False
    totp = pyotp.TOTP(vault.open_text(user.totp_sealed, _place(user)))
    now = int(datetime.now(UTC).timestamp()) // _STEP_S
    steps = [now + off for off in _STEPS_OFF if hmac.compare_digest(totp.generate_otp(now + off), read)]
    # whoever comes second with the same code, at the same moment or later, finds the step taken
    return any(
        db.session.execute(
            text("UPDATE app_user SET totp_step = :step WHERE id = :id AND totp_step < :step RETURNING id"),
            {"id": user.id, "step": step},
        ).first()
        for step in steps
    )


def _takes_recovery(user: User, read: str) -> bool:
    taken = db.session.execute(
        text("""
            UPDATE app_user SET recovery_digests = array_remove(recovery_digests, :digest)
            WHERE id = :id AND :digest = ANY(recovery_digests) RETURNING id
        """),
        {"id": user.id, "digest": vault.recovery_digest(user.id, read)},
    ).first()
    return taken is not None


def _read(typed: str) -> str:
    """Read what was typed on any keyboard, with or without the spaces and hyphens it is shown with.

    Text longer than any code counts as none.
    """
    if len(typed) > limits.TYPED:
        return ""
    kept = unicodedata.normalize("NFKC", typed).lower()
    return "".join(char for char in kept if char.isalnum())


def _place(user: User) -> Place:
    return Place(user.tenant_id or 0, "app_user", "totp_sealed", user.id)
