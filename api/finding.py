"""Rows by the ids that systems know them by: ours, or a company's own number (`ref:A-123`).

Can't happen here: a row of another company's, or one that took a number after a restore: both are not found.
"""

from sqlalchemy import select

from api.door import NotFound
from app.api_access import ids
from app.api_access.ids import Of
from app.extensions import db
from app.models import Campaign, Payment, PaymentAccount, Recipient, SmsAccount

REFERENCE = "ref:"


def campaign(text: str) -> Campaign:
    """Return the campaign of an id. Raises NotFound."""
    number = ids.read(Of.CAMPAIGN, text)
    row = None if number is None else db.session.get(Campaign, number)
    if row is None:
        raise NotFound
    return row


def account(of: Of, text: str | None) -> int | None:
    """Return the row of an account's id, None where none is given. Raises NotFound."""
    if text is None:
        return None
    number = ids.read(of, text)
    model = SmsAccount if of is Of.SMS_ACCOUNT else PaymentAccount
    if number is None or db.session.get(model, number) is None:
        raise NotFound
    return number


def payment(within: Campaign, text: str) -> Payment:
    """Return the payment of a campaign by its id. Raises NotFound."""
    number = ids.read(Of.PAYMENT, text)
    mine = select(Payment).where(Payment.campaign_id == within.id, Payment.id == number)
    row = None if number is None else db.session.scalar(mine)
    if row is None:
        raise NotFound
    return row


def recipient(within: Campaign, text: str) -> Recipient:
    """Return the recipient of a campaign by an id or a number of the company's own. Raises NotFound."""
    people = select(Recipient).where(Recipient.campaign_id == within.id)
    if text.startswith(REFERENCE):
        named = text.removeprefix(REFERENCE)
        mine = Recipient.tenant_id == within.tenant_id, Recipient.reference == named
        found = db.session.scalars(people.where(*mine).limit(2)).all() if named and "\0" not in named else []
        if len(found) != 1:
            raise NotFound
        return found[0]
    read = ids.read_person(text)
    row = None if read is None else db.session.scalar(people.where(Recipient.id == read.number))
    if read is None or row is None or not read.is_of(row.link_secret):
        raise NotFound
    return row
