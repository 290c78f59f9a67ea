"""Check what no linter knows: addresses in locks, own paths, whole sentences, modules' state, migrations that match."""

import ast
import io
import re
import subprocess
import sys
import tempfile
import tokenize
from collections.abc import Iterable
from pathlib import Path

from dev.module_state import module_state
from dev.process import DevError
from dev.stack import ROOT, Stack, remove

_ADDRESS = re.compile(r"://|^\s*--(?:index-url|extra-index-url|find-links|trusted-host)", re.MULTILINE)
# a sentence that begins so and is no question has no subject: "What stands between …"
# a comment begins in lower case too: "what stands between …"
_HEADLESS = re.compile(r"(?:^|[.;:!?]\s+)((?:^[Ww]|W)(?:ho|hom|hose|hat)\b[^.?]*)(?!\?)(?:[.]|$)")


def main() -> int:
    """Print each fault; 1 if there is any."""
    faults = [
        *addresses_in_locks(sorted(ROOT.glob("requirements*.lock"))),
        *own_paths(ROOT, files(ROOT)),
        *headless(ROOT, (path for path in files(ROOT) if path.suffix == ".py")),
        *module_state(ROOT, files(ROOT)),
        *migrations(),
    ]
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def addresses_in_locks(locks: Iterable[Path]) -> list[str]:
    """Name the lines of locks that tell where packages come from: that is each machine's own affair."""
    return [
        f"{lock.name}:{number}: a lock holds no address: {line.strip()}"
        for lock in locks
        for number, line in enumerate(lock.read_text(encoding="utf-8").splitlines(), 1)
        if _ADDRESS.search(line)
    ]


def files(root: Path) -> list[Path]:
    """List the files that are, or may be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - the developer's git
        cwd=root,
        capture_output=True,
        check=True,
    ).stdout
    return [path for name in listed.decode().split("\0") if name and (path := root / name).is_file()]


def own_paths(root: Path, paths: Iterable[Path]) -> list[str]:
    """Name the lines that hold the absolute path of the project's folder: they are wrong on every other machine."""
    if len(root.parts) < 3:  # noqa: PLR2004 - /app and its like stand in many texts for other reasons
        return []
    own = re.compile(rb"(?<![\w.-])" + re.escape(str(root).encode()) + rb"(?![\w.-])")
    return [
        f"{path.relative_to(root)}:{number}: holds this machine's path of the project"
        for path in paths
        for number, line in enumerate(path.read_bytes().split(b"\n"), 1)
        if own.search(line)
    ]


def headless(root: Path, paths: Iterable[Path]) -> list[str]:
    """Name the sentences of docstrings and comments that begin with a bare Who, Whom, Whose or What."""
    return [
        f"{path.relative_to(root)}:{line}: a sentence without a subject: {found[1][:60]}"
        for path in paths
        for line, text in sorted(_prose(path.read_text("utf-8")).items())
        for found in _HEADLESS.finditer(text)
    ]


def _prose(source: str) -> dict[int, str]:
    """Return docstrings, attributes' too, and comments that stand on lines of their own, by their first lines."""
    found = {}
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                found[node.lineno] = " ".join(text.split())
    begun = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and token.line.lstrip().startswith("#"):
            begun = begun if token.start[0] == last + 1 else token.start[0]
            last = token.start[0]
            found[begun] = f"{found.get(begun, '')} {token.string.lstrip('# ')}".strip()
    return found


def migrations() -> list[str]:
    """Compare a freshly migrated database with the models."""
    folder = Path(tempfile.mkdtemp(prefix="todoke-lint-"))
    stack = Stack(folder, durable=False)
    try:
        stack.prepare()
        stack.flask("db", "check")
    except DevError as fault:
        return [str(fault)]
    finally:
        stack.stop()
        remove(folder)
    return []


if __name__ == "__main__":
    sys.exit(main())
