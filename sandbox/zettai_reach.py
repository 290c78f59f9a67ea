"""絶対リーチ!SMS's door: CommonMT of specification 1.4.7 (see `app/providers/sms/zettai_reach.py` for its source).

In: `POST mt.json` and `GET status.json` below `/zettai_reach/p5/api/`, as forms and queries. Out: answers whose HTTP
status is 200 whatever became of them, with number and text in them as the real ones have; receipts in bundles of up
to 100, `json=…` as a form, for messages with a `clientTag`. A tag is taken once. Figures are now numbers, now texts.
Booking ahead (`scheduleTime`) is not spoken, nor are `shortenurl`, `template`, `numbercleaning` and the counts.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from urllib.parse import quote_plus

from aiohttp import web
from yarl import URL

from sandbox.faults import Switches
from sandbox.messages import JST, Draft, Message, Messages
from sandbox.middleware import Gate, Reply
from sandbox.settings import Webhook
from sandbox.webhook_sender import Parcel

NAME = "zettai_reach"
SECRETS = frozenset({"token"})
BUNDLE = 100
_CALLS = f"/{NAME}/p5/api"
SENDS = f"{_CALLS}/mt.json"

_NUMBER = re.compile(r"(?:\+81|0)([26789]0[1-9][0-9]{7})")
_TAG = 200
_TEXT = 660
_RULES = {
    "token": re.compile(r"[0-9A-Za-z]{32}"),
    "clientId": re.compile(r"[0-9]{1,20}"),
    "smsCode": re.compile(r"[0-9A-Za-z]{5,6}"),
    "phoneNumber": _NUMBER,
    "carrierId": re.compile(r"10[1356]"),
}
_JSON = {"Content-Type": "application/json"}
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_SYSTEM_ERROR = (500, "System error.")
_MODULES = {"docomo": "31", "au": "11", "softbank": "51", "rakuten": "61"}
_CARRIERS = {
    "au": (101, "AU"),
    "docomo": (103, "Docomo"),
    "softbank": (105, "Softbank"),
    "rakuten": (106, "楽天モバイル"),
}
_STATES = {
    "processing": (1, "Message is Sending", ""),
    "received": (2, "Message delivered", ""),
    "error": (3, "Message delivery failed", "732"),
    "unconnected": (3, "Message delivery failed", "823"),
    "unknown": (0, "Unknown", ""),
}


class RefusedError(Exception):
    """A request that the service refuses: its `responseCode`, and the message beside it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code)
        self.code = code
        self.message = message


class Receipts:
    """Where each client's receipts go, and how they are written."""

    most = BUNDLE
    each_step = False

    def __init__(self) -> None:
        self.accounts: Mapping[str, Webhook] = {}

    def address(self, message: Message) -> str | None:
        """Return where a message's receipt goes: nowhere without a tag."""
        account = self.accounts.get(message.tenant) or self.accounts.get("*")
        return (account.url or None) if account and message.key else None

    def write(self, message: Message) -> bytes:
        """Write a message's event."""
        status, description, _ = _STATES[message.state]
        event = {
            "type": "DLR",
            "dateTime": datetime.fromisoformat(message.updated_at).strftime("%Y/%m/%d %H:%M:%S"),
            "messageId": message.id.replace("-", ""),
            "phoneNumber": _international(message.to),
            "smsCode": str(message.service_id),
            "messageText": message.body,
            "clientId": message.tenant,
            "clientTag": message.tags[0] if message.tags else "",
            "statusId": _figure(message, status),
            "statusDescription": description,
            **_carrier(message),
            "separatedSuccessCount": message.charged_count_per_sent,
        }
        return json.dumps(event, ensure_ascii=False).encode()

    def parcel(self, url: str, receipts: Sequence[bytes]) -> Parcel:
        """Pack events as one form."""
        bundle = b'{"eventNotifications": [' + b", ".join(receipts) + b"]}"
        return Parcel("receipt", url, b"json=" + quote_plus(bundle).encode(), _FORM)


class ZettaiReach:
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
            web.get(f"{_CALLS}/status.json", gate.guard("list", self._list)),
            web.route("*", f"/{NAME}/{{rest:.*}}", gate.guard("other", self._other)),
        ]

    def create(self, _tenant: str, _headers: Mapping[str, str], body: bytes) -> Reply:
        """POST mt.json: accept one SMS."""
        form = URL.build(query_string=body.decode("utf-8", "replace"), encoded=True).query
        shown = {"phoneNumber": form.get("phoneNumber", ""), "smsMessage": form.get("message", "")}
        try:
            draft = self._read(form)
        except RefusedError as refused:
            return coded(refused.code, refused.message, **shown)
        if status := self._switches.poison(draft.to, f"{NAME}.create"):
            return _poisoned(status, shown)
        message = self._messages.accept(draft)
        shown["phoneNumber"] = _international(draft.to)
        reply = coded(_figure(message, 0), "Success.", **shown)
        reply.accepted = message.id
        if self._switches.flag("receipts_early", f"{NAME}.receipt"):

            async def first() -> None:
                await self._messages.settle_early(message)

            reply.first = first
        return reply

    def _read(self, form: Mapping[str, str]) -> Draft:
        """Read and check a send request. Raises RefusedError."""
        self._let_in(form)
        _check(form, "smsCode", "phoneNumber", "message")
        tag, client = form.get("clientTag", ""), form["clientId"]
        if len(form["message"]) > _TEXT:
            raise RefusedError(120, "message too long.")
        if len(tag) > _TAG:
            raise RefusedError(120, "clientTag too long.")
        if "carrierId" in form:
            _check(form, "carrierId")
        if "scheduleTime" in form:
            raise RefusedError(*_SYSTEM_ERROR)
        if tag and self._messages.has(NAME, client, tag):
            raise RefusedError(400, "Duplicate client tag.")
        number = _NUMBER.fullmatch(form["phoneNumber"])
        assert number is not None  # noqa: S101 - it was checked
        code = int(form["smsCode"]) if form["smsCode"].isdigit() else 0
        tags = [tag] if tag else []
        return Draft(client, code, "0" + number[1], form["message"], tags, door=NAME, key=tag)

    def _let_in(self, form: Mapping[str, str]) -> None:
        """Check who asks. Raises RefusedError."""
        _check(form, "token", "clientId")
        known = self._receipts.accounts
        if known and "*" not in known and form["clientId"] not in known:
            raise RefusedError(110, "Invalid clientId.")
        account = known.get(form["clientId"])
        if account is not None and account.secret != form["token"]:
            raise RefusedError(110, "Invalid token.")

    def _create(self, request: web.Request, body: bytes) -> Reply:
        return self.create("", request.headers, body)

    def _list(self, request: web.Request, _body: bytes) -> Reply:
        """GET status.json: the messages with a tag, or those of a day, as they stand."""
        query = request.query
        tag, day = query.get("clientTag", ""), query.get("date", "")
        try:
            self._let_in(query)
            if not tag and not day:
                raise RefusedError(100, "Required clientTag or date.")
        except RefusedError as refused:
            return coded(refused.code, refused.message)
        found = [_write(one) for one in self._visible(query["clientId"], tag, day)]
        return coded(0, "Success.", status=found)

    def _visible(self, client: str, tag: str, day: str) -> Iterator[Message]:
        """Return what a list may show: less, or more, than it should where the switches say so."""
        call = f"{NAME}.list"
        if self._switches.flag("list_empty", call):
            return
        wanted = None if not tag or self._switches.flag("list_unfiltered", call) else tag
        youngest = time.time() - self._switches.amount("list_stale_s", call)
        for message in self._messages.newest_first(client, None, wanted):
            of_day = bool(tag) or datetime.fromtimestamp(message.at, JST).strftime("%Y%m%d") == day
            if message.door == NAME and message.at <= youngest and of_day:
                yield message

    def _other(self, _request: web.Request, _body: bytes) -> Reply:
        return Reply(404, b"<html><body><h1>Not Found</h1></body></html>", {"Content-Type": "text/html"})


def failure(status: int) -> Reply:
    """Make the fault that a switch asks for: 500 is the service's own and says 200 in HTTP, the others a gateway's."""
    if status == _SYSTEM_ERROR[0]:
        return coded(*_SYSTEM_ERROR)
    return Reply(status, b"<html><body><h1>Request blocked</h1></body></html>", {"Content-Type": "text/html"})


def coded(code: int | str, message: str, **more: object) -> Reply:
    """Write an answer with a code of the service's own."""
    body = json.dumps({"responseCode": code, "responseMessage": message, **more}, ensure_ascii=False)
    return Reply(200, body.encode(), _JSON)


def _poisoned(status: int, shown: Mapping[str, str]) -> Reply:
    """Refuse one number: as one that is invalid, as if the access were, or as a firewall does."""
    refusals = {422: "Invalid phoneNumber.", 401: "Invalid token.", 404: "Invalid clientId."}
    return coded(110, refusals[status], **shown) if status in refusals else failure(status)


def _check(form: Mapping[str, str], *names: str) -> None:
    """Check that fields are there and fit their rules. Raises RefusedError."""
    for name in names:
        if not form.get(name):
            raise RefusedError(100, f"Required {name}.")
        if name in _RULES and not _RULES[name].fullmatch(form[name]):
            raise RefusedError(110, f"Invalid {name}.")


def _write(message: Message) -> dict[str, object]:
    """Write a message as a list shows it."""
    at = datetime.fromisoformat(message.updated_at)
    return {
        "dateTime": at.strftime("%Y%m%d %H%M%S000"),
        "phoneNumber": _international(message.to),
        "message": message.body,
        "smsCode": message.service_id,
        "statusId": _figure(message, _STATES[message.state][0]),
        "clientTag": message.tags[0] if message.tags else "",
        **_carrier(message),
        "separatedSuccessCount": _figure(message, message.charged_count_per_sent),
    }


def _carrier(message: Message) -> dict[str, object]:
    """Write the carrier and the carrier's word: before the end they are anything."""
    status, _, cause = _STATES[message.state]
    number, name = _CARRIERS.get(message.carrier, (999, ""))
    detail = int(_MODULES.get(message.carrier, "99") + cause) if cause else status
    return {
        "carrierId": _figure(message, number) if status > 1 else None,
        "carrierName": name,
        "detailedStatusId": _figure(message, detail),
    }


def _figure(message: Message, figure: int) -> int | str:
    """Write a figure as a number or as a text, for one message always alike."""
    return figure if int(message.id[0], 16) % 2 else str(figure)


def _international(domestic: str) -> str:
    return "+81" + domestic[1:]
