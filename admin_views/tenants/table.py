"""企業: the companies that send, kept by operators."""

import re
from typing import Any

from flask import url_for
from markupsafe import Markup
from wtforms import BooleanField, Field, SelectField
from wtforms.validators import NumberRange, Optional, ValidationError

from admin_views.campaigns.send_windows_form import hours_field, hours_typed
from admin_views.framework import display
from admin_views.framework.fields import WholeField, line, phone_line, required, select_options, text
from admin_views.framework.filters import Choice, states_of
from admin_views.framework.model_view import SecureModelView
from admin_views.framework.secure_view import Form, Sent
from app.extensions import db
from app.models import Tenant
from app.states.vocabulary import TENANT, TenantState

_CODE = re.compile(r"[a-z0-9][a-z0-9_-]{2,29}")
_FIRST = (TenantState.REVIEW, TenantState.TRIAL, TenantState.ACTIVE)


def _look_link(_view: object, _context: object, tenant: Tenant, _name: str) -> Markup:
    address = url_for("page_look.one", tenant_id=tenant.id)
    return Markup('<a href="{}" aria-label="{}の受信者の画面">色・ロゴ</a>').format(address, tenant.name)


class TenantForm(Form):
    """A company."""

    code = line(
        "企業コード",
        required("企業コードを入力してください。"),
        most=30,
        help="サインインのときに入力するコードです。半角の英小文字・数字・-・_ の3〜30文字。あとから変えられません。",
    )
    name = line(
        "企業名",
        required("企業名を入力してください。"),
        help="受信者の画面と、本文の {会社名} に表示されます。",
    )
    state = SelectField(
        "契約の状態", description="停止にすると、その企業の利用者は全員サインアウトされ、送信もできません。"
    )
    contact_phone = phone_line(
        "問い合わせ先の電話番号",
        required("受信者が問い合わせる電話番号を入力してください。"),
        help="受信者の画面に表示されます。例：0120-123-456",
    )
    contact_hours = line("受付時間", most=60, help="受信者の画面に表示されます。例：平日 9:00〜17:30")

    about = text(
        "企業の紹介", most=200, help="受信者の最初の画面に表示されます。例：火災保険・自動車保険の損害保険会社です。"
    )
    verifiable = BooleanField(
        "SMSの発信元番号の照会に応じる",
        description="誰でも、企業名と番号の両方を入力すると、その番号がこの企業のものかどうかを確かめられます。",
    )

    hours = hours_field("送信時間帯", "毎日8:00〜21:00（祝日も）", "この企業の時間帯を決める")
    daily_cap = WholeField(
        "1日に送れる件数",
        [Optional(), NumberRange(1, 10_000_000, "1以上、10,000,000以下で入力してください。")],
        description="超えた分は翌日（日本時間）に送ります。空なら、上限はありません。",
    )

    approval_above = WholeField(
        "承認が要らない件数の上限",
        [Optional(), NumberRange(0, 10_000_000, "0以上、10,000,000以下で入力してください。")],
        description="これを超える件数の配信は、依頼した人と別の管理者が承認してから送信されます。空なら、承認は要りません。",
    )

    second_factor_required = BooleanField(
        "二段階認証を必須にする",
        description="利用者は、次にサインインしたときに設定します。設定が終わるまで、ほかの画面は開けません。",
    )

    def __init__(self, formdata: Sent | None = None, obj: Tenant | None = None) -> None:
        super().__init__(formdata, obj=obj, hours=hours_typed(obj.send_window if obj else None))
        allowed = _FIRST if obj is None else (TenantState(obj.state), *sorted(TENANT.moves[TenantState(obj.state)]))
        self.state.choices = select_options((state, TENANT.words[state]) for state in allowed)
        if obj is not None:
            del self.code

    def populate_obj(self, obj: Any) -> None:
        """Write the form into the company."""
        for field in self:
            if field.name != "hours":
                field.populate_obj(obj, field.name)
        window = self.hours.form.window()
        obj.send_window = None if window is None else window.to_json()

    def validate_code(self, field: Field) -> None:
        """Refuse what can't be typed the same way on every keyboard, and what another company has."""
        if not _CODE.fullmatch(field.data):
            raise ValidationError("半角の英小文字・数字・-・_ で、3〜30文字にしてください。")
        if db.session.query(Tenant.id).filter(Tenant.code == field.data).first():
            raise ValidationError("この企業コードはすでに使われています。別のコードにしてください。")


class TenantView(SecureModelView[Tenant]):
    """企業."""

    form = TenantForm
    asks_again = True
    can_create = True
    can_edit = True
    column_list = ("code", "name", "state", "contact_phone", "contact_hours", "page_look", "created_at")
    column_searchable_list = ("code", "name")
    column_sortable_list = ("code",)
    column_filters = [Choice(Tenant.state, "契約の状態", "state", states_of(TENANT))]
    column_labels = {
        "code": "企業コード",
        "name": "企業名",
        "state": "契約の状態",
        "contact_phone": "問い合わせ先",
        "contact_hours": "受付時間",
        "page_look": "受信者の画面",
        "created_at": "登録日時",
    }
    column_formatters = {"state": display.state_of(TENANT), "page_look": _look_link}
    intro = "Todoke を利用する企業です。企業を登録したら、続けてその企業の管理者を「利用者」に登録してください。"
    empty_text = "企業がまだ登録されていません。「企業を登録する」から始めてください。"
    create_label = "企業を登録する"
    search_label = "企業コード・企業名"

    def __init__(self) -> None:
        super().__init__(Tenant, "企業", endpoint="tenant")
