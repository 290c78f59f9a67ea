"""共用SMSアカウント: the operator's contracts with SMS services, and the companies that send by them."""

from collections.abc import Mapping
from datetime import UTC, datetime

from flask import abort, flash, redirect, request, url_for
from flask_admin.helpers import get_form_data
from markupsafe import Markup
from wtforms.validators import NumberRange, Optional

from admin_views.accounts.forms import AccountView, label_in, setting_warnings
from admin_views.accounts.sms import ContractForm, ask_first
from admin_views.framework.access import staff
from admin_views.framework.fields import AmountField, RowField, WholeField, line, required, typed
from admin_views.framework.secure_view import Form, Page, Sent, expose
from admin_views.staff.reauthentication import require_reauthentication
from admin_views.staff.users import companies
from app.accounts import receipt_url
from app.delivery import circuit_breaker
from app.extensions import db
from app.models import SharedSmsAccount
from app.problems import Problem, Refused
from app.providers.sms import PROVIDERS
from app.reports.allotments import use_of
from app.restore import new_accounts
from app.tenants import allotments
from app.tenants.allotments import Terms
from app.values.japan_time import TOKYO

_ACCOUNT = "/<int(max=9223372036854775807):shared_account_id>/allotments/"
_ONE = f"{_ACCOUNT}<int(max=9223372036854775807):allotment_id>/"
_RATE = [
    required("1から1000までの間で入力してください。"),
    NumberRange(1, 1000, "1から1000までの間で入力してください。"),
]


class SharedAccountForm(ContractForm):
    """A shared account."""

    model = SharedSmsAccount

    rate_per_s = WholeField(
        "1秒に送る件数の上限",
        _RATE,
        description="割り当てたすべての企業を合わせた上限です。同時に送る企業で、公平に分けます。",
        render_kw={"inputmode": "numeric"},
    )

    def __init__(self, formdata: Sent | None = None, obj: SharedSmsAccount | None = None) -> None:
        super().__init__(formdata, obj=obj)
        self.name.description = "運営の画面に表示する名前です。企業に表示する名前は、割り当てるときに決めます。"
        if "tenant_id" in self:
            del self.tenant_id
        del self.active

    def twins_of(self) -> Mapping[str, Problem]:
        """Return nothing: it is no company's, and one contract may well be allotted in two ways."""
        return {}


class AllotmentForm(Form):
    """How a company sends by a shared account."""

    name = line(
        "企業に表示する名前",
        required("企業に表示する名前を入力してください。"),
        help="企業が配信を作るときに選ぶ名前です。送信サービスや契約が分かる名前は付けないでください。例：標準回線",
    )
    rate_per_s = WholeField(
        "1秒に送る件数の上限",
        _RATE,
        description="この企業の上限です。共用アカウント全体の上限は超えません。企業には表示されません。",
        render_kw={"inputmode": "numeric"},
    )
    price_yen = AmountField(
        "SMS1通の料金（円）",
        [Optional(), NumberRange(0, 1000, "0から1000までの間で入力してください。")],
        places=2,
        description="この企業に請求する単価です。企業の送信前の確認で、費用の目安になります。例：8.5",
    )

    def terms(self) -> Terms:
        """Return what was typed."""
        assert self.name.data  # noqa: S101 - it was required
        assert self.rate_per_s.data  # noqa: S101 - so was this
        return Terms(self.name.data, self.rate_per_s.data, self.price_yen.data)


class NewAllotmentForm(AllotmentForm):
    """A company's new part."""

    tenant_id = RowField("企業", required("企業を選んでください。"), offer=companies, blank="（選んでください）")


def _companies(_view: object, _context: object, model: SharedSmsAccount, _name: str) -> Markup:
    held = sum(row.active for row in allotments.of(model.id))
    address = url_for("shared_account.allotted", shared_account_id=model.id)
    return Markup('<a href="{}" aria-label="{}の割当">{}社</a>').format(address, model.name, held)


class SharedAccountView(AccountView[SharedSmsAccount, SharedAccountForm]):
    """共用SMSアカウント."""

    form = SharedAccountForm
    providers = PROVIDERS
    column_list = ("name", "provider", "rate_per_s", "allotments", "created_at")
    column_labels = {
        "name": "アカウント名",
        "provider": "サービス",
        "rate_per_s": "1秒の上限",
        "allotments": "割当",
        "created_at": "登録日時",
    }
    column_formatters = {"provider": label_in(PROVIDERS), "allotments": _companies}
    intro = (
        "運営が契約し、複数の企業で使うSMSの契約です。割り当てた企業には、名前と状態だけが表示されます。"
        "設定・認証情報と、ほかの企業のことは表示されません。"
    )
    empty_text = "共用SMSアカウントがありません。登録すると、企業に割り当てられます。"
    search_label = "アカウント名"

    def __init__(self) -> None:
        super().__init__(SharedSmsAccount, "共用SMSアカウント", endpoint="shared_account")

    def notes(self, model: SharedSmsAccount) -> list[tuple[str, str, str]]:
        """Return the address to which the service pushes receipts of all companies."""
        explanation = (
            "送信サービスの管理画面で、送信結果の通知先（Webhook）としてこのアドレスを登録してください。"
            "通知は、SMSごとの参照番号で、送った企業に振り分けられます。"
        )
        return [("送信結果の通知先", receipt_url(model), explanation)]

    def warnings(self, model: SharedSmsAccount) -> list[tuple[str, str, str]]:
        """Return what is wrong with its settings."""
        return setting_warnings(model)

    def offers(self, model: SharedSmsAccount) -> list[tuple[str, str]]:
        """Lead to the companies that it is allotted to."""
        return [("企業への割当を見る・変える", self.get_url(".allotted", shared_account_id=model.id))]

    def complete(self, form: SharedAccountForm, model: SharedSmsAccount) -> None:
        """Seal the secrets; have each company's part follow, and try again at once with what was put right."""
        super().complete(form, model)
        for row in allotments.follow(model):
            circuit_breaker.close(row)

    @expose(_ACCOUNT, methods=["GET", "POST"])
    @require_reauthentication
    def allotted(self, shared_account_id: int) -> Page | tuple[str, int]:
        """Show which companies send by an account, and allot it to another."""
        account = self.get_one(shared_account_id)
        form = NewAllotmentForm(get_form_data())
        problems: list[str] = []
        if request.method == "POST" and form.validate():
            try:
                row = allotments.allot(account, form.tenant_id.data, form.terms(), actor=staff().actor)
            except Refused as refused:
                problems = refused.messages_ja
                db.session.rollback()
            else:
                new_accounts.hold(row)
                db.session.commit()
                flash(f"{row.tenant.name}に「{row.name}」を割り当てました。", "success")
                ask_first(row)
                return redirect(self.get_url(".allotted", shared_account_id=shared_account_id), 303)
        today = datetime.now(UTC).astimezone(TOKYO).date()
        page = self.render(
            "office/allotments.html",
            account=account,
            form=form,
            problems=problems,
            parts_held=[(row, use_of(row, today)) for row in allotments.of(account.id)],
        )
        return (page, 422) if problems or form.errors else page

    @expose(_ONE, methods=["GET", "POST"])
    @require_reauthentication
    def allotment(self, shared_account_id: int, allotment_id: int) -> Page | tuple[str, int]:
        """Show a company's part; change it, take it back, or give it again."""
        account = self.get_one(shared_account_id)
        row = next((one for one in allotments.of(account.id) if one.id == allotment_id), None) or abort(404)
        form = AllotmentForm(get_form_data(), obj=row)
        problems: list[str] = []
        act = typed("act") if request.method == "POST" else ""
        if act in {"take_back", "give"}:
            allotments.switch(row, active=act == "give", actor=staff().actor)
            flash(_SWITCHED[act].format(row.tenant.name), "success")
            return redirect(self.get_url(".allotted", shared_account_id=shared_account_id), 303)
        if act and form.validate():
            try:
                allotments.change(account, row, form.terms(), actor=staff().actor)
            except Refused as refused:
                problems = refused.messages_ja
                db.session.rollback()
            else:
                flash(f"{row.tenant.name}の割当を変えました。", "success")
                return redirect(self.get_url(".allotted", shared_account_id=shared_account_id), 303)
        use = use_of(row, datetime.now(UTC).astimezone(TOKYO).date())
        page = self.render("office/allotment.html", account=account, row=row, use=use, form=form, problems=problems)
        return (page, 422) if problems or (act and form.errors) else page


_SWITCHED = {
    "take_back": "{}から引き上げました。送信待ちの方は取り消されず、待ち続けます。",
    "give": "{}にもう一度割り当てました。送信待ちの方への送信は、1分ほどで再開します。",
}
