"""The documents name files and functions as they are: a newcomer who follows them arrives."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from app.states.vocabulary import CAMPAIGN, PAGE, PAYMENT, SMS, TENANT
from dev.lint import files

ROOT = Path(__file__).parents[2]
DOCS = [
    *("CHANGELOG.md", "README.md", "README.ja.md", "sandbox/README.md"),
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")),
]
# `app/delivery/claims.py::claim`, or a file alone; a method is written Class.method
_PLACE = re.compile(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|md|sh|toml|lua|lock))(?:::([\w.]+))?`")
_FOLDER = re.compile(
    r"`((?:app|admin_views|public|api|callbacks|jobs|tests|sandbox|dev|bench|docs|migrations|typings)(?:/\w+)*/?)`"
)
_LINK = re.compile(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)")
# several files in one word: `app/auth/{passwords,sign_in}.py`
_BRACES = re.compile(r"`[\w./-]*\{[\w.-]+(?:,\s*[\w.-]+)+\}[^`]*`")
# names of no one file
_EXAMPLES = {"docs/adr/NNNN-title.md", "conftest.py"}
# a row of docs/where.md: the term, with what it is of in brackets, and its places
_ROW = re.compile(r"^\| (?!\*|-|looked for)([^|(]+?)(?: \([^|)]+\))? \| (.+?) \|$", re.MULTILINE)

# words of rooms' docstrings that are columns or states
_WORDS = {"tenant_id", "served_at", "unknown"}


@cache
def names_in(path: Path) -> frozenset[str]:
    """Return the functions, classes and constants of a file, methods with their class."""
    found: set[str] = set()

    def add(body: list[ast.stmt], before: str = "") -> None:
        for item in body:
            if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(before + item.name)
            elif isinstance(item, ast.Assign | ast.AnnAssign):
                targets = item.targets if isinstance(item, ast.Assign) else [item.target]
                found.update(before + target.id for target in targets if isinstance(target, ast.Name))
            if isinstance(item, ast.ClassDef):
                add(item.body, f"{before}{item.name}.")

    add(ast.parse(path.read_text("utf-8")).body)
    return frozenset(found)


def astray(text: str, folder: Path = ROOT) -> list[str]:
    """Name the files, functions and links of a document in `folder` that aren't there."""

    def found(name: str) -> Path | None:
        return next((path for path in (ROOT / name, folder / name) if path.is_file()), None)

    places = [
        f"{name}::{function}" if function else name
        for name, function in _PLACE.findall(text)
        if name not in _EXAMPLES and ((path := found(name)) is None or (function and function not in names_in(path)))
    ]
    folders = [name for name in _FOLDER.findall(text) if not (ROOT / name).is_dir()]
    links = [link for link in _LINK.findall(text) if not (folder / link).exists()]
    return places + folders + links


@pytest.mark.parametrize("document", DOCS)
def test_a_document_names_files_and_functions_that_are_there(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    assert astray(text, (ROOT / document).parent) == []
    assert _BRACES.findall(text) == [], "each file by its own name, so that search finds it"


def test_a_place_that_is_gone_is_seen() -> None:
    text = (
        "`app/links.py::expiry`, `app/links.py::gone`, `app/gone.py`, `app/vault.py::Vault.seal`, "
        "`app/vault.py::seal`, `gone.py`, `app/gone`, [gone](docs/gone.md), [app](app/), "
        "`app/web/request_guard.py::TURNS`"
    )
    assert astray(text) == [
        "app/links.py::gone",
        "app/gone.py",
        "app/vault.py::seal",
        "gone.py",
        "app/gone",
        "docs/gone.md",
    ]
    assert _BRACES.search("`app/tenancy/{passwords,sign_in}.py`")
    assert _BRACES.search("`app/tenancy/{scope.py, lookup.py}`")


def test_the_walkthrough_leads_through_every_door_to_the_status_file() -> None:
    places = [name for name, _ in _PLACE.findall((ROOT / "docs" / "walkthrough.md").read_text("utf-8"))]
    assert {name.split("/")[0] for name in places} >= {"admin_views", "app", "callbacks", "jobs", "public"}
    rooms = ("intake", "campaigns", "delivery", "states", "outcomes", "identity", "payments", "exports")
    assert [room for room in rooms if not any(name.startswith(f"app/{room}/") for name in places)] == []


ROOMS = {path.parent.name for path in (ROOT / "app").glob("*/__init__.py")}


@pytest.mark.parametrize("document", ["README.md", "README.ja.md"])
def test_the_table_of_folders_is_whole(document: str) -> None:
    named = set(_FOLDER.findall((ROOT / document).read_text("utf-8")))
    folders = {f"{path.relative_to(ROOT).parts[0]}/" for path in files(ROOT) if path.parent != ROOT} - {"app/", ".ci/"}
    assert (folders | {f"app/{room}/" for room in ROOMS}) - named == set()


def test_the_architecture_names_each_room_of_the_product() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8").partition("## Rooms")[2].partition("## Decisions")[0]
    files = {path.stem for path in (ROOT / "app").glob("*.py") if not path.stem.startswith("__")}
    assert {name for name in ROOMS | files if f"`{name}`" not in text} == set()


@pytest.mark.parametrize(
    "room",
    [
        path
        for top in ("app", "admin_views", "public", "api", "callbacks", "jobs", "sandbox", "dev", "bench", "migrations")
        for path in sorted((ROOT / top).rglob("__init__.py"))
    ],
    ids=lambda path: path.parent.name,
)
def test_a_room_speaks_of_modules_that_it_has(room: Path) -> None:
    said = ast.get_docstring(ast.parse(room.read_text("utf-8"))) or ""
    gone = [
        name
        for name in re.findall(r"(?<=`)[a-z_]+(?:\.\w+)*(?=`)", said)
        if name not in _WORDS and not any(_is_module(folder, name) for folder in (room.parent, ROOT))
    ]
    assert gone == []


def _is_module(folder: Path, name: str) -> bool:
    """Return whether `name` is a module or package in a folder, a name of one, or a name of the folder's own."""
    parts = name.split(".")
    paths = [folder.joinpath(*parts[:end]) for end in (len(parts), len(parts) - 1) if end]
    if paths[0].is_dir() or any(path.with_suffix(".py").is_file() for path in paths[:1]):
        return True
    owner = paths[1].with_suffix(".py") if len(paths) > 1 else folder / "__init__.py"
    return owner.is_file() and parts[-1] in names_in(owner)


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def test_what_a_newcomer_looks_for_is_found_by_its_usual_name() -> None:
    by_name, _, by_another = (ROOT / "docs" / "where.md").read_text("utf-8").partition("| also called |")
    rows = _ROW.findall(by_name)
    must = {"rate limit", "circuit breaker", "retry schedule", "webhook signature", "link expiry", "reauthentication"}
    must |= {"Excel reader", "refund", "CSV injection", "row level security", "logout", "revoke session"}
    assert must <= {term for term, _ in rows}
    others = _ROW.findall(by_another)
    assert {"encryption", "idempotency key", "dead letter", "log scrubbing", "session revocation"} <= {
        term for term, _ in others
    }
    assert [term for term, where in others if not _PLACE.findall(where)] == []
    nameless = [
        term
        for term, where in rows
        if not any(_letters(term) in f"{_letters(name)}/{_letters(to)}" for name, to in _PLACE.findall(where))
    ]
    assert nameless == []


def test_the_glossary_speaks_the_words_of_the_states() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    for track in (SMS, PAGE, PAYMENT, CAMPAIGN, TENANT):
        assert f"| `{track.name}` | {', '.join(f'`{state}` {word}' for state, word in track.words.items())} |" in text


def test_a_decision_takes_a_page_at_most_and_is_linked() -> None:
    decisions = sorted((ROOT / "docs" / "adr").glob("*.md"))
    named = [(path.name, path.read_text("utf-8")) for path in decisions]
    assert [int(name[:4]) for name, _ in named] == list(range(1, len(named) + 1))
    parts = ("## Context", "## Decision", "## Consequences")
    assert [name for name, text in named if not all(part in text for part in parts)] == []
    assert [name for name, text in named if len(text.splitlines()) > 60] == []
    said = "".join((ROOT / "docs" / name).read_text("utf-8") for name in ("architecture.md", "install.md"))
    assert [name for name, _ in named if f"adr/{name}" not in said] == []


def _events() -> dict[str, set[str]]:
    """Return the events that the product logs, each with its levels; `say` is chosen by the fault."""
    found: dict[str, set[str]] = {}
    for room in ("app", "admin_views", "public", "api", "callbacks", "jobs"):
        for path in (ROOT / room).rglob("*.py"):
            for call in ast.walk(ast.parse(path.read_text("utf-8"))):
                if not (isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant)):
                    continue
                event = str(call.args[0].value)
                match call.func:
                    case ast.Attribute(value=ast.Name(id="_log"), attr=level):
                        found.setdefault(event, set()).add("error" if level == "exception" else level)
                    case ast.Name(id="say"):
                        found.setdefault(event, set()).update({"error", "warning"})
    return found


def test_an_operator_can_alarm_on_each_error() -> None:
    text = (ROOT / "docs" / "install.md").read_text("utf-8")
    told = {
        event: set(levels.split(" or "))
        for event, levels in re.findall(r"^\| `(.+?)` \| ([a-z ]+) \|", text, re.MULTILINE)
    }
    events = _events()
    assert {event: levels for event, levels in told.items() if levels != events.get(event)} == {}
    assert {event for event, levels in events.items() if "error" in levels} <= set(told)


def test_events_are_short_and_hold_no_values() -> None:
    assert [event for event in _events() if not re.fullmatch(r"[A-Za-z][A-Za-z ,:]{4,50}", event)] == []


def test_a_payment_provider_and_a_workbook_have_one_name_each() -> None:
    """The word "site" is left for our own; "unknown to the site" is a stored value."""
    old = re.compile(
        r"\b(?:the|a|each|one|four) sites?\b(?! behind| below)|\b(?:a|the) book\b|\bdef \w*_site\b|\bdef \w+_book\b"
    )
    rooms = ("app", "admin_views", "public", "api", "callbacks", "jobs", "sandbox", "bench", "dev", "docs")
    texts = {
        path: path.read_text("utf-8")
        for path in files(ROOT)
        if path.relative_to(ROOT).parts[0] in rooms and path.suffix in {".py", ".md"}
    }
    texts = {path: text.replace('"unknown to the site"', "") for path, text in texts.items()}
    assert {
        f"{path.relative_to(ROOT)}: {found}" for path, text in texts.items() for found in old.findall(text)
    } == set()
