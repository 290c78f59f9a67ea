"""`python -m dev.problem_codes`: every code by which something is refused, with its Japanese.

In: the kinds of problems that the product's modules declare. Out: `docs/problem-codes.md`, by which programs that read
codes hold them to be stable: a test compares it with the product.
"""

import importlib
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from string import Formatter

from app import problems
from app.problems import Kind

TABLE = Path(__file__).parents[1] / "docs" / "problem-codes.md"

_PACKAGES = ("app", "admin_views", "public", "api", "callbacks", "jobs")
_HEAD = """\
# Problem codes

Why an act is refused, or what is wrong with a row of a list: a code that lasts, the sentence that screens show, and the
facts in it, by name ([app/problems.py](../app/problems.py)). Written by `python -m dev.problem_codes`. A new refusal
adds a row; a row that changes its code breaks whoever reads it.

| code | facts | Japanese |
|---|---|---|
"""


def declared() -> list[Kind]:
    """Import the whole product, and list the kinds of problems that it declares."""
    for package in _PACKAGES:
        path = importlib.import_module(package).__path__
        for module in pkgutil.walk_packages(path, f"{package}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    return problems.declared()


def facts_of(kind: Kind) -> list[str]:
    """Return the names of the facts that a kind's sentence tells, each once."""
    names = (name for _, name, _, _ in Formatter().parse(kind.template_ja) if name is not None)
    return list(dict.fromkeys(names))


def table(kinds: Sequence[Kind]) -> str:
    """Return the page."""
    rows = (
        f"| `{kind.code}` | {', '.join(facts_of(kind))} | {kind.template_ja.replace('|', chr(92) + '|')} |"
        for kind in kinds
    )
    return _HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    TABLE.write_text(table(declared()), "utf-8")
