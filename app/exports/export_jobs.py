"""Files that take a while: ordered by a person or the day, made by a job, kept sealed, fetched, forgotten.

In: whom a file is about, its columns and form. Out: a row that tells how far it is, and the file piece by piece. Can't
happen here: a plain file that lies around (pieces are sealed, in the database, and go after `KEPT`), two workers upon
one file, a file that says it is whole and isn't.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app import audit, leases, queues, tenancy
from app.exports import status_file
from app.exports.selection import Selection
from app.extensions import db, vault
from app.models import Campaign, Export, ExportPlan
from app.states.transitions import move_export
from app.states.vocabulary import EXPORT, ExportState
from app.values.japan_time import TOKYO
from app.vault import Place

KEPT = timedelta(days=7)
# from this many people on the back office offers to make the file beside one's other work
LARGE = 100_000

_JOB = "jobs.exports.make_export"
_PIECE_BYTES = 1 << 18
# how often the row is told how far the file is, seconds
_TELL_EVERY_S = 1.0
# The maker gives a sign of life with every piece or second: one silent for so long is dead or frozen, seconds.
_LEASE_S = 60.0
# nobody wants a file each day of a campaign that was over so long ago
_DAILY_UNTIL = timedelta(days=90)
# when a day begins: files are made from six o'clock on
_MORNING = timedelta(hours=6)


class _Stopped(Exception):  # noqa: N818 - it says what happened
    """Somebody cancelled the file while it was made."""


def order(
    selection: Selection, form: str, keys: Sequence[str] | None, filename: str, *, user_id: int, daily: bool = False
) -> int:
    """Order a file; return its id. Commits."""
    row = Export(
        tenant_id=status_file.tenant_id(),
        campaign_id=selection.campaign_id,
        filename=filename,
        form=form,
        selection=selection.to_json(),
        columns=list(keys) if keys is not None else None,
        daily=daily,
        created_by=user_id,
    )
    db.session.add(row)
    db.session.flush()
    tenant_id, export_id = row.tenant_id, row.id
    audit.record(
        db.session,
        actor="system" if daily else f"user:{user_id}",
        act="order_export",
        target=f"export:{export_id}",
        detail={"encoding": form, "campaign": selection.campaign_id},
    )
    db.session.commit()
    queues.enqueue(_JOB, tenant_id, export_id)
    return export_id


def make(export_id: int, *, piece_bytes: int = _PIECE_BYTES, tell_every_s: float = _TELL_EVERY_S) -> None:
    """Make a file that was ordered.

    Called again after a crash it begins anew; commits as it goes.
    """
    with leases.taking(f"export:{export_id}", _LEASE_S) as lease:
        if lease is not None:  # else another worker is at it
            _make(export_id, lease, piece_bytes, tell_every_s)


def _make(export_id: int, lease: leases.WorkLease, piece_bytes: int, tell_every_s: float) -> None:
    row = db.session.get_one(Export, export_id, populate_existing=True)
    if str(row.state) not in EXPORT.sources(ExportState.RUNNING):
        return
    selection = Selection.from_json(row.selection)
    form, keys = row.form, row.columns
    leases.hold(db.session.connection(), lease)
    db.session.execute(text("DELETE FROM export_piece WHERE export_id = :id"), {"id": export_id})
    now = datetime.now(UTC)
    columns = {"beat_at": now, "rows_done": 0, "byte_count": 0, "rows_total": status_file.count(selection)}
    begun = move_export(db.session, export_id, ExportState.RUNNING, at=now, columns=columns)
    db.session.commit()
    if not begun:  # it was cancelled meanwhile
        return
    told: Counter[str] = Counter()
    pen = _Pen(export_id, lease, told, piece_bytes, tell_every_s)
    try:
        size = pen.write(status_file.status_file(selection, form, keys, told=told))
    except _Stopped:
        pen.end(ExportState.CANCELLED, 0)
    except leases.Lost:
        raise
    except Exception as fault:
        db.session.rollback()
        if not (isinstance(fault, OperationalError) or tenancy.gave_way(fault)):
            pen.end(ExportState.FAILED, 0)
        raise  # where PostgreSQL went away, or ended what was silent, the sweep brings the job back
    else:
        pen.end(ExportState.DONE, size)


@dataclass(frozen=True, slots=True)
class _Pen:
    """Writes one file for as long as its lease is held; each method raises Lost otherwise, and then writes nothing."""

    export_id: int
    lease: leases.WorkLease
    told: Counter[str]
    piece_bytes: int
    tell_every_s: float

    def write(self, pieces: Iterator[bytes]) -> int:
        """Keep the pieces, all of one size but the last; return their size.

        Raises _Stopped.
        """
        waiting, position, size, said = bytearray(), 0, 0, time.monotonic()
        for piece in pieces:
            waiting += piece
            while len(waiting) >= self.piece_bytes:
                self._keep(position, bytes(waiting[: self.piece_bytes]))
                del waiting[: self.piece_bytes]
                position, size = position + 1, size + self.piece_bytes
            if time.monotonic() - said > self.tell_every_s:
                said = time.monotonic()
                self._tell()
        if waiting:
            self._keep(position, bytes(waiting))
        return size + len(waiting)

    def _keep(self, position: int, data: bytes) -> None:
        tenant_id = status_file.tenant_id()
        with tenancy.transaction() as connection:
            leases.hold(connection, self.lease)
            piece_id = connection.execute(
                text("SELECT nextval(pg_get_serial_sequence('export_piece', 'id'))")
            ).scalar_one()
            connection.execute(
                text("""
                    INSERT INTO export_piece (id, tenant_id, export_id, position, data_sealed)
                    OVERRIDING SYSTEM VALUE VALUES (:id, :tenant_id, :export_id, :position, :sealed)
                """),
                {
                    "id": piece_id,
                    "tenant_id": tenant_id,
                    "export_id": self.export_id,
                    "position": position,
                    "sealed": vault.seal(data, _place(tenant_id, piece_id)),
                },
            )

    def _tell(self) -> None:
        """Report progress, and hear whether to go on."""
        with tenancy.transaction() as connection:
            leases.hold(connection, self.lease)
            state = connection.execute(
                text("UPDATE export SET rows_done = :rows, beat_at = now() WHERE id = :id RETURNING state"),
                {"rows": self.told["rows"], "id": self.export_id},
            ).scalar_one()
        if state != ExportState.RUNNING:
            raise _Stopped

    def end(self, state: ExportState, size: int) -> None:
        """Move the file to its last state; what isn't whole leaves no piece behind."""
        with tenancy.transaction() as connection:
            leases.hold(connection, self.lease)
            columns = {"rows_done": self.told["rows"], "replaced": self.told["replaced"], "byte_count": size}
            ended = move_export(
                connection,
                self.export_id,
                state,
                at=datetime.now(UTC),
                sources=[ExportState.RUNNING],
                columns=columns,
            )
            if state is not ExportState.DONE or not ended:
                connection.execute(text("DELETE FROM export_piece WHERE export_id = :id"), {"id": self.export_id})


def cancel(export_id: int) -> bool:
    """Abandon a file that isn't there yet, or throw one away.

    Returns whether there was one. Commits.
    """
    done = move_export(db.session, export_id, ExportState.CANCELLED, at=datetime.now(UTC))
    db.session.execute(text("DELETE FROM export_piece WHERE export_id = :id"), {"id": export_id})
    db.session.commit()
    return done


def pieces(export_id: int) -> Iterator[bytes]:
    """Return a file that is there, piece by piece; no transaction stays open in between."""
    position = 0
    while True:
        with tenancy.transaction() as connection:
            row = connection.execute(
                text("""
                    SELECT p.id, p.tenant_id, p.data_sealed FROM export_piece p JOIN export e ON e.id = p.export_id
                    WHERE p.export_id = :id AND p.position = :position AND e.state = 'done'
                """),
                {"id": export_id, "position": position},
            ).one_or_none()
        if row is None:
            return
        yield vault.open(row.data_sealed, _place(row.tenant_id, row.id))
        position += 1


def taken(row: Export, *, user_id: int) -> None:
    """Put on record that somebody fetched a file. Commits."""
    row.taken_at = datetime.now(UTC)
    audit.record(
        db.session,
        actor=f"user:{user_id}",
        act="export_status",
        target=f"export:{row.id}",
        detail={"rows": row.rows_done, "encoding": row.form},
    )
    db.session.commit()


def expire() -> None:
    """Throw away files whose time is over. Needs the platform's scope; commits."""
    with tenancy.transaction() as connection:
        now = datetime.now(UTC)
        old = connection.scalars(
            text("SELECT id FROM export WHERE state = 'done' AND finished_at < :before ORDER BY id"),
            {"before": now - KEPT},
        ).all()
        over = [export_id for export_id in old if move_export(connection, export_id, ExportState.EXPIRED, at=now)]
        if over:
            connection.execute(text("DELETE FROM export_piece WHERE export_id = ANY(:ids)"), {"ids": over})


# --- each day ---


def plan_daily(campaign_id: int, form: str, keys: Sequence[str] | None, *, user_id: int) -> None:
    """Have a campaign's file made each morning, the first one tomorrow. Commits."""
    row = plan_of(campaign_id) or ExportPlan(tenant_id=status_file.tenant_id(), campaign_id=campaign_id)
    row.form, row.columns, row.created_by = form, list(keys) if keys is not None else None, user_id
    row.made_on = datetime.now(TOKYO).date()
    db.session.add(row)
    db.session.commit()


def stop_daily(campaign_id: int) -> bool:
    """Have it made no more; return whether it was. Commits."""
    row = plan_of(campaign_id)
    if row is not None:
        db.session.delete(row)
    db.session.commit()
    return row is not None


def plan_of(campaign_id: int) -> ExportPlan | None:
    """Return what is made each day of a campaign."""
    return db.session.query(ExportPlan).filter(ExportPlan.campaign_id == campaign_id).one_or_none()


def order_daily() -> None:
    """Order the files of the tenant whose day has come.

    A second call of the day finds none.
    """
    today = (datetime.now(TOKYO) - _MORNING).date()
    due = db.session.query(ExportPlan).filter(ExportPlan.made_on < today).with_for_update(skip_locked=True).all()
    for plan_id in [plan.id for plan in due]:
        plan = db.session.get_one(ExportPlan, plan_id, populate_existing=True, with_for_update=True)
        if plan.made_on is None or plan.made_on >= today or plan.created_by is None:
            continue
        plan.made_on = today
        campaign = db.session.get_one(Campaign, plan.campaign_id)
        if campaign.completed_at and campaign.completed_at < datetime.now(UTC) - _DAILY_UNTIL:
            db.session.delete(plan)
            continue
        # committed together with the day: a crash in between orders it once or not at all, never twice
        order(
            Selection(campaign.id),
            plan.form,
            plan.columns,
            filename(f"{campaign.name}_状況", plan.form, datetime.now(UTC)),
            user_id=plan.created_by,
            daily=True,
        )
    db.session.commit()


def filename(title: str, form: str, at: datetime) -> str:
    """Name a file, with the time in Tokyo."""
    return f"{title}_{at.astimezone(TOKYO):%Y%m%d-%H%M}.{ending(form)}"


def ending(form: str) -> str:
    """Return the ending of a form's files."""
    return "xlsx" if form == "xlsx" else "csv"


def _place(tenant_id: int, piece_id: int) -> Place:
    return Place(tenant_id, "export_piece", "data_sealed", piece_id)
