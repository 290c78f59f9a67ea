"""Requests and answers over HTTP, as plain values.

In: a `Request` that a provider's adapter made. Out: a `Response`, or a `Failure` that says whether the request can have
reached the other side. Can't happen here: a request sent twice. The types stand here, alone, so that adapters stay free
of I/O; `app.providers.curl` does the I/O.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Final

# how long a provider that names no time is left alone; one that asks for more than the second has made a mistake
_WAIT_S: Final = 30.0
_LONGEST_WAIT_S: Final = 600.0


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
    """A request without an answer.

    `reason` is a short word for logs: refused, dns, tls, timeout, reset, held.
    """

    reach: Reach
    reason: str


Answer = Response | Failure


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After (RFC 9110, 10.2.3) as seconds: a number, or a date to be held against the answer's own."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}", value, re.ASCII):
        return float(value)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError, OverflowError):  # not a date; one with and one without a zone; a year of no calendar
        return None
    return max(0.0, wait.total_seconds())


def wish_s(answer: Response) -> float:
    """Return for how long a provider wishes to be left alone, seconds: 0 where it does not say so."""
    told_s = retry_after_s(answer.headers) if answer.status >= HTTPStatus.BAD_REQUEST else None
    if told_s is None:
        return _WAIT_S if answer.status == HTTPStatus.TOO_MANY_REQUESTS else 0.0
    # one that says "at once" is not asked at once with all the rest
    return min(max(told_s, 1.0), _LONGEST_WAIT_S)


@dataclass(frozen=True, slots=True)
class AccountField:
    """One field of an account's form in the back office.

    `secret` ones are encrypted and never shown again. `contract` ones tell one contract from another.

    All of a typed value matches `pattern` (ASCII). `expects` is a Japanese noun for what is to be typed, such as
    "ACで始まる34文字": the form shows it, and a refusal asks for it. `choices` (the provider's word -> label) are
    ticked, one at least, and kept with commas between; `whole` is the least and the most of a whole number that may
    stay empty, as an `optional` secret may. `help` stands in the form instead of `expects`, where it isn't empty.
    """

    name: str
    label: str
    secret: bool = False
    contract: bool = False
    help: str = ""
    pattern: str = r"[!-~]+"
    expects: str = "空白のない半角の英数字と記号"
    choices: Mapping[str, str] = field(default_factory=dict)
    whole: tuple[int, int] | None = None
    optional: bool = False

    @property
    def description(self) -> str:
        """The words beside the field in the form."""
        return self.help or f"{self.expects}です。"

    def refusal(self, value: str) -> str:
        """Return in Japanese what is expected instead of a value; empty where it fits, or isn't typed freely."""
        if self.choices or self.whole is not None or re.fullmatch(self.pattern, value, re.ASCII):
            return ""
        return f"{self.expects}を入力してください。"
