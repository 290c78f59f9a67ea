"""Names too long for the SMS: whose they are, and the short form of the text that fits everybody.

In: a list's rows as the check renders them. Out: for each name that the text merges, up to how many letters it can
stand as it is, so that with お客様 in the place of longer ones every SMS fits; nothing where that doesn't help.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.campaigns import template
from app.campaigns.sms_length import LIMIT, flatten, units
from app.values.column_names import names_person

WORDS = "お客様"
_NAMED = 5


@dataclass(slots=True)
class _Name:
    """One name of the list.

    `shortened` is the text with `WORDS` in its place, which merges it so many `times`.
    """

    shortened: str
    times: int
    lengths: Counter[int] = field(default_factory=Counter)
    most: int | None = None
    helps: bool = True


@dataclass(frozen=True, slots=True)
class Offer:
    """A short form that makes every SMS fit: of the field `name`, where it has more than `most` letters.

    It is for so many `people`; `ids` are the first of those whose SMS is too long.
    """

    name: str
    most: int
    people: int
    ids: list[int]


class ShortForms:
    """Looks at the rows of a list as they go by."""

    def __init__(self, sms_text: str) -> None:
        plain = Counter(item.name for item in template.merged_fields(sms_text) if item.most is None)
        self._names = {
            name: _Name(template.shorten(sms_text, name, 0, WORDS), times)
            for name, times in plain.items()
            if names_person(name)
        }
        self._people: list[int] = []

    def see(self, recipient_id: int, cells: Mapping[str, str], length: int, render: Callable[[str], str]) -> None:
        """Look at the next row, whose SMS has `length` units; `render` makes that of another text."""
        if length > LIMIT and len(self._people) < _NAMED:
            self._people.append(recipient_id)
        for name, seen in self._names.items():
            letters = units(flatten(cells[name]))
            seen.lengths[letters] += 1
            if length > LIMIT and seen.helps:
                # lengths that there is room for: a later list's name of as many letters fits too
                room = letters - -(-(length - LIMIT) // seen.times)
                seen.most = room if seen.most is None else min(room, seen.most)
                seen.helps = units(render(seen.shortened)) <= LIMIT

    def offers(self) -> list[Offer]:
        """Return the short forms that make every SMS fit."""
        return [
            Offer(
                name=name,
                most=seen.most,
                people=sum(count for letters, count in seen.lengths.items() if letters > seen.most),
                ids=self._people,
            )
            for name, seen in self._names.items()
            # whoever fits and gets the words must not get longer by them
            if seen.helps and seen.most is not None and seen.most >= units(WORDS)
        ]
