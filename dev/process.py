"""Child processes that can be stopped whole and that end with their parent; ports."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

_LAUNCH = Path(__file__).with_name("launch.py")
_POLL_S = 0.02
_PORT_TRIES = 5
_KILL_LIMIT_S = 5

T = TypeVar("T")


class DevError(Exception):
    """Something the developer can mend; the message says what and how."""


@dataclass(frozen=True, slots=True)
class User:
    """A system user to run a program as."""

    uid: int
    gid: int


def spawn(
    argv: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: User | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, its output appended to `log`.

    `argv[0]` is a path. On Linux `death_signal` reaches the program when the thread that called this ends, even by
    kill -9: call it from the main thread.
    """
    uid, gid = (user.uid, user.gid) if user else (-1, -1)
    launcher = [sys.executable, "-I", "-S", _LAUNCH, os.getpid(), int(death_signal), uid, gid]
    with log.open("ab") as output:
        return subprocess.Popen(
            [str(word) for word in (*launcher, *argv)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(os.environ if env is None else env),
            cwd=cwd,
            start_new_session=True,
        )


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill -9 a program and everything it started, also when the program itself has ended already."""
    tree = signal_tree(process, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + _KILL_LIMIT_S
    while not all(map(_ended, tree)) and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def signal_tree(process: subprocess.Popen[bytes], which: signal.Signals) -> list[psutil.Process]:
    """Send a signal to a program and everything it started, and return whom it was sent to."""
    tree = _session(process.pid)
    if process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            tree += psutil.Process(process.pid).children(recursive=True)
    for child in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.send_signal(which)
    return tree


def _ended(process: psutil.Process) -> bool:
    """Return whether a process has ended; orphans may wait long for the system to clear them away."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _session(leader: int) -> list[psutil.Process]:
    """List the processes of a session: what a program started stays in it, process groups of its own included."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(process.pid) == leader:
                found.append(process)
    return found


def stop(process: subprocess.Popen[bytes], *, first: signal.Signals = signal.SIGTERM, grace_s: float = 10) -> None:
    """Ask a program to end, and after `grace_s` seconds end it with everything it started."""
    if process.poll() is None:
        process.send_signal(first)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    kill_tree(process)


def wait_until(
    ready: Callable[[], bool], process: subprocess.Popen[bytes], *, name: str, log: Path, limit_s: float
) -> None:
    """Wait until `ready()`.

    Raises DevError with the log's end when the program ends first or the time is over.
    """
    deadline = time.monotonic() + limit_s
    while not ready():
        if process.poll() is not None:
            raise DevError(f"{name} ended at once ({describe_end(process)}). The end of {log}:\n{tail(log)}")
        if time.monotonic() > deadline:
            kill_tree(process)
            raise DevError(f"{name} was not ready within {limit_s:.0f} s. The end of {log}:\n{tail(log)}")
        time.sleep(_POLL_S)


def describe_end(process: subprocess.Popen[bytes]) -> str:
    """Describe how a program ended."""
    code = process.returncode
    return f"killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit {code}"


def tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log."""
    with contextlib.suppress(OSError):
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    return ""


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text, encoding="utf-8")


def wait_gone(pid_file: Path, program: str, *, limit_s: float = 10) -> None:
    """Wait for an earlier server of the same folder to end, and remove a stale pid file.

    The pid stands in the file's first line. A pid that another program has taken since is stale. Raises DevError when
    the earlier server stays.
    """
    deadline = time.monotonic() + limit_s
    while True:
        try:
            pid = int(pid_file.read_text(encoding="ascii").split("\n", 1)[0])
            running = psutil.Process(pid).name().startswith(program)
        except (OSError, ValueError, psutil.Error):
            running = False
        if not running:
            pid_file.unlink(missing_ok=True)
            return
        if time.monotonic() > deadline:
            raise DevError(f"{program} (process {pid}) is still using {pid_file.parent}: stop it first (kill {pid})")
        time.sleep(_POLL_S)


def port_is_free(port: int) -> bool:
    """Return whether a server could listen on `port` now."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections are only closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """Find a free port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def on_a_port(start: Callable[[int], T], port: int) -> T:
    """Call `start` with `port`, or, where that is 0, with a free one, again when someone else took it in between."""
    for _ in range(_PORT_TRIES):
        chosen = port or free_port()
        try:
            return start(chosen)
        except DevError:
            if port != 0 or port_is_free(chosen):
                raise
    raise DevError("found no free port")


def need_port(port: int, setting: str) -> None:
    """Refuse a port that is taken, by the name of the setting that chooses another."""
    if not port_is_free(port):
        raise DevError(
            f"Port {port} is already in use. Choose another with {setting}, e.g. {setting}={free_port()} make demo\n"
            f"ポート {port} は使用中です。{setting} で別の番号を指定してください。"
        )
