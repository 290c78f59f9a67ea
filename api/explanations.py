"""Pages that explain the codes of problems: a problem's `type` leads to one of them.

In: a code. Out: its sentences in both languages, and its status. Can't happen here: a code that is answered and not
explained (a test compares).
"""

from html import escape

from flask import Blueprint, Response, abort

from api import answers, english
from app import limits, problems
from app.problems import Kind

bp = Blueprint("api_problems", __name__, url_prefix=limits.API + "problems")

_STYLE_SAFE = {
    "Cache-Control": "public, max-age=3600",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Content-Type": "text/html; charset=utf-8",
}


@bp.get("")
def every_problem() -> Response:
    """List all codes."""
    rows = "".join(
        f'<tr><th scope="row"><a href="{limits.API}problems/{kind.code}"><code>{kind.code}</code></a></th>'
        f"<td>{answers.status_of(kind.code)}</td><td>{escape(kind.template_ja)}</td></tr>"
        for kind in problems.declared()
    )
    return _page("エラーコードの一覧", f"<table><tbody>{rows}</tbody></table>")


@bp.get("/<code>")
def one_problem(code: str) -> Response:
    """Explain one code."""
    kind = next((kind for kind in problems.declared() if kind.code == code), None)
    return _page(code, _explained(kind)) if kind is not None else abort(404)


def _explained(kind: Kind) -> str:
    other = english.SENTENCES.get(kind.code)
    in_english = f'<p lang="en">{escape(other)}</p>' if other else ""
    return (
        f"<p>ステータス：{answers.status_of(kind.code)}</p><p>{escape(kind.template_ja)}</p>{in_english}"
        f'<p><a href="{limits.API}problems">エラーコードの一覧</a></p>'
    )


def _page(title: str, body: str) -> Response:
    whole = (
        f'<!doctype html><html lang="ja"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><h1>{escape(title)}</h1>{body}</html>"
    )
    return Response(whole, 200, _STYLE_SAFE)
