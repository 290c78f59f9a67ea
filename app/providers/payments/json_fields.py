"""Read JSON answers for adapters: every value is checked, and what is no such value is None or empty.

In: an answer's bytes. Out: plain values. Can't happen here: an exception because a provider answered nonsense; a
provider's free text in an exception.
"""

import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from app.providers.http import Response
from app.providers.payments.base import Dispute, UnclearCharge

Json = Mapping[str, Any]

_ID: Final = re.compile(r"[0-9A-Za-z_.~-]{1,255}", re.ASCII)
_WORD: Final = re.compile(r"[0-9A-Za-z_.-]{1,60}", re.ASCII)
# PostgreSQL takes no NUL, and half a surrogate pair is no text
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
# Another try may pass: the key is mended, the limit is over, the first request has ended, the provider is up again.
_PASSING: Final = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)


# an answer to a question that this key, or this contract, may not ask
FORBIDDEN: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})


def content(body: bytes) -> Json:
    """Read a JSON object; an empty one for anything else."""
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def nested(found: Json, name: str) -> Json:
    """Return a nested object; an empty one where there is none, or only its id."""
    value = found.get(name)
    return value if isinstance(value, dict) else {}


def several(found: Json, name: str) -> list[Json]:
    """Return a list's objects; an empty one where there is no list."""
    value = found.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def text(found: Json, name: str) -> str | None:
    """Return a text that is not empty and can be stored."""
    value = found.get(name)
    return value if isinstance(value, str) and value and not _UNSTORABLE.search(value) else None


def identifier(found: Json, name: str) -> str | None:
    """Return an id that can be stored, logged and put into an address."""
    value = found.get(name)
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def word(found: Json, name: str) -> str | None:
    """Return a short code fit for logs."""
    value = found.get(name)
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None


def whole(found: Json, name: str) -> int | None:
    """Return a whole number; true and false are none."""
    value = found.get(name)
    return value if type(value) is int else None


def seconds(found: Json, name: str) -> datetime | None:
    """Read epoch seconds; None for anything that is no time, and for 0, which stands for none."""
    value = whole(found, name)
    try:
        return datetime.fromtimestamp(value, UTC) if value else None
    except (OverflowError, OSError, ValueError):
        return None


def moment(found: Json, name: str) -> datetime | None:
    """Read an ISO 8601 time with its offset; None for anything else."""
    value = found.get(name)
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else None
        return read.astimezone(UTC) if read is not None and read.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def disputed(told: Sequence[Json], ends: Mapping[str, Dispute]) -> Dispute | None:
    """Read how disputes stand by their statuses, any but an end being open; of several, what asks most of a person."""
    found = {ends.get(str(one.get("status")), Dispute.OPEN) for one in told}
    return next((one for one in (Dispute.OPEN, Dispute.LOST, Dispute.WON) if one in found), None)


def listed_in(setting: str, default: str) -> list[str]:
    """Read an account's comma-separated list, each word once; `default` alone where it is empty."""
    named = [one.strip() for one in setting.split(",")]
    return list(dict.fromkeys(one for one in named if one)) or [default]


def refusal(response: Response, code: str | None, *, over: bool = False) -> UnclearCharge:
    """Make the exception for an error answer.

    `code` is the provider's word for it where one was to be read.

    It is final when the provider refused and another try would be refused again, or when `over` says so.
    """
    refused = code is not None and HTTPStatus.BAD_REQUEST <= response.status < HTTPStatus.INTERNAL_SERVER_ERROR
    return UnclearCharge(code or f"http_{response.status}", final=over or (refused and response.status not in _PASSING))


def same(secret: str, told: str) -> bool:
    """Compare a secret with what was told, in constant time; an empty secret is like nothing."""
    # bytes, because compare_digest refuses text beyond ASCII
    return bool(secret) and hmac.compare_digest(secret.encode(), told.encode("utf-8", "replace"))
