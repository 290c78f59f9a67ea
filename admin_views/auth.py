"""Sign-in and sign-out, and the scope that every request of the back office runs in.

In: a signed cookie. Out: the request with its user and an open scope: the user's company, or the platform for
operators. What can't happen here: a request of a user in another scope than the user's own, a session that goes on
after `staff_idle_minutes` without a click, after `LONGEST`, or after its user, company, password or role changed.
"""

import time
from contextlib import ExitStack

from flask import Blueprint, Flask, Response, abort, flash, g, redirect, render_template, request, session, url_for
from flask_admin.helpers import is_safe_url
from flask_login import current_user, login_user
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from admin_views import errors
from admin_views.look import PREFIX
from app import tenancy
from app.config import settings
from app.extensions import limiter, login
from app.tenancy.staff import SignInRefused, Staff, recall, sign_in

LONGEST_S = 12 * 3600
_LONGEST_TYPED = 300  # characters; more is no sign-in

REFUSED = (
    "サインインできませんでした。企業コード・メールアドレス・パスワードをもう一度お確かめください。"
    "続けて間違えると15分間サインインできなくなります。その場合は時間をおいてからお試しください。"
)
ENDED = "しばらく操作がなかったか、設定が変わったため、サインアウトしました。もう一度サインインしてください。"

# These are reached without a session, and without a scope of one.
_OPEN = frozenset({"auth.sign_in_page", "look.static", "admin.static"})

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


def _enter() -> None:
    path = request.path
    if not path.startswith(PREFIX) or not (path == PREFIX or path.startswith(f"{PREFIX}/")):
        return
    if request.endpoint in _OPEN:
        return
    if b"\0" in request.query_string or b"%00" in request.query_string:
        abort(404)
    remembered = _remembered()
    if remembered is None:
        return
    tenant_id, user_id, epoch = remembered
    g.scope = ExitStack()
    g.scope.enter_context(tenancy.tenant(tenant_id) if tenant_id else tenancy.platform())
    g.staff = recall(user_id, epoch)
    if g.staff is None:
        _end()
    elif request.headers.get("Sec-Fetch-Dest") != "empty":
        # what a script asks by itself is no sign of life
        session["seen"] = int(time.time())


def _remembered() -> tuple[int, int, int] | None:
    """Give (company or 0, user, epoch) of a session that is not too old."""
    if "_user_id" not in session:
        return None
    now = time.time()
    idle_s = settings().staff_idle_minutes * 60
    if now - session.get("seen", 0) > idle_s or now - session.get("began", 0) > LONGEST_S:
        _end()
        return None
    tenant_id, user_id, epoch = session["_user_id"].split(".")
    return int(tenant_id), int(user_id), int(epoch)


def _end() -> None:
    session.clear()
    flash(ENDED, "warning")


def _leave(_error: BaseException | None) -> None:
    scope: ExitStack | None = g.pop("scope", None)
    if scope is not None:
        scope.close()


def _user(remembered: str) -> Staff | None:
    """Give Flask-Login the user that `_enter` found; a request without a scope has none."""
    user: Staff | None = g.get("staff")
    return user if user is not None and user.get_id() == remembered else None


@bp.route("/login", methods=["GET", "POST"])
@limiter.limit("20 per minute; 200 per hour", methods=["POST"])
def sign_in_page() -> BaseResponse | str:
    """Show the sign-in, and take it."""
    target = request.values.get("next", "")
    values = {name: request.form.get(name, "")[:_LONGEST_TYPED] for name in ("tenant_code", "email", "password")}
    problem = ""
    if request.method == "POST":
        try:
            user = _signed_in(values)
        except SignInRefused:
            problem = REFUSED
        else:
            # nothing of before the sign-in lives on: not a planted cookie, not its CSRF token
            session.clear()
            login_user(user)
            session["began"] = session["seen"] = int(time.time())
            return redirect(target if _is_ours(target) else url_for("admin.index"), 303)
    del values["password"]
    return render_template("admin/login.html", problem=problem, values=values, next=target)


def _signed_in(values: dict[str, str]) -> Staff:
    if any("\0" in value for value in values.values()):
        raise SignInRefused
    with tenancy.platform():
        return sign_in(values["tenant_code"], values["email"], values["password"])


def _is_ours(target: str) -> bool:
    return target.startswith(f"{PREFIX}/") and is_safe_url(target)


@bp.post("/logout")
def logout() -> BaseResponse:
    """End this session."""
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
