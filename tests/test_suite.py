"""Rules that the tests themselves keep to."""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent


def borrowed(source: str) -> Iterator[int]:
    """Yield the lines that import a test module, or something out of one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module or ''}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        if any(name.startswith("tests.") and ".test_" in name for name in names):
            yield node.lineno


def test_an_import_from_a_test_module_is_found() -> None:
    lines = [
        "from app.tests import test_sms",
        "from tests import factories, test_vault",
        "import tests.jobs.test_worker",
        "from tests.intake.lists import upload",
        "from app.delivery import test_sms",
    ]
    assert list(borrowed("\n".join(lines))) == [2, 3]


def test_shared_helpers_live_in_a_conftest_or_a_module_of_their_own() -> None:
    """A fixture out of a test module ties two tests together that have nothing to do with each other."""
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted(TESTS.rglob("*.py"))
        for line in borrowed(path.read_text(encoding="utf-8"))
    ]
    assert found == []
