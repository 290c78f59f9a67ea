"""Rejected rows as a file to correct and upload again.

In: the upload's header and its rejected rows. Out: the bytes of a CSV file whose first column tells what is wrong. What
can't happen here: a cell that Excel runs, a letter the file's encoding can't hold, a row that comes back changed.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from app.intake.checks import Rejected
from app.intake.mapping import REASON_COLUMN
from app.tracking.cells import neutralise


def rejects_csv(header: Sequence[str], rejected: Iterable[Rejected], encoding: str) -> Iterator[bytes]:
    """Give the file piece by piece. `encoding` is the upload's (`Table.encoding`).

    A CP932 upload gets CP932 back, any other UTF-8 with a mark: Excel opens both, and each holds all its letters.
    """
    if encoding != "cp932" or not _fits_cp932(header):
        encoding = "utf-8"
    if encoding == "utf-8":
        yield b"\xef\xbb\xbf"
    reason = header.index(REASON_COLUMN) if REASON_COLUMN in header else None
    yield _line([REASON_COLUMN, *_without(reason, header)]).encode(encoding)
    for row in rejected:
        yield _line([_reasons(row), *_without(reason, row.cells)]).encode(encoding)


def _fits_cp932(header: Sequence[str]) -> bool:
    """Header names are NFKC, which takes a few of CP932's signs (゛, ￣) out of it."""
    try:
        "".join(header).encode("cp932")
    except UnicodeEncodeError:
        return False
    return True


def _reasons(row: Rejected) -> str:
    return " / ".join(
        f"{fault.column}: {fault.message_ja}" if fault.column else fault.message_ja for fault in row.faults
    )


def _without(position: int | None, cells: Sequence[str]) -> list[str]:
    return [cell for index, cell in enumerate(cells) if index != position]


def _line(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([neutralise(cell) for cell in cells])
    return line.getvalue()
