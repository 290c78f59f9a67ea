"""The contract by which an attempt goes out: kept with each, for a look-up elsewhere proves nothing about it.

In: an account as it is now. Out: a row that says which service, address and ids it stands for, and whether its
credentials are those of before.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import ColumnElement, and_, or_, text

from app import tenancy
from app.accounts import OfSms, credentials_of, sms_contract
from app.db import Of
from app.extensions import db, vault
from app.models import SharedSmsAccount, SmsAccount
from app.providers.sms import PROVIDERS


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract with its credentials.

    Rows of one `identity` are the same contract, before and after a renewal.
    """

    id: int
    identity: bytes


def identity(row: SmsAccount) -> bytes:
    """Return the digest (32 bytes) of what tells this account's contract from another."""
    return _digest(sms_contract(row))


def _digest(content: Mapping[str, str]) -> bytes:
    return sha256(json.dumps(content, ensure_ascii=False).encode()).digest()


def is_same(one: Of[SmsAccount], other: Of[SmsAccount]) -> ColumnElement[bool]:
    """Return the condition that two accounts are of one contract, as far as the database can tell.

    By service, ids and address, as `sms_contract`; an account that chose no address may be at any. A part of a shared
    account is of the operator's contract: a company has one part of it.
    """
    address, others = one.settings["api_base"].astext, other.settings["api_base"].astext
    ids = [
        and_(
            one.provider == name,
            *(
                one.settings[item.name].astext == other.settings[item.name].astext
                for item in provider.fields
                if item.contract
            ),
        )
        for name, provider in PROVIDERS.items()
    ]
    return and_(
        one.shared_account_id.is_(None),
        other.shared_account_id.is_(None),
        one.provider == other.provider,
        or_(address.is_(None), others.is_(None), address == others),
        or_(*ids),
    )


def in_use(row: OfSms) -> bool:
    """Return whether an account's contract may have messages of ours: it must stay what it is, to be asked.

    Of a shared account: messages of any of its companies.
    """
    owner = "shared_account_id" if isinstance(row, SharedSmsAccount) else "id"
    found = db.session.scalar(
        text(f"""
            SELECT EXISTS (
                SELECT FROM sms_account a JOIN campaign c ON c.sms_account_id = a.id WHERE a.{owner} = :id AND EXISTS (
                    SELECT FROM send_log l WHERE l.campaign_id = c.id AND l.sms_account_id = a.id
                    AND (l.state IN ('sending', 'unknown', 'accepted', 'delivered') OR l.provider_id IS NOT NULL)
                )
            )
        """),  # noqa: S608 - our own words
        {"id": row.id},
    )
    return bool(found)


def keep(row: SmsAccount) -> Contract:
    """Return the row of an account's contract as it is now; written where it is new.

    Raises CannotOpen. Of a shared one the company's row tells no more than that it is: its ids are the operator's.
    """
    content = sms_contract(row)
    known = _digest(content)
    kept = content if row.shared_account_id is None else {"shared_account": str(row.shared_account_id)}
    values = {
        "account_id": row.id,
        "identity": known,
        "credentials": vault.credentials_digest(row.id, json.dumps(credentials_of(row), sort_keys=True)),
    }
    find = text("""
        SELECT id FROM sms_contract
        WHERE sms_account_id = :account_id AND identity = :identity AND credentials_digest = :credentials
    """)
    with tenancy.transaction() as connection:
        found = connection.scalar(find, values)
        if found is None:
            connection.execute(
                text("""
                    INSERT INTO sms_contract (tenant_id, sms_account_id, identity, credentials_digest, content)
                    VALUES (:tenant_id, :account_id, :identity, :credentials, CAST(:content AS jsonb))
                    ON CONFLICT DO NOTHING
                """),
                values | {"tenant_id": row.tenant_id, "content": json.dumps(kept, ensure_ascii=False)},
            )
            found = connection.scalar(find, values)
    return Contract(int(found), known)
