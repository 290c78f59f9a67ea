"""The link in the SMS: its secret, its token, its address, its end.

In: a recipient's id, generation and secret. Out: the address that stands in the SMS; `app.identity.visit` finds the way
back. Can't happen here: a token in the database (only its keyed digest), an old link that lives on after a new
generation, a link that leads to somebody else once row numbers come again.
"""

import os
from collections.abc import Mapping
from datetime import datetime, timedelta

from app.config import settings
from app.extensions import vault

# begins the path in a test SMS: no token has a "-"
TRIAL = "trial-"

# of a recipient's row, drawn anew with each generation of the link
_SECRET_BYTES = 16


def draw_secrets(count: int) -> list[bytes]:
    """Draw the secrets of so many links, all at once."""
    drawn = os.urandom(_SECRET_BYTES * count)
    return [drawn[start : start + _SECRET_BYTES] for start in range(0, len(drawn), _SECRET_BYTES)]


def address(recipient_id: int, generation: int, secret: bytes | None) -> str:
    """Return the https address that stands in the SMS."""
    return f"{settings().link_base_url}/{vault.link_token(recipient_id, generation, secret)}"


def trial_address() -> str:
    """Return the address in a test SMS: as long as every link, and nobody's."""
    return f"{settings().link_base_url}/{TRIAL}".ljust(length(), "0")


def length() -> int:
    """Return the length of every link of this installation, in characters (all ASCII)."""
    return len(settings().link_base_url) + 1 + settings().link_token_chars


def expiry(campaign: Mapping[str, object], sent_at: datetime) -> datetime:
    """Return when a link sent at `sent_at` ends: a fixed time, or so many minutes later."""
    until, minutes = campaign["link_until"], campaign["link_minutes"]
    if isinstance(until, datetime):
        return until
    assert isinstance(minutes, int)  # noqa: S101 - the database holds exactly one of them
    return sent_at + timedelta(minutes=minutes)
