"""Rules that the tests themselves keep to."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
RAW_STATES = TESTS / "raw_states.py"
# a step of an operator's; what the database itself refuses; sentences that two checks like this one find
OTHERS = {
    TESTS / "steps.py",
    TESTS / "states" / "test_database_moves.py",
    TESTS / "states" / "test_one_writer.py",
    Path(__file__),
}

_STATE = r"\b(?:\w+_)?state\s*="
_UPDATE = re.compile(
    rf"\bUPDATE\s+\S+\s+(?:\w+\s+)?SET\b(?:(?!\bWHERE\b|\bFROM\b).)*?{_STATE}", re.DOTALL | re.IGNORECASE
)
# the columns of an UPDATE that a helper puts together; with one of these words it is a condition
_COLUMNS = re.compile(r"\b(?:sms|page|payment)_state\s*=\s*['%:]", re.IGNORECASE)
_CONDITION = re.compile(r"\b(?:SELECT|WHERE|AND|OR|FROM|WHEN)\b", re.IGNORECASE)
_NAMES = {"state", "sms_state", "page_state", "payment_state"}


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
        "from tests.intake.uploads import upload",
        "from app.delivery import test_names",
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


def writes(source: str) -> Iterator[int]:
    """Yield the lines that write a state: by SQL or a piece of it, by assignment to a row, by a query's `values`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.JoinedStr(values=parts):
                said = "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in parts)
                found = _is_write(said)
            case ast.Constant(value=str(said)):
                found = _is_write(said)
            case ast.Assign(targets=targets):
                found = any(isinstance(target, ast.Attribute) and target.attr in _NAMES for target in targets)
            case ast.Call(func=ast.Attribute(attr="values"), keywords=keywords):
                found = any(keyword.arg in _NAMES for keyword in keywords)
            case _:
                found = False
        if found:
            yield getattr(node, "lineno", 0)


def _is_write(said: str) -> bool:
    return bool(_UPDATE.search(said) or (_COLUMNS.search(said) and not _CONDITION.search(said)))


@pytest.mark.parametrize(
    "line",
    [
        """database.execute("UPDATE recipient SET sms_state = 'queued'")""",
        """job.change("UPDATE campaign c SET completed_at = now(), state = %s WHERE id = 1", state)""",
        """change(f"UPDATE recipient SET {track}_state = 'x'")""",
        """buyer.set("link_expires_at = now(), page_state = 'viewed'")""",
        """campaign.state = "paused" """,
        """session.execute(update(Recipient).values(sms_state="queued"))""",
    ],
)
def test_a_written_state_is_found(line: str) -> None:
    assert set(writes(line)) == {1}


@pytest.mark.parametrize(
    "line",
    [
        """job.change("UPDATE slice SET due_at = now() WHERE state = 'sending'")""",
        """database.execute("SELECT count(*) FROM recipient WHERE sms_state = 'queued'")""",
        """force(database, "recipient", sms_state="queued")""",
        """state = "queued" """,
    ],
)
def test_a_state_that_is_read_is_none(line: str) -> None:
    assert list(writes(line)) == []


def test_states_are_reached_by_steps_and_written_by_two_helpers_alone() -> None:
    """A test that writes states builds rows that the product never makes, and shows nothing of the product."""
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted(TESTS.rglob("*.py"))
        if path not in {RAW_STATES, *OTHERS}
        for line in writes(path.read_text(encoding="utf-8"))
    ]
    assert found == []
    helpers = [node.name for node in ast.parse(RAW_STATES.read_text("utf-8")).body if isinstance(node, ast.FunctionDef)]
    assert [name for name in helpers if not name.startswith("_")] == ["force", "set_back"]
