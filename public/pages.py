"""How a page is made: its template, its words, and the headers that every answer of this side carries."""

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from flask import Response, make_response, render_template, request, url_for

from app.identity.visit import Standing
from public import texts

_CSS = Path(__file__).parent / "static" / "page.css"
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def protect(response: Response) -> Response:
    """Put on the headers: nothing is kept, indexed, framed, told onwards or loaded from elsewhere."""
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    return response


def page(template: str, *, status: int = 200, standing: Standing | None = None, **context: Any) -> Response:  # noqa: ANN401 - a template's values
    """Render a page, in the campaign's language where the person is known, else in the browser's."""
    language = standing.language if standing else request.accept_languages.best_match(texts.LANGUAGES, "ja")
    html = render_template(
        f"public/{template}.html",
        t=texts.texts(language),
        language=language,
        who=standing,
        css=_css_url(),
        yen=lambda amount: texts.yen(amount, language),
        day=lambda value: texts.day(value, language),
        moment=lambda at: texts.moment(at, language),
        **context,
    )
    return protect(make_response(html, status))


def notice(name: str, *, status: int = 200, standing: Standing | None = None, more: tuple[str, ...] = ()) -> Response:
    """Render a page that says one thing: `<name>_title`, `<name>`, then the texts named by `more`."""
    return page("notice", status=status, standing=standing, name=name, more=more)


def _css_url() -> str:
    return url_for("public.static", filename="page.css", v=_css_version())


@cache
def _css_version() -> str:
    return sha256(_CSS.read_bytes()).hexdigest()[:12]
