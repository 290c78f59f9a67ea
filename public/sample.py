"""A company's first page as it would look, for its staff before they save it; only the back office leads here."""

from flask import Blueprint, Response, abort, redirect, url_for
from werkzeug.wrappers import Response as BaseResponse

from app.extensions import csrf
from app.identity.visit import Face
from app.tenants import branding_preview
from public import look, pages

bp = Blueprint("sample", __name__, url_prefix="/sample")


@bp.get("/<key>")
def shown(key: str) -> Response:
    """Show the first page with this look."""
    found = branding_preview.find(key) or abort(404)
    who = Face(found.company, found.contact_phone, found.contact_hours, found.about, "", "ja")
    return pages.sample(who, url_for("sample.style", key=key))


@bp.post("/<key>")
@csrf.exempt  # it does nothing
def pressed(key: str) -> BaseResponse:
    """Stay: the button of a sample leads nowhere."""
    return redirect(url_for("sample.shown", key=key), 303)


@bp.get("/<key>.css")
def style(key: str) -> Response:
    """Return its style sheet."""
    found = branding_preview.find(key) or abort(404)
    return Response(look.compose(found.colour, found.logo), mimetype="text/css")
