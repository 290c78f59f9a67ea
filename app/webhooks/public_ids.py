"""Identifiers as receivers get them: those of the API (`app.api_access.ids`); the one place where they are made."""

from app.api_access import ids
from app.api_access.ids import Of


def event(number: int, epoch: int) -> str:
    """Return the id by which a receiver knows an event again; numbers of events come again after a restore."""
    return f"{ids.make(Of.EVENT, number)}-{epoch}"


def ping(number: int) -> str:
    """Return the id of a manager's test."""
    return f"ping-{ids.make(Of.EVENT, number)}"


def campaign(number: int) -> str:
    """Return a campaign's id."""
    return ids.make(Of.CAMPAIGN, number)


def recipient(number: int, secret: bytes | None) -> str:
    """Return a recipient's id, made with the random bytes in their row: none comes again after a restore."""
    return ids.make_person(number, secret)
