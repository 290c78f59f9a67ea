"""A payment site, asked one thing: the account opened, the requests done, the answers read as a charge.

In: an account's id and what to ask. Out: a `Charge`, or `NoAnswer`. What can't happen here: a transaction open while
the site is asked.
"""

from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from app import accounts
from app.extensions import db
from app.models import PaymentAccount as AccountRow
from app.outbound import Failure, Request, Response
from app.payments import patience
from app.payments.base import Charge, PaymentAccount, PaymentProvider, UnclearCharge
from app.payments.providers import PROVIDERS

# an adapter that asks on and on is wrong
_MOST_QUESTIONS = 5


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


def trusted(url: str, account: PaymentAccount) -> bool:
    """Say whether a browser may be led there; plain http only beside a sandbox that speaks it."""
    return urlsplit(url).scheme in {"https", urlsplit(account.base_url).scheme}


def ask(provider: PaymentProvider, asked: Request) -> Charge:
    """Do the request, and those it leads to, and read the charge. Raises NoAnswer."""
    answers: list[Response] = []
    question = asked
    while len(answers) < _MOST_QUESTIONS:
        answer = patience.ask(question)
        if isinstance(answer, Failure):
            raise NoAnswer(answer.reason)
        answers.append(answer)
        try:
            found = provider.charge(asked, answers)
        except UnclearCharge as unclear:
            raise NoAnswer(unclear.code, final=unclear.final) from None
        if isinstance(found, Charge):
            return found
        question = found
    raise NoAnswer("endless")
