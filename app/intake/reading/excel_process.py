"""A workbook opened in a child process, under limits of memory and time.

In: a seekable stream of a workbook. Out: a sheet's rows, as `excel_reader.open_workbook` gives them. Can't happen here:
a file that unpacks to more than it seems, or that takes for ever, costing this process anything but the wait; a child
that outlives whoever asked for it.
"""

import io
import json
import selectors
import signal
import struct
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple

from app.intake.reading.excel_parts import BROKEN, SAVE_AS_CSV
from app.intake.reading.excel_reader import Sheet
from app.problems import Kind, Problem, Refused

_CHILD = Path(__file__).with_name("excel_child.py")
_LONGEST_MESSAGE = 16_000_000  # a thousand rows, each letter written as \uXXXX

_TOO_LARGE = Kind("book_too_large", "Excelブックを開くと大きくなりすぎるため、読めません。" + SAVE_AS_CSV)
_TOO_SLOW = Kind("book_too_slow", "Excelブックを開くのに時間がかかりすぎるため、読めません。" + SAVE_AS_CSV)


class Bounds(NamedTuple):
    """The limits of a child: bytes of memory, seconds of a processor, seconds of waiting for one answer.

    Of a processor it has four seconds, and more only as rows and texts come out (`excel_reader.Earn`).
    """

    memory: int
    cpu_s: int
    wait_s: float


# a header and the first rows, while somebody waits at a screen and a thread of the web server with them
PREVIEW = Bounds(200_000_000, 10, 20.0)
# all of it, in a worker: a million rows take four minutes of a processor
WHOLE = Bounds(300_000_000, 1_800, 120.0)


class WorkbookProcess:
    """One workbook in a child of its own.

    Ends with the last reference to it, and to the rows it gave.
    """

    def __init__(self, stream: BinaryIO, bounds: Bounds, longest_cell: int = 2_000) -> None:
        self._stream = stream
        self._bounds = bounds
        size = stream.seek(0, io.SEEK_END)
        told = (bounds.memory, bounds.cpu_s, size, longest_cell)
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-I", str(_CHILD), *map(str, told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            bufsize=0,
        )
        self._end = weakref.finalize(self, _end, self._process)
        self._asked_ahead = False

    def open(self, wanted: str = "", *, hidden: bool = False) -> Sheet:
        """Open a sheet, as `excel_reader.open_workbook` does; an earlier one can't be read any more. Raises Refused."""
        told = self._ask(order="open", wanted=wanted, hidden=hidden)
        read = [0.0]
        hidden_columns: list[int] = []
        rows = self._rows(read, hidden_columns)
        return Sheet(told["sheet"], tuple(told["names"]), rows, lambda: read[0], lambda: hidden_columns)

    def _rows(self, read: list[float], hidden_columns: list[int]) -> Iterator[tuple[int, list[str]]]:
        self._order(order="more")
        while True:
            self._asked_ahead = False
            told = self._answer()
            if not told["end"]:
                # the child reads on while these are looked at
                self._order(order="more")
                self._asked_ahead = True
            read[0] = told["read"]
            hidden_columns[:] = told["hidden"]
            yield from told["rows"]
            if told["end"]:
                return

    def _ask(self, **order: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        if self._asked_ahead:
            self._asked_ahead = False
            self._answer()
        self._order(**order)
        return self._answer()

    def _order(self, **order: Any) -> None:  # noqa: ANN401 - JSON
        self._send(json.dumps(order).encode())

    def _send(self, data: bytes) -> None:
        try:
            _pipe(self._process.stdin).write(struct.pack(">I", len(data)) + data)
        except OSError:
            raise self._why_ended() from None

    def _answer(self) -> dict[str, Any]:
        """Wait for the answer to an order, and give the child the pieces of the file that it needs for it."""
        deadline = time.monotonic() + self._bounds.wait_s
        while True:
            told: dict[str, Any] = json.loads(self._message(deadline))
            if "need" not in told:
                break
            at, size = told["need"]
            self._stream.seek(at)
            self._send(self._stream.read(size))
        if "problem" in told:
            raise Refused(Problem.from_json(told["problem"]))
        if "no_memory" in told:
            raise Refused(_TOO_LARGE())
        return told

    def _message(self, deadline: float) -> bytes:
        size = struct.unpack(">I", self._bytes(4, deadline))[0]
        if size > _LONGEST_MESSAGE:
            self._end()
            raise Refused(_TOO_LARGE())
        return self._bytes(size, deadline)

    def _bytes(self, count: int, deadline: float) -> bytes:
        pipe = _pipe(self._process.stdout)
        pieces: list[bytes] = []
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while count:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    self._end()
                    raise Refused(_TOO_SLOW())
                piece = pipe.read(min(count, 1 << 20))
                if not piece:
                    raise self._why_ended()
                pieces.append(piece)
                count -= len(piece)
        return b"".join(pieces)

    def _why_ended(self) -> Refused:
        code = self._process.wait()
        self._end()
        if code in {-signal.SIGXCPU, -signal.SIGKILL}:
            return Refused(_TOO_SLOW())
        # expat and zlib can't always tell that there was no memory
        return Refused(BROKEN())


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # noqa: S101 - asked for
    return pipe


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        _pipe(pipe).close()
