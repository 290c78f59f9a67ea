"""`make bench-page`: the first page of a link, beside a bare Flask page on the same server, in the same run.

All servers stand ready, of one kind and with one worker each: the product with each number of recipients, and the bare
page (`bare_page.py`). They are asked in turns of some seconds, many times over, so that whatever else this machine does
falls on all of them; the figures are medians of the turns, `ratio` the median of each turn's own.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg
from psycopg import sql

from app import links
from app.config import Settings
from app.vault import Vault
from bench.report import report
from dev.process import DevError, free_port, spawn, stop, wait_until
from dev.servers import plain_url
from dev.stack import ROOT, Stack, answers, remove, serve

FIELDS = ("rps", "p99_ms", "bare_flask_rps", "ratio", "rows")
ROWS = (10_000, 1_000_000)
_TURNS = 15
_TURN_S = 2
_CONNECTIONS = 16
_ASKED_FOR = 20_000  # different links, spread over all rows


@dataclass(frozen=True, slots=True)
class Target:
    """A server, and the file of the paths it is asked for."""

    url: str
    paths: Path


@dataclass(frozen=True, slots=True)
class Turn:
    """The figures of one turn of wrk."""

    rps: float
    p99_ms: float


def main(rows: tuple[int, ...] = ROWS) -> int:
    """Measure. Returns an exit status."""
    folder = Path(tempfile.mkdtemp(prefix="todoke-bench-"))
    stacks: list[Stack] = []
    try:
        wrk = _wrk()
        products = {count: _product(folder, count, stacks) for count in rows}
        bare, bare_process = _bare(folder, stacks[0])
        try:
            turns = _measure(wrk, {0: bare, **products})
        finally:
            stop(bare_process)
    except DevError as fault:
        print(fault, file=sys.stderr)
        return 1
    finally:
        # the first one's servers hold the others' databases
        for stack in reversed(stacks):
            stack.stop()
        for stack in reversed(stacks[1:]):
            shutil.rmtree(stack.folder, ignore_errors=True)
        if stacks:
            remove(stacks[0].folder)
        shutil.rmtree(folder, ignore_errors=True)
    report("bench-page", FIELDS, [_run(count, turns[count], turns[0]) for count in rows], sys.stdout)
    return 0


def _wrk() -> str:
    program = shutil.which("wrk")
    if program is None:
        raise DevError("wrk is missing. On Debian: apt-get install wrk")
    return program


def _product(folder: Path, rows: int, stacks: list[Stack]) -> Target:
    """Start the product's web server with so many recipients; the first one's PostgreSQL and Valkey serve all."""
    name = f"rows-{rows}"
    environ: Mapping[str, str] = {}
    if stacks and (servers := stacks[0].servers):
        environ = {
            "DATABASE_URL": servers.database_url,
            "REDIS_URL": f"{servers.redis_url.rpartition('/')[0]}/{len(stacks)}",
        }
    stack = Stack(folder / name, durable=False, environ=environ)
    stacks.append(stack)
    stack.prepare()
    stack.seed()
    paths = folder / f"{name}.paths"
    paths.write_text("\n".join(f"/{token}" for token in people(stack.env, rows)), encoding="ascii")
    stack.restart("web")
    _wait(stack.web_url + "/healthz", stack.programs["web"], stack.log("web"))
    return Target(stack.web_url, paths)


def people(env: Mapping[str, str], rows: int) -> list[str]:
    """Put people with living links on the demo's list; give some of their tokens."""
    settings = Settings.from_env(env)
    vault = Vault()
    vault.load(settings.field_keys, settings.digest_key, settings.link_token_chars)
    step = max(1, rows // _ASKED_FOR)
    tokens = []
    with psycopg.connect(plain_url(env["DATABASE_OWNER_URL"]), autocommit=True) as owner:
        owner.execute("SELECT set_config('app.platform', 'on', false)")
        first = _value(owner, "SELECT nextval(pg_get_serial_sequence('recipient', 'id'))")
        owner.execute("CREATE TEMP TABLE made (id bigint, secret bytea, digest bytea)")
        with owner.cursor().copy("COPY made FROM STDIN") as copy:
            for number, secret in enumerate(links.draw_secrets(rows), start=first):
                token = vault.link_token(number, 1, secret)
                copy.write_row((number, secret, vault.token_digest(token)))
                if number % step == 0:
                    tokens.append(token)
        # links end at many different minutes, as those of a real list do
        owner.execute("""
            INSERT INTO recipient (id, tenant_id, campaign_id, identity_key, row_digest, phone_sealed, phone_index,
                phone_last4_index, fields_sealed, link_secret, token_digest, sms_state, link_expires_at)
            OVERRIDING SYSTEM VALUE
            SELECT m.id, c.tenant_id, c.id, substr(m.digest, 1, 16), substr(m.digest, 1, 16),
                decode(repeat('00', 45), 'hex'), substr(m.digest, 1, 16), substr(m.digest, 1, 8),
                decode(repeat('00', 220), 'hex'), m.secret, m.digest,
                'delivered', now() + interval '7 days' + m.id % 10080 * interval '1 minute'
            FROM made m, (SELECT id, tenant_id FROM campaign ORDER BY id LIMIT 1) c
        """)
        owner.execute("VACUUM ANALYZE recipient")
    return tokens


def _bare(folder: Path, stack: Stack) -> tuple[Target, "subprocess.Popen[bytes]"]:
    """Start the bare page, on a table of its own in the first product's PostgreSQL."""
    url = plain_url(stack.env["DATABASE_OWNER_URL"])
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("CREATE TABLE bare_page (id bigint PRIMARY KEY, name text NOT NULL, phone text NOT NULL)")
        owner.execute(
            sql.SQL(
                "INSERT INTO bare_page SELECT n, 'みどり損害保険', '0120-000-101' FROM generate_series(1, {}) n"
            ).format(sql.Literal(_ASKED_FOR))
        )
        owner.execute("VACUUM ANALYZE bare_page")
    paths = folder / "bare.paths"
    paths.write_text("\n".join(f"/{number}" for number in range(1, _ASKED_FOR + 1)), encoding="ascii")
    port = free_port()
    log = folder / "bare.log"
    process = spawn(serve("bench.bare_page:app", port), log=log, env=stack.env | {"BARE_DATABASE_URL": url}, cwd=ROOT)
    _wait(f"http://127.0.0.1:{port}/1", process, log)
    return Target(f"http://127.0.0.1:{port}", paths), process


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    wait_until(partial(answers, url), process, name=url, log=log, limit_s=60)


def _value(connection: psycopg.Connection[tuple[int]], statement: str) -> int:
    row = connection.execute(statement).fetchone()
    assert row is not None  # noqa: S101 - an aggregate or a sequence always answers
    return row[0]


def _measure(wrk: str, targets: Mapping[int, Target]) -> dict[int, list[Turn]]:
    for target in targets.values():
        _ask(wrk, target, 0)  # to warm up: not counted
    turns: dict[int, list[Turn]] = {key: [] for key in targets}
    for number in range(1, _TURNS + 1):
        for key, target in targets.items():
            turns[key].append(_ask(wrk, target, number))
    return turns


def _ask(wrk: str, target: Target, seed: int) -> Turn:
    script = str(Path(__file__).with_suffix(".lua"))
    shape = ["--threads", "1", "--connections", str(_CONNECTIONS), "--duration", f"{_TURN_S}s", "--script", script]
    done = subprocess.run(
        [wrk, *shape, target.url, "--", str(target.paths), str(seed)], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout.strip().splitlines()[-1])
    if told["errors"]:
        raise DevError(f"{target.url}: {told['errors']} of {told['requests']} requests failed")
    return Turn(told["requests"] / told["seconds"], told["p99_ms"])


def _run(rows: int, turns: list[Turn], bare: list[Turn]) -> dict[str, object]:
    return {
        "rps": statistics.median(turn.rps for turn in turns),
        "p99_ms": statistics.median(turn.p99_ms for turn in turns),
        "bare_flask_rps": statistics.median(turn.rps for turn in bare),
        "ratio": statistics.median(turn.rps / beside.rps for turn, beside in zip(turns, bare, strict=True)),
        "rows": rows,
    }


if __name__ == "__main__":
    sys.exit(main(tuple(map(int, sys.argv[1:])) or ROWS))
