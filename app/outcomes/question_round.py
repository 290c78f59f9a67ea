"""One round of questions about messages without a known outcome, and what its answers prove.

Witnesses are asked for before and after (`app.outcomes.absence`), all with the same kind of request. A message absent
in an earlier round is asked for twice in this one. No transaction is open meanwhile.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Row

from app import references, tenancy
from app.delivery.send_context import Account
from app.outcomes import absence, sent_texts
from app.outcomes.absence import Sight, Witness
from app.outcomes.provider_queries import ask_account
from app.providers.http import Response
from app.providers.sms.base import Capabilities, Report

# nothing is sent again by itself for longer: by then a manager has decided, or the message says what is over
_BY_ITSELF = timedelta(hours=24)

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Open:
    """An attempt without a known fate; `since` is when nobody was sending it any more, by the database's clock.

    `references` are those by attempt: its own, and those of earlier attempts of the same message that may have arrived.
    `settled_at` is the end of its settle time. `for_a_person`: it is never sent again by itself. `spans` are the times,
    by our clock, in which the carrier may have accepted each of these attempts, `phone_index` the number's blind index.
    One that `may_repeat` may be sent again under its reference (`app.outcomes.repeats`); it was so `repeats` times.
    """

    recipient_id: int
    attempt: int
    references: Mapping[int, str] = field(hash=False)
    since: datetime
    settled_at: datetime
    contract_id: int | None
    identity: bytes | None
    asked_at: datetime | None
    absent_at: datetime | None
    for_a_person: bool
    spans: tuple[tuple[datetime, datetime], ...] = ()
    phone_index: bytes = b""
    may_repeat: bool = False
    repeats: int = 0
    repeated_at: datetime | None = None


@dataclass(slots=True)
class Looked:
    """A round's results: reports by message and attempt; messages with an `empty` answer, and those provably `absent`.

    `unproven` have an empty answer and no witness. Of those absent twice, something stands in the list by time that may
    be the message (`near`), or that list shows nothing for sure (`unlisted`): see `app.outcomes.listing_check`.
    `wait_s`: the account is to be left alone for so long.
    """

    found: dict[tuple[Open, int], Report] = field(default_factory=dict)
    empty: set[Open] = field(default_factory=set)
    absent: set[Open] = field(default_factory=set)
    unproven: list[Open] = field(default_factory=list)
    near: set[Open] = field(default_factory=set)
    unlisted: set[Open] = field(default_factory=set)
    flaps: bool = False
    wait_s: float = 0.0

    def spare(self, repeated: set[Open]) -> None:
        """Let nothing count as proven of messages that were sent again since they were asked about."""
        self.absent -= repeated
        self.near -= repeated
        self.unproven = [item for item in self.unproven if item not in repeated]


def references_of(row: Row[Any]) -> dict[int, str]:
    """Return the references of an attempt and of the `earlier` ones, by attempt."""
    earlier = zip(row.earlier, row.earlier_references, strict=True)
    named = {attempt: references.of_attempt(stored, row.key, row.recipient_id, attempt) for attempt, stored in earlier}
    return {**named, row.attempt: absence.reference(row)}


def spans_of(row: Row[Any], settled_at: datetime, able: Capabilities) -> tuple[tuple[datetime, datetime], ...]:
    """Return when the carrier may have accepted an attempt and each of the `earlier` ones, by our clock."""
    earlier = zip(row.earlier_started, row.earlier_answered, row.earlier_codes, strict=True)
    settled = [(started, answered + absence.settle_time(code, able)) for started, answered, code in earlier]
    return (*settled, (row.started_at, settled_at))


def is_second(item: Open, now: datetime) -> bool:
    """Return whether a look-up at `now` that shows a message absent has it sent again: it is the second one."""
    if item.for_a_person or item.absent_at is None:
        return False
    return item.absent_at + absence.gap() <= now < item.since + _BY_ITSELF


def look_up(account: Account, items: Sequence[Open], now: datetime) -> Looked:
    """Ask about messages at `now`, by the database's clock or before."""
    round_ = Round(account)
    assert account.contract is not None  # noqa: S101 - it was opened with it
    contract = account.contract
    provable = [
        item
        for item in items
        if not item.for_a_person and item.settled_at <= now and item.identity == contract.identity
    ]
    seen_by, before = _choose(account, provable)
    first = round_.ask({(one, n): one.reference for one in seen_by for n in range(absence.ASKED)})
    shown = round_.ask({(contract_id, 0): reference for contract_id, reference in before.items()})
    renewed = {contract_id for (contract_id, _), report in shown.items() if report is not None}
    told = round_.ask({(item, attempt): ref for item in items for attempt, ref in item.references.items()})
    suspects = [item for item in provable if item.absent_at is not None and _empty(item, told)]
    again = round_.ask({(item, attempt): ref for item in suspects for attempt, ref in item.references.items()})
    last = round_.ask(
        {
            (one, absence.ASKED + n): one.reference
            for one in seen_by
            for n in range(absence.ASKED)
            if first.get((one, n))
        }
    )
    looked = Looked(wait_s=round_.wait_s)
    for (item, attempt), report in [*told.items(), *again.items()]:
        if report is not None:
            looked.found[item, attempt] = report
    looked.empty = {item for item in items if _empty(item, told)}
    sight = _judge(seen_by, {**first, **last})
    looked.flaps = sight.flaps
    for item in provable:
        if item not in looked.empty or (item in suspects and not _empty(item, again)):
            continue
        known = item.contract_id == contract.id or item.contract_id in renewed
        if known and sight.until is not None and item.settled_at <= sight.until:
            looked.absent.add(item)
        elif not any(one.at > item.settled_at for one in seen_by):
            looked.unproven.append(item)
    return looked


class Round:
    """Asks one account until it wishes to be left alone."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.wait_s = 0.0

    def ask(self, wanted: Mapping[K, str]) -> dict[K, Report | None]:
        """Ask for references; what got no clear answer is missing."""
        provider, opened = self._account.provider, self._account.opened
        if self.wait_s:
            return {}
        sought = sent_texts.sought(self._account, set(wanted.values()))
        requests = {key: provider.lookup(opened, sought[reference]) for key, reference in wanted.items()}

        def read(key: K, response: Response) -> Report | None:
            return provider.parse_lookup(response, sought[wanted[key]])

        wanted_of = {key: one for key, one in requests.items() if one is not None}
        asked = ask_account(self._account.id, wanted_of, read, what="lookup")
        self.wait_s = asked.wait_s
        return asked.found


def _choose(account: Account, provable: Sequence[Open]) -> tuple[Sequence[Witness], Mapping[int, str]]:
    """Choose what else is asked for: witnesses, and a message of each contract before a renewal."""
    if not provable or account.contract is None:
        return (), {}
    renewed = {item.contract_id for item in provable if item.contract_id is not None} - {account.contract.id}
    with tenancy.transaction() as connection:
        seen_by = absence.witnesses(
            connection, account.id, account.contract.identity, [item.settled_at for item in provable]
        )
        before = absence.of_before(connection, account.id, sorted(renewed))
    return seen_by, before


def _empty(item: Open, told: Mapping[tuple[Open, int], Report | None]) -> bool:
    """Return whether the list was empty for an attempt and for all earlier ones of its message."""
    return all((item, attempt) in told and told[item, attempt] is None for attempt in item.references)


def _judge(seen_by: Sequence[Witness], told: Mapping[tuple[Witness, int], Report | None]) -> Sight:
    answers = {one: [report for (asked, _), report in told.items() if asked == one] for one in seen_by}
    return absence.sight(seen_by, answers)
