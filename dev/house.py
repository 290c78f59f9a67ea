"""`python -m dev.house`: the rooms of the product, floor by floor, drawn from their imports.

In: the product's modules, and the floors as `[tool.importlinter]` in pyproject.toml names them. Out: a table of rooms
with what each imports, `docs/images/house.svg`, and exit code 1 where a room imports one that is not below it.
"""

import sys
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

import grimp

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "house.svg"
DOORS = ("admin_views", "public", "api", "callbacks", "jobs")

Floors = Sequence[Sequence[str]]
Imports = Mapping[str, frozenset[str]]

_WIDTH, _ROW, _BOX_HEIGHT, _MARGIN, _GAP, _LETTER = 1120, 74, 34, 24, 12, 7.4


class House(NamedTuple):
    """`floors` from the top down, `imports` by room, `files` by room."""

    floors: Floors
    imports: Imports
    files: Mapping[str, int]

    def climbs(self) -> list[tuple[str, str]]:
        """Return (room, imported room) of each import that does not go down."""
        level = {room: number for number, rooms in enumerate(self.floors) for room in rooms}
        return [
            (room, to) for room in sorted(self.imports) for to in sorted(self.imports[room]) if level[to] <= level[room]
        ]

    def pairs(self) -> list[tuple[str, str]]:
        """Return the pairs of rooms that import each other."""
        return [(a, b) for a in sorted(self.imports) for b in sorted(self.imports[a]) if a < b and a in self.imports[b]]


def room_of(module: str) -> str | None:
    """Return a module's room: a door, or a child of `app`; None for `app` itself, where the parts are put together."""
    first, _, rest = module.partition(".")
    if first in DOORS:
        return first
    return rest.partition(".")[0] or None


def read_floors(pyproject: Path = ROOT / "pyproject.toml") -> Floors:
    """Return the floors from the top down, as the import contracts name them."""
    contracts = tomllib.loads(pyproject.read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    (rooms,) = (item for item in contracts if item.get("containers") == ["app"])
    return [list(DOORS), *([room.strip() for room in layer.split("|")] for layer in rooms["layers"])]


def read_house(floors: Floors) -> House:
    """Read every import of the product."""
    graph = grimp.build_graph("app", *DOORS)
    imports: dict[str, set[str]] = defaultdict(set)
    files: dict[str, int] = defaultdict(int)
    known = {room for rooms in floors for room in rooms}
    for module in graph.modules:
        room = room_of(module)
        if room not in known:  # `app` itself, `app.__main__`
            continue
        files[room] += 1
        imports[room] |= {
            to
            for other in graph.find_modules_directly_imported_by(module)
            if (to := room_of(other)) in known and to != room
        }
    return House(floors, {room: frozenset(found) for room, found in imports.items()}, dict(files))


def reduced(imports: Imports) -> Imports:
    """Return the imports without those that another way down implies: what a picture needs."""
    below: dict[str, frozenset[str]] = {}

    def reach(room: str) -> frozenset[str]:
        if room not in below:
            below[room] = frozenset()  # a circle ends here
            below[room] = frozenset().union(*({to} | reach(to) for to in imports.get(room, ())))
        return below[room]

    return {
        room: frozenset(to for to in found if not any(to in reach(other) for other in found if other != to))
        for room, found in imports.items()
    }


def draw(house: House) -> str:
    """Return the house as SVG: floors as rows, a line for each import that no other way down implies."""
    places: dict[str, tuple[float, float, float]] = {}  # left, top, width
    height = _MARGIN * 2 + _ROW * len(house.floors)
    for number, rooms in enumerate(house.floors):
        widths = [max(56.0, len(room) * _LETTER + 20) for room in rooms]
        left = (_WIDTH - sum(widths) - _GAP * (len(rooms) - 1)) / 2
        for room, width in zip(rooms, widths, strict=True):
            places[room] = (left, _MARGIN + number * _ROW, width)
            left += width + _GAP
    lines = []
    for room, found in sorted(reduced(house.imports).items()):
        for to in sorted(found):
            (x1, y1, w1), (x2, y2, w2) = places[room], places[to]
            x1, y1, x2 = x1 + w1 / 2, y1 + _BOX_HEIGHT, x2 + w2 / 2
            lines.append(
                f'<path d="M{x1:.0f} {y1:.0f}C{x1:.0f} {y1 + 30:.0f} {x2:.0f} {y2 - 30:.0f} {x2:.0f} {y2:.0f}"/>'
            )
    boxes = [
        f"<g><title>{escape(room)}: {house.files.get(room, 0)} files</title>"
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{_BOX_HEIGHT}" rx="5"/>'
        f'<text x="{x + width / 2:.0f}" y="{y + 22:.0f}">{escape(room)}</text></g>'
        for room, (x, y, width) in places.items()
    ]
    style = (
        "path{fill:none;stroke:#9aa4b2;stroke-width:1}rect{fill:#f6f8fa;stroke:#57606a}"
        "text{font:13px sans-serif;text-anchor:middle;fill:#1f2328}"
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
            "<title>The rooms of the product, floor by floor: each imports only rooms below it</title>",
            f"<style>{style}</style>",
            f'<rect width="{_WIDTH}" height="{height}" style="fill:#fff;stroke:none"/>',
            *lines,
            *boxes,
            "</svg>\n",
        ]
    )


def main() -> int:
    """Print the rooms, draw them, and return 1 where an import climbs."""
    house = read_house(read_floors())
    for number, rooms in enumerate(house.floors):
        for room in rooms:
            below = " ".join(sorted(house.imports.get(room, ())))
            print(f"{len(house.floors) - number:>2}  {room:<14} {house.files.get(room, 0):>3} files  -> {below}")
    climbs, pairs = house.climbs(), house.pairs()
    for room, to in climbs:
        print(f"climb: {room} -> {to}")
    print(f"{len(climbs)} climbs, {len(pairs)} mutual pairs")
    PICTURE.write_text(draw(house), "utf-8")
    return 1 if climbs else 0


if __name__ == "__main__":
    sys.exit(main())
