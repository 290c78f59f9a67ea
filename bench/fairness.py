"""`make bench-fair`: how long ten people wait behind a campaign of a million.

A list of a million rows is taken in, checked and launched as a clerk would, and real workers send it. While they do,
campaigns of ten are launched: by the same company through the same account, and by another; with the account's rate
unlimited and at 50 a second. `accept_s` is from the launch to the carrier's yes for the last of the ten, `ahead_rate`
what the big one was sent at meanwhile.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import redis

from bench.report import Run, report
from bench.send import clerk, database, environment, prepare, wait
from dev.process import spawn, stop
from dev.stack import ROOT, Stack, remove
from sandbox.harness import running_sandbox

FIELDS = ("ahead", "company", "rate_per_s", "workers", "ahead_rate", "accept_s")
ROWS = 1_000_000
_TEN = 11  # rows: one in a thousand, the first one too, has a number that no SMS can be sent to
_WORKERS = 2
_RATES = (None, 50)
_COMPANIES = ("same", "other")
# so many of the million are sent before anybody comes behind it
_UNDER_WAY = 5_000
# until a new rate counts: turns that began under the old one have ended; seconds
_TURNS_S = 10


def main(rows: int = ROWS) -> None:
    """Launch the million, then the tens behind it."""
    runs: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="todoke-bench-") as name, running_sandbox() as sandbox:
        stack = Stack(Path(name) / "stack", extra_env=environment(sandbox))
        try:
            stack.prepare()
            stack.seed()
            big = prepare(stack, rows)
            cases = [(company, rate) for rate in _RATES for company in _COMPANIES]
            tens = [prepare(_of(stack, company), _TEN) for company, _ in cases]
            with _running(stack), database(stack) as connection:
                clerk(_of(stack, "same"), "launch", big)
                while sandbox.summary()["accepted"] < _UNDER_WAY:
                    time.sleep(0.2)
                for (company, rate), campaign_id in zip(cases, tens, strict=True):
                    connection.execute("UPDATE sms_account SET rate_per_s = %s", [rate])
                    time.sleep(_TURNS_S)
                    before, began = sandbox.summary()["accepted"], time.monotonic()
                    clerk(_of(stack, company), "launch", campaign_id)
                    wait(connection, "SELECT state = 'completed' FROM campaign WHERE id = %s", campaign_id)
                    rate_ahead = (sandbox.summary()["accepted"] - before) / (time.monotonic() - began)
                    told = {"company": company, "rate_per_s": rate, "workers": _WORKERS, "ahead_rate": rate_ahead}
                    runs.append({**told, **_waited(connection, big, campaign_id)})
        finally:
            stack.stop()
            remove(stack.folder)
    report("bench-fair", FIELDS, runs, sys.stdout)


def _of(stack: Stack, company: str) -> Stack:
    """Let clerks be this company's."""
    stack.env["BENCH_COMPANY"] = str(_COMPANIES.index(company))
    return stack


def _waited(connection: psycopg.Connection, big: int, campaign_id: int) -> Run:
    """Return how long the ten waited, and how many of the million still did."""
    row = connection.execute(
        """
        SELECT (SELECT count(*) FROM recipient WHERE campaign_id = %s AND sms_state IN ('draft', 'queued')),
            (SELECT extract(epoch FROM max(r.accepted_at) - min(c.launched_at))
                FROM recipient r JOIN campaign c ON c.id = r.campaign_id
                WHERE c.id = %s AND r.sms_state IN ('accepted', 'delivered'))
        """,
        [big, campaign_id],
    ).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without a table
    if not row[0]:
        raise RuntimeError("the million was over before the ten came")
    return {"ahead": row[0], "accept_s": float(row[1])}


@contextmanager
def _running(stack: Stack) -> Iterator[None]:
    """Run workers on the delivery queue beside one that does everything else, and the scheduler."""
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "worker", "delivery"]
    with redis.Redis.from_url(stack.env["REDIS_URL"]) as client:
        client.delete("rq:workers")
        for name in ("tracking", "scheduler"):
            stack.restart(name)
        workers = [
            spawn(command, log=stack.log(f"worker-{number}"), env=stack.env, cwd=ROOT) for number in range(_WORKERS)
        ]
        try:
            while client.scard("rq:workers") < _WORKERS + 1:
                time.sleep(0.02)
            yield
        finally:
            for process in workers:
                stop(process)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
