"""What leaves this house over HTTP, as plain values.

In: a `Request` that a provider's adapter made. Out: a `Response`, or a `Failure` that says whether the request can have
reached the other side. What can't happen here: a request sent twice. The types stand here, alone, so that adapters stay
free of I/O; `app.outbound.curl` does the I/O.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `timeout_s` is the whole exchange's limit in seconds."""

    method: str
    # a repr shows no credential, number or text: it may reach a log
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    timeout_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer; header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Reach(StrEnum):
    """How far a request that got no answer can have come."""

    NEVER_LEFT = "never_left"  # no connection was made: sending again is safe
    UNKNOWN = "unknown"  # bytes left: the other side may have acted


@dataclass(frozen=True, slots=True)
class Failure:
    """A request without an answer. `reason` is a short word for logs: refused, dns, tls, timeout, reset, held."""

    reach: Reach
    reason: str


Answer = Response | Failure


@dataclass(frozen=True, slots=True)
class AccountField:
    """One field of an account's form in the back office. `secret` ones are encrypted and never shown again.

    `choices` (the provider's word -> label) are ticked, one at least, and kept with commas between; `whole` is the
    least and the most of a whole number that may stay empty.
    """

    name: str
    label: str
    secret: bool = False
    help: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    whole: tuple[int, int] | None = None
