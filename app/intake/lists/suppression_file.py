"""A file of numbers that a company sends nothing to: its rows read and checked, the good ones put on the list together.

In: a list as CSV or an Excel workbook, with a column of numbers and perhaps of reasons, ends and notes. Out: how many
came onto the list, and each row that did not, with what to do about it. Can't happen here: half a file taken because
the rest can't be read; an entry made shorter than it stands; a number kept.
"""

import datetime as dt
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO

from psycopg import Connection as DbapiConnection
from sqlalchemy import Connection, text

from app import audit, tenancy
from app.extensions import vault
from app.intake.reading.list_rows import LIMITS, Limits, Row, is_hidden
from app.intake.reading.reader import read_table
from app.problems import Kind, Problem, Refused
from app.suppression import numbers
from app.suppression.numbers import Terms
from app.values.cell_text import MAY_HIDE, cleaned
from app.values.column_names import canonical, names_phone
from app.values.csv_injection import UNWRITABLE, UNWRITABLE_SIGNS, restore
from app.values.japan_time import TOKYO
from app.values.phones import read_phone
from app.values.suppression_reasons import REASON_WORDS

_BATCH_ROWS = 5_000
# the names of the columns that say more than the number
_REASON, _UNTIL, _NOTE = ("理由", "登録理由", "停止理由"), ("期限", "終了日", "停止期限"), ("備考", "メモ")

# signs that few rows hold: what is cleaned away, restored or refused
_RARE = re.compile(f"[{MAY_HIDE}{UNWRITABLE_SIGNS}'=]")

_NO_PHONES = Kind(
    "suppression_file_no_column",
    "電話番号の列が見つかりません。いちばん上の行に列の名前を入れ、番号の列を「電話番号」としてください。",
)
_TWO_PHONES = Kind(
    "suppression_file_two_columns",
    "電話番号の列が2つ以上あります（{names}）。登録する番号の列だけを残してください。",
)
_ROW_REASON = Kind("suppression_file_reason", "理由が読み取れません。{words}のどれかを入力するか、空にしてください。")
_HIDDEN = Kind(
    "suppression_file_hidden", "非表示の行なので読んでいません。登録するときは、表示してから選び直してください。"
)
_UNREADABLE = Kind("suppression_file_unwritable", "表示できない文字が入っています。入力し直してください。")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was not taken: its number in the sheet, the column, and why."""

    sheet_row: int
    column: str
    problem: Problem


@dataclass(slots=True)
class Taken:
    """The outcome of a file: `known` were on the list already or stand in it twice; `passed` are columns not read."""

    rows: int = 0
    added: int = 0
    known: int = 0
    bad: list[BadRow] = field(default_factory=list)
    passed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Columns:
    phone: int
    reason: int | None
    until: int | None
    note: int | None


def take(stream: BinaryIO, terms: Terms, *, actor: str, limits: Limits = LIMITS) -> Taken:
    """Put a file's numbers on the list, on `terms` where a row says none of its own. Commits. Raises Refused.

    The file is taken whole but for the rows it tells of; where it can't be read to its end, nothing of it is.
    """
    table = read_table(stream, limits)
    columns = _columns_of(table.header)
    taken = Taken()
    chosen = {columns.phone, columns.reason, columns.until, columns.note}
    taken.passed = tuple(name for place, name in enumerate(table.header) if place not in chosen)
    tenant_id = tenancy.current().tenant_id
    assert tenant_id is not None  # noqa: S101 - a list is a company's own
    check = _checker(table.header, columns, terms, tenant_id)
    with tenancy.transaction() as connection:
        connection.execute(
            text("""
                CREATE TEMPORARY TABLE arriving_number
                (phone_index bytea, reason text, until timestamptz, note_sealed bytea) ON COMMIT DROP
            """)
        )
        good = 0
        while batch := list(itertools.islice(table.rows, _BATCH_ROWS)):
            good += _copy(connection, batch, check, taken)
        if good:
            taken.added = _merge(connection, tenant_id, actor)
        taken.known = good - taken.added
        told = {"rows": taken.rows, "added": taken.added, "rejected": len(taken.bad)}
        audit.record(connection, actor=actor, act="import_suppressions", target="", detail=told)
    return taken


def _columns_of(header: Sequence[str]) -> _Columns:
    names = [canonical(name) for name in header]
    phones = [place for place, name in enumerate(names) if names_phone(name)]
    if not phones and len(header) == 1:
        phones = [0]
    if not phones:
        raise Refused(_NO_PHONES())
    if len(phones) > 1:
        raise Refused(_TWO_PHONES(names="、".join(header[place] for place in phones)))

    def place_of(wanted: Sequence[str]) -> int | None:
        return next((place for place, name in enumerate(header) if name in wanted), None)

    return _Columns(phones[0], place_of(_REASON), place_of(_UNTIL), place_of(_NOTE))


_Number = tuple[bytes, str, datetime | None, bytes | None]
_Check = Callable[[Row, list[BadRow]], _Number | None]


def _checker(header: Sequence[str], columns: _Columns, terms: Terms, tenant_id: int) -> _Check:
    """Return what makes one row an entry; where it can't, it adds why."""
    today = datetime.now(TOKYO).date()
    ends: dict[dt.date | None, datetime | None] = {}

    def check(row: Row, bad: list[BadRow]) -> _Number | None:
        sheet_row, cells = row
        place = columns.phone
        try:
            if _RARE.search("\x1f".join(cells)):
                cells = [restore(cell) for cell in cleaned(cells)]
                if UNWRITABLE.search("\x1f".join(cells)):
                    raise Refused(_UNREADABLE())
            index = vault.phone_index(tenant_id, read_phone(_cell(cells, columns.phone))[0])
            reason, last_day, note = terms.reason, terms.last_day, terms.note
            if said := _cell(cells, columns.reason):
                place = columns.reason or 0
                reason = _reason(said)
            if said := _cell(cells, columns.until):
                place = columns.until or 0
                last_day = numbers.read_last_day(said, today)
            if said := _cell(cells, columns.note):
                place = columns.note or 0
                note = numbers.read_note(said)
        except Refused as refused:
            bad.append(BadRow(sheet_row, header[place], refused.problem))
            return None
        if last_day not in ends:
            ends[last_day] = numbers.ends_at(last_day)
        return index, str(reason), ends[last_day], numbers.seal_note(tenant_id, index, note) if note else None

    return check


def _cell(cells: Sequence[str], place: int | None) -> str:
    return "" if place is None or place >= len(cells) else cells[place].strip()


def _reason(said: str) -> Any:  # noqa: ANN401 - a SuppressionReason
    try:
        return numbers.read_reason(said)
    except Refused:
        raise Refused(_ROW_REASON(words="・".join(REASON_WORDS.values()))) from None


def _copy(connection: Connection, batch: Sequence[Row], check: _Check, taken: Taken) -> int:
    """Put a batch's good rows into the temporary table; return how many."""
    good: list[_Number] = []
    for row in batch:
        if is_hidden(row[1]):
            taken.rows += 1
            taken.bad.append(BadRow(row[0], "行全体", _HIDDEN()))
        elif "".join(row[1]).strip():  # an empty row is no row
            taken.rows += 1
            if (number := check(row, taken.bad)) is not None:
                good.append(number)
    raw = connection.connection.driver_connection
    assert isinstance(raw, DbapiConnection)  # noqa: S101 - the product speaks psycopg
    with raw.cursor() as cursor, cursor.copy("COPY arriving_number FROM STDIN WITH (FORMAT BINARY)") as stream:
        stream.set_types(["bytea", "text", "timestamptz", "bytea"])
        for number in good:
            stream.write_row(number)
    return len(good)


def _merge(connection: Connection, tenant_id: int, actor: str) -> int:
    """Put the numbers on the list, each by its entry that lasts longest; return how many are new or last longer."""
    return connection.execute(
        text("""
            INSERT INTO suppression AS s (tenant_id, phone_index, reason, until, note_sealed, added_by)
            SELECT DISTINCT ON (phone_index) :tenant_id, phone_index, reason, until, note_sealed, :actor
            FROM arriving_number ORDER BY phone_index, until DESC NULLS FIRST
            ON CONFLICT (tenant_id, phone_index) DO UPDATE SET
                reason = excluded.reason, until = excluded.until, added_by = excluded.added_by,
                note_sealed = coalesce(excluded.note_sealed, s.note_sealed),
                since = CASE WHEN s.until <= now() THEN now() ELSE s.since END
            WHERE s.until IS NOT NULL AND coalesce(excluded.until, 'infinity') > s.until
        """),
        {"tenant_id": tenant_id, "actor": actor},
    ).rowcount
