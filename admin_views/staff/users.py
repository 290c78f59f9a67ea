"""利用者: the people who sign in.

Operators keep everybody's, managers their own company's.
"""

from collections.abc import Mapping
from typing import Any

from flask import request
from flask_admin.helpers import get_form_data
from sqlalchemy import func
from wtforms import BooleanField, Field, PasswordField, SelectField
from wtforms.validators import ValidationError

from admin_views.framework import display, fields
from admin_views.framework.access import staff
from admin_views.framework.fields import RowField, line, required, select_options
from admin_views.framework.filters import Choice
from admin_views.framework.model_view import SecureModelView
from admin_views.framework.scoping import as_id, rows
from admin_views.framework.secure_view import Form, Sent
from app import tenancy
from app.auth import passwords, second_factor, sessions
from app.auth.sign_in import set_password
from app.auth.staff import ROLE_WORDS, Role
from app.extensions import db
from app.models import Tenant, User

_COMPANY_ROLES = (Role.MANAGER, Role.CLERK)


def companies() -> list[tuple[int, str]]:
    """Offer the companies, by name."""
    return [(row.id, f"{row.name}（{row.code}）") for row in rows(Tenant).order_by(Tenant.name)]


class UserForm(Form):
    """A user. The company is chosen once, by an operator; managers' users are of their own."""

    tenant_id = RowField(
        "企業", offer=companies, blank="（運営：企業に属さない）", description="運営担当者の場合は選びません。"
    )
    name = line("名前", required("名前を入力してください。"), most=60)
    email = line("メールアドレス", required("メールアドレスを入力してください。"), fields.email, most=254)
    role = SelectField(
        "役割",
        default=str(Role.CLERK),
        description="管理者：自社の利用者・アカウントの設定と、電話番号の表示ができます。担当者：配信の作成・送信ができます。",
    )
    password = PasswordField("パスワード")
    active = BooleanField("サインインできる", default=True, description="外すと、すぐにサインアウトされます。")
    forget_factor = BooleanField(
        "二段階認証を解除する",
        description="スマートフォンも回復コードもなくした人のために使います。本人であることを確かめてから解除してください。",
    )

    def __init__(
        self, formdata: Sent | None = None, obj: User | None = None, start: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(formdata, obj=obj, data=start)
        scope = tenancy.current().tenant_id
        self.owner = obj.tenant_id if obj else scope or self.tenant_id.data
        roles = tuple(Role) if obj is None and scope is None else _COMPANY_ROLES if self.owner else (Role.OPERATOR,)
        self.role.choices = select_options((role, ROLE_WORDS[role]) for role in roles)
        self.password.description = f"{passwords.SHORTEST}文字以上。" + (
            "変えるときだけ入力します。変えると、この利用者はサインアウトされます。"
            if obj
            else "本人に伝え、あとで変えてもらってください。"
        )
        if obj is not None or scope is not None:
            del self.tenant_id
        self._may_forget = obj is not None and obj.totp_since is not None and not self._is_self()
        if not self._may_forget:
            del self.forget_factor

    def validate_email(self, field: Field) -> None:
        """Refuse an address that the same company has already."""
        found = db.session.query(User.id).filter(
            func.lower(User.email) == field.data.lower(), User.tenant_id.is_not_distinct_from(self.owner)
        )
        if self._obj is not None:
            found = found.filter(User.id != self._obj.id)
        if found.first():
            raise ValidationError("このメールアドレスの利用者はすでに登録されています。")

    def validate_role(self, field: Field) -> None:
        """Refuse a role that doesn't fit the company, and a step down by oneself."""
        if (field.data == Role.OPERATOR) != (self.owner is None):
            raise ValidationError("運営担当者は企業を選ばず、管理者と担当者は企業を選んでください。")
        if self._is_self() and field.data != self._obj.role:
            raise ValidationError("自分の役割は変えられません。ほかの管理者に依頼してください。")

    def validate_password(self, field: Field) -> None:
        """Refuse a weak password; blank keeps the old one."""
        if not field.data and self._obj is None:
            raise ValidationError("パスワードを入力してください。")
        if field.data and (found := passwords.problems(field.data, self.email.data or "", self.name.data or "")):
            raise ValidationError(found[0].message_ja)

    def validate_active(self, field: Field) -> None:
        """Refuse to shut oneself out."""
        if self._is_self() and not field.data:
            raise ValidationError("自分を無効にすることはできません。ほかの管理者に依頼してください。")

    def _is_self(self) -> bool:
        return self._obj is not None and self._obj.id == staff().id

    def populate_obj(self, obj: Any) -> None:
        """Write the form into the user; what decides who may do what ends the sessions there are."""
        decides = obj.role, obj.email, obj.active
        if self._obj is None:
            obj.tenant_id = self.owner
        obj.name, obj.email = self.name.data, self.email.data
        obj.role, obj.active = self.role.data, self.active.data
        if self.password.data:
            set_password(obj, self.password.data, but=staff().session_id if self._is_self() else None)
        elif decides != (obj.role, obj.email, obj.active) and not self._is_self():
            sessions.revoke_sessions(obj.id)
        if self._may_forget and self.forget_factor.data:
            second_factor.switch_off(obj)
            sessions.revoke_sessions(obj.id)


class UserView(SecureModelView[User]):
    """利用者."""

    form = UserForm
    asks_again = True
    can_create = True
    can_edit = True
    column_list = ("tenant", "name", "email", "role", "active", "totp_since", "last_login_at", "created_at")
    column_searchable_list = ("name", "email")
    column_filters = [
        Choice(User.role, "役割", "role", lambda: [(str(role), word) for role, word in ROLE_WORDS.items()]),
    ]
    column_labels = {
        "tenant": "企業",
        "name": "名前",
        "email": "メールアドレス",
        "role": "役割",
        "active": "状態",
        "totp_since": "二段階認証",
        "last_login_at": "最終サインイン",
        "created_at": "登録日時",
    }
    column_formatters = {
        "role": display.words_of(ROLE_WORDS),
        "active": display.yes_or_no("有効", "無効"),
        "totp_since": lambda _v, _c, user, _n: "使用中" if user.totp_since else "なし",
        "tenant": lambda _v, _c, user, _n: user.tenant.name if user.tenant else "運営",
    }
    intro = "サインインできる人です。退職や異動のときは、編集して「サインインできる」を外してください。"
    empty_text = "利用者がいません。「利用者を登録する」から始めてください。"
    create_label = "利用者を登録する"
    search_label = "名前・メールアドレス"

    def __init__(self) -> None:
        super().__init__(User, "利用者", endpoint="user")

    def create_form(self, obj: User | None = None) -> UserForm:
        """Make the form of a new user; to operators, of the company's first manager where the address names one."""
        company = as_id(request.args.get("company", "")) if staff().tenant_id is None else None
        start: dict[str, object] = {} if company is None else {"tenant_id": company, "role": str(Role.MANAGER)}
        return UserForm(get_form_data(), obj, start)
