"""The next deliveries of one endpoint: deliveries that wait and are due, then what the feed has beyond its cursor.

In: an endpoint and how many at most. Out: a `Batch` of deliveries, each with its body, and the cursor behind them.
Can't happen here: more rows in memory than a batch has, however much waits; an event that the cursor passes without
standing in the batch, unless nobody asked for its type.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from app import tenancy
from app.event_feed import feed
from app.event_feed.feed import FeedEvent
from app.models import WebhookEndpoint
from app.webhooks import message, public_ids
from app.webhooks.event_types import PING, type_of
from app.webhooks.message import Told


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one endpoint. `id` is its row's, None for what has none yet; `tries` those before this one."""

    id: int | None
    told: Told
    body: bytes = field(repr=False)
    event_id: int | None
    event_epoch: int
    recipient_id: int | None
    campaign_id: int | None
    tries: int = 0
    # its turn has come: where an endpoint that fails is only looked at, a try before that costs nothing
    is_due: bool = True
    # made now, and behind another one of its recipient that waits
    stands_back: bool = False

    @property
    def is_ping(self) -> bool:
        """Whether it is a manager's test, which is tried once."""
        return self.told.event_type == PING


@dataclass(frozen=True, slots=True)
class Batch:
    """Deliveries, and the cursor behind the events that were read for them; None where none were."""

    deliveries: Sequence[Delivery]
    cursor: str | None = None
    read_all: bool = True


_ROW = """
    SELECT d.id, d.event_id, d.event_epoch, d.event_type, d.event_at, d.campaign_id, d.recipient_id, d.sequence,
        d.code, d.tries, d.due_at <= :now AS is_due, r.reference, r.link_secret
    FROM webhook_delivery d LEFT JOIN recipient r ON r.id = d.recipient_id
    WHERE d.endpoint_id = :endpoint_id AND d.due_at IS NOT NULL
"""
_PINGS = f"{_ROW} AND d.event_id IS NULL ORDER BY d.id LIMIT :most"
# With `in_order`, the first of each recipient's that wait; `early` takes those too that are not due yet.
_WAITING = f"""
    {_ROW} AND d.event_id IS NOT NULL AND (:early OR d.due_at <= :now)
    AND NOT (:in_order AND d.recipient_id IS NOT NULL AND EXISTS (
        SELECT FROM webhook_delivery b WHERE b.endpoint_id = d.endpoint_id AND b.recipient_id = d.recipient_id
        AND b.id < d.id AND b.due_at IS NOT NULL
    ))
    ORDER BY d.due_at, d.id LIMIT :most
"""

# A recipient's events are counted along their index: that gives the same number each time, to every endpoint. The lock
# on their row makes their steps one after the other, so that none comes in between later.
_PEOPLE = """
    SELECT u.id, r.reference, r.link_secret, (
        SELECT count(*) FROM event e WHERE e.recipient_id = u.recipient_id AND e.id <= u.id
    ) AS sequence
    FROM unnest(CAST(:ids AS bigint[]), CAST(:recipients AS bigint[])) AS u(id, recipient_id)
    LEFT JOIN recipient r ON r.id = u.recipient_id
"""
_BEHIND = """
    SELECT DISTINCT recipient_id FROM webhook_delivery
    WHERE endpoint_id = :endpoint_id AND recipient_id = ANY(:recipients) AND due_at IS NOT NULL
"""


def pings(connection: Connection, endpoint: WebhookEndpoint, now: datetime, most: int) -> list[Delivery]:
    """Return a manager's tests that wait."""
    values = {"endpoint_id": endpoint.id, "now": now, "most": most}
    return [_of_row(row) for row in connection.execute(text(_PINGS), values)]


def waiting(
    connection: Connection, endpoint: WebhookEndpoint, now: datetime, most: int, *, early: bool = False
) -> list[Delivery]:
    """Return deliveries whose turn it is, the longest due first; with `early` the others too."""
    values = {"endpoint_id": endpoint.id, "now": now, "most": most, "early": early, "in_order": endpoint.in_order}
    return [_of_row(row) for row in connection.execute(text(_WAITING), values)]


def from_feed(endpoint: WebhookEndpoint, most: int) -> Batch:
    """Read on behind the endpoint's cursor. Raises StaleCursor."""
    page = feed.read(endpoint.cursor, most)
    wanted = [event for event in page.events if type_of(event.track, event.state) in endpoint.event_types]
    read_all = len(page.events) < most
    if not wanted:
        return Batch((), page.cursor if page.events else None, read_all)
    with tenancy.transaction() as connection:
        people = _people(connection, wanted)
        behind = _behind(connection, endpoint, wanted)
    return Batch([_of_event(event, people, behind) for event in wanted], page.cursor, read_all)


def _people(connection: Connection, events: Sequence[FeedEvent]) -> Mapping[int, Row[Any]]:
    """Return reference, random bytes and sequence by event."""
    named = [(event.id, event.recipient_id) for event in events if event.recipient_id is not None]
    if not named:
        return {}
    values = {"ids": [event for event, _ in named], "recipients": [recipient for _, recipient in named]}
    return {row.id: row for row in connection.execute(text(_PEOPLE), values)}


def _behind(connection: Connection, endpoint: WebhookEndpoint, events: Sequence[FeedEvent]) -> frozenset[int]:
    """Return the recipients of whom an earlier event waits, where order matters."""
    if not endpoint.in_order:
        return frozenset()
    recipients = sorted({event.recipient_id for event in events if event.recipient_id is not None})
    found = connection.execute(text(_BEHIND), {"endpoint_id": endpoint.id, "recipients": recipients})
    return frozenset(found.scalars())


def _of_event(event: FeedEvent, people: Mapping[int, Row[Any]], behind: frozenset[int]) -> Delivery:
    person = people.get(event.id)
    told = Told(
        message_id=public_ids.event(event.id, event.epoch),
        event_type=type_of(event.track, event.state),
        at=event.at,
        campaign=public_ids.campaign(event.campaign_id),
        recipient=_recipient(event.recipient_id, person),
        reference=(person.reference if person else None) or "",
        sequence=person.sequence if person else None,
        code=event.code or "",
    )
    return Delivery(
        id=None,
        told=told,
        body=message.body(told),
        event_id=event.id,
        event_epoch=event.epoch,
        recipient_id=event.recipient_id,
        campaign_id=event.campaign_id,
        stands_back=event.recipient_id in behind,
    )


def _of_row(row: Row[Any]) -> Delivery:
    told = Told(
        message_id=_message_id(row),
        event_type=row.event_type,
        at=row.event_at,
        campaign=public_ids.campaign(row.campaign_id) if row.campaign_id else "",
        recipient=_recipient(row.recipient_id, row),
        reference=row.reference or "",
        sequence=row.sequence,
        code=row.code,
    )
    return Delivery(
        id=row.id,
        told=told,
        body=message.body(told),
        event_id=row.event_id,
        event_epoch=row.event_epoch,
        recipient_id=row.recipient_id,
        campaign_id=row.campaign_id,
        tries=row.tries,
        is_due=row.is_due,
    )


def _message_id(row: Row[Any]) -> str:
    """Return the id by which a receiver knows a message again: one for all endpoints. A test is no event."""
    return public_ids.ping(row.id) if row.event_id is None else public_ids.event(row.event_id, row.event_epoch)


def _recipient(recipient_id: int | None, person: Row[Any] | None) -> str:
    """Return a recipient's public id; "" where an event is of none, or of one that is no more."""
    if recipient_id is None or person is None:
        return ""
    return public_ids.recipient(recipient_id, person.link_secret)
