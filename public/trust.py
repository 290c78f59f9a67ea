"""Pages for whoever doubts: is this SMS that company's, and whom to tell of a weakness of this site."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, request

from app.config import settings
from app.extensions import csrf, limiter
from app.tenants import sender_check
from public.pages import page

bp = Blueprint("trust", __name__)

# RFC 9116 asks for an end, less than a year away; the file is made anew at each request
_SECURITY_TXT_DAYS = 180


@bp.get("/verify")
def verify() -> Response:
    """Ask for a company and the number an SMS came from."""
    return _verify(outcome="", company="", number="")


@bp.post("/verify")
@csrf.exempt  # it changes nothing, and whoever asks has no session
@limiter.limit("20 per minute; 200 per hour")
def verified() -> Response:
    """Return whether that company sends from that number."""
    company, number = (request.form.get(name, "").strip() for name in ("company", "number"))
    too_long = [
        name for name, typed in (("company", company), ("number", number)) if len(typed) > sender_check.MOST_TYPED
    ]
    if too_long or not (company and number):
        return _verify(status=422, outcome="empty", company=company, number=number, too_long=too_long)
    sender = sender_check.find(company, number)
    host = urlsplit(settings().link_base_url).hostname
    numbers: dict[str, list[str]] = {}
    for carrier, known in sender.numbers if sender else ():
        numbers.setdefault(carrier, []).append(known)
    outcome = "yes" if sender else "no"
    return _verify(outcome=outcome, company=company, number=number, sender=sender, numbers=numbers, host=host)


def _verify(**context: Any) -> Response:  # noqa: ANN401 - a template's values
    return page("verify", told=settings().security_contact, **context)


@bp.get("/.well-known/security.txt")
def security_txt() -> Response:
    """Name the contact for whoever finds a weakness (RFC 9116); nothing where nobody is named."""
    if not settings().security_contact:
        abort(404)
    ends = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=_SECURITY_TXT_DAYS)
    lines = [
        f"Contact: {settings().security_contact}",
        f"Expires: {ends:%Y-%m-%dT%H:%M:%SZ}",
        "Preferred-Languages: ja, en",
        f"Canonical: {settings().public_base_url}/.well-known/security.txt",
    ]
    if settings().security_policy:
        lines.append(f"Policy: {settings().security_policy}")
    return Response("\n".join(lines) + "\n", mimetype="text/plain")
