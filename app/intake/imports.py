"""An upload's way: stored, its columns mapped, run as a job, told of, taken back.

A run is one transaction, held under an advisory lock that dies with its worker: a list arrives whole or leaves nothing
behind, and two workers never run the same one. Progress is told from a transaction beside it.
"""

import gc
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, BinaryIO

from sqlalchemy import Connection, select, text
from sqlalchemy.exc import OperationalError

from app import audit, queues, tenancy
from app.campaigns import lifecycle, template
from app.config import settings
from app.extensions import db, vault
from app.identity.bad_input import BadInput
from app.identity.normalise import Kana, QuestionKind
from app.intake import chunks, load
from app.intake.checks import CheckedRow, Checker, Fault, Level, Outcome, Rejected, Skipped
from app.intake.mapping import ColumnMapping, Question
from app.intake.mapping import propose as propose_mapping
from app.intake.reader import Limits, Row, Table, read_table
from app.intake.rejects import rejects_csv
from app.intake.rules import make_rules
from app.models import Campaign, Import, ImportFault
from app.models import Question as QuestionRow
from app.tracking.cells import restore
from app.tracking.clock import TOKYO
from app.tracking.states import CampaignState

_BATCH_ROWS = 2_500
_TELL_EVERY_S = 1.0
# objects more than before, a few batches of them
_COLLECT_EVERY = 200_000
_LOCK_SPACE = 7_230_002


class Refused(Exception):  # noqa: N818 - it says what was done
    """An upload or an act on one that can't be; `message_ja` says what to do."""

    def __init__(self, message_ja: str) -> None:
        super().__init__(message_ja)
        self.message_ja = message_ja


class _Cancelled(Exception):  # noqa: N818 - it says what happened
    """Somebody cancelled the import while it ran."""


def questions_of(campaign: Campaign) -> list[Question]:
    """Give a campaign's questions as intake needs them."""
    return [
        Question(
            row.label,
            QuestionKind(row.kind),
            row.column_name or None,
            Kana(row.kana),
            tuple(choices_of(row)),
        )
        for row in campaign.questions
    ]


def choices_of(question: QuestionRow) -> list[str]:
    """List a question's choices, a line each."""
    return [line.strip() for line in question.choices.splitlines() if line.strip()]


def merge_names(campaign: Campaign, header: Sequence[str]) -> list[str]:
    """List the columns that the campaign's texts merge, as the header writes them."""
    written = {template.key(name): name for name in header}
    texts = campaign.sms_text + campaign.page_title + campaign.page_text
    return [written.get(name, name) for name in template.fields_in(texts) if name not in template.BUILT_IN]


def store(campaign_id: int, filename: str, stream: BinaryIO, *, user_id: int) -> int:
    """Keep an uploaded file, sealed, and read its header; give the import's id. Raises Refused. Commits."""
    campaign = db.session.get_one(Campaign, campaign_id)
    _check_open(campaign)
    tenant_id = campaign.tenant_id
    row = Import(
        tenant_id=tenant_id,
        campaign_id=campaign_id,
        filename=filename.replace("\0", "")[-200:] or "名簿.csv",
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
            raise Refused(f"ファイルが大きすぎます。{limit // 1_000_000:,}MBまでに分けてからアップロードしてください。")
        digest.update(piece)
        chunks.write(tenant_id, row.id, position, piece)
        position += 1
    row.byte_count = size
    row.content_digest = vault.content_digest(tenant_id, digest.digest())
    # the reader opens the pieces in transactions of its own: they must be there
    db.session.commit()
    try:
        table = _table(row)
        row.header, row.encoding = list(table.header), table.encoding
        row.mapping = propose_mapping(
            table.header, questions_of(campaign), payment_required=campaign.payment_required
        ).to_json()
    except BadInput as bad:
        db.session.delete(row)
        db.session.commit()
        raise Refused(bad.message_ja) from None
    db.session.commit()
    return row.id


def _read_piece(stream: BinaryIO) -> bytes:
    parts = []
    wanted = chunks.CHUNK_BYTES
    while wanted and (part := stream.read(wanted)):
        parts.append(part)
        wanted -= len(part)
    return b"".join(parts)


def sample(import_id: int, rows: int = 3) -> list[list[str]]:
    """Give the first rows of an upload that waits for its mapping."""
    row = db.session.get_one(Import, import_id)
    found: list[list[str]] = []
    for _, cells in _table(row).rows:
        found.append(cells)
        if len(found) == rows:
            break
    return found


def problems(import_id: int, mapping: ColumnMapping) -> list[str]:
    """Say in Japanese what stands in the way of running the import with this mapping."""
    row = db.session.get_one(Import, import_id)
    campaign = row.campaign
    return mapping.problems(
        row.header,
        questions_of(campaign),
        merge_names(campaign, row.header),
        payment_required=campaign.payment_required,
    )


def start(import_id: int, mapping: ColumnMapping) -> None:
    """Queue an import with its mapping. Raises Refused. Commits."""
    row = db.session.get_one(Import, import_id, with_for_update={"key_share": True}, populate_existing=True)
    _check_open(row.campaign)
    if row.state != "mapping":
        raise Refused("この名簿の取り込みはすでに始まっています。")
    if len(mapping.answers) != len(row.campaign.questions):
        raise Refused("設問が変わりました。列の確認をもう一度開いて、設問ごとの列を選び直してください。")
    if found := problems(import_id, mapping):
        raise Refused("\n".join(found))
    row.mapping = mapping.to_json()
    row.state = "queued"
    tenant_id = row.tenant_id
    db.session.commit()
    queues.enqueue("jobs.intake.run_import", tenant_id, import_id)


def run(import_id: int) -> None:
    """Check every row and add what is new; commits as a whole. Called again after a crash it begins anew."""
    with db.engine.connect() as connection, connection.begin() as transaction:
        if not connection.execute(
            text("SELECT pg_try_advisory_xact_lock(:space, :id)"), {"space": _LOCK_SPACE, "id": import_id % 2**31}
        ).scalar():
            return  # another worker is at it
        row = db.session.get_one(Import, import_id)
        if row.state not in {"queued", "running"}:
            return
        row.state, row.started_at = "running", datetime.now(UTC)
        db.session.commit()
        try:
            _Run(connection, row).run()
        except _Cancelled:
            transaction.rollback()
        except BadInput as bad:
            transaction.rollback()
            _fail(import_id, bad.message_ja)
        except Refused as refused:
            transaction.rollback()
            _fail(import_id, refused.message_ja)
        except OperationalError:
            raise  # the database went away: the sweep brings the job back
        except Exception:
            transaction.rollback()
            _fail(
                import_id,
                "取り込みの途中で問題が起きたため、1件も取り込んでいません。もう一度アップロードしてください。"
                "繰り返す場合は運営担当者にお問い合わせください。",
            )
            raise


@contextmanager
def _few_collections() -> Iterator[None]:
    """Let the cyclic collector look seldom: rows make no cycles, and its looks at them took a sixth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(_COLLECT_EVERY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


class _Run:
    """One run over a file: batches of checked rows, their faults, and what to tell meanwhile.

    While PostgreSQL takes one batch in, on a thread that has the run's connection to itself, the next one is read,
    checked and sealed.
    """

    def __init__(self, connection: Connection, row: Import) -> None:
        campaign = row.campaign
        self._connection = connection
        self._row = row
        self._counts = dict.fromkeys(
            ("rows_read", "rows_added", "rows_known", "rows_rejected", "rows_ignored", "warnings"), 0
        )
        self._told = time.monotonic()
        questions = questions_of(campaign)
        mapping = ColumnMapping.from_json(row.mapping or {})
        self._table = _table(row)
        self._rules = make_rules(
            self._table.header,
            mapping,
            questions,
            merge_names(campaign, self._table.header),
            payment_required=campaign.payment_required,
            today=datetime.now(TOKYO).date(),
        )
        self._reference_column = mapping.reference
        self._target = load.Target(
            row.tenant_id, campaign.id, row.id, [item.id for item in campaign.questions], campaign.payment_required
        )
        self._tenant_id, self._import_id, self._campaign_id = row.tenant_id, row.id, campaign.id
        db.session.rollback()  # nothing of the session stays open while the file is read

    def run(self) -> None:
        load.prepare(self._connection, self._target)
        checker = Checker(self._rules, settings().import_max_rows)
        with _few_collections(), ThreadPoolExecutor(1) as loader:
            landing: Future[None] | None = None
            while batch := list(itertools.islice(self._table.rows, _BATCH_ROWS)):
                outcomes = [checker.check(item) for item in batch]
                sealed = load.seal(self._target, [item for item in outcomes if isinstance(item, CheckedRow)])
                if landing is not None:
                    landing.result()
                # here and not on the thread: each of its many writes would have to win the interpreter from us
                load.copy(self._connection, self._target, sealed)
                landing = loader.submit(self._land, batch, outcomes, len(sealed))
                if time.monotonic() - self._told > _TELL_EVERY_S:
                    self._tell()
            if landing is not None:
                landing.result()
        self._finish()

    def _land(self, batch: list[Row], outcomes: list[Outcome], good: int) -> None:
        loaded = load.land(self._connection, self._target, good)
        against = set(loaded.contradicting)
        cells = {item[0]: item[1] for item in batch} if against else {}
        told: list[Outcome] = [
            Rejected(
                outcome.sheet_row,
                [restore(cell) for cell in cells[outcome.sheet_row]],
                (self._contradiction(outcome.sheet_row),),
            )
            if outcome.sheet_row in against
            else outcome
            for outcome in outcomes
        ]
        load.write_faults(self._connection, self._tenant_id, self._import_id, told)
        self._count(told, loaded)

    def _contradiction(self, sheet_row: int) -> Fault:
        return load.contradiction(sheet_row, self._reference_column)

    def _count(self, outcomes: list[Outcome], loaded: load.Loaded) -> None:
        counts = self._counts
        counts["rows_read"] += len(outcomes)
        counts["rows_added"] += loaded.added
        counts["rows_known"] += loaded.known
        counts["rows_rejected"] += sum(isinstance(outcome, Rejected) for outcome in outcomes)
        counts["rows_ignored"] += sum(isinstance(outcome, Skipped) for outcome in outcomes)
        counts["warnings"] += sum(fault.level == Level.WARNING for outcome in outcomes for fault in outcome.faults)

    def _tell(self) -> None:
        """Tell how far it is, beside the run's own transaction, and hear whether to go on."""
        self._told = time.monotonic()
        with tenancy.transaction() as beside:
            state = beside.execute(
                text("UPDATE import SET rows_read = :rows, beat_at = now() WHERE id = :id RETURNING state"),
                {"rows": self._counts["rows_read"], "id": self._import_id},
            ).scalar_one()
        if state == "cancelled":
            raise _Cancelled

    def _finish(self) -> None:
        state = self._connection.execute(
            text("SELECT state FROM campaign WHERE id = :id FOR NO KEY UPDATE"), {"id": self._campaign_id}
        ).scalar_one()
        if state != CampaignState.DRAFT:
            raise Refused("送信を開始した配信には取り込めません。新しい配信を作ってください。")
        self._connection.execute(
            text("UPDATE campaign SET revision = revision + 1 WHERE id = :id"), {"id": self._campaign_id}
        )
        self._connection.execute(text("DELETE FROM import_chunk WHERE import_id = :id"), {"id": self._import_id})
        sets = ", ".join(f"{name} = :{name}" for name in self._counts)
        done = self._connection.execute(
            text(
                f"UPDATE import SET state = 'done', finished_at = now(), {sets}"  # noqa: S608 - names from above
                " WHERE id = :id AND state = 'running'"
            ),
            {**self._counts, "id": self._import_id},
        ).rowcount
        if not done:
            raise _Cancelled


def cancel(import_id: int) -> bool:
    """Give up an import that is not over: a running one stops within seconds and leaves nothing. Commits."""
    stopped = db.session.execute(
        text(
            "UPDATE import SET state = 'cancelled', finished_at = now()"
            " WHERE id = :id AND state IN ('mapping', 'queued', 'running')"
        ),
        {"id": import_id},
    ).rowcount  # type: ignore[attr-defined]
    chunks.remove(import_id)
    db.session.commit()
    return bool(stopped)


def discard(import_id: int, *, user_id: int) -> int:
    """Take an import back: its recipients go while they are drafts. Gives their number. Raises Refused. Commits."""
    row = db.session.get_one(Import, import_id)
    campaign = lifecycle.locked(row.campaign_id)
    _check_open(campaign)
    if row.state != "done":
        db.session.rollback()
        raise Refused("取り込みが完了した名簿だけを取り消せます。")
    removed: int = db.session.execute(
        text("DELETE FROM recipient WHERE campaign_id = :campaign AND import_id = :id AND sms_state = 'draft'"),
        {"campaign": campaign.id, "id": import_id},
    ).rowcount  # type: ignore[attr-defined]
    db.session.execute(text("DELETE FROM import_fault WHERE import_id = :id"), {"id": import_id})
    row.state = "cancelled"
    lifecycle.touch(campaign)
    audit.record(
        db.session, actor=f"user:{user_id}", act="discard", target=f"import:{import_id}", detail={"people": removed}
    )
    db.session.commit()
    return removed


def faults(import_id: int, limit: int = 50) -> list[ImportFault]:
    """Give what was found in the first faulty rows, errors before the rest."""
    return list(
        db.session.scalars(
            select(ImportFault)
            .where(ImportFault.import_id == import_id)
            .order_by(ImportFault.level != "error", ImportFault.sheet_row, ImportFault.id)
            .limit(limit)
        )
    )


def rejects(import_id: int, encoding: str) -> Iterator[bytes]:
    """Give the rejected rows as a CSV file with a reason column, to correct and upload again."""
    row = db.session.get_one(Import, import_id)
    yield from rejects_csv(row.header, _rejected_rows(import_id), encoding)


def _rejected_rows(import_id: int) -> Iterator[Rejected]:
    cells: list[str] = []
    found: list[Fault] = []
    for item in db.session.scalars(
        select(ImportFault)
        .where(ImportFault.import_id == import_id, ImportFault.level == "error")
        .order_by(ImportFault.sheet_row, ImportFault.id)
        .execution_options(yield_per=1000)
    ):
        if item.row_sealed is not None and found:
            yield Rejected(found[0].sheet_row, cells, tuple(found))
            found = []
        if item.row_sealed is not None:
            cells = json.loads(vault.open(item.row_sealed, load.row_place(item.tenant_id, item.id)))
        found.append(Fault(item.sheet_row, item.column_name, Level(item.level), item.code, item.message))
    if found:
        yield Rejected(found[0].sheet_row, cells, tuple(found))


def _fail(import_id: int, message_ja: str) -> None:
    row = db.session.get_one(Import, import_id, populate_existing=True)
    if row.state == "running":
        row.state, row.problem, row.finished_at = "failed", message_ja, datetime.now(UTC)
    chunks.remove(import_id)
    db.session.commit()


def _check_open(campaign: Campaign) -> None:
    if lifecycle.content_locked(campaign):
        raise Refused("送信を開始した配信には取り込めません。新しい配信を作ってください。")


def _table(row: Import) -> Table:
    limits = Limits(bytes=settings().upload_max_bytes, rows=settings().import_max_rows)
    return read_table(chunks.open_file(row.tenant_id, row.id, row.byte_count), limits)
