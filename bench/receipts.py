"""`make bench-receipts`: an SMS service that pushes 600 receipts a second for a minute, while pages are served.

A campaign is sent; then each of its people's receipts comes once, at the rate and whatever the answers take, while
twenty people open their pages. One web process and one worker, as everywhere. `applied_s` is from the last push until
each receipt is applied and everybody is 到達, `questions` what the service was asked meanwhile, one a message at most.

A run for each way of pushing, with a product of its own: Karaden's one by one, 絶対リーチ!SMS's in bundles of 100, both
unsigned, and Twilio's signed; PROVIDER names one of them.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from bench import visitors
from bench.lists import FAULTY_EVERY
from bench.pushes import WRITERS
from bench.report import Run, report
from bench.send import clerk, database, prepare, wait
from dev.process import stop
from dev.stack import ROOT, Stack, remove
from sandbox import doors
from sandbox.harness import Sandbox, running_sandbox

FIELDS = ("provider", "pushed", "applied_s", "questions", "page_p99_ms")
RATE = 600
SECONDS = 60
_APPLIED_S = 10.0
_PAGE_MS = 100.0
_VISITORS = 20
_REST_S = 1.0
_LIMIT_S = 600


def main(rate: int = RATE, seconds: int = SECONDS) -> int:
    """Measure each way of pushing. Returns an exit status: 1 where one is not as it must be."""
    names = [os.environ.get("PROVIDER") or "all"]
    if names == ["all"]:
        names = list(WRITERS)
    if unknown := set(names) - set(WRITERS):
        sys.exit(f"no such service: {', '.join(unknown)}; there are {', '.join(WRITERS)}")
    runs = [_run(service, rate, seconds) for service in names]
    report("bench-receipts", FIELDS, runs, sys.stdout)
    return 0 if all(holds(run, rate * seconds) for run in runs) else 1


def _run(service: str, rate: int, seconds: int) -> Run:
    with tempfile.TemporaryDirectory(prefix="todoke-bench-") as name, running_sandbox(receipt_delay_ms=0) as sandbox:
        stack = Stack(Path(name) / "stack", extra_env=doors.environment(sandbox.url))
        try:
            stack.prepare()
            stack.seed()
            stack.env["BENCH_SERVICE"] = service
            sandbox.faults(receipts_off=True)
            address = clerk(stack, "contract", "-")
            _send(stack, rate * seconds)
            for program in ("web", "tracking", "scheduler"):
                stack.restart(program)
            stack.wait_for("web")
            return {"provider": service, **_measure(stack, sandbox, service, address, (rate, rate * seconds))}
        finally:
            stack.stop()
            remove(stack.folder)


def holds(run: Run, pushes: int) -> bool:
    """Return whether everything was kept and applied in time, without a question too many or a page too late."""
    applied_s, page_ms, questions = run["applied_s"], run["page_p99_ms"], run["questions"]
    assert isinstance(applied_s, float) and isinstance(page_ms, float) and isinstance(questions, int)  # noqa: S101, PT018 - our own
    return run["pushed"] == pushes and applied_s <= _APPLIED_S and page_ms <= _PAGE_MS and questions <= pushes


def _send(stack: Stack, people: int) -> None:
    """Send a campaign to so many people at least; its receipts come later."""
    # some numbers are none, and to some nothing arrives
    campaign_id = prepare(stack, people + people // (FAULTY_EVERY - 1) + people // 500 + 20)
    with database(stack) as connection:
        stack.restart("delivery")
        clerk(stack, "launch", campaign_id)
        wait(connection, "SELECT state = 'completed' FROM campaign WHERE id = %s", campaign_id)
    stop(stack.programs.pop("delivery"))


def _measure(stack: Stack, sandbox: Sandbox, service: str, address: str, load: tuple[int, int]) -> Run:
    rate, pushes = load
    # of one that didn't arrive a receipt that says so would be asked about again and again
    messages = [message for message in sandbox.messages() if message["state"] == "received"][:pushes]
    parcels = stack.folder / "parcels.json"
    parcels.write_text(json.dumps(WRITERS[service](address, messages)), encoding="utf-8")
    before = questions(sandbox, service)
    with (
        database(stack) as connection,
        visitors.visiting(stack.web_url, visitors.tokens(sandbox, _VISITORS), _REST_S) as seen,
    ):
        command = [sys.executable, "-m", "bench.pushes", str(rate), str(parcels)]
        told = json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout.splitlines()[-1])
        ended = time.monotonic()
        while _left(connection, pushes) and time.monotonic() < ended + _LIMIT_S:
            time.sleep(0.1)
        applied_s = time.monotonic() - ended
    print(
        f"{told['failed']:.0f} pushes failed, the last was answered after {told['seconds']:.1f} s;"
        f" {seen.requests} pages, {seen.errors} of them errors",
        file=sys.stderr,
    )
    return {
        "pushed": int(told["pushed"]),
        "applied_s": applied_s,
        "questions": questions(sandbox, service) - before,
        "page_p99_ms": seen.p99_ms(),
    }


def questions(sandbox: Sandbox, service: str) -> int:
    """Count what a service was asked about messages."""
    counts: dict[str, int] = sandbox.summary()["requests"]
    return sum(count for name, count in counts.items() if name.startswith((f"{service}.detail", f"{service}.list")))


def _left(connection: psycopg.Connection, pushes: int) -> int:
    row = connection.execute(
        """
        SELECT (SELECT count(*) FROM receipt WHERE applied_at IS NULL),
            (SELECT count(*) FROM recipient WHERE sms_state = 'delivered')
        """
    ).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without a table
    return int(row[0]) + max(0, pushes - int(row[1]))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
