"""A look through a whole upload, by a worker, before anything of it is taken; and what a clerk is told of it.

In: an upload that waits for its columns. Out: how many rows it hides, numbers of odd lengths and lost letters by
column, kept with the upload; sentences about the columns that a mapping uses. Can't happen here: a list that is taken
before its end was seen; a look that is kept for another way of reading.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, select, text, update
from sqlalchemy.exc import OperationalError

from app import leases, tenancy
from app.extensions import db
from app.intake.checking.rules import FREE_KINDS
from app.intake.checking.whole_list import Finding, FindingKind, WholeList
from app.intake.columns.campaign_needs import questions_of
from app.intake.columns.mapping import OUR_COLUMNS, ColumnMapping
from app.intake.lists import imports, upload_chunks
from app.models import Import
from app.problems import Refused
from app.states.transitions import move_import
from app.states.vocabulary import ImportState

_TELL_EVERY_S = 1.0
_LOOK_AGAIN_S = 0.05
_ROWS_AT_ONCE = 1_000
# a look gives a sign of life every second
_LEASE_S = 60.0


def look_through(import_id: int) -> None:
    """Read an upload to its end and keep what only the whole of it shows. Commits.

    An upload that can't be read to its end fails here, before anybody chose its columns.
    """
    with leases.taking(f"look:{import_id}", _LEASE_S) as lease:
        if lease is not None:  # else another worker is at it
            _look_through(import_id, lease)


def wait_for(import_id: int) -> None:
    """Look an upload through here, or wait for the worker that is at it."""
    looked = select(Import.state, Import.hidden_rows).where(Import.id == import_id)
    while True:
        look_through(import_id)
        state, hidden_rows = db.session.execute(looked).one()
        db.session.rollback()
        if state != ImportState.MAPPING or hidden_rows is not None:
            return
        time.sleep(_LOOK_AGAIN_S)


def _look_through(import_id: int, lease: leases.WorkLease) -> None:
    row = db.session.get_one(Import, import_id)
    if row.state != ImportState.MAPPING or row.hidden_rows is not None:
        db.session.rollback()
        return
    reading = row.sheet, row.header_row, row.encoding
    problem = ""
    found = WholeList(row.header)
    try:
        _read(row, found, lease)
    except upload_chunks.Removed:  # it was given up meanwhile
        return
    except Refused as refused:
        found, problem = WholeList(()), refused.message_ja
    except Exception as fault:
        if isinstance(fault, OperationalError | leases.Lost) or tenancy.gave_way(fault):
            raise  # PostgreSQL went away, or ended what was silent: the sweep brings the job back
        with tenancy.transaction() as connection:
            _keep(connection, import_id, reading, WholeList(()), imports.BROKE_OFF)
        raise
    with tenancy.transaction() as connection:
        leases.hold(connection, lease)
        _keep(connection, import_id, reading, found, problem)


def _read(row: Import, found: WholeList, lease: leases.WorkLease) -> None:
    import_id = row.id
    table = imports.table_of(row, whole=True)
    told = time.monotonic()
    for number, item in enumerate(table.rows):
        found.see(item)
        if number % _ROWS_AT_ONCE == 0 and time.monotonic() - told > _TELL_EVERY_S:
            told = time.monotonic()
            with tenancy.transaction() as connection:
                connection.execute(
                    text("UPDATE import SET bytes_read = byte_count * CAST(:read AS float) WHERE id = :id"),
                    {"read": table.read(), "id": import_id},
                )
                leases.hold(connection, lease)


def _keep(
    connection: Connection, import_id: int, reading: tuple[str, int, str], found: WholeList, problem: str
) -> None:
    """Keep what was found, where the upload still waits and is still read in the same way."""
    sheet, header_row, encoding = reading
    same = (
        Import.id == import_id,
        Import.state == ImportState.MAPPING,
        Import.sheet == sheet,
        Import.header_row == header_row,
        Import.encoding == encoding,
    )
    findings = [one.to_json() for one in found.findings()]
    keep = update(Import).where(*same).values(hidden_rows=found.hidden_rows, findings=findings, bytes_read=0)
    kept = connection.execute(keep.returning(Import.id)).scalar()
    if kept is not None and problem:
        move_import(connection, import_id, ImportState.FAILED, at=datetime.now(UTC), columns={"problem": problem})
        connection.execute(text("DELETE FROM import_chunk WHERE import_id = :id"), {"id": import_id})


@dataclass(frozen=True, slots=True)
class Remark:
    """One sentence about a column; `key` tells it from others, so that a form can say which of them it showed."""

    key: str
    words: str


def remarks(row: Import, mapping: ColumnMapping) -> list[Remark]:
    """Return what the whole of an upload shows of the columns that a mapping uses."""
    uses = _numbers_typed(row, mapping)
    spoken = set(row.header) - OUR_COLUMNS - {mapping.phone, mapping.amount, mapping.due_date}
    told = []
    for finding in map(Finding.from_json, row.findings):
        key = f"{finding.kind}:{row.header.index(finding.column)}"
        if finding.kind is FindingKind.ODD_LENGTH and finding.column in uses:
            told.append(Remark(key, _odd_words(finding, uses[finding.column])))
        elif finding.kind is FindingKind.LOST_LETTERS and finding.column in spoken:
            told.append(Remark(key, _lost_words(finding)))
    return told


def _numbers_typed(row: Import, mapping: ColumnMapping) -> dict[str, str]:
    """Return the columns of numbers that must have their whole length, each with what follows where one has not."""
    uses = {
        column: "このままだと本人が正しく答えられません。先頭の0が消えていないか、桁が欠けていないか確かめてください。"
        for question, column in zip(questions_of(row.campaign), mapping.answers, strict=False)
        if column is not None and question.kind in FREE_KINDS
    }
    if mapping.phone is not None:
        uses[mapping.phone] = "番号の桁が欠けていないか確かめてください。携帯電話番号として読めない行は取り込みません。"
    return uses


def _odd_words(finding: Finding, follows: str) -> str:
    return (
        f"「{finding.column}」の列：ほとんどの行は{finding.usual}桁ですが、桁数の違う番号が{finding.rows:,}行あります"
        f"（{_rows(finding)}）。{follows}"
    )


def _lost_words(finding: Finding) -> str:
    return (
        f"「{finding.column}」の列：前のシステムで失われた文字（「?」や「〓」）とみられるセルが{finding.rows:,}行あります"
        f"（{_rows(finding)}）。元の名簿で正しい文字を確かめてください。"
    )


def _rows(finding: Finding) -> str:
    named = "、".join(f"{row:,}行目" for row in finding.first)
    return named if len(finding.first) == finding.rows else f"{named}など"
