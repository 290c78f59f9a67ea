"""Whether an SMS came from the company it names: asked by anyone, of companies that agreed to it.

In: a company's name or code and a number, as people type them. Out: the company and its numbers with each carrier, or
None. Can't happen here: a company that did not agree named, or numbers listed to who doesn't know one of them.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from app import tenancy
from app.states.vocabulary import SENDER_CARRIERS, SenderState, TenantState
from app.values import sender_numbers

MOST_TYPED = 100  # characters; no name or number is longer
_FORMS_OF_COMPANY = re.compile(r"株式会社|有限会社|合同会社|\((?:株|有|同)\)")
# an SMS begins with its company's name in such brackets: people copy them too, or all that follows
_BRACKETS = "【】〔〕[]「」『』《》〈〉"
_IN_FRONT = re.compile("【([^【】]+)】")


@dataclass(frozen=True, slots=True)
class Sender:
    """A company that sends from the number asked about; `numbers` are (carrier, number), the approved ones."""

    company: str
    contact_phone: str
    contact_hours: str
    numbers: Sequence[tuple[str, str]] = ()


def find(company: str, number: str) -> Sender | None:
    """Find the company of this name or code that sends from this number.

    Opens the platform's scope.

    None has a name or number of more than `MOST_TYPED` characters.
    """
    if max(len(company), len(number)) > MOST_TYPED:
        return None
    names, asked = _asked(company), sender_numbers.asked(number)
    if not names or not asked:
        return None
    with tenancy.platform(), tenancy.transaction() as connection:
        rows = connection.execute(
            text("""
                SELECT DISTINCT t.id, t.name, t.code, t.contact_phone, t.contact_hours
                FROM sender_number s
                JOIN sms_account a ON a.id = s.sms_account_id
                JOIN tenant t ON t.id = s.tenant_id
                WHERE s.number = ANY(:asked) AND s.state = :approved AND a.active
                AND t.verifiable AND t.state = :active
                ORDER BY t.id
            """),
            {"asked": sorted(asked), "approved": SenderState.APPROVED, "active": TenantState.ACTIVE},
        ).all()
        for row in rows:
            if names & {_name(row.name), _name(row.code)}:
                return Sender(row.name, row.contact_phone, row.contact_hours, _numbers_of(connection, row.id))
    return None


def _numbers_of(connection: Connection, tenant_id: int) -> list[tuple[str, str]]:
    rows = connection.execute(
        text("""
            SELECT DISTINCT s.carrier, s.number FROM sender_number s JOIN sms_account a ON a.id = s.sms_account_id
            WHERE s.tenant_id = :tenant_id AND s.state = :approved AND a.active
        """),
        {"tenant_id": tenant_id, "approved": SenderState.APPROVED},
    )
    places = list(SENDER_CARRIERS)
    return sorted(((row.carrier, row.number) for row in rows), key=lambda pair: (places.index(pair[0]), pair[1]))


def _asked(typed: str) -> set[str]:
    """Return the names that a typed one may be: itself, and what stands in brackets in front of more."""
    normal = unicodedata.normalize("NFKC", typed).strip()
    in_front = _IN_FRONT.match(normal)
    return {_name(normal), _name(in_front[1]) if in_front else ""} - {""}


def _name(typed: str) -> str:
    normal = "".join(unicodedata.normalize("NFKC", typed).casefold().split()).strip(_BRACKETS)
    return _FORMS_OF_COMPANY.sub("", normal)
