"""送信元番号: the numbers that an account's SMS arrive from, carrier by carrier, and what each carrier said of them."""

from typing import Any

from flask import flash, redirect, request, url_for
from flask_admin.helpers import get_form_data
from markupsafe import Markup
from wtforms import BooleanField, SelectField

from admin_views.framework import display
from admin_views.framework.access import staff
from admin_views.framework.fields import RowField, line, required, select_options, typed
from admin_views.framework.filters import Choice, states_of
from admin_views.framework.model_view import SecureModelView
from admin_views.framework.scoping import rows
from admin_views.framework.secure_view import Form, Page, expose
from admin_views.staff.reauthentication import require_reauthentication
from app import tenancy
from app.models import SenderNumber, SmsAccount
from app.problems import Refused
from app.states.vocabulary import SENDER, SENDER_CARRIERS, SenderState
from app.tenants import sender_numbers
from app.values.sender_numbers import asked

_ONE = "/<int(max=9223372036854775807):sender_number_id>/"

BUTTONS = {
    SenderState.APPLIED: "もう一度申請した",
    SenderState.APPROVED: "承認を記録する",
    SenderState.REJECTED: "却下を記録する",
    SenderState.RETIRED: "廃止する",
}
EFFECTS = {
    SenderState.APPLIED: "携帯会社にもう一度申請したことを記録します。「申請中」になります。",
    SenderState.APPROVED: (
        "携帯会社が承認したことを記録します。SMSの送信元として使われ、"
        "受信者が送信元を確かめるページでも確認できるようになります。"
    ),
    SenderState.REJECTED: (
        "携帯会社が承認しなかったこと、または承認を取り消したことを記録します。送信元として使われません。"
        "理由をメモに入力してください。"
    ),
    SenderState.RETIRED: (
        "使うのをやめます。送信元として使われず、確認もできなくなります。"
        "元には戻せません（もう一度使うときは、新しく登録します）。"
    ),
}


def _accounts() -> list[tuple[int, str]]:
    """Offer the accounts in scope; operators see whose each is."""
    found = rows(SmsAccount).order_by(SmsAccount.tenant_id, SmsAccount.id)
    if tenancy.current().tenant_id is not None:
        return [(account.id, account.name) for account in found]
    return [(account.id, f"{account.tenant.name}：{account.name}") for account in found]


class SenderNumberForm(Form):
    """A number that was applied for."""

    account_id = RowField(
        "SMSアカウント", required("SMSアカウントを選んでください。"), offer=_accounts, blank="（選んでください）"
    )
    carrier = SelectField(
        "携帯会社",
        [required("携帯会社を選んでください。")],
        choices=lambda: select_options([("", "（選んでください）"), *SENDER_CARRIERS.items()]),
        description="0005で始まる番号は、携帯4社に共通です。ほかの番号は、携帯会社ごとに登録します。",
    )
    number = line(
        "送信元番号",
        required("送信元番号を入力してください。"),
        most=40,
        help="ドコモとauは御社の電話番号（例：050-1234-5678）、ソフトバンクは5〜6桁か送信サービスの共通の10桁の番号です。",
    )
    note = line("メモ", most=sender_numbers.MOST_NOTE, help="例：12月1日に申請。証跡にも残ります。")


class MoveForm(Form):
    """The note that is kept with a move."""

    note = line("メモ", most=sender_numbers.MOST_NOTE, help="却下のときは理由を入力します。証跡にも残ります。")
    shared = BooleanField("別の企業と共同で使う番号として承認する")


def _link(_view: object, _context: object, row: SenderNumber, _name: str) -> Markup:
    address = url_for("sender_number.one", sender_number_id=row.id)
    return Markup('<a class="text-nowrap" href="{}">{}</a>').format(address, row.number)


def state_badge(row: SenderNumber) -> Markup:
    """Return a number's state with its colour."""
    return display.badge(row.state, SENDER.words[SenderState(row.state)])


class SenderNumberView(SecureModelView[SenderNumber]):
    """送信元番号."""

    form = SenderNumberForm
    can_create = True
    asks_again = True
    column_list = ("tenant", "account", "number", "carrier", "state", "note", "applied_at", "approved_at")
    column_searchable_list = ("number",)
    column_filters = [
        Choice(SenderNumber.state, "状態", "state", states_of(SENDER)),
        Choice(SenderNumber.carrier, "携帯会社", "carrier", lambda: list(SENDER_CARRIERS.items())),
    ]
    column_labels = {
        "tenant": "企業",
        "account": "SMSアカウント",
        "number": "送信元番号",
        "carrier": "携帯会社",
        "state": "状態",
        "note": "メモ",
        "applied_at": "申請",
        "approved_at": "承認",
    }
    column_formatters = {
        "number": _link,
        "carrier": display.words_of(SENDER_CARRIERS),
        "state": lambda _v, _c, row, _n: state_badge(row),
        "note": lambda _v, _c, row, _n: row.note or display.NOTHING,
    }
    intro = (
        "受信者の携帯電話に、SMSの送信元として表示される番号です。"
        "番号を押すと、これまでの経過と、次に記録できることが表示されます。"
    )
    empty_text = "送信元番号が登録されていません。携帯会社に申請した番号を登録してください。"
    create_label = "申請した番号を登録する"
    search_label = "送信元番号"
    search_hint = "番号は全桁を入力してください。"

    def __init__(self) -> None:
        super().__init__(SenderNumber, "送信元番号", endpoint="sender_number")

    def search_ids(self, search: str) -> list[int]:
        """Return the rows of a number, however it is typed."""
        found = rows(SenderNumber).filter(SenderNumber.number.in_(asked(search)))
        return [row.id for row in found.order_by(SenderNumber.id)]

    def create_form(self, obj: SenderNumber | None = None) -> SenderNumberForm:
        """Make the form of a number; one's only account is chosen already."""
        offered = _accounts()
        chosen = {"account_id": offered[0][0]} if len(offered) == 1 else {}
        return SenderNumberForm(get_form_data(), obj, data=chosen)

    def create_model(self, form: Any) -> SenderNumber | bool:
        """Record the number; what is refused stands at its field."""
        try:
            number_id = sender_numbers.apply(
                form.account_id.data,
                form.carrier.data,
                form.number.data or "",
                note=form.note.data or "",
                actor=staff().actor,
            )
        except Refused as refused:
            form.number.errors = [*form.number.errors, *refused.messages_ja]
            return False
        return self.get_one(number_id)

    @expose(_ONE, methods=["GET", "POST"])
    @require_reauthentication
    def one(self, sender_number_id: int) -> Page | tuple[str, int]:
        """Show a number and what may be recorded of it; record it."""
        row = self.get_one(sender_number_id)
        form = MoveForm(get_form_data())
        problems: list[str] = []
        others = False
        if request.method == "POST" and form.validate():
            try:
                to = SenderState(typed("to"))
                sender_numbers.move(
                    row.id, to, note=form.note.data or "", actor=staff().actor, shared=bool(form.shared.data)
                )
            except ValueError:
                problems = ["記録する内容をボタンから選んでください。"]
            except Refused as refused:
                problems = refused.messages_ja
                others = refused.problem.code == sender_numbers.OTHERS.code
            else:
                flash(f"送信元番号 {row.number} を「{SENDER.words[to]}」にしました。", "success")
                return redirect(self.get_url(".index_view"), 303)
            row = self.get_one(sender_number_id)
        page = self.render(
            "office/sender_number.html",
            row=row,
            form=form,
            problems=problems,
            others=others or bool(form.shared.data),
            state=state_badge(row),
            carrier=SENDER_CARRIERS[row.carrier],
            company=row.tenant.name if tenancy.current().tenant_id is None else "",
            times=[(SENDER.words[state], display.jst(getattr(row, f"{state}_at"))) for state in SenderState],
            moves=[(str(to), BUTTONS[to], EFFECTS[to]) for to in sender_numbers.moves(row.state)],
            waits=row.state == SenderState.APPLIED and bool(tenancy.current().tenant_id),
        )
        return (page, 422) if problems or form.errors else page
