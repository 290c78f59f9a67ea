"""The contract of an SMS provider: messages become requests, answers become outcomes. No I/O, no domain.

An adapter is a module-level object with the methods of `SmsProvider`. It is pure: the delivery engine does the I/O
for all of them. Whatever an adapter can't be sure of is `UNKNOWN`: it is asked about later, never guessed, never sent
again blind.
"""

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


@dataclass(frozen=True, slots=True)
class SmsMessage:
    """One SMS. `to` is E.164, `reference` is ours and unique for the attempt, `valid_until` is aware."""

    to: str = field(repr=False)
    body: str = field(repr=False)
    reference: str
    valid_until: datetime | None = None


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

    def send(self, account: SmsAccess, message: SmsMessage) -> Request:
        """Return the request that sends `message` once."""

    def outcome(self, answer: Answer) -> Outcome:
        """Read the answer to `send`. Never raises."""

    def lookup(self, account: SmsAccess, reference: str) -> Request | None:
        """Return the request that asks for messages by our reference, or None where the provider has no look-up."""

    def parse_lookup(self, response: Response, reference: str) -> Report | None:
        """Read the answer to `lookup`: a report, or None for a whole list that obeyed its filter and has no message.

        None alone proves no absence: the list may lag behind (`app.outcomes.absence`). Raises UnclearAnswer for
        anything else, such as a list with messages of other references.
        """

    def sent_between(self, account: SmsAccess, start: datetime, end: datetime, page: int) -> Request | None:
        """Return the request for a page, from 1 on, of what was accepted in a time; None without such a list."""

    def parse_list(self, response: Response, start: datetime, end: datetime) -> Page:
        """Read the answer to `sent_between`. Raises UnclearAnswer, also where a message is of another time."""

    def detail(self, account: SmsAccess, provider_id: str) -> Request:
        """Return the request that asks for one message by the provider's id."""

    def report(self, response: Response) -> Report:
        """Read the answer to `detail`. Raises UnclearAnswer."""

    def receipt(self, body: bytes, headers: Mapping[str, str]) -> Sequence[Report]:
        """Read a pushed receipt's body. Raises UnclearAnswer. `receipts_are_signed` says whether it may be believed."""

    receipts_are_signed: bool
