"""List what left by an SMS account in a time, as its service tells, and which of it the database doesn't know.

In: an account and a time, by our clock. Out: every message of it as the service lists it. Can't happen here: a part of
a list taken for the whole, or another time's list for this one (the service's clock may be hours from ours); a list
that lacks what the database itself knows to be there; a transaction open while a service is asked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TypeVar

from sqlalchemy import Connection, Row, select, text
from sqlalchemy.orm import Session

from app import tenancy
from app.accounts import Unusable, contracts, for_sms
from app.accounts.shared import has_credentials
from app.config import settings
from app.extensions import db
from app.models import SmsAccount
from app.providers.curl import perform
from app.providers.http import Request, Response
from app.providers.sms import PROVIDERS, base
from app.providers.sms.base import ListedMessage, TooMany, UnclearAnswer
from app.vault import CannotOpen
from app.work_budget import WorkBudget

# a list that goes on for so long is not read to its end: a person looks into it
_MOST_PAGES = 20_000
_TRIES = 3
# A service's clock may be changed, or in another zone: so much more of its list is read on either side, and more where
# no message of ours tells how far it is from ours.
_WIDE = timedelta(hours=3)
_WIDEST = timedelta(hours=13)
# an older message of ours may have left the service's records
_KEPT = timedelta(days=7)
# of the messages on record in that time so many must be in the list
_KNOWN = 10_000
_SECOND = timedelta(seconds=1)
# a list that is too long for an answer even of this time is not read to its end either
_SHORTEST = timedelta(milliseconds=10)

T = TypeVar("T")


class Unasked(Exception):  # noqa: N818 - it says what is missing
    """The account could not be asked, or gave no clear answer. `args[0]` is a code for logs."""


class NotYet(Unasked):
    """The list lacks what left a moment ago: it has not caught up, ask again."""


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
            .where(has_credentials(SmsAccount))
            .where(SmsAccount.tenant_id == tenant_id if tenant_id is not None else SmsAccount.tenant_id > 0)
            .order_by(SmsAccount.id)
        ).all()
    return [Asked(*row) for row in rows]


def settle_s() -> float:
    """Return how long after it left a message may still be missing in a service's list, seconds."""
    return max(settings().unknown_settle_s, settings().gateway_settle_s)


def left(account: Asked, start: datetime, end: datetime) -> list[ListedMessage]:
    """Return what left by an account from `start` to `end` by our clock, and around it, each once. Raises Unasked.

    A scope that sees the account must be open.
    """
    with Session(db.engine) as session:
        row = session.get_one(SmsAccount, account.id)
        try:
            provider, opened = PROVIDERS[row.provider], for_sms(row)
        except (Unusable, CannotOpen) as fault:
            raise Unasked("unusable") from fault
        contract = contracts.identity(row)
    with tenancy.transaction() as connection:
        # some of the time, or the last of before
        known = on_record(
            connection,
            account,
            contract,
            min(start, end - _KEPT),
            end,
            order="l.started_at DESC",
            most=_KNOWN,
        )
    wide, behind, ahead = _WIDEST, timedelta(), timedelta()
    if known:
        newest = known[0]
        told = _ask(provider.detail(opened, newest.provider_id), provider.report)
        if told.accepted_at is not None:
            apart = told.accepted_at - newest.started_at
            wide, behind, ahead = _WIDE, min(behind, apart), max(ahead, apart)
            if newest.started_at < start and newest.provider_id not in _read(
                provider, opened, told.accepted_at - _SECOND, told.accepted_at + _SECOND
            ):
                raise Unasked("incomplete")
    found = _read(provider, opened, start + behind - wide, end + ahead + wide)
    missing = [one for one in known if one.started_at >= start and one.provider_id not in found]
    if missing:
        settled = all(one.started_at < end - timedelta(seconds=settle_s()) for one in missing)
        raise Unasked("incomplete") if settled else NotYet("incomplete")
    return list(found.values())


def on_record(
    connection: Connection, account: Asked, identity: bytes, start: datetime, end: datetime, *, order: str, most: int
) -> Sequence[Row[tuple[str, datetime]]]:
    """Return messages (provider_id, started_at) that the account's contract accepted at once in a time, by our clock.

    Where there are more than `most`, the first by `order`, an SQL expression of `send_log l`; the newest comes first.
    """
    return connection.execute(
        text(f"""
            SELECT provider_id, started_at FROM (
                SELECT l.recipient_id, l.provider_id, l.started_at
                FROM send_log l JOIN sms_contract k ON k.id = l.sms_contract_id
                WHERE l.tenant_id = :tenant_id AND l.started_at BETWEEN :start AND :end
                AND l.sms_account_id = :account_id AND k.identity = :identity
                AND l.provider_id IS NOT NULL AND l.state IN ('accepted', 'delivered', 'undelivered')
                ORDER BY {order} LIMIT :most
            ) AS taken
            -- not one that was unknown first: it may have been accepted much later
            WHERE NOT EXISTS (
                SELECT FROM event e
                WHERE e.recipient_id = taken.recipient_id AND e.track = 'sms' AND e.state = 'unknown'
            )
            ORDER BY started_at DESC
        """),  # noqa: S608 - our own words
        {
            "tenant_id": account.tenant_id,
            "account_id": account.id,
            "identity": identity,
            "start": start,
            "end": end,
            "most": most,
        },
    ).all()


def _read(
    provider: base.SmsProvider, account: base.SmsAccess, start: datetime, end: datetime
) -> dict[str, ListedMessage]:
    """Read a list to its end, by the service's clock: part by part where the service shows no more at once."""
    found: dict[str, ListedMessage] = {}
    budget = WorkBudget(settings().listing_s)
    parts = [(start, end)]
    while parts:
        begins, ends = parts.pop()
        try:
            found |= _read_part(provider, account, begins, ends, budget)
        except TooMany:
            if ends - begins <= _SHORTEST:
                raise Unasked("endless") from None
            middle = begins + (ends - begins) / 2
            parts += [(middle, ends), (begins, middle)]
    return found


def _read_part(
    provider: base.SmsProvider, account: base.SmsAccess, start: datetime, end: datetime, budget: WorkBudget
) -> dict[str, ListedMessage]:
    """Read the pages of a time. Raises TooMany where the service doesn't show all of it."""
    found: dict[str, ListedMessage] = {}
    for number in range(1, _MOST_PAGES + 1):
        if budget.is_spent:
            raise Unasked("too_slow")
        request = provider.sent_between(account, start, end, number)
        if request is None:
            raise Unasked("no_list")
        page = _ask(request, lambda response: provider.parse_list(response, start, end))
        found |= {item.report.provider_id: item for item in page.messages}
        if not page.more:
            return found
    raise Unasked("endless")


def _ask(request: Request, read: Callable[[Response], T]) -> T:
    code = ""
    for _ in range(_TRIES):
        answer = perform(request)
        if isinstance(answer, Response):
            try:
                return read(answer)
            except TooMany:
                raise
            except UnclearAnswer as unclear:
                # a service's own word for "not now" says nothing: 429 and 5xx do
                passing = (
                    answer.status == HTTPStatus.TOO_MANY_REQUESTS or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
                )
                code = f"http_{answer.status}" if passing else str(unclear)
        else:
            code = answer.reason
    raise Unasked(code)
