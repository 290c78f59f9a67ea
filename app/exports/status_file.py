"""The status of people as a file: three states, the time of every step, their lists' own columns.

In: whom it is about, the columns, a form. Out: pieces of a CSV or xlsx file. Can't happen here: memory that grows with
the list, a transaction that stays open while somebody downloads slowly, a cell that a spreadsheet runs, an answer.
"""

import codecs
import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import select, text

from app import tenancy
from app.campaigns import rendering
from app.campaigns.rendering import open_fields, open_phone
from app.exports import columns
from app.exports.columns import Column
from app.exports.selection import Selection
from app.intake.columns.mapping import OUR_COLUMNS
from app.models import Import, Recipient
from app.states.vocabulary import ImportState
from app.values.csv_injection import neutralise
from app.values.xlsx_writer import workbook

# the first is offered first: Excel makes dates and numbers of what stands in a CSV (0012, 3/4, 12E3)
FORMATS = {"xlsx": "Excel用（.xlsx）", "cp932": "CSV（Shift_JIS）", "utf-8-sig": "CSV（UTF-8・BOM付き）"}
CSV_IN_EXCEL = "CSVをExcelで開くと、0012や3/4のような番号が数や日付に変わります。Excelでは「Excel用」を使ってください。"

_PAGE_ROWS = 500
_REPLACED = "〓"

# CP932 has its own code points for these; without this a wave dash from a Mac would become 〓
_TO_CP932 = str.maketrans({"〜": "～", "−": "－", "‖": "∥", "—": "―", "¢": "￠", "£": "￡", "¬": "￢", "\u00a0": " "})

Pages = Iterator[list[list[str]]]


def _geta(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)  # noqa: S101 - registered for encoding alone
    return _REPLACED * (error.end - error.start), error.end


codecs.register_error("geta", _geta)


def status_file(
    selection: Selection,
    form: str,
    keys: Sequence[str] | None = None,
    *,
    told: Counter[str] | None = None,
    page_rows: int = _PAGE_ROWS,
) -> Iterator[bytes]:
    """Return the file piece by piece in one of `FORMATS`, times in Asia/Tokyo.

    The scope must be a tenant's.

    CSV has CRLF and formulas neutralised; what CP932 can't hold stands as 〓. `keys` names the columns
    (`app.exports.columns`). `told` counts the rows given so far, and the characters replaced.
    `page_rows` people are read in one transaction.
    """
    counted = told if told is not None else Counter[str]()
    own = own_columns(selection.campaign_id) if selection.campaign_id is not None else []
    usual = columns.USUAL if selection.campaign_id is not None else columns.USUAL_OF_ALL
    wanted = columns.resolve(usual if keys is None else keys, own)
    pages = _pages(selection, wanted, counted, page_rows)
    header = [column.word for column in wanted]
    if form == "xlsx":
        return workbook("状況", header, pages, numbers={column.word for column in wanted if column.number})
    return _csv(wanted, pages, _encoder(form, counted), bom=form == "utf-8-sig")


def _csv(wanted: Sequence[Column], pages: Pages, encoded: Callable[[str], bytes], *, bom: bool) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    risky = [place for place, column in enumerate(wanted) if not column.plain]
    writer.writerow([neutralise(column.word) for column in wanted])
    yield (codecs.BOM_UTF8 if bom else b"") + encoded(_taken(buffer))
    for page in pages:
        for cells in page:
            for place in risky:
                cells[place] = neutralise(cells[place])
        writer.writerows(page)
        yield encoded(_taken(buffer))


def _taken(buffer: io.StringIO) -> str:
    content = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return content


def _encoder(encoding: str, told: Counter[str]) -> Callable[[str], bytes]:
    def cp932(content: str) -> bytes:
        written = content.translate(_TO_CP932).encode("cp932", errors="geta")
        geta = _REPLACED.encode("cp932")
        if geta in written:
            # an upper bound is no lie here: a 〓 that the list holds itself is taken off
            told["replaced"] += written.decode("cp932").count(_REPLACED) - content.count(_REPLACED)
        return written

    return cp932 if encoding == "cp932" else str.encode


def count(selection: Selection) -> int:
    """Count the people of a file."""
    condition, values = selection.condition(tenant_id())
    with tenancy.transaction() as connection:
        statement = text(f"SELECT count(*) FROM recipient r WHERE {condition}")  # noqa: S608 - made by Selection
        return int(connection.execute(statement, values).scalar_one())


def count_up_to(selection: Selection, most: int) -> int:
    """Count the people of a file, no further than `most`."""
    condition, values = selection.condition(tenant_id())
    rows = f"SELECT FROM recipient r WHERE {condition} LIMIT :most"
    with tenancy.transaction() as connection:
        statement = text(f"SELECT count(*) FROM ({rows}) few")  # noqa: S608 - see above
        return int(connection.execute(statement, {**values, "most": most}).scalar_one())


def tenant_id() -> int:
    """Return the scope's tenant: the platform takes no files."""
    mine = tenancy.current().tenant_id
    assert mine is not None  # noqa: S101 - see above
    return mine


def _pages(selection: Selection, wanted: Sequence[Column], told: Counter[str], page_rows: int) -> Pages:
    condition, values = selection.condition(tenant_id())
    asked = ", ".join(column.sql for column in wanted)
    statement = text(
        "SELECT r.id, r.tenant_id, r.phone_sealed, r.fields_sealed"  # noqa: S608 - names and conditions are ours
        f"{', ' if asked else ''}{asked} FROM recipient r"
        f" WHERE {condition} AND r.id > :after ORDER BY r.id LIMIT {page_rows}"
    )
    phones = [place for place, column in enumerate(wanted) if column.key == columns.PHONE]
    own = [
        (place, column.key.removeprefix(columns.OWN))
        for place, column in enumerate(wanted)
        if column.key.startswith(columns.OWN)
    ]
    said = [(place, column.said) for place, column in enumerate(wanted) if column.said is not None]
    after = 0
    while True:
        with tenancy.transaction() as connection:
            # an index gives the order; without statistics the planner would read and sort all that is left each time
            connection.execute(text("SELECT set_config('enable_sort', 'off', true)"))
            page = connection.execute(statement, {**values, "after": after}).all()
        if not page:
            return
        told["rows"] += len(page)
        rows = [_cells(row, phones, own) for row in page]
        for place, words in said:
            for cells in rows:
                cells[place] = words(cells[place])
        yield rows
        after = page[-1][0]


def _cells(row: Any, phones: list[int], own: list[tuple[int, str]]) -> list[str]:  # noqa: ANN401 - a row of _pages
    cells: list[str]
    recipient_id, tenant_id, phone, sealed, *cells = row
    for place in phones:
        cells[place] = _hyphenated(open_phone(tenant_id, recipient_id, phone))
    if own:
        fields = open_fields(tenant_id, recipient_id, sealed)
        for place, name in own:
            cells[place] = fields.get(name, "")
    return cells


def own_columns(campaign_id: int) -> list[str]:
    """List the columns that the campaign's lists brought and that are kept: those of its uploads, and its first row's.

    No row but the first is read: a million of them must not delay the first byte.
    """
    with tenancy.transaction() as connection:
        uploads = connection.execute(
            select(Import.header, Import.mapping)
            .where(Import.campaign_id == campaign_id, Import.state == ImportState.DONE)
            .order_by(Import.id)
        ).all()
        first = connection.execute(
            select(Recipient.tenant_id, Recipient.id, Recipient.fields_sealed)
            .where(Recipient.campaign_id == campaign_id)
            .order_by(Recipient.id)
            .limit(1)
        ).one_or_none()
    kept = dict.fromkeys(rendering.own_columns(open_fields(*first))) if first else {}
    names: dict[str, None] = dict(kept)
    for header, mapping in uploads:
        answers = set(mapping["answers"]) - kept.keys()
        names |= dict.fromkeys(name for name in header if name not in {mapping["phone"], *OUR_COLUMNS, *answers})
    return list(names)


def _hyphenated(e164: str) -> str:
    """Return 090-1234-5678: without hyphens Excel would drop the zero."""
    digits = "0" + e164.removeprefix("+81")
    return f"{digits[:3]}-{digits[3:7]}-{digits[7:]}"
