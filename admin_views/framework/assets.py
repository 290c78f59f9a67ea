"""Assets of the back office: templates that stand before Flask-Admin's own, static files, headers.

In: nothing of the domain. Out: `bp`, registered before Flask-Admin so that its templates are found first; the policy
under which a page of the back office runs no script and no style but our files.
"""

from functools import cache
from hashlib import sha256
from pathlib import Path

from flask import Blueprint, Response, request, url_for

from app.auth.staff import ROLE_WORDS, Role

PREFIX = "/admin"
_STATIC = Path(__file__).parents[1] / "static"
_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_YEAR_S = 31_536_000

bp = Blueprint(
    "look", "admin_views", template_folder="templates", static_folder="static", static_url_path=f"{PREFIX}/look"
)


@bp.app_template_global()
def asset(filename: str) -> str:
    """Return the address of one of our static files; another content makes another address."""
    return url_for("look.static", filename=filename, v=_version(filename))


@bp.app_template_filter()
def role_word(role: str) -> str:
    """Return what a user is in Japanese."""
    return ROLE_WORDS[Role(role)]


@cache
def _version(filename: str) -> str:
    return sha256((_STATIC / filename).read_bytes()).hexdigest()[:10]


@bp.after_app_request
def headers(response: Response) -> Response:
    """Put the back office's headers on its responses; personal details stay in no cache."""
    if request.path != PREFIX and not request.path.startswith(f"{PREFIX}/"):
        return response
    response.headers["Content-Security-Policy"] = _POLICY
    if request.endpoint == "look.static" and "v" in request.args:
        response.headers["Cache-Control"] = f"public, max-age={_YEAR_S}, immutable"
    elif request.endpoint not in {"look.static", "admin.static"}:
        response.headers["Cache-Control"] = "no-store"
    return response
