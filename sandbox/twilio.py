"""Twilio's door: the Messages resource of API 2010-04-01 (twilio/twilio-oai), and its signed status callbacks.

In: HTTP requests as the official SDK sends them. Out: messages, lists and errors in the specification's shapes.
Spoken are create, list by `To` and fetch. Any token opens an account that no setting names, and signs its callbacks
from then on; a message's fate is the carriers' (`sandbox.messages`). Of the switches `tag_lost` takes the query off a
callback's address, and `tag_unlisted` hides a message from the list by number: there is no other.
"""

import base64
import hmac
import json
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode, urlsplit

from aiohttp import web
from yarl import URL

from sandbox.faults import Switches
from sandbox.messages import Draft, Message, Messages, units
from sandbox.middleware import Gate, Reply
from sandbox.settings import Webhook
from sandbox.webhook_sender import Parcel

NAME = "twilio"
_MESSAGES = f"/{NAME}/2010-04-01/Accounts/{{tenant}}/Messages"
SENDS = f"{_MESSAGES}.json"

_SID = re.compile(r"AC[0-9a-fA-F]{32}")
_TO = re.compile(r"\+81([1-9][0-9]{9})")
_SENDER = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{4,8}|[A-Za-z0-9 ]{1,11}")
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
_COUNT = re.compile(r"[0-9]{1,5}", re.ASCII)
_LONGEST, _ONE_SMS, _ONE_PART = 1600, 70, 67
_LONGEST_QUEUEING_S = 36_000
_LARGEST_PAGE = 1000
_FROM = "+815012345678"
_JSON = {"Content-Type": "application/json"}
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
# the carrier's words in Twilio's, with its codes of errors
_STATES: Mapping[str, tuple[str, int | None]] = {
    "received": ("delivered", None),
    "unconnected": ("undelivered", 30003),
    "error": ("undelivered", 30005),
    "unknown": ("sent", None),
    "expired": ("failed", 30036),
    "canceled": ("canceled", None),
}
_ERRORS: Mapping[int, tuple[int, str]] = {
    20001: (400, "Invalid parameter"),
    20003: (401, "Authenticate"),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too Many Requests"),
    20500: (500, "An internal server error has occurred"),
    21211: (400, "Invalid 'To' Phone Number: {to}"),
    21212: (400, "Invalid From Number (caller ID)"),
    21602: (400, "Message body is required."),
    21609: (400, "The 'StatusCallback' URL is not a valid URL."),
    21617: (400, "The concatenated message body exceeds the 1600 character limit"),
    21703: (400, "The Messaging Service is invalid"),
}
_UNREADABLE, _NOBODY, _NOT_FOUND = 20001, 20003, 20404
# of the statuses that a switch asks for
_OF_STATUS = {401: 20003, 404: 20404, 429: 20429, 500: 20500}


class TwilioError(Exception):
    """A request that Twilio refuses, by its code."""

    def __init__(self, code: int, to: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.to = to


class Receipts:
    """Where messages' status callbacks go, and how they are written: one for each step."""

    most = 1
    each_step = True

    def __init__(self) -> None:
        self.accounts: Mapping[str, Webhook] = {}
        self.tokens: dict[str, str] = {}

    def address(self, message: Message) -> str | None:
        """Return where a message's callbacks go: as was said with it, else the account's own address."""
        known = self.accounts.get(message.tenant) or self.accounts.get("*")
        told = message.receipt_url if message.tags else message.receipt_url.partition("?")[0]
        return told or (known.url if known else "") or None

    def write(self, message: Message) -> bytes:
        """Write the callback of a message as it stands: one that isn't over was sent."""
        status, error = _status(message)
        status = "sent" if status == "queued" else status
        fields = {
            "ApiVersion": "2010-04-01",
            "SmsSid": _sid(message),
            "SmsStatus": status,
            "To": _international(message.to),
            "From": _FROM,
            "MessageSid": _sid(message),
            "MessageStatus": status,
            "AccountSid": message.tenant,
        }
        return urlencode(fields if error is None else {**fields, "ErrorCode": str(error)}).encode()

    def parcel(self, url: str, receipts: Sequence[bytes]) -> Parcel:
        """Pack a callback, signed with the token of its account."""
        fields = dict(parse_qsl(receipts[0].decode()))
        token = self.token(fields["AccountSid"])
        return Parcel("receipt", url, receipts[0], _FORM | {"X-Twilio-Signature": signature(url, fields, token)})

    def token(self, account: str) -> str:
        """Return an account's token: its own by the settings, else the one that opened it last."""
        known = self.accounts.get(account)
        return known.secret if known else self.tokens.get(account, "")


class Twilio:
    """The API over the carrier's messages."""

    def __init__(self, messages: Messages, switches: Switches, receipts: Receipts) -> None:
        self._messages = messages
        self._switches = switches
        self._receipts = receipts
        messages.through(NAME, receipts)

    def routes(self, gate: Gate) -> list[web.RouteDef]:
        """Return the routes of the API, guarded."""
        return [
            web.post(SENDS, gate.guard("create", self._create)),
            web.get(SENDS, gate.guard("list", self._list)),
            web.get(_MESSAGES + "/{id}.json", gate.guard("detail", self._detail)),
            web.route("*", f"/{NAME}/{{rest:.*}}", gate.guard("other", self._other)),
        ]

    def create(self, tenant: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """POST …/Messages.json: accept one SMS."""
        try:
            # yarl reads a form six times as fast as the standard library does
            form = URL.build(query_string=body.decode("utf-8", "replace"), encoded=True).query
            draft = _read_draft(self._account(tenant, headers), form)
        except TwilioError as error:
            return refusal(error)
        if status := self._switches.poison(draft.to, f"{NAME}.create"):
            return failure(status)
        message = self._messages.accept(draft)
        reply = Reply(201, json.dumps(shown(message)).encode(), _JSON, accepted=message.id)
        if self._switches.flag("receipts_early", f"{NAME}.receipt"):

            async def first() -> None:
                await self._messages.settle_early(message)

            reply.first = first
        return reply

    def _create(self, request: web.Request, body: bytes) -> Reply:
        return self.create(request.match_info["tenant"], request.headers, body)

    def _list(self, request: web.Request, _body: bytes) -> Reply:
        """GET …/Messages.json: a page of messages, newest first."""
        try:
            account = self._account(request.match_info["tenant"], request.headers)
            size, number = _count(request, "PageSize", 50), _count(request, "Page", 0)
        except TwilioError as error:
            return refusal(error)
        size = max(1, min(size, _LARGEST_PAGE))
        found = self._visible(account, request.query.get("To"))
        start = number * size
        page, more = found[start : start + size], len(found) > start + size
        uri = f"/2010-04-01/Accounts/{account}/Messages.json"
        following = {**request.query, "Page": number + 1, "PageToken": f"PA{_sid(page[-1])}"} if more else {}
        content = {
            "messages": [shown(message) for message in page],
            "page": number,
            "page_size": size,
            "start": start,
            "end": start + max(len(page) - 1, 0),
            "uri": f"{uri}?{request.query_string}",
            "first_page_uri": f"{uri}?{urlencode({**request.query, 'Page': 0})}",
            "previous_page_uri": f"{uri}?{urlencode({**request.query, 'Page': number - 1})}" if number else None,
            "next_page_uri": f"{uri}?{urlencode(following)}" if more else None,
        }
        return Reply(200, json.dumps(content).encode(), _JSON)

    def _visible(self, account: str, to: str | None) -> list[Message]:
        """Return what a list may show: less, or more, than it should where the switches say so."""
        if self._switches.flag("list_empty", f"{NAME}.list"):
            return []
        filtered = to is not None and not self._switches.flag("list_unfiltered", f"{NAME}.list")
        youngest = time.time() - self._switches.amount("list_stale_s", f"{NAME}.list")
        found = self._messages.newest_first(account, _domestic(to or "") if filtered else None, None)
        return [message for message in found if message.at <= youngest and not message.unlisted]

    def _detail(self, request: web.Request, _body: bytes) -> Reply:
        """GET …/Messages/{sid}.json: one message."""
        try:
            account = self._account(request.match_info["tenant"], request.headers)
            message = self._messages.find(account, _id(request.match_info["id"]))
        except TwilioError as error:
            return refusal(error)
        if message is None:
            return refusal(TwilioError(_NOT_FOUND))
        return Reply(200, json.dumps(shown(message)).encode(), _JSON)

    def _other(self, request: web.Request, _body: bytes) -> Reply:
        """Answer anything else: not found."""
        del request
        return refusal(TwilioError(_NOT_FOUND))

    def _account(self, account: str, headers: Mapping[str, str]) -> str:
        """Check the account and its token; remember the token, which signs callbacks."""
        scheme, _, pair = headers.get("Authorization", "").partition(" ")
        try:
            name, _, token = base64.b64decode(pair, validate=True).decode().partition(":")
        except ValueError:
            raise TwilioError(_NOBODY) from None
        known = self._receipts.accounts.get(account)
        good = scheme.lower() == "basic" and name == account and token and _SID.fullmatch(account)
        if not good or (known is not None and known.secret != token):
            raise TwilioError(_NOBODY)
        self._receipts.tokens[account] = token
        return account


def signature(url: str, fields: Mapping[str, str], token: str) -> str:
    """Return the signature of a callback: HMAC-SHA1 over its address and its fields by name."""
    covered = url + "".join(name + value for name, value in sorted(fields.items()))
    return base64.b64encode(hmac.digest(token.encode(), covered.encode(), "sha1")).decode()


def shown(message: Message) -> dict[str, object]:
    """Return a message as Twilio shows it."""
    status, error = _status(message)
    length, uri = units(message.body), f"/2010-04-01/Accounts/{message.tenant}/Messages/{_sid(message)}"
    return {
        "account_sid": message.tenant,
        "api_version": "2010-04-01",
        "body": message.body,
        "date_created": _mail_time(message.at),
        "date_sent": _mail_time(message.at) if message.sent_at else None,
        "date_updated": _mail_time(datetime.fromisoformat(message.updated_at).timestamp()),
        "direction": "outbound-api",
        "error_code": error,
        "error_message": None,
        "from": _FROM,
        "messaging_service_sid": None,
        "num_media": "0",
        "num_segments": str(1 if length <= _ONE_SMS else -(-length // _ONE_PART)),
        "price": None,
        "price_unit": "JPY",
        "sid": _sid(message),
        "status": status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": _international(message.to),
        "uri": f"{uri}.json",
    }


def failure(status: int) -> Reply:
    """Make the failure that a switch asks for: Twilio's where it has one, else a firewall's page."""
    if status in _OF_STATUS:
        return refusal(TwilioError(_OF_STATUS[status]))
    return Reply(status, b"<html><body><h1>Request blocked</h1></body></html>", {"Content-Type": "text/html"})


def refusal(error: TwilioError) -> Reply:
    """Write an error; as Twilio's own, the message may repeat the number."""
    status, message = _ERRORS[error.code]
    more = f"https://www.twilio.com/docs/errors/{error.code}"
    content = {"code": error.code, "message": message.format(to=error.to), "more_info": more, "status": status}
    return Reply(status, json.dumps(content).encode(), _JSON)


def _read_draft(account: str, form: Mapping[str, str]) -> Draft:
    """Read and check a send request's form. Raises TwilioError."""
    to, body, callback = form.get("To", ""), form.get("Body", ""), form.get("StatusCallback", "")
    service, validity = form.get("MessagingServiceSid"), form.get("ValidityPeriod", str(_LONGEST_QUEUEING_S))
    checks = (
        (_TO.fullmatch(to), 21211),
        (service is None or _SERVICE.fullmatch(service), 21703),
        (service is not None or _SENDER.fullmatch(form.get("From", "")), 21212),
        (body, 21602),
        (len(body) <= _LONGEST, 21617),
        (not callback or urlsplit(callback).scheme in {"http", "https"}, 21609),
        (_COUNT.fullmatch(validity) and 1 <= int(validity) <= _LONGEST_QUEUEING_S, _UNREADABLE),
    )
    for is_good, code in checks:
        if not is_good:
            raise TwilioError(code, to)
    reference = dict(parse_qsl(urlsplit(callback).query)).get("reference")
    return Draft(
        account,
        0,
        _domestic(to),
        body,
        [reference] if reference else [],
        limited_at=datetime.now(UTC) + timedelta(seconds=int(validity)),
        door=NAME,
        receipt_url=callback,
    )


def _count(request: web.Request, name: str, default: int) -> int:
    raw = request.query.get(name, str(default))
    if not _COUNT.fullmatch(raw):
        raise TwilioError(_UNREADABLE)
    return int(raw)


def _sid(message: Message) -> str:
    return "SM" + message.id.replace("-", "")


def _id(sid: str) -> str:
    """Return the carrier's id, a UUID, of a message with this SID."""
    digits = sid.removeprefix("SM")
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _domestic(to: str) -> str:
    return "0" + to.removeprefix("+81")


def _international(to: str) -> str:
    return "+81" + to.removeprefix("0")


def _status(message: Message) -> tuple[str, int | None]:
    if message.result == "processing":
        return ("queued" if message.status == "waiting" else "sent"), None
    return _STATES[message.state]


def _mail_time(at: float) -> str:
    return _mail_second(int(at))


@lru_cache(1024)  # thousands of messages share a second
def _mail_second(at: int) -> str:
    return format_datetime(datetime.fromtimestamp(at, UTC))
