"""How values stand on the back office's screens: times in Japan, states in the vocabulary's words, yen."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from markupsafe import Markup

from app.states.vocabulary import Track
from app.values.japan_time import TOKYO

NOTHING = "―"

# A state's meaning for whoever looks at it: the badge's colour, always beside the word.
_TONES: Mapping[str, str] = {
    **dict.fromkeys(("delivered", "viewed", "paid", "completed", "active", "done", "approved"), "badge-green"),
    **dict.fromkeys(("undelivered", "failed", "locked", "suspended", "cancelled", "rejected"), "badge-red"),
    **dict.fromkeys(("unknown", "paused", "expired", "review", "mapping", "applied"), "badge-amber"),
    **dict.fromkeys(
        ("queued", "sending", "accepted", "opened", "verified", "started", "pending", "running"), "badge-blue"
    ),
}

Code = TypeVar("Code", bound=str)

Formatter = Callable[[object, object, object, str], Markup | str]


def jst(moment: datetime | None) -> str:
    """Return a time in Japan, to the minute."""
    return moment.astimezone(TOKYO).strftime("%Y/%m/%d %H:%M") if moment else NOTHING


def jst_exact(moment: datetime | None) -> str:
    """Return a time in Japan, to the second."""
    return moment.astimezone(TOKYO).strftime("%Y/%m/%d %H:%M:%S") if moment else NOTHING


def day(value: date | None) -> str:
    """Return a date."""
    return value.strftime("%Y/%m/%d") if value else NOTHING


def day_of(written: str) -> date | None:
    """Read a day as a filter holds it; None for none."""
    return date.fromisoformat(written) if written else None


def yen(amount: int | None) -> str:
    """Return an amount of money."""
    return f"{amount:,}円" if amount is not None else NOTHING


def from_jst(naive: datetime) -> datetime:
    """Take a time typed as Japan's for the moment it is."""
    return naive.replace(tzinfo=TOKYO).astimezone(UTC)


def badge(state: str, word: str) -> Markup:
    """Return a state's word with its colour."""
    return Markup('<span class="badge-state {}">{}</span>').format(_TONES.get(state, ""), word)


def word(track: Track, state: str) -> str:
    """Return a state's word; what is no state of the track stands as it is."""
    return {str(name): text for name, text in track.words.items()}.get(state, state)


def state_of(track: Track) -> Formatter:
    """Format a column that holds a state of `track`."""

    def show(_view: object, _context: object, model: object, name: str) -> Markup:
        state = getattr(model, name)
        return badge(state, word(track, state))

    return show


def words_of(words: Mapping[Code, str]) -> Formatter:
    """Format a column that holds one of a few codes."""
    texts = {str(code): text for code, text in words.items()}

    def show(_view: object, _context: object, model: object, name: str) -> str:
        value = str(getattr(model, name))
        return texts.get(value, value) or NOTHING

    return show


def yes_or_no(yes: str, no: str) -> Formatter:
    """Format a column that holds true or false."""

    def show(_view: object, _context: object, model: object, name: str) -> Markup:
        return badge("active" if getattr(model, name) else "", yes if getattr(model, name) else no)

    return show


def money(_view: object, _context: object, model: object, name: str) -> str:
    """Format a column that holds yen."""
    return yen(getattr(model, name))


TYPES: Mapping[type, Callable[[object, Any, str], str]] = {
    type(None): lambda _view, _value, _name: NOTHING,
    datetime: lambda _view, value, _name: jst(value),
    date: lambda _view, value, _name: day(value),
    bool: lambda _view, value, _name: "はい" if value else "いいえ",
}
