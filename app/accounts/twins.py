"""Accounts of one company that would be taken for each other: by name, by contract, by their place in the order.

In: an account as it is about to be stored. Out: what it shares with another one, told by the field that says so. Can't
happen here: two managers who store twins at one time, as the second waits for the first.
"""

import unicodedata
from collections.abc import Mapping
from typing import cast

from sqlalchemy import text

from app.accounts import credentials_of
from app.extensions import db
from app.models import PaymentAccount, SmsAccount
from app.problems import Kind, Problem
from app.providers.sms import PROVIDERS

Account = SmsAccount | PaymentAccount

# the name under which a problem stands that is the contract's and no one field's
CONTRACT = "contract"

_SAME_NAME = Kind(
    "account_name_taken", "この名前のアカウントは、すでに登録されています。見分けられるように、別の名前にしてください。"
)
_SAME_CONTRACT = Kind(
    "account_contract_taken",
    "この契約は、アカウント「{name}」として、すでに登録されています。新しいトークンやキーは、そのアカウントの画面で保存してください。",
)
_SAME_ORDER = Kind(
    "account_order_taken", "代わりに送る順番{order}は、アカウント「{name}」が使っています。別の番号にしてください。"
)


def problems(made: Account, secrets: Mapping[str, str], *, stored: Account | None) -> dict[str, Problem]:
    """Return what `made`, which is not stored yet, shares with another account of its company, by the field's name.

    `secrets` are its credentials. Of `stored`, the account as it was, only what changes is looked at: a twin of before
    can still be given a new token. Holds a lock until the transaction ends.
    """
    db.session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('account_twins', :tenant_id))"),
        {"tenant_id": made.tenant_id},
    )
    others = cast(
        "list[Account]", db.session.query(type(made)).filter_by(tenant_id=made.tenant_id).order_by(text("id")).all()
    )
    found: dict[str, Problem] = {}
    for other in others:
        if stored is None or other.id != stored.id:
            found = {**_shared(made, secrets, other, stored), **found}
    return found


def _shared(made: Account, secrets: Mapping[str, str], other: Account, stored: Account | None) -> dict[str, Problem]:
    found = {}
    if _plain(made.name) == _plain(other.name) and (stored is None or _plain(stored.name) != _plain(made.name)):
        found["name"] = _SAME_NAME()
    if _is_one_contract(made, secrets, other) and (
        stored is None or not _is_one_contract(stored, credentials_of(stored), other)
    ):
        found[CONTRACT] = _SAME_CONTRACT(name=other.name)
    if isinstance(made, SmsAccount) and isinstance(other, SmsAccount):
        order = made.takeover_order
        kept = stored.takeover_order if isinstance(stored, SmsAccount) else None
        if order is not None and order != kept and order == other.takeover_order:
            found["takeover_order"] = _SAME_ORDER(order=order, name=other.name)
    return found


def _is_one_contract(made: Account, secrets: Mapping[str, str], other: Account) -> bool:
    """Return whether two accounts do the same by one contract.

    One with another sender, or other ways to pay, is another account of it. Where no id tells contracts apart, as with
    payment providers, a credential does.
    """
    if made.provider != other.provider or made.settings != other.settings or _is_part(made) or _is_part(other):
        return False
    ids = [item for item in PROVIDERS[made.provider].fields if item.contract] if isinstance(made, SmsAccount) else []
    if ids:
        return True
    known = credentials_of(other)
    return any(known.get(name) == value for name, value in secrets.items())


def _is_part(account: Account) -> bool:
    """Return whether an account is a company's part of a shared one, whose contract is the operator's."""
    return isinstance(account, SmsAccount) and account.shared_account_id is not None


def _plain(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())
