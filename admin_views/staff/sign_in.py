"""Sign-in and sign-out, and the scope that every request of the back office runs in.

In: a signed cookie that holds a session's key. Out: the request with its user and an open scope: the user's company, or
the platform for operators. Can't happen here: a request of a user in another scope than the user's own, a page for who
has passed only the first of two steps.
"""

from contextlib import AbstractContextManager, ExitStack

from flask import Blueprint, Flask, Response, abort, flash, g, redirect, render_template, request, session, url_for
from flask_admin.helpers import is_safe_url
from flask_login import current_user, login_user
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from admin_views.framework import errors
from admin_views.framework.assets import PREFIX
from app import tenancy
from app.auth import sessions
from app.auth.sessions import Device
from app.auth.sign_in import REFUSED, Begun, second_step, sign_in
from app.auth.staff import Staff
from app.extensions import db, limiter, login
from app.problems import Refused

_LONGEST_TARGET = 2_000  # characters of an address of ours
_GUESSES = "20 per minute; 200 per hour"

TOO_LATE = "時間が過ぎたため、はじめからサインインしてください。"
ENDED = "しばらく操作がなかったか、設定が変わったため、サインアウトしました。もう一度サインインしてください。"
NOT_KEPT = "いま入力した内容は保存されていません。サインインしてから、もう一度入力してください。"
SET_UP = "二段階認証の設定が必要です。設定が終わると、ほかの画面を開けます。"

# These are reached without a session, and without a scope of one.
_OPEN = frozenset({"auth.sign_in_page", "auth.code_page", "look.static", "admin.static"})
# Pages open to a user who has to set up a second factor first.
_SETTING_UP = frozenset({
    "myself.index", "myself.begin_factor", "myself.factor", "auth.logout", "guide.index", "guide.picture",
})  # fmt: skip

# Words to look for, as people type them: a NUL there finds nothing, and is told. Elsewhere in an address none is.
_SEARCHED_FOR = frozenset({"search", "row", "query"})

bp = Blueprint("auth", __name__, url_prefix=PREFIX)
bp.register_error_handler(HTTPException, errors.page)


def register(app: Flask) -> None:
    """Bind the sign-in to the application."""
    # an address that changes in mid session is a phone in a train, not a thief
    login.session_protection = None
    login.init_app(app, add_context_processor=False)
    # lazily: a recipient's page renders without asking who is signed in
    app.jinja_env.globals["current_user"] = current_user
    login.user_loader(_user)
    app.before_request(_enter)
    app.teardown_request(_leave)
    app.register_blueprint(bp)


def _enter() -> BaseResponse | None:
    path = request.path
    if not path.startswith(PREFIX) or not (path == PREFIX or path.startswith(f"{PREFIX}/")):
        return None
    if request.endpoint in _OPEN:
        return None
    if any("\0" in name + value and name not in _SEARCHED_FOR for name, value in request.args.items(multi=True)):
        abort(404)
    if "_user_id" not in session:
        return None
    g.scope = ExitStack()
    g.scope.enter_context(_scope(session.get("scope", 0)))
    # a script's own request is no sign of life
    g.staff = sessions.recall(session.get("key", ""), click=request.headers.get("Sec-Fetch-Dest") != "empty")
    if g.staff is None:
        session.clear()
        flash(ENDED if request.method == "GET" else f"{ENDED}{NOT_KEPT}", "warning")
    elif g.staff.must_add_factor and request.endpoint not in _SETTING_UP:
        flash(SET_UP, "warning")
        return redirect(url_for("myself.index"), 303)
    return None


def _scope(tenant_id: int) -> AbstractContextManager[object]:
    """Return a company's scope, for 0 the platform's."""
    return tenancy.tenant(tenant_id) if tenant_id else tenancy.platform()


def _leave(_error: BaseException | None) -> None:
    scope: ExitStack | None = g.pop("scope", None)
    if scope is not None:
        scope.close()


def _user(remembered: str) -> Staff | None:
    """Return Flask-Login the user that `_enter` found; a request without a scope has none."""
    user: Staff | None = g.get("staff")
    return user if user is not None and user.get_id() == remembered else None


@bp.route("/login", methods=["GET", "POST"])
@limiter.limit(_GUESSES, methods=["POST"])
def sign_in_page() -> BaseResponse | str:
    """Show the sign-in, and take it."""
    target = request.values.get("next", "")
    values = {name: request.form.get(name, "") for name in ("tenant_code", "email", "password")}
    problem = ""
    if request.method == "POST":
        try:
            begun = _signed_in(values)
        except Refused as refused:
            problem = refused.message_ja
        else:
            # nothing of before the sign-in lives on: not a planted cookie, not its CSRF token
            session.clear()
            if begun.passed:
                return _welcome(begun, target)
            session["half"] = begun.key
            return redirect(url_for("auth.code_page", next=target or None), 303)
    del values["password"]
    return render_template("admin/login.html", problem=problem, values=values, next=target)


@bp.route("/login/code", methods=["GET", "POST"])
@limiter.limit(_GUESSES, methods=["POST"])
def code_page() -> BaseResponse | str:
    """Ask for the second factor, and take it."""
    target = request.values.get("next", "")
    key = session.get("half", "")
    with tenancy.platform():
        waits = bool(key) and sessions.half_open(key) is not None
    if not waits:
        session.pop("half", None)
        flash(TOO_LATE, "warning")
        return redirect(url_for("auth.sign_in_page", next=target or None), 303)
    problem = ""
    if request.method == "POST":
        try:
            with tenancy.platform():
                begun = second_step(key, request.form.get("code", ""))
        except Refused as refused:
            problem = refused.message_ja
        else:
            session.clear()
            return _welcome(begun, target)
    return render_template("admin/login_code.html", problem=problem, next=target)


def _welcome(begun: Begun, target: str) -> BaseResponse:
    """Return the browser its session."""
    with _scope(begun.tenant_id):
        staff = sessions.recall(begun.key, click=True)
    if staff is None:  # ended a moment ago
        return redirect(url_for("auth.sign_in_page"), 303)
    session["scope"], session["key"] = begun.tenant_id, begun.key
    login_user(staff)
    return redirect(target if _is_ours(target) else url_for("admin.index"), 303)


def _signed_in(values: dict[str, str]) -> Begun:
    if any("\0" in value for value in values.values()):
        raise Refused(REFUSED())
    with tenancy.platform():
        return sign_in(values["tenant_code"], values["email"], values["password"], device())


def device() -> Device:
    """Describe from where this request comes."""
    return Device(request.user_agent.string, request.remote_addr or "")


def _is_ours(target: str) -> bool:
    """Return whether an address leads to the back office, however a browser reads it.

    Browsers take a backslash for a slash, and drop tabs and line breaks, so that an address with those is none.
    """
    return (
        len(target) <= _LONGEST_TARGET
        and target.startswith(f"{PREFIX}/")
        and target.isprintable()
        and "\\" not in target
        and "//" not in target.partition("?")[0]
        and is_safe_url(target)
    )


@bp.post("/logout")
def logout() -> BaseResponse:
    """End this session."""
    if g.get("staff") is not None:
        sessions.revoke_session(g.staff.session_id)
        db.session.commit()
    session.clear()
    flash("サインアウトしました。", "success")
    return redirect(url_for("auth.sign_in_page"), 303)


def to_sign_in() -> BaseResponse:
    """Lead someone who is not signed in to the sign-in, and back to where he wanted to go."""
    wanted = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("auth.sign_in_page", next=wanted if wanted != url_for("admin.index") else None))


@bp.route("/<path:_rest>", methods=["GET", "POST"])
def nothing(_rest: str) -> Response:
    """Answer below /admin/ where there is nothing, in the back office's own words."""
    abort(404)
