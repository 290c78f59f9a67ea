"""Ask the database for a list of the back office: the index to walk and what is checked on it; and its columns.

Precedence of indexes: the rows that a search found, the order that was asked for, the filter that an index narrows most
by, the newest rows first. All other filters are checked along the way, within the ids that they can have.
"""

import unicodedata
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from flask import flash, g, request
from sqlalchemy import or_, select, update
from sqlalchemy.orm import InstrumentedAttribute

from admin_views.framework.access import staff
from admin_views.framework.filters import Filter, V
from admin_views.framework.keyset_pagination import (
    BadCursor,
    Check,
    Condition,
    Key,
    ListIndex,
    Listing,
    Place,
    Reading,
    column_of,
    read,
)
from admin_views.framework.scoping import M
from app.extensions import db
from app.models import User

Asked = Sequence[tuple[Filter[Any], Any]]


def show(reading: Reading[M], size: int) -> Listing[M]:
    """Read the page that the address asks for; a cursor that can't be read gives the first one, and is told."""
    arguments = request.args
    place = Place(arguments.get("after", ""), arguments.get("before", ""), end=arguments.get("end") == "1")
    try:
        listing = read(reading, place, size)
    except BadCursor:
        flash("ページの指定を読み取れなかったため、最初のページを表示しています。", "warning")
        listing = read(reading, Place(), size)
    g.listing = listing
    return listing


def plan(
    key: InstrumentedAttribute[int], ids: Sequence[int] | None, order: ListIndex | None, usual: ListIndex, asked: Asked
) -> tuple[ListIndex, list[Check]]:
    """Choose the index and what is checked on it.

    `key` holds the rows' ids; `ids` are the rows that a search found, None without a search;
    `order` is the one asked for, `usual` the list's own.
    """
    if ids is not None:
        order = (order or usual).within(key.in_(ids))
    leader, index = _lead(usual, asked) if order is None else (None, order)
    checks: list[Check] = []
    for item, value in asked:
        if item is leader:
            continue
        checks.append(_check(item, value))
        bounds = item.bounds(value)
        if bounds is not None:
            index = index.within(key.between(*bounds))
    return index, checks


def _lead(usual: ListIndex, asked: Asked) -> tuple[Filter[Any] | None, ListIndex]:
    indexes = [
        (item.rank, n, item, index) for n, (item, value) in enumerate(asked) if (index := item.index(value)) is not None
    ]
    ranked = sorted((rank, n, item, index) for rank, n, item, index in indexes if rank is not None)
    return (ranked[0][2], ranked[0][3]) if ranked else (None, usual)


def _check(item: Filter[V], value: V) -> Check:
    return lambda entity: item.check(entity, value)


def is_searchable(search: str) -> bool:
    """Return whether a text can be searched for: control characters and halves of letters stand in no row."""
    return not any(unicodedata.category(sign) in {"Cc", "Cs"} for sign in search)


def containing(columns: Sequence[Key], search: str) -> Check:
    """Check that one of the columns holds the text, in whatever case."""

    def check(entity: object) -> Condition:
        return or_(*[column_of(entity, column.key).icontains(search, autoescape=True) for column in columns])

    return check


def at(url: str, **place: str) -> str:
    """Add a place to a list's address."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(place)}"


# --- which columns a user sees ---


def chosen_columns(list_name: str) -> list[str] | None:
    """Return the columns that the user chose for a list, None where nothing was chosen."""
    if "list_columns" not in g:
        g.list_columns = db.session.scalar(select(User.list_columns).where(User.id == staff().id)) or {}
    chosen = g.list_columns.get(list_name)
    return [name for name in chosen if isinstance(name, str)] if isinstance(chosen, list) else None


def choose_columns(list_name: str, columns: Sequence[str] | None) -> None:
    """Keep the columns that the user wants to see in a list; None forgets the choice.

    Commits.
    """
    user_id = staff().id
    kept = db.session.scalar(select(User.list_columns).where(User.id == user_id).with_for_update()) or {}
    kept = {name: names for name, names in kept.items() if name != list_name}
    if columns is not None:
        kept[list_name] = list(columns)
    db.session.execute(update(User).where(User.id == user_id).values(list_columns=kept))
    db.session.commit()
    g.pop("list_columns", None)
