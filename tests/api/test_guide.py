"""The guide for systems is true: its lines of curl and its Python file run against a running server."""

import csv
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from tests.api.systems import system

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "api" / "README.md"
CLIENT = ROOT / "docs" / "api" / "todoke_client.py"
VISIT = {
    "電話番号": "", "管理番号": "", "氏名": "佐藤 花子", "訪問日": "12月10日", "訪問時間": "10時", "担当者": "山田",
    "用件": "点検", "郵便番号": "123-4567", "受付番号": "0489",
}  # fmt: skip


@pytest.fixture
def running(app):
    """A system's address and key, with the product listening."""
    made = system(app)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield {**os.environ, "TODOKE_URL": f"http://127.0.0.1:{server.port}", "TODOKE_KEY": made.key}
    server.shutdown()
    thread.join()
    server.server_close()


def _list(path, count):
    with path.open("w", encoding="utf-8", newline="") as lines:
        table = csv.DictWriter(lines, list(VISIT))
        table.writeheader()
        for n in range(count):
            table.writerow({**VISIT, "電話番号": f"090{2000 + n}5678", "管理番号": f"A-{n}"})
    return path


def _run(env, *command):
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the machine has no curl")
def test_the_quick_start_sends(running, database):
    (lines,) = re.findall(r"```sh\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    assert len(lines.splitlines()) <= 10
    done = subprocess.run(
        ["/bin/sh", "-euc", lines], env=running, capture_output=True, text=True, check=True, timeout=120
    )
    assert '"outcome":"sending"' in done.stdout
    assert '"reference":"A-1"' in done.stdout
    assert database.execute("SELECT count(*) FROM recipient WHERE sms_state = 'queued'").fetchone() == (1,)


def test_the_python_file_sends_once_however_often_it_runs(running, database, tmp_path):
    people = _list(tmp_path / "people.csv", 3)
    command = [sys.executable, str(CLIENT), "12月の点検", str(people)]
    said = {
        subprocess.run(command, env=running, capture_output=True, text=True, check=True, timeout=120).stdout
        for _ in range(2)
    }
    assert len(said) == 1
    assert said.pop().endswith(" sending\n")
    assert database.execute("SELECT count(*) FROM campaign WHERE name = '12月の点検'").fetchone() == (1,)
    assert database.execute("SELECT count(*) FROM recipient WHERE sms_state = 'queued'").fetchone() == (3,)


def test_the_python_file_names_the_rows_to_mend(running, tmp_path):
    people = _list(tmp_path / "people.csv", 2)
    people.write_text(people.read_text("utf-8").replace("09020015678", "0312345678"), "utf-8")
    done = _run(running, sys.executable, str(CLIENT), "まちがい", str(people))
    assert done.returncode == 1
    assert "2 電話番号 固定電話の番号です。" in done.stderr


def test_the_python_file_is_short_and_needs_nothing_else():
    text = CLIENT.read_text("utf-8")
    assert len(text.splitlines()) <= 150
    modules = set(re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE))
    assert modules <= set(sys.stdlib_module_names)
