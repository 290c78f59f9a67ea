"""How a page is made: its template and its words."""

import re
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any

from flask import Response, render_template, request
from markupsafe import Markup

from app.config import settings
from app.identity.visit import Face, Link
from app.process_state import process_state
from public import form_tokens, look, texts

# stands where the time goes, in a page that is made once for many people
_UNTIL = "\N{OBJECT REPLACEMENT CHARACTER}"

# stands where the token of the form goes that ends the link
_FORMS_OWN = "\N{INTERLINEAR ANNOTATION ANCHOR}"

_texts = cache(texts.texts)


def page(template: str, *, status: int = 200, link: Link | None = None, **context: Any) -> Response:  # noqa: ANN401 - a template's values
    """Render a page, in the campaign's language where the person is known, else in the browser's."""
    who = link.common.face if link else None
    language = who.language if who else request.accept_languages.best_match(texts.LANGUAGES, "ja")
    test = link is not None and link.common.test
    return Response(_html(template, who, language, link=link, test=test, **context), status)


def notice(name: str, *, status: int = 200, link: Link | None = None, more: tuple[str, ...] = ()) -> Response:
    """Render a page that says one thing: `<name>_title`, `<name>`, then the texts named by `more`."""
    return page("notice", status=status, link=link, name=name, more=more)


def welcome(link: Link) -> Response:
    """Return a link's first page.

    A whole list opens it at once, so it is made once per company and form.
    """
    html = process_state.of(_Welcomes).of(link.common.face, link.common.asks, link.common.test)
    until = texts.moment(link.expires_at, link.common.face.language)
    return Response(html.replace(_UNTIL, until).replace(_FORMS_OWN, form_tokens.make(link)))


def welcome_again(link: Link, fault: str) -> Response:
    """Return a link's first page with what is wrong in the form at its foot; `fault` names the text."""
    who, common = link.common.face, link.common
    until, token = texts.moment(link.expires_at, who.language), form_tokens.make(link)
    shown = {"asks": common.asks, "test": common.test, "until": until, "form_token": token, "fault": fault}
    return Response(_html("welcome", who, who.language, **shown), 422)


def gone() -> Response:
    """Return the page of a link that is unknown, over or ended: one answer for the three."""
    return notice("gone", status=404, more=("gone_copied", "gone_call"))


class _Welcomes:
    """The first pages that were made last."""

    def __init__(self) -> None:
        self.of = lru_cache(maxsize=1024)(_welcome)


def _welcome(who: Face, asks: bool, test: bool) -> str:  # noqa: FBT001 - what the page depends on
    return _html("welcome", who, who.language, asks=asks, test=test, until=_UNTIL, form_token=_FORMS_OWN)


def sample(who: Face, css: str) -> Response:
    """Return a first page as a company tries it on, with the style sheet that shows its look."""
    until = datetime.now(UTC) + timedelta(days=14)
    shown = {"asks": True, "until": texts.moment(until, who.language), "css": css, "sample": True}
    return Response(_html("welcome", who, who.language, **shown))


def _html(template: str, who: Face | None, language: str, **context: Any) -> str:  # noqa: ANN401 - a template's values
    return render_template(
        f"public/{template}.html",
        t=_texts(language),
        language=language,
        who=who,
        operator=texts.operator(settings().operator_name, language),
        yen=lambda amount: texts.yen(amount, language),
        day=lambda value: texts.day(value, language),
        moment=lambda at: texts.moment(at, language),
        paragraphs=paragraphs,
        **{"css": look.address(who.look if who else "")} | context,
    )


def paragraphs(text: str) -> Markup:
    """Return a written text as paragraphs and line breaks: a browser without style sheets shows them too."""
    parts = re.split(r"\n{2,}", text.replace("\r\n", "\n").strip("\n"))
    lines = (Markup("<br>").join(part.split("\n")) for part in parts)
    return Markup().join(Markup("<p>{}</p>").format(part) for part in lines)
