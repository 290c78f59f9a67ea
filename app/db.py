"""Where a statement can run, and how conditions that rooms share get into statements written by hand.

A condition that several rooms need is a function that takes the table, or an alias of it, and returns an expression:
`reached(person)`. It names no alias of its own accord, so it fits any statement. A hot path keeps its statement as text
and has the expression written out once, when its module is loaded: `in_text(reached, aliased(Recipient, name="r"))`.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, literal_column, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session, scoped_session
from sqlalchemy.orm.util import AliasedClass

Executor = Connection | Session | scoped_session[Any]
"""Takes a statement in the transaction of the caller: the argument of functions that read or write in it."""

_Model = TypeVar("_Model")
Of = type[_Model] | AliasedClass[_Model]
"""A model or an alias of it, for a condition about its rows."""

# values stand in the text, and a percent sign is one: `text` doubles it itself
_DIALECT = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]


def in_text(expression: Callable[..., ColumnElement[Any]], *of: Of[Any]) -> str:
    """Write out in SQL what an expression is for these tables, in parentheses; aliases keep their names.

    Within a SELECT from them, so that subqueries refer to the rows of the statement that the text is put into.
    """
    whole: Select[Any] = select(literal_column("1")).select_from(*of).where(expression(*of))
    compiled = str(whole.compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True}))
    return f"({compiled.partition('WHERE ')[2]})"
