"""Rejected rows as a file to correct and upload again.

In: the upload's header and its rejected rows. Out: the bytes of a CSV file whose first column tells what is wrong.
Can't happen here: a cell that Excel runs, a letter the file's encoding can't hold, a row that comes back changed.
"""

import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet

from app.intake.checking.checks import Rejected
from app.intake.columns.mapping import OUR_COLUMNS, REASON_COLUMN, ROW_COLUMN
from app.values.csv_injection import neutralise
from app.values.xlsx_writer import workbook

_PAGE_ROWS = 500


def rejects_xlsx(header: Sequence[str], rejected: Iterable[Rejected]) -> Iterator[bytes]:
    """Return a workbook piece by piece: reason, row in the uploaded file, then its cells, all of them text."""
    kept = [place for place, name in enumerate(header) if name not in OUR_COLUMNS]
    # the column beyond the headline tells what is wrong with a row
    lines = (
        [_reasons(row), str(row.sheet_row), *_cells_at(kept, row.cells), *row.cells[len(header) :]] for row in rejected
    )
    pages = iter(lambda: list(itertools.islice(lines, _PAGE_ROWS)), [])
    yield from workbook("エラーの行", [REASON_COLUMN, ROW_COLUMN, *(header[place] for place in kept)], pages)


def _cells_at(places: Sequence[int], cells: Sequence[str]) -> list[str]:
    return [cells[place] if place < len(cells) else "" for place in places]


def rejects_csv(header: Sequence[str], rejected: Iterable[Rejected], encoding: str) -> Iterator[bytes]:
    """Return the file piece by piece. `encoding` is the upload's (`Table.encoding`).

    A CP932 upload gets CP932 back, any other UTF-8 with a mark: Excel opens both, and each holds all its letters.
    """
    if encoding != "cp932" or not _fits_cp932(header):
        encoding = "utf-8"
    if encoding == "utf-8":
        yield b"\xef\xbb\xbf"
    ours = {place for place, name in enumerate(header) if name in OUR_COLUMNS}
    yield _line([REASON_COLUMN, *_without(ours, header)]).encode(encoding)
    for row in rejected:
        yield _line([_reasons(row), *_without(ours, row.cells)]).encode(encoding)


def _fits_cp932(header: Sequence[str]) -> bool:
    """Header names are NFKC, which takes a few of CP932's signs (゛, ￣) out of it."""
    try:
        "".join(header).encode("cp932")
    except UnicodeEncodeError:
        return False
    return True


def _reasons(row: Rejected) -> str:
    return " / ".join(
        f"{fault.column}: {fault.problem}" if fault.column else fault.problem.message_ja for fault in row.faults
    )


def _without(positions: AbstractSet[int], cells: Sequence[str]) -> list[str]:
    return [cell for index, cell in enumerate(cells) if index not in positions]


def _line(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([neutralise(cell) for cell in cells])
    return line.getvalue()
