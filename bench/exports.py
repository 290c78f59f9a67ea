"""`make bench-export`: the status file of a long list, asked of the web application, against a bare COPY TO.

The list is imported as `make bench-import` does. The application is a child of its own, asked as a browser asks:
signed in, by POST. `first_byte_ms` runs from the request to the first piece of the body, its record in the audit log
included; `peak_rss_mb` is the child's from there on. `copy_ratio` is against COPY of the whole table to CSV. The last
run is a file that a job makes and keeps sealed; its first byte is that of fetching it.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from app import create_app, tenancy
from app.exports import export_jobs
from app.exports.selection import Selection
from app.extensions import db
from app.models import Campaign
from bench.imports import import_list
from bench.lists import write_list
from bench.report import report
from dev.stack import Stack, remove

FIELDS = ("format", "rows", "seconds", "rows_per_s", "first_byte_ms", "peak_rss_mb", "copy_ratio")
ROWS = 1_000_000
FORMATS = ("cp932", "utf-8-sig", "xlsx")


def main(rows: int = ROWS) -> None:
    """Measure each format once, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="todoke-bench-") as name:
        folder = Path(name)
        stack = Stack(folder / "stack")
        try:
            stack.prepare()
            stack.seed()
            write_list(folder / "list.csv", rows)
            told = _child(stack, "import", str(folder / "list.csv"))
            copied_s = _bare_copy(stack.env["DATABASE_OWNER_URL"])
            manager = json.dumps(next(account for account in stack.accounts if account["role"] == "manager"))
            exports = {form: _child(stack, "export", form, str(told["campaign_id"]), manager) for form in FORMATS}
            exports["job, cp932"] = _child(stack, "job", str(told["campaign_id"]))
        finally:
            stack.stop()
            remove(stack.folder)
    runs = [
        {
            "format": form,
            "rows": told["added"],
            **measured,
            "rows_per_s": told["added"] / measured["seconds"],
            "copy_ratio": copied_s / measured["seconds"],
        }
        for form, measured in exports.items()
    ]
    report("bench-export", FIELDS, runs, sys.stdout)


def _child(stack: Stack, *arguments: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.exports", *arguments], env=stack.env, stdout=subprocess.PIPE, check=True
    )
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def _bare_copy(owner_url: str) -> float:
    with psycopg.connect(owner_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.platform', 'on', true)")
        begun = time.perf_counter()
        with cursor.copy("COPY (SELECT * FROM recipient ORDER BY id) TO STDOUT (FORMAT CSV)") as out:
            for _ in out:
                pass
        return time.perf_counter() - begun


def export(form: str, campaign_id: int, manager: dict[str, str]) -> dict[str, float]:
    """Sign in, warm up with one page, and take the file."""
    client = create_app().test_client()
    page = client.get("/admin/login").get_data(as_text=True)
    fields = {"tenant_code": manager["tenant_code"], "email": manager["email"], "password": manager["password"]}
    client.post("/admin/login", data={**fields, "csrf_token": _token(page)})
    result = client.get(f"/admin/campaign/{campaign_id}/result/").get_data(as_text=True)
    # the peak of the download is asked for, not that of the password's check (argon2 takes 19 MB for a moment)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    begun = time.perf_counter()
    answer = client.post(
        f"/admin/campaign/{campaign_id}/status.csv",
        data={"encoding": form, "csrf_token": _token(result)},
        buffered=False,
    )
    if answer.status_code != 200:  # noqa: PLR2004 - HTTP's word for all is well
        raise RuntimeError(f"the download was answered by {answer.status_code}")
    pieces = iter(answer.response)
    next(pieces)
    first = time.perf_counter() - begun
    for _ in pieces:
        pass
    seconds = time.perf_counter() - begun
    answer.close()
    return {"seconds": seconds, "first_byte_ms": first * 1000, "peak_rss_mb": _peak_mb()}


def job(campaign_id: int) -> dict[str, float]:
    """Make a file as a worker does, then fetch it."""
    with create_app().app_context():
        with tenancy.platform():
            campaign = db.session.get_one(Campaign, campaign_id)
            tenant_id, user_id = campaign.tenant_id, campaign.created_by
        assert user_id is not None  # noqa: S101 - `draft` sets it
        begun = time.perf_counter()
        with tenancy.tenant(tenant_id):
            export_id = export_jobs.order(Selection(campaign_id), "cp932", None, "状況.csv", user_id=user_id)
            export_jobs.make(export_id)
        seconds = time.perf_counter() - begun
        with tenancy.tenant(tenant_id):
            begun = time.perf_counter()
            pieces = export_jobs.pieces(export_id)
            next(pieces)
            first = time.perf_counter() - begun
            for _ in pieces:
                pass
    return {"seconds": seconds, "first_byte_ms": first * 1000, "peak_rss_mb": _peak_mb()}


def _peak_mb() -> float:
    # not getrusage: what that tells begins with the memory of the process that started this one
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


def _token(page: str) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    if found is None:
        raise RuntimeError("the page has no form")
    return found[1]


if __name__ == "__main__":
    if sys.argv[1:2] == ["import"]:
        print(json.dumps(import_list(Path(sys.argv[2]))))
    elif sys.argv[1:2] == ["job"]:
        print(json.dumps(job(int(sys.argv[2]))))
    elif sys.argv[1:2] == ["export"]:
        print(json.dumps(export(sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4]))))
    else:
        main(*map(int, sys.argv[1:2]))
