"""The sandbox's parts, put together, and what concerns them all: journal, reset, addresses."""

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox import infobip, karaden, twilio, zettai_reach
from sandbox.checkout import Checkouts, account_of
from sandbox.faults import Switches
from sandbox.idempotency import Idempotency
from sandbox.journal import Journal
from sandbox.ledger import Ledger
from sandbox.messages import Messages
from sandbox.orders import Orders
from sandbox.receiver import Receivers
from sandbox.settings import Settings, Webhook
from sandbox.timers import Agenda
from sandbox.webhook_sender import Courier


@dataclass(frozen=True, slots=True)
class World:
    """Everything one sandbox holds. `url` is its own public address."""

    settings: Settings
    url: str
    journal: Journal
    agenda: Agenda
    courier: Courier
    switches: Switches
    ledger: Ledger
    messages: Messages
    karaden: karaden.Receipts
    reach: zettai_reach.Receipts
    cpaas: infobip.Receipts
    messaging: twilio.Receipts
    checkouts: Checkouts
    orders: Orders
    idempotency: Idempotency
    receivers: Receivers

    def load(self) -> None:
        """Take back what the journal kept, and go on from there."""
        loaders = {
            "request": self.ledger.load,
            "message": self.messages.load,
            "stripe": self.checkouts.load,
            "order": self.orders.load,
            "idempotency": self.idempotency.load,
        }
        for record in self.journal.replay():
            loaders[record["k"]](record)
        self.messages.resume()
        self.checkouts.resume()
        self.orders.resume()

    def reset(self) -> None:
        """Forget all that happened and put every switch off; addresses stay."""
        payments = (self.checkouts, self.orders, self.idempotency)
        for part in (self.agenda, self.courier, self.ledger, self.messages, self.receivers, *payments):
            part.clear()
        self.journal.clear()
        self.switches.replace({})

    @property
    def sms(self) -> Mapping[str, zettai_reach.Receipts | infobip.Receipts | twilio.Receipts]:
        """Return the accounts of SMS services beside Karaden, by service."""
        return {zettai_reach.NAME: self.reach, infobip.NAME: self.cpaas, twilio.NAME: self.messaging}

    def tell_sms(self, accounts: Mapping[str, Mapping[str, Webhook]]) -> None:
        """Set SMS services' accounts: service -> account -> where its receipts go, and its secret."""
        for name, known in accounts.items():
            self.sms[name].accounts = known

    def tell(self, webhooks: Mapping[str, Mapping[str, Webhook]]) -> None:
        """Set where each payment provider's webhooks go: site -> secret key (PayPay: API key) -> webhook."""
        for site, known in webhooks.items():
            if site == "stripe":
                self.checkouts.tell(known)
            elif site == "paypay":
                self.orders.tell(site, known)
            else:
                kept = {key if key == "*" else account_of(key): webhook for key, webhook in known.items()}
                self.orders.tell(site, kept)

    async def close(self) -> None:
        """Stop sending and close the journal."""
        self.agenda.clear()
        await self.courier.close()
        self.journal.close()


def build(settings: Settings, url: str) -> World:
    """Put a sandbox together inside a running loop."""
    journal = Journal(settings.journal)
    agenda = Agenda()
    courier = Courier(agenda)
    switches = Switches({"receipt_delay_ms": settings.receipt_delay_ms, "retry_after_s": 1})
    messages = Messages(journal, agenda, courier, switches)
    receipts = karaden.Receipts(settings.karaden_receipts)
    checkouts = Checkouts(journal, agenda, courier, switches, url)
    orders = Orders(journal, agenda, courier, switches, url)
    ledger, idempotency = Ledger(journal), Idempotency(journal)
    world = World(
        settings,
        url,
        journal,
        agenda,
        courier,
        switches,
        ledger,
        messages,
        receipts,
        zettai_reach.Receipts(),
        infobip.Receipts(),
        twilio.Receipts(),
        checkouts,
        orders,
        idempotency,
        Receivers(),
    )
    world.tell_sms(settings.sms_accounts)
    world.tell(
        {
            "stripe": settings.stripe_webhooks,
            "payjp": settings.payjp_webhooks,
            "komoju": settings.komoju_webhooks,
            "paypay": settings.paypay_webhooks,
        }
    )
    return world
