"""The payment pages of PAY.JP, KOMOJU and PayPay, behind each one's door.

In: checked API calls, and what a person does on the page. Out: the order in its new state, and that provider's webhooks
to the account's address. Can't happen here: an order paid twice, or paid after its page lapsed; more given back than
was paid. Accounts are digests of their keys, so that no key is kept.
"""

import secrets
import string
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from sandbox.faults import Switches
from sandbox.journal import Journal, Record
from sandbox.settings import Webhook
from sandbox.timers import Agenda
from sandbox.webhook_sender import Courier

SLIP_DAYS = 3
_ALPHABET = string.ascii_lowercase + string.digits


class WrongMomentError(Exception):
    """An act that the order's state doesn't allow (any more)."""


@dataclass(slots=True)
class Order:
    """One payment page and its payment. Times are epoch seconds.

    `state`: open; ordered (a slip is out); paid; lapsed (the slip); expired (the page); cancelled. `dispute`: empty,
    open, lost or won. `kept` is what the door wants to tell again, such as metadata.
    """

    id: str
    site: str
    account: str
    reference: str
    amount: int
    description: str
    methods: list[str]
    success_url: str
    cancel_url: str
    created_at: float
    expires_at: float
    kept: dict[str, Any] = field(default_factory=dict)
    state: str = "open"
    payment_id: str = ""
    method: str = ""
    declined: bool = False
    pay_by: float = 0.0
    paid_at: float = 0.0
    changed_at: float = 0.0
    dispute: str = ""
    refunds: list[dict[str, Any]] = field(default_factory=list)

    @property
    def refunded(self) -> int:
        """How much was given back, yen."""
        return sum(refund["amount"] for refund in self.refunds if not refund.get("failed"))


# tells an account's address of what happened to an order: ordered, paid, declined, lapsed, expired, cancelled,
# refunded, refund_failed, disputed
Teller = Callable[[Order, str, Webhook], None]


class Orders:
    """All orders of all accounts of the three sites.

    `pages` is the address that payment pages lie below.
    """

    def __init__(self, journal: Journal, agenda: Agenda, courier: Courier, switches: Switches, pages: str) -> None:
        self.pages = pages
        self.courier = courier
        self.switches = switches
        self._journal = journal
        self._agenda = agenda
        self._webhooks: dict[str, dict[str, Webhook]] = {}
        self._tellers: dict[str, Teller] = {}
        self._orders: dict[str, Order] = {}

    def tell(self, site: str, webhooks: Mapping[str, Webhook]) -> None:
        """Set where each account's webhooks go; `"*"` stands for every other account."""
        self._webhooks[site] = dict(webhooks)

    def told_by(self, site: str, teller: Teller) -> None:
        """Set who makes a provider's webhooks."""
        self._tellers[site] = teller

    def webhook(self, site: str, account: str) -> Webhook:
        """Return an account's address, secret and shop; empty ones where none are set."""
        known = self._webhooks.get(site, {})
        return known.get(account) or known.get("*") or Webhook()

    def all(self) -> list[Order]:
        """Return every order, oldest first."""
        return list(self._orders.values())

    def get(self, order_id: str) -> Order | None:
        """Return an order by its page's id alone, as the page needs it."""
        return self._orders.get(order_id)

    def of(self, site: str, account: str) -> list[Order]:
        """Return an account's orders, newest first."""
        return [one for one in reversed(self._orders.values()) if (one.site, one.account) == (site, account)]

    def open(self, order: Order) -> Order:
        """Put an order's page up."""
        order.changed_at = order.created_at
        self._keep(order)
        self._watch(order)
        return order

    def pay(self, order: Order, method: str) -> None:
        """Pay at once. Raises WrongMomentError."""
        self._opened(order)
        self._try(order, method)
        order.state, order.paid_at = "paid", time.time()
        self._told(order, "paid")

    def decline(self, order: Order, method: str) -> None:
        """Try to pay in vain: the page stays open. Raises WrongMomentError."""
        self._opened(order)
        self._try(order, method)
        order.declined = True
        self._told(order, "declined")

    def order_slip(self, order: Order, method: str) -> None:
        """Order a slip to pay later. Raises WrongMomentError."""
        self._opened(order)
        self._try(order, method)
        order.state, order.pay_by = "ordered", time.time() + SLIP_DAYS * 86_400
        self._told(order, "ordered")
        self._watch(order)

    def settle(self, order: Order, *, paid: bool) -> None:
        """Let the money for a slip come, or the slip lapse. Raises WrongMomentError."""
        if order.state != "ordered":
            raise WrongMomentError
        order.state = "paid" if paid else "lapsed"
        order.paid_at = time.time() if paid else 0.0
        self._told(order, order.state)

    def end(self, order: Order, state: str) -> None:
        """End what is not paid, as expired or cancelled. Raises WrongMomentError."""
        if order.state not in {"open", "ordered"}:
            raise WrongMomentError
        order.state = state
        self._told(order, state)

    def reverse(self, order: Order) -> None:
        """Cancel an order that is paid or not: no money stays. Raises WrongMomentError."""
        if order.state not in {"open", "paid"} or order.refunds:
            raise WrongMomentError
        order.state = "cancelled"
        self._told(order, "cancelled")

    def refund(self, order: Order, amount: int, asked: dict[str, Any]) -> dict[str, Any]:
        """Refund money, as `asked`.

        Raises WrongMomentError when there is not so much left.
        """
        if order.state != "paid" or not 0 < amount <= order.amount - order.refunded:
            raise WrongMomentError
        made = {"id": new_id(25), "amount": amount, "asked": asked, "at": time.time()}
        order.refunds.append(made)
        self._told(order, "refunded")
        return made

    def fail_refund(self, order: Order) -> None:
        """Let the newest refund come back from the person's bank. Raises WrongMomentError."""
        done = [refund for refund in order.refunds if not refund.get("failed")]
        if not done:
            raise WrongMomentError
        done[-1]["failed"] = True
        self._told(order, "refund_failed")

    def dispute(self, order: Order, status: str) -> None:
        """Let a person's bank contest a paid order, or the contest end.

        Raises WrongMomentError.
        """
        if order.state != "paid" or (status != "open" and not order.dispute):
            raise WrongMomentError
        order.dispute = status
        self._told(order, "disputed")

    def tell_of(self, order: Order, what: str) -> None:
        """Push to an account's address an order that is on no record here."""
        webhook = self.webhook(order.site, order.account)
        if webhook.url:
            self._tellers[order.site](order, what, webhook)

    def load(self, record: Record) -> None:
        """Take back an order that the journal kept."""
        order = Order(**record["order"])
        self._orders[order.id] = order

    def resume(self) -> None:
        """After a replay: watch the deadlines again."""
        for order in self._orders.values():
            self._watch(order)

    def clear(self) -> None:
        """Forget all orders."""
        self._orders.clear()

    def _opened(self, order: Order) -> None:
        if order.state == "open" and order.expires_at <= time.time():
            self.end(order, "expired")
        if order.state != "open":
            raise WrongMomentError

    def _try(self, order: Order, method: str) -> None:
        order.payment_id = order.payment_id or new_id(25)
        order.method, order.declined = method, False

    def _told(self, order: Order, what: str) -> None:
        order.changed_at = time.time()
        self._keep(order)
        self.tell_of(order, what)

    def _watch(self, order: Order) -> None:
        """Let the page's own deadline come, or its slip's."""
        if order.state == "open":
            self._agenda.after(order.expires_at - time.time(), partial(self._lapse, order, "open"))
        elif order.state == "ordered":
            self._agenda.after(order.pay_by - time.time(), partial(self._lapse, order, "ordered"))

    def _lapse(self, order: Order, state: str) -> None:
        if order.state == state and self._orders.get(order.id) is order:
            if state == "open":
                self.end(order, "expired")
            else:
                self.settle(order, paid=False)

    def _keep(self, order: Order) -> None:
        self._orders[order.id] = order
        if self._journal.on:
            self._journal.append({"k": "order", "order": asdict(order)})


def new_id(length: int) -> str:
    """Make an id of small letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
