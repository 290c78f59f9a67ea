"""Accounts and answers of each SMS service, as the conformance test needs them.

A service's line in `SAMPLES` is all that `test_conformance` asks of it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from app.providers.http import Response
from app.providers.sms.base import SmsAccess

ID = "82bdf9de-a532-4bf5-86bc-c9a1366e5f4a"
_JST = timezone(timedelta(hours=9))


@dataclass(frozen=True)
class Sample:
    """One service's account and answers, as its specification writes them.

    `message` is a message's body as the service shows it, of a reference and an E.164 number, accepted at a time; with
    `True` it has arrived. `listing` is the answer to a look-up, or to a list, with such messages.
    """

    account: SmsAccess
    message: Callable[[str, str, datetime, bool], Mapping[str, object]]
    listing: Callable[[Sequence[Mapping[str, object]]], Response]
    refused: Response
    receipt_headers: Mapping[str, str] = field(default_factory=dict)


def answer(content: object, status: int = 200) -> Response:
    return Response(status, {}, json.dumps(content).encode())


def _karaden_message(reference: str, to: str, at: datetime, arrived: bool) -> Mapping[str, object]:  # noqa: FBT001 - a sample
    time = at.astimezone(_JST).isoformat(timespec="seconds")
    return {
        "id": ID,
        "object": "message",
        "service_id": 12,
        "to": "0" + to.removeprefix("+81"),
        "body": "秘密の本文",
        "tags": [reference],
        "result": "done" if arrived else "processing",
        "status": "done" if arrived else "waiting",
        "sent_result": "received" if arrived else "none",
        "carrier": "docomo" if arrived else "checking",
        "charged_count_per_sent": int(arrived),
        "created_at": time,
        "updated_at": time,
    }


SAMPLES: Mapping[str, Sample] = {
    "karaden": Sample(
        account=SmsAccess(
            "https://sms.example/api",
            {"tenant_id": "159bfd33-b9b7-f424-4755-c119b324591d", "service_id": "12"},
            {"token": "secret-token"},
        ),
        message=_karaden_message,
        listing=lambda messages: answer({"object": "list", "has_more": False, "data": list(messages)}),
        refused=answer({"object": "error", "code": "validation_error", "errors": {"to": ["090…"]}}, 422),
    ),
}
