"""`make bench-import`: a list through the whole intake, against a bare COPY of the same rows into the same table.

The importing process is a child, so that its memory is its own. `seconds` is the run that a worker does: the stored
file decrypted and read, every check, digest and encryption, all rows in the table. The bare COPY takes the finished
rows, as binary, into the emptied table with all its indexes, constraints and foreign keys.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from app import create_app, tenancy
from app.extensions import db
from app.intake.columns.mapping import ColumnMapping
from app.intake.lists import import_run, imports, whole_look
from app.models import Import
from bench.lists import company, draft, write_list, write_workbook
from bench.report import report
from dev.stack import Stack, remove

FIELDS = ("rows", "seconds", "rows_per_s", "copy_rows_per_s", "ratio", "peak_rss_mb")
ROWS = 1_000_000
_PIECE = 1 << 18

# how long a worker may take that took the import first, seconds
_ANOTHERS_S = 120.0


def main(rows: int = ROWS, form: str = "csv") -> None:
    """Measure one import, of a CSV file or an xlsx book, and one bare COPY."""
    with tempfile.TemporaryDirectory(prefix="todoke-bench-") as name:
        folder = Path(name)
        stack = Stack(folder / "stack")
        try:
            stack.prepare()
            stack.seed()
            path = folder / f"list.{form}"
            (write_workbook if form == "xlsx" else write_list)(path, rows)
            told = _child(stack, path)
            added, copied_s = _bare_copy(stack.env["DATABASE_OWNER_URL"], folder / "rows.bin")
        finally:
            stack.stop()
            remove(stack.folder)
    seconds, copy_rate = told["seconds"], added / copied_s
    run = {
        "rows": rows,
        "seconds": seconds,
        "rows_per_s": rows / seconds,
        "copy_rows_per_s": copy_rate,
        "ratio": rows / seconds / copy_rate,
        "peak_rss_mb": told["peak_rss_mb"],
    }
    report("bench-import" if form == "csv" else f"bench-import-{form}", FIELDS, [run], sys.stdout)


def _child(stack: Stack, path: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.imports", "child", str(path)], env=stack.env, stdout=subprocess.PIPE, check=True
    )
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def import_list(path: Path) -> dict[str, float]:
    """Store a list and run its import in this process.

    Returns its campaign, people, seconds and the process's memory.
    """
    with create_app().app_context():
        tenant_id = company()
        with tenancy.tenant(tenant_id):
            campaign = draft(tenant_id, "ベンチ")
            campaign_id = campaign.id
            assert campaign.created_by is not None  # noqa: S101 - seeded before
            with path.open("rb") as stream:
                import_id = imports.store(campaign_id, path.name, stream, user_id=campaign.created_by)
            whole_look.wait_for(import_id)
            row = db.session.get_one(Import, import_id)
            imports.start(import_id, ColumnMapping.from_json(row.mapping or {}))
            begun = time.perf_counter()
            import_run.run(import_id)
            seconds = time.perf_counter() - begun
            _wait_for(row)
            if row.state != "done":
                raise RuntimeError(f"the import ended as {row.state}: {row.problem}")
            added = row.rows_added
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"campaign_id": campaign_id, "added": added, "seconds": seconds, "peak_rss_mb": peak}


def _wait_for(row: Import) -> None:
    """Wait for a worker of a running product that took the import first."""
    ends = time.monotonic() + _ANOTHERS_S
    db.session.refresh(row)
    while row.state in {"queued", "running"} and time.monotonic() < ends:
        time.sleep(0.1)
        db.session.rollback()
        db.session.refresh(row)


def _bare_copy(owner_url: str, path: Path) -> tuple[int, float]:
    """Take the rows out, empty the table, and put them back.

    Returns their number and the seconds of putting back.
    """
    with psycopg.connect(owner_url) as connection, connection.cursor() as cursor:
        # PostgreSQL takes no COPY into a table whose policies hold for whoever copies; this database is the bench's own
        cursor.execute("ALTER TABLE recipient NO FORCE ROW LEVEL SECURITY")
        # a bare COPY keeps no totals; the import does
        cursor.execute("ALTER TABLE recipient DISABLE TRIGGER recipient_total_insert")
        with path.open("wb") as file, cursor.copy("COPY recipient TO STDOUT (FORMAT BINARY)") as out:
            file.writelines(out)
        cursor.execute("TRUNCATE recipient CASCADE")
        connection.commit()
        begun = time.perf_counter()
        with path.open("rb") as file, cursor.copy("COPY recipient FROM STDIN (FORMAT BINARY)") as into:
            while piece := file.read(_PIECE):
                into.write(piece)
        rows = cursor.rowcount
        connection.commit()
        return rows, time.perf_counter() - begun


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        print(json.dumps(import_list(Path(sys.argv[2]))))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else ROWS, *sys.argv[2:3])
