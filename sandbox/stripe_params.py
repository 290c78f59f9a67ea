"""Stripe's parameters: from a bracketed form to checked values, with Stripe's words for what is wrong.

In: `line_items[0][price_data][currency]=jpy&…` and a shape. Out: nested dicts and lists with integers as integers. A
shape is a reader (a function of name and text), a dict of shapes (an object), or a list of one shape (an array). A
parameter that no shape names is refused, as Stripe does; so is one that Stripe knows and the sandbox doesn't
simulate.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Shape = Callable[[str, str], Any] | Mapping[str, Any] | list[Any]
_LONGEST_URL = 5000
_MOST_METADATA, _LONGEST_KEY, _LONGEST_VALUE = 50, 40, 500
_INDEX = re.compile(r"[0-9]{1,9}")
_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


class StripeError(Exception):
    """A request that Stripe refuses.

    `executed`: it was carried out so far that its idempotency key is used up.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        executed: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.executed = executed


def read(encoded: str, shape: Mapping[str, Any], required: Iterable[str] = ()) -> dict[str, Any]:
    """Decode and check a form or query. Raises StripeError."""
    pairs = parse_qsl(encoded, keep_blank_values=True)
    values: dict[str, Any] = _object(_nest(pairs), shape, "")
    for name in required:
        if name not in values:
            raise missing(name)
    return values


def missing(name: str) -> StripeError:
    """Report that a parameter is missing."""
    return StripeError(f"Missing required param: {name}.", code="parameter_missing", param=name)


def text(most: int) -> Callable[[str, str], str]:
    """Make a reader of texts of up to `most` characters."""

    def reader(name: str, raw: str) -> str:
        if not raw:
            message = (
                f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a parameter; "
                f"however '{name}' cannot be unset."
            )
            raise StripeError(message, code="parameter_invalid_empty", param=name)
        if len(raw) > most:
            message = f"Invalid string: {raw[:10]}...; must be at most {most} characters"
            raise StripeError(message, code="parameter_invalid_string_too_long", param=name)
        return raw

    return reader


def one_of(words: Iterable[str]) -> Callable[[str, str], str]:
    """Make a reader of one of some words."""
    known = tuple(words)

    def reader(name: str, raw: str) -> str:
        if raw not in known:
            message = f"Invalid {name}: must be one of {', '.join(known)}"
            raise StripeError(message, param=name)
        return raw

    return reader


def integer(name: str, raw: str) -> int:
    """Read a whole number."""
    if not re.fullmatch(r"-?[0-9]{1,18}", raw):
        raise StripeError(f"Invalid integer: {raw[:40]}", code="parameter_invalid_integer", param=name)
    return int(raw)


def url(name: str, raw: str) -> str:
    """Read an absolute http or https address."""
    try:
        parts = urlsplit(raw)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and not re.search(r"\s", raw)
    except ValueError:
        good = False
    if not good or len(raw) > _LONGEST_URL:
        raise StripeError("Not a valid URL", code="url_invalid", param=name)
    return raw


def metadata(name: str, raw: Mapping[str, Any] | str) -> dict[str, str]:
    """Read up to 50 pairs, keys up to 40 and values up to 500 characters."""
    if not isinstance(raw, dict) or not all(isinstance(value, str) for value in raw.values()):
        raise StripeError("Invalid metadata: metadata must be a set of key-value pairs", param=name)
    if len(raw) > _MOST_METADATA:
        raise StripeError("You can specify up to 50 keys for metadata.", param=name)
    for key, value in raw.items():
        if len(key) > _LONGEST_KEY or len(value) > _LONGEST_VALUE:
            message = "Metadata keys can be up to 40 characters long and values up to 500 characters long."
            raise StripeError(message, param=f"{name}[{key}]")
    return raw


def _nest(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Put `a[b][0]=c` into `{"a": {"b": {"0": "c"}}}`; `a[]` counts up."""
    root: dict[str, Any] = {}
    for full, raw in pairs:
        match = _NAME.fullmatch(full)
        if match is None:
            raise _unknown(full)
        path = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        node = root
        for here in path[:-1]:
            node = node.setdefault(here or str(len(node)), {})
            if not isinstance(node, dict):
                raise _unknown(full)
        node[path[-1] or str(len(node))] = raw
    return root


def _check(raw: Any, shape: Shape, name: str) -> Any:  # noqa: ANN401 - a form's value: text, object or array
    if isinstance(shape, list):
        if not isinstance(raw, dict) or not all(_INDEX.fullmatch(key) for key in raw):
            raise StripeError("Invalid array", param=name)
        ordered = sorted(raw.items(), key=lambda item: int(item[0]))
        return [_check(value, shape[0], f"{name}[{at}]") for at, (_, value) in enumerate(ordered)]
    if isinstance(shape, Mapping):
        if not isinstance(raw, dict):
            raise StripeError("Invalid object", param=name)
        return _object(raw, shape, name)
    if shape is not metadata and not isinstance(raw, str):
        raise StripeError(f"Invalid string: {name} must be a single value", param=name)
    return shape(name, raw)


def _object(raw: Mapping[str, Any], shape: Mapping[str, Any], name: str) -> dict[str, Any]:
    values = {}
    for key, value in raw.items():
        full = f"{name}[{key}]" if name else key
        if key not in shape:
            raise _unknown(full)
        values[key] = _check(value, shape[key], full)
    return values


def _unknown(name: str) -> StripeError:
    return StripeError(f"Received unknown parameter: {name}", code="parameter_unknown", param=name)
