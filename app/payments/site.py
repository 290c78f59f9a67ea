"""A payment site, asked one thing: the account opened, the request done, the answer read as a charge.

In: an account's id and what to ask. Out: a `Charge`, or `NoAnswer`. What can't happen here: a transaction open while
the site is asked.
"""

from sqlalchemy.orm import Session

from app import accounts
from app.extensions import db
from app.models import PaymentAccount as AccountRow
from app.outbound import Failure, Request
from app.outbound.curl import perform
from app.payments.base import Charge, PaymentAccount, PaymentProvider, UnclearCharge
from app.payments.providers import PROVIDERS


class NoAnswer(Exception):  # noqa: N818 - says what was (not) received
    """The site gave no charge. `code` is a word for logs; `final` means that asking the same again is no use."""

    def __init__(self, code: str, *, final: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.final = final


def open_account(payment_account_id: int) -> tuple[PaymentProvider, PaymentAccount]:
    """Open a contract for use. Raises app.accounts.Unusable."""
    # a session of its own: it ends before the site is asked
    with Session(db.engine) as session:
        row = session.get_one(AccountRow, payment_account_id)
        return PROVIDERS[row.provider], accounts.for_payment(row)


def ask(provider: PaymentProvider, request: Request) -> Charge:
    """Do the request and read the charge. Raises NoAnswer."""
    answer = perform(request)
    if isinstance(answer, Failure):
        raise NoAnswer(answer.reason)
    try:
        return provider.charge(answer)
    except UnclearCharge as unclear:
        raise NoAnswer(unclear.code, final=unclear.final) from None
