"""Infobip's answers, as its SDK infobip-api-python-client 6.0.0 and its page of status codes write them."""

import json
from collections.abc import Sequence
from datetime import timedelta

from app.providers.http import Response
from app.providers.sms.base import Pushed, SmsAccess
from tests.providers.sms.sample import Message, Sample, Shown, answer

PENDING = {
    "groupId": 1,
    "groupName": "PENDING",
    "id": 26,
    "name": "PENDING_ACCEPTED",
    "description": "Message sent to next instance",
}
DELIVERED = {
    "groupId": 3,
    "groupName": "DELIVERED",
    "id": 5,
    "name": "DELIVERED_TO_HANDSET",
    "description": "Message delivered to handset",
}
NO_ERROR = {
    "groupId": 0,
    "groupName": "OK",
    "id": 0,
    "name": "NO_ERROR",
    "description": "No Error",
    "permanent": False,
}


def _time(shown: Shown, later_s: int = 0) -> str:
    return (shown.at + timedelta(seconds=later_s)).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def _report(shown: Shown) -> dict[str, object]:
    """Write what a log and a pushed report have in common."""
    return {
        "bulkId": "2034072219640523072",
        "messageId": shown.reference,
        "sender": "05012345678",
        "sentAt": _time(shown),
        "doneAt": _time(shown, 3 * shown.arrived),
        "messageCount": 1,
        "mccMnc": "44010" if shown.arrived else "null",
        "price": {"pricePerMessage": 8.5, "currency": "JPY"},
        "status": DELIVERED if shown.arrived else PENDING,
        "error": NO_ERROR,
    }


def rejected(name: str, group: str = "REJECTED") -> Response:
    """Return the answer to a send that tells of a refusal."""
    status = {"groupId": 5, "groupName": group, "id": 12, "name": name, "description": "a person's words"}
    messages = [{"messageId": "k3mzq7x2abcd.41.1", "status": status, "destination": "819012345678"}]
    return answer({"messages": messages})


def error(code: str, status: int, *violations: str) -> Response:
    """Return an error (schema ApiError); `violations` are the properties that it names."""
    told = [{"property": name, "violation": "a person's words, 819012345678"} for name in violations]
    content = {"errorCode": code, "description": "…", "action": "…", "violations": told, "resources": []}
    return answer(content, status)


def listing(messages: Sequence[Message], shown_at: str = "Mon, 23 Nov 2026 02:00:00 GMT") -> Response:
    """Return an answer of the logs, made an hour after the messages."""
    body = json.dumps({"results": list(messages)}).encode()
    return Response(200, {"date": shown_at}, body)


def pushed(notices: Sequence[Message]) -> Pushed:
    """Return reports as they come to the door."""
    return Pushed(json.dumps({"results": list(notices)}).encode(), {"content-type": "application/json"})


def accepted(shown: Shown) -> Response:
    """Return the answer to a send."""
    message = {"messageId": shown.reference, "status": PENDING, "destination": shown.to[1:], "details": None}
    return answer({"bulkId": "2034072219640523072", "messages": [message]})


def message(shown: Shown) -> Message:
    """Write a log."""
    return {**_report(shown), "destination": shown.to[1:], "content": {"text": shown.body}}


def notice(shown: Shown) -> Message:
    """Write a pushed report."""
    return {**_report(shown), "to": shown.to[1:], "callbackData": None}


SAMPLE = Sample(
    account=SmsAccess("https://abcde.api.example.com", {}, {"api_key": "003026bbc133714df1834b8638bb496e-8f4b3d9a"}),
    message=message,
    accepted=accepted,
    listing=listing,
    detail=lambda one: listing([one]),
    pushed=pushed,
    notice=notice,
    refused=error("E400", 400, "messages[0].destinations[0].to"),
    quota=rejected("REJECTED_NOT_ENOUGH_CREDITS"),
    wrong_credential=error("E401", 401),
    incomplete=[
        answer({"results": [], "cursor": {"limit": 100, "nextCursor": "x"}}),
        answer({"results": None}),
        answer({}),
        answer({"results": ["k3mzq7x2abcd.41.1"]}),
    ],
    bundles=True,
)
