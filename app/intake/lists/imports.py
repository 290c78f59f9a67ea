"""Keep uploads: stored, their columns mapped, queued, told of, taken back.

`app.intake.lists.import_run` runs them.
"""

import itertools
import json
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import BinaryIO

from sqlalchemy import Connection, Select, func, select, text

from app import audit, limits, queues
from app.campaigns import duplicates, lifecycle
from app.config import settings
from app.extensions import db, vault
from app.intake.checking.checks import Fault, Level, Rejected
from app.intake.checking.rejects import rejects_csv, rejects_xlsx
from app.intake.columns.campaign_needs import questions_of
from app.intake.columns.mapping import ColumnMapping
from app.intake.columns.proposals import asked, guess, problems
from app.intake.lists import kept_faults, upload_chunks
from app.intake.reading.encodings import encodings_possible
from app.intake.reading.list_rows import Limits
from app.intake.reading.reader import Choice, Misread, Table, read_table
from app.models import Campaign, Import, ImportFault
from app.problems import Kind, Problem, Refused
from app.states import locks
from app.states.transitions import move_import
from app.states.vocabulary import ImportState
from app.values.answers import QuestionKind
from app.values.card_numbers import mask_card_numbers
from app.values.csv_injection import UNWRITABLE

BROKE_OFF = (
    "取り込みの途中で問題が起きたため、1件も取り込んでいません。もう一度アップロードしてください。"
    "繰り返す場合は運営担当者にお問い合わせください。"
)
FILE_TOO_LARGE = Kind(
    "upload_too_large", "ファイルが大きすぎます。{megabytes:,}MBまでに分けてからアップロードしてください。"
)
_LONG_NAME = Kind(
    "upload_name_too_long",
    "ファイル名が長すぎます。{most}文字以内の名前に変えてからアップロードしてください。",
)
_READS_AS_NO_LIST = Kind("reading_unfit", "選んだ読み方では取り込めません。{why}読み方は元のままです。")
_READING_NOT_OFFERED = Kind(
    "reading_not_offered",
    "この読み方はできません。画面を開き直して、見出しの行やシートを選び直してください。",
)
_STARTED = Kind("import_started", "この名簿の取り込みはすでに始まっています。")
_WITHOUT_HEADLINE = Kind(
    "import_without_headline", "{why}「読み方を変える」で、シートか見出しの行を選び直してください。"
)
_BEING_COUNTED = Kind(
    "import_being_counted",
    "ファイル全体を調べています。数秒待ってから、もう一度「この列で取り込む」を押してください。",
)
_QUESTIONS_CHANGED = Kind(
    "import_questions_changed",
    "設問が変わりました。列の確認をもう一度開いて、設問ごとの列を選び直してください。",
)
_NOT_DONE = Kind("discard_not_done", "取り込みが完了した名簿だけを取り消せます。")


def store(campaign_id: int, filename: str, stream: BinaryIO, *, user_id: int) -> int:
    """Keep an uploaded file, sealed, and read its header; return the import's id.

    Raises Refused. Commits.
    """
    campaign = db.session.get_one(Campaign, campaign_id)
    _check_open(campaign)
    if len(filename) > limits.FILE_NAME:
        raise Refused(_LONG_NAME(most=limits.FILE_NAME))
    tenant_id = campaign.tenant_id
    row = Import(
        tenant_id=tenant_id,
        campaign_id=campaign_id,
        filename=mask_card_numbers(UNWRITABLE.sub("", filename)) or "名簿.csv",
        content_digest=b"",
        created_by=user_id,
    )
    db.session.add(row)
    db.session.flush()
    limit = settings().upload_max_bytes
    digest = sha256()
    size = position = 0
    while piece := _read_piece(stream):
        size += len(piece)
        if size > limit:
            db.session.rollback()
            raise Refused(FILE_TOO_LARGE(megabytes=limit // 1_000_000))
        digest.update(piece)
        upload_chunks.write(tenant_id, row.id, position, piece)
        position += 1
    row.byte_count = size
    row.content_digest = vault.content_digest(tenant_id, digest.digest())
    # the reader opens the pieces in transactions of its own: they must be there
    db.session.commit()
    try:
        _keep_reading(row)
    except Refused:
        db.session.delete(row)
        db.session.commit()
        raise
    import_id = row.id
    db.session.commit()
    _order_look(tenant_id, import_id)
    return import_id


def _keep_reading(row: Import) -> None:
    """Read an upload's headline; where another sheet or row may do, it waits for that choice. Raises Refused."""
    try:
        _keep_header(row, table_of(row))
    except Misread as bad:
        if not bad.has_way:
            raise
        _keep_unread(row, bad)


def _keep_header(row: Import, table: Table) -> None:
    """Propose what an upload's columns are."""
    row.header, row.encoding, row.sheet = list(table.header), table.encoding, table.sheet
    row.header_row, row.problem = table.header_row, ""
    row.mapping = guess(row).to_json()
    row.hidden_rows, row.findings = None, []


def _keep_unread(row: Import, bad: Misread) -> None:
    """Keep an upload without columns until somebody chooses how it is read; nothing out of it stands in plain."""
    row.header, row.encoding, row.sheet = [], bad.encoding, bad.sheet
    row.header_row, row.problem = 0, bad.message_ja
    row.mapping, row.hidden_rows, row.findings = None, 0, []


def _order_look(tenant_id: int, import_id: int) -> None:
    """Have a worker read an upload to its end: the web process reads its first rows alone."""
    if db.session.get_one(Import, import_id).hidden_rows is None:
        queues.enqueue("jobs.intake.look_through", tenant_id, import_id)


def choose_reading(import_id: int, choice: Choice) -> None:
    """Read an upload otherwise: another sheet, headline or encoding; what is empty stays. Raises Refused. Commits.

    Another sheet is kept also where its headline isn't found: it is chosen among that sheet's rows.
    """
    row = db.session.get_one(Import, import_id)
    if choice.sheet and choice.sheet != row.sheet:
        choice = replace(choice, header_row=0)  # each sheet has its own
    else:
        choice = replace(choice, header_row=choice.header_row or row.header_row)
    choice = replace(choice, sheet=choice.sheet or row.sheet, encoding=choice.encoding or row.encoding)
    unread: Misread | None = None
    try:
        table = table_of(row, choice=choice) if row.state == ImportState.MAPPING and _is_possible(row, choice) else None
    except Refused as refused:
        row = db.session.get_one(Import, import_id)
        table, unread = None, refused if isinstance(refused, Misread) else None
        if unread is None or (row.header and choice.sheet == row.sheet):
            raise Refused(_READS_AS_NO_LIST(why=refused.message_ja, cause=refused.problem.code)) from None
    row = locks.locked_import(import_id)
    if row.state != ImportState.MAPPING or (table is None and unread is None):
        raise Refused(_READING_NOT_OFFERED())
    if unread is not None:
        _keep_unread(row, unread)
    elif table is not None:
        _keep_header(row, table)
    tenant_id = row.tenant_id
    db.session.commit()
    _order_look(tenant_id, import_id)


def _is_possible(row: Import, choice: Choice) -> bool:
    """Return whether the choice is among those that the page offers."""
    stored = row.tenant_id, row.id, row.byte_count, row.encoding
    found = as_opened(row)
    if choice.sheet != found.sheet and choice.sheet not in found.sheets:
        return False
    encodings = (
        [stored[3]] if stored[3] == "xlsx" else encodings_possible(upload_chunks.open_file(*stored[:3]), stored[3])
    )
    return choice.encoding in encodings


def as_opened(row: Import) -> Table | Misread:
    """Open an upload as it was read before, also where that gave no list.

    Raises Refused.
    """
    try:
        return table_of(row)
    except Misread as bad:
        return bad


def _read_piece(stream: BinaryIO) -> bytes:
    parts = []
    wanted = upload_chunks.CHUNK_BYTES
    while wanted and (part := stream.read(wanted)):
        parts.append(part)
        wanted -= len(part)
    return b"".join(parts)


def start(
    import_id: int,
    mapping: ColumnMapping,
    *,
    take_hidden: bool = False,
    variants_alike: Container[int] | None = None,
) -> None:
    """Queue an import with its mapping. Raises Refused. Commits.

    With `take_hidden`, the rows that a workbook hides are taken too. `variants_alike` are the places of the questions
    that take variants of a letter for alike from now on; None leaves them as they are.
    """
    # first the campaign: whoever changes its questions holds its lock, and looks for lists that are on their way in
    campaign = locks.locked_campaign(db.session.get_one(Import, import_id).campaign_id)
    row = locks.locked_import(import_id)
    _check_open(campaign)
    if row.state != ImportState.MAPPING:
        raise Refused(_STARTED())
    if not row.header:
        raise Refused(_WITHOUT_HEADLINE(why=row.problem))
    if row.hidden_rows is None:
        raise Refused(_BEING_COUNTED())
    if len(mapping.answers) != len(campaign.questions):
        raise Refused(_QUESTIONS_CHANGED())
    if mapping.asked and mapping.asked != asked(questions_of(campaign)):
        raise Refused(_QUESTIONS_CHANGED())
    if found := problems(row, mapping):
        raise Refused(*found)
    if variants_alike is not None:
        _keep_variants(campaign, variants_alike)
    row.mapping = replace(mapping, asked=asked(questions_of(campaign))).to_json()
    row.take_hidden = take_hidden
    tenant_id = row.tenant_id
    move_import(db.session, import_id, ImportState.QUEUED, at=datetime.now(UTC))
    db.session.commit()
    queues.enqueue("jobs.intake.run_import", tenant_id, import_id)


def _keep_variants(campaign: Campaign, alike: Container[int]) -> None:
    """Keep with each question whether variants are alike.

    A choice that lists were digested by isn't taken back.
    """
    locked = lifecycle.questions_locked(campaign)
    for place, question in enumerate(campaign.questions):
        if question.kind == QuestionKind.TEXT:
            question.variants_alike = place in alike or (locked and question.variants_alike)


def cancel(import_id: int) -> bool:
    """Abandon an import that is not over: a running one stops within seconds and leaves nothing. Commits."""
    not_over = [ImportState.MAPPING, ImportState.QUEUED, ImportState.RUNNING]
    stopped = move_import(db.session, import_id, ImportState.CANCELLED, at=datetime.now(UTC), sources=not_over)
    upload_chunks.remove(import_id)
    db.session.commit()
    return stopped


def discard(import_id: int, *, user_id: int) -> int:
    """Take an import back: its recipients go while they are drafts.

    Returns their number. Raises Refused. Commits.
    """
    row = db.session.get_one(Import, import_id)
    campaign = locks.locked_campaign(row.campaign_id)
    _check_open(campaign)
    if row.state != ImportState.DONE:
        db.session.rollback()
        raise Refused(_NOT_DONE())
    removed: int = db.session.execute(
        text("DELETE FROM recipient WHERE campaign_id = :campaign AND import_id = :id AND sms_state = 'draft'"),
        {"campaign": campaign.id, "id": import_id},
    ).rowcount  # type: ignore[attr-defined]
    for table in ("import_fault", "excluded_recipient"):
        db.session.execute(text(f"DELETE FROM {table} WHERE import_id = :id"), {"id": import_id})  # noqa: S608 - above
    move_import(db.session, import_id, ImportState.CANCELLED, at=datetime.now(UTC), sources=[ImportState.DONE])
    duplicates.recount_same_number(db.session, campaign.id)
    lifecycle.touch(campaign)
    audit.record(
        db.session, actor=f"user:{user_id}", act="discard", target=f"import:{import_id}", detail={"people": removed}
    )
    db.session.commit()
    return removed


@dataclass(frozen=True, slots=True)
class FoundRow:
    """A sheet row with what was found in it; `cells` are there where it was kept out, `recipient_id` where taken."""

    sheet_row: int
    faults: tuple[Fault, ...]
    cells: tuple[str, ...] = field(default=(), repr=False)
    recipient_id: int | None = None


def found_rows(import_id: int, limit: int = 50) -> list[FoundRow]:
    """Return the first rows in which something was found, those that were kept out before the rest."""
    harmless = func.bool_and(ImportFault.level != "error")
    chosen = db.session.scalars(
        select(ImportFault.sheet_row)
        .where(ImportFault.import_id == import_id)
        .group_by(ImportFault.sheet_row)
        .order_by(harmless, ImportFault.sheet_row)
        .limit(limit)
    ).all()
    found = _by_row(select(ImportFault).where(ImportFault.import_id == import_id, ImportFault.sheet_row.in_(chosen)))
    by_row = {item.sheet_row: item for item in found}
    return [by_row[sheet_row] for sheet_row in chosen]


def kept_out(import_id: int, sheet_rows: Sequence[int]) -> list[FoundRow]:
    """Return those of an import's rows that were kept out, each with its cells; corrected ones are none any more."""
    mine = select(ImportFault).where(ImportFault.import_id == import_id, ImportFault.sheet_row.in_(sheet_rows))
    return [row for row in _by_row(mine) if any(fault.level == Level.ERROR for fault in row.faults)]


def rejects(import_id: int, form: str) -> Iterator[bytes]:
    """Return the rejected rows as a file with a column of reasons, to correct and upload again.

    `form` is xlsx, or the encoding of a CSV file.
    """
    row = db.session.get_one(Import, import_id)
    bad = select(ImportFault).where(ImportFault.import_id == import_id, ImportFault.level == "error")
    rejected = (Rejected(item.sheet_row, list(item.cells), item.faults) for item in _by_row(bad))
    if form == "xlsx":
        yield from rejects_xlsx(row.header, rejected)
    else:
        yield from rejects_csv(row.header, rejected, form)


def _by_row(faults: Select[ImportFault]) -> Iterator[FoundRow]:
    ordered = faults.order_by(ImportFault.sheet_row, ImportFault.id).execution_options(yield_per=1000)
    for sheet_row, items in itertools.groupby(db.session.scalars(ordered), lambda item: item.sheet_row):
        cells: list[str] = []
        found: list[Fault] = []
        recipient_id: int | None = None
        for item in items:
            if item.row_sealed is not None:
                cells = json.loads(vault.open(item.row_sealed, kept_faults.row_place(item.tenant_id, item.id)))
            recipient_id = item.recipient_id or recipient_id
            found.append(Fault(item.sheet_row, item.column_name, Level(item.level), Problem(item.code, item.message)))
        yield FoundRow(sheet_row, tuple(found), tuple(cells), recipient_id)


def lock_open(connection: Connection, campaign_id: int) -> None:
    """Lock a campaign that takes people in; whoever sends it waits.

    Raises Refused for one that takes none any more.
    """
    state = locks.lock_campaign(connection, campaign_id)
    lifecycle.check_takes_lists(connection, campaign_id, state)


def _check_open(campaign: Campaign) -> None:
    lifecycle.check_takes_lists(db.session, campaign.id, campaign.state)


def table_of(row: Import, *, whole: bool = False, choice: Choice | None = None) -> Table:
    """Open an upload's stored file as it was read before: for its first rows, or the whole of it. Raises Refused.

    Ends the session's transaction: a workbook may take a while, and PostgreSQL ends whoever is silent meanwhile.
    """
    most = Limits(bytes=settings().upload_max_bytes, rows=settings().import_max_rows, preview=not whole)
    choice = choice or Choice(row.sheet, row.take_hidden, row.header_row, row.encoding)
    stored = row.tenant_id, row.id, row.byte_count
    db.session.rollback()
    return read_table(upload_chunks.open_file(*stored), most, choice)
