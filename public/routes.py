"""The pages' addresses. The token stands in the first one alone; from the person's own press on, a cookie says who."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, make_response, redirect, request, session, url_for
from werkzeug.routing import BaseConverter

from app import links, tenancy
from app.config import settings
from app.extensions import csrf, limiter
from app.identity import check, visit
from app.identity.check import Asked, VerdictKind
from app.identity.visit import Link, LiveLink
from app.payments import attempts, checkout
from app.payments.confirm import confirm_for_page
from app.payments.review import ReviewReason, split
from app.setback import doubt
from app.states.vocabulary import PageState, PaymentAttemptState, PaymentState
from app.values.answers import QuestionKind
from public import look, not_me, pages, texts
from public.pages import notice, page

bp = Blueprint("public", __name__, template_folder="templates", static_folder="static", static_url_path="/static/page")
# throttles an address and locks no link: thousands of people share a mobile network's addresses, each presses thrice
limiter.limit("300 per minute", methods=["POST"])(bp)

# however busy its owner, a proof of identity is not older than this, seconds
_PROOF_LIFE_S = 4 * 3600
# the page that waits for a payment's result looks again so often, and so many times by itself
_LOOK_AGAIN_S = 4
_LOOKS = 8

_VERIFIED = {PageState.VERIFIED, PageState.VIEWED}


class TokenConverter(BaseConverter):
    """A link's token: the vault's alphabet, of any length a setting may choose."""

    regex = "[1-9A-HJ-NP-Za-km-z]{12,32}"


class TailConverter(BaseConverter):
    """A tail that can't belong to the token before it."""

    # a line break and what stands below it too
    regex = r"[^0-9A-Za-z][\s\S]*"
    part_isolating = False


# behind a trial link's first letters: its zeros, and what a phone took for a part of it
_TRIAL_REST = re.compile(rf"0*({TailConverter.regex})?\Z")


class LookConverter(BaseConverter):
    """The digest of a company's look."""

    regex = "[0-9a-f]{20}"


@bp.get("/look/<look:digest>.css")
def look_static(digest: str) -> Response:
    """Return the style sheet with a company's colour and logo."""
    return look.sheet(digest) or abort(404)


# --- the link ---


@bp.get("/<token:token>")
def welcome(token: str) -> Response:
    """Show who writes and why, and a button. Changes nothing: whatever fetches links may come here."""
    link = visit.by_token(token)
    if link is None:
        return pages.gone()
    if link.page is PageState.LOCKED:
        return notice("locked", link=link)
    if link.common.stopped and link.common.asks and link.page not in _VERIFIED:
        return notice("stopped", status=503, link=link)
    return pages.welcome(link)


@bp.get("/<token:token><tail:tail>")
def welcome_after_all(token: str, tail: str) -> Response:
    """Lead to the link: many phones take the words that follow it in the SMS, or a full stop, for a part of it."""
    del tail
    return make_response(redirect(url_for("public.welcome", token=token), 303))


@bp.post("/<token:token>")
@csrf.exempt  # the token is the secret here, and there is no session yet to protect
def begin(token: str) -> Response:
    """Take the person's press: the page counts as opened, and a session begins without the token."""
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        return make_response(redirect(url_for("public.welcome", token=token), 303))
    link = visit.by_token(token)
    if link is None:
        return pages.gone()
    if not_me.is_said():
        return not_me.take(link)
    with tenancy.tenant(link.tenant_id):
        visit.begin(link)
    # a second press, in another tab perhaps, leaves the form of the first one as good as it was
    if not (_is_session_of(link) and (link.common.asks or _proved(link))):
        _open_session(link, proved=not link.common.asks)
    return _go("public.show")


@bp.get(f"/{links.TRIAL}<zeros>")
def trial(zeros: str) -> Response:
    """Show what a test SMS leads to: nobody's page."""
    return notice("trial", more=("trial_more",)) if _TRIAL_REST.match(zeros) else abort(404)


# --- the page session ---


def visiting(
    missing: str = "over",
    more: tuple[str, ...] = ("over_cookies",),
    find: Callable[[int, bytes], LiveLink | None] = visit.by_id,
) -> Callable[[Callable[[LiveLink], Response]], Callable[[], Response]]:
    """Return a view the person of the page session as they stand now, in their tenant's scope.

    Without a session it shows the notice `missing` instead; with one whose link ended or is locked, that.
    """

    def decorate(view: Callable[[LiveLink], Response]) -> Callable[[], Response]:
        @wraps(view)
        def with_person() -> Response:
            if "link" not in session:
                return notice(missing, more=more)
            with tenancy.tenant(session["tenant"]):
                link = find(session["recipient"], session["link"])
                if link is None:
                    session.clear()
                    return pages.gone()
                if link.page is PageState.LOCKED:
                    return notice("locked", link=link)
                return view(link)

        return with_person

    return decorate


@bp.get("/p")
@visiting()
def show(link: LiveLink) -> Response:
    """Show what is next: the questions, or the message with its payment."""
    if not _proved(link):
        return _questions(link)
    title, text = visit.view(link)
    link, state, attempt = _asked(link, visit.by_id)
    if state == "started" and attempt is not None and attempt.is_unheard:
        # a person who has paid is not asked to go on: what the provider told of, or may know, is not here yet
        state = "checking" if attempt.is_told else "unsure"
    return page("message", link=link, title=title, text=text, state=state, attempt=attempt)


@bp.post("/p/answers")
@visiting()
def answer(link: LiveLink) -> Response:
    """Take the answers to all questions at once."""
    if _proved(link):
        return _go("public.show")
    if link.page is PageState.UNOPENED:
        # the form is older than the link's new life: an SMS was sent again after its end
        visit.begin(link)
    asked = check.questions(link.campaign_id)
    typed = [_typed(number, question) for number, question in enumerate(asked, start=1)]
    verdict = check.check(link.tenant_id, link.recipient_id, link.generation, asked, typed)
    if verdict.kind is VerdictKind.RIGHT:
        _open_session(link, proved=True)
    if verdict.kind in {VerdictKind.RIGHT, VerdictKind.LOCKED, VerdictKind.CLOSED}:
        return _go("public.show")
    left = verdict.left if verdict.kind is VerdictKind.WRONG else link.common.max_failures - link.failed_attempts
    faults = {number: verdict.faults[number - 1] for number in range(1, len(asked) + 1) if number - 1 in verdict.faults}
    return page(
        "questions",
        status=422,
        link=link,
        asked=asked,
        typed=typed,
        left=left,
        faults=faults,
        fault_words=texts.OF_FAULTS,
        error="wrong" if verdict.kind is VerdictKind.WRONG else "unreadable",
        calendars=_calendars(link),
    )


@bp.get("/p/answers")
def answers_reloaded() -> Response:
    """Lead whoever reloads the address of the form back to the page."""
    return _go("public.show")


@bp.post("/p/pay")
@visiting()
def start_payment(link: LiveLink) -> Response:
    """Make the payment page ready, then lead there."""
    if not _proved(link):
        return _go("public.show")
    base = f"{'https' if settings().https else 'http'}://{request.host}"
    outcome = checkout.start(
        link.recipient_id,
        link.generation,
        return_url=base + url_for("public.returned"),
        back_url=base + url_for("public.returned", back=1),
    )
    if outcome is checkout.Outcome.HELD:
        return page("unavailable", status=503, link=link, held=True)
    if outcome is checkout.Outcome.REFUSED:
        return page("unavailable", status=503, link=link, refused=True)
    if outcome is checkout.Outcome.UNAVAILABLE:
        # with an attempt under way, or one that the provider can't be asked about, money may have come
        sure = link.payment not in {PaymentState.STARTED, PaymentState.PENDING}
        return page("unavailable", status=503, link=link, sure=sure)
    return _go("public.hand_over" if outcome is checkout.Outcome.READY else "public.show")


@bp.get("/p/pay")
@visiting()
def hand_over(link: LiveLink) -> Response:
    """Lead to the payment page from a page of our own: Chromium applies form-action to a redirect after a POST."""
    if _proved(link) and not doubt.may_charge():
        return page("unavailable", status=503, link=link, held=True)
    url = attempts.open_url(link.recipient_id) if _proved(link) else None
    if url is None:
        return _go("public.show")
    response = page("go", link=link, url=url, host=urlsplit(url).hostname)
    # at once, so that the way back leads past this page
    response.headers["Refresh"] = f"0;url={url}"
    return response


@bp.get("/p/return")
@visiting(missing="returned", more=(), find=visit.by_return)
def returned(link: LiveLink) -> Response:
    """Show what is confirmed of the payment. That the browser came back proves nothing: the payment provider is asked.

    Also when the link's time ended while the person paid: then this page alone is left to them, and no other attempt.
    """
    over = link.expires_at <= datetime.now(UTC)
    if not (_freshly_proved() if over else _proved(link)):
        return _go("public.show")
    link, state, attempt = _asked(link, visit.by_return)
    looks = request.args.get("looks", 0, type=int)
    if state == "started" and "back" not in request.args:
        response = page("waiting", link=link, still_looking=looks < _LOOKS, over=over)
        if looks < _LOOKS:
            response.headers["Refresh"] = f"{_LOOK_AGAIN_S};url={url_for('public.returned', looks=looks + 1)}"
        return response
    if state in {"", "unpaid", "started"}:
        return _go("public.show")
    return page("result", link=link, state=state, attempt=attempt, over=over)


# --- parts ---


def _go(endpoint: str) -> Response:
    return make_response(redirect(url_for(endpoint), 303))


def _open_session(link: Link, *, proved: bool) -> None:
    """Begin the session anew: nothing that was known of it before is worth anything now."""
    session.clear()
    session.permanent = True
    session["tenant"] = link.tenant_id
    session["recipient"] = link.recipient_id
    session["link"] = link.digest
    if proved:
        session["proved_at"] = int(time.time())


def _is_session_of(link: Link) -> bool:
    return (session.get("recipient"), session.get("link")) == (link.recipient_id, link.digest)


def _proved(link: Link) -> bool:
    """Return whether this browser's person proved who they are, and nothing has undone it since."""
    return _freshly_proved() and link.page in _VERIFIED


def _freshly_proved() -> bool:
    return bool(time.time() - session.get("proved_at", 0) < _PROOF_LIFE_S)


def _questions(link: LiveLink) -> Response:
    if link.common.stopped:
        return notice("stopped", status=503, link=link)
    asked = check.questions(link.campaign_id)
    if not asked:
        # nothing is asked, but this browser's proof is too old: its way in is the link's button
        return notice("over", link=link)
    blank = [("",) * 4] * len(asked)
    return page(
        "questions",
        link=link,
        asked=asked,
        typed=blank,
        left=_left(link),
        faults={},
        fault_words={},
        error="",
        calendars=_calendars(link),
    )


def _left(link: LiveLink) -> int:
    return link.common.max_failures - link.failed_attempts


def _typed(number: int, question: Asked) -> tuple[str, ...]:
    names = [f"q{number}"]
    if question.kind is QuestionKind.DATE:
        names = [f"q{number}_{part}" for part in ("calendar", "year", "month", "day")]
    return tuple(request.form.get(name, "") for name in names)


def _calendars(link: LiveLink) -> tuple[str, ...]:
    """Name the calendars offered beside a date's year: who thinks in eras types the era's digits alone."""
    return (check.WESTERN, *check.ERAS) if link.common.face.language == "ja" else ()


def _asked(
    link: LiveLink, find: Callable[[int, bytes], LiveLink | None]
) -> tuple[LiveLink, str, attempts.Attempt | None]:
    """Ask the payment provider about what is under way; say where the person, and the payment, stand then."""
    state, attempt = _payment(link)
    if attempt is not None and state in {"started", "pending"}:
        confirm_for_page(attempt.id)
        link = find(link.recipient_id, link.digest) or link
        state, attempt = _payment(link)
    return link, state, attempt


def _payment(link: LiveLink) -> tuple[str, attempts.Attempt | None]:
    """Describe how the payment stands in one word for the page, empty where none is asked for."""
    if link.payment is PaymentState.NONE:
        return "", None
    attempt = attempts.that_counts(link.recipient_id)
    if attempt and attempt.problem and link.payment not in {PaymentState.PAID, PaymentState.REFUNDED}:
        return "review", attempt
    if attempt and (more := _more_than_paid(link, attempt)):
        return more, attempt
    return "failed" if link.payment is PaymentState.CANCELLED else str(link.payment), attempt


def _more_than_paid(link: LiveLink, attempt: attempts.Attempt) -> str:
    """Name what became of money that came; empty where nothing did."""
    if attempt.receipts and link.payment is PaymentState.PAID:
        return "twice"
    if ReviewReason.REFUND_FAILED in split(attempt.problem):
        return "refund_review"
    return "charged_back" if attempt.is_charged_back and attempt.state is PaymentAttemptState.PAID else ""
