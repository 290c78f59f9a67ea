"""One run of an import, as a job: every row checked, sealed and added.

A run is one transaction: a list arrives whole or leaves nothing behind. It holds a lease, renewed with the progress
that is told from a transaction beside it, and once more in the run's own before anything counts: of two workers, one of
which was frozen or cut off, only the one that holds it writes.
"""

import gc
import itertools
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

from psycopg.types.json import Jsonb
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from app import leases, tenancy
from app.campaigns import duplicates, ordered_checks
from app.config import settings
from app.event_feed import silence
from app.extensions import db
from app.intake.checking.checks import CheckedRow, Checker, Fault, Level, Outcome, Rejected, Skipped
from app.intake.checking.rules import make_rules
from app.intake.columns import campaign_needs
from app.intake.columns.mapping import ColumnMapping
from app.intake.lists import imports, kept_faults, load, upload_chunks
from app.intake.lists.longest_sms import Longest
from app.intake.reading.list_rows import Row
from app.models import Import
from app.problems import Refused
from app.states.transitions import move_import
from app.states.vocabulary import ImportState
from app.values.csv_injection import restore
from app.values.japan_time import TOKYO

_BATCH_ROWS = 2_500
# how often the row is told how far the run is, seconds
_TELL_EVERY_S = 1.0
# objects more than before, a few batches of them
_COLLECT_EVERY = 200_000
# A run gives a sign of life with every batch or second: whoever is silent for so long is dead or frozen, seconds.
_LEASE_S = 60.0


class _Cancelled(Exception):  # noqa: N818 - it says what happened
    """Somebody cancelled the import while it ran."""


def run(import_id: int, *, tell_every_s: float = _TELL_EVERY_S) -> None:
    """Check every row and add what is new; commits as a whole.

    Called again after a crash it begins anew.
    """
    with leases.taking(f"import:{import_id}", _LEASE_S) as lease:
        if lease is not None:  # else another worker is at it
            _run(import_id, lease, tell_every_s)


def _run(import_id: int, lease: leases.WorkLease, tell_every_s: float) -> None:
    row = db.session.get_one(Import, import_id)
    target_of = row.tenant_id, row.campaign_id
    begun = move_import(db.session, import_id, ImportState.RUNNING, at=datetime.now(UTC))
    db.session.commit()
    if not begun:  # it was cancelled, or is done
        return
    done = False
    with db.engine.connect() as connection, connection.begin() as transaction:
        try:
            _Run(connection, row, lease, tell_every_s).run()
            done = True
        except (_Cancelled, upload_chunks.Removed):
            transaction.rollback()
        except Refused as refused:
            transaction.rollback()
            _fail(import_id, refused.message_ja)
        except leases.Lost:
            transaction.rollback()
            raise
        except Exception as fault:
            transaction.rollback()
            if isinstance(fault, OperationalError) or tenancy.gave_way(fault):
                raise  # PostgreSQL went away, or ended what was silent: the sweep brings the job back
            _fail(import_id, imports.BROKE_OFF)
            raise
    if done:
        ordered_checks.enqueue(*target_of)


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

    def __init__(self, connection: Connection, row: Import, lease: leases.WorkLease, tell_every_s: float) -> None:
        campaign = row.campaign
        self._lease = lease
        self._connection = connection
        self._row = row
        self._counts = dict.fromkeys(
            ("rows_read", "rows_added", "rows_known", "rows_rejected", "rows_ignored", "warnings"), 0
        )
        self._told, self._tell_every_s = time.monotonic(), tell_every_s
        questions = campaign_needs.questions_of(campaign)
        mapping = ColumnMapping.from_json(row.mapping or {})
        self._table = imports.table_of(row, whole=True)
        self._rules = make_rules(
            self._table.header,
            mapping,
            questions,
            campaign_needs.merge_names(campaign, self._table.header),
            payment_required=campaign.payment_required,
            today=datetime.now(TOKYO).date(),
        )
        self._reference_column = mapping.reference
        self._longest = Longest(campaign.sms_text, (column for column, _ in self._rules.fields))
        self._target = load.Target(
            row.tenant_id, campaign.id, row.id, [item.id for item in campaign.questions], campaign.payment_required
        )
        self._tenant_id, self._import_id, self._campaign_id = row.tenant_id, row.id, campaign.id
        db.session.rollback()  # nothing of the session stays open while the file is read

    def run(self) -> None:
        silence.promise(self._connection)  # a list of a million rows holds nobody's feed
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
                landing = loader.submit(self._land, batch, outcomes, load.ids_of(sealed))
                if time.monotonic() - self._told > self._tell_every_s:
                    self._tell()
            if landing is not None:
                landing.result()
        self._counts["warnings"] += kept_faults.write_more(self._connection, self._target, checker.odd_lengths())
        self._finish()

    def _land(self, batch: list[Row], outcomes: list[Outcome], became: dict[int, int]) -> None:
        loaded = load.insert_new(self._connection, self._target, len(became))
        against, excluded = set(loaded.contradicting), set(loaded.excluded)
        cells = {item[0]: item[1] for item in batch} if against else {}
        told: list[Outcome] = [
            Rejected(
                outcome.sheet_row,
                [restore(cell) for cell in cells[outcome.sheet_row]],
                (self._contradiction(outcome.sheet_row),),
            )
            if outcome.sheet_row in against
            else Skipped(outcome.sheet_row, (kept_faults.left_out(outcome.sheet_row),))
            if outcome.sheet_row in excluded
            else outcome
            for outcome in outcomes
        ]
        for outcome in told:
            if isinstance(outcome, CheckedRow) and (reason := loaded.suppressed.get(outcome.sheet_row)):
                column = self._rules.header[self._rules.phone]
                outcome.faults = (*outcome.faults, kept_faults.suppressed(outcome.sheet_row, column, reason))
        kept_faults.write(self._connection, self._target, told, became)
        for outcome in told:
            if isinstance(outcome, CheckedRow):
                self._longest.see(outcome)
        self._count(told, loaded)

    def _contradiction(self, sheet_row: int) -> Fault:
        return kept_faults.contradiction(sheet_row, self._reference_column)

    def _count(self, outcomes: list[Outcome], loaded: load.Loaded) -> None:
        counts = self._counts
        counts["rows_read"] += len(outcomes)
        counts["rows_added"] += loaded.added
        counts["rows_known"] += loaded.known
        counts["rows_rejected"] += sum(isinstance(outcome, Rejected) for outcome in outcomes)
        counts["rows_ignored"] += sum(isinstance(outcome, Skipped) for outcome in outcomes)
        counts["warnings"] += sum(fault.level == Level.WARNING for outcome in outcomes for fault in outcome.faults)

    def _tell(self) -> None:
        """Report progress, beside the run's own transaction, and hear whether to go on."""
        self._told = time.monotonic()
        with tenancy.transaction() as beside:
            state = beside.execute(
                text(
                    "UPDATE import SET rows_read = :rows, bytes_read = byte_count * CAST(:read AS float),"
                    " beat_at = now() WHERE id = :id RETURNING state"
                ),
                {"rows": self._counts["rows_read"], "read": self._table.read(), "id": self._import_id},
            ).scalar_one()
            leases.hold(beside, self._lease)
        if state == ImportState.CANCELLED:
            raise _Cancelled

    def _finish(self) -> None:
        leases.hold(self._connection, self._lease)
        imports.lock_open(self._connection, self._campaign_id)
        self._connection.execute(
            text("UPDATE campaign SET revision = revision + 1 WHERE id = :id"), {"id": self._campaign_id}
        )
        self._connection.execute(text("DELETE FROM import_chunk WHERE import_id = :id"), {"id": self._import_id})
        ordered_checks.order(self._connection, self._campaign_id)
        notices = duplicates.other_campaigns(self._connection, self._tenant_id, self._campaign_id)
        longest = self._longest.told(self._connection, self._target)
        same_number = duplicates.count_same_number(self._connection, self._campaign_id, self._import_id)
        columns = {
            **self._counts,
            "notices": Jsonb(notices),
            "longest": longest and Jsonb(longest),
            "same_number": same_number,
        }
        done = ImportState.DONE
        if not move_import(self._connection, self._import_id, done, at=datetime.now(UTC), columns=columns):
            raise _Cancelled


def _fail(import_id: int, message_ja: str) -> None:
    running, columns = [ImportState.RUNNING], {"problem": message_ja}
    move_import(db.session, import_id, ImportState.FAILED, at=datetime.now(UTC), sources=running, columns=columns)
    upload_chunks.remove(import_id)
    db.session.commit()
