"""The contract of a payment provider: an order becomes a request, an answer becomes a charge. No I/O, no domain.

A browser's return or a webhook only says "look again": what is true about money comes from `fetch` and `charge` alone.
An adapter is a module-level object with the methods of `PaymentProvider`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from app.outbound import AccountField, Request, Response


@dataclass(frozen=True, slots=True)
class PaymentAccount:
    """A tenant's own contract. `base_url` is the installation's setting, never a tenant's."""

    base_url: str
    settings: Mapping[str, str]
    credentials: Mapping[str, str] = field(repr=False)
    timeout_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be paid. Money is whole yen; `reference` is ours and unique for the attempt; times are aware.

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


class ChargeStatus(StrEnum):
    """Where a charge stands at the provider, in one vocabulary for all of them."""

    OPEN = "open"  # the person may still pay
    PENDING = "pending"  # ordered, the money is still to come (konbini, bank)
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True)
class Charge:
    """One charge as the provider tells it. `amount` is in the currency's smallest unit (for jpy: whole yen)."""

    provider_id: str
    reference: str | None
    status: ChargeStatus
    amount: int | None
    currency: str | None
    method: str | None = None
    url: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    pay_by: datetime | None = None
    paid_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """A verified webhook: only a trigger to fetch a charge again. `id` is the provider's, unique per account.

    Where an event tells of something else than the charge we know (a refund's tells of the money that moved),
    `provider_id` is None and `reference`, ours, says which charge to fetch.
    """

    id: str
    kind: str
    provider_id: str | None
    reference: str | None = None


def session_end(provider: "PaymentProvider", wished: datetime, now: datetime) -> datetime:
    """Give the end of a payment page made now: `wished`, within what the provider allows, to the full second."""
    shortest, longest = provider.lifetime_s
    end = min(max(wished, now + timedelta(seconds=shortest)), now + timedelta(seconds=longest))
    return end.replace(microsecond=0)


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
    """One payment site. Every method is pure; a secret stands in no exception and no repr."""

    name: str
    label: str
    fields: Sequence[AccountField]
    methods: Mapping[str, str]  # the provider's word -> label on screens
    lifetime_s: tuple[int, int]  # the shortest and longest life of a session, seconds

    def start(self, account: PaymentAccount, order: Order) -> Request:
        """Give the request that opens a payment page; repeating it with the same order opens no second one."""

    def fetch(self, account: PaymentAccount, provider_id: str) -> Request:
        """Give the request that asks for one charge."""

    def charge(self, response: Response) -> Charge:
        """Read the answer to `start` or `fetch`. Raises UnclearCharge."""

    def webhook(self, account: PaymentAccount, headers: Mapping[str, str], body: bytes, now: datetime) -> WebhookEvent:
        """Verify and read a webhook (header names lower case).

        Raises BadSignature, or UnclearCharge when it can't be read.
        """
