"""Shared accounts: contracts of the operator's, of which companies hold parts (allotments).

In: an account's row of a company's. Out: the row that holds its contract: itself, or the shared account, read by a
single statement of the platform's (`app.tenancy.lookup`) and kept in no session. Can't happen here: a shared account's
settings or credentials in a company's transaction. A breaker's knowledge of a shared account is copied to all its
companies by a trigger (migration 0059), while the account's lock is held.
"""

from typing import NamedTuple

from sqlalchemy import ColumnElement, or_, text

from app.db import Executor, Of
from app.models import SharedSmsAccount, SmsAccount
from app.tenancy import lookup

# columns of an allotment that the trigger copies to the others of its account
KNOWN = (
    "failures",
    "trips",
    "tripped_at",
    "well_since",
    "resting_until",
    "resting_code",
    "doubted_at",
    "proved_at",
    "send_wish_until",
    "ask_after",
    "ask_wish_until",
    "ask_refused_at",
    "ask_refused_what",
    "ask_refused_code",
)

_READ = """
    SELECT id, name, provider, rate_per_s, settings, credentials_sealed, receipt_secret, test_mode
    FROM shared_sms_account WHERE id = %s
"""


class SharedRate(NamedTuple):
    """How many messages may leave by a shared account in any second, of all its companies together."""

    account_id: int
    rate: int


def read(shared_account_id: int) -> SharedSmsAccount | None:
    """Return a shared account, of no session; None where there is none. No scope needs to be open."""
    row = lookup.first(_READ, shared_account_id)
    if row is None:
        return None
    names = ("id", "name", "provider", "rate_per_s", "settings", "credentials_sealed", "receipt_secret", "test_mode")
    return SharedSmsAccount(**dict(zip(names, row, strict=True)))


def holder(row: SmsAccount) -> SmsAccount | SharedSmsAccount:
    """Return the row that holds an account's contract."""
    if row.shared_account_id is None:
        return row
    found = read(row.shared_account_id)
    assert found is not None  # noqa: S101 - a foreign key holds it
    return found


def has_credentials(account: Of[SmsAccount]) -> ColumnElement[bool]:
    """Return the condition that an account may have sent something: it has credentials, or its shared account."""
    return or_(account.credentials_sealed.is_not(None), account.shared_account_id.is_not(None))


def lock(executor: Executor, account_id: int) -> None:
    """Lock what all companies know of a shared account, until the transaction ends; nothing of a company's own one.

    Before any of `KNOWN` is written, and before the account's row is locked: two companies that learn something at the
    same time would else wait for each other.
    """
    executor.execute(
        text("""
            SELECT pg_advisory_xact_lock(hashtextextended('shared_account', shared_account_id))
            FROM sms_account WHERE id = :id AND shared_account_id IS NOT NULL
        """),
        {"id": account_id},
    )
