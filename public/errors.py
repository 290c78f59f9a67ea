"""Answer a request that can't be served, in the style of the other pages and never with a cause's details."""

from flask import Flask, Response, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, SecurityError

from app.web import bare_pages
from public.pages import notice
from public.security_headers import of_another_door

_NAMES = {404: "not_found", 405: "not_found", 429: "busy", 503: "held_up"}
_FIRST_OF_OURS = 500
_RETRY_AFTER_S = "60"


def register(app: Flask) -> None:
    """Show our own pages for errors on the recipients' side."""
    app.register_error_handler(HTTPException, _show)


def _show(error: HTTPException) -> HTTPException | Response:
    if error.response is not None:
        return error
    code = error.code or 500
    # of a host that isn't ours no address can be built; what the back office's blueprints don't hear of comes here
    if isinstance(error, SecurityError) or request.path.startswith("/admin"):
        return _bare(error, code)
    if of_another_door(request.path):
        return _bare_status(error, code)  # a program asks
    if isinstance(error, CSRFError):
        # the page session is over, or the form is an old one: the way back is the link in the SMS
        return notice("over", status=code, more=("over_cookies",))
    response = notice(_NAMES.get(code, "failed" if code >= _FIRST_OF_OURS else "bad"), status=code)
    _keep_headers(response, error)
    if code == 429:  # noqa: PLR2004 - the status itself
        response.headers.setdefault("Retry-After", _RETRY_AFTER_S)
    return response


def _bare_status(error: HTTPException, code: int) -> Response:
    """Answer a program as its door does: by the status alone."""
    response = Response(status=code)
    _keep_headers(response, error)
    return response


def _bare(error: HTTPException, code: int) -> Response:
    response = Response(bare_pages.page(code, request.path), code, {"Cache-Control": "no-store"})
    _keep_headers(response, error)
    return response


def _keep_headers(response: Response, error: HTTPException) -> None:
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After"}:
            response.headers[name] = value
