import subprocess
from pathlib import Path

import pytest

from dev.lint import addresses_in_locks, files, headless, own_paths

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://pypi.example/simple",
        "    --extra-index-url=/srv/simple",
        "--find-links wheels",
        "flask @ https://files.example/flask-3.1-py3-none-any.whl",
    ],
)
def test_an_address_in_a_lock_is_found_at_its_line(tmp_path, line):
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"flask==3.1 \\\n    --hash=sha256:ab\n    # via todoke (pyproject.toml)\n{line}\n")
    assert addresses_in_locks([lock]) == [f"requirements.lock:4: a lock holds no address: {line.strip()}"]


def test_the_locks_hold_no_address():
    locks = sorted(ROOT.glob("requirements*.lock"))
    assert [lock.name for lock in locks] == ["requirements-dev.lock", "requirements.lock"]
    assert addresses_in_locks(locks) == []


def test_own_paths_are_found_in_what_may_be_committed_and_nothing_else(tmp_path):
    root = tmp_path / "deep" / "project"
    (root / "kept").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", root], check=True)  # noqa: S607 - the developer's git
    (root / ".gitignore").write_text("ignored\n")
    (root / "ignored").write_text(str(root))
    (root / "kept" / "notes").write_text(f"one\nsee {root}/kept\n")
    (root / "like").write_text(f"{root}-other and x{root} and .{root}\n")
    (root / "binary").write_bytes(b"\xff\x00\n" + str(root).encode() + b"\x00")
    assert sorted(own_paths(root, files(root))) == [
        "binary:2: holds this machine's path of the project",
        "kept/notes:2: holds this machine's path of the project",
    ]
    assert own_paths(Path("/app"), [root / "like"]) == []


def test_a_sentence_without_a_subject_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        '"""What stands here. Who\n    knows that?"""\n# A list. Whom it\n# names is called.\nX = 1\n'
        "# what no\n# other does\nY = 1\n# what else?\nZ = 1  # who it is\n",
        encoding="utf-8",
    )
    assert headless(tmp_path, [wrong]) == [
        "wrong.py:1: a sentence without a subject: What stands here",
        "wrong.py:3: a sentence without a subject: Whom it names is called",
        "wrong.py:6: a sentence without a subject: what no other does",
    ]
