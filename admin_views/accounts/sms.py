"""SMSアカウント: contracts with SMS services."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, flash, request, url_for
from flask_admin.helpers import get_form_data
from markupsafe import Markup
from wtforms import BooleanField, Field
from wtforms.validators import NumberRange, Optional, ValidationError

from admin_views.accounts import quality, sms_waits
from admin_views.accounts.forms import PREFIX, AccountForm, AccountView, label_in, setting_warnings
from admin_views.framework import display
from admin_views.framework.fields import AmountField, Check, WholeField, phone_line
from admin_views.framework.secure_view import Form, Sent, expose
from app.accounts import abilities, contracts, receipt_url, seal_witness_phone, twins, witness_phone_of
from app.delivery import circuit_breaker
from app.models import SharedSmsAccount, SmsAccount
from app.problems import Refused
from app.providers.sms import PROVIDERS
from app.restore import new_accounts
from app.setback import account_holds
from app.values.phones import mask, to_e164

_SAME_CONTRACT = (
    "このアカウントで送ったSMSがあるため、変えられません。別の契約は、新しいアカウントとして登録してください。"
)
_WITNESS_HELP = (
    "御社で管理している携帯電話の番号です（例：090-1234-5678）。送信サービスの記録が最新かを確かめる必要があるときだけ、"
    "「自動送信です」と書いたSMSをこの番号に送ります（送信時間帯・上限・料金の対象です）。"
    "登録がないと、結果の分からないSMSを自動で送り直せないことがあります。"
)


SHARED = "共用アカウント"
_SHARED_NOTE = (
    "運営担当者が契約し、御社にも割り当てているアカウントです。接続先や認証情報の管理は運営担当者が行います。"
    "変えたいことがあるときは、運営担当者に連絡してください。"
)


def _mobile(_form: object, field: Field) -> None:
    try:
        to_e164(field.data)
    except Refused as refused:
        raise ValidationError(refused.message_ja) from None


class ContractForm(AccountForm):
    """A contract with an SMS service."""

    test_mode = BooleanField(
        "試験用の契約",
        description="試験環境の契約なら選びます。SMSは実際には届きません。画面に「試験環境」と表示します。",
    )

    def __init__(self, formdata: Sent | None = None, obj: SmsAccount | SharedSmsAccount | None = None) -> None:
        super().__init__(formdata, obj=obj)
        if obj is not None and contracts.in_use(obj):
            for field in self.of_contract():
                field.description = f"{field.description} {_SAME_CONTRACT}"

    def of_contract(self) -> list[Field]:
        """Return the fields that tell one contract from another."""
        address = [self.address] if "address" in self else []
        return address + [field for item, field in self.of_provider() if item.contract]

    def validate(self, extra_validators: Mapping[str, Sequence[Check]] | None = None) -> bool:
        """Check every field, and that an account in use stays the contract that it is."""
        fine = bool(super().validate(extra_validators))
        stored = self._obj
        if not fine or stored is None or not contracts.in_use(stored):
            return fine
        kept = {PREFIX + name: str(value) for name, value in stored.settings.items()}
        kept["address"] = self.address_at(stored)
        for field in self.of_contract():
            if field.data != kept.get(field.name, ""):
                field.errors = [*field.errors, _SAME_CONTRACT]
                fine = False
        if self.test_mode.data != stored.test_mode:
            # messages sent in earnest must not stand as sent to nobody, nor the other way round
            self.test_mode.errors = [*self.test_mode.errors, _SAME_CONTRACT]
            fine = False
        return fine


class OwnForm(Form):
    """The choices that are a company's own of any account, its contract or a part of a shared one."""

    takeover_order = WholeField(
        "代わりに送る順番",
        [Optional(), NumberRange(1, 99, "1から99までの間で入力してください。")],
        description="ほかのアカウントで送れないときに、このアカウントが代わりに送る順番です（1が最初）。空なら、代わりに"
        "送ることはありません。代わりに送るのは、配信で「ほかのSMSアカウントでの送信を許す」を選んだときだけです。"
        "同じ契約のアカウントどうしは、代わりに送りません（その契約で送れないときは、どちらでも送れないためです）。",
        render_kw={"inputmode": "numeric"},
    )
    witness_phone = phone_line("確認用番号", Optional(), _mobile, help=_WITNESS_HELP)
    no_witness = BooleanField("確認用番号の登録をやめる")

    def __init__(self, formdata: Sent | None = None, obj: SmsAccount | None = None, **more: Any) -> None:
        super().__init__(formdata, obj=obj, **more)
        known = witness_phone_of(obj) if obj is not None else None
        if known is None:
            del self.no_witness
        else:
            self.witness_phone.description = f"登録済み：{mask(known)}。変えるときだけ入力してください。{_WITNESS_HELP}"

    def seal(self, model: SmsAccount) -> None:
        """Put the company's number into the account, or take it out."""
        if self.witness_phone.data:
            seal_witness_phone(model, to_e164(self.witness_phone.data))
        elif "no_witness" in self and self.no_witness.data:
            seal_witness_phone(model, None)


class SmsAccountForm(ContractForm, OwnForm):
    """An SMS account of a company's own contract."""

    model = SmsAccount

    rate_per_s = WholeField(
        "1秒に送る件数の上限",
        [Optional(), NumberRange(1, 1000, "1から1000までの間で入力してください。")],
        description="送信サービスとの契約で決まっているときに入力します。空なら、上限はありません。",
        render_kw={"inputmode": "numeric"},
    )
    price_yen = AmountField(
        "SMS1通の料金（円）",
        [Optional(), NumberRange(0, 1000, "0から1000までの間で入力してください。")],
        places=2,
        description="送信サービスとの契約の単価です。送信前の確認で、費用の目安を計算します。例：8.5",
    )


class AllottedForm(OwnForm):
    """A part of a shared account: nothing of its contract is the company's."""

    def validate(self, extra_validators: Mapping[str, Sequence[Check]] | None = None) -> bool:
        """Check every field, and that no other account of the company has this place in the order."""
        if not super().validate(extra_validators):
            return False
        part = self._obj
        made = SmsAccount(
            tenant_id=part.tenant_id,
            shared_account_id=part.shared_account_id,
            name=part.name,
            provider=part.provider,
            settings={},
            takeover_order=self.takeover_order.data,
        )
        for problem in twins.problems(made, {}, stored=part).values():
            self.takeover_order.errors = [*self.takeover_order.errors, problem.message_ja]
        return not self.takeover_order.errors

    def populate_obj(self, obj: Any) -> None:
        """Write the company's choice into its part."""
        obj.takeover_order = self.takeover_order.data


def ask_first(account: SmsAccount) -> None:
    """Have an account that is new since a restore asked before it sends; its save is committed."""
    if account_holds.is_new(account.restore_hold):
        new_accounts.begin(account.id)
        flash(
            "データベースの復元のあとに登録されたため、以前に同じ契約で送られたSMSがないかを自動で照会しています。"
            "数分で終わります。それまで、このアカウントでは送信されません。",
            "warning",
        )


def _state(view: object, context: object, model: SmsAccount, name: str) -> Markup | str:
    if model.active and model.trips:
        return display.badge("paused", "送信見合わせ中")
    if model.active and abilities.is_test(model):
        return display.badge("paused", "試験環境")
    return display.yes_or_no("利用中", "停止")(view, context, model, name)


def _service(view: object, context: object, model: SmsAccount, name: str) -> str:
    if model.shared_account_id is None:
        return label_in(PROVIDERS)(view, context, model, name)
    return SHARED


class SmsAccountView(AccountView[SmsAccount, SmsAccountForm]):
    """SMSアカウント."""

    form = SmsAccountForm
    edit_template = "office/sms_account.html"
    providers = PROVIDERS
    column_list = ("tenant", "takeover_order", "name", "provider", "active", "created_at")
    column_labels = {
        "tenant": "企業",
        "takeover_order": "代わりに送る順番",
        "name": "アカウント名",
        "provider": "サービス",
        "active": "状態",
        "created_at": "登録日時",
    }
    column_formatters = {
        "provider": _service,
        "active": _state,
    }
    intro = "SMSを送る契約です。送信サービスの管理画面で発行された認証情報を登録します。"
    empty_text = "SMSアカウントがありません。登録すると配信を作れるようになります。"
    search_label = "アカウント名"

    def __init__(self) -> None:
        super().__init__(SmsAccount, "SMSアカウント", endpoint="sms_account")

    def edit_form(self, obj: Any = None) -> Any:
        """Make the form of the account's provider; of a part of a shared account, of what the company may choose."""
        return super().edit_form(obj) if obj.shared_account_id is None else AllottedForm(get_form_data(), obj)

    def notes(self, model: SmsAccount) -> list[tuple[str, str, str]]:
        """Return the address to which the service pushes receipts; of a part of a shared account, whose it is."""
        if model.shared_account_id is not None:
            return [(SHARED, model.name, _SHARED_NOTE)]
        explanation = "送信サービスの管理画面で、送信結果の通知先（Webhook）としてこのアドレスを登録してください。"
        return [("送信結果の通知先", receipt_url(model), explanation)]

    def quality(self, model: SmsAccount) -> quality.Section:
        """Return how well the account's SMS arrive, for below its form."""
        return quality.section(model)

    @expose("/quality")
    def quality_file(self) -> Response:
        """Return the same as a file."""
        return quality.file_of(self.get_one(request.args.get("id")))

    def warnings(self, model: SmsAccount) -> list[tuple[str, str, str]]:
        """Return what it waits for, and what its service refuses."""
        waits = [(one.heading, one.words, one.advice) for one in sms_waits.notices(model)]
        return ([] if model.shared_account_id else setting_warnings(model)) + waits

    def offers(self, model: SmsAccount) -> list[tuple[str, str]]:
        """Offer its sender numbers, and a new account for another contract."""
        numbers = ("送信元番号を登録・確認する", url_for("sender_number.index_view"))
        if model.shared_account_id is not None:
            return [numbers]
        return [
            numbers,
            ("別の契約は新しいアカウントとして登録", self.get_url(".create_view", provider=model.provider)),
        ]

    def complete(self, form: Any, model: SmsAccount) -> None:
        """Seal the secrets and the number, and try again at once with what was put right."""
        form.seal(model)
        if model.shared_account_id is None:  # else its contract is the operator's: nothing of it was put right
            super().complete(form, model)
            circuit_breaker.close(model)
        new_accounts.hold(model)

    def after_model_change(self, form: Any, model: SmsAccount, is_created: bool) -> None:  # noqa: FBT001 - Flask-Admin's hook
        """Have an account that is new since a restore asked before it sends."""
        super().after_model_change(form, model, is_created)
        ask_first(model)
