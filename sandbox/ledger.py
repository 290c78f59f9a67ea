"""The ledger: every API request that came in, in order, with what became of it.

Credentials are never kept.

A request whose connection was reset after its body was accepted stands here as accepted: that is what carriers do.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from sandbox.journal import Journal, Record


class Row(NamedTuple):
    """One request.

    `at` is epoch seconds, `status` None where no answer left, `accepted` the id it made or touched.
    """

    at: float
    kind: str  # karaden | zettai_reach | infobip | stripe | payjp | komoju | paypay
    call: str  # create, list, detail, cancel, session_create, …
    method: str
    target: str  # path and query
    body: bytes
    status: int | None
    fate: str  # answered, or the name of the switch that struck
    accepted: str | None


class Ledger:
    """Rows in order of arrival; a row's number is its place, from 1."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._rows: list[Row] = []

    def add(self, row: Row) -> None:
        """Keep one request."""
        self._rows.append(row)
        if self._journal.on:
            record = row._asdict() | {"k": "request", "body": row.body.decode("utf-8", "replace")}
            self._journal.append(record)

    def load(self, record: Record) -> None:
        """Take back a row that the journal kept."""
        fields = {name: record[name] for name in Row._fields}
        self._rows.append(Row(**(fields | {"body": record["body"].encode()})))

    def clear(self) -> None:
        """Forget all rows."""
        self._rows.clear()

    def entries(self, kind: str | None, since: int, limit: int) -> Iterator[dict[str, Any]]:
        """Return up to `limit` rows after number `since`, oldest first, of one kind or of all."""
        left = limit
        for seq in range(since, len(self._rows)):
            if left == 0:
                return
            row = self._rows[seq]
            if kind is None or row.kind == kind:
                left -= 1
                yield {
                    "seq": seq + 1,
                    "at": datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds"),
                    "kind": row.kind,
                    "call": row.call,
                    "method": row.method,
                    "target": row.target,
                    "form": parse_qs(row.body.decode("utf-8", "replace"), keep_blank_values=True),
                    "status": row.status,
                    "fate": row.fate,
                    "accepted": row.accepted,
                }

    def counts(self) -> dict[str, int]:
        """Count the rows by call and fate."""
        return dict(Counter(f"{row.kind}.{row.call} {row.fate} {row.status or '-'}" for row in self._rows))
