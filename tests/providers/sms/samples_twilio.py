"""Twilio's answers, as its OpenAPI document and its dictionary of errors write them, and callbacks as it signs them."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from email.utils import format_datetime
from urllib.parse import urlencode

from app.providers.http import Response
from app.providers.sms.base import Pushed, SmsAccess
from tests.providers.sms.sample import Message, Sample, Shown, answer

_SID = "AC" + "1f" * 16
_URL = "https://todoke.example/callbacks/sms/7/0123456789abcdef0123456789abcdef"


def _id(shown: Shown) -> str:
    return "SM" + hashlib.sha256(f"{shown.reference} {shown.at}".encode()).hexdigest()[:32]


def _message(shown: Shown) -> Message:
    """Write a message as look-up and detail show it: it holds no word of ours but the text."""
    return {
        "account_sid": _SID,
        "api_version": "2010-04-01",
        "body": shown.body,
        "date_created": format_datetime(shown.at),
        "date_sent": format_datetime(shown.at) if shown.arrived else None,
        "date_updated": format_datetime(shown.at),
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": "+815012345678",
        "messaging_service_sid": None,
        "num_media": "0",
        "num_segments": "1",
        "price": None,
        "price_unit": "USD",
        "sid": _id(shown),
        "status": "delivered" if shown.arrived else "queued",
        "subresource_uris": {},
        "to": shown.to,
        "uri": f"/2010-04-01/Accounts/{_SID}/Messages/{_id(shown)}.json",
    }


def _notice(shown: Shown) -> Message:
    """Write a message as a callback tells of it; `reference` stands in the address."""
    return {
        "reference": shown.reference,
        "AccountSid": _SID,
        "From": "+815012345678",
        "MessageSid": _id(shown),
        "MessageStatus": "delivered" if shown.arrived else "sent",
        "To": shown.to,
    }


def _pushed(notices: Sequence[Message]) -> Pushed:
    """Return a callback as it comes to the door, signed."""
    (notice,) = notices
    fields = {name: str(value) for name, value in notice.items() if name != "reference"}
    query = urlencode({"reference": str(notice.get("reference", ""))})
    covered = f"{_URL}?{query}" + "".join(name + value for name, value in sorted(fields.items()))
    signature = base64.b64encode(hmac.digest(b"auth-token", covered.encode(), "sha1")).decode()
    headers = {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": signature}
    body = urlencode(fields).encode()
    return Pushed(body, headers, query)


def _error(code: int, message: str, status: int = 400) -> Response:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return answer({"code": code, "message": message, "more_info": more, "status": status}, status)


def _listing(messages: Sequence[Message], **more: object) -> Response:
    return answer({"messages": list(messages), "page": 0, "page_size": 400, "next_page_uri": None, **more})


SAMPLE = Sample(
    account=SmsAccess(
        "https://sms.example",
        {"account_sid": _SID, "sender": "+815012345678"},
        {"auth_token": "auth-token", "shared_key": "shared-key"},
        receipt_url=_URL,
    ),
    message=_message,
    accepted=lambda shown: answer(_message(shown), 201),
    listing=_listing,
    detail=answer,
    pushed=_pushed,
    notice=_notice,
    refused=_error(21211, "The 'To' number +819012345678 is not a valid phone number."),
    quota=_error(63038, "Account exceeded the 9 daily messages limit", 429),
    wrong_credential=_error(20003, "Authenticate", 401),
    incomplete=[
        _listing([], next_page_uri="/2010-04-01/Accounts/AC/Messages.json?Page=1"),
        answer({"messages": []}),
        _error(20500, "An internal server error has occurred", 500),
    ],
)
