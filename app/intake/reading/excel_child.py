"""The child that opens a workbook: nothing of it is unpacked or parsed in a process that serves or sends.

In: commands on standard input, and the file's bytes as they are asked for. Out: rows on standard output. Both are
messages of four bytes of length and JSON, or bytes; no pickle. Can't happen here: more memory or processor time than
the parent allows, whatever the file unpacks to; a file written, a secret known: the environment is empty.

The parent is `app.intake.reading.excel_process`. This file is run by its path.
"""

import io
import json
import resource
import struct
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

_ROWS = 1_000  # in one message
_CHARACTERS = 200_000  # in one message, and in one row
_BUFFER = 1 << 18
_AT_FIRST_S = 4  # of a processor, before anything was found


def _spare_the_product() -> None:
    # the package's own `__init__` makes the whole product, which takes a second: its parts are all that is needed here
    package = types.ModuleType("app")
    package.__path__ = [str(Path(__file__).parents[2])]
    sys.modules["app"] = package


def _limit(memory: int, cpu_s: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (min(_AT_FIRST_S, cpu_s), cpu_s))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Clock:
    """Seconds of a processor, given out as rows and texts come: a file that gives none of them ends soon."""

    def __init__(self, most_s: int) -> None:
        self._most_s, self._given_s = most_s, min(_AT_FIRST_S, most_s)
        self._before = self._now = 0.0

    def begin(self) -> None:
        """Count anew what is earned by another reading of the file."""
        self._before += self._now
        self._now = 0.0

    def earn(self, seconds: float) -> None:
        """Hear what this reading is worth so far."""
        self._now = max(self._now, seconds)
        wanted = min(self._most_s, _AT_FIRST_S + int(self._before + self._now))
        if wanted > self._given_s:
            self._given_s = wanted
            resource.setrlimit(resource.RLIMIT_CPU, (wanted, self._most_s))


class _Parent:
    """The way to and from the parent."""

    def __init__(self) -> None:
        self._in, self._out = sys.stdin.buffer, sys.stdout.buffer

    def receive(self) -> bytes:
        head = self._in.read(4)
        if len(head) < 4:  # noqa: PLR2004 - the length's own
            raise SystemExit
        return self._in.read(struct.unpack(">I", head)[0])

    def send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode()
        self._out.write(struct.pack(">I", len(data)) + data)
        self._out.flush()


class _File(io.RawIOBase):
    """The workbook, which the parent holds."""

    def __init__(self, parent: _Parent, size: int) -> None:
        self._parent, self._size, self._at = parent, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence] + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        if self._at >= self._size:
            return 0
        self._parent.send({"need": [self._at, len(buffer)]})
        data = self._parent.receive()
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class Reader:
    """One workbook, opened again for each sheet that is looked at."""

    def __init__(self, stream: BinaryIO, cell: int, clock: Clock) -> None:
        from app.intake.reading import excel_reader, list_rows  # noqa: PLC0415 - without the product

        self._excel, self._refuse, self._refuse_row = (
            excel_reader,
            list_rows.refuse_long_cells,
            list_rows.refuse_long_row,
        )
        self._stream = stream
        self._cell = cell
        self._clock = clock
        self._rows: Iterator[tuple[int, list[str]]] = iter(())
        self._sheet: Any = None

    def open(self, wanted: str, *, hidden: bool) -> dict[str, Any]:
        """Open a sheet."""
        self._clock.begin()
        self._sheet = self._excel.open_workbook(self._stream, wanted, hidden=hidden, earn=self._clock.earn)
        self._rows = self._sheet.rows
        return {"sheet": self._sheet.name, "names": self._sheet.names}

    def more(self) -> dict[str, Any]:
        """Read the next rows."""
        rows: list[tuple[int, list[str]]] = []
        characters = 0
        while len(rows) < _ROWS and characters < _CHARACTERS:
            row = next(self._rows, None)
            if row is None:
                return self._told(rows, end=True)
            size = sum(map(len, row[1]))
            if size > self._cell:
                self._refuse(*row, self._cell)
            if size > _CHARACTERS:
                self._refuse_row(row[0])
            rows.append(row)
            characters += size
        return self._told(rows, end=False)

    def _told(self, rows: list[tuple[int, list[str]]], *, end: bool) -> dict[str, Any]:
        return {"rows": rows, "read": self._sheet.read(), "hidden": self._sheet.hidden_columns(), "end": end}


def main() -> None:
    """Do what the parent orders, until it ends the conversation."""
    memory, cpu_s, size, cell = map(int, sys.argv[1:5])
    _spare_the_product()
    parent = _Parent()
    stream = io.BufferedReader(_File(parent, size), _BUFFER)
    reader = Reader(stream, cell, Clock(cpu_s))
    # the modules are there: what follows is the file's own doing
    _limit(memory, cpu_s)
    from app.problems import Refused  # noqa: PLC0415 - as above

    while True:
        order = json.loads(parent.receive())
        try:
            acts: dict[str, Callable[..., dict[str, Any]]] = {"open": reader.open, "more": reader.more}
            answer = acts[order.pop("order")](**order)
        except Refused as refused:
            answer = {"problem": refused.problem.to_json()}
        except MemoryError:
            answer = {"no_memory": True}
        parent.send(answer)


if __name__ == "__main__":
    main()
