"""SMSアカウント: contracts with SMS services."""

from typing import Any

from wtforms import IntegerField
from wtforms.validators import NumberRange, Optional

from admin_views import show
from admin_views.accounts import AccountForm, AccountView
from admin_views.fields import line
from app.config import settings
from app.extensions import vault
from app.models import SmsAccount
from app.sms import PROVIDERS


class SmsAccountForm(AccountForm):
    """An SMS account."""

    sender = line(
        "送信元の表示",
        most=40,
        help="受信者の携帯電話に表示される番号や名前です。送信前の確認画面に表示します。例：0120-123-456",
    )
    rate_per_s = IntegerField(
        "1秒に送る件数の上限",
        [Optional(), NumberRange(1, 1000, "1から1000までの間で入力してください。")],
        description="送信サービスとの契約で決まっているときに入力します。空なら、上限はありません。",
    )


class SmsAccountView(AccountView):
    """SMSアカウント."""

    form = SmsAccountForm
    providers = PROVIDERS
    column_list = ("tenant", "name", "provider", "sender", "active", "created_at")
    column_labels = {
        "tenant": "企業",
        "name": "アカウント名",
        "provider": "サービス",
        "sender": "送信元の表示",
        "active": "状態",
        "created_at": "登録日時",
    }
    column_formatters = {
        "provider": show.words_of({name: provider.label for name, provider in PROVIDERS.items()}),
        "active": show.yes_or_no("利用中", "停止"),
    }
    intro = "SMSを送る契約です。送信サービスの管理画面で発行された認証情報を登録します。"
    empty_text = "SMSアカウントがありません。登録すると配信を作れるようになります。"
    search_label = "アカウント名"

    def __init__(self) -> None:
        super().__init__(SmsAccount, "SMSアカウント", endpoint="sms_account")

    def notes(self, model: Any) -> list[tuple[str, str, str]]:
        """Tell the address to which the service pushes receipts."""
        address = f"{settings().public_base_url}/callbacks/sms/{model.id}/{vault.receipt_key(model.id)}"
        explanation = "送信サービスの管理画面で、送信結果の通知先（Webhook）としてこのアドレスを登録してください。"
        return [("送信結果の通知先", address, explanation)]
