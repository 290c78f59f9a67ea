"""The contract of an SMS provider: messages become requests, answers become outcomes. No I/O, no domain.

An adapter is a module-level object with the methods of `SmsProvider`. It is pure: the delivery engine does the I/O
for all of them. Whatever an adapter can't be sure of is `UNKNOWN`: it is asked about later, never guessed, never sent
again blind.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from app.providers.http import AccountField, Answer, Request, Response


@dataclass(frozen=True, slots=True)
class SmsAccess:
    """A tenant's contract with a provider. `base_url` is the installation's setting, never a tenant's."""

    base_url: str
    settings: Mapping[str, str]
    credentials: Mapping[str, str] = field(repr=False)
    timeout_s: float = 20.0
    receipt_url: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SmsMessage:
    """One SMS. `to` is E.164, `reference` is ours and unique for the attempt, `valid_until` is aware.

    `sender` is the approved number that it goes out under, where the service takes one: E.164, or a short number's
    digits.
    """

    to: str = field(repr=False)
    body: str = field(repr=False)
    reference: str
    valid_until: datetime | None = None
    sender: str | None = None


class LookupBy(StrEnum):
    """By which of its marks a service finds a message that it may or may not have."""

    REFERENCE = "reference"  # ours: a tag, a name, or an id that we chose
    TEXT = "text"  # its number, day and text: each of our texts holds a link of its own
    NONE = "none"


class ReceiptTrust(StrEnum):
    """How far a pushed receipt may be believed."""

    SIGNED = "signed"  # verified at the door and believed
    UNSIGNED = "unsigned"  # it only says "ask for the detail"
    NONE = "none"  # the service pushes nothing: it is asked


@dataclass(frozen=True, slots=True)
class Validity:
    """The shortest and longest time, seconds from now, that a service takes as a message's end; inf where unbounded."""

    least_s: float = 0.0
    most_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The abilities of a service, as its specification says. Engine and screens read these, never a service's name.

    `longest_reference` and `longest_text` count characters. A message without an outcome may still get in for
    `absent_after_s`, where that is longer than the installation's own settle time. `validity` is None where a message
    can be given no end; the carriers then go on trying for `retries_for_s`. `most_requests_s` is the most requests a
    second. None, where the specification names no limit. Messages through `test_hosts` reach nobody.
    """

    lookup_by: LookupBy
    receipts: ReceiptTrust
    refuses_duplicates: bool
    tells_carrier: bool
    tells_units: bool
    validity: Validity | None
    retries_for_s: float = 0.0
    absent_after_s: float = 0.0
    longest_reference: int | None = None
    longest_text: int | None = None
    most_requests_s: int | None = None
    takes_sender: bool = False
    test_hosts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Sought:
    """The attempt that a look-up asks for; all but its `reference` only where it goes by TEXT.

    `to` is E.164, `body` the text as it was sent, `sent_at` when (aware). Another attempt followed at `until`; the
    messages of the same person's other attempts are `known` by the service's ids. Without a `body`, which can't be
    written anew once the link is another, nothing can be asked.
    """

    reference: str
    sent_at: datetime | None = None
    to: str = field(default="", repr=False)
    body: str = field(default="", repr=False)
    until: datetime | None = None
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Pushed:
    """A receipt as it came to the door. `query` is the raw query string of the address; header names in lower case."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: str = field(default="", repr=False)


class OutcomeKind(StrEnum):
    """The outcomes of an attempt to send."""

    ACCEPTED = "accepted"  # the provider has it
    REFUSED = "refused"  # the provider said no for good: the same message will never pass
    LATER = "later"  # it provably did not get in and may be tried again
    UNKNOWN = "unknown"  # it may have got in: ask before doing anything


class Outcome(NamedTuple):
    """The outcome of one attempt. `code` is the provider's own word (or our failure reason), kept in the send log.

    `account_fault` (with LATER): a wrong credential or setting, so no message of this account will pass until a person
    mends it. `retry_after_s` (with LATER) is the provider's wish. `references` are those of ours that the answer names:
    where there are some and the message's is not among them, the answer is another message's, and this one unknown.
    """

    kind: OutcomeKind
    code: str = ""
    provider_id: str | None = None
    retry_after_s: float | None = None
    account_fault: bool = False
    references: Sequence[str] = ()


class ReportState(StrEnum):
    """Where a message stands at the provider."""

    PROCESSING = "processing"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Report:
    """A provider's word on one message. Times are aware UTC; `units` is how many SMS it was charged as.

    `copies` is how many messages it has under the same reference: more than one where its `code` is `duplicate`.
    """

    provider_id: str
    state: ReportState
    references: Sequence[str] = ()
    code: str = ""
    carrier: str | None = None
    accepted_at: datetime | None = None
    at: datetime | None = None
    units: int | None = None
    copies: int = 1


def first_of(reports: Sequence[Report]) -> Report:
    """Return the one that was accepted first, as a duplicate where there are more; one at least."""
    first = min(reports, key=lambda report: report.accepted_at or datetime.max.replace(tzinfo=UTC))
    return first if len(reports) == 1 else replace(first, code="duplicate", copies=len(reports))


def names(references: Sequence[str], reference: str) -> bool:
    """Return whether a carrier means ours among `references`: it may write them in another case, or with blanks."""
    return reference.casefold() in {one.strip().casefold() for one in references}


@dataclass(frozen=True, slots=True)
class ListedMessage:
    """A message as a service lists it. `to` is E.164, None where it can't be read."""

    report: Report
    to: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a service's list, and whether there are more."""

    messages: Sequence[ListedMessage]
    more: bool


class UnclearAnswer(Exception):  # noqa: N818 - it is an answer's quality, not an error of ours
    """The provider's answer can't be read as what was asked for; ask again later. `args[0]` is a code for logs."""


class TooMany(UnclearAnswer):
    """A list is as long as an answer may be, so that others may be missing: ask for a part of its time."""


class SmsProvider(Protocol):
    """One SMS service. Every method is pure; a secret stands in no exception and no repr.

    `passing` are the codes of reports under which the same SMS may arrive at another time: no signal, switched off,
    congestion. Whatever isn't among them is refused for good and never sent again by itself. The `contract` ones of
    `fields` say, with the base address, whose list of messages a look-up reads.
    """

    name: str
    label: str
    fields: Sequence[AccountField]
    passing: frozenset[str]
    capabilities: Capabilities

    @property
    def api_base(self) -> str | None:
        """The address of the service's API unless the operator lists others; None: they must."""

    def send(self, account: SmsAccess, message: SmsMessage) -> Request:
        """Return the request that sends `message` once."""

    def outcome(self, answer: Answer) -> Outcome:
        """Read the answer to `send`. Never raises."""

    def lookup(self, account: SmsAccess, sought: Sought) -> Request | None:
        """Return the request that asks for an attempt's messages, or None where the provider has no look-up."""

    def parse_lookup(self, response: Response, sought: Sought) -> Report | None:
        """Read the answer to `lookup`: a report, or None for a whole list that obeyed its filter and has no message.

        None alone proves no absence: the list may lag behind (`app.outcomes.absence`). Raises UnclearAnswer for
        anything else, such as a list with messages of other references.
        """

    def sent_between(self, account: SmsAccess, start: datetime, end: datetime, page: int) -> Request | None:
        """Return the request for a page, from 1 on, of what was accepted in a time; None without such a list."""

    def parse_list(self, response: Response, start: datetime, end: datetime) -> Page:
        """Read the answer to `sent_between`. Raises UnclearAnswer, also where a message is of another time; TooMany."""

    def detail(self, account: SmsAccess, provider_id: str) -> Request:
        """Return the request that asks for one message by the provider's id."""

    def report(self, response: Response) -> Report:
        """Read the answer to `detail`. Raises UnclearAnswer."""

    def receipt(self, pushed: Pushed) -> Sequence[Report]:
        """Read a pushed receipt. Raises UnclearAnswer. `capabilities.receipts` says whether it may be believed."""

    def is_authentic(self, account: SmsAccess, pushed: Pushed) -> bool:
        """Return whether a receipt's signature is right for `account.receipt_url`; False without signatures."""
