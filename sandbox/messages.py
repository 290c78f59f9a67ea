"""The carriers behind the SMS services' doors: messages, what becomes of them, and the inbox of every number.

In: checked send requests. Out: messages in Karaden's vocabulary (specification 2024-03-01), which each door writes in
its own, and receipts to where the door says. A message's fate is decided by its number alone, so that every run tells
the same story:

| number ends in | end | receipt |
|---|---|---|
| `0000` | `error`: the number is vacant | yes |
| `0001` | `unconnected`: switched off or out of range | yes |
| `0002` | sent, but never a result: stays `processing` | never |
| `0003` | `unknown`: the carrier can't say | yes |
| anything else | `received` | yes |

The carrier follows the seventh digit: 0-3 docomo, 4-6 au, 7-8 softbank, 9 rakuten. `received` and `unknown` are
charged: 1 up to 70 UTF-16 units, beyond that one for each 67.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache, partial
from typing import Any, NamedTuple, Protocol

from sandbox.faults import Switches
from sandbox.journal import Journal, Record
from sandbox.timers import Agenda
from sandbox.webhook_sender import Courier, Parcel

JST = timezone(timedelta(hours=9))
_RECEIPT_GAP_S = 0.1  # keeps a message's receipts in their order
_BUNDLE_S = 0.1  # how long the first receipt of a bundle waits for others
CANCEL_BEFORE_S = 300  # a booked message can be cancelled until 5 minutes before its time
_ONE_SMS, _ONE_PART = 70, 67  # UTF-16 units
_CARRIERS = ("docomo",) * 4 + ("au",) * 3 + ("softbank",) * 2 + ("rakuten",)
_ENDS = {"0000": "error", "0001": "unconnected", "0002": "none", "0003": "unknown"}


@dataclass(slots=True)
class Message:
    """One SMS. `at` is its acceptance in epoch seconds; the other times, where known, ISO 8601 in Japan's time.

    One that is `unlisted` stands in no list of its tag. `door` is the service it came through, `to` the number in its
    domestic form, `key` what the service takes but once, `receipt_url` where it alone is told of.
    """

    id: str
    tenant: str
    service_id: int
    to: str
    body: str
    tags: list[str]
    is_shorten: bool
    scheduled_at: str | None
    limited_at: str | None
    at: float
    updated_at: str
    result: str = "processing"
    status: str = "waiting"
    sent_result: str = "none"
    carrier: str = "checking"
    charged_count_per_sent: int = 0
    sent_at: str | None = None
    received_at: str | None = None
    charged_at: str | None = None
    unlisted: bool = False
    door: str = "karaden"
    key: str = ""
    receipt_url: str = ""

    @property
    def state(self) -> str:
        """One word: processing, received, unconnected, error, unknown, canceled or expired."""
        if self.result == "processing":
            return "processing"
        if self.status == "canceled":
            return "canceled"
        return "expired" if self.status == "error" else self.sent_result

    def write(self, *, receipt: bool = False) -> str:
        """Write the message as Karaden's API does, in JSON; what isn't known yet is left out.

        A receipt has no `is_shorten_clicked` (schema SentMessage). By hand: a third of the time of json.dumps.
        """
        text = (
            f'{{"id": "{self.id}", "object": "message", "service_id": {self.service_id}, "billing_address_id": 1, '
            f'"to": "{self.to}", "body": {json.dumps(self.body)}, "tags": {json.dumps(self.tags)}, '
            f'"is_shorten": {"true" if self.is_shorten else "false"}, "result": "{self.result}", '
            f'"status": "{self.status}", "sent_result": "{self.sent_result}", "carrier": "{self.carrier}", '
            f'"charged_count_per_sent": {self.charged_count_per_sent}, "created_at": "{iso(self.at)}", '
            f'"updated_at": "{self.updated_at}"'
        )
        if not receipt:
            text += ', "is_shorten_clicked": false'
        for name in ("scheduled_at", "limited_at", "sent_at", "received_at", "charged_at"):
            value = getattr(self, name)
            if value is not None:
                text += f', "{name}": "{value}"'
        return text + "}"


class Draft(NamedTuple):
    """A send request that passed the door's checks; times are aware."""

    tenant: str
    service_id: int
    to: str
    body: str
    tags: list[str]
    is_shorten: bool = False
    scheduled_at: datetime | None = None
    limited_at: datetime | None = None
    door: str = "karaden"
    key: str = ""
    receipt_url: str = ""


class Teller(Protocol):
    """How a door tells its customers of their messages; `most` receipts at once, of `each_step` or of the end alone."""

    most: int
    each_step: bool

    def address(self, message: Message) -> str | None:
        """Return where a message's receipt goes, None for nowhere."""

    def write(self, message: Message) -> bytes:
        """Write a message's receipt as it stands now."""

    def parcel(self, url: str, receipts: Sequence[bytes]) -> Parcel:
        """Pack receipts for one delivery."""


class Receipt(NamedTuple):
    """A receipt to be delivered."""

    teller: Teller
    url: str
    body: bytes


class Messages:
    """All messages, in order of acceptance, with the look-ups that the API and the phone need."""

    def __init__(self, journal: Journal, agenda: Agenda, courier: Courier, switches: Switches) -> None:
        self._journal = journal
        self._agenda = agenda
        self._courier = courier
        self._switches = switches
        self._tellers: dict[str, Teller] = {}
        self._bundles: dict[str, list[Receipt]] = {}
        self._keys: set[tuple[str, str, str]] = set()
        self.all: list[Message] = []
        self._by_id: dict[str, Message] = {}
        self._by_tag: dict[tuple[str, str], list[Message]] = {}
        self.by_number: dict[str, list[Message]] = {}  # the number with the newest message stands last

    def through(self, door: str, teller: Teller) -> None:
        """Have a door's messages told of by its teller."""
        self._tellers[door] = teller

    def accept(self, draft: Draft) -> Message:
        """Take over one message; from here on it runs its course."""
        now = time.time()
        message = Message(
            id=_new_id(),
            tenant=draft.tenant,
            service_id=draft.service_id,
            to=draft.to,
            body=draft.body,
            tags=self._tags(draft),
            is_shorten=draft.is_shorten,
            scheduled_at=_iso(draft.scheduled_at),
            limited_at=_iso(draft.limited_at),
            at=now - self._switches.amount("clock_behind_s", f"{draft.door}.create"),
            updated_at=iso(now),
            unlisted=self._switches.flag("tag_unlisted", f"{draft.door}.create"),
            door=draft.door,
            key=draft.key,
            receipt_url=draft.receipt_url,
        )
        self._keep(message)
        self._write(message)
        self._book(message, now)
        return message

    def _tags(self, draft: Draft) -> list[str]:
        create = f"{draft.door}.create"
        if self._switches.flag("tag_lost", create):
            return []
        return [tag.upper() for tag in draft.tags] if self._switches.flag("tags_upper", create) else draft.tags

    def has(self, door: str, tenant: str, key: str) -> bool:
        """Return whether a door has taken a message of a tenant under this key."""
        return (door, tenant, key) in self._keys

    def find(self, tenant: str, message_id: str) -> Message | None:
        """Return one message of a tenant."""
        message = self._by_id.get(message_id)
        return message if message is not None and message.tenant == tenant else None

    def newest_first(self, tenant: str, to: str | None, tag: str | None) -> Iterable[Message]:
        """Return a tenant's messages, newest first, of one number or tag or of all."""
        if tag is not None:
            messages = [one for one in self._by_tag.get((tenant, tag.lower()), []) if not one.unlisted]
        else:
            messages = self.all if to is None else self.by_number.get(to, [])
        return (message for message in reversed(messages) if message.tenant == tenant and to in {None, message.to})

    def cancel(self, message: Message) -> bool:
        """Cancel a booked message; False when it is too late or was never booked."""
        if message.result == "done" or message.scheduled_at is None:
            return False
        if datetime.fromisoformat(message.scheduled_at).timestamp() - time.time() < CANCEL_BEFORE_S:
            return False
        message.result, message.status, message.carrier = "done", "canceled", "unknown"
        message.updated_at = iso(time.time())
        self._write(message)
        return True

    async def settle_early(self, message: Message) -> None:
        """Bring a fresh message to its end and deliver its receipt before returning."""
        for receipt in self._settled(message):
            await self._courier.send_now(receipt.teller.parcel(receipt.url, [receipt.body]))

    def load(self, record: Record) -> None:
        """Take back a message that the journal kept."""
        message = Message(**{name: value for name, value in record.items() if name != "k"})
        known = self._by_id.get(message.id)
        if known is None:
            self._keep(message)
            return
        for name in Message.__slots__:
            setattr(known, name, getattr(message, name))

    def resume(self) -> None:
        """After a replay: let the messages that were under way run on."""
        now = time.time()
        for message in self.all:
            if message.result == "processing" and message.status == "waiting":
                self._book(message, now)

    def clear(self) -> None:
        """Forget all messages."""
        self.all.clear()
        self._by_id.clear()
        self._by_tag.clear()
        self._bundles.clear()
        self._keys.clear()
        self.by_number.clear()

    def summary(self) -> dict[str, Any]:
        """Count: accepted messages, distinct numbers, and whatever came more than once."""
        return {
            "accepted": len(self.all),
            "numbers": len(self.by_number),
            "duplicate_numbers": {to: len(got) for to, got in self.by_number.items() if len(got) > 1},
            "duplicate_tags": {tag: len(got) for (_, tag), got in self._by_tag.items() if len(got) > 1},
            "states": dict(Counter(message.state for message in self.all)),
        }

    def _keep(self, message: Message) -> None:
        self.all.append(message)
        self._by_id[message.id] = message
        if message.key:
            self._keys.add((message.door, message.tenant, message.key))
        for tag in message.tags:
            self._by_tag.setdefault((message.tenant, tag.lower()), []).append(message)
        inbox = self.by_number.pop(message.to, [])
        inbox.append(message)
        self.by_number[message.to] = inbox

    def _write(self, message: Message) -> None:
        if self._journal.on:
            self._journal.append({"k": "message"} | asdict(message))

    def _book(self, message: Message, now: float) -> None:
        start = now if message.scheduled_at is None else datetime.fromisoformat(message.scheduled_at).timestamp()
        wait_ms = self._switches.amount("receipt_delay_ms", f"{message.door}.receipt")
        self._agenda.after(max(start - now, 0) + wait_ms / 1000, partial(self._settle, message))

    def _settle(self, message: Message) -> None:
        late_s = self._switches.amount("receipts_late_ms", f"{message.door}.receipt") / 1000
        for receipt in self._settled(message):
            if receipt.teller.most > 1:
                self._agenda.after(late_s, partial(self._bundle, receipt))
            else:
                self._courier.send(receipt.teller.parcel(receipt.url, [receipt.body]), late_s)
            late_s += _RECEIPT_GAP_S

    def _bundle(self, receipt: Receipt) -> None:
        """Keep a receipt until others have come that go to the same address, or for a moment."""
        bundle = self._bundles.setdefault(receipt.url, [])
        bundle.append(receipt)
        if len(bundle) >= receipt.teller.most:
            self._deliver(receipt.url, bundle)
        elif len(bundle) == 1:
            self._agenda.after(_BUNDLE_S, partial(self._deliver, receipt.url, bundle))

    def _deliver(self, url: str, bundle: list[Receipt]) -> None:
        if self._bundles.get(url) is not bundle:
            return  # it was full before its time
        del self._bundles[url]
        self._courier.send(bundle[0].teller.parcel(url, [receipt.body for receipt in bundle]))

    def _settled(self, message: Message) -> list[Receipt]:
        """Bring a message to its end and give the receipts to deliver, in order."""
        if message.status != "waiting":
            return []  # cancelled, or settled early
        teller = self._tellers[message.door]
        is_late = self._switches.flag("receipts_reversed")
        before = teller.write(message) if is_late or teller.each_step else b""
        now = time.time()
        message.updated_at = iso(now)
        if message.limited_at is not None and datetime.fromisoformat(message.limited_at).timestamp() < now:
            message.result, message.status, message.carrier = "done", "error", "unknown"
        else:
            _end(message, iso(now))
        self._write(message)
        url = teller.address(message)
        if message.result == "processing" or url is None or self._switches.flag("receipts_off"):
            return []
        bodies = [teller.write(message)]
        if self._switches.flag("receipts_doubled"):
            bodies.append(bodies[0])
        if before:
            bodies.insert(len(bodies) if is_late else 0, before)
        return [Receipt(teller, url, body) for body in bodies]


def units(text: str) -> int:
    """Count a text's UTF-16 units, the measure of an SMS."""
    return len(text.encode("utf-16-le")) // 2


def iso(at: float) -> str:
    """Write epoch seconds as Karaden does: ISO 8601 in Japan's time, to the second."""
    return _iso_second(int(at))


@lru_cache(1024)  # thousands of messages share a second
def _iso_second(at: int) -> str:
    return datetime.fromtimestamp(at, JST).isoformat()


def _iso(at: datetime | None) -> str | None:
    return None if at is None else iso(at.timestamp())


def _end(message: Message, now: str) -> None:
    message.status = "done"
    message.carrier = _CARRIERS[int(message.to[6])]
    message.sent_at = now
    message.sent_result = _ENDS.get(message.to[-4:], "received")
    if message.sent_result == "none":
        return
    message.result = "done"
    if message.sent_result == "received":
        message.received_at = now
    if message.sent_result in {"received", "unknown"}:
        length = units(message.body)
        message.charged_count_per_sent = 1 if length <= _ONE_SMS else -(-length // _ONE_PART)
        message.charged_at = now


def _new_id() -> str:
    """Make a random UUID (version 4); the standard library's takes four times as long."""
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
