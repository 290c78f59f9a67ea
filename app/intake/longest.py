"""The longest SMS that a list makes, found while its rows go by.

An SMS is as long as its own words and, for each merge field, the cell that stands there; company and link are as long
for everybody. So the row with the longest cells has it, whatever becomes of the words around them: only a text with
other merge fields has another.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from app.campaigns import template
from app.campaigns.segments import flatten, units
from app.intake import load
from app.intake.checks import CheckedRow


class Longest:
    """Looks at rows and remembers the one whose SMS is the longest, the first of several."""

    def __init__(self, sms_text: str, columns: Iterable[str]) -> None:
        self._merged = template.merged(sms_text)
        written = {template.key(name): name for name in columns}
        self._cells = [written[name] for name, times in self._merged.items() if name in written for _ in range(times)]
        self._units = -1
        self._row: CheckedRow | None = None

    def see(self, row: CheckedRow) -> None:
        """Look at the next row."""
        cells = [row.fields[name] for name in self._cells]
        # as they stand they are at least as long as in the SMS: few rows need the exact look
        if units("".join(cells)) > self._units:
            length = sum(units(flatten(cell)) for cell in cells)
            if length > self._units:
                self._units, self._row = length, row

    def told(self, connection: Connection, target: load.Target) -> dict[str, Any] | None:
        """Give what `Import.longest` keeps, once all rows stand there; None where no row was taken."""
        recipient_id = load.standing(connection, target, self._row) if self._row else None
        if self._row is None or recipient_id is None:
            return None
        return {"recipient_id": recipient_id, "sheet_row": self._row.sheet_row, "merged": self._merged}
