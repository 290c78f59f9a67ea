"""`make lock`: solve requirements.lock (production) and requirements-dev.lock from pyproject.toml.

uv solves for all platforms at once and writes hashes but no address; it lives in a virtual environment thrown away
afterwards. pip's folders of wheels are left aside: such a folder knows the hash of one machine's wheel, the index those
of all. A mirror is named to uv in UV_DEFAULT_INDEX.
"""

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


def main() -> None:
    """Write both locks; the second installs what the first does and more."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
        uv = [str(python), "-m", "uv", "pip", "compile", *_SOLVE, *sys.argv[1:]]
        production = [*uv, "-o", "requirements.lock"]
        develop = [*uv, "--extra", "dev", "-c", "requirements.lock", "-o", "requirements-dev.lock"]
        for command in (production, develop):
            subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
