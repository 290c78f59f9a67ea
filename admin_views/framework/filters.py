"""Filters of lists, in an address that says what they filter (`?campaign=12&sms=undelivered&from=2026-11-01`).

A filter checks each row; one that an index serves may lead the walk instead (`keyset_pagination.ListIndex`), or bound
the ids that it passes.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Generic, TypeVar

from flask import abort, flash
from flask_admin.contrib.sqla.filters import BaseSQLAFilter
from flask_admin.model import BaseModelView
from sqlalchemy import func
from sqlalchemy.orm import InstrumentedAttribute, Query

from admin_views.framework.display import from_jst
from admin_views.framework.keyset_pagination import Condition, Key, ListIndex, column_of
from admin_views.framework.scoping import M, as_id, rows
from app.models import Slice
from app.states.vocabulary import SmsState, Track

Options = Sequence[tuple[str, str]]
Bounds = tuple[int, int]
V = TypeVar("V")  # what an address asks for, read

_NOBODY: Bounds = (1, 0)
_DAY_LETTERS = len("2026-11-26")


class Filter(BaseSQLAFilter, Generic[V]):
    """One condition.

    `rank` says how far an index narrows the list by it: the lowest leads, None never does.
    """

    param: str
    rank: int | None = None

    def get_options(self, view: BaseModelView) -> None:
        """Offer Flask-Admin none: it would keep what it gets at start-up for all companies and for good."""
        del view

    def operation(self) -> str:
        """Name the comparison."""
        return "＝"

    def read(self, arguments: Mapping[str, str]) -> V | None:
        """Return the value that an address asks for, None for none. 404 for what is not on offer."""
        raise NotImplementedError

    def written(self, value: V) -> dict[str, str]:
        """Return a value as an address holds it."""
        raise NotImplementedError

    def check(self, entity: object, value: V) -> Condition:
        """Return the condition on a row."""
        raise NotImplementedError

    def index(self, value: V) -> ListIndex | None:
        """Return the walk along the index that serves this value, None where none does."""
        del value
        return None

    def bounds(self, value: V) -> Bounds | None:
        """Return the lowest and the highest id that can answer, None where that is not known cheaply."""
        del value
        return None


class Choice(Filter[str]):
    """A column that equals one of a few values.

    `param` is its name in addresses; options are made per request.
    """

    kind = "select"

    def __init__(
        self,
        column: Key,
        label: str,
        param: str,
        options: Callable[[], Options],
        *,
        rank: int | None = None,
        unserved: Sequence[str] = (),
    ) -> None:
        super().__init__(column, label)
        self.param = param
        self.choices = options
        self.rank = rank
        self._unserved = unserved  # values that the index leaves out

    def validate(self, value: str) -> bool:
        """Return whether the value is on offer."""
        return value in dict(self.choices())

    def read(self, arguments: Mapping[str, str]) -> str | None:
        """Return the value."""
        value = arguments.get(self.param, "")
        return (value if self.validate(value) else abort(404)) if value else None

    def written(self, value: str) -> dict[str, str]:
        """Return the value under its name."""
        return {self.param: value}

    def clean(self, value: str) -> object:
        """Return the value as the column holds it."""
        return self.column.type.python_type(value)

    def check(self, entity: object, value: str) -> Condition:
        """Compare."""
        return column_of(entity, self.column.key) == self.clean(value)

    def index(self, value: str) -> ListIndex | None:
        """Walk the column's rows of this value by their ids."""
        if self.rank is None or value in self._unserved:
            return None
        model = self.column.class_
        return ListIndex((model.id,), (self.check(model, value),))


class RowChoice(Choice):
    """A reference to another row, by id.

    The options name the latest rows; any row of the scope may be asked for.
    """

    def __init__(
        self,
        column: Key,
        label: str,
        param: str,
        options: Callable[[], Options],
        find: Callable[[int], str | None],
        *,
        rank: int | None = None,
    ) -> None:
        super().__init__(column, label, param, options, rank=rank)
        self.find = find

    def validate(self, value: str) -> bool:
        """Return whether the scope has such a row."""
        number = as_id(value)
        return number is not None and self.find(number) is not None

    def bounds(self, value: str) -> Bounds | None:
        """Look at both ends of the column's index."""
        if self.rank is None:
            return None
        model = self.column.class_
        return _ends(rows(model).filter(self.check(model, value)), model.id, model.id)


class SmsChoice(Choice):
    """A person's SMS state, which stands in no index: sending changes it three times a message.

    The undelivered and the unknown are found by the time at which they became so. Whoever waits or is being written to
    belongs to a slice that says so.
    """

    _OPEN = frozenset({SmsState.QUEUED, SmsState.SENDING})
    _TIMES: Mapping[str, str] = {SmsState.UNDELIVERED: "undelivered_at", SmsState.UNKNOWN: "unknown_at"}

    def index(self, value: str) -> ListIndex | None:
        """Walk those who ever stood in the state."""
        if value not in self._TIMES:
            return None
        model = self.column.class_
        ever = getattr(model, self._TIMES[value]).is_not(None)
        return ListIndex((model.id,), (ever, self.check(model, value)), dear=True)

    def bounds(self, value: str) -> Bounds | None:
        """Look at the slices that aren't done."""
        if value not in self._OPEN:
            return None
        undone = rows(Slice).filter(Slice.due_at.is_not(None) | Slice.check_at.is_not(None))
        return _ends(undone, Slice.first_id, Slice.last_id)


class Days(Filter[tuple[str, str]]):
    """A time between two days in Japan, both included: `from` and `to`, either may be missing."""

    kind = "days"
    rank = 1

    def __init__(self, column: Key, label: str, along: Callable[[], ListIndex] | None = None) -> None:
        super().__init__(column, label)
        self.param = "days"
        self._along = along

    def read(self, arguments: Mapping[str, str]) -> tuple[str, str] | None:
        """Return both days, the earlier one first however they were typed; what is no day is told and left out."""
        first, last = _day(arguments.get("from", "")), _day(arguments.get("to", ""))
        if first and last and first > last:
            first, last = last, first
        return (first, last) if first or last else None

    def written(self, value: tuple[str, str]) -> dict[str, str]:
        """Return both days under their names."""
        return {name: day for name, day in zip(("from", "to"), value, strict=True) if day}

    def check(self, entity: object, value: tuple[str, str]) -> Condition:
        """Compare."""
        return _between(column_of(entity, self.column.key), value)

    def index(self, value: tuple[str, str]) -> ListIndex:
        """Walk by time: the rows then stand in its order."""
        model = self.column.class_
        index = self._along() if self._along else ListIndex((self.column, model.id))
        return index.within(_between(index.keys[0], value))


def _ends(found: Query[M], first: InstrumentedAttribute[int | None], last: InstrumentedAttribute[int | None]) -> Bounds:
    """Return the lowest and the highest id of what was found."""
    least, most = found.with_entities(func.min(first), func.max(last)).one()
    return _NOBODY if least is None or most is None else (least, most)


def _day(written: str) -> str:
    try:
        return date.fromisoformat(written).isoformat() if len(written) == _DAY_LETTERS else _no_day(written)
    except ValueError:
        return _no_day(written)


def _no_day(written: str) -> str:
    if written:
        flash("日付を読み取れなかったため、その条件を外しました。2026-11-26 のように入力してください。", "warning")
    return ""


def _between(column: Key, days: tuple[str, str]) -> Condition:
    first, last = days
    condition: Condition = column.is_not(None)
    if first:
        condition &= column >= _midnight(date.fromisoformat(first))
    if last and date.fromisoformat(last) < date.max:
        condition &= column < _midnight(date.fromisoformat(last) + timedelta(days=1))
    return condition


def _midnight(day: date) -> datetime:
    return from_jst(datetime.combine(max(day, date.min + timedelta(days=1)), time()))


def states_of(track: Track) -> Callable[[], Options]:
    """Offer the words of a track of states."""
    return lambda: [(str(state), word) for state, word in track.words.items()]
