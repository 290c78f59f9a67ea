"""Read a company's events page by page."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from app import tenancy
from app.event_feed import cursors
from app.event_feed.cursors import Era, Position
from app.event_feed.silence import SETTLED

_PAGE = """
    SELECT id, recipient_id, campaign_id, track, state, at, coalesce(detail->>'code', '') AS code, xid FROM event
    WHERE tenant_id = :tenant_id AND (xid, id) > (:xid, :id) AND id > :after_id AND {bound}
    ORDER BY xid, id LIMIT :limit
"""
# restored events were settled when they were saved, whatever their numbers are to this server
_RESTORED, _LIVE = (text(_PAGE.format(bound=bound)) for bound in ("id <= :last_id", "xid < :settled"))
# `settled`: nothing that is under way can commit an event below it; see docs/adr/0012-event-feed.md
_STANDING = text(f"""
    SELECT now.settled, i.epoch, i.held_why, i.feed_eras
    FROM (SELECT {SETTLED} AS settled) AS now LEFT JOIN installation i ON true
""")  # noqa: S608 - the SQL is ours


class StaleCursor(Exception):  # noqa: N818 - it says what is the matter
    """A cursor of before a restore: events that it had read may be gone.

    `go_on_from` is the cursor from which nothing is missed.
    """

    def __init__(self, go_on_from: str) -> None:
        super().__init__("the installation was restored since")
        self.go_on_from = go_on_from


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One event, without a text, number, name or answer.

    `id` rises with each event of a person; with `epoch` it is one event's over all restores. `code` says more of what
    an SMS came to, where there is more.
    """

    id: int
    recipient_id: int | None
    campaign_id: int
    track: str
    state: str
    at: datetime
    code: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Page:
    """Events in their order, and the cursor to go on from: also where there were none."""

    events: list[FeedEvent]
    cursor: str


@dataclass(frozen=True, slots=True)
class _Standing:
    """The installation as the feed sees it: `settled` is the bound below which the last era is told."""

    epoch: int
    held: bool
    eras: Sequence[Era]
    settled: int


def read(after: str | None, limit: int) -> Page:
    """Return up to `limit` events after a cursor, from the first on without one, in the open tenant's scope.

    While the installation is held, nothing new is told: it may be another database than the one that was read.

    Raises StaleCursor, and Refused where `after` is no cursor of this company.
    """
    tenant_id = _tenant_id()
    with tenancy.transaction() as connection:
        standing = _standing(connection)
        epoch, eras = standing.epoch, standing.eras
        position = Position(epoch, eras[0].epoch, 0, 0) if after is None else cursors.opened(tenant_id, after)
        if position.epoch != epoch:
            raise StaleCursor(cursors.sealed(tenant_id, position.taken_to(epoch, eras)))
        events: list[FeedEvent] = []
        if not standing.held:
            position = _collect(connection, position, standing, limit, events)
    return Page(events, cursors.sealed(tenant_id, position))


def end() -> str:
    """Return the cursor behind everything that is settled by now, in the open tenant's scope."""
    tenant_id = _tenant_id()
    with tenancy.transaction() as connection:
        standing = _standing(connection)
    return cursors.sealed(tenant_id, Position(standing.epoch, standing.eras[-1].epoch, standing.settled, 0))


def _collect(
    connection: Connection, position: Position, standing: _Standing, limit: int, events: list[FeedEvent]
) -> Position:
    """Add the events after a position, era by era; return the position behind them."""
    eras = standing.eras
    begins = next((place for place, era in enumerate(eras) if era.epoch == position.era), 0)
    for era, following in zip(eras[begins:], [*eras[begins + 1 :], None], strict=True):
        if era.epoch != position.era:
            position = Position(position.epoch, era.epoch, 0, 0)
        values = {
            "tenant_id": _tenant_id(),
            "xid": position.xid,
            "id": position.id,
            "after_id": era.after_id,
            "limit": limit - len(events),
        }
        if following is None:
            rows = connection.execute(_LIVE, values | {"settled": standing.settled}).all()
        else:
            rows = connection.execute(_RESTORED, values | {"last_id": following.after_id}).all()
        events += [_event(row, era) for row in rows]
        if rows:
            position = replace(position, xid=rows[-1].xid, id=rows[-1].id)
        if len(events) >= limit:
            break
    return position


def _event(row: Row[Any], era: Era) -> FeedEvent:
    return FeedEvent(
        row.id, row.recipient_id, row.campaign_id, row.track, row.state, row.at, code=row.code, epoch=era.epoch
    )


def _standing(connection: Connection) -> _Standing:
    """Look at the installation; one that never sent is in its first era."""
    row = connection.execute(_STANDING).one()
    if row.epoch is None:
        return _Standing(1, held=False, eras=[Era(0, 0)], settled=row.settled)
    eras = [Era(0, 0), *(Era(*era) for era in row.feed_eras)]
    return _Standing(row.epoch, bool(row.held_why), eras, row.settled)


def _tenant_id() -> int:
    tenant_id = tenancy.current().tenant_id
    if tenant_id is None:
        raise tenancy.NoScope("the feed is a company's: open its scope")
    return tenant_id
