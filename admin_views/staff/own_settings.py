"""自分の設定: everybody's own second factor and the browsers they are signed in with; for managers, everybody's."""

import segno
from flask import abort, flash, redirect, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response as BaseResponse

from admin_views.framework import display
from admin_views.framework.access import staff
from admin_views.framework.secure_view import SecureView, expose
from admin_views.staff.reauthentication import require_reauthentication
from app import audit
from app.auth import second_factor, sessions
from app.auth.staff import Role, factor_required
from app.extensions import db, limiter
from app.models import StaffSession, User

_ONE = "/session/<int(max=9223372036854775807):session_id>/end"
_WRONG_CODE = (
    "コードが違います。認証アプリに今表示されている6桁の数字を入力してください。"
    "何度も違うときは、スマートフォンの時刻が自動設定になっているか確かめてください。"
)

# Browsers by their own names, the telling words first: Edge and Chrome call themselves Safari too.
_BROWSERS = (("Edg", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("CrOS", "Chromebook"),
    ("Linux", "Linux"),
)


def device_word(agent: str) -> str:
    """Name a browser and its machine as people call them."""
    found = [next((word for sign, word in signs if sign in agent), "") for signs in (_BROWSERS, _SYSTEMS)]
    return "／".join(word for word in found if word) or "不明な端末"


class MyselfView(SecureView):
    """自分の設定."""

    def __init__(self) -> None:
        super().__init__("自分の設定", endpoint="myself")

    def render(self, template: str, **kwargs: object) -> str:
        """Render a page."""
        return super().render(template, device_word=device_word, jst=display.jst, **kwargs)

    @expose("/")
    def index(self) -> str:
        """Show what one may change of one's own sign-in."""
        me = staff()
        return self.render(
            "office/myself.html",
            me=me,
            codes_left=len(_me().recovery_digests),
            mine=sessions.open_ones(StaffSession.user_id == me.id),
            manages=_manages(),
        )

    # --- the second factor ---

    @expose("/factor", methods=["GET", "POST"])
    @limiter.limit("10 per minute", methods=["POST"])
    def factor(self) -> BaseResponse | str:
        """Show the secret, and take the factor into use with a right code."""
        user = _me()
        offer = second_factor.offered(user)
        if offer is None:
            return redirect(url_for("myself.index"), 303)
        problem = ""
        if request.method == "POST":
            codes = second_factor.switch_on(user, request.form.get("code", ""))
            if codes is not None:
                sessions.revoke_sessions(user.id, but=staff().session_id)
                self._record("factor_on")
                return self.render("office/recovery_codes.html", codes=codes, first=True)
            problem = _WRONG_CODE
        picture = Markup(segno.make(offer.address).svg_inline(scale=5, border=2))  # noqa: S704 - drawn here
        return self.render("office/factor.html", offer=offer, picture=picture, problem=problem)

    @expose("/factor/begin", methods=["POST"])
    @require_reauthentication
    def begin_factor(self) -> BaseResponse:
        """Draw a secret."""
        second_factor.offer(_me())
        db.session.commit()
        return redirect(url_for("myself.factor"), 303)

    @expose("/factor/off", methods=["POST"])
    @require_reauthentication
    def factor_off(self) -> BaseResponse:
        """Do without a second factor, where the company allows it."""
        user = _me()
        if factor_required(user):
            flash("二段階認証は必須のため、解除できません。", "warning")
        else:
            second_factor.switch_off(user)
            self._record("factor_off")
            flash("二段階認証を解除しました。", "success")
        return redirect(url_for("myself.index"), 303)

    @expose("/factor/codes", methods=["POST"])
    @require_reauthentication
    def new_codes(self) -> BaseResponse | str:
        """Draw new recovery codes."""
        user = _me()
        if user.totp_since is None:
            return redirect(url_for("myself.index"), 303)
        codes = second_factor.renew_codes(user)
        self._record("recovery_codes")
        return self.render("office/recovery_codes.html", codes=codes, first=False)

    # --- sessions ---

    @expose("/everybody")
    def everybody(self) -> str:
        """Show managers who is signed in."""
        if not _manages():
            abort(403)
        return self.render("office/everybody.html", me=staff(), all=sessions.open_ones())

    @expose(_ONE, methods=["POST"])
    def end(self, session_id: int) -> BaseResponse:
        """End a session: one's own, or as a manager another's."""
        row = db.session.get(StaffSession, session_id)
        own = row is not None and row.user_id == staff().id
        if row is None or not (own or _manages()):
            abort(404)
        if sessions.revoke_session(session_id):
            self._record("end_session", row.user_id)
        flash("サインアウトさせました。", "success")
        return redirect(url_for("myself.index" if own else "myself.everybody"), 303)

    @expose("/session/end-others", methods=["POST"])
    def end_others(self) -> BaseResponse:
        """End all of one's own sessions but this."""
        if sessions.revoke_sessions(staff().id, but=staff().session_id):
            self._record("end_session")
        flash("ほかの端末のサインインを終了しました。", "success")
        return redirect(url_for("myself.index"), 303)

    def _record(self, act: str, user_id: int | None = None) -> None:
        """Put an act upon a user on record, and commit it with what was done."""
        target = user_id or staff().id
        owner = db.session.get_one(User, target).tenant_id
        audit.record(db.session, actor=staff().actor, act=act, target=f"user:{target}", tenant_id=owner)
        db.session.commit()


def _me() -> User:
    return db.session.get_one(User, staff().id)


def _manages() -> bool:
    return staff().role in {Role.MANAGER, Role.OPERATOR}
