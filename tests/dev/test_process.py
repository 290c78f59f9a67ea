import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from dev.process import (
    DevError,
    describe_end,
    free_port,
    kill_tree,
    need_port,
    on_a_port,
    port_is_free,
    spawn,
    stop,
    tail,
    wait_gone,
    wait_until,
    write_secret,
)
from tests.waiting import until

ROOT = Path(__file__).parents[2]
# Starts a child in a process group of its own, as RQ's worker does, says its number, waits.
_WITH_CHILD = """
import os, sys, time
child = os.fork()
if child == 0:
    os.setpgrp()
    time.sleep(60)
print(child, flush=True)
time.sleep(60)
"""
# Starts a child through spawn, says its number, waits.
_WITH_SPAWNED = """
import sys, time
from pathlib import Path
from dev.process import spawn
from tests.waiting import until
print(spawn([sys.executable, "-c", "import time; time.sleep(60)"], log=Path(sys.argv[1])).pid, flush=True)
time.sleep(60)
"""
_STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def _said(log: Path) -> bool:
    return log.exists() and log.read_text().endswith("\n")


def _gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_program_is_killed_with_what_it_started_in_groups_of_their_own(tmp_path):
    log = tmp_path / "log"
    process = spawn([sys.executable, "-c", _WITH_CHILD], log=log)
    wait_until(lambda: _said(log), process, name="it", log=log, limit_s=30)
    child = int(log.read_text())
    kill_tree(process)
    assert describe_end(process) == "killed by SIGKILL"
    until(lambda: _gone(child))


def test_what_a_program_left_behind_is_killed_after_its_own_end(tmp_path):
    log = tmp_path / "log"
    process = spawn([sys.executable, "-c", _WITH_CHILD], log=log)
    wait_until(lambda: _said(log), process, name="it", log=log, limit_s=30)
    child = int(log.read_text())
    process.kill()
    process.wait()
    assert not _gone(child)
    kill_tree(process)
    until(lambda: _gone(child))


def test_a_program_that_ignores_the_request_is_ended_after_the_grace(tmp_path):
    log = tmp_path / "log"
    process = spawn([sys.executable, "-c", _STUBBORN], log=log)
    wait_until(lambda: _said(log), process, name="it", log=log, limit_s=30)
    stop(process, grace_s=0.2)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux's")
def test_a_program_ends_when_its_parent_is_killed(tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-c", _WITH_SPAWNED, tmp_path / "log"], stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert parent.stdout
    with parent.stdout:
        child = int(parent.stdout.readline())
    assert not _gone(child)
    parent.kill()
    parent.wait()
    until(lambda: _gone(child))


def test_a_program_that_ends_at_once_is_told_with_its_last_words(tmp_path):
    log = tmp_path / "log"
    process = spawn([sys.executable, "-c", "import sys; sys.exit('no such disk')"], log=log)
    with pytest.raises(DevError, match=r"ended at once \(exit 1\)(?s:.*)no such disk"):
        wait_until(lambda: False, process, name="it", log=log, limit_s=30)


def test_a_program_that_is_never_ready_is_ended(tmp_path):
    log = tmp_path / "log"
    process = spawn([sys.executable, "-c", "import time; time.sleep(60)"], log=log)
    with pytest.raises(DevError, match="not ready"):
        wait_until(lambda: False, process, name="it", log=log, limit_s=0.1)
    assert process.poll() is not None


def test_a_taken_port_is_refused_by_the_name_of_its_setting():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert not port_is_free(port)
        with pytest.raises(DevError, match=rf"(?s)Port {port} .*DEMO_PORT=.*使用中"):
            need_port(port, "DEMO_PORT")
    assert port_is_free(port)
    need_port(port, "DEMO_PORT")


def test_a_free_port_taken_in_between_is_replaced_and_a_given_one_is_not():
    tried = []

    def start(port: int) -> int:
        tried.append(port)
        if len(tried) == 1:
            taken.bind(("127.0.0.1", port))
            taken.listen()
            raise DevError("address in use")
        return port

    with socket.socket() as taken:
        assert on_a_port(start, 0) == tried[1] != tried[0]
    with socket.create_server(("127.0.0.1", 0)) as other:
        given, tried[:] = other.getsockname()[1], []

        def fail(port: int) -> int:
            tried.append(port)
            raise DevError("address in use")

        with pytest.raises(DevError, match="address in use"):
            on_a_port(fail, given)
        assert tried == [given]


def test_a_pid_file_whose_pid_another_program_took_is_stale(tmp_path):
    pid_file = tmp_path / "pid"
    pid_file.write_text(f"{os.getpid()}\nmore\n")
    wait_gone(pid_file, "postgres")
    assert not pid_file.exists()
    wait_gone(pid_file, "postgres")


def test_a_server_that_still_uses_a_folder_is_named(tmp_path):
    pid_file = tmp_path / "pid"
    pid_file.write_text(str(os.getpid()))
    with pytest.raises(DevError, match=f"process {os.getpid()}"):
        wait_gone(pid_file, psutil.Process().name(), limit_s=0.1)


def test_a_secret_is_its_owners_alone(tmp_path):
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o666)
    write_secret(path, "new")
    assert (path.stat().st_mode & 0o777, path.read_text()) == (0o600, "new")


def test_the_end_of_a_log(tmp_path):
    (tmp_path / "log").write_text("".join(f"{n}\n" for n in range(100)))
    assert tail(tmp_path / "log", 3) == "97\n98\n99"
    assert tail(tmp_path / "none") == ""
    assert free_port() > 0
