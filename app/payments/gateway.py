"""A payment provider, asked one thing: the account opened, the requests done, the answers read as a charge.

In: an account's id and what to ask. Out: a `Charge`, or `NoAnswer`. Can't happen here: a transaction open while the
provider is asked; an account asked anything, by any process, while its provider wishes to be left alone (429,
Retry-After).
"""

from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import urlsplit

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session

from app import accounts, tenancy
from app.config import settings
from app.extensions import db
from app.models import PaymentAccount
from app.payments import bulkhead
from app.providers.http import Failure, Request, Response, wish_s
from app.providers.payments import PROVIDERS
from app.providers.payments.base import Charge, PaymentAccess, PaymentProvider, UnclearCharge

# an adapter that asks on and on is wrong
_MOST_QUESTIONS = 5

_KEY_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})

LEFT_ALONE = "left alone"  # the reason where the provider wishes to be asked nothing for a while

_log = structlog.get_logger()


class NoAnswer(Exception):  # noqa: N818 - says what was (not) received
    """The provider gave no charge.

    `code` is a word for logs; `final` means that asking the same again is no use.

    `wait_s` is for how many seconds more it wishes to be left alone; `is_wish_new`: it said so to this very question,
    which may be about one busy payment. `is_key_refused`: nothing is answered until the company mends its key.
    """

    def __init__(
        self,
        code: str,
        *,
        final: bool = False,
        wait_s: float = 0.0,
        is_wish_new: bool = False,
        is_key_refused: bool = False,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.final = final
        self.wait_s = wait_s
        self.is_wish_new = is_wish_new
        self.is_key_refused = is_key_refused


def open_account(payment_account_id: int) -> tuple[PaymentProvider, PaymentAccess]:
    """Open a contract for use. Raises app.accounts.Unusable."""
    # a session of its own: it ends before the provider is asked
    with Session(db.engine) as session:
        row = session.get_one(PaymentAccount, payment_account_id)
        return PROVIDERS[row.provider], accounts.for_payment(row)


def trusted(url: str, provider: PaymentProvider, account: PaymentAccess) -> bool:
    """Return whether a browser may be led there: to a payment page of this provider's, and nowhere else.

    Also to where the provider's API is (a sandbox's pages are beside it), and to names that a setting adds, for
    providers that lend a company a name of its own.
    """
    ours = url.isascii() and url.isprintable() and "\\" not in url and " " not in url
    try:
        parts, base = urlsplit(url), urlsplit(account.base_url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if ours and parts.netloc and (parts.scheme, parts.netloc) == (base.scheme, base.netloc):
        return True
    domains = (*provider.page_domains, *settings().payment_page_hosts)
    known = any(host == domain or host.endswith(f".{domain}") for domain in domains)
    if ours and known and parts.scheme == "https" and port in {None, 443} and "@" not in parts.netloc:
        return True
    _log.error("payment page on foreign host", provider=provider.name, scheme=parts.scheme, host=host[:100])
    return False


def ask(provider: PaymentProvider, account: PaymentAccess, asked: Request) -> Charge:
    """Do the request, and those it leads to, and read the charge. Raises NoAnswer."""
    answers: list[Response] = []
    question = asked
    while len(answers) < _MOST_QUESTIONS:
        answers.append(exchange(account, question))
        try:
            found = provider.charge(asked, answers)
        except UnclearCharge as unclear:
            is_key_refused = answers[-1].status in _KEY_REFUSED
            raise NoAnswer(unclear.code, final=unclear.final, is_key_refused=is_key_refused) from None
        if isinstance(found, Charge):
            if account.unanswered:
                _answers_again(account.id)
            return found
        question = found
    raise NoAnswer("endless")


def exchange(account: PaymentAccess, request: Request) -> Response:
    """Do one request, unless the provider wishes to be left alone; make such a wish known. Raises NoAnswer."""
    now = datetime.now(UTC)
    if account.ask_after is not None and account.ask_after > now:
        raise NoAnswer(LEFT_ALONE, wait_s=(account.ask_after - now).total_seconds())
    answer = bulkhead.ask(request)
    if isinstance(answer, Failure):
        raise NoAnswer(answer.reason)
    if wait_s := wish_s(answer):
        _leave_alone(account.id, wait_s)
        raise NoAnswer(LEFT_ALONE, wait_s=wait_s, is_wish_new=True)
    return answer


def _leave_alone(account_id: int, wait_s: float) -> None:
    """Have every process ask nothing of an account's provider for so many seconds."""
    with tenancy.transaction() as connection:
        connection.execute(
            text("""
                UPDATE payment_account SET ask_after = greatest(ask_after, now() + make_interval(secs => :wait_s))
                WHERE id = :id
            """),
            {"id": account_id, "wait_s": wait_s},
        )


def _answers_again(account_id: int) -> None:
    with tenancy.transaction() as connection:
        connection.execute(
            text("UPDATE payment_account SET unanswered = 0, rests_until = NULL WHERE id = :id"), {"id": account_id}
        )
