"""The carrier's door: Karaden's HTTP API, version 2024-03-01 (specification of karaden-prg, see the README).

In: HTTP requests as the official SDK sends them. Out: messages, lists and errors in the specification's shapes.
Spoken are send, list, detail and cancel; bulk sending is not. Sending the same message twice makes two: Karaden knows
no idempotency key.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NoReturn

from aiohttp import web
from yarl import URL

from sandbox.faults import Switches
from sandbox.messages import JST, Draft, Message, Messages, units
from sandbox.middleware import Gate, Reply
from sandbox.webhook_sender import Parcel

VERSION = "2024-03-01"
SENDS = "/karaden/api/{tenant}/messages"

_TENANT = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NUMBER = re.compile(r"[0-9]{11}")
_SERVICE = re.compile(r"[1-9][0-9]{0,8}")
_BODY_UNITS = 660
_UNFIT = 422
_BOOKABLE = timedelta(days=30)
_JSON = {"Content-Type": "application/json"}
_FILTERS = {
    "status": {"done", "waiting", "error", "canceled"},
    "result": {"done", "processing"},
    "sent_result": {"none", "received", "unconnected", "error", "unknown"},
}
_MESSAGES = {
    "unauthentication": (401, "認証に失敗しました、指定されているトークンは利用できません"),
    "invalid_tenant": (400, "不正なテナントIDが指定されています"),
    "invalid_version": (400, "不正なバージョンが指定されています"),
    "model_not_found": (
        404,
        "対象となるモデルが見つかりませんでした、または指定されたトークンでは操作できない可能性があります。",
    ),
    "can_not_cancel_message": (
        400,
        "メッセージのキャンセルができません、予約投稿のメッセージは開始5分前までキャンセル可能です。",
    ),
    "validation_error": (422, "バリデーションエラーが発生しました"),
    "unknown": (500, "不明なエラーが発生しました"),
}


class KaradenError(Exception):
    """A request that Karaden refuses.

    `errors` names each field with what is wrong with it.
    """

    def __init__(self, code: str, errors: Mapping[str, list[str]] | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.errors = errors


class Receipts:
    """Where each service's receipts go, and how they are written: one message each."""

    most = 1
    each_step = False

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = addresses

    def tell(self, addresses: Mapping[str, str]) -> None:
        """Set where each service's receipts go; keys are `tenant/service`, `service` or `*`."""
        self._addresses = addresses

    def address(self, message: Message) -> str | None:
        """Return where a message's receipt goes."""
        addresses, service = self._addresses, str(message.service_id)
        return addresses.get(f"{message.tenant}/{service}") or addresses.get(service) or addresses.get("*")

    def write(self, message: Message) -> bytes:
        """Write a message's receipt."""
        return message.write(receipt=True).encode()

    def parcel(self, url: str, receipts: Sequence[bytes]) -> Parcel:
        """Pack a receipt."""
        return Parcel("receipt", url, receipts[0], {"Content-Type": "application/json", "Karaden-Version": VERSION})


class Karaden:
    """The API over one set of messages."""

    def __init__(self, messages: Messages, switches: Switches, tokens: Mapping[str, str], receipts: Receipts) -> None:
        self._messages = messages
        messages.through("karaden", receipts)
        self._switches = switches
        self._tokens = tokens

    def routes(self, gate: Gate) -> list[web.RouteDef]:
        """Return the routes of the API, guarded."""
        messages = SENDS
        return [
            web.post(messages, gate.guard("create", self._create)),
            web.get(messages, gate.guard("list", self._list)),
            web.get(messages + "/{id}", gate.guard("detail", self._detail)),
            web.post(messages + "/{id}/cancel", gate.guard("cancel", self._cancel)),
            web.route("*", "/karaden/{rest:.*}", gate.guard("other", self._other)),
        ]

    def create(self, tenant: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """POST …/messages: accept one SMS."""
        try:
            self._check(headers, tenant)
            draft = read_draft(tenant, body)
        except KaradenError as error:
            return refusal(error)
        if status := self._switches.poison(draft.to, "karaden.create"):
            return poisoned(status)
        message = self._messages.accept(draft)
        reply = _reply(message)
        if self._switches.flag("receipts_early", "karaden.receipt"):

            async def first() -> None:
                await self._messages.settle_early(message)

            reply.first = first
        return reply

    def _create(self, request: web.Request, body: bytes) -> Reply:
        return self.create(request.match_info["tenant"], request.headers, body)

    def _list(self, request: web.Request, _body: bytes) -> Reply:
        """GET …/messages: a page of messages, newest first."""
        try:
            tenant = self._tenant(request)
            wanted = _read_list(request.query)
        except KaradenError as error:
            return refusal(error)
        found = self._visible(tenant, wanted)
        page: list[str] = []
        skip = (wanted.page - 1) * wanted.per_page
        more = False
        for message in found:
            if not wanted.fits(message):
                continue
            if skip:
                skip -= 1
            elif len(page) == wanted.per_page:
                more = True
                break
            else:
                page.append(message.write())
        body = f'{{"object": "list", "has_more": {json.dumps(more)}, "data": [{", ".join(page)}]}}'
        return Reply(200, body.encode(), _JSON)

    def _visible(self, tenant: str, wanted: "_Wanted") -> Iterator[Message]:
        """Return what a list may show: less, or more, than it should where the switches say so."""
        if self._switches.flag("list_empty", "karaden.list"):
            return
        tag = None if self._switches.flag("list_unfiltered", "karaden.list") else wanted.tag
        youngest = time.time() - self._switches.amount("list_stale_s", "karaden.list")
        for message in self._messages.newest_first(tenant, wanted.to, tag):
            if message.at <= youngest:
                yield message

    def _detail(self, request: web.Request, _body: bytes) -> Reply:
        """GET …/messages/{id}: one message."""
        try:
            return _reply(self._find(request))
        except KaradenError as error:
            return refusal(error)

    def _cancel(self, request: web.Request, _body: bytes) -> Reply:
        """POST …/messages/{id}/cancel: call a booked message off, until 5 minutes before its time."""
        try:
            message = self._find(request)
            if not self._messages.cancel(message):
                _fail("can_not_cancel_message")
        except KaradenError as error:
            return refusal(error)
        return _reply(message)

    def _other(self, request: web.Request, _body: bytes) -> Reply:
        """Answer anything else: not found."""
        del request
        return refusal(KaradenError("model_not_found"))

    def _find(self, request: web.Request) -> Message:
        message = self._messages.find(self._tenant(request), request.match_info["id"])
        if message is None:
            _fail("model_not_found")
        return message

    def _tenant(self, request: web.Request) -> str:
        tenant = request.match_info["tenant"]
        self._check(request.headers, tenant)
        return tenant

    def _check(self, headers: Mapping[str, str], tenant: str) -> None:
        """Check token, version and tenant, in this order."""
        version = headers.get("Karaden-Version")
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            _fail("unauthentication")
        if version not in {None, VERSION}:
            _fail("invalid_version")
        if not _TENANT.fullmatch(tenant) or (self._tokens and tenant not in self._tokens):
            _fail("invalid_tenant")
        if self._tokens and self._tokens[tenant] != token.strip():
            _fail("unauthentication")


def failure(status: int) -> Reply:
    """Make the 403, 429 or 500 that a switch asks for; the specification has no code of its own for the first two."""
    return Reply(status, refusal(KaradenError("unknown")).body, _JSON)


def poisoned(status: int) -> Reply:
    """Refuse one number: as Karaden refuses an account where it has a code for that, else as a firewall's page."""
    code = {401: "unauthentication", 404: "model_not_found", 422: "validation_error"}.get(status)
    if code is not None:
        return refusal(KaradenError(code, {"service_id": ["service_idが不正です。"]} if status == _UNFIT else None))
    return Reply(status, b"<html><body><h1>Request blocked</h1></body></html>", {"Content-Type": "text/html"})


def refusal(error: KaradenError) -> Reply:
    """Write an error in the specification's shape; as in its examples, `errors` is null where no field is to blame."""
    status, message = _MESSAGES[error.code]
    shown = {"object": "error", "code": error.code, "message": message, "errors": error.errors}
    return Reply(status, json.dumps(shown).encode(), _JSON)


def read_draft(tenant: str, body: bytes) -> Draft:
    """Read and check a send request's form. Raises KaradenError."""
    # a form is a query by another name, and yarl reads one six times as fast as the standard library does
    form = URL.build(query_string=body.decode("utf-8", "replace"), encoded=True).query
    service_id, to, text = form.get("service_id", ""), form.get("to", ""), form.get("body", "")
    errors: dict[str, list[str]] = {}
    if not _SERVICE.fullmatch(service_id):
        errors["service_id"] = _field_errors("service_id", service_id, "1以上の整数")
    if not _NUMBER.fullmatch(to):
        errors["to"] = _field_errors("to", to, "11桁の数字")
    if not text or (len(text) * 2 > _BODY_UNITS and units(text) > _BODY_UNITS):
        errors["body"] = _field_errors("body", text, f"{_BODY_UNITS}文字以内")
    shorten = form.get("is_shorten", "false")
    if shorten not in {"true", "false"}:
        errors["is_shorten"] = _field_errors("is_shorten", shorten, "trueかfalse")
    scheduled_at, limited_at = _read_times(form, errors)
    if errors:
        raise KaradenError("validation_error", errors)
    tags = form.getall("tags[]", [])
    return Draft(tenant, int(service_id), to, text, tags, shorten == "true", scheduled_at, limited_at)


def _field_errors(name: str, value: str, wanted: str) -> list[str]:
    return [f"{name}は{wanted}で入力してください。" if value else f"{name}は必須です。"]


def _read_times(form: Mapping[str, str], errors: dict[str, list[str]]) -> tuple[datetime | None, datetime | None]:
    """Read when to send: at the earliest, and at the latest."""
    if "scheduled_at" not in form and "limited_at" not in form:
        return None, None
    now = datetime.now(JST)
    scheduled_at = _read_time(form, "scheduled_at", errors)
    limited_at = _read_time(form, "limited_at", errors)
    if scheduled_at is not None and not now < scheduled_at <= now + _BOOKABLE:
        errors["scheduled_at"] = ["scheduled_atは現在から30日以内の日時で入力してください。"]
    if limited_at is not None and limited_at <= (scheduled_at or now):
        errors["limited_at"] = ["limited_atは送信より後の日時で入力してください。"]
    return scheduled_at, limited_at


class _Wanted:
    """A list request, checked."""

    def __init__(self, query: Mapping[str, str], errors: dict[str, list[str]]) -> None:
        self.to = query.get("to")
        self.tag = query.get("tag")
        self.service_id = query.get("service_id")
        self.page = _read_count(query, "page", 1, None, errors)
        self.per_page = _read_count(query, "per_page", 20, 100, errors)
        self.start = _read_time(query, "start_at", errors)
        self.end = _read_time(query, "end_at", errors)
        self.words = {name: query[name] for name in _FILTERS if name in query}
        if self.service_id is not None and not _SERVICE.fullmatch(self.service_id):
            errors["service_id"] = ["service_idは1以上の整数で入力してください。"]
        for name, word in self.words.items():
            if word not in _FILTERS[name]:
                errors[name] = [f"{name}は{', '.join(sorted(_FILTERS[name]))}のいずれかを入力してください。"]

    def fits(self, message: Message) -> bool:
        return (
            (self.service_id is None or message.service_id == int(self.service_id))
            and (self.start is None or int(message.at) >= self.start.timestamp())
            and (self.end is None or int(message.at) <= self.end.timestamp())
            and all(getattr(message, name) == word for name, word in self.words.items())
        )


def _read_list(query: Mapping[str, str]) -> _Wanted:
    errors: dict[str, list[str]] = {}
    wanted = _Wanted(query, errors)
    if errors:
        raise KaradenError("validation_error", errors)
    return wanted


def _read_count(
    query: Mapping[str, str], name: str, default: int, most: int | None, errors: dict[str, list[str]]
) -> int:
    raw = query.get(name)
    if raw is None:
        return default
    if not re.fullmatch(r"[1-9][0-9]{0,8}", raw) or (most is not None and int(raw) > most):
        errors[name] = [f"{name}は1以上{'' if most is None else f'{most}以下'}の整数で入力してください。"]
        return default
    return int(raw)


def _read_time(form: Mapping[str, str], name: str, errors: dict[str, list[str]]) -> datetime | None:
    raw = form.get(name)
    if raw is None:
        return None
    try:
        at = datetime.fromisoformat(raw)
    except ValueError:
        errors[name] = [f"{name}はISO 8601形式の日時で入力してください。"]
        return None
    return at if at.tzinfo else at.replace(tzinfo=JST)


def _reply(message: Message) -> Reply:
    return Reply(200, message.write().encode(), _JSON, accepted=message.id)


def _fail(code: str) -> NoReturn:
    raise KaradenError(code)
