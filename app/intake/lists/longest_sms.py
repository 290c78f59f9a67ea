"""The longest SMS that a list makes, found while its rows go by.

An SMS is as long as its own words and, for each merge field, the cell that stands there; company and link are as long
for everybody. So the row with the longest cells has it, whatever becomes of the words around them: only a text with
other merge fields, or other short forms of them, has another.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from app.campaigns import template
from app.campaigns.sms_length import flatten, units
from app.intake.checking.checks import CheckedRow
from app.intake.lists import load


class Longest:
    """Looks at rows and remembers the one whose SMS is the longest, the first of several."""

    def __init__(self, sms_text: str, columns: Iterable[str]) -> None:
        self._merged = template.merged(sms_text)
        written = {template.key(name): name for name in columns}
        self._cells = [
            (field, written[field.name]) for field in template.merged_fields(sms_text) if field.name in written
        ]
        self._words = sum(units(field.words) for field, _ in self._cells)
        self._units = -1
        self._row: CheckedRow | None = None

    def see(self, row: CheckedRow) -> None:
        """Look at the next row."""
        cells = [row.fields[name] for _, name in self._cells]
        # as they stand they are, with the words of short forms, at least as long as in the SMS: few need the exact look
        if units("".join(cells)) + self._words > self._units:
            fields = (field for field, _ in self._cells)
            length = sum(units(field.shown(flatten(cell))) for field, cell in zip(fields, cells, strict=True))
            if length > self._units:
                self._units, self._row = length, row

    def told(self, connection: Connection, target: load.Target) -> dict[str, Any] | None:
        """Return what `Import.longest` keeps, once all rows stand there; None where no row was taken."""
        recipient_id = load.known_recipient(connection, target, self._row) if self._row else None
        if self._row is None or recipient_id is None:
            return None
        return {"recipient_id": recipient_id, "sheet_row": self._row.sheet_row, "merged": self._merged}
