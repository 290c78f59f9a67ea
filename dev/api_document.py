"""`python -m dev.api_document`: write the API's document to the tree; `breaking` says what a change would break.

In: the document as it was released, and as it is. Out: each difference for which a system that works today would fail.
`docs/api/openapi.json` is the document of now, `docs/api/released.json` the one of the last release, which `release`
as an argument writes too.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import api
from api.document import written

FOLDER = Path(__file__).parents[1] / "docs" / "api"
NOW, RELEASED = FOLDER / "openapi.json", FOLDER / "released.json"

_Schema = Mapping[str, Any]


def breaking(old: _Schema, new: _Schema) -> list[str]:
    """Name the differences that break a client of `old`."""
    return list(_operations(old, new))


def _operations(old: _Schema, new: _Schema) -> Iterator[str]:
    for path, methods in old["paths"].items():
        for method, before in methods.items():
            name, now = f"{method.upper()} {path}", new["paths"].get(path, {}).get(method)
            if now is None:
                yield f"{name} is gone"
                continue
            yield from _parameters(name, before, now)
            yield from _body(name, old, new, before, now)
            for status, answer in before["responses"].items():
                if status not in now["responses"]:
                    yield f"{name} no longer answers {status}"
                    continue
                for media, content in answer.get("content", {}).items():
                    then = now["responses"][status].get("content", {}).get(media)
                    if then is None:
                        yield f"{name} no longer answers {status} as {media}"
                    else:
                        yield from _output(f"{name} {status}", (old, content["schema"]), (new, then["schema"]))


def _parameters(name: str, before: _Schema, now: _Schema) -> Iterator[str]:
    old = {(one["in"], one["name"]): one for one in before["parameters"]}
    new = {(one["in"], one["name"]): one for one in now["parameters"]}
    yield from (f"{name} no longer takes {place} {title}" for place, title in old if (place, title) not in new)
    for (place, title), one in new.items():
        if one["required"] and not old.get((place, title), {"required": False})["required"]:
            yield f"{name} now wants {place} {title}"


def _body(name: str, old: _Schema, new: _Schema, before: _Schema, now: _Schema) -> Iterator[str]:
    earlier, later = before.get("requestBody"), now.get("requestBody")
    if later is None or earlier is None:
        if later is not earlier:
            yield f"{name} has another body"
        return
    for media, content in earlier["content"].items():
        if media not in later["content"]:
            yield f"{name} no longer takes {media}"
        else:
            yield from _input(name, (old, content["schema"]), (new, later["content"][media]["schema"]))


_Within = tuple[_Schema, _Schema]


def _solved(within: _Within) -> _Schema:
    document, schema = within
    reference = schema.get("$ref")
    return schema if reference is None else document["components"]["schemas"][reference.rpartition("/")[2]]


def _types(within: _Within) -> set[str]:
    schema = _solved(within)
    parts = schema.get("anyOf", [schema])
    return {str(_solved((within[0], part)).get("type", "any")) for part in parts}


def _output(name: str, old: _Within, new: _Within) -> Iterator[str]:
    """Name what an answer no longer has, or may be now that it never was."""
    before, now = _solved(old), _solved(new)
    if more := _types(new) - _types(old):
        yield f"{name} may be {', '.join(sorted(more))}"
    for field, schema in before.get("properties", {}).items():
        if field not in now.get("properties", {}):
            yield f"{name} lacks {field}"
            continue
        yield from _output(f"{name}.{field}", (old[0], schema), (new[0], now["properties"][field]))
    for field in set(before.get("required", ())) - set(now.get("required", ())):
        yield f"{name} may lack {field}"
    if "items" in before and "items" in now:
        yield from _output(f"{name}[]", (old[0], before["items"]), (new[0], now["items"]))


def _input(name: str, old: _Within, new: _Within) -> Iterator[str]:
    """Name what a body may no longer be, or must be now."""
    before, now = _solved(old), _solved(new)
    if fewer := _types(old) - _types(new):
        yield f"{name} may no longer be {', '.join(sorted(fewer))}"
    for field in set(now.get("required", ())) - set(before.get("required", ())):
        yield f"{name} now wants {field}"
    for field, schema in before.get("properties", {}).items():
        if field not in now.get("properties", {}):
            yield f"{name} no longer takes {field}"
            continue
        yield from _input(f"{name}.{field}", (old[0], schema), (new[0], now["properties"][field]))
    for bound, worse in (("maxLength", -1), ("maximum", -1), ("maxItems", -1), ("minimum", 1), ("minLength", 1)):
        if bound in now and (bound not in before or (now[bound] - before[bound]) * worse > 0):
            yield f"{name} is bounded closer by {bound}"


if __name__ == "__main__":
    NOW.write_text(written(api.ENDPOINTS), "utf-8")
    if sys.argv[1:] == ["release"]:
        RELEASED.write_text(written(api.ENDPOINTS), "utf-8")
