"""名簿: an upload taken as a stream, how far it is, its outcome told.

Its columns: `columns`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, cast

from flask import Response, request, url_for
from sqlalchemy import func, select
from werkzeug.exceptions import RequestEntityTooLarge

from admin_views.campaigns import preview, status
from admin_views.campaigns.status import Confirmation
from admin_views.lists import next_step, row_actions
from app.campaigns import duplicates, lifecycle
from app.config import settings
from app.exports import status_file
from app.extensions import csrf, db
from app.intake.checking.checks import LEVEL_LABELS, Level
from app.intake.columns.campaign_needs import merge_names, questions_of
from app.intake.columns.sample_list import FORMS, Asked, sample_file, wanted_columns
from app.intake.lists import imports, kept_faults
from app.intake.reading.list_rows import column_letter
from app.models import Campaign, Import, ImportFault
from app.problems import Kind, Refused
from app.states.vocabulary import IMPORT, ImportState
from app.values.japan_time import TOKYO

_ROWS_SHOWN = 50
_KINDS_SHOWN = 20
# of the rows that were passed over
_IGNORED_READ, _RUNS_SHOWN = 1_000, 10
# bytes that stand around the file in the request
_FORM_BYTES = 100_000

_NO_FILE = Kind(
    "upload_file_missing",
    "ファイルが選ばれていません。名簿のファイルを選んでから「ファイルを取り込む」を押してください。",
)


def overview(campaign: Campaign) -> dict[str, object]:
    """Return what the page of all uploads shows."""
    uploads = db.session.scalars(
        select(Import).where(Import.campaign_id == campaign.id).order_by(Import.id.desc()).limit(50)
    ).all()
    return {
        "uploads": uploads,
        "state_words": IMPORT.words,
        "most_bytes": settings().upload_max_bytes,
        "most_rows": settings().import_max_rows,
        "columns": wanted_columns(asked_of(campaign)),
        "sample_forms": FORMS,
        **row_actions.excluded_rows(campaign),
    }


def sample_of(campaign: Campaign, form: str) -> Response:
    """Return a sample list of the campaign's own columns."""
    asked, today = asked_of(campaign), datetime.now(TOKYO).date()
    return status.download(
        lambda: sample_file(asked, form, today), f"{campaign.name}_名簿の見本.{form}", f"sample-{campaign.id}.{form}"
    )


def asked_of(campaign: Campaign) -> Asked:
    """Return what a campaign asks of its list."""
    return Asked(questions_of(campaign), merge_names(campaign, ()), campaign.payment_required)


def take_upload(campaign: Campaign, user_id: int) -> int:
    """Keep the file of this request; return the import's id. Raises Refused."""
    limit = settings().upload_max_bytes
    request.max_content_length = limit + _FORM_BYTES
    try:
        csrf.protect()
        file = request.files.get("file")
    except RequestEntityTooLarge:
        raise Refused(imports.FILE_TOO_LARGE(megabytes=limit // 1_000_000)) from None
    if file is None or not file.filename:
        raise Refused(_NO_FILE())
    return imports.store(campaign.id, file.filename, cast("BinaryIO", file.stream), user_id=user_id)


# --- progress ---


def progress(row: Import) -> dict[str, object]:
    """Return what the page of a running import shows."""
    return {"words": _progress_words(row), "percent": _percent(row), "live_url": _live_url(row)}


def _live_url(row: Import) -> str:
    return url_for("flow.list_progress", campaign_id=row.campaign_id, import_id=row.id)


def _percent(row: Import) -> int:
    return min(99, row.bytes_read * 100 // max(1, row.byte_count))


def is_busy(row: Import) -> bool:
    """Return whether a worker is at an upload: reading it through, or taking it in."""
    return row.state in {ImportState.QUEUED, ImportState.RUNNING} or (
        row.state == ImportState.MAPPING and row.hidden_rows is None
    )


def _progress_words(row: Import) -> str:
    if row.state == ImportState.MAPPING:
        return "ファイル全体を調べています（非表示の行、桁数の違う番号など）。まだ何も取り込んでいません。"
    if row.state == ImportState.QUEUED:
        return "順番を待っています。"
    return f"{row.rows_read:,}行まで読み取りました（{_percent(row)}%）。" if row.rows_read else "読み取りを始めました。"


def live(row: Import) -> dict[str, object]:
    """Return the answer to the page that asks again and again."""
    return {
        "done": not is_busy(row),
        "texts": {"progress": _progress_words(row)},
        "values": {"progress": _percent(row)},
    }


# --- outcome ---


@dataclass(frozen=True, slots=True)
class Finding:
    """The same thing found in many rows, told once: what to do about it."""

    level: str
    column: str
    message: str
    rows: int
    first_row: int
    code: str


@dataclass(frozen=True, slots=True)
class Spot:
    """One thing found in one cell.

    `cell` is its name in Excel, `text` what stands in it where that was kept.
    """

    level: str
    cell: str
    column: str
    text: str
    message: str


def outcome(row: Import) -> dict[str, object]:
    """Return what the page of a finished import shows."""
    rows = imports.found_rows(row.id, _ROWS_SHOWN)
    findings = _findings(row.id)
    return {
        "rows": [(found.sheet_row, _spots(row, found)) for found in rows],
        "rows_shown": _ROWS_SHOWN,
        "findings": findings,
        "wrong_column": _wrong_column(row, findings),
        "level_tones": {"error": "badge-red", "warning": "badge-amber", "ignored": ""},
        "level_words": {str(level): word for level, word in LEVEL_LABELS.items()},
        "encodings": status_file.FORMATS,
        "most_bytes": settings().upload_max_bytes,
        "state_words": IMPORT.words,
        "next": next_step.after(row.campaign, row) if row.state == ImportState.DONE else None,
        "notices": [*duplicates.same_files(row.campaign), *row.notices] if row.state == ImportState.DONE else [],
        "longest": preview.longest_of(row.campaign, row) if row.state == ImportState.DONE else None,
        "can_discard": row.state == ImportState.DONE and not lifecycle.content_locked(row.campaign),
        "ignored": _ignored(row.id),
        **row_actions.actions(row, rows),
        **row_actions.excluded_rows(row.campaign, row),
    }


def _ignored(import_id: int) -> dict[str, tuple[int, str]]:
    """Return for each reason (code) how many rows were passed over, and which."""
    mine = (ImportFault.import_id == import_id, ImportFault.level == str(Level.IGNORED))
    counted = db.session.execute(select(ImportFault.code, func.count()).where(*mine).group_by(ImportFault.code)).all()
    found = {}
    for code, count in counted:
        first = select(ImportFault.sheet_row).where(*mine, ImportFault.code == code)
        rows = db.session.scalars(first.order_by(ImportFault.sheet_row).limit(_IGNORED_READ)).all()
        found[code] = count, _row_words(rows, count)
    return found


def _row_words(rows: Sequence[int], count: int) -> str:
    """Name rows by their numbers, neighbours together: 8〜9行目、12行目; the first of many."""
    runs: list[list[int]] = []
    for row in rows:
        if runs and row == runs[-1][-1] + 1:
            runs[-1][1:] = [row]
        else:
            runs.append([row])
    words = "、".join("〜".join(f"{row:,}" for row in run) + "行目" for run in runs[:_RUNS_SHOWN])
    return words if len(runs) <= _RUNS_SHOWN and len(rows) == count else f"{words}など"


def _findings(import_id: int) -> list[Finding]:
    """Count what was found by kind, the most frequent errors first."""
    count = func.count()
    counted = db.session.execute(
        select(
            ImportFault.level,
            ImportFault.column_name,
            func.min(ImportFault.message),
            count,
            func.min(ImportFault.sheet_row),
            ImportFault.code,
        )
        .where(ImportFault.import_id == import_id, ImportFault.level != str(Level.IGNORED))
        .group_by(ImportFault.level, ImportFault.column_name, ImportFault.code)
        .order_by(ImportFault.level != str(Level.ERROR), count.desc())
        .limit(_KINDS_SHOWN)
    )
    return [
        Finding(level, column or "", _any_row(message), rows, first, code)
        for level, column, message, rows, first, code in counted
    ]


def _any_row(message: str) -> str:
    """Repeat for many rows what was said of one: another row's number in it is that one's."""
    return re.sub(r"(?<![0-9])[0-9]+行目と同じ", "前の行と同じ", message)


def _wrong_column(row: Import, findings: Sequence[Finding]) -> str:
    """Name the column of which most rows could not be read: it was probably mapped wrongly."""
    for item in findings:
        if item.code == kept_faults.CONTRADICTS.code:  # read well, and known from before
            continue
        if item.level == str(Level.ERROR) and item.column and item.rows > 1 and item.rows * 2 > row.rows_read:
            return item.column
    return ""


def _spots(row: Import, found: imports.FoundRow) -> list[Spot]:
    spots = []
    for fault in found.faults:
        place = row.header.index(fault.column) if fault.column in row.header else None
        cell = "" if place is None else f"{column_letter(place)}{found.sheet_row}"
        text = found.cells[place] if place is not None and place < len(found.cells) else ""
        spots.append(Spot(str(fault.level), cell, fault.column or "行全体", text, fault.problem.message_ja))
    return spots


def discard_question(campaign: Campaign, row: Import) -> Confirmation:
    """Ask before an import's people are taken back."""
    return Confirmation(
        title="取り込んだ名簿を取り消しますか",
        words=(
            f"「{row.filename}」から取り込んだ送信先（{row.rows_added:,}件）を、この配信から取り除きます。",
            "まだ送信していないので、相手には何も届きません。直したファイルをあとから取り込み直せます。",
            *row_actions.discard_words(campaign),
        ),
        button="この名簿を取り消す",
        url=url_for("flow.discard_list", campaign_id=row.campaign_id, import_id=row.id),
        back=url_for("flow.one_list", campaign_id=row.campaign_id, import_id=row.id),
    )
