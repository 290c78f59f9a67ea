"""Answers of the API: JSON, and problems (RFC 9457) in Japanese or English.

In: a value of `msgspec`, or what was refused. Out: bytes with their status and fields. Can't happen here: a value that
was sent: of a fault in a body its place is told, and why, by code.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec
from flask import Response, request

from api import english
from app.api_access import idempotency
from app.problems import Kind, Problem
from app.web import bare_problems

JSON = "application/json"
_NO_STORE = {"Cache-Control": "no-store", "Vary": "Accept-Language"}
SHOWN_FAULTS = 1_000

UNREADABLE_BODY = Kind("api_body_not_json", "本文がJSONとして読めません。UTF-8のJSONを送ってください。")
BAD_BODY = Kind("api_body_invalid", "本文の項目が足りないか、形が違います。errors の場所を直してください。")
BAD_FIELD = Kind("api_field_invalid", "この項目がないか、形が違います。リファレンスの型を確かめてください。")
FORBIDDEN = Kind(
    "api_forbidden",
    "このキーとアドレスでは利用できません。キー、接続元アドレスの登録、ご契約の状態を管理者に確かめてください。",
)
SCOPE_MISSING = Kind("api_scope_missing", "このキーには、この操作の権限（{scope}）がありません。")
TOO_MANY = Kind("api_rate_limited", "リクエストが多すぎます。{seconds}秒待ってから、もう一度送ってください。")
NOT_NOW = Kind("api_state_conflict", "この配信はいまの状態（{state}）では、その操作は必要ないか、できません。")

# Codes by the status that is not 422.
_STATUS: Mapping[str, int] = {
    "idempotency_key_missing": 400,
    "idempotency_key_unreadable": 400,
    "api_body_not_json": 400,
    "api_forbidden": 403,
    "api_scope_missing": 403,
    "api_not_found": 404,
    "api_rate_limited": 429,
    "held_after_restore": 503,
    **dict.fromkeys(
        (
            "idempotency_key_under_way",
            "already_asked_for_approval",
            "already_cancelled",
            "already_completed",
            "already_launched",
            "already_scheduled",
            "api_state_conflict",
            "bulk_operation_running",
            "check_content_changed",
            "check_missing",
            "check_not_draft",
            "check_outdated",
            "check_void",
            "contract_not_active",
            "entry_questions_changed",
            "launch_people_differ",
            "link_ended_before",
            "list_import_running",
            "locked_cancelled",
            "locked_launched",
            "locked_scheduled",
            "locked_waiting_for_approval",
            "reminder_already_sent",
            "resend_checks_stopped",
            "resend_nobody",
            "resend_not_launched",
            "resend_paused",
            "settle_not_unpaid",
            "settle_payment_under_way",
            "unsettle_not_settled",
        ),
        409,
    ),
}
_UNPROCESSABLE = 422
_PLACE = re.compile(r" - at `\$([^`]*)`$")


class RowFault(msgspec.Struct, omit_defaults=True):
    """One fault: in which row (from 1, in the order sent) and field, and why."""

    code: str
    detail: str
    row: int | None = None
    field: str | None = None


class ProblemAnswer(msgspec.Struct, omit_defaults=True):
    """A problem (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    errors: list[RowFault] = []


def status_of(code: str) -> int:
    """Return the status that goes with a code."""
    return _STATUS.get(code, _UNPROCESSABLE)


def ok(body: bytes, status: int = 200) -> Response:
    """Return an answer that is JSON already."""
    return Response(body, status, {"Content-Type": JSON, **_NO_STORE})


def kept(told: msgspec.Struct, status: int = 201) -> idempotency.Answer:
    """Return an answer as it is kept."""
    return idempotency.Answer(status, msgspec.json.encode(told))


def words(problem: Problem) -> str:
    """Return a problem's sentence in the language that is asked for."""
    return english.sentence(problem) if _english() else problem.message_ja


def fault(problem: Problem, row: int | None = None, field: str | None = None) -> RowFault:
    """Return one fault in the language that is asked for."""
    return RowFault(problem.code, words(problem), row, field)


def refused(
    problems: Sequence[Problem], errors: Sequence[RowFault] = (), *, retry_after_s: int | None = None
) -> Response:
    """Return why something was not done: the first problem, and beside it all of them or the rows' faults."""
    problem = problems[0]
    code = status_of(problem.code)
    if not errors and len(problems) > 1:
        errors = [fault(one) for one in problems]
    told = ProblemAnswer(
        bare_problems.address_of(problem.code), words(problem), code, problem.code, list(errors[:SHOWN_FAULTS])
    )
    return problem_answer(msgspec.json.encode(told), code, retry_after_s=retry_after_s)


def problem_answer(body: bytes, status: int, *, retry_after_s: int | None = None) -> Response:
    """Return a problem that is JSON already."""
    answer = Response(body, status, {"Content-Type": bare_problems.MEDIA_TYPE, **_NO_STORE})
    answer.headers["Content-Language"] = "en" if _english() else "ja"
    if retry_after_s is not None:
        answer.headers["Retry-After"] = str(retry_after_s)
    return answer


def bare(status: int) -> Response:
    """Return the problem of a status that came from elsewhere."""
    return problem_answer(bare_problems.body(status, request.headers.get("Accept-Language", "")), status)


def place_of(fault: msgspec.ValidationError) -> str | None:
    """Return the place of a fault in a body: names of ours and positions, nothing that was sent."""
    found = _PLACE.search(str(fault))
    return (found[1].lstrip(".") or None) if found else None


def _english() -> bool:
    return bare_problems.speaks_english(request.headers.get("Accept-Language", ""))
