"""絶対リーチ!SMS's answers, as its OpenAPI document 1.4.7 writes them; figures now as numbers, now as texts."""

import json
from collections.abc import Sequence
from datetime import timedelta, timezone
from urllib.parse import quote_plus

from app.providers.http import Response
from app.providers.sms.base import Pushed, SmsAccess
from tests.providers.sms.sample import Message, Sample, Shown, answer

_JST = timezone(timedelta(hours=9))


def _message(shown: Shown) -> Message:
    """Write a message as `status.json` shows it; before its end the document calls most fields indefinite."""
    return {
        "dateTime": shown.at.astimezone(_JST).strftime("%Y%m%d %H%M%S") + "123",
        "phoneNumber": shown.to,
        "message": shown.body,
        "smsCode": 12345,
        "carrierId": "103" if shown.arrived else None,
        "carrierName": "Docomo" if shown.arrived else "",
        "statusId": "2" if shown.arrived else "1",
        "clientTag": shown.reference,
        "detailedStatusId": "2" if shown.arrived else "",
        "separatedSuccessCount": 1 if shown.arrived else 77,
    }


def _notice(shown: Shown) -> Message:
    """Write a message as a receipt tells of it."""
    return {
        "type": "DLR",
        "dateTime": shown.at.astimezone(_JST).strftime("%Y/%m/%d %H:%M:%S"),
        "messageId": "abcdefghijklmnopqrstuv0123456789",
        "phoneNumber": shown.to,
        "smsCode": "12345",
        "carrierId": 103 if shown.arrived else None,
        "carrierName": "Docomo",
        "messageText": shown.body,
        "clientId": 12345,
        "clientTag": shown.reference,
        "statusId": 2 if shown.arrived else 1,
        "statusDescription": "Message delivered" if shown.arrived else "Message is Sending",
        "detailedStatusId": 2,
        "separatedSuccessCount": "1",
    }


def coded(code: object, message: str, **more: object) -> Response:
    """Return an answer with a code of the service's own; HTTP says 200."""
    return answer({"responseCode": code, "responseMessage": message, **more})


def pushed(notices: Sequence[Message]) -> Pushed:
    """Return a bundle of receipts as it comes to the door."""
    body = "json=" + quote_plus(json.dumps({"eventNotifications": list(notices)}))
    return Pushed(body.encode(), {"content-type": "application/x-www-form-urlencoded"})


SAMPLE = Sample(
    account=SmsAccess(
        "https://sms.example",
        {"client_id": "12345", "sms_code": "54321"},
        {"token": "1234567890abcdefghijklmnopqrstuv"},
    ),
    message=_message,
    accepted=lambda shown: coded(0, "Success.", phoneNumber=shown.to, smsMessage=shown.body),
    listing=lambda messages: coded("0", "Success.", status=list(messages)),
    detail=lambda message: coded(0, "Success.", status=[message]),
    pushed=pushed,
    notice=_notice,
    refused=coded(110, "Invalid phoneNumber.", phoneNumber="+819012345678", smsMessage="…"),
    quota=coded(300, "Exceed sending count."),
    wrong_credential=coded("110", "Invalid token."),
    incomplete=[coded(500, "System error."), coded(0, "Success."), coded(200, "No data.", status=[])],
    duplicate=coded(400, "Duplicate client tag."),
    bundles=True,
)
