"""The way of each request: who comes, how often, what they may; then one handler, and its answer.

In: an `Endpoint`. Out: a route. Can't happen here: a handler that runs for nobody, out of the company's scope, or twice
for one Idempotency-Key; a POST while the installation is held; an address in a log (lines bear the endpoint's name).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from flask import Blueprint, Flask, Response, g, request
from sqlalchemy import Connection

from api import answers
from app import limits, tenancy
from app.api_access import entry, idempotency, rates
from app.api_access.entry import Caller
from app.api_access.idempotency import Answer
from app.api_access.keys import Scope
from app.config import settings
from app.extensions import csrf
from app.problems import Problem, Refused
from app.setback import doubt, hold_reasons
from app.web import bare_problems

PREFIX = "/api/v1"
REPLAYED = "Idempotent-Replayed"
_HELD_RETRY_AFTER_S = 60
_FIRST_ERROR = 400


class NotFound(Exception):  # noqa: N818 - it says what was found
    """No such thing in the company's scope: nobody learns whether another company has it."""


class Faults(Refused):
    """Refused for faults in rows or fields."""

    def __init__(self, problem: Problem, errors: list[answers.RowFault]) -> None:
        super().__init__(problem)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Doing:
    """An act: how it is done, and how its answer is read in the transaction that does it.

    `do` is called once; `tell` gives the answer, None where that transaction isn't the one yet. A `do` that keeps its
    answer by itself (`Act`) has no need of it.
    """

    do: Callable[[idempotency.Act], object]
    tell: Callable[[Connection], msgspec.Struct | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An operation of the API, as its document describes it.

    A GET's `view` takes the caller, the query where it has one, and the ids of its address, and gives what is answered.
    A POST's takes the body in the place of the query, and gives a `Doing`.
    """

    method: str
    rule: str
    scope: Scope
    view: Callable[..., Any]
    answers: type[msgspec.Struct]
    body: type[msgspec.Struct] | None = None
    query: type[msgspec.Struct] | None = None
    status: int = 200

    @property
    def name(self) -> str:
        """The endpoint's name in logs and in the document."""
        return self.view.__name__


def _add(blueprint: Blueprint, endpoint: Endpoint) -> None:
    def handle(**ids: str) -> Response:
        return _handled(endpoint, ids)

    blueprint.add_url_rule(endpoint.rule, endpoint.name, handle, methods=[endpoint.method])


def _handled(endpoint: Endpoint, ids: dict[str, str]) -> Response:
    try:
        caller = _caller(endpoint.scope)
        with tenancy.tenant(caller.tenant_id):
            return _read(endpoint, caller, ids) if endpoint.method == "GET" else _done(endpoint, caller, ids)
    except NotFound:
        return answers.bare(404)
    except rates.TooMany as many:
        g.rate_fields, seconds = many.taken.fields, many.taken.retry_after_s
        return answers.refused([answers.TOO_MANY(seconds=seconds)], retry_after_s=seconds)
    except Refused as refused:
        errors = refused.errors if isinstance(refused, Faults) else ()
        return answers.refused(refused.problems, errors, retry_after_s=_wait_of(refused.problem))
    except msgspec.ValidationError as fault:
        place = answers.fault(answers.BAD_FIELD(), field=answers.place_of(fault))
        return answers.refused([answers.BAD_BODY()], [place])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return answers.refused([answers.UNREADABLE_BODY()])


def _caller(scope: Scope) -> Caller:
    """Return who sends the request. Raises Refused, TooMany."""
    caller = entry.of_request(request.environ, settings().trusted_proxies)
    if caller is None:
        raise Refused(answers.FORBIDDEN())
    taken = rates.take(caller)
    g.rate_fields = taken.fields
    if taken.refused:
        raise rates.TooMany(taken)
    if scope not in caller.scopes:
        raise Refused(answers.SCOPE_MISSING(scope=str(scope)))
    return caller


def _wait_of(problem: Problem) -> int | None:
    if problem.code == idempotency.UNDER_WAY:
        return idempotency.RETRY_AFTER_S
    return _HELD_RETRY_AFTER_S if answers.status_of(problem.code) == 503 else None  # noqa: PLR2004 - the status itself


def _read(endpoint: Endpoint, caller: Caller, ids: dict[str, str]) -> Response:
    given: list[Any] = []
    if endpoint.query is not None:
        given.append(msgspec.convert(request.args.to_dict(), endpoint.query, strict=False))
    return answers.ok(msgspec.json.encode(endpoint.view(caller, *given, **ids)))


def _done(endpoint: Endpoint, caller: Caller, ids: dict[str, str]) -> Response:
    key = idempotency.key_of(request.headers.get("Idempotency-Key"))
    if doubt.why_nothing_leaves():
        raise Refused(hold_reasons.REFUSED())
    request.max_content_length = limits.API_BATCH  # the guard has read it within its own bounds
    sent = request.get_data(cache=False)
    given = [msgspec.json.decode(sent or b"{}", type=endpoint.body)] if endpoint.body is not None else []
    asked = b"\n".join((request.method.encode(), request.path.encode(), sent))
    with idempotency.once(caller, key, asked) as act:
        if act.kept is None:
            doing: Doing = endpoint.view(caller, *given, **ids)
            tell = doing.tell
            if tell is not None:
                act.answer = lambda connection: _told(tell(connection), endpoint.status)
            doing.do(act)
    if act.kept is None:
        raise RuntimeError(f"{endpoint.name} did something and kept no answer")
    answer = answers.ok(act.kept.body, act.kept.status)
    if act.replayed:
        answer.headers[REPLAYED] = "true"
    return answer


def _told(told: msgspec.Struct | None, status: int) -> Answer | None:
    return None if told is None else Answer(status, msgspec.json.encode(told))


def register(app: Flask, endpoints: Iterable[Endpoint]) -> None:
    """Make endpoints routes, and have every other answer to a system be a problem too."""
    blueprint = Blueprint("api", __name__, url_prefix=PREFIX)
    for endpoint in endpoints:
        _add(blueprint, endpoint)
    # systems carry no session: a key stands for it
    csrf.exempt(blueprint)
    app.register_blueprint(blueprint)

    @app.after_request
    def finish(answer: Response) -> Response:
        """Tell what is left of the limits; turn a page about an error into a problem."""
        if not request.path.startswith(limits.API):
            return answer
        if answer.status_code >= _FIRST_ERROR and answer.mimetype != bare_problems.MEDIA_TYPE:
            kept = {name: answer.headers[name] for name in ("Allow", "Retry-After") if name in answer.headers}
            answer = answers.bare(answer.status_code)
            answer.headers.update(kept)
        answer.headers.update(g.get("rate_fields", {}))
        return answer
