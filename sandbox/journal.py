"""The sandbox's memory over a restart: one JSON record a line, appended before the answer leaves.

In: records (`{"k": kind, …}`, a later record of the same id replaces an earlier one). Out: the same, in order, when
it is opened again. A line that a kill cut short is dropped, as if its request had never come.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Record = dict[str, Any]


class Journal:
    """Appends records to `path`; without a path it keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._file: int | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            # it holds phone numbers and texts: for its owner's eyes
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)

    @property
    def on(self) -> bool:
        """Whether anything is kept."""
        return self._file is not None

    def append(self, record: Record) -> None:
        """Keep one record; it outlives a killed process from here on."""
        if self._file is not None:
            os.write(self._file, json.dumps(record, separators=(",", ":")).encode() + b"\n")

    def replay(self) -> Iterator[Record]:
        """Return all records in order and cut off a half-written last line."""
        if self._file is None:
            return
        whole = 0
        with open(os.dup(self._file), "rb") as lines:  # noqa: PTH123 - the file is open already
            lines.seek(0)
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                yield json.loads(line)
        os.ftruncate(self._file, whole)

    def clear(self) -> None:
        """Forget everything."""
        if self._file is not None:
            os.ftruncate(self._file, 0)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
