"""Keep what was found in a list's rows; the rows that were kept out are sealed.

In: checked rows, and the recipients that some of them became. Out: rows of `import_fault`, in the caller's transaction.
Can't happen here: a row that is kept out and told of by nothing.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sqlalchemy import Connection, text

from app.extensions import vault
from app.intake.checking.checks import CheckedRow, Fault, Level, Rejected, Skipped
from app.intake.lists.load import Target, draw_ids
from app.problems import Kind
from app.values.suppression_reasons import REASON_WORDS, SuppressionReason
from app.vault import Place

CONTRADICTS = Kind(
    "contradicts",
    "この番号の送信先は、別の内容ですでに取り込まれています。同じ人の新しい内容なら「置き換える」を選び、別の人なら"
    "番号を直してください。",
)
_EXCLUDED = Kind(
    "excluded",
    "前に対象外にしたか、置き換えた送信先の行なので、加えていません。送るときは、名簿の画面の「対象外にした送信先」から"
    "戻してください。",
)

_SUPPRESSED = Kind(
    "row_suppressed",
    "「送信しない番号」に登録されている番号です（{reason}）。取り込みますが、この方には送りません。送ってよいときは、"
    "「送信しない番号」の画面で登録を終えてください。",
)


def write(
    connection: Connection,
    target: Target,
    outcomes: Iterable[CheckedRow | Rejected | Skipped],
    became: Mapping[int, int],
) -> None:
    """Keep what was found, and the rejected rows themselves, sealed, with their first error.

    `became` are the recipients' ids by sheet row (`ids_of`).
    """
    _write(connection, target, [pair for outcome in outcomes for pair in _with_cells(outcome)], became)


def write_more(connection: Connection, target: Target, faults: Iterable[Fault]) -> int:
    """Keep what only the whole list shows of rows that were taken; return how many."""
    found: list[tuple[Fault, None]] = [(fault, None) for fault in faults]
    if found:
        rows = connection.execute(
            text("""
                SELECT sheet_row, id FROM recipient
                WHERE campaign_id = :campaign_id AND import_id = :import_id AND sheet_row = ANY(:rows)
            """),
            {
                "campaign_id": target.campaign_id,
                "import_id": target.import_id,
                "rows": sorted({fault.sheet_row for fault, _ in found}),
            },
        )
        _write(connection, target, found, {row.sheet_row: row.id for row in rows})
    return len(found)


def _write(
    connection: Connection,
    target: Target,
    faults: Sequence[tuple[Fault, Sequence[str] | None]],
    became: Mapping[int, int],
) -> None:
    if not faults:
        return
    tenant_id = target.tenant_id
    ids = draw_ids(connection, "import_fault", len(faults))
    connection.execute(
        text("""
            INSERT INTO import_fault
                (id, tenant_id, import_id, sheet_row, column_name, level, code, message, row_sealed, recipient_id)
            VALUES (
                :id, :tenant_id, :import_id, :sheet_row, :column_name, :level, :code, :message, :row_sealed,
                :recipient_id
            )
        """),
        [
            {
                "id": fault_id,
                "tenant_id": tenant_id,
                "import_id": target.import_id,
                "sheet_row": fault.sheet_row,
                "column_name": fault.column,
                "level": str(fault.level),
                "code": fault.problem.code,
                "message": fault.problem.message_ja,
                "row_sealed": None if cells is None else _seal_row(tenant_id, fault_id, cells),
                "recipient_id": became.get(fault.sheet_row) if fault.level == Level.WARNING else None,
            }
            for fault_id, (fault, cells) in zip(ids, faults, strict=True)
        ],
    )


def _with_cells(outcome: CheckedRow | Rejected | Skipped) -> Iterator[tuple[Fault, Sequence[str] | None]]:
    cells = outcome.cells if isinstance(outcome, Rejected) else None
    for fault in outcome.faults:
        yield fault, cells if fault.level == Level.ERROR else None
        if fault.level == Level.ERROR:
            cells = None  # with the first error alone


def contradiction(sheet_row: int, column: str | None) -> Fault:
    """Report that a row's reference stands there already with another content: a person decides which is right."""
    return Fault(sheet_row, column, Level.ERROR, CONTRADICTS())


def left_out(sheet_row: int) -> Fault:
    """Return that a row was left out before: nobody brings it back by uploading it again."""
    return Fault(sheet_row, None, Level.IGNORED, _EXCLUDED())


def suppressed(sheet_row: int, column: str | None, reason: str) -> Fault:
    """Return that a row's number is one that the company sends nothing to: it is taken, and gets no SMS."""
    return Fault(sheet_row, column, Level.WARNING, _SUPPRESSED(reason=REASON_WORDS[SuppressionReason(reason)]))


def row_place(tenant_id: int, fault_id: int) -> Place:
    """Return where a rejected row is sealed."""
    return Place(tenant_id, "import_fault", "row_sealed", fault_id)


def _seal_row(tenant_id: int, fault_id: int, cells: Sequence[str]) -> bytes:
    return vault.seal(json.dumps(cells, ensure_ascii=False), row_place(tenant_id, fault_id))
