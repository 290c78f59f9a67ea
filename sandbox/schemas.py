"""The shape of JSON requests, told as plain values.

A shape is a type, a set of allowed texts, a list of one shape, a function that says yes or no, or an object's fields:
`{"name*": str, "note": str}`, where a star marks what must be there. A field outside of the shape is a fault: a client
that sends what its provider doesn't know has a mistake.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

Shape = type | frozenset[str] | list[Any] | Mapping[str, Any] | Callable[[Any], bool]


def fault(value: object, shape: Shape, path: str = "") -> str | None:
    """Name the first field that doesn't fit, with dots between the levels; None when all do. The root is `body`."""
    here = path or "body"
    if isinstance(shape, Mapping):
        return _object_fault(value, shape, path)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return here
        found = (fault(one, shape[0], f"{here}.{at}") for at, one in enumerate(value))
        return next((one for one in found if one), None)
    if isinstance(shape, frozenset):
        fits = value in shape if isinstance(value, str) else False
    elif isinstance(shape, type):
        fits = type(value) is shape  # true is no number
    else:
        fits = bool(shape(value))
    return None if fits else here


def address(value: object) -> bool:
    """Return whether a value is an http or https address."""
    return isinstance(value, str) and urlsplit(value).scheme in {"http", "https"} and bool(urlsplit(value).hostname)


def metadata(value: object) -> bool:
    """Return whether a value is an object of texts, at most 20 of them."""
    most = 20
    return isinstance(value, dict) and len(value) <= most and all(isinstance(one, str) for one in value.values())


def _object_fault(value: object, shape: Mapping[str, Any], path: str) -> str | None:
    if not isinstance(value, dict):
        return path or "body"
    fields = {name.rstrip("*"): inner for name, inner in shape.items()}
    prefix = f"{path}." if path else ""
    for name in shape:
        if name.endswith("*") and name.rstrip("*") not in value:
            return prefix + name.rstrip("*")
    for name, inner in value.items():
        if name not in fields:
            return f"{prefix}{name}"
        if found := fault(inner, fields[name], prefix + name):
            return found
    return None
