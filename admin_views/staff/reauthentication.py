"""The password again before what matters: who sits at the screen is who signed in.

In: a view that sends, exports, reveals or changes who may do so. Out: the same view, once its user has proved who he is
within the last quarter of an hour. Can't happen here: what was typed or chosen before being lost on the way.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from flask import request
from flask_admin import BaseView

from admin_views.framework.access import staff
from app.auth.sign_in import confirm
from app.problems import Refused

FRESH = timedelta(minutes=15)

_FIELD = "again_password"

_View = TypeVar("_View", bound=BaseView)
_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")
_Method = Callable[Concatenate[_View, _Given], _Answer]


def ask_password(view: BaseView, *, file: bool = False) -> str | None:
    """Return the page that asks for the password; None when there is nothing to ask, or the answer is right.

    `file`: what follows is a download, after which the browser still shows this page.
    """
    if datetime.now(UTC) - staff().confirmed_at < FRESH:
        return None
    problem = ""
    if _FIELD in request.form:
        try:
            confirm(staff(), request.form[_FIELD])
        except Refused as refused:
            problem = refused.message_ja
        else:
            return None
    sent = [pair for pair in request.form.items(multi=True) if pair[0] not in {_FIELD, "csrf_token"}]
    return view.render("office/again.html", sent=sent, problem=problem, field=_FIELD, file=file)


def require_reauthentication(act: _Method[_View, _Given, _Answer]) -> _Method[_View, _Given, _Answer | str]:
    """Let a view's method act upon a POST only for who has just proved who he is.

    Place it below `expose`.
    """
    return _guarded(act, file=False)


def require_reauthentication_for_file(act: _Method[_View, _Given, _Answer]) -> _Method[_View, _Given, _Answer | str]:
    """Do as `require_reauthentication` does, where the answer is a file."""
    return _guarded(act, file=True)


def _guarded(act: _Method[_View, _Given, _Answer], *, file: bool) -> _Method[_View, _Given, _Answer | str]:
    @wraps(act)
    def guarded(self: _View, /, *args: _Given.args, **kwargs: _Given.kwargs) -> _Answer | str:
        question = ask_password(self, file=file) if request.method == "POST" else None
        return act(self, *args, **kwargs) if question is None else question

    return guarded
