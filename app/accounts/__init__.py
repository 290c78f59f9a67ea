"""Contracts with SMS services and payment providers, opened for use: a tenant's, or the operator's shared ones.

In: an account's row. Out: what an adapter takes, with its credentials readable in memory only. Can't happen here:
credentials in a column as text, or credentials sent to an address that is not on the operator's list.
"""

import hmac
import json
from collections.abc import Mapping
from typing import Any, overload

from app.accounts.shared import holder
from app.config import settings
from app.extensions import vault
from app.models import PaymentAccount, SharedSmsAccount, SmsAccount
from app.providers.http import AccountField
from app.providers.payments import PROVIDERS as PAYMENT_PROVIDERS
from app.providers.payments import base as payments
from app.providers.sms import PROVIDERS
from app.providers.sms import base as sms
from app.vault import Place

# a question to a payment provider is repeated, an SMS isn't: it needn't be waited for as long
_PAYMENT_TIMEOUT_S = 10.0


# beside the adapter's own words in an account's `settings`: the address that the company chose
_CHOSEN = "api_base"

OfSms = SmsAccount | SharedSmsAccount
Account = OfSms | PaymentAccount


class Unusable(Exception):  # noqa: N818 - it says what the account is
    """An account without credentials, or one without an address."""


class AddressGone(Unusable):
    """The operator's list holds the account's address no longer, or none for its provider."""


def choose_address(row: Account, address: str) -> None:
    """Keep which address of its provider's an account is at."""
    row.settings = {**row.settings, _CHOSEN: address}


def chosen_address(row: Account) -> str | None:
    """Return the address that was chosen for an account, listed or not; None where there was nothing to choose."""
    chosen = _held(row).settings.get(_CHOSEN)
    return None if chosen is None else str(chosen)


def address_of(row: Account) -> str:
    """Return the address of an account's provider: the chosen one, else the first listed. Raises AddressGone."""
    row = _held(row)
    listed, chosen = settings().api_bases[row.provider], chosen_address(row)
    if chosen is None and listed:
        return listed[0]
    if chosen is None or chosen not in listed:
        raise AddressGone(f"{row.__tablename__} {row.id} is at no address that is listed")
    return chosen


def receipt_path(row: OfSms) -> str:
    """Return the path to which a service pushes the receipts of an account."""
    row = _held(row)
    part = "shared/" if isinstance(row, SharedSmsAccount) else ""
    return f"/callbacks/sms/{part}{row.id}/{vault.receipt_key(row.id, row.receipt_secret)}"


def receipt_url(row: OfSms) -> str:
    """Return the address to which a service pushes the receipts of an account, as services are told."""
    return f"{settings().public_base_url}{receipt_path(row)}"


def is_receipt_key(account_id: int, secret: bytes | None, key: str) -> bool:
    """Return whether this is the key in the address of the receipts of an account that has this `receipt_secret`."""
    return hmac.compare_digest(key.encode(), vault.receipt_key(account_id, secret).encode())


def seal_credentials(row: Account, credentials: Mapping[str, str]) -> None:
    """Put credentials into a row that has its id already."""
    row.credentials_sealed = vault.seal(json.dumps(dict(credentials)), _place(row))


def credentials_of(row: Account) -> dict[str, str]:
    """Open an account's credentials; empty where there are none."""
    row = _held(row)
    if row.credentials_sealed is None:
        return {}
    opened: dict[str, str] = json.loads(vault.open(row.credentials_sealed, _place(row)))
    return opened


def for_sms(row: OfSms) -> sms.SmsAccess:
    """Open an SMS account for its adapter. Raises Unusable."""
    row = _held(row)
    return sms.SmsAccess(
        address_of(row),
        _texts(row.settings),
        _required(row),
        timeout_s=float(settings().send_timeout_s),
        receipt_url=receipt_url(row),
    )


def for_receipts(row: OfSms) -> sms.SmsAccess:
    """Open an SMS account for what its service pushes: nothing is asked of it.

    Raises Unusable, CannotOpen.
    """
    row = _held(row)
    return sms.SmsAccess("", _texts(row.settings), _required(row), receipt_url=receipt_url(row))


def sms_contract(row: OfSms) -> dict[str, str]:
    """Return what tells an SMS account's contract from another: its service, address and ids, no secret."""
    row = _held(row)
    ids = {item.name for item in PROVIDERS[row.provider].fields if item.contract}
    named = {name: value for name, value in _texts(row.settings).items() if name in ids}
    try:
        address = address_of(row)
    except AddressGone:  # what left there is of that contract still
        address = chosen_address(row) or ""
    return {"service": row.provider, "address": address, **dict(sorted(named.items()))}


def misfits(row: Account) -> list[AccountField]:
    """Return the fields of an account whose stored value, secret or not, is not of the form that the adapter names."""
    providers: Mapping[str, sms.SmsProvider | payments.PaymentProvider] = (
        PAYMENT_PROVIDERS if isinstance(row, PaymentAccount) else PROVIDERS
    )
    stored = {**_texts(row.settings), **credentials_of(row)}
    return [
        item for item in providers[row.provider].fields if stored.get(item.name) and item.refusal(stored[item.name])
    ]


def witness_phone_of(row: SmsAccount) -> str | None:
    """Open the account's 確認用番号 (E.164); None where there is none. Raises CannotOpen."""
    if row.witness_phone_sealed is None:
        return None
    return vault.open_text(row.witness_phone_sealed, _witness_place(row))


def seal_witness_phone(row: SmsAccount, e164: str | None) -> None:
    """Put a 確認用番号 into a row that has its id already, or take it out."""
    row.witness_phone_sealed = None if e164 is None else vault.seal(e164, _witness_place(row))


def _witness_place(row: SmsAccount) -> Place:
    return Place(row.tenant_id, "sms_account", "witness_phone_sealed", row.id)


def for_payment(row: PaymentAccount) -> payments.PaymentAccess:
    """Open a payment account for its adapter. Raises Unusable."""
    return payments.PaymentAccess(
        address_of(row),
        _texts(row.settings),
        _required(row),
        timeout_s=min(float(settings().send_timeout_s), _PAYMENT_TIMEOUT_S),
        id=row.id,
        ask_after=row.ask_after,
        unanswered=row.unanswered,
    )


@overload
def _held(row: OfSms) -> OfSms: ...
@overload
def _held(row: PaymentAccount) -> PaymentAccount: ...
def _held(row: Account) -> Account:
    """Return the row that holds an account's settings."""
    return holder(row) if isinstance(row, SmsAccount) else row


def _required(row: Account) -> dict[str, str]:
    credentials = credentials_of(row)
    if not credentials:
        raise Unusable(f"{row.__tablename__} {row.id} has no credentials")
    return credentials


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}


def _place(row: Account) -> Place:
    owner = 0 if isinstance(row, SharedSmsAccount) else row.tenant_id
    return Place(owner, row.__tablename__, "credentials_sealed", row.id)
