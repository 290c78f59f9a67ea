"""`make demo`: the whole product on this machine, watched over until Ctrl-C.

In: DEMO_PORT, SANDBOX_PORT, DEMO_PG_PORT, DEMO_REDIS_PORT, and DATABASE_URL and REDIS_URL where servers are named. Out:
a banner that says where to go, and an exit status: 0 stopped by the user, 1 it failed, 2 something to mend first. Can't
happen here: two demos on one folder, data lost between runs, a program left running.
"""

import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from dev.process import DevError, describe_end, kill_tree, need_port, port_is_free
from dev.stack import ROOT, Stack, remove

FOLDER = ROOT / ".demo"
DEFAULT_PORT = 8000

_WATCH_S = 0.2
_STEADY_S = 30  # who ran this long begins anew with the shortest pause
_LONGEST_PAUSE_S = 30


class Mend(Exception):  # noqa: N818 - what the user does about it
    """The demo can't start as things are; the message says what to do."""


def main() -> int:
    """Run one command, `up` or `reset`."""
    try:
        if sys.argv[1:] == ["reset"]:
            return reset(FOLDER, os.environ)
        return up(FOLDER, os.environ)
    except Mend as fault:
        print(f"\n{fault}", file=sys.stderr)
        return 2
    except DevError as fault:
        print(f"\n{fault}", file=sys.stderr)
        return 1


def reset(folder: Path, environ: Mapping[str, str]) -> int:
    """Remove the demo's data. Raises Mend while a demo runs, DevError."""
    with _only_one(folder):
        remove(folder, environ)
    print("デモのデータを削除しました。`make demo` で最初から始まります。")
    print("The demo's data are gone; `make demo` begins anew.")
    return 0


def up(folder: Path, environ: Mapping[str, str]) -> int:
    """Start everything, say where it is, watch over it until Ctrl-C or SIGTERM, stop it. Raises Mend, DevError."""
    with _only_one(folder):
        stack = _stack(folder, environ)
        _keep_last_logs(folder / "log")
        # Said for SIGINT too: a shell starts what it puts into the background with Ctrl-C ignored.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _interrupt)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup does
            signal.signal(signal.SIGHUP, _interrupt)
        try:
            _say("データベースを準備しています…", "preparing the database")
            stack.prepare()
            _remember_ports(stack)
            stack.seed("--standby")
            _say("起動しています…", "starting web, workers, scheduler and sandbox")
            stack.start()
            print(banner(stack), flush=True)
            watch(stack)
        except KeyboardInterrupt:
            _say("停止しています…", "stopping")
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            stack.stop()
        _say("停止しました。データは残っています。", "stopped; the data are kept")
        return 0


def watch(stack: Stack) -> None:
    """Start whatever dies again, after a pause that grows while it keeps dying.

    Ends by KeyboardInterrupt only.
    """
    lives = {name: _Life(time.monotonic()) for name in stack.processes()}
    while True:
        time.sleep(_WATCH_S)
        now = time.monotonic()
        for name, process in stack.processes().items():
            life = lives[name]
            if process.poll() is None:
                continue
            if life.due is None:
                kill_tree(process)  # what it left behind
                pause = life.died(now)
                _say(
                    f"{name} が停止しました。{pause:.0f}秒後に再起動します。",
                    f"{name} ended ({describe_end(process)}); starting again in {pause:.0f} s, see {stack.log(name)}",
                )
            elif now >= life.due:
                try:
                    stack.restart(name)
                except DevError as fault:
                    _say(f"{name} を再起動できませんでした。", str(fault))
                    life.due = now + life.pause
                else:
                    life.born(time.monotonic())


@dataclass(slots=True)
class _Life:
    """How long a program has run, and when it starts again."""

    since: float
    pause: float = 0
    due: float | None = None

    def died(self, now: float) -> float:
        """Return the pause until the next start, seconds."""
        steady = now - self.since > _STEADY_S
        self.pause = 1 if steady or not self.pause else min(self.pause * 2, _LONGEST_PAUSE_S)
        self.due = now + self.pause
        return self.pause

    def born(self, now: float) -> None:
        self.since, self.due = now, None


def banner(stack: Stack) -> str:
    """Describe where to go and who may log in."""
    lines = [
        "",
        "=" * 78,
        "  届け Todoke のデモが動いています / the Todoke demo is running",
        "",
        f"  管理画面 back office              {stack.web_url}/admin/",
        f"  疑似の携帯電話 stand-in phone     {stack.sandbox_url}/phone",
        f"  疑似の決済・SMS sandbox           {stack.sandbox_url}/",
        "",
        "  ログイン demo accounts",
        *map(_account, stack.accounts),
        "",
        f"  ログ logs: {_shown(stack.folder / 'log')}/<name>.log",
        "  Ctrl-C で停止（データは残ります） / Ctrl-C stops everything and keeps the data",
        "  最初からやり直すには make demo-reset / make demo-reset begins anew",
        "=" * 78,
    ]
    return "\n".join(lines)


def _account(account: Mapping[str, str]) -> str:
    company = account.get("tenant_code") or "-"
    return f"    {account['role']:<9} {company:<10} {account['email']:<30} {account['password']}"


def _shown(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def _stack(folder: Path, environ: Mapping[str, str]) -> Stack:
    """Choose the ports: as told, or the usual ones for people and for the servers those of the last run."""
    web = _port(environ, "DEMO_PORT") or DEFAULT_PORT
    sandbox = _port(environ, "SANDBOX_PORT") or web + 1
    postgres, valkey = _port(environ, "DEMO_PG_PORT"), _port(environ, "DEMO_REDIS_PORT")
    if sandbox == web:
        raise Mend("DEMO_PORT and SANDBOX_PORT must differ. / DEMO_PORT と SANDBOX_PORT は別の番号にしてください。")
    for port, setting in (
        (web, "DEMO_PORT"),
        (sandbox, "SANDBOX_PORT"),
        (postgres, "DEMO_PG_PORT"),
        (valkey, "DEMO_REDIS_PORT"),
    ):
        if port:
            try:
                need_port(port, setting)
            except DevError as fault:
                raise Mend(str(fault)) from None
    last: dict[str, int] = {}
    with contextlib.suppress(OSError, ValueError):
        last = json.loads((folder / "ports.json").read_text(encoding="utf-8"))
    remembered = {name: port if port_is_free(port) else 0 for name, port in last.items()}
    return Stack(
        folder,
        web_port=web,
        sandbox_port=sandbox,
        postgres_port=postgres or remembered.get("postgres", 0),
        redis_port=valkey or remembered.get("redis", 0),
        environ=environ,
    )


def _port(environ: Mapping[str, str], name: str) -> int:
    raw = environ.get(name, "")
    if not raw:
        return 0
    if not (raw.isascii() and raw.isdigit() and 1 <= int(raw) <= 65534):  # noqa: PLR2004 - one is left for the sandbox
        raise Mend(f"{name} must be a port, 1 to 65534. / {name} には 1〜65534 の番号を指定してください。")
    return int(raw)


def _remember_ports(stack: Stack) -> None:
    servers = stack.servers
    if servers:
        ports = {name: own.port for name, own in (("postgres", servers.postgres), ("redis", servers.valkey)) if own}
        (stack.folder / "ports.json").write_text(json.dumps(ports), encoding="utf-8")


def _keep_last_logs(folder: Path) -> None:
    for log in folder.glob("*.log"):
        log.rename(log.with_suffix(".log.1"))


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the system frees it however this process ends.

    Raises Mend when another holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise Mend(
                f"A demo is already running here (process {lock.read().strip()}); stop it with Ctrl-C first.\n"
                "このフォルダではデモがすでに動いています。先に Ctrl-C で停止してください。"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(japanese: str, english: str) -> None:
    print(f"{japanese} / {english}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
