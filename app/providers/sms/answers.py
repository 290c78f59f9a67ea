"""Answers of SMS services as far as all of them are alike: JSON, times, and what HTTP itself says.

In: a body, a text, an answer. Out: a value, or None for whatever isn't one. Can't happen here: an exception.
"""

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from app.providers.http import Answer, Failure, Reach, Response, retry_after_s
from app.providers.sms.base import Outcome, OutcomeKind


def json_of(body: bytes | str) -> Any:  # noqa: ANN401 - whatever came
    """Return what a body says in JSON; None for anything else."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # bad JSON, bad UTF-8, a number of 5,000 digits; brackets without end
        return None


def time_of(value: object) -> datetime | None:
    """Return an ISO 8601 text with an offset as UTC; None for anything else."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
        return time.astimezone(UTC) if time is not None and time.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def date_of(response: Response) -> datetime | None:
    """Return when an answer was made, by the service's own clock; None where it doesn't say so."""
    try:
        date = parsedate_to_datetime(response.headers.get("date", ""))
    except (ValueError, TypeError, OverflowError):
        return None
    return date.astimezone(UTC) if date.tzinfo is not None else None


def let_in(answer: Answer) -> Outcome | Response:
    """Return the answer to a send where the service's own words count, else what came of it: HTTP alone says so."""
    if isinstance(answer, Failure):
        kind = OutcomeKind.LATER if answer.reach is Reach.NEVER_LEFT else OutcomeKind.UNKNOWN
        return Outcome(kind, answer.reason)
    if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return Outcome(OutcomeKind.LATER, f"http_{answer.status}", account_fault=True)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Outcome(OutcomeKind.LATER, "http_429", retry_after_s=retry_after_s(answer.headers))
    return answer
