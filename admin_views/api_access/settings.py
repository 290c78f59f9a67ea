"""API: keys made and taken back, addresses, test numbers; managers alone.

In: what a manager types. Out: one call of the domain each. Can't happen here: a key shown twice.
"""

from collections.abc import Callable

from flask import flash, redirect, request, url_for
from flask_admin.helpers import get_form_data
from werkzeug.wrappers import Response as BaseResponse
from wtforms import SelectField
from wtforms.validators import ValidationError

from admin_views.framework import display
from admin_views.framework.access import staff
from admin_views.framework.fields import ChoicesField, line, required, select_options, typed
from admin_views.framework.scoping import rows
from admin_views.framework.secure_view import Form, Page, SecureView, expose
from admin_views.staff.reauthentication import require_reauthentication
from app.api_access import addresses, keys, test_numbers
from app.api_access.keys import MODE_WORDS, SCOPE_WORDS, Scope
from app.models import ApiAddress, ApiKey, ApiRefusal, TestNumber
from app.problems import Refused
from app.values.dates import parse_date_ahead

_ID = "<int(max=9223372036854775807):entry_id>"
_SHOWN = 20
REASON_WORDS = {
    "key": "キーが違うか、無効か、期限切れ",
    "address": "登録されていないアドレス",
    "company": "ご契約が利用中でない",
}


class KeyForm(Form):
    """A key to be made."""

    name = line(
        "システムの名前",
        required("システムの名前を入力してください。"),
        most=keys.MOST_NAME,
        help="このキーを使うシステムの呼び名です。同じ名前のキーは、入れ替えのために2つまで同時に使えます。例：基幹システム",
    )
    mode = SelectField(
        "種類",
        default="live",
        choices=lambda: select_options(MODE_WORDS.items()),
        description="試験用のキーでは、確認の済んだ「試験用の番号」にだけ送信できます。",
    )
    scopes = ChoicesField("できること", offered={str(scope): words for scope, words in SCOPE_WORDS.items()})
    last_day = line("期限", most=40, help="この日まで使えます（例：2027/3/31）。空のときは、無効にするまで使えます。")

    def validate_last_day(self, field: object) -> None:
        """Refuse what is no day."""
        given = getattr(field, "data", "") or ""
        try:
            self.ends = parse_date_ahead(given) if given.strip() else None
        except Refused as refused:
            raise ValidationError(refused.message_ja) from None


class AddressForm(Form):
    """A network to be put on the list."""

    network = line(
        "アドレス",
        required("アドレスを入力してください。"),
        most=60,
        help="システムがインターネットに出るときのアドレスです。例：203.0.113.5、203.0.113.0/28（IPv6も使えます）",
    )
    note = line("メモ", most=addresses.MOST_NOTE, help="例：本社のサーバー")


class NumberForm(Form):
    """A phone of the company's own."""

    phone = line("携帯電話番号", required("電話番号を入力してください。"), most=40, help="例：090-1234-5678")
    owner = line("持っている人", required("持っている人の名前を入力してください。"), most=test_numbers.MOST_OWNER)


class ApiSettings(SecureView):
    """API."""

    def __init__(self) -> None:
        super().__init__("API", endpoint="api_access", url="/admin/api")

    @expose("/")
    def index(self) -> Page:
        """Show keys, addresses, test numbers, and who was turned away."""
        return self._page()

    def _page(self, *, address: AddressForm | None = None, number: NumberForm | None = None) -> str:
        found = rows(ApiKey).order_by(ApiKey.revoked_at.is_not(None), ApiKey.id.desc()).limit(_SHOWN * 2)
        return self.render(
            "office/api.html",
            keys=list(found),
            state_of=_state_of,
            modes=MODE_WORDS,
            scopes=SCOPE_WORDS,
            addresses=rows(ApiAddress).order_by(ApiAddress.id).all(),
            numbers=[(row, test_numbers.masked(row)) for row in rows(TestNumber).order_by(TestNumber.id)],
            refusals=rows(ApiRefusal).order_by(ApiRefusal.id.desc()).limit(_SHOWN).all(),
            reasons=REASON_WORDS,
            jst=display.jst,
            address_form=address or AddressForm(None),
            number_form=number or NumberForm(None),
        )

    @expose("/key/new/", methods=["GET", "POST"])
    @require_reauthentication
    def new_key(self) -> Page | tuple[str, int]:
        """Ask for what a key is; make it and show it, once."""
        form = KeyForm(get_form_data())
        if request.method == "POST" and form.validate():
            try:
                chosen = [Scope(scope) for scope in form.scopes.data or ()]
                row, text = keys.create(
                    form.name.data or "", form.mode.data, chosen, last_day=form.ends, user_id=staff().id
                )
            except Refused as refused:
                form.name.errors = [*form.name.errors, *refused.messages_ja]
            else:
                return self.render("office/api_key.html", row=row, text=text, modes=MODE_WORDS)
        page = self.render("office/api_key_form.html", form=form)
        return (page, 422) if form.errors else page

    @expose(f"/key/{_ID}/revoke", methods=["POST"])
    @require_reauthentication
    def revoke_key(self, entry_id: int) -> BaseResponse:
        """Take a key back."""
        return self._do(lambda: keys.revoke(entry_id, user_id=staff().id), "キーを無効にしました。もう使えません。")

    @expose("/address", methods=["POST"])
    @require_reauthentication
    def add_address(self) -> Page | tuple[str, int]:
        """Put an address on the list."""
        form = AddressForm(get_form_data())
        if form.validate():
            try:
                addresses.add(form.network.data or "", form.note.data or "", user_id=staff().id)
            except Refused as refused:
                form.network.errors = [*form.network.errors, *refused.messages_ja]
            else:
                flash("アドレスを登録しました。", "success")
                return redirect(url_for("api_access.index"), 303)
        return self._page(address=form), 422

    @expose(f"/address/{_ID}/remove", methods=["POST"])
    @require_reauthentication
    def remove_address(self, entry_id: int) -> BaseResponse:
        """Take an address off the list."""
        return self._do(lambda: addresses.remove(entry_id, user_id=staff().id), "アドレスを削除しました。")

    @expose("/number", methods=["POST"])
    @require_reauthentication
    def add_number(self) -> Page | tuple[str, int]:
        """Put a test number on the list, and send its code."""
        form = NumberForm(get_form_data())
        if form.validate():
            try:
                number_id = test_numbers.add(form.phone.data or "", form.owner.data or "", user_id=staff().id)
            except Refused as refused:
                form.phone.errors = [*form.phone.errors, *refused.messages_ja]
            else:
                return self._send_code(number_id)
        return self._page(number=form), 422

    @expose(f"/number/{_ID}/send", methods=["POST"])
    @require_reauthentication
    def send_code(self, entry_id: int) -> BaseResponse:
        """Send a test number a new code."""
        return self._send_code(entry_id)

    def _send_code(self, number_id: int) -> BaseResponse:
        return self._do(
            lambda: test_numbers.send_code(number_id, user_id=staff().id),
            "確認コードをSMSで送りました。届いた6桁の数字を、15分以内に入力してください。",
        )

    @expose(f"/number/{_ID}/confirm", methods=["POST"])
    def confirm_number(self, entry_id: int) -> BaseResponse:
        """Take a test number's code."""
        code = typed("code")
        return self._do(
            lambda: test_numbers.confirm(entry_id, code, user_id=staff().id),
            "番号を確認しました。試験用のキーで送れます。",
        )

    @expose(f"/number/{_ID}/remove", methods=["POST"])
    def remove_number(self, entry_id: int) -> BaseResponse:
        """Take a test number off the list."""
        return self._do(lambda: test_numbers.remove(entry_id, user_id=staff().id), "試験用の番号を削除しました。")

    @staticmethod
    def _do(act: Callable[[], object], done: str) -> BaseResponse:
        try:
            act()
        except Refused as refused:
            for words in refused.messages_ja:
                flash(words, "warning")
        else:
            flash(done, "success")
        return redirect(url_for("api_access.index"), 303)


def _state_of(row: ApiKey) -> tuple[str, str]:
    """Return whether a key works, as a badge shows it."""
    if row.revoked_at is not None:
        return "", "無効"
    if keys.is_over(row):
        return "expired", "期限切れ"
    return "active", "有効"
