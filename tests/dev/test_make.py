import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _run(*argv, **environ) -> subprocess.CompletedProcess:
    return subprocess.run(argv, cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True, check=False)


def test_make_alone_explains_every_target():
    make = shutil.which("make")
    told = _run(make)
    assert told.returncode == 0
    phony = re.search(r"(?m)^\.PHONY: (.*)$", (ROOT / "Makefile").read_text())
    assert phony
    explained = re.findall(r"(?m)^  ([a-z0-9-]+) {2,}\S", told.stdout)
    assert explained == phony[1].split()


def test_a_machine_without_a_new_python_is_told_what_to_install(tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python3").write_text("#!/bin/sh\nexit 1\n")  # as an older one answers
    (programs / "python3").chmod(0o755)
    told = _run("/bin/sh", ROOT / "dev" / "venv.sh", tmp_path / "venv", "none.lock", PATH=str(programs))
    assert told.returncode == 2
    assert "Python 3.11 or newer is missing" in told.stderr
    assert "apt-get install python3 python3-venv" in told.stderr


def test_a_machine_without_the_module_venv_is_told_what_to_install(tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    # Debian's python3 without python3-venv: runs, leaves half an environment, fails.
    (programs / "python3").write_text(
        f'#!/bin/sh\nif [ "$1" = -m ]; then /bin/mkdir -p "$3/bin"; exit 1; fi\nexec {sys.executable} "$@"\n'
    )
    (programs / "python3").chmod(0o755)
    told = _run(
        "/bin/sh", ROOT / "dev" / "venv.sh", tmp_path / "venv", "none.lock", PATH=f"{programs}:/usr/bin:/bin", PYTHON=""
    )
    assert told.returncode == 2
    assert "apt-get install python3-venv" in told.stderr
    assert not (tmp_path / "venv").exists()
