"""決済アカウント: contracts with payment providers."""

import re

from markupsafe import Markup
from wtforms import BooleanField, Field
from wtforms.validators import ValidationError

from admin_views.accounts import payment_waits
from admin_views.accounts.forms import AccountForm, AccountView, label_in, setting_warnings
from admin_views.framework import display
from app.accounts import credentials_of
from app.config import settings
from app.models import PaymentAccount
from app.providers.payments import PROVIDERS

# as payment providers that tell it begin the keys of their two environments
_MODE = re.compile(r"[a-z]+_(?P<mode>test|live)_")


class PaymentAccountForm(AccountForm):
    """A payment account."""

    model = PaymentAccount

    test_mode = BooleanField(
        "テスト用の契約", description="決済サイトのテスト環境のキーを使う場合に選びます。お金は動きません。"
    )

    def validate_test_mode(self, field: Field) -> None:
        """Refuse a contract for tests that would move money, and one in earnest that wouldn't."""
        stored = credentials_of(self._obj) if self._obj is not None else {}
        found = [_MODE.match(key) for key in {**stored, **self.secrets()}.values()]
        modes = {match["mode"] for match in found if match}
        if "test" in modes and not field.data:
            raise ValidationError("キーはテスト環境のものです。ここを選ぶか、本番のキーを入力してください。")
        if "live" in modes and field.data:
            raise ValidationError("キーは本番のものです。ここを外すか、テスト環境のキーを入力してください。")


def _state(view: object, context: object, model: PaymentAccount, name: str) -> Markup | str:
    if model.active and payment_waits.notices(model):
        return display.badge("paused", "支払いの待機中")
    return display.yes_or_no("利用中", "停止")(view, context, model, name)


class PaymentAccountView(AccountView[PaymentAccount, PaymentAccountForm]):
    """決済アカウント."""

    form = PaymentAccountForm
    providers = PROVIDERS
    column_list = ("tenant", "name", "provider", "test_mode", "active", "created_at")
    column_labels = {
        "tenant": "企業",
        "name": "アカウント名",
        "provider": "決済サイト",
        "test_mode": "種別",
        "active": "状態",
        "created_at": "登録日時",
    }
    column_formatters = {
        "provider": label_in(PROVIDERS),
        "test_mode": lambda _v, _c, account, _n: "テスト" if account.test_mode else "本番",
        "active": _state,
    }
    intro = "支払いを受け取る契約です。決済サイトの管理画面で発行されたキーを登録します。"
    empty_text = "決済アカウントがありません。支払いを案内する配信を作る前に登録してください。"
    search_label = "アカウント名"

    def __init__(self) -> None:
        super().__init__(PaymentAccount, "決済アカウント", endpoint="payment_account")

    def complete(self, form: PaymentAccountForm, model: PaymentAccount) -> None:
        """Seal the secrets, and ask again at once with what was put right."""
        super().complete(form, model)
        model.ask_after = model.rests_until = None
        model.unanswered = 0

    def notes(self, model: PaymentAccount) -> list[tuple[str, str, str]]:
        """Return the address to which the payment provider sends its webhooks."""
        address = f"{settings().public_base_url}/callbacks/payment/{model.id}"
        explanation = "決済サイトの管理画面で、Webhookの送信先としてこのアドレスを登録してください。"
        return [("支払結果の通知先", address, explanation)]

    def warnings(self, model: PaymentAccount) -> list[tuple[str, str, str]]:
        """Return what it waits for."""
        waits = [(one.heading, one.words, one.advice) for one in payment_waits.notices(model)]
        return setting_warnings(model) + waits
