"""The product's own programs, started as they are in production, talking to the sandbox."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask

from dev.process import kill_tree, spawn, stop, tail
from sandbox import doors
from sandbox.harness import Sandbox
from tests.launched import launched, sandbox, tuned

__all__ = ["launched", "sandbox", "tuned"]

ROOT = Path(__file__).parents[2]


@dataclass(slots=True)
class Program:
    """A running program of the product."""

    process: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """End it as a failing machine would."""
        kill_tree(self.process)

    def end(self, limit_s: float = 60) -> int:
        """Ask it to end; give its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(limit_s)

    def told(self) -> str:
        """Return the end of its log."""
        return tail(self.log, lines=200)


@pytest.fixture
def start(
    app: Flask, environment: dict[str, str], sandbox: Sandbox, tmp_path: Path
) -> Iterator[Callable[..., Program]]:
    """Start `flask --app wsgi …` with short leases and frequent sweeps; what still runs at the end is stopped.

    `dies`, `freezes` and `jumps` name the point of its way at which it kills or stops itself, or puts its clock wrong
    (`bench.fault_injection`).
    """
    del app
    env = {
        **os.environ,
        **environment,
        **doors.environment(sandbox.url),
        "BATCH_ROWS": "50",
        "SEND_CONNECTIONS": "10",
        "SEND_TIMEOUT_S": "2",
        "LEASE_S": "5",
        "UNKNOWN_SETTLE_S": "4",
        "GATEWAY_SETTLE_S": "4",
        "ABSENCE_GAP_S": "1",
        "SWEEP_S": "1",
    }
    with ExitStack() as running:

        def run(*arguments: str, dies: str = "", freezes: str = "", jumps: str = "", **more: str) -> Program:
            log = tmp_path / f"{'-'.join(arguments)}-{time.monotonic_ns()}.log"
            acts = {"kill": dies, "freeze": freezes, "jump+1h": jumps}
            doom = next(([act, point, "1"] for act, point in acts.items() if point), None)
            program = ["bench.fault_injection", *doom] if doom else ["flask", "--app", "wsgi"]
            process = spawn([sys.executable, "-m", *program, *arguments], log=log, env={**env, **more}, cwd=ROOT)
            running.callback(stop, process)
            return Program(process, log)

        yield run
