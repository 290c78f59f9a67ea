"""`make lock`: solve requirements.lock (production) and requirements-dev.lock from pyproject.toml.

uv solves for all platforms at once and writes hashes but no address; it lives in a virtual environment thrown away
afterwards. Packages come from wherever this machine's pip is told to look.
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
_SOLVE = [
    *("--universal", "--python-version", "3.11", "--generate-hashes"),
    *("--no-emit-index-url", "--no-emit-find-links", "--no-header", "--quiet", "pyproject.toml"),
]
# pip's setting -> uv's variable
_PLACES = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS"}


def main() -> None:
    """Write both locks; the second installs what the first does and more."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
        environment = _places() | os.environ
        uv = [str(python), "-m", "uv", "pip", "compile", *_SOLVE, *sys.argv[1:]]
        production = [*uv, "-o", "requirements.lock"]
        develop = [*uv, "--extra", "dev", "-c", "requirements.lock", "-o", "requirements-dev.lock"]
        for command in (production, develop):
            subprocess.run(command, cwd=ROOT, env=environment, check=True)


def _places() -> dict[str, str]:
    """Tell uv where pip looks; uv doesn't read pip's settings."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    places = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        if variable := _PLACES.get(key.rpartition(".")[2]):
            places[variable] = " ".join(value.strip("'").replace("\\n", " ").split())
    return places


if __name__ == "__main__":
    main()
