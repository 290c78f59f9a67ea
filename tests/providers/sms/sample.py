"""The shape of a service's sample, by which `test_conformance` tries its adapter.

Each service has a file of its own, `samples_<name>.py`, with one `SAMPLE`: an account, and its answers as its
specification writes them. Nothing else is needed for the sixteen cases.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote_plus

from app.providers.http import Request, Response
from app.providers.sms.base import Pushed, SmsAccess


@dataclass(frozen=True)
class Shown:
    """A message as a service is to show it: accepted `at`, and `arrived` or still under way."""

    reference: str
    to: str
    body: str
    at: datetime
    arrived: bool = False


Message = Mapping[str, object]


@dataclass(frozen=True)
class Sample:
    """One service's account and answers.

    `message` writes a message as look-up and detail show it, `notice` as a receipt does. `accepted` is the answer to a
    send, `listing` the answer to a look-up with such messages and no more, `detail` the one to a question about one.
    `incomplete` are answers to a look-up that prove nothing, beside those that every service may give. `quota` and
    `wrong_credential` are documented answers to a send, as are `refused` (number or text) and `duplicate`, None where a
    service takes the same reference twice. `pushed` wraps notices as they come to the door: one, or several where the
    service bundles them (`bundles`); signed ones as of `account`, at `account.receipt_url`.
    """

    account: SmsAccess
    message: Callable[[Shown], Message]
    accepted: Callable[[Shown], Response]
    listing: Callable[[Sequence[Message]], Response]
    detail: Callable[[Message], Response]
    pushed: Callable[[Sequence[Message]], Pushed]
    notice: Callable[[Shown], Message]
    refused: Response
    quota: Response
    wrong_credential: Response
    incomplete: Sequence[Response] = ()
    duplicate: Response | None = None
    bundles: bool = False


def answer(content: object, status: int = 200) -> Response:
    """Return an answer in JSON."""
    return Response(status, {}, json.dumps(content).encode())


def said(request: Request) -> str:
    """Return all that a request says, address and body, as it was before it was escaped."""
    return unquote_plus(request.url) + "\n" + unquote_plus(request.body.decode())
