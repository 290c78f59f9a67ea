"""Infobip's door: `/sms/3/messages` and `/sms/3/logs` (see `app/providers/sms/infobip.py` for the source of its rules).

In: HTTP requests as the official SDK sends them. Out: answers, logs and errors in the SDK's shapes, and reports pushed
to the address that each message names. A message's id is the sender's, if it gives one, and a second message under an
id is taken as the first was. Logs show 48 hours, newest first, a thousand at most. Booking ahead, binary texts and
`/sms/3/reports`, whose reports are given once, are not spoken.
"""

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple

from aiohttp import web
from multidict import MultiMapping

from sandbox.faults import Switches
from sandbox.messages import JST, Draft, Message, Messages, units
from sandbox.middleware import Gate, Reply
from sandbox.settings import SettingError, Webhook, http_url
from sandbox.webhook_sender import Parcel

NAME = "infobip"
SENDS = f"/{NAME}/sms/3/messages"

_MOBILE = re.compile(r"81([26789]0[1-9][0-9]{7})", re.ASCII)
_NUMBER = re.compile(r"[0-9]{7,15}", re.ASCII)
_JSON = {"Content-Type": "application/json"}
_LONGEST_ID = 200
_LONGEST_TEXT = 670  # UTF-16 units: ten parts
_KEPT_S = 48 * 3600
_LOGS, _MOST_LOGS = 50, 1000
_UNITS_S = {"SECONDS": 1, "MINUTES": 60, "HOURS": 3600}
_MCC_MNC = {"docomo": "44010", "au": "44050", "softbank": "44020", "rakuten": "44011"}
_GROUPS = {"PENDING": 1, "UNDELIVERABLE": 2, "DELIVERED": 3, "EXPIRED": 4, "REJECTED": 5}
_ERRORS = {
    "NO_ERROR": (0, "OK", 0, False),
    "EC_UNKNOWN_SUBSCRIBER": (1, "HANDSET_ERRORS", 1, True),
    "EC_ABSENT_SUBSCRIBER": (1, "HANDSET_ERRORS", 27, False),
}
# a message's state -> group, id and name of its status, and the network's error
_STATES = {
    "processing": ("PENDING", 7, "PENDING_ENROUTE", "NO_ERROR"),
    "received": ("DELIVERED", 5, "DELIVERED_TO_HANDSET", "NO_ERROR"),
    "error": ("UNDELIVERABLE", 9, "UNDELIVERABLE_NOT_DELIVERED", "EC_UNKNOWN_SUBSCRIBER"),
    "unconnected": ("UNDELIVERABLE", 9, "UNDELIVERABLE_NOT_DELIVERED", "EC_ABSENT_SUBSCRIBER"),
    "unknown": ("EXPIRED", 29, "EXPIRED_DLR_UNKNOWN", "NO_ERROR"),
    "expired": ("EXPIRED", 15, "EXPIRED_EXPIRED", "NO_ERROR"),
}
_ACCEPTED = ("PENDING", 26, "PENDING_ACCEPTED")
_TOO_LONG = ("REJECTED", 25, "REJECTED_MESSAGE_TOO_LONG")
_NO_NETWORK = ("REJECTED", 6, "REJECTED_NETWORK")


class RefusedError(Exception):
    """A request that the service refuses: the status, and the properties that are wrong."""

    def __init__(self, status: int, *wrong: str) -> None:
        super().__init__(status)
        self.status = status
        self.wrong = wrong


class Item(NamedTuple):
    """One SMS of a request: its id if it has one, its number as it was written, its status where it stays `out`."""

    draft: Draft
    id: str
    to: str
    out: tuple[str, int, str] | None


class Receipts:
    """Where reports go, and how they are written; `accounts` are let in by their secret, the API key."""

    most = 1
    each_step = False

    def __init__(self) -> None:
        self.accounts: Mapping[str, Webhook] = {}

    def account_of(self, key: str) -> str:
        """Return the account that a key belongs to: any is let in where none is known.

        Raises RefusedError.
        """
        for name, account in self.accounts.items():
            if account.secret == key:
                return name
        if self.accounts and "*" not in self.accounts:
            raise RefusedError(HTTPStatus.UNAUTHORIZED)
        return _name_of(key)

    def address(self, message: Message) -> str | None:
        """Return where a message's report goes: where it says, else where its account does."""
        account = self.accounts.get(message.tenant) or self.accounts.get("*")
        return message.receipt_url or (account.url if account else "") or None

    def write(self, message: Message) -> bytes:
        """Write a message's report (schema SmsDeliveryReport)."""
        return json.dumps({**_told(message), "to": _international(message.to), "callbackData": None}).encode()

    def parcel(self, url: str, receipts: Sequence[bytes]) -> Parcel:
        """Pack reports."""
        return Parcel("receipt", url, b'{"results": [' + b", ".join(receipts) + b"]}", _JSON)


class Infobip:
    """The API over one set of messages."""

    def __init__(self, messages: Messages, switches: Switches, receipts: Receipts) -> None:
        self._messages = messages
        self._switches = switches
        self._receipts = receipts
        messages.through(NAME, receipts)

    def routes(self, gate: Gate) -> list[web.RouteDef]:
        """Return the routes of the API, guarded."""
        return [
            web.post(SENDS, gate.guard("create", self._create)),
            web.get(f"/{NAME}/sms/3/logs", gate.guard("list", self._list)),
            web.route("*", f"/{NAME}/{{rest:.*}}", gate.guard("other", self._other)),
        ]

    def create(self, _tenant: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """POST /sms/3/messages: accept each SMS that is in order; a request with a mistake in it is refused whole."""
        try:
            account = self._account(headers)
            items = list(_read(account, _object(body)))
            for item in items:
                if status := self._switches.poison(item.draft.to, f"{NAME}.create"):
                    return _poisoned(status)
        except RefusedError as refused:
            return error(refused.status, *refused.wrong)
        answers, taken = [], []
        for item in items:
            if item.out is None:
                message = self._messages.accept(item.draft)
                taken.append(message)
                answers.append(_answer(_id_of(message), item.to, _ACCEPTED))
            else:
                answers.append(_answer(item.id, item.to, item.out))
        reply = Reply(200, json.dumps({"bulkId": str(time.time_ns()), "messages": answers}).encode(), _JSON)
        reply.accepted = taken[0].id if taken else None
        if self._switches.flag("receipts_early", f"{NAME}.receipt"):

            async def first() -> None:
                for message in taken:
                    await self._messages.settle_early(message)

            reply.first = first
        return reply

    def _create(self, request: web.Request, body: bytes) -> Reply:
        return self.create("", request.headers, body)

    def _list(self, request: web.Request, _body: bytes) -> Reply:
        """GET /sms/3/logs: messages of an id or a time, newest first."""
        try:
            account = self._account(request.headers)
            limit = _count(request.query)
            since, until = (_moment(request.query, name) for name in ("sentSince", "sentUntil"))
        except RefusedError as refused:
            return error(refused.status, *refused.wrong)
        shown: list[dict[str, Any]] = []
        for message in self._visible(account, request.query):
            if len(shown) < limit and (since is None or message.at > since) and (until is None or message.at < until):
                shown.append(_log(message))
        return Reply(200, json.dumps({"results": shown}, ensure_ascii=False).encode(), _JSON)

    def _visible(self, account: str, query: MultiMapping[str]) -> Iterator[Message]:
        """Return what the logs may show: less, or more, than they should where the switches say so."""
        call = f"{NAME}.list"
        if self._switches.flag("list_empty", call):
            return
        ids = [one for given in query.getall("messageId", []) for one in given.split(",")]
        if ids and not self._switches.flag("list_unfiltered", call):
            found = [one for name in ids for one in self._named(account, name)]
        else:
            found = list(self._messages.newest_first(account, None, None))
        now = time.time()
        youngest = now - self._switches.amount("list_stale_s", call)
        yield from (one for one in found if one.door == NAME and now - _KEPT_S <= one.at <= youngest)

    def _named(self, account: str, name: str) -> Iterator[Message]:
        """Return the messages of an id: the sender's, or the service's own where it was given none."""
        yield from self._messages.newest_first(account, None, name)
        own = self._messages.find(account, name)
        if own is not None and not own.tags:
            yield own

    def _account(self, headers: Mapping[str, str]) -> str:
        scheme, _, key = headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "app" or not key.strip():
            raise RefusedError(HTTPStatus.UNAUTHORIZED)
        return self._receipts.account_of(key.strip())

    def _other(self, _request: web.Request, _body: bytes) -> Reply:
        return error(HTTPStatus.NOT_FOUND)


def failure(status: int) -> Reply:
    """Make the 403, 429 or 500 that a switch asks for."""
    return error(status)


def error(status: int, *wrong: str) -> Reply:
    """Write an error (schema ApiError)."""
    told = {
        "errorCode": f"E{status}",
        "description": HTTPStatus(status).description or HTTPStatus(status).phrase,
        "action": "Check the request.",
        "violations": [{"property": name, "violation": "is not valid"} for name in wrong],
        "resources": [],
    }
    return Reply(status, json.dumps(told).encode(), _JSON)


@lru_cache(1024)
def _name_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:16]  # the ledger keeps no keys


def _poisoned(status: int) -> Reply:
    """Refuse one number: as one that is invalid, as if the access were, or as a firewall does."""
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        return error(HTTPStatus.BAD_REQUEST, "messages[0].destinations[0].to")
    if status == HTTPStatus.UNAUTHORIZED:
        return error(status)
    return Reply(status, b"<html><body><h1>Request blocked</h1></body></html>", {"Content-Type": "text/html"})


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "body")
    return content


def _read(account: str, content: Mapping[str, Any]) -> Iterator[Item]:
    """Read a send request (schema SmsRequest). Raises RefusedError."""
    messages = content.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "messages")
    for number, message in enumerate(messages):
        place = f"messages[{number}]"
        text, destinations = _inner(message, "content").get("text"), message.get("destinations")
        if not isinstance(text, str) or not text:
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"{place}.content.text")
        if not isinstance(message.get("sender", ""), str):
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"{place}.sender")
        if not isinstance(destinations, list) or not destinations:
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"{place}.destinations")
        until, url = _until(message, place), _address(message, place)
        for at, given in enumerate(destinations):
            to, own_id = _destination(given, f"{place}.destinations[{at}]")
            mobile = _MOBILE.fullmatch(to)
            out = _NO_NETWORK if mobile is None else _TOO_LONG if units(text) > _LONGEST_TEXT else None
            domestic, tags = f"0{mobile[1]}" if mobile else to, [own_id] if own_id else []
            draft = Draft(account, 0, domestic, text, tags, limited_at=until, door=NAME, receipt_url=url)
            yield Item(draft, own_id, to, out)


def _destination(given: object, place: str) -> tuple[str, str]:
    """Read a number and the id that the message is given, if any."""
    to = given.get("to") if isinstance(given, dict) else None
    own_id = (given.get("messageId") or "") if isinstance(given, dict) else ""
    if not isinstance(to, str) or not _NUMBER.fullmatch(to):
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"{place}.to")
    if not isinstance(own_id, str) or len(own_id) > _LONGEST_ID:
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"{place}.messageId")
    return to, own_id


def _until(message: Mapping[str, Any], place: str) -> datetime | None:
    """Read until when a message may arrive: 48 hours at most."""
    period = _inner(message, "options").get("validityPeriod")
    if period is None:
        return None
    amount, unit = _inner(period, "").get("amount"), _inner(period, "").get("timeUnit", "MINUTES")
    if type(amount) is not int or amount < 1 or unit not in _UNITS_S:
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"{place}.options.validityPeriod")
    return datetime.now(JST) + timedelta(seconds=min(amount * _UNITS_S[unit], _KEPT_S))


def _address(message: Mapping[str, Any], place: str) -> str:
    """Read where a message's report is pushed to."""
    url = _inner(_inner(message, "webhooks"), "delivery").get("url")
    if url is None:
        return ""
    try:
        return http_url(url, "url") if isinstance(url, str) else http_url("", "url")
    except SettingError:
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"{place}.webhooks.delivery.url") from None


def _inner(value: object, name: str) -> Mapping[str, Any]:
    """Return an object within an object, empty where there is none; the object itself without a name."""
    found = value.get(name) if isinstance(value, dict) and name else value
    return found if isinstance(found, dict) else {}


def _count(query: Mapping[str, str]) -> int:
    raw = query.get("limit", str(_LOGS))
    if not re.fullmatch(r"[0-9]{1,4}", raw) or not 1 <= int(raw) <= _MOST_LOGS:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "limit")
    return int(raw)


def _moment(query: Mapping[str, str], name: str) -> float | None:
    raw = query.get(name)
    try:
        return None if raw is None else datetime.strptime(raw, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
    except ValueError:
        raise RefusedError(HTTPStatus.BAD_REQUEST, name) from None


def _id_of(message: Message) -> str:
    return message.tags[0] if message.tags else message.id


def _answer(own_id: str, to: str, status: tuple[str, int, str]) -> dict[str, Any]:
    """Write what became of one SMS of a request (schema SmsResponseDetails)."""
    return {"messageId": own_id, "status": _status(*status), "destination": to}


def _status(group: str, number: int, name: str) -> dict[str, Any]:
    return {"groupId": _GROUPS[group], "groupName": group, "id": number, "name": name, "description": name.capitalize()}


def _log(message: Message) -> dict[str, Any]:
    """Write a message as the logs do (schema SmsLog)."""
    return {**_told(message), "destination": _international(message.to), "content": {"text": message.body}}


def _told(message: Message) -> dict[str, Any]:
    """Write what logs and reports have in common."""
    status_group, status_id, status_name, error_name = _STATES[message.state]
    group_id, group, number, permanent = _ERRORS[error_name]
    length = units(message.body)
    return {
        "bulkId": message.id,
        "messageId": _id_of(message),
        "sender": "05012345678",
        "sentAt": _written(message.at),
        "doneAt": _written(datetime.fromisoformat(message.updated_at).timestamp()),
        "messageCount": 1 if length <= 70 else -(-length // 67),  # noqa: PLR2004 - what one SMS holds, and each part
        "price": {"pricePerMessage": 8.5, "currency": "JPY"},
        "status": _status(status_group, status_id, status_name),
        "error": {
            "groupId": group_id,
            "groupName": group,
            "id": number,
            "name": error_name,
            "description": error_name.capitalize(),
            "permanent": permanent,
        },
        "mccMnc": _MCC_MNC.get(message.carrier),
    }


def _written(at: float) -> str:
    """Write epoch seconds as the service does, in Japan's time."""
    return datetime.fromtimestamp(at, JST).isoformat(timespec="milliseconds").replace("+09:00", "+0900")


def _international(domestic: str) -> str:
    return "81" + domestic[1:]
