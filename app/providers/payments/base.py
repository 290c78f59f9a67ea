"""The contract of a payment provider: an order becomes a request, an answer becomes a charge. No I/O, no domain.

A browser's return or a webhook only says "look again": what is true about money comes from `fetch` and `charge` alone.
An adapter is a module-level object with the methods of `PaymentProvider`; how one is made: docs/payment-provider.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from app.providers.http import AccountField, Request, Response

_JAPAN: Final = ZoneInfo("Asia/Tokyo")


@dataclass(frozen=True, slots=True)
class PaymentAccess:
    """A tenant's own contract, opened for use.

    `base_url` is the installation's setting, never a tenant's.

    Requests that are signed with a time are signed with `opened_at`: an account is opened anew for each use. `id`,
    `ask_after` and `unanswered` are its row's, 0 and None for one that has none.
    """

    base_url: str
    settings: Mapping[str, str]
    credentials: Mapping[str, str] = field(repr=False)
    timeout_s: float = 20.0
    opened_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    id: int = 0
    ask_after: datetime | None = None
    unanswered: int = 0


@dataclass(frozen=True, slots=True)
class Order:
    """An amount to be paid.

    Money is whole yen; `reference` is ours and unique for the attempt; times are aware.

    An order is sent again only as it was, to the letter: providers refuse a known reference with another content. So
    `expires_at` comes from `session_end` once, and is kept.
    """

    reference: str
    amount_yen: int
    description: str
    success_url: str
    cancel_url: str
    expires_at: datetime
    methods: Sequence[str] = ()
    locale: str = "ja"


# where a provider tells no bounds of its own
ANY_AMOUNT: Final = (1, 10**9)


class ChargeStatus(StrEnum):
    """Where a charge stands at the provider, in one vocabulary for all of them."""

    OPEN = "open"  # the person may still pay
    PENDING = "pending"  # ordered, the money is still to come (konbini, bank)
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


class Dispute(StrEnum):
    """How a dispute of a charge stands (チャージバック): the person's bank or card company wants the money back."""

    OPEN = "open"  # an answer may be wanted, the money may be gone already
    LOST = "lost"  # the money went back to the person
    WON = "won"  # the money stays


class RefundStatus(StrEnum):
    """The state of a refund."""

    DONE = "done"
    PENDING = "pending"  # accepted; `fetch` tells when it is done
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Charge:
    """One charge as the provider tells it.

    Amounts are in the currency's smallest unit (for jpy: whole yen).

    `url` is where the person goes on: the open page, or what a pending one is paid with (the numbers for the konbini).
    `provider_id` is what `fetch` takes; `payment_id` is the provider's id of the money itself, once there is some;
    `amount_refunded` is how much of it was given back so far (a charge is REFUNDED when all of it was), None where a
    list doesn't tell; `refunds` are those that we asked for, by our reference. `dispute` is None where none is told of;
    a list may tell one as OPEN that is over.
    """

    provider_id: str
    reference: str | None
    status: ChargeStatus
    amount: int | None
    currency: str | None
    payment_id: str | None = None
    amount_refunded: int | None = 0
    method: str | None = None
    url: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    pay_by: datetime | None = None
    paid_at: datetime | None = None
    refunds: Mapping[str, RefundStatus] = field(default_factory=dict)
    dispute: Dispute | None = None


@dataclass(frozen=True, slots=True)
class Refund:
    """Money given back, or on its way.

    `amount` is in the currency's smallest unit; `provider_id` where one is told.
    """

    status: RefundStatus
    amount: int
    provider_id: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a day's charges, and the cursor that `day_request` takes for the next page; None after the last one."""

    charges: Sequence[Charge]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """A verified webhook: only a trigger to fetch a charge again.

    `id` is the provider's, unique per account.

    Where an event tells of something else than the charge we know (a refund, a dispute), `provider_id` is None, and
    `reference`, ours, or `payment_id`, the provider's id of the money, says which charge to fetch. One that is not
    `proven` may be anybody's: it is kept only where it leads to a payment of ours, and its `id` says what it is about,
    so that there are few.
    """

    id: str
    kind: str
    provider_id: str | None
    reference: str | None = None
    proven: bool = True
    payment_id: str | None = None


def session_end(provider: "PaymentProvider", wished: datetime, now: datetime) -> datetime:
    """Return the end of a payment page made now: `wished`, within what the provider allows, to the full second."""
    shortest, longest = provider.lifetime_s
    end = min(max(wished, now + timedelta(seconds=shortest)), now + timedelta(seconds=longest))
    return end.replace(microsecond=0)


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """Return the begin of a day in Japan and that of the next, in UTC."""
    begins = datetime.combine(day, time(), _JAPAN)
    return begins.astimezone(UTC), (begins + timedelta(days=1)).astimezone(UTC)


class BadSignature(Exception):  # noqa: N818 - says what was found
    """A webhook that is not from the provider, or too old."""


class UnclearCharge(Exception):  # noqa: N818 - says what was found
    """An answer that can't be read as a charge.

    `code` is the provider's word for logs; `final` means that asking again is no use.
    """

    def __init__(self, code: str, *, final: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.final = final


class PaymentProvider(Protocol):
    """One payment provider.

    Every method is pure; a secret stands in no exception and no repr.
    """

    name: str
    label: str
    fields: Sequence[AccountField]
    methods: Mapping[str, str]  # the provider's word -> label on screens
    lifetime_s: tuple[int, int]  # the shortest and longest life of a session, seconds
    page_domains: tuple[str, ...]  # its payment pages are below these names and nowhere else
    tells_end: bool  # whether `fetch` tells that a page's time is over; else it stays OPEN for good

    @property
    def api_base(self) -> str | None:
        """The address of the provider's API unless the operator lists others; None: they must."""

    def bounds(self, settings: Mapping[str, str]) -> tuple[int, int]:
        """Return the least and the most that an account of these settings can be paid, yen, as far as known."""

    def start(self, account: PaymentAccess, order: Order) -> Request:
        """Return the request that opens a payment page; repeating it with the same order opens no second one.

        The charge it is answered with is OPEN, with `url` and, where the provider tells, `expires_at`.
        """

    def fetch(self, account: PaymentAccess, provider_id: str) -> Request:
        """Return the request that asks for one charge."""

    def charge(self, asked: Request, answers: Sequence[Response]) -> Charge | Request:
        """Read what was answered to `start` or `fetch`, or give the next question where that tells too little.

        `answers` are those to `asked` and to each further question, in order. Raises UnclearCharge.
        """

    def webhook(self, account: PaymentAccess, headers: Mapping[str, str], body: bytes, now: datetime) -> WebhookEvent:
        """Verify and read a webhook (header names lower case).

        Raises BadSignature, or UnclearCharge when it can't be read.
        """

    def expire(self, account: PaymentAccess, charge: Charge) -> Request | None:
        """Return the request that ends a charge not paid yet (an open page, an unpaid slip) as `fetch` just told it.

        Its answer counts for nothing: `fetch` tells what became of it. None where the provider can't.
        """

    def refund(self, account: PaymentAccess, charge: Charge, amount_yen: int, reference: str) -> Request | None:
        """Return the request that gives `amount_yen` of a paid charge back, as `fetch` just told it.

        `reference` is ours and unique for the refund: repeating the request gives nothing back twice. None where the
        provider can't, for this means of payment or at all.
        """

    def refunded(self, response: Response) -> Refund:
        """Read the answer to `refund`. Raises UnclearCharge."""

    def day_request(self, account: PaymentAccess, day: date, cursor: str = "") -> Request | None:
        """Return the request for a page of the charges made on a day in Japan (`day_bounds`).

        Made: the provider's own time of the payment page, or of the payment where it lists those alone. None where
        there is no such list.
        """

    def parse_list(self, day: date, response: Response) -> Page:
        """Read the answer to `day_request`. Raises UnclearCharge.

        `reference` tells which charge is which: an id may be another one than `fetch` takes. Unreadable charges, such
        as what the contract's owner sells elsewhere, are left out.
        """
