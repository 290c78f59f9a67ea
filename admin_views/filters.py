"""Filters of lists: a select each, in an address that says what it filters (`?campaign=12&sms=undelivered`)."""

from collections.abc import Callable, Sequence
from typing import Any

from flask_admin.contrib.sqla.filters import BaseSQLAFilter

from admin_views.scoping import as_id
from app.tracking.states import Track

Options = Sequence[tuple[str, str]]


class Choice(BaseSQLAFilter):  # type: ignore[misc]
    """A column that equals one of a few values. `param` is its name in addresses; options are made per request."""

    def __init__(self, column: Any, label: str, param: str, options: Callable[[], Options]) -> None:
        super().__init__(column, label)
        self.param = param
        self.choices = options

    def get_options(self, _view: Any) -> None:
        """Give Flask-Admin none: it would keep what it gets at start-up for all companies and for good."""
        return

    def operation(self) -> str:
        """Name the comparison."""
        return "＝"

    def validate(self, value: str) -> bool:
        """Say whether the value is on offer."""
        return value in dict(self.choices())

    def clean(self, value: str) -> Any:
        """Give the value as the column holds it."""
        return self.column.type.python_type(value)

    def apply(self, query: Any, value: Any, _alias: Any = None) -> Any:
        """Narrow the query."""
        return query.filter(self.column == value)


class RowChoice(Choice):
    """A reference to another row, by id. The options name the latest rows; any row of the scope may be asked for."""

    def __init__(
        self, column: Any, label: str, param: str, options: Callable[[], Options], find: Callable[[int], str | None]
    ) -> None:
        super().__init__(column, label, param, options)
        self.find = find

    def validate(self, value: str) -> bool:
        """Say whether the scope has such a row."""
        number = as_id(value)
        return number is not None and self.find(number) is not None


def states_of(track: Track) -> Callable[[], Options]:
    """Offer the words of a track of states."""
    return lambda: [(str(state), word) for state, word in track.words.items()]
