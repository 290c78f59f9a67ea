"""パスワードの変更: everybody's own."""

from flask import flash, redirect, request, url_for
from flask_admin.helpers import get_form_data
from werkzeug.wrappers import Response as BaseResponse
from wtforms import Field, PasswordField
from wtforms.validators import ValidationError

from admin_views.framework.access import staff
from admin_views.framework.fields import required
from admin_views.framework.secure_view import Form, SecureView, Sent, expose
from app import audit
from app.auth import passwords
from app.auth.sign_in import confirm, set_password
from app.extensions import db, limiter
from app.models import User
from app.problems import Refused


class PasswordForm(Form):
    """The old password, and twice the new one."""

    old = PasswordField("いまのパスワード", [required("いまのパスワードを入力してください。")])
    new = PasswordField(
        "新しいパスワード",
        [required("新しいパスワードを入力してください。")],
        description=f"{passwords.SHORTEST}文字以上。長いほど安全です。",
    )
    again = PasswordField("新しいパスワード（もう一度）", [required("もう一度入力してください。")])

    def __init__(self, formdata: Sent | None, user: User) -> None:
        super().__init__(formdata)
        self.user = user

    def validate_old(self, field: Field) -> None:
        """Refuse who isn't the user."""
        try:
            confirm(staff(), field.data)
        except Refused:
            raise ValidationError("いまのパスワードが違います。続けて間違えると15分間確認できなくなります。") from None

    def validate_new(self, field: Field) -> None:
        """Refuse a weak password."""
        code = self.user.tenant.code if self.user.tenant else ""
        if found := passwords.problems(field.data, self.user.email, self.user.name, code):
            raise ValidationError(found[0].message_ja)

    def validate_again(self, field: Field) -> None:
        """Refuse a slip of the fingers."""
        if field.data != self.new.data:
            raise ValidationError("上の新しいパスワードと違います。")


class PasswordView(SecureView):
    """パスワードの変更."""

    def __init__(self) -> None:
        super().__init__("パスワードの変更", endpoint="password")

    def is_visible(self) -> bool:
        """Stay out of the menu: 自分の設定 leads here."""
        return False

    @expose("/", methods=["GET", "POST"])
    @limiter.limit("10 per minute", methods=["POST"])
    def index(self) -> BaseResponse | str:
        """Change one's own password; ends all other sessions."""
        user = db.session.get_one(User, staff().id)
        form = PasswordForm(get_form_data(), user)
        if request.method == "POST" and form.validate():
            set_password(user, form.new.data or "", but=staff().session_id)
            audit.record(db.session, actor=staff().actor, act="password", target=f"user:{user.id}")
            db.session.commit()
            flash("パスワードを変更しました。ほかの端末のサインインは終了しました。", "success")
            return redirect(url_for("myself.index"), 303)
        home = url_for("myself.index")
        return self.render("office/form.html", form=form, return_url=home, nav_url=home)
