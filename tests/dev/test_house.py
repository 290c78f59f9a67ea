"""A room imports only rooms below it: held by a contract, and drawn from the imports as they are."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dev import house

ROOT = Path(__file__).parents[2]
_LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


@pytest.fixture(scope="module")
def found() -> house.House:
    return house.read_house(house.read_floors())


def test_no_room_climbs(found: house.House) -> None:
    assert found.climbs() == []
    assert found.pairs() == []


def test_every_room_has_its_floor(found: house.House) -> None:
    named = {room for rooms in found.floors for room in rooms}
    assert named == set(found.files)


def test_the_picture_shows_the_house_as_it_is(found: house.House) -> None:
    assert house.PICTURE.read_text("utf-8") == house.draw(found), "run `python -m dev.house`"
    assert "images/house.svg" in (ROOT / "docs" / "architecture.md").read_text("utf-8")


def test_a_climb_is_seen() -> None:
    climbing = house.House(
        [["campaigns"], ["states"]], {"campaigns": frozenset({"states"}), "states": frozenset({"campaigns"})}, {}
    )
    assert climbing.climbs() == [("states", "campaigns")]
    assert climbing.pairs() == [("campaigns", "states")]


def test_the_contract_breaks_where_a_room_imports_one_above_it(tmp_path: Path) -> None:
    for name in ("app", *house.DOORS, "sandbox", "dev", "bench"):
        shutil.copytree(
            ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "static", "templates")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    upward = tmp_path / "app" / "states" / "vocabulary.py"
    upward.write_text(upward.read_text("utf-8") + "\nfrom app.campaigns import lifecycle\n", "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", _LINT], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1, done.stdout
    assert "app.states.vocabulary -> app.campaigns.lifecycle" in done.stdout
