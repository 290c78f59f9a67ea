"""Answer a company's system where no door can: as a problem (RFC 9457), in the place of `bare_pages`.

In: a status. Out: JSON with a code that lasts and a sentence, Japanese or English. Can't happen here: a word of what
was sent.
"""

import json
from collections.abc import Mapping

from app import limits
from app.config import settings
from app.problems import Kind

MEDIA_TYPE = "application/problem+json"

_UNREADABLE = Kind("api_request_unreadable", "リクエストを読み取れません。形式を確かめて、もう一度送ってください。")
_HOST = Kind("api_host_unknown", "このホスト名では利用できません。案内されたアドレスに送ってください。")
_NOT_FOUND = Kind("api_not_found", "見つかりません。アドレスとIDを確かめてください。")
_METHOD = Kind("api_method_not_allowed", "このアドレスでは使えないメソッドです。リファレンスを確かめてください。")
_LATE = Kind("api_body_late", "本文が時間内に届きませんでした。もう一度送ってください。")
_LARGE = Kind("api_body_too_large", "本文が大きすぎます。分けて送ってください。")
_LONG_ADDRESS = Kind("api_address_too_long", "アドレスが長すぎます。短くしてください。")
_LONG_HEADERS = Kind("api_headers_too_long", "ヘッダーが長すぎます。短くしてください。")
_FAILED = Kind(
    "api_failed", "処理中に問題が起きました。同じ Idempotency-Key で、数分たってからもう一度送ってください。"
)
_BUSY = Kind("api_busy", "ただいま混み合っています。同じ Idempotency-Key で、少し待ってからもう一度送ってください。")

_BY_STATUS: Mapping[int, Kind] = {
    400: _HOST,
    404: _NOT_FOUND,
    405: _METHOD,
    408: _LATE,
    413: _LARGE,
    414: _LONG_ADDRESS,
    431: _LONG_HEADERS,
    500: _FAILED,
    503: _BUSY,
}
ENGLISH: Mapping[str, str] = {
    "api_request_unreadable": "The request can't be read. Check its form and send it again.",
    "api_host_unknown": "This host name is not ours. Send to the address that you were given.",
    "api_not_found": "Not found. Check the address and the id.",
    "api_method_not_allowed": "This address doesn't take this method. See the reference.",
    "api_body_late": "The body didn't arrive in time. Send it again.",
    "api_body_too_large": "The body is too large. Send it in parts.",
    "api_address_too_long": "The address is too long. Shorten it.",
    "api_headers_too_long": "The headers are too long. Shorten them.",
    "api_failed": "Something went wrong here. Send it again in a few minutes, under the same Idempotency-Key.",
    "api_busy": "We are busy. Wait a little and send it again, under the same Idempotency-Key.",
}
_OURS = 500


def kind_of(status: int) -> Kind:
    """Return what a status is told as."""
    return _BY_STATUS.get(status) or _BY_STATUS.get(_OURS if status >= _OURS else 0, _UNREADABLE)


def speaks_english(accept_language: str) -> bool:
    """Return whether English comes before Japanese in an Accept-Language; without any word of either, Japanese does."""
    best = {"ja": 0.0, "en": 0.0}
    for part in accept_language.lower().split(","):
        tag, _, more = part.strip().partition(";")
        language = tag.partition("-")[0].strip()
        if language in best:
            best[language] = max(best[language], _quality(more))
    return best["en"] > best["ja"]


def _quality(text: str) -> float:
    name, _, value = text.strip().partition("=")
    try:
        return min(max(float(value), 0.0), 1.0) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0


def address_of(code: str) -> str:
    """Return the address of the page that explains a code."""
    return f"{settings().public_base_url}{limits.API}problems/{code}"


def body(status: int, accept_language: str) -> bytes:
    """Return the problem of a status."""
    problem, english = kind_of(status)(), speaks_english(accept_language)
    told = {
        "type": address_of(problem.code),
        "title": ENGLISH[problem.code] if english else problem.message_ja,
        "status": status,
        "code": problem.code,
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
