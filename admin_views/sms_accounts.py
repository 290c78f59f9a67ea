"""SMSアカウント: contracts with SMS services."""

from typing import Any

from wtforms.validators import NumberRange, Optional

from admin_views import show
from admin_views.accounts import AccountForm, AccountView
from admin_views.fields import AmountField, WholeField, line
from app.config import settings
from app.delivery import breaker
from app.extensions import vault
from app.models import SmsAccount
from app.sms import PROVIDERS

RESTING_WORDS = (
    "送信サービスがSMSを受け付けないため、送信を見合わせています。待っている方への送信は、取り消されていません。"
    "時間になると自動で1件だけ試し、受け付けられれば再開します。続くときは、送信サービスの障害情報と、下の設定・認証情報を"
    "確かめてください。保存すると、すぐに再開します。"
)


class SmsAccountForm(AccountForm):
    """An SMS account."""

    sender = line(
        "送信元の表示",
        most=40,
        help="受信者の携帯電話に表示される番号や名前です。送信前の確認画面に表示します。例：0120-123-456",
    )
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


def _state(view: Any, context: Any, model: Any, name: str) -> Any:
    if model.active and model.trips:
        return show.badge("paused", "送信見合わせ中")
    return show.yes_or_no("利用中", "停止")(view, context, model, name)


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
        "active": _state,
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
        found = [("送信結果の通知先", address, explanation)]
        if model.trips:
            until = f"{show.jst(model.resting_until)}まで（理由：{model.resting_code or '応答なし'}）"
            found.insert(0, ("送信の見合わせ", until, RESTING_WORDS))
        return found

    def complete(self, form: Any, model: Any) -> None:
        """Seal the secrets, and try again at once with what was put right."""
        super().complete(form, model)
        breaker.close(model)
