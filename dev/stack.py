"""The whole product on one machine: servers, database, web, workers, scheduler, sandbox.

The demo, the browser run and the benches start it alike and differ in the folder, the ports and whether data may be
lost. In: a folder and the environment. Out: running programs, and the environment they read. Can't happen here: a
program left running after `stop`.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from app import limits
from app.config import new_secrets
from app.web import request_guard
from dev.postgres import remove_postgres
from dev.process import DevError, free_port, kill_tree, spawn, stop, tail, wait_until, write_secret
from dev.provision import provision, unprovision
from dev.servers import Servers, check_database, check_redis, start_servers
from sandbox import doors

ROOT = Path(__file__).parents[1]
LINK_BASE_URL = "https://todoke.example"
QUEUES = ("intake", "delivery", "tracking", "webhooks")

# limits that the web server holds by itself: see docs/install.md and app/web/request_guard.py
SERVER_LIMITS = (
    *("--blocking-threads", str(request_guard.SERVER_THREADS)),
    *("--http", "1", "--http1-header-read-timeout", "10000", "--http1-buffer-size", str(limits.HEAD)),
    *("--backlog", "4096", "--backpressure", "2048"),
)

_READY_LIMIT_S = 60
_COMMAND_LIMIT_S = 300


@dataclass(slots=True)
class Stack:
    """One product, kept in `folder`.

    A port of 0 takes a free one; `durable=False` is for tests alone.

    Use it as a context, or `prepare`, `seed`, `start` and `stop`. `accounts` may log in once it is seeded; `programs`
    holds the running ones by name: sandbox, web, intake, delivery, tracking, webhooks, scheduler.
    """

    folder: Path
    web_port: int = 0
    sandbox_port: int = 0
    postgres_port: int = 0
    redis_port: int = 0
    durable: bool = True
    extra_env: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    env: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    programs: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict, init=False)
    servers: Servers | None = field(default=None, init=False)
    accounts: list[dict[str, str]] = field(default_factory=list, init=False, repr=False)

    def __enter__(self) -> Self:
        """Prepare, seed and start everything."""
        try:
            self.prepare()
            self.seed()
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything."""
        self.stop()

    @property
    def web_url(self) -> str:
        """Where the back office and the recipients' pages are."""
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def sandbox_url(self) -> str:
        """Where the stand-in carrier and payment provider are."""
        return f"http://127.0.0.1:{self.sandbox_port}"

    def log(self, name: str) -> Path:
        """Name a program's or server's log."""
        if name in ("postgres", "valkey"):
            return self.folder / name / f"{name}.log"
        return self.folder / "log" / f"{name}.log"

    def prepare(self) -> None:
        """Start the servers, make the database, bring it to the newest migration.

        Raises DevError.
        """
        (self.folder / "log").mkdir(parents=True, exist_ok=True)
        self.web_port = self.web_port or free_port()
        self.sandbox_port = self.sandbox_port or free_port()
        kept = _secrets(self.folder / "secrets.json")
        self.servers = start_servers(
            self.folder,
            password=kept["SERVER_PASSWORD"],
            durable=self.durable,
            postgres_port=self.postgres_port,
            redis_port=self.redis_port,
            environ=self.environ,
        )
        _claim_redis(self.servers.redis_url, kept["DATABASE"])
        self.env = {
            **self.environ,
            "TODOKE_ENV": "demo",
            **{name: kept[name] for name in ("SECRET_KEY", "FIELD_KEYS", "DIGEST_KEY")},
            **provision(self.servers.database_url, kept["DATABASE"], kept["APP_PASSWORD"]),
            "REDIS_URL": self.servers.redis_url,
            "LINK_BASE_URL": LINK_BASE_URL,
            "PUBLIC_BASE_URL": self.web_url,
            "TRUSTED_HOSTS": "127.0.0.1,localhost,todoke.example",
            **doors.environment(self.sandbox_url),
            "OUTSIDE_DIR": str((self.folder / "outside").absolute()),
            "WEBHOOK_LOCAL_ADDRESSES": "127.0.0.1",
            "LOG_FORMAT": "json",
            "SANDBOX_PORT": str(self.sandbox_port),
            "SANDBOX_JOURNAL": str(self.folder / "sandbox.jsonl"),
            "SANDBOX_LINK_MAP": json.dumps({LINK_BASE_URL: self.web_url}),
            "PYTHONUNBUFFERED": "1",
            **self.extra_env,
        }
        self.flask("db", "upgrade")

    def seed(self, *options: str) -> None:
        """Put the demo's companies in where they are missing, and take over what `flask seed-demo` tells of them.

        `accounts` lists who may log in; `sandbox` holds settings for the sandbox, such as where it reports to.
        """
        for line in reversed(self.flask("seed-demo", *options).splitlines()):
            if line.startswith("{"):
                told = json.loads(line)
                self.accounts = told["accounts"]
                self.env |= told["sandbox"]
                return
        raise DevError(
            f"flask seed-demo told no accounts. The end of {self.log('commands')}:\n{tail(self.log('commands'))}"
        )

    def flask(self, *arguments: str) -> str:
        """Run a flask command to its end and give what it printed.

        Raises DevError with its log's end.
        """
        log = self.log("commands")
        with log.open("ab") as errors:
            done = subprocess.run(
                [sys.executable, "-m", "flask", "--app", "wsgi", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=self.env,
                cwd=ROOT,
                timeout=_COMMAND_LIMIT_S,
                check=False,
            )
        if done.returncode != 0:
            raise DevError(
                f"flask {' '.join(arguments)} failed (exit {done.returncode}). The end of {log}:\n{tail(log)}"
            )
        return done.stdout.decode()

    def start(self) -> None:
        """Start the programs and wait until the web server and the sandbox answer."""
        for name in ("sandbox", "web", *QUEUES, "scheduler"):
            self.restart(name)
        for name in ("sandbox", "web"):
            self.wait_for(name)

    def wait_for(self, name: str) -> None:
        """Wait until the web server or the sandbox answers. Raises DevError."""
        ready = partial(answers, f"{self.web_url}/healthz" if name == "web" else f"{self.sandbox_url}/")
        wait_until(ready, self.programs[name], name=name, log=self.log(name), limit_s=_READY_LIMIT_S)

    def processes(self) -> dict[str, subprocess.Popen[bytes]]:
        """Return what runs by name: postgres and valkey where they are our own, and the programs."""
        return {**(self.servers.processes() if self.servers else {}), **self.programs}

    def restart(self, name: str) -> None:
        """Start a program or server, in the place of one that ended. Raises DevError."""
        if self.servers and name in self.servers.processes():
            self.servers.restart(name)
        else:
            self.programs[name] = spawn(self._command(name), log=self.log(name), env=self.env, cwd=ROOT)

    def kill(self, name: str) -> None:
        """Kill -9 a program with everything it started, as a failing machine would."""
        kill_tree(self.processes()[name])

    def stop(self) -> None:
        """Stop the programs, then the servers."""
        for process in self.programs.values():
            if process.poll() is None:
                process.terminate()
        for process in self.programs.values():
            stop(process)
        self.programs.clear()
        if self.servers:
            self.servers.stop()
            self.servers = None

    def _command(self, name: str) -> list[str]:
        python = [sys.executable, "-m"]
        if name == "web":
            return serve("wsgi:app", self.web_port)
        if name == "sandbox":
            return [*python, "sandbox"]
        if name == "scheduler":
            return [*python, "flask", "--app", "wsgi", "scheduler"]
        return [*python, "flask", "--app", "wsgi", "worker", name]


def serve(target: str, port: int) -> list[str]:
    """Return the command of the web server, for a WSGI application named as module:name."""
    granian = ["granian", "--interface", "wsgi", "--no-ws", "--workers", "1", *SERVER_LIMITS]
    return [sys.executable, "-m", *granian, "--host", "127.0.0.1", "--port", str(port), target]


def remove(folder: Path, environ: Mapping[str, str] = os.environ) -> None:
    """Remove everything a stopped stack kept, also from the servers that `environ` names. Raises DevError."""
    if (folder / "secrets.json").exists():
        database = _secrets(folder / "secrets.json")["DATABASE"]
        if url := environ.get("DATABASE_URL"):
            check_database(url)
            unprovision(url, database)
        if url := environ.get("REDIS_URL"):
            check_redis(url)
            with redis.Redis.from_url(url) as client:
                if client.exists(_redis_mark(database)):
                    client.flushdb()
    remove_postgres(folder / "postgres")
    shutil.rmtree(folder, ignore_errors=True)


def _claim_redis(url: str, database: str) -> None:
    """Refuse a Redis database that holds what is not ours."""
    with redis.Redis.from_url(url) as client:
        if client.dbsize() and not client.exists(_redis_mark(database)):
            raise DevError("REDIS_URL: this database number is in use; name an empty one, e.g. redis://127.0.0.1/5")
        client.set(_redis_mark(database), 1)


def _redis_mark(database: str) -> str:
    return f"todoke:stack:{database}"


def _secrets(path: Path) -> dict[str, str]:
    """Read the folder's secrets, made on its first run."""
    if path.exists():
        kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        return kept
    made = {
        **new_secrets(demo=True),
        "SERVER_PASSWORD": secrets.token_urlsafe(24),
        "APP_PASSWORD": secrets.token_urlsafe(24),
        # A name unlike any other: the server may be shared.
        "DATABASE": f"todoke_{secrets.token_hex(4)}",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    write_secret(new, json.dumps(made, indent=1))
    new.rename(path)
    return made


def answers(url: str) -> bool:
    """Return whether a web server answers there."""
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own address
            return True
    except (urllib.error.URLError, OSError):
        return False
