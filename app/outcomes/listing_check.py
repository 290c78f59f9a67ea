"""The last look before a message is sent again by itself: what its carrier lists by time, under any name.

A carrier may never list a message under its reference, though it took it. So those that two look-ups showed absent are
looked for once more in the list of the time in which they can have been accepted. In: such messages. Out: those that
are there after all, those to whose number something stands there that is nobody else's (it may be theirs, its reference
lost: a manager decides), and those of which the whole list shows nothing. Can't happen here: a part of the list taken
for the whole, a list of before for today's, one that lacks what the carrier is known to have taken.

One list serves all messages of a slice and an account. A message that its carrier lists nowhere can't be seen.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import Connection, text

from app import references, tenancy
from app.delivery.send_context import Account
from app.extensions import vault
from app.outcomes import absence
from app.outcomes.absence import Witness
from app.outcomes.provider_queries import ask_account
from app.outcomes.question_round import Looked, Open, Round, is_second
from app.providers.http import Response
from app.providers.sms.base import ListedMessage, Report, TooMany, first_of
from app.setback import recognise
from app.setback.provider_listing import Asked, on_record
from app.work_budget import WorkBudget

# how far the clocks may be apart beyond what the witnesses show, and how long an accepted request may have taken
_SKEW = timedelta(seconds=60)
_SECOND = timedelta(seconds=1)
# a list that would take longer, or more pages, is not read to its end: nothing is proven then
_ASKING_S = 20.0
_MOST_PAGES = 1_000
# A time is read in so many parts at once, each page after page: what comes in meanwhile moves nothing past the reader.
_PARTS = 16
_PAGE = 100
# where a service shows but the first messages of a time, it is asked for halves of it, down to this
_SHORTEST = timedelta(milliseconds=10)
# of the messages that the carrier is known to have taken in that time so many must be in the list
_KNOWN = 100

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Span:
    """A time in the carrier's list, by its own clock."""

    start: datetime
    end: datetime

    def holds(self, at: datetime | None) -> bool:
        """Return whether a message of this time belongs to it; one without a time may."""
        return at is None or self.start - _SECOND <= at <= self.end + _SECOND

    def halves(self) -> tuple["Span", "Span"]:
        """Return both halves of it."""
        middle = self.start + (self.end - self.start) / 2
        return Span(self.start, middle), Span(middle, self.end)


@dataclass(slots=True)
class _Pages:
    """One reading: which parts were read to their ends, and which of the ids that are looked for stood there."""

    whole: set[Span] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Read:
    """The list as read: which `spans` are whole, up to when it has caught up, and what may be somebody's.

    The carrier's clock is between `behind` and `ahead` from ours.
    """

    spans: list[Span] = field(default_factory=list)
    near: dict[str, ListedMessage] = field(default_factory=dict)
    until: datetime | None = None
    behind: timedelta = timedelta()
    ahead: timedelta = timedelta()


class Listing:
    """The list by time for messages of one account, read when it is first wanted, and only once."""

    def __init__(self, account: Account, tenant_id: int, items: Sequence[Open]) -> None:
        """Take the messages that it is to serve, all of which have been shown absent once."""
        now = datetime.now(UTC)
        self.wait_s = 0.0
        self._account = account
        self._asked = Asked(account.id, tenant_id, "")
        self._items = frozenset(items)
        self._offered = account.provider.sent_between(account.opened, now, now, 1) is not None
        self._wanted = {
            references.compared(reference): (item, attempt)
            for item in items
            for attempt, reference in item.references.items()
        }
        self._phones = {item.phone_index for item in items}
        self._sought: set[str] = set()
        self._seen: _Read | None = None

    def weigh(self, looked: Looked, now: datetime) -> None:
        """Let nobody count as absent a second time whom the list by time doesn't show absent too.

        `now` is when they were asked about, or before, by the database's clock. Without such a list all stays as it is.
        """
        second = [item for item in looked.absent if is_second(item, now)]
        if not second or not self._offered or looked.flaps:
            return
        if self._seen is None:
            self._seen = self._read()
        looked.wait_s = max(looked.wait_s, self.wait_s)
        looked.found |= self._found(second)
        found = {item for item, _ in looked.found}
        looked.near = self._near([item for item in second if item not in found])
        shown = {item for item in second if item in self._items and self._shows(item)}
        looked.absent -= set(second) - (shown - found - looked.near)
        if not self.wait_s:
            looked.unlisted = set(second) - found - looked.near - shown
        if looked.unlisted:
            _log.warning("provider list incomplete", sms_account_id=self._account.id, messages=len(looked.unlisted))

    # --- reading ---

    def _read(self) -> _Read:
        """Read the witnesses' seconds first, then all the times in which messages of ours can have been accepted."""
        read = _Read()
        self._budget = WorkBudget(_ASKING_S)
        assert self._account.contract is not None  # noqa: S101 - it was opened with it
        identity = self._account.contract.identity
        with tenancy.transaction() as connection:
            witnesses = absence.witnesses(
                connection, self._account.id, identity, [item.settled_at for item in self._items]
            )
        shown = self._reports(witnesses)
        if not self._show(read, shown):
            return read
        spans = _merged(span for item in self._items for span in self._spans(item, read))
        with tenancy.transaction() as connection:
            parts = {span: _cut(span, _left_in(connection, self._asked, span)) for span in spans}
            known = {
                span: {
                    row.provider_id
                    for row in on_record(
                        connection,
                        self._asked,
                        identity,
                        # without the margins: what left in them may have been accepted outside
                        span.start + _SKEW - read.behind,
                        span.end - _SKEW - read.ahead,
                        order="random()",
                        most=_KNOWN,
                    )
                }
                for span in spans
            }
        self._sought |= {name for names in known.values() for name in names}
        pages = self._pages([part for cut in parts.values() for part in cut], read)
        # where nothing was taken that must stand there, one empty answer is too few
        again = self._pages([part for span, cut in parts.items() if not known[span] for part in cut], read)
        read.spans = [
            span
            for span, cut in parts.items()
            if pages.whole.issuperset(cut)
            and (pages.ids.issuperset(known[span]) if known[span] else again.whole.issuperset(cut))
        ]
        if not self._show(read, shown):
            read.until = None
        return read

    def _reports(self, witnesses: Sequence[Witness]) -> list[tuple[Witness, Report]]:
        """Return the witnesses that are found by their references, the oldest first, and what is told of them."""
        asking = Round(self._account)
        told = asking.ask({witness: witness.reference for witness in witnesses})
        self.wait_s = asking.wait_s
        found = []
        for witness in witnesses:
            report = told.get(witness)
            if report is None or report.accepted_at is None:
                break  # and those after it say nothing of the time before
            found.append((witness, report))
        return found

    def _show(self, read: _Read, shown: Sequence[tuple[Witness, Report]]) -> bool:
        """See up to when the list by time is whole, and how far the carrier's clock is from ours, by the witnesses.

        Return whether each of them was listed each time.
        """
        self._sought |= {report.provider_id for _, report in shown}
        seconds = {one: Span(_at(report) - _SECOND, _at(report) + _SECOND) for one, report in shown}
        for _ in range(absence.ASKED if shown else 0):
            pages = self._pages(list(seconds.values()), read)
            if not pages.whole.issuperset(seconds.values()) or not pages.ids.issuperset(
                report.provider_id for _, report in shown
            ):
                return False
        for witness, report in shown:
            read.until = min(witness.at, _at(report))
            read.behind = min(read.behind, _at(report) - witness.at)
            read.ahead = max(read.ahead, _at(report) - witness.at)
        return bool(shown)

    def _pages(self, parts: Sequence[Span], read: _Read) -> _Pages:
        """Read the list of several times at once, each to its end where that can be; in halves where it can't."""
        provider, opened = self._account.provider, self._account.opened
        pages, crowded = _Pages(), list[Span]()
        asked_for, left = 0, dict.fromkeys(parts, 1)
        while left and not self.wait_s:
            asked_for += len(left)
            if asked_for > _MOST_PAGES or self._budget.is_spent:
                break
            requests = {
                part: provider.sent_between(opened, part.start, part.end, number) for part, number in left.items()
            }
            too_many = set[Span]()

            def more(part: Span, response: Response, too_many: set[Span] = too_many) -> bool:
                try:
                    page = provider.parse_list(response, part.start, part.end)
                except TooMany:
                    too_many.add(part)
                    raise
                pages.ids |= self._sought & {message.report.provider_id for message in page.messages}
                self._keep(page.messages, read)
                return page.more

            asked = ask_account(
                self._account.id,
                {part: one for part, one in requests.items() if one is not None},
                more,
                what="lookup",
                budget=self._budget,
            )
            self.wait_s = asked.wait_s
            pages.whole |= {part for part, has_more in asked.found.items() if not has_more}
            left = {part: left[part] + 1 for part, has_more in asked.found.items() if has_more}
            halved = [part for part in too_many if part.end - part.start > _SHORTEST]
            left |= {half: 1 for part in halved for half in part.halves()}
            crowded += halved
        for part in reversed(crowded):  # those of the halves come first
            if pages.whole.issuperset(part.halves()):
                pages.whole.add(part)
        return pages

    def _keep(self, messages: Sequence[ListedMessage], read: _Read) -> None:
        """Keep of a page what may be somebody's: what bears a reference of theirs, or has their number."""
        for message in messages:
            if self._named(message) or message.to is None or self._index(message.to) in self._phones:
                read.near[message.report.provider_id] = message

    # --- judging ---

    def _found(self, items: Sequence[Open]) -> Mapping[tuple[Open, int], Report]:
        """Return what is listed under our references after all; the first of several, which then is a duplicate."""
        assert self._seen is not None  # noqa: S101 - it was read
        among, found = set(items), dict[tuple[Open, int], list[Report]]()
        for message in self._seen.near.values():
            for key in self._named(message):
                if key[0] in among:
                    found.setdefault(key, []).append(message.report)
        return {key: first_of(reports) for key, reports in found.items()}

    def _near(self, items: Sequence[Open]) -> set[Open]:
        """Return those to whose number something was accepted in their time that is no other message of ours."""
        read = self._seen
        assert read is not None  # noqa: S101 - it was read
        if not items or not read.near:
            return set()
        others = [message for message in read.near.values() if not self._named(message)]
        if not others:
            return set()
        with tenancy.transaction() as connection:
            known = self._of_others(connection, others)
        strangers = [
            (None if message.to is None else self._index(message.to), message.report.accepted_at)
            for message in others
            if message.report.provider_id not in known
        ]
        return {
            item
            for item in items
            for phone, at in strangers
            # a number that can't be read may be anybody's
            if phone in {None, item.phone_index} and any(span.holds(at) for span in self._spans(item, read))
        }

    def _shows(self, item: Open) -> bool:
        """Return whether the list is whole where this message would stand, and has caught up with it."""
        read = self._seen
        assert read is not None  # noqa: S101 - it was read
        spans = self._spans(item, read)
        if read.until is None or read.until < item.settled_at or not spans:
            return False
        return all(any(one.start <= span.start and span.end <= one.end for one in read.spans) for span in spans)

    def _spans(self, item: Open, read: _Read) -> list[Span]:
        """Return when the carrier can have accepted the message, by its own clock."""
        return [Span(start + read.behind - _SKEW, end + read.ahead + _SKEW) for start, end in item.spans]

    def _named(self, message: ListedMessage) -> list[tuple[Open, int]]:
        names = map(references.compared, message.report.references)
        return [self._wanted[name] for name in names if name in self._wanted]

    def _index(self, phone: str) -> bytes:
        return vault.phone_index(self._asked.tenant_id, phone)

    def _of_others(self, connection: Connection, messages: Sequence[ListedMessage]) -> set[str]:
        """Return the ids of those that are on record as other messages of ours: by reference, or by the id itself."""
        matched, _ = recognise.match(connection, self._asked, messages)
        known = {item.report.provider_id for item in matched if item.known}
        names = {
            references.compared(reference): message.report.provider_id
            for message in messages
            for reference in message.report.references
        }
        known |= {names[name] for name in recognise.tests_on_record(connection, self._account.id, list(names))}
        known |= {names[name] for name in recognise.of_other_companies(self._asked, names)}
        rows = connection.execute(
            text("""
                SELECT l.provider_id FROM recipient r JOIN send_log l ON l.recipient_id = r.id
                WHERE r.tenant_id = :tenant_id AND r.phone_index = ANY(:phones) AND l.provider_id = ANY(:ids)
            """),
            {
                "tenant_id": self._asked.tenant_id,
                "phones": [self._index(message.to) for message in messages if message.to is not None],
                "ids": [message.report.provider_id for message in messages],
            },
        )
        return known | set(rows.scalars())


def _at(report: Report) -> datetime:
    assert report.accepted_at is not None  # noqa: S101 - others were left out
    return report.accepted_at


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Join the times that overlap."""
    joined: list[Span] = []
    for span in sorted(spans, key=lambda one: one.start):
        if joined and span.start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return joined


def _cut(span: Span, messages: int) -> list[Span]:
    """Cut a time into parts of whole seconds, one for each page that its messages fill, but not too many."""
    seconds = max(1, int((span.end - span.start).total_seconds()) + 1)
    step = timedelta(seconds=-(-seconds // min(_PARTS, messages // _PAGE + 1)))
    parts, start = [], span.start
    while start < span.end:
        parts.append(Span(start, min(start + step, span.end)))
        start += step
    return parts


def _left_in(connection: Connection, account: Asked, span: Span) -> int:
    """Count the attempts of a time by an account, as far as it matters to how many parts it is cut into."""
    found = connection.scalar(
        text("""
            SELECT count(*) FROM (
                SELECT FROM send_log l
                WHERE l.tenant_id = :tenant_id
                AND l.started_at BETWEEN :start AND :end AND l.sms_account_id = :account_id LIMIT :most
            ) AS sample
        """),
        {
            "tenant_id": account.tenant_id,
            "account_id": account.id,
            "start": span.start,
            "end": span.end,
            "most": _PARTS * _PAGE,
        },
    )
    return int(found or 0)
