"""`make bench-send`: campaigns through real workers, against a bare HTTP client and against one RQ job per person.

A list is taken in, checked and launched as a clerk would; workers run as in production, and the sandbox answers after 0
or 50 ms. `rate` is messages by the time from the first attempt to the completed campaign, all states durable by then.
In the same run, against the same sandbox: `raw_client_rate` (`bench.bare_client`, as many requests at once as a
worker's connections) and `per_job_rate` (one RQ job per person on our worker, a SimpleWorker: the same claim, request
and record with a commit each). Rates are the middle ones of three rounds, in which the bare client and the workers take
turns.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
import redis
from rq import Queue
from rq.serializers import JSONSerializer

from bench import per_job
from bench.lists import CONTRACTS, write_list
from bench.report import Run, report
from dev.process import spawn, stop
from dev.servers import plain_url
from dev.stack import ROOT, Stack, remove
from sandbox import doors
from sandbox.harness import Sandbox, running_sandbox

FIELDS = (
    "messages", "latency_ms", "workers", "rate", "raw_client_rate", "ratio", "per_job_rate", "speedup", "p95_accept_s",
    "peak_rss_mb",
)  # fmt: skip
MESSAGES = 20_000
_LATENCIES_MS = (0, 50)
_WORKERS = (1, 2)
_ROUNDS = 3
_JOBS = 300
_LIMIT_S = 900
_WORKER = (sys.executable, "-m", "flask", "--app", "wsgi", "worker", "delivery")
# the settings' defaults; the raw client has as many requests under way
_AT_ONCE = 256


def main(messages: int = MESSAGES) -> None:
    """Measure each latency with each number of workers, then the memory of a campaign ten times as long."""
    runs: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="todoke-bench-") as name, running_sandbox() as sandbox:
        stack = Stack(Path(name) / "stack", extra_env=environment(sandbox))
        try:
            stack.prepare()
            stack.seed()
            for latency_ms in _LATENCIES_MS:
                runs += _compare(stack, sandbox, messages, latency_ms)
            long = _send(stack, sandbox, 10 * messages, 0, 1)
            none = dict.fromkeys(("raw_client_rate", "ratio", "per_job_rate", "speedup"))
            runs.append({**long, **none})
        finally:
            stack.stop()
            remove(stack.folder)
    report("bench-send", FIELDS, runs, sys.stdout)


def _compare(stack: Stack, sandbox: Sandbox, messages: int, latency_ms: int) -> list[Run]:
    """Measure everything at one latency, in turn and several times, for the machine is not always equally quick."""
    per_job = _per_job_rate(stack, sandbox, latency_ms)
    raws: list[float] = []
    told: dict[int, list[dict[str, Any]]] = {workers: [] for workers in _WORKERS}
    for _ in range(_ROUNDS):
        raws.append(_raw_rate(sandbox, messages, latency_ms))
        for workers in _WORKERS:
            told[workers].append(_send(stack, sandbox, messages, latency_ms, workers))
    raw = median(raws)
    runs: list[Run] = []
    for rounds in told.values():
        middle = sorted(rounds, key=itemgetter("rate"))[_ROUNDS // 2]
        rate = middle["rate"]
        runs.append({
            **middle, "raw_client_rate": raw, "ratio": rate / raw, "per_job_rate": per_job, "speedup": rate / per_job,
        })  # fmt: skip
    return runs


def _send(stack: Stack, sandbox: Sandbox, messages: int, latency_ms: int, workers: int) -> dict[str, Any]:
    """Send one campaign."""
    sandbox.reset()
    sandbox.faults(latency_ms=latency_ms)
    campaign_id = prepare(stack, messages)
    with running(stack, workers) as processes, database(stack) as connection:
        clerk(stack, "launch", campaign_id)
        wait(connection, "SELECT state = 'completed' FROM campaign WHERE id = %s", campaign_id)
        peak = max(_peak_rss_mb(process.pid) for process in processes)
        row = connection.execute(
            """
            SELECT count(*), extract(epoch FROM max(c.completed_at) - min(r.sent_at)),
                percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM r.accepted_at - c.launched_at))
            FROM recipient r JOIN campaign c ON c.id = r.campaign_id WHERE c.id = %s AND r.sms_state = 'accepted'
            """,
            [campaign_id],
        ).fetchone()
    assert row is not None  # noqa: S101 - an aggregate
    sent, seconds, p95 = row
    if sandbox.summary()["accepted"] != sent:
        raise RuntimeError(f"{sent} are accepted here, {sandbox.summary()['accepted']} at the sandbox")
    return {
        "messages": sent,
        "latency_ms": latency_ms,
        "workers": workers,
        "rate": sent / float(seconds),
        "p95_accept_s": float(p95),
        "peak_rss_mb": peak,
    }


def _raw_rate(sandbox: Sandbox, messages: int, latency_ms: int) -> float:
    sandbox.reset()
    sandbox.faults(latency_ms=latency_ms)
    command = [sys.executable, "-m", "bench.bare_client", sandbox.karaden_base, str(messages), str(_AT_ONCE)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return messages / float(done.stdout)


def _per_job_rate(stack: Stack, sandbox: Sandbox, latency_ms: int) -> float:
    """Send a small campaign by one RQ job for each person."""
    sandbox.reset()
    sandbox.faults(latency_ms=latency_ms)
    campaign_id = prepare(stack, _JOBS)
    lease = clerk(stack, "lease", campaign_id).split()
    with database(stack) as connection, redis.Redis.from_url(stack.env["REDIS_URL"]) as client:
        target = Queue("delivery", connection=client, serializer=JSONSerializer)
        people = connection.execute(
            "SELECT id FROM recipient WHERE campaign_id = %s ORDER BY id", [campaign_id]
        ).fetchall()
        for (recipient_id,) in people:
            target.enqueue(per_job.NAME, args=[*map(int, lease), recipient_id], result_ttl=0)
        with running(stack, 1, [sys.executable, "-m", "bench.per_job"]):
            statement = "SELECT bool_and(sms_state = 'accepted') FROM recipient WHERE campaign_id = %s"
            wait(connection, statement, campaign_id)
        row = connection.execute(
            "SELECT extract(epoch FROM max(accepted_at) - min(sent_at)) FROM recipient WHERE campaign_id = %s",
            [campaign_id],
        ).fetchone()
    assert row is not None  # noqa: S101 - an aggregate
    return len(people) / float(row[0])


def environment(sandbox: Sandbox) -> dict[str, str]:
    """Return what a bench of sending changes: its carrier, and that each round sends to the same numbers on one day."""
    return {**doors.environment(sandbox.url), "NUMBER_DAILY_CAP": "1000"}


def prepare(stack: Stack, rows: int) -> int:
    """Take a list in and check it; return the campaign."""
    path = stack.folder / f"{rows}.csv"
    if not path.exists():
        write_list(path, rows)
    return int(clerk(stack, "prepare", path))


def contract(stack: Stack, sandbox: Sandbox, service: str) -> str:
    """Have whatever is sent from now on leave by the company's contract with a service, made where there is none.

    The sandbox reports to it. Returns the address of its receipts.
    """
    stack.env["BENCH_SERVICE"] = service
    url, held = clerk(stack, "contract", "-"), CONTRACTS[service]
    if held.account:
        [secret] = held.credentials.values()
        sandbox.addresses(sms_accounts={service: {held.account: {"url": url, "secret": secret}}})
    return url


def clerk(stack: Stack, act: str, argument: object) -> str:
    """Do what a clerk does (`bench.clerk_client`); return the last line told."""
    command = [sys.executable, "-m", "bench.clerk_client", act, str(argument)]
    done = subprocess.run(command, cwd=ROOT, env=stack.env, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().splitlines()[-1]


@contextmanager
def running(stack: Stack, workers: int, command: Sequence[str] = _WORKER) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Run workers on the delivery queue; begins when each of them waits for jobs."""
    with redis.Redis.from_url(stack.env["REDIS_URL"]) as client:
        client.delete("rq:workers")
        processes = [
            spawn(command, log=stack.log(f"worker-{number}"), env=stack.env, cwd=ROOT) for number in range(workers)
        ]
        try:
            while client.scard("rq:workers") < workers:
                time.sleep(0.02)
            yield processes
        finally:
            for process in processes:
                stop(process)


@contextmanager
def database(stack: Stack) -> "Iterator[psycopg.Connection]":
    """Open the database as its owner, in the platform's scope."""
    with psycopg.connect(plain_url(stack.env["DATABASE_OWNER_URL"]), autocommit=True) as connection:
        connection.execute("SELECT set_config('app.platform', 'on', false)")
        yield connection


def wait(connection: psycopg.Connection, statement: str, campaign_id: int) -> None:
    """Wait until a statement says true of a campaign."""
    deadline = time.monotonic() + _LIMIT_S
    while (row := connection.execute(statement, [campaign_id]).fetchone()) is None or not row[0]:
        if time.monotonic() > deadline:
            raise RuntimeError("the campaign was not sent in time")
        time.sleep(0.2)


def _peak_rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system doesn't tell a process's peak memory")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
