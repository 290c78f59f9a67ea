"""Describe an SMS account that waits at its service's wish, or is refused when it asks: one wording for all."""

from dataclasses import dataclass
from datetime import UTC, datetime

from admin_views.framework.access import may_open
from app.delivery import account_waits
from app.models import SmsAccount
from app.states import result_codes
from app.values.japan_time import japan_minutes

# the keys of what keeps SMS from leaving
OF_SENDING = {"waits.sending", "resting", "taken_back"}


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to know of an account: a key for pages that ask again, a heading, what is so, and what to do."""

    key: str
    heading: str
    words: str
    advice: str


_WAIT = (
    "時間になると自動で再開するため、お待ちください。たびたび続くときは、送信サービスに契約の上限を確かめてください。"
)
_RESTING = (
    "待っている方への送信は、取り消されていません。続くときは、送信サービスの障害情報を確かめてください。"
    "トークンが無効になっていたら、同じ契約の新しいトークンをSMSアカウントの画面で保存すると、すぐに再開します。"
    "別の契約で送るときは、このアカウントを変えずに、新しいアカウントとして登録してください。"
)
_RESTING_CLERK = "待っている方への送信は、取り消されていません。続くときは、自社の管理者にお知らせください。"
_RESTING_SHARED = (
    "待っている方への送信は、取り消されていません。続くときは、運営担当者に確かめてください。"
    "ほかのアカウントがあれば、次の配信からはそちらを選べます。"
)
_TAKEN_BACK = (
    "待っている方への送信は、取り消されていません。運営担当者がもう一度割り当てると、自動で再開します。"
    "運営担当者に連絡してください。待たずに別のアカウントで送るときは、この配信を取り消して、新しい配信をつくってください。"
)
_ASK_OPERATOR = "運営担当者にお知らせください。"
_ASK_MANAGER = "自社の管理者にお知らせください。"


def _tried_at(until: datetime | None) -> str:
    """Describe when an account that rests is tried: once its rest is over, by whatever leaves next."""
    if until is not None and until > datetime.now(UTC):
        return f"{japan_minutes(until)}ごろに1件だけ試し"
    return "次にSMSを送るときに1件だけ試し"


def notices(account: SmsAccount, *, campaign_id: int | None = None) -> list[Notice]:
    """Return what to know of an account now, as far as it concerns one campaign where that is given."""
    found = account_waits.waits_of(account, datetime.now(UTC), campaign_id=campaign_id)
    shared = account.shared_account_id is not None
    told = []
    if found.sending_until is not None:
        words = f"送信サービスの求めで、{japan_minutes(found.sending_until)}まで送信を待機しています。"
        told.append(Notice("waits.sending", "送信の待機", words, _WAIT))
    elif shared and not account.active:
        words = "運営担当者がこの共用アカウントを引き上げたため、送信を見合わせています。"
        told.append(Notice("taken_back", "送信の見合わせ", words, _TAKEN_BACK))
    elif account.active and account.trips:
        until = _tried_at(account.resting_until)
        # of the operator's contract a company learns that it rests, not what its service said
        why = "" if shared else f"（理由：{result_codes.words(account.resting_code) or '応答なし'}）"
        words = (
            f"送信サービスがSMSを受け付けないため、送信を見合わせています{why}。{until}、受け付けられれば再開します。"
        )
        of_own = _RESTING if may_open("sms_account") else _RESTING_CLERK
        told.append(Notice("resting", "送信の見合わせ", words, _RESTING_SHARED if shared else of_own))
    if found.asking_until is not None:
        words = f"送信サービスの求めで、{japan_minutes(found.asking_until)}まで送信結果の照会を待機しています。"
        told.append(Notice("waits.asking", "照会の待機", words, _WAIT))
    if found.refused_since is not None:
        why = "" if shared else f"（{result_codes.words(found.refused_code)}）"
        words = (
            f"{japan_minutes(found.refused_since)}から、送ったSMSがどうなったかを送信サービスに照会しても、"
            f"断られています{why}。届いたかどうかを確かめられません。"
        )
        advice = (
            "アクセストークンが無効になっていないか、そのトークンに送信結果を見る権限があるかを、送信サービスの管理画面で確かめてください。"
            "直したあとや新しいトークンにしたときは、SMSアカウントの画面で保存すると、すぐに照会し直します。"
        )
        of_own = advice if may_open("sms_account") else _ASK_MANAGER
        told.append(Notice("refused", "照会の拒否", words, _ASK_OPERATOR if shared else of_own))
    return told
