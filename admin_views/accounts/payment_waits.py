"""Describe a payment account that waits at its provider's wish: one wording for all screens."""

from datetime import UTC, datetime

from sqlalchemy.orm import Query

from admin_views.accounts.sms_waits import Notice
from admin_views.framework.access import may_open
from admin_views.framework.scoping import rows
from app.models import Payment, PaymentAccount
from app.values.japan_time import japan_minutes

_WAIT = (
    "時間になると自動で確かめ直すため、お待ちください。支払いを済ませた方には、もう一度支払わないようにお伝えください。"
)
_AGAIN = (
    "たびたび続くときは、決済サイトに利用の上限と障害の有無を確かめてください。"
    "決済アカウントの画面で保存すると、すぐに確かめ直します。"
)


def notices(account: PaymentAccount, *, campaign_id: int | None = None) -> list[Notice]:
    """Return what to know of an account now; payments that wait are one campaign's where that is given."""
    until = account.ask_after
    if until is None or until <= datetime.now(UTC):
        return []
    told = rows(Payment).filter(Payment.payment_account_id == account.id, Payment.told_at.is_not(None))
    if campaign_id is not None:
        told = told.filter(Payment.campaign_id == campaign_id)
    count = told.count()
    waiting = f"支払いの知らせがあり、結果を待っている方が{count:,}人います。" if count else ""
    words = (
        f"決済サイトの求めで、{japan_minutes(until)}まで、支払いの確認と新しい決済ページの用意を待機しています。{waiting}"
        "その間、受信者は新しく支払いに進めません。"
    )
    return [Notice("waits.paying", "支払いの待機", words, f"{_WAIT}{_AGAIN if may_open('payment_account') else ''}")]


def waiting_accounts() -> Query[PaymentAccount]:
    """Find accounts whose provider wished for a pause that isn't over."""
    return rows(PaymentAccount).filter(PaymentAccount.ask_after > datetime.now(UTC)).order_by(PaymentAccount.id)
