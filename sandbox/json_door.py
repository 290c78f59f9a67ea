"""The common part of the doors of PAY.JP, KOMOJU and PayPay: JSON in and out, one way to refuse, keys used once."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.idempotency import Idempotency, Saved, fingerprint
from sandbox.middleware import Reply
from sandbox.schemas import Shape, fault
from sandbox.stripe_params import StripeError

Json = dict[str, Any]


class Refused(Exception):  # noqa: N818 - what the provider says
    """An error as an answer.

    `code` is the provider's own word; `field` names what is wrong with a request's body.
    """

    def __init__(self, status: int, code: str, message: str, field: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field


@dataclass(frozen=True, slots=True)
class Call:
    """One API call.

    `ids` are the path's, `body` is an object (empty for a GET) without its nulls.
    """

    account: str
    ids: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Json


# gives the answer's status, its content, and the id it made or touched
Act = Callable[[Call], tuple[int, Json, str | None]]


@dataclass(frozen=True, slots=True)
class JsonDoor:
    """One provider's manners: how it knows an account, writes a refusal, and takes a key that is used once."""

    site: str
    account: Callable[[web.Request, bytes], str]
    refusal: Callable[[Refused], Reply]
    idempotency: Idempotency | None = None
    key_header: str = ""
    conflict: str = ""

    def answer(self, act: Act) -> Callable[[web.Request, bytes], Reply]:
        """Make an answerer for the gate."""

        def answer(request: web.Request, body: bytes) -> Reply:
            try:
                account = self.account(request, body)
                key = request.headers.get(self.key_header) if self.key_header and request.method == "POST" else None
                if key and self.idempotency:
                    return self._once(account, key, request, body, act)
                return self._done(account, request, body, act)
            except Refused as refused:
                return self.refusal(refused)

        return answer

    def _once(self, account: str, key: str, request: web.Request, body: bytes, act: Act) -> Reply:
        """Carry out a POST once for its key; the same content gets the same answer, another one a refusal."""
        owner, print_ = f"{self.site}:{account}", fingerprint(request.method, request.path, body)
        if self.idempotency is None:
            return self._done(account, request, body, act)
        try:
            saved = self.idempotency.find(owner, key, print_)
        except StripeError as error:
            raise Refused(409, self.conflict, error.message) from None
        if saved is not None:
            return _reply(saved.status, saved.body.encode(), None)
        reply = self._done(account, request, body, act)
        self.idempotency.keep(Saved(owner, key, print_, reply.status, reply.body.decode(), "", time.time()))
        return reply

    def _done(self, account: str, request: web.Request, body: bytes, act: Act) -> Reply:
        call = Call(account, request.match_info, request.query, request.headers, _object(body))
        status, made, touched = act(call)
        return _reply(status, json.dumps(made, ensure_ascii=False).encode(), touched)


def check(body: Json, shape: Shape, *, status: int, code: str) -> None:
    """Refuse a body that doesn't have its shape."""
    if found := fault(body, shape):
        raise Refused(status, code, f"{found} is missing, unknown or not as it must be", found)


def _object(body: bytes) -> Json:
    try:
        read = json.loads(body) if body else {}
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise Refused(400, "invalid_json", "the body must be a JSON object")
    given: Json = _given(read)
    return given


def _given(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Leave out what is null: SDKs write it for what isn't given."""
    if isinstance(value, dict):
        return {name: _given(inner) for name, inner in value.items() if inner is not None}
    return [_given(one) for one in value] if isinstance(value, list) else value


def _reply(status: int, body: bytes, touched: str | None) -> Reply:
    return Reply(status, body, {"Content-Type": "application/json; charset=utf-8"}, touched)
