import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dev.demo import Mend, banner, reset, up
from dev.process import free_port
from dev.stack import Stack

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("setting", ["DEMO_PORT", "SANDBOX_PORT", "DEMO_PG_PORT", "DEMO_REDIS_PORT"])
def test_a_taken_port_is_told_by_its_setting(tmp_path, setting):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = {"DEMO_PORT": str(free_port()), "SANDBOX_PORT": str(free_port()), setting: str(taken.getsockname()[1])}
        with pytest.raises(
            Mend, match=rf"(?s)Port {ports[setting]} is already in use.*{setting}=\d+ make demo.*使用中"
        ):
            up(tmp_path, ports)


@pytest.mark.parametrize("setting", ["DEMO_PORT", "SANDBOX_PORT"])
@pytest.mark.parametrize("value", ["0", "65535", "80x", "-1", "８０８０"])
def test_a_port_that_is_none_is_told(tmp_path, setting, value):
    with pytest.raises(Mend, match=f"{setting} must be a port"):
        up(tmp_path, {setting: value})


def test_the_two_ports_for_people_must_differ(tmp_path):
    with pytest.raises(Mend, match="must differ"):
        up(tmp_path, {"DEMO_PORT": "18000", "SANDBOX_PORT": "18000"})


def test_what_is_to_be_mended_is_told_in_both_languages_with_exit_2():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        told = subprocess.run(
            [sys.executable, "-m", "dev.demo"],
            cwd=ROOT,
            env=os.environ | {"DEMO_PORT": port},
            capture_output=True,
            text=True,
            check=False,
        )
    assert told.returncode == 2
    assert "Traceback" not in told.stderr
    # Another demo may run here while the tests do; then that is what is to be mended.
    assert "使用中" in told.stderr or "すでに動いています" in told.stderr


_HOLD = """
import sys, time
from pathlib import Path
from dev.demo import _only_one
with _only_one(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_demo_in_the_same_folder_is_refused_until_the_first_is_gone(tmp_path):
    first = subprocess.Popen([sys.executable, "-c", _HOLD, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert first.stdout
    with first.stdout:
        assert first.stdout.readline() == "held\n"
    for command in (up, reset):
        with pytest.raises(Mend, match=rf"(?s)already running here \(process {first.pid}\).*すでに動いています"):
            command(tmp_path, {})
    first.kill()
    first.wait()
    assert reset(tmp_path, {}) == 0


def test_the_banner_says_where_to_go_and_who_may_log_in(tmp_path):
    stack = Stack(tmp_path, web_port=18000, sandbox_port=18001)
    stack.accounts = [
        {"role": "operator", "tenant_code": "", "email": "op@todoke.example", "password": "one"},
        {"role": "clerk", "tenant_code": "midori", "email": "clerk@midori.example", "password": "two"},
    ]
    told = banner(stack)
    assert "http://127.0.0.1:18000/admin/" in told
    assert "http://127.0.0.1:18001/phone" in told
    lines = [line.split() for line in told.splitlines()]
    assert ["operator", "-", "op@todoke.example", "one"] in lines
    assert ["clerk", "midori", "clerk@midori.example", "two"] in lines
    assert str(tmp_path / "log") in told
