"""The link in the SMS: its token, its address, its end.

In: a recipient's id and generation. Out: the address that stands in the SMS, and the way back from a token to the
recipient. What can't happen here: a token in the database (only its keyed digest), an old link that lives on after a
new generation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from app.config import settings
from app.extensions import vault

# begins the path in a trial SMS: no token has a "-"
TRIAL = "trial-"


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a link is for."""

    tenant_id: int
    recipient_id: int
    generation: int


def address(recipient_id: int, generation: int) -> str:
    """Give the https address that stands in the SMS."""
    return f"{settings().link_base_url}/{vault.link_token(recipient_id, generation)}"


def trial_address() -> str:
    """Give the address in a trial SMS: as long as every link, and nobody's."""
    return f"{settings().link_base_url}/{TRIAL}".ljust(length(), "0")


def length() -> int:
    """Give the length of every link of this installation, in characters (all ASCII)."""
    return len(settings().link_base_url) + 1 + settings().link_token_chars


def find(connection: Connection, token: str) -> Target | None:
    """Find whom a token is for: one look-up on the digest's index. The platform's scope must be open."""
    row = connection.execute(
        text("SELECT tenant_id, id, link_generation FROM recipient WHERE token_digest = :digest"),
        {"digest": vault.token_digest(token)},
    ).first()
    return None if row is None else Target(row.tenant_id, row.id, row.link_generation)


def expiry(campaign: Mapping[str, object], sent_at: datetime) -> datetime:
    """Say when a link sent at `sent_at` ends: a fixed time, or so many minutes later."""
    until, minutes = campaign["link_until"], campaign["link_minutes"]
    if isinstance(until, datetime):
        return until
    assert isinstance(minutes, int)  # noqa: S101 - the database holds exactly one of them
    return sent_at + timedelta(minutes=minutes)
