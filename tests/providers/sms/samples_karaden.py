"""空電プッシュ's answers, as its OpenAPI document of 2024-03-01 writes them."""

import json
from datetime import timedelta, timezone

from app.providers.sms.base import Pushed, SmsAccess
from tests.providers.sms.sample import Message, Sample, Shown, answer

_ID = "82bdf9de-a532-4bf5-86bc-c9a1366e5f4a"
_JST = timezone(timedelta(hours=9))


def _message(shown: Shown) -> Message:
    time = shown.at.astimezone(_JST).isoformat(timespec="seconds")
    return {
        "id": _ID,
        "object": "message",
        "service_id": 12,
        "to": "0" + shown.to.removeprefix("+81"),
        "body": shown.body,
        "tags": [shown.reference],
        "result": "done" if shown.arrived else "processing",
        "status": "done" if shown.arrived else "waiting",
        "sent_result": "received" if shown.arrived else "none",
        "carrier": "docomo" if shown.arrived else "checking",
        "charged_count_per_sent": int(shown.arrived),
        "created_at": time,
        "updated_at": time,
    }


_LIST = {"object": "list", "has_more": False, "data": []}

SAMPLE = Sample(
    account=SmsAccess(
        "https://sms.example/api",
        {"tenant_id": "159bfd33-b9b7-f424-4755-c119b324591d", "service_id": "12"},
        {"token": "secret-token"},
    ),
    message=_message,
    accepted=lambda shown: answer(_message(shown)),
    listing=lambda messages: answer({**_LIST, "data": list(messages)}),
    detail=answer,
    pushed=lambda messages: Pushed(json.dumps(messages[0]).encode(), {"karaden-version": "2024-03-01"}),
    notice=_message,
    refused=answer({"object": "error", "code": "validation_error", "errors": {"to": ["090…"]}}, 422),
    # the specification knows no quota; a contract that may send no more is refused as one that it doesn't know
    quota=answer({"object": "error", "code": "invalid_tenant", "message": "…", "errors": None}, 400),
    wrong_credential=answer({"object": "error", "code": "unauthentication", "message": "…", "errors": None}, 401),
    incomplete=[answer({**_LIST, "has_more": True}), answer({"object": "list", "data": []})],
)
