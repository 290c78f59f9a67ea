"""Whether an SMS came from the company it names: asked by anyone, of companies that agreed to it.

In: a company's name or code and a number, as people type them. Out: the company, or None. Can't happen here: a company
that did not agree named, or numbers listed: who asks must know both.
"""

import re
import unicodedata
from dataclasses import dataclass

from sqlalchemy import text

from app import tenancy
from app.states.vocabulary import TenantState
from app.values.answers import BETWEEN_DIGITS

MOST_TYPED = 100  # characters; no name or number is longer
_BETWEEN_NUMBERS = re.compile(r"[,;/|・、\n]")
_FORMS_OF_COMPANY = re.compile(r"株式会社|有限会社|合同会社|\((?:株|有|同)\)")


@dataclass(frozen=True, slots=True)
class Sender:
    """A company that sends from the number asked about."""

    company: str
    contact_phone: str
    contact_hours: str


def find(company: str, number: str) -> Sender | None:
    """Find the company of this name or code that sends from this number. Opens the platform's scope.

    None has a name or number of more than `MOST_TYPED` characters.
    """
    if max(len(company), len(number)) > MOST_TYPED:
        return None
    name, wanted = _name(company), _number(number)
    if not name or not wanted:
        return None
    with tenancy.platform(), tenancy.transaction() as connection:
        rows = connection.execute(
            text("""
                SELECT t.name, t.code, t.contact_phone, t.contact_hours, a.sender
                FROM tenant t JOIN sms_account a ON a.tenant_id = t.id
                WHERE t.verifiable AND t.state = :active AND a.active AND a.sender <> ''
            """),
            {"active": TenantState.ACTIVE},
        ).all()
    for row in rows:
        if name in {_name(row.name), _name(row.code)} and wanted in numbers(row.sender):
            return Sender(row.name, row.contact_phone, row.contact_hours)
    return None


def numbers(written: str) -> set[str]:
    """Read the numbers of an account's sender, of which several may stand there."""
    normal = unicodedata.normalize("NFKC", written)
    return {number for part in _BETWEEN_NUMBERS.split(normal) if (number := _number(part))}


def _number(typed: str) -> str:
    normal = unicodedata.normalize("NFKC", typed).casefold().strip()
    signs = "".join(sign for sign in normal if sign.isalnum() and sign not in BETWEEN_DIGITS)
    return "0" + signs.removeprefix("81") if normal.startswith("+81") else signs


def _name(typed: str) -> str:
    normal = "".join(unicodedata.normalize("NFKC", typed).casefold().split())
    return _FORMS_OF_COMPANY.sub("", normal)
