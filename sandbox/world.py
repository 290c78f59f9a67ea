"""The sandbox's parts, put together, and what concerns them all: journal, reset, addresses."""

from dataclasses import dataclass

from sandbox.agenda import Agenda
from sandbox.checkout import Checkouts
from sandbox.courier import Courier
from sandbox.idempotency import Idempotency
from sandbox.journal import Journal
from sandbox.ledger import Ledger
from sandbox.messages import Messages
from sandbox.settings import Settings
from sandbox.switches import Switches


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
    checkouts: Checkouts
    idempotency: Idempotency

    def load(self) -> None:
        """Take back what the journal kept, and go on from there."""
        loaders = {
            "request": self.ledger.load,
            "message": self.messages.load,
            "stripe": self.checkouts.load,
            "idempotency": self.idempotency.load,
        }
        for record in self.journal.replay():
            loaders[record["k"]](record)
        self.messages.resume()
        self.checkouts.resume()

    def reset(self) -> None:
        """Forget all that happened and put every switch off; addresses stay."""
        for part in (self.agenda, self.courier, self.ledger, self.messages, self.checkouts, self.idempotency):
            part.clear()
        self.journal.clear()
        self.switches.replace({})

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
    messages.tell(settings.karaden_receipts)
    checkouts = Checkouts(journal, agenda, courier, switches, url)
    checkouts.tell(settings.stripe_webhooks)
    ledger, idempotency = Ledger(journal), Idempotency(journal)
    return World(settings, url, journal, agenda, courier, switches, ledger, messages, checkouts, idempotency)
