"""Pushes of an SMS service, so many receipts a second whatever the answers take: `python -m bench.pushes RATE FILE`.

FILE has one JSON text with a list of parcels. Prints `{"pushed": …, "failed": …, "seconds": …}` as its last line, both
counts in receipts.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus, urlencode

from app.providers.curl import Engine
from app.providers.http import Answer, Request, Response
from bench.lists import CONTRACTS
from sandbox.twilio import signature
from sandbox.zettai_reach import BUNDLE

_AT_ONCE = 64
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}

Message = Mapping[str, Any]


class Parcel(NamedTuple):
    """One push: where, how, and how many receipts are in it."""

    url: str
    headers: Mapping[str, str]
    body: str
    receipts: int = 1


def karaden(url: str, messages: Sequence[Message]) -> list[Parcel]:
    """Write the receipts of messages of the sandbox that arrived: one each, unsigned."""
    told = {
        "object": "message",
        "result": "done",
        "status": "done",
        "sent_result": "received",
        "carrier": "docomo",
        "charged_count_per_sent": 1,
    }
    own = ({**told, "id": message["id"], "tags": message["tags"]} for message in messages)
    return [Parcel(url, {"Content-Type": "application/json"}, json.dumps(one)) for one in own]


def zettai_reach(url: str, messages: Sequence[Message]) -> list[Parcel]:
    """Write bundles of such receipts, as many in each as the service puts into one."""
    bundles = [messages[start : start + BUNDLE] for start in range(0, len(messages), BUNDLE)]
    return [Parcel(url, _FORM, f"json={quote_plus(_bundle(bundle))}", len(bundle)) for bundle in bundles]


def _bundle(messages: Sequence[Message]) -> str:
    held = CONTRACTS["zettai_reach"].settings
    told = {
        "type": "DLR",
        "dateTime": time.strftime("%Y/%m/%d %H:%M:%S"),
        "smsCode": held["sms_code"],
        "clientId": held["client_id"],
        "statusId": 2,
        "statusDescription": "Message delivered",
        "carrierId": 103,
        "carrierName": "Docomo",
        "detailedStatusId": 2,
        "separatedSuccessCount": 1,
    }
    events = [
        {
            **told,
            "messageId": message["id"].replace("-", ""),
            "phoneNumber": "+81" + message["to"][1:],
            "messageText": message["body"],
            "clientTag": message["tags"][0],
        }
        for message in messages
    ]
    return json.dumps({"eventNotifications": events}, ensure_ascii=False)


def twilio(url: str, messages: Sequence[Message]) -> list[Parcel]:
    """Write such receipts one each, signed."""
    held = CONTRACTS["twilio"]
    parcels = []
    for message in messages:
        sid, address = "SM" + message["id"].replace("-", ""), f"{url}?reference={quote(message['tags'][0])}"
        fields = {
            "AccountSid": held.settings["account_sid"],
            "MessageSid": sid,
            "MessageStatus": "delivered",
            "SmsSid": sid,
            "SmsStatus": "delivered",
            "To": "+81" + message["to"][1:],
        }
        signed = {"X-Twilio-Signature": signature(address, fields, held.credentials["auth_token"])}
        parcels.append(Parcel(address, _FORM | signed, urlencode(fields)))
    return parcels


WRITERS: Mapping[str, Callable[[str, Sequence[Message]], list[Parcel]]] = {
    "karaden": karaden,
    "zettai_reach": zettai_reach,
    "twilio": twilio,
}


def push(rate: float, parcels: Sequence[Parcel]) -> dict[str, float]:
    """Push each parcel once; so many receipts a second."""
    failed = 0
    began = time.monotonic()
    before = accumulate((parcel.receipts for parcel in parcels), initial=0)

    def due() -> Iterator[tuple[Parcel, Request] | None]:
        for parcel, number in zip(parcels, before, strict=False):
            while time.monotonic() < began + number / rate:
                yield None
            yield parcel, Request("POST", parcel.url, parcel.headers, parcel.body.encode())

    def answered(parcel: Parcel, answer: Answer) -> None:
        nonlocal failed
        good = isinstance(answer, Response) and answer.status == 200  # noqa: PLR2004 - HTTP's word for all is well
        failed += 0 if good else parcel.receipts

    with Engine[Parcel](_AT_ONCE) as engine:
        engine.run(
            due(),
            answered,
            may_connect=lambda _parcel: True,
            may_send=lambda _parcel: True,
            on_skipped=lambda _parcel: None,
        )
    total = sum(parcel.receipts for parcel in parcels)
    return {"pushed": total - failed, "failed": failed, "seconds": time.monotonic() - began}


if __name__ == "__main__":
    per_second, path = sys.argv[1:]
    written = json.loads(Path(path).read_text(encoding="utf-8"))
    print(json.dumps(push(float(per_second), [Parcel(*one) for one in written])))
