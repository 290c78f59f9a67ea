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


def patched(source: str) -> Iterator[int]:
    """Yield the lines that change a private name of another module or object, or one that isn't written out.

    A value that a test must change is a parameter, a setting, or public. Flask-Limiter is nobody's of ours and offers
    no other way.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            names = list(_patched_names(node))
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.Delete):
            places = [node.target] if isinstance(node, ast.AugAssign) else node.targets
            names = [place.attr for place in places if isinstance(place, ast.Attribute) and not _is_ours(place.value)]
        else:
            continue
        if any(part.startswith("_") and not part.startswith("__") for name in names for part in name.split(".")):
            yield node.lineno


def _patched_names(call: ast.Call) -> Iterator[str]:
    """Yield what `monkeypatch.setattr`, `mock.patch` and their like change; "_" for a name that isn't written out."""
    function = ast.unparse(call.func)
    if function.rpartition(".")[2] in {"setattr", "delattr", "object"} and "patch" in function:
        name = call.args[0] if isinstance(call.args[0], ast.Constant) else call.args[1]
    elif function in {"patch", "mock.patch"}:
        name = call.args[0]
    else:
        return
    if not (name is not call.args[0] and _is_ours(call.args[0])):
        yield name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else "_"


def _is_ours(place: ast.expr) -> bool:
    """Return whether an object's private names may be changed: the test's own, or Flask-Limiter's."""
    return ast.unparse(place) in {"self", "limiter", "extensions.limiter"}


def test_a_patched_private_name_is_found() -> None:
    lines = [
        'monkeypatch.setattr(checkout, "_PAUSE_S", 0)',
        'patch.setattr("app.payments.checkout._PAUSE_S", 0)',
        'monkeypatch.delattr(module, "_cache")',
        "monkeypatch.setattr(module, name, value)",
        'mock.patch("app.payments.checkout._pause")',
        'mock.patch.object(checkout, "_pause")',
        "checkout._PAUSE_S = 0",
        'monkeypatch.setattr(checkout, "PAUSE_S", 0)',
        "self._calls = 0",
        'monkeypatch.setattr(limiter, "_storage", kept)',
        'monkeypatch.setattr(type(provider), "lookup", answer)',
        'monkeypatch.setattr(module.__dict__["x"], "time", clock)',
    ]
    assert sorted(patched("\n".join(lines))) == [1, 2, 3, 4, 5, 6, 7]


def test_no_private_name_is_patched() -> None:
    """Such a test holds whatever the name's module does, and breaks where only the name changes."""
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted(TESTS.rglob("*.py"))
        for line in patched(path.read_text(encoding="utf-8"))
    ]
    assert found == []


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
