"""What left by an SMS account in a time, as its service lists it, and which of it the database doesn't know.

In: an account and a time. Out: every message of it in the form of our references. What can't happen here: a part of a
list taken for the whole, or another time's list for this one; a transaction open while a service is asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts import Unusable, for_sms
from app.extensions import db
from app.models import SmsAccount
from app.outbound import Response
from app.outbound.curl import perform
from app.sms import PROVIDERS
from app.sms.base import Left, UnclearAnswer
from app.vault import CannotOpen

# a list that goes on for so long is not read to its end: a person looks into it
_MOST_PAGES = 20_000
_TRIES = 3


class Unasked(Exception):  # noqa: N818 - it says what is missing
    """The account could not be asked, or gave no clear answer. `args[0]` is a code for logs."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An account to ask."""

    id: int
    tenant_id: int
    name: str = field(compare=False)


def accounts(tenant_id: int | None = None) -> list[Asked]:
    """Return the accounts that may have sent anything: those with credentials. A scope must be open."""
    with Session(db.engine) as session:
        rows = session.execute(
            select(SmsAccount.id, SmsAccount.tenant_id, SmsAccount.name)
            .where(SmsAccount.credentials_sealed.is_not(None))
            .where(SmsAccount.tenant_id == tenant_id if tenant_id is not None else SmsAccount.tenant_id > 0)
            .order_by(SmsAccount.id)
        ).all()
    return [Asked(*row) for row in rows]


def left(account_id: int, start: datetime, end: datetime) -> list[Left]:
    """Return what left by an account from `start` to `end`, each message once. Raises Unasked."""
    with Session(db.engine) as session:
        row = session.get_one(SmsAccount, account_id)
        try:
            provider, account = PROVIDERS[row.provider], for_sms(row)
        except (Unusable, CannotOpen) as fault:
            raise Unasked("unusable") from fault
    found: dict[str, Left] = {}
    for number in range(1, _MOST_PAGES + 1):
        request = provider.sent_between(account, start, end, number)
        if request is None:
            raise Unasked("no_list")
        page = None
        for _ in range(_TRIES):
            answer = perform(request)
            if isinstance(answer, Response):
                try:
                    page = provider.listed(answer, start, end)
                    break
                except UnclearAnswer as unclear:
                    code = str(unclear)
            else:
                code = answer.reason
        if page is None:
            raise Unasked(code)
        found |= {item.report.provider_id: item for item in page.messages}
        if not page.more:
            return list(found.values())
    raise Unasked("endless")


def by_reference(messages: Sequence[Left]) -> dict[str, Left]:
    """Return messages by each of their references, in lower case: a carrier may write them so."""
    return {reference.lower(): item for item in messages for reference in item.report.references}
