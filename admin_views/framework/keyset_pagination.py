"""How a list of any length is read: along one index, from a row on or back to one, never by counting rows off.

In: a scope's query, the index to walk it by, what else its rows must be, and where to begin. Out: a page of rows, the
places where the pages beside it begin, and a count that stops where it would cost. Can't happen here: a page that slips
because rows were added or moved meanwhile, a walk past more than `WALKED_TO` rows, a cursor that ends in an error.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Generic

from sqlalchemy import ColumnElement, Row, UnaryExpression, func, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Query, aliased, selectinload

from admin_views.framework.scoping import M, as_id
from app.extensions import db

COUNTED_TO = 10_000
# the same along an index whose rows have to be visited to be counted
COUNTED_DEARLY_TO = 1_000
# rows that one page may pass over that don't answer to its filters; more are looked at on the next one
WALKED_TO = 50_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MOMENT = 10**17  # microseconds: the year 5138
_LONGEST_TEXT = 300

Key = InstrumentedAttribute[object]
Condition = ColumnElement[bool]

Check = Callable[[object], Condition]
"""Return the condition on a row of an entity, which may be the table or a part of it (`column_of`)."""

Cursor = tuple[datetime | str | int, ...]

_Walk = Query[Any]
"""Rows with their keys after them: how many, the index says."""


class BadCursor(ValueError):  # noqa: N818 - it names what was found
    """A cursor that no page of the list gave."""


@dataclass(frozen=True, slots=True)
class ListIndex:
    """How a list is walked.

    An index serves `keys`, the last of which is unique, and `conditions`, in this order.

    `join` leads from the list's table to that of the keys where it is another one. `dear` says that the index alone
    can't count: the rows behind it have to be visited.
    """

    keys: tuple[Key, ...]
    conditions: tuple[Condition, ...] = ()
    descending: bool = True
    dear: bool = False
    join: Callable[[_Walk], _Walk] | None = None

    def within(self, *conditions: Condition) -> "ListIndex":
        """Narrow the index further by what it can check itself."""
        return replace(self, conditions=(*self.conditions, *conditions))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: after a row, before one, at the end, or (with none of them) at the beginning."""

    after: str = ""
    before: str = ""
    end: bool = False

    @property
    def backwards(self) -> bool:
        """Return whether the page is found from its last row on."""
        return self.end or bool(self.before)


@dataclass(frozen=True, slots=True)
class Listing(Generic[M]):
    """A page. `after` and `before` begin the pages beside it, empty where there is none.

    `walked` says that no more rows were looked at than one page may, so that fewer than a page's stand here. `exact`
    is false where `count` is only the least that it can be.
    """

    rows: list[M] = field(default_factory=list)
    after: str = ""
    before: str = ""
    count: int = 0
    exact: bool = True
    walked: bool = False


@dataclass(frozen=True, slots=True)
class Reading(Generic[M]):
    """One reading: the scope's query of a table, the index, what else must be true, which related rows are shown."""

    query: Query[M]
    model: type[M]
    index: ListIndex
    checks: Sequence[Check] = ()
    beside: Sequence[str] = ()


def column_of(entity: object, key: str) -> Key:
    """Return an entity's column by its name."""
    column: Key = getattr(entity, key)
    return column


def read(reading: Reading[M], place: Place, size: int) -> Listing[M]:
    """Read a page of `size` rows. Raises BadCursor."""
    listing = _page(reading, place, size)
    if place.before and not listing.before and len(listing.rows) < size:
        # rows before it went away: the first page, whole
        listing = _page(reading, Place(), size)
    count, exact = _count(reading)
    return replace(listing, count=max(count, len(listing.rows)), exact=exact)


def _page(reading: Reading[M], place: Place, size: int) -> Listing[M]:
    index = reading.index
    written = place.before if place.backwards else place.after
    steps = _Steps(index, _decode(written, index) if written else None, place.backwards)
    found = _found(reading, steps, size + 1)
    rows, more, walked = found[:size], len(found) > size, False
    near, far = (_cursor(rows[0][1:], index), _cursor(rows[-1][1:], index)) if rows else (written, "")
    if reading.checks and not more:
        edge, walked = _edge(reading, steps)
        more, far = walked, edge if walked else far
    if place.backwards:
        rows.reverse()
        after, before = "" if place.end else near, far if more else ""
    else:
        after, before = far if more else "", near if written else ""
    return Listing([row[0] for row in rows], after=after, before=before, walked=walked)


@dataclass(frozen=True, slots=True)
class _Steps:
    """A walk from a start on, in one direction."""

    index: ListIndex
    start: Cursor | None
    backwards: bool

    def query(self, query: Query[M]) -> _Walk:
        """Return the rows with their keys, in this order."""
        index = self.index
        found = query.add_columns(*[key.label(f"key{n}") for n, key in enumerate(index.keys)])
        found = (index.join(found) if index.join else found).filter(*index.conditions)
        if self.start is not None:
            keys = tuple_(*index.keys)
            found = found.filter(keys < tuple_(*self.start) if self.falling else keys > tuple_(*self.start))
        return found.order_by(*self.ordered(index.keys))

    @property
    def falling(self) -> bool:
        """Return whether the keys get smaller."""
        return self.index.descending != self.backwards

    def ordered(self, keys: Iterable[Key | ColumnElement[object]]) -> list[UnaryExpression[object]]:
        """Return the order."""
        return [key.desc() if self.falling else key.asc() for key in keys]


def _found(reading: Reading[M], steps: _Steps, limit: int) -> list[Row[M, *tuple[object, ...]]]:
    model, names = reading.model, reading.beside
    if not reading.checks:
        beside = [selectinload(getattr(model, name)) for name in names]
        return list(steps.query(reading.query).options(*beside).limit(limit))
    walked = steps.query(reading.query).limit(WALKED_TO).subquery()
    entity = aliased(model, walked)
    keys = [walked.c[f"key{n}"] for n in range(len(steps.index.keys))]
    answering = db.session.query(entity, *keys).filter(*[check(entity) for check in reading.checks])
    beside = [selectinload(getattr(entity, name)) for name in names]
    return list(answering.options(*beside).order_by(*steps.ordered(keys)).limit(limit))


def _edge(reading: Reading[M], steps: _Steps) -> tuple[str, bool]:
    """Return the last row that one page may walk to, and say whether there are rows behind it."""
    query = steps.query(reading.query).with_entities(*steps.index.keys)
    keys = query.offset(WALKED_TO - 1).limit(2).all()
    return (_cursor(keys[0], steps.index) if keys else ""), len(keys) > 1


def _count(reading: Reading[M]) -> tuple[int, bool]:
    """Count what answers among the first rows of the index; return whether those are all."""
    steps = _Steps(reading.index, None, backwards=False)
    most = COUNTED_DEARLY_TO if reading.index.dear else COUNTED_TO
    query = steps.query(reading.query).limit(most + 1)
    if not reading.checks:
        rows = query.with_entities(reading.index.keys[-1]).subquery()
        found = int(db.session.query(func.count()).select_from(rows).scalar() or 0)
        return min(found, most), found <= most
    walked = query.subquery()
    entity = aliased(reading.model, walked)
    answering = func.count().filter(*[check(entity) for check in reading.checks])
    passed, found = db.session.query(func.count(), answering).select_from(walked).one()
    return int(found), passed <= most


def _cursor(values: Sequence[object], index: ListIndex) -> str:
    """Write a row's keys for an address: the id, then what stands before it."""
    *rest, last = values
    return ".".join([str(last), *[_written(value) for value in rest]]) if len(index.keys) > 1 else str(last)


def _written(value: object) -> str:
    if isinstance(value, datetime):
        return str((value - _EPOCH) // timedelta(microseconds=1))
    return str(value)


def _decode(written: str, index: ListIndex) -> Cursor:
    row, _, rest = written.partition(".")
    number = as_id(row)
    if number is None:
        raise BadCursor(written)
    return (number,) if len(index.keys) == 1 else (_read(rest, index.keys[0].type.python_type), number)


def _read(written: str, kind: type[object]) -> datetime | str:
    if kind is datetime:
        number = as_id(written)
        if number is None or number > _LAST_MOMENT:
            raise BadCursor(written)
        return _EPOCH + timedelta(microseconds=number)
    if kind is str and len(written) <= _LONGEST_TEXT:
        return written
    raise BadCursor(written)
