"""The demo as a newcomer meets it: comes up, mends what dies, keeps the data, leaves nothing running."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dev.process import free_port
from dev.stack import remove

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
_UP = "import os, sys; from pathlib import Path; from dev.demo import up; sys.exit(up(Path(sys.argv[1]), os.environ))"
_LIMIT_S = 120


class _Demo:
    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port, self.output = folder, port, folder.with_suffix(".out")
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        ports = {"DEMO_PORT": str(self.port), "SANDBOX_PORT": str(free_port())}
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _UP, self.folder],
                cwd=ROOT,
                env=os.environ | ports,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.wait(lambda: "Ctrl-C" in self.said())

    def said(self) -> str:
        return self.output.read_text()

    def wait(self, condition) -> None:
        deadline = time.monotonic() + _LIMIT_S
        while not condition():
            assert self.process is not None
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)

    def program(self, *words: str) -> psutil.Process | None:
        assert self.process is not None
        for child in psutil.Process(self.process.pid).children():
            try:
                if all(word in child.cmdline() for word in words):
                    return child
            except psutil.NoSuchProcess:
                continue
        return None

    def healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@pytest.fixture
def demo(tmp_path) -> Iterator[_Demo]:
    made = _Demo(tmp_path / "demo", free_port())
    yield made
    if made.process and made.process.poll() is None:
        made.process.terminate()
        made.process.wait(60)
    remove(made.folder)


def test_the_demo_comes_up_mends_what_dies_and_leaves_nothing_running(demo):
    demo.start()
    assert demo.healthy()
    accounts = [line for line in demo.said().splitlines() if "@" in line]
    assert any(line.split()[0] == "clerk" for line in accounts)

    for words in (("worker", "delivery"), ("granian",)):
        killed = demo.program(*words)
        assert killed
        killed.kill()
        demo.wait(lambda words=words, pid=killed.pid: (now := demo.program(*words)) and now.pid != pid)
    demo.wait(demo.healthy)
    assert "delivery ended (killed by SIGKILL)" in demo.said()

    assert demo.process
    tree = psutil.Process(demo.process.pid).children(recursive=True)
    assert len(tree) > 8
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(60) == 0
    # An ended orphan may stay a zombie until the system clears it away.
    assert [process for process in tree if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []

    demo.start()
    assert [line for line in demo.said().splitlines() if "@" in line] == accounts
    demo.process.send_signal(signal.SIGTERM)
    assert demo.process.wait(60) == 0
