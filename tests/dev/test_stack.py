"""The demo's programs are those of production."""

import re
from pathlib import Path

from dev.stack import serve

INSTALL = Path(__file__).parents[2] / "docs" / "install.md"


def _options(words: list[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for word in words:
        if word.startswith("--"):
            named[word] = ""
        elif named:
            named[list(named)[-1]] += word
    return named


def test_the_demo_and_the_benches_run_the_web_server_that_production_is_told_to_run() -> None:
    told = re.search(r"`granian ([^`]+)`", INSTALL.read_text(encoding="utf-8"))
    assert told
    ours, theirs = _options(serve("wsgi:app", 8000)[3:]), _options(told[1].split())
    assert ours.pop("--workers") == "1"  # a demo's machine is small
    assert theirs.pop("--workers") == "2"
    assert ours == theirs
